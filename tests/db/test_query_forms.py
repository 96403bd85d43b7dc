"""Columns with a second form: choices by id, ids shown as text, durations, days. Pure."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.errors import InvalidInput
from trunkline.db.query import Column, ColumnType, Listing
from trunkline.db.query.columns import duration, number, string, structure, time
from trunkline.db.query.filters import Condition, parse_filter
from trunkline.db.query.moments import parse_moment

ZONE = ZoneInfo("Asia/Dubai")
WORD = Column("state", ColumnType.ENUM, "s.state")
LIST = Listing(
    name="rows",
    table="rows s",
    where="s.account_id = %(account_id)s",
    order="s.id",
    columns=(
        structure("state", "s.state_object", "filter sort", match_name="value", plain=WORD),
        string("number", "s.id::text", "filter sort", plain=Column("number", ColumnType.NUMBER, "s.id")),
        duration("length", "s.length", "filter sort"),
        time("day", "s.day", "filter sort", is_date=True),
        number("plain", "s.plain", "filter"),
    ),
)


def condition(field: str, operator: str, value: Any = None) -> Condition:
    node = parse_filter({"field": field, "operator": operator, "value": value}, LIST, ZONE)
    assert isinstance(node, Condition)
    return node


@pytest.mark.parametrize(
    ("field", "operator", "value", "sql"),
    [
        ("state", "=", "lost", "s.state"),
        ("state", "in", ["lost"], "s.state"),
        ("state", "=null", None, "s.state"),
        ("state", "like", "Lo%", "s.state_object"),
        ("state", "jsquery", 'value_id = "lost"', "s.state_object"),
        ("number", "=", "7", "s.id"),
        ("number", "in", [7], "s.id"),
        ("number", "like", "7%", "s.id::text"),
    ],
)
def test_what_a_filter_compares(field: str, operator: str, value: Any, sql: str) -> None:
    assert condition(field, operator, value).column.sql == sql


@given(st.integers(0, 10**8))
def test_a_duration_is_asked_for_as_it_is_shown(seconds: int) -> None:
    shown = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    assert condition("length", ">=", shown).value == seconds
    assert condition("length", "in", [shown, seconds]).value == (seconds, seconds)


def test_a_day_is_asked_for_as_it_is_shown() -> None:
    midnight = parse_moment("2026-03-02 00:00:00", ZONE)
    assert condition("day", "=", "2026-03-02").value == midnight
    assert condition("day", "<", "2026-03-02 00:00:00").value == midnight


@pytest.mark.parametrize(
    ("field", "operator", "value", "mnemonic", "place"),
    [
        ("length", "=", "00:60:00", "data_type_error", "filter.value"),
        ("length", "=", "1:00", "data_type_error", "filter.value"),
        ("length", "like", "00%", "invalid_parameter_value", "filter.operator"),
        ("day", "=", "2026-02-30", "invalid_parameter_value", "filter.value"),
        ("day", "=", 5, "data_type_error", "filter.value"),
        ("number", "=", "seven", "data_type_error", "filter.value"),
        ("state", "<", "lost", "invalid_parameter_value", "filter.operator"),
        ("plain", "=", "00:01:00", "data_type_error", "filter.value"),
    ],
)
def test_what_is_no_value_of_theirs(field: str, operator: str, value: Any, mnemonic: str, place: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        condition(field, operator, value)
    assert (caught.value.mnemonic, caught.value.field) == (mnemonic, place)
