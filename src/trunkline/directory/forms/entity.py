"""How an entity of the directory is kept: which field of its form is which column. Reading and writing follow it.

A form (:class:`~.fields.Item`) describes what may be written; marks in its annotations say where a field is kept. A
field without a mark is the column of its name. Only one item has the value of a field that is marked
:class:`~trunkline.directory.exclusive.Exclusive`. What is not one column (the phones of an employee) is marked
:class:`Elsewhere`: the entity's ``read`` and ``link``, or its ``values`` (the digests of a password), read and write it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString, Protocol, TypeVar

from psycopg.types.json import Jsonb
from pydantic import BaseModel

from trunkline.db.pool import Row

if TYPE_CHECKING:
    from trunkline.directory.forms.write_context import WriteContext


@dataclass(frozen=True, slots=True)
class Column:
    """The column, where it has another name; :ivar words: how true and false are kept, where not as such."""

    name: str
    words: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Refers:
    """The field is the key of an item of that section (a list: of several).

    :ivar column: has the item's id; also the name of the id in a JSON structure. Empty: see :class:`Elsewhere`.
    :ivar late: written when all items are there, because the two may refer to each other.
    """

    section: str
    column: str = ""
    late: bool = False


@dataclass(frozen=True, slots=True)
class Leads:
    """The field is the key of the operation of the same scenario that follows, or none: the scenario ends (a mapping:
    its values are)."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Left out (None), the field stays as it is; a new item has ``usual``, which an export leaves out."""

    usual: Any


@dataclass(frozen=True, slots=True)
class Json:
    """The column is ``jsonb`` and has the value in the form of the file."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The field is no column; the entity reads and writes it by its own statements."""


class ReadContext(Protocol):
    """What reading an item may look up."""

    @property
    def media_dir(self) -> Path: ...
    def key(self, section: str, identifier: int | None) -> str | None: ...
    def parts(self, name: str, column: str, owner: int) -> list[Row]: ...
    def fields(self, form: type[BaseModel], row: Row) -> dict[str, Any]:
        """The fields of a part of an item that are columns of its row."""
        ...


Read = Callable[[ReadContext, Row], Mapping[str, Any] | None]
Values = Callable[["WriteContext", str], Mapping[str, Any]]
Link = Callable[["WriteContext", str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Entity:
    """A section of directory files and the table of its items.

    :ivar form: of an item; several where the form depends on a kind.
    :ivar where: condition on the rows that belong into a file, with its ``and``.
    :ivar parts: statements of dependent rows by name.
    :ivar read: fields of an item that are no columns, from its row; None: the row is in no file.
    :ivar values: columns that are no fields, from an item.
    :ivar link: writes what refers to other items, and dependent rows, when all items are there.
    :ivar unlink: statements before items (``%(ids)s``) are deleted.
    :ivar finish: deletes what other items referred to, when all is written.
    :ivar unique: columns whose values items of one file may exchange.
    :ivar release: statements before items (``%(ids)s``) are written, so that they may exchange what only one can have.
    :ivar permanent: keys of items that every account has; they are never deleted.
    """

    section: str
    form: type[BaseModel] | None
    table: str
    id_column: str
    key_column: str = "key"
    where: LiteralString = ""
    parts: Mapping[str, LiteralString] = field(default_factory=dict)
    read: Read | None = None
    values: Values | None = None
    link: Link | None = None
    unlink: tuple[LiteralString, ...] = ()
    finish: Link | None = None
    unique: tuple[LiteralString, ...] = ()
    permanent: frozenset[str] = frozenset()
    release: tuple[LiteralString, ...] = ()


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one field is kept."""

    field: str
    column: str
    refers: Refers | None
    words: tuple[str, str] | None
    kept: bool
    json: bool


@cache
def _places(form: type[BaseModel]) -> tuple[_Place, ...]:
    found = []
    for name, info in form.model_fields.items():
        marks = {type(mark): mark for mark in info.metadata}
        if Elsewhere in marks:
            continue
        refers: Refers | None = marks.get(Refers)
        column: Column | None = marks.get(Column)
        kept_in = column.name if column else refers.column if refers else name
        words = column.words if column else None
        found.append(_Place(name, kept_in, refers, words, Kept in marks, Json in marks))
    return tuple(found)


def fields_of(form: type[BaseModel], context: ReadContext, row: Row) -> dict[str, Any]:
    """The fields of an item that are columns, from its row."""
    return {place.field: _read(place, context, row[place.column]) for place in _places(form)}


def columns_of(context: WriteContext, item: BaseModel) -> dict[str, Any]:
    """The columns of an item, without references to items that may not exist yet."""
    return {
        place.column: _written(place, context, getattr(item, place.field))
        for place in _places(type(item))
        if not (place.refers and place.refers.late)
        and not (place.kept and getattr(item, place.field) is None)
    }


def late_columns_of(context: WriteContext, item: BaseModel) -> dict[str, Any]:
    """The references that :func:`columns_of` leaves out."""
    return {
        place.column: _written(place, context, getattr(item, place.field))
        for place in _places(type(item))
        if place.refers and place.refers.late
    }


def column_names(form: type[BaseModel]) -> tuple[str, ...]:
    """The columns that a form describes."""
    return tuple(place.column for place in _places(form))


def usual_values(form: type[BaseModel]) -> Mapping[str, Any]:
    """Values of :class:`Kept` fields that an export leaves out."""
    return {
        name: mark.usual
        for name, info in form.model_fields.items()
        for mark in info.metadata
        if isinstance(mark, Kept)
    }


_M = TypeVar("_M")


def marked(item: BaseModel, at: str, kind: type[_M]) -> Iterator[tuple[str, _M, str]]:
    """All values of fields with a mark of this kind, also of the item's parts, as (place, mark, value)."""
    for name, info in type(item).model_fields.items():
        value, place = getattr(item, name), f"{at}.{info.alias or name}"
        mark = next((one for one in info.metadata if isinstance(one, kind)), None)
        if value is None:
            continue
        if mark is not None:
            values = (
                [(place, value)]
                if isinstance(value, str)
                else [(f"{place}[{i}]", one) for i, one in enumerate(value)]
            )
            yield from ((where, mark, one) for where, one in values)
        elif isinstance(value, BaseModel):
            yield from marked(value, place, kind)
        elif isinstance(value, tuple):
            for index, one in enumerate(value):
                if isinstance(one, BaseModel):
                    yield from marked(one, f"{place}[{index}]", kind)
        elif isinstance(value, Mapping):
            for key, one in value.items():
                if isinstance(one, BaseModel):
                    yield from marked(one, f"{place}.{key}", kind)


def _read(place: _Place, context: ReadContext, value: Any) -> Any:
    if place.refers is not None:
        section = place.refers.section
        if isinstance(value, list):
            return [key for one in value if (key := context.key(section, one)) is not None]
        return context.key(section, value)
    if place.words is not None:
        return value == place.words[0]
    if isinstance(value, list):
        return [str(one) if isinstance(one, IPv4Network | IPv6Network) else one for one in value]
    return value


def _written(place: _Place, context: WriteContext, value: Any) -> Any:
    if place.refers is not None:
        section = place.refers.section
        if isinstance(value, tuple):
            return [context.ids[section][key] for key in value]
        return context.id(section, value)
    if place.words is not None:
        return place.words[0] if value else place.words[1]
    if place.json:
        return None if value is None else Jsonb(_json(value))
    if isinstance(value, Enum):
        return value.value
    return list(value) if isinstance(value, tuple) else value


def _json(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, Mapping):
        return dict(value)
    return [_json(one) for one in value] if isinstance(value, tuple | list) else value
