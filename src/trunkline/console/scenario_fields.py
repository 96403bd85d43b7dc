"""Fields of a form of the directory as controls of a page, and back. Pure.

The controls follow from what the form declares (types, limits, references, branches), so that a new operation of scenarios
needs nothing here. Names of controls are paths: ``name``, ``keys.0.key``, ``branches.1.next``.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le, MaxLen
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from trunkline.directory.forms.entity import Leads, Refers

LONG_FROM = 500
"""A text that may have so many characters gets several lines."""

SPARE_ROWS = 1
"""Empty rows behind those of a list."""

KEY, TARGET = "key", "next"
"""Controls of a row of a mapping of branches."""

ITEM = "item"
"""The control of a row of a list of items."""


class Control(StrEnum):
    """How a field is entered."""

    TEXT = "text"
    LONG = "long"
    NUMBER = "number"
    FLAG = "flag"
    CHOICE = "choice"
    CHOICES = "choices"
    LINES = "lines"
    """Texts, one per line."""
    ITEM = "item"
    """Another item of the directory."""
    ITEMS = "items"
    BRANCH = "branch"
    BRANCHES = "branches"
    """Rows of a text and a branch."""
    PART = "part"
    PARTS = "parts"


@dataclass(frozen=True, slots=True)
class Declared:
    """A field as its form declares it.

    :ivar section: of the items that may be named.
    :ivar fields: of the parts.
    """

    name: str
    control: Control
    required: bool
    default: Any = None
    values: tuple[str, ...] = ()
    section: str = ""
    minimum: int | None = None
    maximum: int | None = None
    fields: tuple[Declared, ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """A field with its value.

    :ivar path: name of its control.
    :ivar value: a text; of rows nothing.
    :ivar chosen: of several values.
    :ivar rows: of a list, each with its fields; of a part the one.
    """

    path: str
    declared: Declared
    value: str = ""
    chosen: tuple[str, ...] = ()
    rows: tuple[tuple[Shown, ...], ...] = ()
    problems: tuple[str, ...] = ()


@cache
def declared_fields(form: type[BaseModel]) -> tuple[Declared, ...]:
    """The fields of a form in their order, without its kind; branches last."""
    found = [
        _declared(info.alias or name, info) for name, info in form.model_fields.items() if name != "kind"
    ]
    last = (Control.BRANCHES, Control.PARTS, Control.BRANCH)

    def place(one: Declared) -> int:
        return -2 if one.name == "name" else last.index(one.control) if one.control in last else -1

    return tuple(sorted(found, key=place))


def _declared(name: str, info: FieldInfo) -> Declared:
    marks, annotation = _unwrapped(info.annotation, list(info.metadata))
    default = None if info.is_required() else info.get_default(call_default_factory=True)
    refers = next((one for one in marks if isinstance(one, Refers)), None)
    arguments = get_args(annotation)
    one: dict[str, Any] = {}
    control = Control.TEXT
    if any(isinstance(mark, Leads) for mark in marks):
        control = Control.BRANCHES if get_origin(annotation) is dict else Control.BRANCH
    elif refers is not None:
        control = Control.ITEMS if get_origin(annotation) is tuple else Control.ITEM
        one["section"] = refers.section
    elif annotation is bool:
        control = Control.FLAG
    elif annotation is int:
        control = Control.NUMBER
        one["minimum"] = next((int(str(mark.ge)) for mark in marks if isinstance(mark, Ge)), None)
        one["maximum"] = next((int(str(mark.le)) for mark in marks if isinstance(mark, Le)), None)
    elif (values := _values(annotation)) is not None:
        control, one["values"] = Control.CHOICE, values
    elif get_origin(annotation) is tuple:
        inner = _unwrapped(arguments[0], [])[1]
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            control, one["fields"] = Control.PARTS, declared_fields(inner)
        elif (values := _values(inner)) is not None:
            control, one["values"] = Control.CHOICES, values
        else:
            control = Control.LINES
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        control, one["fields"] = Control.PART, declared_fields(annotation)
    elif any(isinstance(mark, MaxLen) and mark.max_length >= LONG_FROM for mark in marks):
        has_pattern = any(getattr(mark, "pattern", None) for mark in marks)
        control = Control.TEXT if has_pattern else Control.LONG
    return Declared(name, control, info.is_required(), default, **one)


def _unwrapped(annotation: Any, marks: list[Any]) -> tuple[list[Any], Any]:
    """An annotation without ``Annotated`` and ``| None``, and its marks."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            marks += more
        elif get_origin(annotation) in (Union, types.UnionType):
            annotation = next(one for one in get_args(annotation) if one is not type(None))
        else:
            break
    for mark in list(marks):
        if isinstance(mark, FieldInfo):
            marks += mark.metadata
    return marks, annotation


def _values(annotation: Any) -> tuple[str, ...] | None:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return tuple(str(one.value) for one in annotation)
    return tuple(map(str, get_args(annotation))) if get_origin(annotation) is Literal else None


def of_item(
    form: type[BaseModel], item: Mapping[str, Any] | None, problems: Mapping[str, list[str]] | None = None
) -> tuple[Shown, ...]:
    """The controls of an item.

    :param item: its values as JSON; None: a new one.
    :param problems: by path in the item (``keys.1``, ``branches.0.percent``).
    """
    values = {one.name: _json(one.default) for one in declared_fields(form)} if item is None else item
    return _shown(declared_fields(form), values, "", problems or {})


