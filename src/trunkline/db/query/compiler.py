"""From a checked request to parametrised SQL. Pure: no value of a client is ever part of the SQL text.

Patterns do not reach the database: a condition with ``regexp`` becomes a comparison with the values that match, which
:func:`~trunkline.db.query.page.fetch_page` finds first (:class:`PatternLookup`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

from psycopg import sql
from psycopg.types.json import Jsonb

from trunkline.core.patterns import Pattern
from trunkline.db.query.columns import Column, ColumnType, Listing
from trunkline.db.query.filters import Condition, Group, Node, Operator, Scalar
from trunkline.db.query.jsquery import Query
from trunkline.db.query.moments import Moment
from trunkline.db.query.request import ListRequest, SortKey
from trunkline.db.query.rollup import can_sum, hours_of


@dataclass(frozen=True, slots=True)
class PatternLookup:
    """A condition with a pattern: which values of its field match is found before the query runs.

    :ivar values: statement that yields the distinct texts of the field, of the rows in question.
    :ivar listed: name of the parameter that takes a list of those texts.
    :ivar is_match: name of the parameter that is true when the list has those that match, false when it has the others.
    """

    pattern: Pattern
    values: sql.Composed
    listed: str
    is_match: str


@dataclass(frozen=True, slots=True)
class CompiledQuery:
    """``rows`` yields, in order, pieces of the page: JSON objects with commas between them, and how many they are.
    ``count`` yields one number. Both need the parameters of ``lookups`` in addition to ``params``."""

    rows: sql.Composed
    count: sql.Composed
    params: Mapping[str, Any]
    limit: int
    offset: int
    lookups: tuple[PatternLookup, ...] = ()
    is_short: bool = False
    """It is over so short a period that any plan is good enough; planning would take longer than the rows."""


def compile_request(
    listing: Listing,
    request: ListRequest,
    *,
    account_id: int,
    time_zone: str,
    where: str | None = None,
    params: Mapping[str, Any] | None = None,
) -> CompiledQuery:
    """SQL of a request.

    :param time_zone: IANA name of the account's zone, in which times are shown.
    :param where: one more condition (a constant) over ``params``, e.g. the period of a report.
    """
    values = _Values(
        {**listing.constants, **(params or {}), "account_id": account_id, "time_zone": time_zone}
    )
    conditions: list[sql.Composable] = [_constant(f"({listing.where})")]
    if where:
        conditions.append(_constant(f"({where})"))
    for part in _joined_parts(request.filter):
        before = len(values.patterns)
        condition = _node(part, values)
        conditions.append(condition)
        if len(values.patterns) == before:
            values.narrowing.append(condition)
    lookups = _lookups(listing, conditions[: 2 if where else 1], values)
    scope = sql.SQL(" from {} where {}").format(_constant(listing.source), sql.SQL(" and ").join(conditions))
    own = sql.SQL(" and ").join(conditions[: 2 if where else 1])
    rows = _rows(listing, request, scope, own, values)
    count = _count(listing, request.filter, scope, values)
    return CompiledQuery(
        rows, count, values.params, request.limit, request.offset, lookups, _is_short(values.params)
    )


_SHORT = timedelta(hours=25)
"""The longest calendar day. PostgreSQL takes a period that it does not know for one of 1/200 of the rows, some hours of a
month's partition, so a plan made without the period suits a day; for longer ones, the plan must know it."""


def _is_short(params: Mapping[str, Any]) -> bool:
    start, end = params.get("period_start"), params.get("period_end")
    return start is not None and end is not None and end - start <= _SHORT


def _joined_parts(filter: Node | None) -> tuple[Node, ...]:
    """What must hold together."""
    if isinstance(filter, Group) and not filter.any:
        return filter.parts
    return () if filter is None else (filter,)


def _lookups(listing: Listing, own: list[sql.Composable], values: _Values) -> tuple[PatternLookup, ...]:
    """A look-up for each pattern, over the rows that the listing and the other conditions leave."""
    scope = sql.SQL(" and ").join([*own, *values.narrowing])
    return tuple(
        PatternLookup(
            asked.pattern,
            sql.SQL(
                "select distinct x.value from {} cross join lateral ({}) x where {} and x.value is not null"
            ).format(_constant(listing.source), asked.texts, scope),
            asked.listed,
            asked.is_match,
        )
        for asked in values.patterns.values()
    )


