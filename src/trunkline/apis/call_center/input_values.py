"""Checks what clients send against the declaration of a field.

Values of forms and queries are texts, so a number may be written as text, a truth value as ``0``, ``1``, ``true`` or
``false``, an array as JSON or with commas, and an object as JSON. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from trunkline.apis.call_center.declaration import Field, Kind
from trunkline.core.errors import InvalidInput
from trunkline.core.storable_text import is_storable
from trunkline.db.query.close_names import close_names

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}\Z")
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_SHOWN_MAX = 60

IGNORED = frozenset({"api_key", "_", "_dc"})
"""The key, and names by which browsers' libraries avoid caches."""


def read_members(
    fields: Iterable[Field], sent: Mapping[str, Any], *, partial: bool, place: str = ""
) -> dict[str, Any]:
    """The fields that were sent, checked. Read-only ones are left out.

    :param partial: nothing is required.
    :param place: of the object, for errors.
    :raises InvalidInput: a field that is unknown, missing, or has a value that it cannot have.
    """
    known = {field.name: field for field in fields}
    found: dict[str, Any] = {}
    for name, value in sent.items():
        field = known.get(name)
        if field is None:
            if name in IGNORED:
                continue
            raise _unknown(name, known, place)
        if not field.read_only:
            found[name] = read_value(field, value, f"{place}{name}")
    if not partial:
        for field in known.values():
            if field.required and not field.read_only and field.name not in found:
                raise InvalidInput(
                    f"{place}{field.name} is missing: send {_wanted(field)}.", field=f"{place}{field.name}"
                )
    return found


def read_value(field: Field, value: Any, place: str) -> Any:
    """A value of a field.

    :raises InvalidInput: with what to send.
    """
    if value is None or (value == "" and field.kind in (Kind.INTEGER, Kind.BOOLEAN, Kind.OBJECT, Kind.JSON)):
        if field.required:
            raise InvalidInput(f"{place} is empty: send {_wanted(field)}.", field=place)
        return None
    try:
        read = _READERS[field.kind](field, value)
        _check_limits(field, read)
        return field.check(read) if field.check is not None else read
    except ValueError as error:
        reason = str(error) or f"send {_wanted(field)}"
        sent = "not possible" if field.write_only else _shown(value)
        raise InvalidInput(f"{place} is {sent}: {reason}.", field=place) from None


def _integer(_field: Field, value: Any) -> int:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    if isinstance(value, str) and _INTEGER.match(value.strip()):
        return int(value)
    raise ValueError


def _boolean(_field: Field, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower() if isinstance(value, str | int) else ""
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ValueError


def _string(_field: Field, value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise ValueError
    check_text(value)
    return value


def check_text(value: str) -> None:
    """:raises ValueError: the text has characters that cannot be stored."""
    if not is_storable(value):
        raise ValueError("send text without NUL characters and without halves of surrogate pairs")


def _array(field: Field, value: Any) -> list[Any]:
    if isinstance(value, str):
        bare = value.strip()
        value = (
            _parsed(bare) if bare.startswith("[") else [one.strip() for one in bare.split(",") if one.strip()]
        )
    elif isinstance(value, int) and not isinstance(value, bool):
        value = [value]
    if not isinstance(value, list):
        raise ValueError
    if field.items is None:
        _check_json(value)
        return value
    read = _READERS[field.items]
    return [read(field, one) for one in value]


def _object(_field: Field, value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        value = _parsed(value)
    if not isinstance(value, dict):
        raise ValueError
    _check_json(value)
    return value


def _json(_field: Field, value: Any) -> Any:
    if isinstance(value, str):
        value = _parsed(value)
    if not isinstance(value, dict | list):
        raise ValueError
    _check_json(value)
    return value


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        raise ValueError("send JSON") from None


def _check_json(value: Any) -> None:
    """Texts and names anywhere inside can be stored, and it is not nested too deeply."""
    level: list[Any] = [value]
    for _ in range(_DEPTH_MAX):
        inner: list[Any] = []
        for one in level:
            if isinstance(one, str):
                check_text(one)
            elif isinstance(one, list):
                inner.extend(one)
            elif isinstance(one, dict):
                inner.extend(one)
                inner.extend(one.values())
        if not inner:
            return
        level = inner
    raise ValueError(f"send at most {_DEPTH_MAX} levels of arrays and objects")


_DEPTH_MAX = 32

_READERS: Mapping[Kind, Callable[[Field, Any], Any]] = {
    Kind.INTEGER: _integer,
    Kind.BOOLEAN: _boolean,
    Kind.STRING: _string,
    Kind.ARRAY: _array,
    Kind.OBJECT: _object,
    Kind.JSON: _json,
}


def _check_limits(field: Field, value: Any) -> None:
    size = value if isinstance(value, int) else len(value)
    is_within = (field.minimum is None or size >= field.minimum) and (
        field.maximum is None or size <= field.maximum
    )
    if isinstance(value, bool):
        return
    if not is_within or (field.enum and value not in field.enum):
        raise ValueError
    if field.items is Kind.INTEGER and not all(0 <= one < 2**53 for one in value):
        raise ValueError


def _wanted(field: Field) -> str:
    """What may be sent, in words."""
    if field.enum:
        return "one of " + ", ".join(one or "an empty text" for one in field.enum)
    low, high = field.minimum, field.maximum
    match field.kind:
        case Kind.INTEGER:
            return f"a whole number{_span(low, high)}"
        case Kind.BOOLEAN:
            return "true or false"
        case Kind.STRING:
            return f"a text of{_span(low or 0, high)} characters" if high is not None else "a text"
        case Kind.ARRAY:
            what = {Kind.INTEGER: " of ids", Kind.STRING: " of texts"}.get(field.items or Kind.OBJECT, "")
            return f"an array{what}" + (f" with at most {high} items" if high is not None else "")
        case Kind.OBJECT:
            return "a JSON object" + (f" with at most {high} members" if high is not None else "")
        case Kind.JSON:
            return "an object or array of JSON"


def _span(low: int | None, high: int | None) -> str:
    if low is not None and high is not None:
        return f" {low} to {high}" if low != 0 or high < 1000 else f" from 0 to {high}"
    return f" from {low}" if low is not None else ""


def _shown(value: Any) -> str:
    try:
        text = orjson.dumps(value).decode()
    except (orjson.JSONEncodeError, UnicodeError):
        text = "not UTF-8"
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}..."


def _unknown(name: str, known: Mapping[str, Field], place: str) -> InvalidInput:
    close = close_names(name[:100], list(known), 3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known fields: {', '.join(known) or 'none'}"
    return InvalidInput(
        f"{place}{_shown(name)} is not a field here; {hint}", field=f"{place}{name[:100]}", value=None
    )
