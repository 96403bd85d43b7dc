"""A listing over a small table with every type of column, its rows, and a plain evaluation of filters."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from trunkline.db.query import Column, Listing
from trunkline.db.query.columns import ColumnType as Type
from trunkline.db.query.columns import array, boolean, enum, nested, number, string, structure, time

COLORS = ("red", "green", "blue")

TABLE = """
create table sample (
    account_id bigint not null, id bigint not null, amount numeric, name text, flag boolean, color text,
    at timestamptz, tags jsonb, words jsonb, thing jsonb
)
"""

_TAGS = array(
    "tags",
    "s.tags",
    "filter",
    match_id="tag_id",
    match_name="tag_name",
    nested=nested(tag_id=Type.NUMBER, tag_name=Type.STRING),
)

SAMPLE = Listing(
    name="sample",
    table="sample s",
    where="s.account_id = %(account_id)s",
    order="s.id",
    key=("account_id", "id"),
    columns=(
        number("id", "s.id", "filter sort default"),
        number("amount", "s.amount", "filter sort default"),
        string("name", "s.name", "filter sort default"),
        boolean("flag", "s.flag", "filter sort default"),
        enum("color", "s.color", "filter sort default", enum=COLORS),
        time("at", "s.at", "filter sort default"),
        _TAGS,
        array("words", "s.words", "filter default"),
        structure("thing", "s.thing", "filter default", match_id="thing_id", match_name="thing_name"),
        string("secret", "s.name"),
        Column("tag_id", Type.NUMBER, "(s.tags -> 0 ->> 'tag_id')::bigint", filterable=True, filter_as=_TAGS),
    ),
)

Row = Mapping[str, Any]


def holds(row: Row, node: Any, zone: ZoneInfo) -> bool:
    """What a filter tree says of a row, computed without SQL and without the code under test."""
    if _is_empty(node):
        return True
    if "filters" in node:
        parts = [holds(row, part, zone) for part in node["filters"] if not _is_empty(part)]
        return any(parts) if node.get("condition", "and") == "or" else all(parts)
    column = SAMPLE.by_name[node["field"]]
    field = "tags" if node["field"] == "tag_id" else column.name
    operator, wanted = node["operator"], node.get("value")
    if operator.endswith("null"):
        operator, wanted = operator.removesuffix("null"), None
    value = row[field]
    if node["field"] == "tag_id" and operator in ("<", ">", "<=", ">="):
        return _scalar_holds(value[0]["tag_id"] if value else None, operator, wanted)
    if field in ("tags", "words", "thing"):
        return _structure_holds(field, value, operator, wanted)
    if wanted is None:
        return bool((value is None) == (operator == "="))
    if field == "at":
        return _time_holds(value, operator, wanted, zone)
    return _scalar_holds(value, operator, wanted)


def _is_empty(node: Mapping[str, Any]) -> bool:
    return not node or ("filters" in node and all(_is_empty(part) for part in node["filters"]))


def _scalar_holds(value: Any, operator: str, wanted: Any) -> bool:
    if value is None:
        return operator == "!="
    if isinstance(value, Decimal | int) and not isinstance(value, bool):
        wanted = [Decimal(str(w)) for w in wanted] if isinstance(wanted, list) else Decimal(str(wanted))
    match operator:
        case "=":
            return bool(value == wanted)
        case "!=":
            return bool(value != wanted)
        case "<":
            return bool(value < wanted)
        case ">":
            return bool(value > wanted)
        case "<=":
            return bool(value <= wanted)
        case ">=":
            return bool(value >= wanted)
        case "in":
            return value in wanted
        case "like":
            return like(value, wanted)
        case "regexp":
            return re.search(wanted, value) is not None
    raise AssertionError(operator)


def like(value: str, pattern: str) -> bool:
    parts = [
        ".*" if part == "%" else re.escape(part.replace("\\%", "%"))
        for part in re.split(r"(?<!\\)(%)", pattern)
    ]
    return re.fullmatch("".join(parts), value, re.DOTALL) is not None


def _time_holds(value: datetime | None, operator: str, wanted: str, zone: ZoneInfo) -> bool:
    """By listing the seconds around: slow and obvious."""
    if value is None:
        return operator == "!="
    second = value.replace(microsecond=0)
    named = datetime.fromisoformat(wanted)
    candidates = [
        start + timedelta(seconds=shift)
        for start in [named.replace(tzinfo=UTC) - timedelta(hours=14, minutes=0)]
        for shift in range(0, 28 * 3600, 900)
    ]
    aligned = {c for c in candidates if c.astimezone(zone).replace(tzinfo=None) == named}
    if aligned:
        first, last = min(aligned), max(aligned)
    else:
        first = min(c for c in candidates if c.astimezone(zone).replace(tzinfo=None) > named)
        last = first - timedelta(seconds=1)
    match operator:
        case "=":
            return second in aligned
        case "!=":
            return second not in aligned
        case "<":
            return second < first
        case ">=":
            return second >= first
        case "<=":
            return second <= last
        case ">":
            return second > last
    raise AssertionError(operator)


def _structure_holds(field: str, value: Any, operator: str, wanted: Any) -> bool:
    if wanted is None:
        return (value in (None, [], {})) == (operator == "=")
    if operator == "jsquery":
        return jsquery_holds(value, json.loads(wanted.partition("\0")[2]))
    items: Sequence[Any] = [] if value is None else [value] if isinstance(value, dict) else value
    matches = [one for item in items for one in _identities(field, item)]
    match operator:
        case "=" | "in" | "!=":
            values = wanted if isinstance(wanted, list) else [wanted]
            digits = [int(v) for v in values if isinstance(v, str) and v.isdigit() and field != "words"]
            found = any(_same(one, v) for one in matches for v in [*values, *digits])
            return found != (operator == "!=")
        case "like":
            return any(like(one, wanted) for one in matches if isinstance(one, str))
        case "regexp":
            return any(re.search(wanted, one) for one in matches if isinstance(one, str))
    raise AssertionError(operator)


def _identities(field: str, item: Any) -> list[Any]:
    if field == "words":
        return [item]
    keys = ("tag_id", "tag_name") if field == "tags" else ("thing_id", "thing_name")
    return [item[key] for key in keys if key in item]


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def jsquery_holds(value: Any, tree: Any) -> bool:
    """``["and"|"or", a, b]``, ``["not", a]``, ``["has", key or None, value]``."""
    match tree:
        case ["and", one, other]:
            return jsquery_holds(value, one) and jsquery_holds(value, other)
        case ["or", one, other]:
            return jsquery_holds(value, one) or jsquery_holds(value, other)
        case ["not", one]:
            return value is not None and not jsquery_holds(value, one)
        case ["has", None, wanted]:
            return any(_same(item, wanted) for item in value or [])
        case ["has", key, wanted]:
            return any(isinstance(item, dict) and _same(item.get(key), wanted) for item in value or [])
    raise AssertionError(tree)