def _count(listing: Listing, filter: Node | None, scope: sql.Composed, values: _Values) -> sql.Composed:
    """How many rows match: summed from counts by the hour where that is possible, else counted."""
    hours = hours_of(values.params) if can_sum(listing, filter) else None
    if listing.rollup is None or hours is None:
        return sql.Composed([sql.SQL("select count(*)"), scope])
    rollup = listing.rollup
    start, end = map(values.add, hours)
    conditions: list[sql.Composable] = [_constant(f"({rollup.where})")]
    if filter is not None:
        conditions.append(_node(filter, values))
    began = _constant(f"{listing.alias}.start_time")
    ends = []
    if values.params["period_start"] < hours[0]:
        ends.append(sql.SQL(" + (select count(*){} and {} < {})").format(scope, began, start))
    if values.params["period_end"] > hours[1]:
        ends.append(sql.SQL(" + (select count(*){} and {} >= {})").format(scope, began, end))
    return sql.SQL(
        "select (select coalesce(sum({rows}), 0) from {counts}"
        " where {hour} >= {start} and {hour} < {end} and {where}){ends}"
    ).format(
        rows=_constant(rollup.rows),
        counts=_constant(rollup.table),
        hour=_constant(rollup.hour),
        start=start,
        end=end,
        where=sql.SQL(" and ").join(conditions),
        ends=sql.Composed(ends),
    )


_DEEP = 1000
"""Rows skipped from which on keys alone are put in order, and their rows looked up afterwards."""


_IN_CHUNKS = sql.SQL(
    "select string_agg(json, ',' order by place), count(*) from"
    " (select row_to_json(r)::text as json, row_number() over () as place from ({}) r) rows"
    " group by (place - 1) / 250 order by min(place)"
)
"""Rows joined by the server: separate rows would cost the client as much time as the server."""


def _rows(
    listing: Listing, request: ListRequest, scope: sql.Composed, own: sql.Composed, values: _Values
) -> sql.Composed:
    """The page is cut first and shown afterwards: what is skipped costs no look-up of its columns.

    :param own: conditions of the listing itself, without the filter.
    """
    alias = _constant(listing.alias)
    order = _order(listing, request.sort)
    by_key = bool(listing.key) and (request.offset >= _DEEP or bool(request.sort))
    cut = sql.SQL("{}{} order by {} limit {} offset {}").format(
        sql.SQL(", ").join(sql.SQL("{}.{}").format(alias, sql.Identifier(name)) for name in listing.key)
        if by_key
        else sql.SQL("{}.*").format(alias),
        scope,
        order,
        values.add(request.limit),
        values.add(request.offset),
    )
    if by_key:
        same = sql.SQL(" and ").join(
            sql.SQL("{}.{name} = page.{name}").format(alias, name=sql.Identifier(name))
            for name in listing.key
        )
        # The listing's conditions again: they determine the partitions.
        page = sql.SQL(
            "(select {alias}.* from (select {cut}) page join {table} on {same} where {own}) {alias}"
        ).format(alias=alias, cut=cut, table=_constant(listing.table), same=same, own=own)
    else:
        page = sql.SQL("(select {}) {}").format(cut, alias)
    selected = _selected(listing)
    shown = _constant(", ".join(selected[name] for name in request.fields))
    return _IN_CHUNKS.format(
        sql.SQL("select {} from {} {} order by {}").format(shown, page, _constant(listing.joins), order)
    )


@dataclass(frozen=True, slots=True)
class _AskedPattern:
    """:ivar texts: query that yields the texts of one row, as ``value``."""

    pattern: Pattern
    texts: sql.Composable
    listed: str
    is_match: str


class _Values:
    """Parameters of the statement under generated names.

    :ivar patterns: the conditions with patterns, by their identity.
    :ivar narrowing: conditions of the filter that hold for each row and contain no pattern.
    """

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = params
        self.patterns: dict[int, _AskedPattern] = {}
        self.narrowing: list[sql.Composable] = []

    def add(self, value: Any) -> sql.Placeholder:
        name = f"v{len(self.params)}"
        self.params[name] = value
        return sql.Placeholder(name)

    def matches(self, condition: Condition, text: sql.Composable, texts: sql.Composable) -> sql.Composable:
        """SQL that is true where ``text`` matches, and not true where it is null.

        :param texts: statement that yields the texts of one row.
        """
        asked = self.patterns.get(id(condition))
        if asked is None:
            number = len(self.patterns)
            pattern = cast("Pattern", condition.value)
            asked = _AskedPattern(pattern, texts, f"listed_{number}", f"is_match_{number}")
            self.patterns[id(condition)] = asked
        # Null equals no element of an empty list: that comparison is false, not null.
        return sql.SQL("({} is not null and ({} = any({}::text[])) = {})").format(
            text, text, sql.Placeholder(asked.listed), sql.Placeholder(asked.is_match)
        )


def _constant(text: str) -> sql.SQL:
    return sql.SQL(text)


_SELECTED: dict[int, tuple[Listing, Mapping[str, str]]] = {}
"""Keyed by the identity of the listing, to which the entry refers: listings are declared once."""


