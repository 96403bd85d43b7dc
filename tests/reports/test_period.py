"""Date rules of reports."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from trunkline.core.errors import InvalidInput
from trunkline.core.ids import first_id_at
from trunkline.reports.period import add_months, parse_period

DUBAI = ZoneInfo("Asia/Dubai")
BERLIN = ZoneInfo("Europe/Berlin")


def period(first: Any, last: Any, zone: ZoneInfo = DUBAI) -> tuple[datetime, datetime]:
    parsed = parse_period({"date_from": first, "date_till": last}, zone)
    return parsed.start, parsed.end


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_both_seconds_belong_to_it() -> None:
    assert period("2026-03-01 00:00:00", "2026-03-01 23:59:59") == (
        utc("2026-02-28T20:00:00"),
        utc("2026-03-01T20:00:00"),
    )


def test_days_on_which_clocks_change() -> None:
    spring = period("2026-03-29 00:00:00", "2026-03-29 23:59:59", BERLIN)
    assert (spring[1] - spring[0]).total_seconds() == 23 * 3600
    autumn = period("2026-10-25 00:00:00", "2026-10-25 23:59:59", BERLIN)
    assert (autumn[1] - autumn[0]).total_seconds() == 25 * 3600
    twice = period("2026-10-25 02:00:00", "2026-10-25 02:59:59", BERLIN)
    assert (twice[1] - twice[0]).total_seconds() == 2 * 3600
    never = period("2026-03-29 02:00:00", "2026-03-29 02:59:59", BERLIN)
    assert never[0] == never[1]


def test_three_months_are_calendar_months_of_the_zone() -> None:
    assert period("2026-01-15 10:00:00", "2026-04-15 10:00:00")
    assert period("2026-01-15 10:00:00", "2026-04-15 10:00:00", BERLIN)
    assert period("2025-11-30 00:00:00", "2026-02-28 00:00:00")
    with pytest.raises(InvalidInput) as caught:
        period("2026-01-15 10:00:00", "2026-04-15 10:00:01")
    assert caught.value.mnemonic == "date_interval_limit_reached"
    assert (caught.value.field, caught.value.value) == ("date_till", "2026-04-15 10:00:01")


@pytest.mark.parametrize(
    ("first", "last", "mnemonic", "field"),
    [
        (None, "2026-03-01 00:00:00", "required_parameter_missed", "date_from"),
        ("2026-03-01 00:00:00", None, "required_parameter_missed", "date_till"),
        (5, "2026-03-01 00:00:00", "data_type_error", "date_from"),
        ("2026-03-01", "2026-03-02 00:00:00", "invalid_parameter_value", "date_from"),
        ("2026-03-01 00:00:00", "2026-02-30 00:00:00", "invalid_parameter_value", "date_till"),
        ("2026-03-02 00:00:00", "2026-03-01 00:00:00", "invalid_parameters_combination", "date_till"),
    ],
)
def test_an_invalid_period_is_refused_with_mnemonic_and_field(
    first: Any, last: Any, mnemonic: str, field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        period(first, last)
    assert (caught.value.mnemonic, caught.value.field) == (mnemonic, field)


def test_the_range_of_ids_is_wider_than_the_period() -> None:
    parsed = parse_period({"date_from": "2026-03-01 00:00:00", "date_till": "2026-03-01 23:59:59"}, DUBAI)
    assert parsed.params["first_id"] < first_id_at(int(parsed.start.timestamp() * 1000))
    assert parsed.params["end_id"] > first_id_at(int(parsed.end.timestamp() * 1000))


def test_adding_months() -> None:
    assert add_months(datetime(2025, 11, 30, 12), 3) == datetime(2026, 2, 28, 12)  # noqa: DTZ001
    assert add_months(datetime(2026, 1, 31), 1) == datetime(2026, 2, 28)  # noqa: DTZ001
    assert add_months(datetime(2026, 10, 1), 3) == datetime(2027, 1, 1)  # noqa: DTZ001


def test_times_of_other_programs() -> None:
    shown = period("2026-03-01 00:00:00", "2026-03-01 23:59:59")
    assert period("2026-02-28T20:00:00.000Z", "2026-03-01T19:59:59.999Z") == shown
    assert period("2026-03-01T00:00:00.000+04:00", "2026-03-01T23:59:59.999+0400") == shown
    with pytest.raises(InvalidInput, match=r"date_till: write YYYY-MM-DD hh:mm:ss.*ISO 8601"):
        period("2026-03-01 00:00:00", "2026-03-01")
