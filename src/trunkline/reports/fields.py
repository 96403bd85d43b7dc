"""Columns that several reports have, and how a report takes its fields from catalogues of columns.

::

    pick("get.goals_report", {**VISIT, **OWN}, "utm_referrer:f")

The page of the method names the fields and what a request may do with them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

from trunkline.contract.columns import with_uses
from trunkline.db.query import Column, ColumnType
from trunkline.db.query.columns import array, boolean, enum, nested, string, structure
from trunkline.db.query.compiler import shown_time

_NUMBER = ColumnType.NUMBER
_STRING = ColumnType.STRING

Catalogue = Mapping[str, Column]


def catalogue(*columns: Column) -> dict[str, Column]:
    """Columns by their names."""
    return {column.name: column for column in columns}


def pick(
    method: str, known: Catalogue, more: str = "", *, nested_names: frozenset[str] = frozenset()
) -> tuple[Column, ...]:
    """The columns of the method's page, in its order and with the uses that it permits, then those of ``more``.

    :param more: fields that the page does not have, as ``name:uses``, where uses are letters: ``f`` filter by it, ``s`` sort
        by it, ``d`` return it when the request names no fields.
    :param nested_names: names that the page has as fields although another field contains them.
    :raises KeyError: ``known`` lacks a field of the page.
    """
    return (
        *with_uses(method, known, nested_names=nested_names),
        *(_picked(known, word) for word in more.split()),
    )


def _picked(known: Catalogue, word: str) -> Column:
    name, _, uses = word.partition(":")
    return replace(known[name], filterable="f" in uses, sortable="s" in uses, default="d" in uses)


_TAG_TIME = shown_time("(t.item ->> 'tag_change_time')::timestamptz")

TAGS = array(
    "tags",
    "s.tags",
    shown=(
        "(select coalesce(jsonb_agg(t.item || jsonb_build_object('tag_change_time',"
        f" {_TAG_TIME})"
        " order by t.position), '[]'::jsonb)"
        " from jsonb_array_elements(s.tags) with ordinality as t(item, position))"
    ),
    match_id="tag_id",
    match_name="tag_name",
    nested=nested(
        tag_name=_STRING,
        tag_id=_NUMBER,
        tag_change_time=ColumnType.ISO8601,
        tag_type=Column("", ColumnType.ENUM, enum=("auto", "manual")),
        tag_user_id=_NUMBER,
        tag_user_login=_STRING,
        tag_employee_id=_NUMBER,
        tag_employee_full_name=_STRING,
    ),
)
"""Tags of a communication: every kind keeps them alike."""

QUEUE_OUTCOMES = (
    "answered",
    "abandoned",
    "exit_key",
    "timeout",
    "no_agent_timeout",
    "break_out",
    "disconnected",
    "not_in_time",
)
"""How the contact's time in a queue ended."""

QUEUES = array(
    "queues",
    "s.queues",
    match_id="queue_id",
    match_name="queue_name",
    nested=nested(
        queue_id=_NUMBER,
        queue_name=_STRING,
        wait_duration=_NUMBER,
        outcome=Column("", ColumnType.ENUM, enum=QUEUE_OUTCOMES),
        exit_key=_STRING,
    ),
)
"""The queues that a call waited in."""

ATTRIBUTE_NAMES = (
    "first",
    "through",
    "primary",
    "secondary",
    "lost",
    "target",
    "off-target",
    "quality",
    "rest",
)


def attributes(lost: str = "null", target: str = "null") -> Column:
    """Attributes of a communication: those that were kept with it, else what follows from itself.

    :param lost: SQL of whether it was lost.
    :param target: SQL of ``target``, ``off-target`` or null.
    """
    own = (
        f"array[case when {lost} then 'lost' end, case when s.communication_number = 1 then 'primary'"
        f" when s.communication_number > 1 then 'secondary' end, {target}]::text[]"
    )
    kept = "case when s.attributes <> '{}' then s.attributes else array_remove(" + own + ", null) end"
    return array("attributes", f"to_jsonb({kept})", enum=ATTRIBUTE_NAMES)


def choice(name: str, id_sql: str, words: Mapping[str, str] | str) -> Column:
    """``{"value", "value_id"}``: one of a set, by its name for people and its id.

    Filters with ``=``, ``!=`` and ``in`` compare the id; ``jsquery``, ``like`` and ``regexp`` use the whole value.

    :param id_sql: text, null for none.
    :param words: names by id, or SQL of such a dictionary; an id without a name is its own.
    """
    known = words if isinstance(words, str) else literal(words)
    return _chosen(name, id_sql, f"coalesce({known} ->> ({id_sql}), {id_sql})", enum(name, id_sql))


def yes_or_no(name: str, sql: str) -> Column:
    """A boolean as ``{"value", "value_id"}``."""
    return _chosen(name, sql, f"case when {sql} then 'Yes' else 'No' end", boolean(name, sql))


def _chosen(name: str, id_sql: str, word_sql: str, plain: Column) -> Column:
    return structure(
        name,
        f"case when ({id_sql}) is not null then jsonb_build_object('value', {word_sql}, 'value_id', {id_sql}) end",
        match_name="value",
        nested=nested(value=_STRING, value_id=_STRING),
        plain=plain,
    )


def text_id(name: str, sql: str) -> Column:
    """An id that the reference calls a string."""
    return string(name, f"({sql})::text", plain=Column(name, _NUMBER, sql))


def literal(words: Mapping[str, str]) -> str:
    """A constant dictionary as SQL, for look-ups with ``->>``."""
    text = json.dumps(dict(words), ensure_ascii=False).replace("'", "''").replace("%", "%%")
    return f"'{text}'::jsonb"


def names_of(items: Iterable[str]) -> dict[str, str]:
    """Ids as words for people: ``not_processed`` becomes ``Not processed``."""
    return {item: item.replace("_", " ").replace(".", " ").capitalize() for item in items}