def _selected(listing: Listing) -> Mapping[str, str]:
    """The fields of a listing as a select lists them, by name. Composed once: a report has up to a hundred fields, and
    composing them for each request costs as much as a small report."""
    known = _SELECTED.get(id(listing))
    if known is None:
        texts = {column.name: f'{_shown(column)} as "{column.name}"' for column in listing.columns}
        known = _SELECTED[id(listing)] = (listing, texts)
    return known[1]


def _shown(column: Column) -> str:
    if column.shown is not None:
        return column.shown
    match column.type:
        case ColumnType.ISO8601:
            return shown_date(column.sql) if column.is_date else shown_time(column.sql)
        case ColumnType.DURATION:
            return shown_duration(column.sql)
        case ColumnType.ARRAY:
            return f"coalesce({column.sql}, '[]'::jsonb)"
        case ColumnType.OBJECT:
            return f"coalesce({column.sql}, '{{}}'::jsonb)"
    return column.sql


def shown_time(expression: str) -> str:
    """SQL that shows a ``timestamptz`` as ``YYYY-MM-DD hh:mm:ss`` in the account's zone."""
    return f"to_char(({expression}) at time zone %(time_zone)s, 'YYYY-MM-DD HH24:MI:SS')"


def shown_date(expression: str) -> str:
    """SQL that shows a ``timestamptz`` as ``YYYY-MM-DD`` in the account's zone."""
    return f"to_char(({expression}) at time zone %(time_zone)s, 'YYYY-MM-DD')"


def shown_duration(expression: str) -> str:
    """SQL that shows seconds as ``hh:mm:ss``, with as many hours as there are."""
    return f"to_char(make_interval(secs => ({expression})::float8), 'HH24:MI:SS')"


_LITERAL = re.compile(r"(?:true|false|null|-?\d+|'[^']*')(?:::\w+)?\Z")
"""What is the same for all rows puts none before another, and PostgreSQL refuses to sort by it."""


def _order(listing: Listing, keys: Iterable[SortKey]) -> sql.Composed:
    parts = [
        _constant(f"({_sorted_by(key.column)}){' desc' if key.descending else ''}")
        for key in keys
        if not _LITERAL.match(_sorted_by(key.column))
    ]
    return sql.SQL(", ").join([*parts, _constant(listing.order)])


def _sorted_by(column: Column) -> str:
    """A number shown as text is sorted as the number it is, a structure that has a name by its name.

    A boolean shown as No and Yes is sorted as the boolean: the order is the same, and its SQL, which may look up other
    tables for each row of the period, is evaluated once instead of three times.
    """
    plain = column.plain
    by_plain = plain is not None and plain.type in (ColumnType.NUMBER, ColumnType.STRING, ColumnType.BOOLEAN)
    return plain.sql if plain is not None and by_plain else column.sql


def _node(node: Node, values: _Values) -> sql.Composable:
    if isinstance(node, Group):
        joint = sql.SQL(" or " if node.any else " and ")
        return sql.SQL("({})").format(joint.join(_node(part, values) for part in node.parts))
    return _condition(node, values)


_NULLS: Mapping[Operator, str] = {Operator.IS_NULL: "is null", Operator.IS_NOT_NULL: "is not null"}
_COMPARISONS: Mapping[Operator, str] = {
    Operator.EQUAL: "=",
    Operator.NOT_EQUAL: "is distinct from",
    Operator.LESS: "<",
    Operator.GREATER: ">",
    Operator.LESS_EQUAL: "<=",
    Operator.GREATER_EQUAL: ">=",
}


def _condition(condition: Condition, values: _Values) -> sql.Composable:
    """A condition that is true, or else false or null (which ``and`` and ``or`` treat alike)."""
    if condition.column.type.is_structure:
        return _structure(condition, values)
    subject = _constant(f"({condition.column.sql})")
    operator, value = condition.operator, condition.value
    if operator in _NULLS:
        return sql.SQL("({} {})").format(subject, _constant(_NULLS[operator]))
    if isinstance(value, Moment):
        return _moment(subject, operator, value, values)
    if isinstance(value, tuple):
        return _one_of(subject, value, values)
    if operator is Operator.LIKE:
        return sql.SQL("({} like {})").format(subject, values.add(like_pattern(str(value))))
    if operator is Operator.REGEXP:
        return values.matches(condition, subject, sql.SQL("select {} as value").format(subject))
    return sql.SQL("({} {} {})").format(subject, _constant(_COMPARISONS[operator]), values.add(value))


def _one_of(subject: sql.SQL, wanted: tuple[Scalar, ...], values: _Values) -> sql.Composable:
    if not wanted:
        return sql.SQL("false")
    if any(isinstance(one, Decimal) for one in wanted):
        wanted = tuple(Decimal(one) for one in wanted)
    return sql.SQL("({} = any({}))").format(subject, values.add(list(wanted)))


