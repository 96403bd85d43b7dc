"""How a list declares what it has: one :class:`Column` per field, one :class:`Listing` per list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property, partial
from typing import Any


class ColumnType(StrEnum):
    """Wire types of fields, with the shape that :attr:`Column.sql` must have."""

    NUMBER = "number"
    """Any SQL number; a JSON number."""
    STRING = "string"
    """``text``."""
    BOOLEAN = "boolean"
    """``boolean``."""
    ENUM = "enum"
    """``text`` out of :attr:`Column.enum` (any text when that is empty)."""
    ISO8601 = "iso8601"
    """``timestamptz``; shown as ``YYYY-MM-DD hh:mm:ss`` in the account's zone."""
    DURATION = "duration"
    """Any SQL number of seconds; shown as ``hh:mm:ss``."""
    ARRAY = "array"
    """``jsonb`` array; shown as ``[]`` when empty or null."""
    OBJECT = "object"
    """``jsonb`` object; shown as ``{}`` when null."""

    @property
    def is_structure(self) -> bool:
        return self in (ColumnType.ARRAY, ColumnType.OBJECT)


@dataclass(frozen=True)
class Column:
    """One field of a list.

    SQL expressions are constants over the aliases of the listing's source; ``%(account_id)s``,
    ``%(time_zone)s`` and the listing's constants may be used in them, so a literal percent sign is ``%%``.
    """

    name: str
    type: ColumnType
    sql: str = ""
    """The value, for filters and sorting; its SQL type: see :class:`ColumnType`. Empty if nested, unless a request
    may filter or sort by it under its dotted name."""
    filterable: bool = False
    sortable: bool = False
    default: bool = True
    """Whether it is returned when the request names no fields."""
    enum: tuple[str, ...] = ()
    shown: str | None = None
    """Expression that is returned instead of ``sql`` (a JSON-ready value); None: by type."""
    nested: tuple[Column, ...] = ()
    """Shape of the elements of an array or the keys of an object, for the contract."""
    match_id: str | None = None
    """Arrays and objects: key that a number in ``=``, ``!=`` and ``in`` is compared with."""
    match_name: str | None = None
    """Arrays and objects: key that a string in ``=``, ``!=``, ``in``, ``like``, ``regexp`` is compared to."""
    filter_as: Column | None = None
    """Filters on this field are filters on that one (``employee_id`` on ``employees``) where that takes the operator."""
    plain: Column | None = None
    """The same value in a simpler type (a choice by its id, an id shown as text by its number): filters compare
    that where it takes the operator, and this field otherwise."""
    is_date: bool = False
    """ISO 8601: midnights of days; shown and asked for as ``YYYY-MM-DD``."""

    def __post_init__(self) -> None:
        if self.nested and not self.type.is_structure:
            raise ValueError(f"{self.name}: only arrays and objects have nested columns")


_USES = frozenset({"filter", "sort", "default"})


def column(type: ColumnType, name: str, sql: str, uses: str = "", **more: Any) -> Column:
    """A column of a table of declarations.

    :param uses: words out of ``filter sort default``: what a request may do with it without asking twice.
    :param more: further members of :class:`Column`.
    """
    words = frozenset(uses.split())
    if not words <= _USES:
        raise ValueError(f"{name}: uses are {', '.join(sorted(_USES))}, not {uses!r}")
    return Column(
        name,
        type,
        sql,
        filterable="filter" in words,
        sortable="sort" in words,
        default="default" in words,
        **more,
    )


number = partial(column, ColumnType.NUMBER)
string = partial(column, ColumnType.STRING)
boolean = partial(column, ColumnType.BOOLEAN)
enum = partial(column, ColumnType.ENUM)
time = partial(column, ColumnType.ISO8601)
duration = partial(column, ColumnType.DURATION)
array = partial(column, ColumnType.ARRAY)
structure = partial(column, ColumnType.OBJECT)


def optional_text(name: str, sql: str, uses: str = "", **more: Any) -> Column:
    """A string that is kept as an empty one when there is none: it is shown, and asked for, as null."""
    return string(name, f"nullif({sql}, '')", uses, **more)


def nested(**types: ColumnType | Column) -> tuple[Column, ...]:
    """Shape of what an array or object holds: ``nested(tag_id=ColumnType.NUMBER, ...)``."""
    return tuple(
        replace(kind, name=name) if isinstance(kind, Column) else Column(name, kind)
        for name, kind in types.items()
    )


@dataclass(frozen=True)
class Rollup:
    """Counts of a report's rows by the hour in which they began, exact at every instant.

    :param table: of the counts, with the listing's alias.
    :param hour: SQL of the hour's start.
    :param rows: SQL of the count.
    :param where: what always holds: the listing's condition and the report's, but for the period.
    :param columns: SQL of the columns that the counts distinguish, as the listing's columns have it.
    """

    table: str
    hour: str
    rows: str
    where: str
    columns: frozenset[str]


@dataclass(frozen=True)
class Listing:
    """A list that can be queried.

    :param table: the table whose rows are listed, with its alias: ``employees e``.
    :param joins: left joins to at most one row each, for the columns; they may follow after ``table``.
    :param where: condition that always holds; it must bind ``%(account_id)s``.
    :param order: order when the request gives none, and tie-breaker after the request's own; total.
    :param key: columns of a large table's primary key: pages far down, and pages in an order that the request gives,
        are then cut by keys alone. The conditions that always hold must use columns of the table only.
    :param rollup: counts that the total of a long period can be summed from; for reports whose rows have a
        ``start_time``, over parameters ``period_start`` and ``period_end``.
    :param constants: values that the SQL refers to by name, e.g. dictionaries of descriptions.
    """

    name: str
    table: str
    where: str
    order: str
    columns: tuple[Column, ...]
    joins: str = ""
    key: tuple[str, ...] = ()
    rollup: Rollup | None = None
    constants: Mapping[str, Any] = field(default_factory=dict)

    @property
    def alias(self) -> str:
        """Alias of the table."""
        return self.table.split()[-1]

    @property
    def source(self) -> str:
        """What follows ``from``."""
        return f"{self.table} {self.joins}"

    @cached_property
    def by_name(self) -> Mapping[str, Column]:
        """Columns by field name."""
        names = {column.name: column for column in self.columns}
        if len(names) != len(self.columns):
            raise ValueError(f"{self.name}: a field is declared twice")
        return names

    @cached_property
    def searchable(self) -> Mapping[str, Column]:
        """Columns by the name that a filter or a sort has: fields, and dotted what they hold (``sites.name``)."""
        dotted = {
            f"{outer.name}.{inner.name}": replace(inner, name=f"{outer.name}.{inner.name}")
            for outer in self.columns
            for inner in outer.nested
        }
        return {**dotted, **self.by_name}

    @cached_property
    def default_fields(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.default)