def _shown(
    fields: Iterable[Declared], values: Mapping[str, Any], at: str, problems: Mapping[str, list[str]]
) -> tuple[Shown, ...]:
    return tuple(_one(each, values.get(each.name), f"{at}{each.name}", problems) for each in fields)


def _one(declared: Declared, value: Any, path: str, problems: Mapping[str, list[str]]) -> Shown:
    own = tuple(problems.get(path, ()))
    match declared.control:
        case Control.CHOICES:
            return Shown(path, declared, chosen=tuple(value or ()), problems=own)
        case Control.LINES:
            return Shown(path, declared, "\n".join(value or ()), problems=own)
        case Control.FLAG:
            return Shown(path, declared, "on" if value else "", problems=own)
        case Control.PART:
            part = _shown(declared.fields, value or {}, f"{path}.", problems)
            return Shown(path, declared, rows=(part,), problems=own)
        case Control.ITEMS | Control.BRANCHES | Control.PARTS:
            rows = tuple(
                _shown(_row(declared), row, f"{path}.{index}.", problems)
                for index, row in enumerate([*_rows(declared, value), *({} for _ in range(SPARE_ROWS))])
            )
            below = [
                one
                for place, several in problems.items()
                if place.startswith(f"{path}.") and declared.control is not Control.PARTS
                for one in several
            ]
            return Shown(path, declared, rows=rows, problems=(*own, *below))
        case _:
            return Shown(path, declared, "" if value is None else str(value), problems=own)


def _row(declared: Declared) -> tuple[Declared, ...]:
    """The controls of one row of a list."""
    if declared.control is Control.ITEMS:
        return (Declared(ITEM, Control.ITEM, required=False, section=declared.section),)
    if declared.control is Control.BRANCHES:
        target = Declared(TARGET, Control.BRANCH, required=False)
        return (Declared(KEY, Control.TEXT, required=False), target)
    return declared.fields


def _rows(declared: Declared, value: Any) -> list[Mapping[str, Any]]:
    if declared.control is Control.ITEMS:
        return [{ITEM: one} for one in value or ()]
    if declared.control is Control.BRANCHES:
        return [{KEY: key, TARGET: target} for key, target in (value or {}).items()]
    return list(value or ())


@dataclass
class Sent:
    """What a form sent, as values of an item, and what is wrong with it before it is checked."""

    values: dict[str, Any] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)


def sent_item(form: type[BaseModel], fields: Mapping[str, str], twice: str) -> Sent:
    """Values of an item from the controls of :func:`of_item`; what is empty is left out.

    :param twice: the sentence for a key that a mapping of branches has twice.
    """
    sent = Sent()
    sent.values = _sent(declared_fields(form), fields, "", sent.problems, twice)
    return sent


def _sent(
    declared: Iterable[Declared],
    fields: Mapping[str, str],
    at: str,
    problems: dict[str, list[str]],
    twice: str,
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in declared:
        path = f"{at}{one.name}"
        text = fields.get(path, "")
        match one.control:
            case Control.FLAG:
                found[one.name] = bool(text)
            case Control.CHOICES:
                found[one.name] = [value for value in one.values if fields.get(f"{path}.{value}")]
            case Control.LINES:
                found[one.name] = [line.strip() for line in text.splitlines() if line.strip()]
            case Control.PART:
                part = _sent(one.fields, fields, f"{path}.", problems, twice)
                if any(value not in (None, [], False) for value in part.values()):
                    found[one.name] = part
            case Control.ITEMS | Control.BRANCHES | Control.PARTS:
                rows = _sent_rows(one, fields, path, problems, twice)
                if one.control is Control.ITEMS:
                    found[one.name] = [row[ITEM] for row in rows]
                elif one.control is Control.PARTS:
                    found[one.name] = rows
                else:
                    keys = [row[KEY] for row in rows]
                    if len(set(keys)) < len(keys):
                        problems.setdefault(path, []).append(twice)
                    found[one.name] = {row[KEY]: row.get(TARGET) for row in rows}
            case Control.BRANCH:
                found[one.name] = text or None
            case _:
                shown = text.strip() if one.control is not Control.LONG else text.replace("\r\n", "\n")
                if shown.strip():
                    found[one.name] = shown
    return found


def _sent_rows(
    declared: Declared, fields: Mapping[str, str], path: str, problems: dict[str, list[str]], twice: str
) -> list[dict[str, Any]]:
    """Rows that have something besides a branch."""
    indexes = sorted(
        {
            int(index)
            for name in fields
            if name.startswith(f"{path}.")
            and (index := name[len(path) + 1 :].partition(".")[0]).isdecimal()
            and len(index) < 6
        }
    )
    rows = [_sent(_row(declared), fields, f"{path}.{index}.", problems, twice) for index in indexes]
    return [
        row
        for row in rows
        if any(
            row.get(one.name) not in (None, [], False)
            for one in _row(declared)
            if one.control is not Control.BRANCH
        )
    ]


def problems_by_path(error: ValidationError, kind: str = "") -> dict[str, list[str]]:
    """What a check found, by the path of the field; what concerns several fields has an empty path.

    :param kind: a first part of places that is left out, as that of a union.
    """
    found: dict[str, list[str]] = {}
    for detail in error.errors(include_url=False, include_input=False):
        place = [str(part) for part in detail["loc"] if part not in ("[key]", kind)]
        context = detail.get("ctx") or {}
        text = str(context.get("error", detail["msg"])) if detail["type"] == "value_error" else detail["msg"]
        found.setdefault(".".join(place), []).append(text[:1].lower() + text[1:])
    return found


def _json(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, Enum):
        return value.value
    return [_json(one) for one in value] if isinstance(value, tuple) else value