def _moment(subject: sql.SQL, operator: Operator, moment: Moment, values: _Values) -> sql.Composable:
    match operator:
        case Operator.GREATER_EQUAL:
            return sql.SQL("({} >= {})").format(subject, values.add(moment.earliest))
        case Operator.LESS:
            return sql.SQL("({} < {})").format(subject, values.add(moment.earliest))
        case Operator.LESS_EQUAL:
            return sql.SQL("({} < {})").format(subject, values.add(moment.end))
        case Operator.GREATER:
            return sql.SQL("({} >= {})").format(subject, values.add(moment.end))
    spans = [
        sql.SQL("({} >= {} and {} < {})").format(subject, values.add(first), subject, values.add(end))
        for first, end in moment.spans
    ]
    inside = sql.SQL("({})").format(sql.SQL(" or ").join(spans)) if spans else sql.SQL("false")
    return inside if operator is Operator.EQUAL else sql.SQL("({} is not true)").format(inside)


def like_pattern(text: str) -> str:
    """A LIKE pattern in which ``%`` alone is a wildcard; ``\\%`` stays a percent sign."""
    parts = (part.replace("\\", "\\\\").replace("_", "\\_") for part in text.split("\\%"))
    return "\\%".join(parts)


_ELEMENTS = (
    "jsonb_array_elements(case jsonb_typeof({subject}) when 'array' then {subject}"
    " else jsonb_build_array({subject}) end) as e(item)"
)
_ELEMENT_TEXT = "(case jsonb_typeof(e.item) when 'string' then e.item #>> '{{}}' else e.item ->> {key} end)"


def _structure(condition: Condition, values: _Values) -> sql.Composable:
    column, operator, value = condition.column, condition.operator, condition.value
    subject = _constant(f"({column.sql})")
    empty = sql.SQL("(coalesce({}, '[]'::jsonb) in ('[]'::jsonb, '{{}}'::jsonb))").format(subject)
    if operator is Operator.IS_NULL:
        return empty
    if operator is Operator.IS_NOT_NULL:
        return sql.SQL("(not {})").format(empty)
    if isinstance(value, Query):
        path = values.add(value.jsonpath)
        return sql.SQL("({} @@ {}::jsonpath)").format(_queried(column, value), path)
    if operator in (Operator.LIKE, Operator.REGEXP):
        elements = _constant(_ELEMENTS).format(subject=subject)
        text = _constant(_ELEMENT_TEXT).format(key=values.add(column.match_name or ""))
        if operator is Operator.LIKE:
            holds: sql.Composable = sql.SQL("{} like {}").format(text, values.add(like_pattern(str(value))))
        else:
            texts = sql.SQL("select {} as value from {}").format(text, elements)
            holds = values.matches(condition, text, texts)
        return sql.SQL("exists (select from {} where {})").format(elements, holds)
    wanted = value if isinstance(value, tuple) else (cast("Scalar", value),)
    holds = _holds(subject, [pattern for one in wanted for pattern in _patterns(column, one)], values)
    return holds if operator is not Operator.NOT_EQUAL else sql.SQL("({} is not true)").format(holds)


def _queried(column: Column, query: Query) -> sql.SQL:
    """What a jsquery is applied to: the stored value, which an index may serve, unless the query may name a time. Times are
    shown in the account's zone and stored otherwise, and a query means what is shown."""
    differs = {inner.name for inner in column.nested if inner.type is ColumnType.ISO8601}
    stored = column.shown is None or (query.keys is not None and not query.keys & differs)
    return _constant(f"({column.sql})") if stored else _constant(f"({column.shown})::jsonb")


def _holds(subject: sql.SQL, patterns: list[Any], values: _Values) -> sql.Composable:
    if not patterns:
        return sql.SQL("false")
    if len(patterns) == 1:
        return sql.SQL("({} @> {})").format(subject, values.add(Jsonb(patterns[0])))
    return sql.SQL("({} @> any({}))").format(subject, values.add([Jsonb(one) for one in patterns]))


def _patterns(column: Column, value: Scalar) -> list[Any]:
    """What a structure contains when it (or one of its elements) is, or has as id or name, this value."""
    plain: Any = float(value) if isinstance(value, Decimal) else value
    if column.match_id is None and column.match_name is None:
        parts: list[Any] = [plain]
    else:
        parts = []
        number = int(plain) if isinstance(plain, str) and plain.isascii() and plain.isdigit() else plain
        if column.match_id and not isinstance(number, str | bool):
            parts.append({column.match_id: number})
        if column.match_name and isinstance(plain, str):
            parts.append({column.match_name: plain})
    return [[part] for part in parts] if column.type is ColumnType.ARRAY else parts
