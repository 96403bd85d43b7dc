"""Columns of lists from the pages of their methods: a list names its fields and their SQL, the page has the rest.

::

    columns=listed(
        "get.tags",
        field("id", "t.tag_id"),
        field("is_auto", "false"),
        number("rating", "...", "filter"),    # a column in full replaces what the page says
    )
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from trunkline.contract import Fact, fields_of
from trunkline.db.query.columns import Column, ColumnType

_API = "data_api"


@dataclass(frozen=True)
class FieldSql:
    """A field whose type and uses are those of the page.

    :ivar more: further members of :class:`Column`; they replace what the page says.
    """

    name: str
    sql: str
    more: Mapping[str, Any]


def field(name: str, sql: str = "", **more: Any) -> FieldSql:
    """The SQL of a field; its type, whether it is filterable, sortable and default, its values and what it holds come from
    the page.

    :param more: further members of :class:`Column`; they replace what the page says.
    """
    return FieldSql(name, sql, more)


def optional_field(name: str, sql: str, **more: Any) -> FieldSql:
    """A text that is kept as an empty one when there is none: it is shown, and requested, as null."""
    return FieldSql(name, f"nullif({sql}, '')", more)


def listed(method: str, *columns: Column | FieldSql) -> tuple[Column, ...]:
    """The columns of a list, in this order.

    :raises ValueError: a field is not on the page: a column in full is needed.
    """
    facts = {fact.name: fact for fact in fields_of(_API, method)}
    return tuple(one if isinstance(one, Column) else _column(method, one, facts) for one in columns)


def with_uses(
    method: str, known: Mapping[str, Column], *, nested_names: frozenset[str] = frozenset()
) -> tuple[Column, ...]:
    """Those of ``known`` columns that are on the method's page, in its order, with the uses that the page permits.

    :param nested_names: names that the page has as fields although another field contains them.
    :raises KeyError: a field of the page is not among them.
    """
    return tuple(
        replace(
            known[fact.name],
            filterable=fact.filterable,
            sortable=fact.sortable,
            default=fact.is_default,
        )
        for fact in fields_of(_API, method)
        if fact.name not in nested_names
    )


def _column(method: str, given: FieldSql, facts: Mapping[str, Fact]) -> Column:
    fact = facts.get(given.name)
    if fact is None:
        raise ValueError(f"{method}: the page has no field {given.name}: declare a column in full")
    return replace(_of(fact, given.sql), **given.more)


def _of(fact: Fact, sql: str = "") -> Column:
    type = ColumnType(fact.type)
    return Column(
        fact.name,
        type,
        sql,
        filterable=fact.filterable,
        sortable=fact.sortable,
        default=fact.is_default,
        enum=fact.enum,
        nested=tuple(_of(inner) for inner in fact.inner) if type.is_structure else (),
    )
