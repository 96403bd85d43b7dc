"""Wall-clock times and what they mean on the days on which clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.db.query import is_moment, parse_moment

DUBAI = ZoneInfo("Asia/Dubai")
BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [DUBAI, BERLIN, ZoneInfo("America/New_York"), ZoneInfo("Asia/Kathmandu"), ZoneInfo("UTC")]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_an_ordinary_second() -> None:
    moment = parse_moment("2026-03-01 00:00:00", DUBAI)
    assert moment.earliest == utc("2026-02-28T20:00:00")
    assert moment.end == utc("2026-02-28T20:00:01")
    assert moment.spans == ((moment.earliest, moment.end),)


def test_a_second_that_comes_twice() -> None:
    moment = parse_moment("2026-10-25 02:30:00", BERLIN)
    assert [first for first, _ in moment.spans] == [utc("2026-10-25T00:30:00"), utc("2026-10-25T01:30:00")]
    assert moment.earliest == utc("2026-10-25T00:30:00")
    assert moment.end == utc("2026-10-25T01:30:01")


def test_a_second_that_never_comes() -> None:
    moment = parse_moment("2026-03-29 02:30:00", BERLIN)
    assert moment.spans == ()
    assert moment.earliest == moment.end == utc("2026-03-29T01:00:00")


def test_the_second_of_the_change_itself() -> None:
    assert parse_moment("2026-03-29 01:59:59", BERLIN).end == utc("2026-03-29T01:00:00")
    assert parse_moment("2026-03-29 03:00:00", BERLIN).earliest == utc("2026-03-29T01:00:00")


@pytest.mark.parametrize(
    "text", ["2026-03-29T02:30:00Z", "2026-03-29 04:30:00+02:00", "2026-03-28 21:30:00 -0500"]
)
def test_an_explicit_offset_goes_before_the_zone(text: str) -> None:
    assert parse_moment(text, BERLIN).earliest == utc("2026-03-29T02:30:00")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-03-01",
        "2026-03-01 00:00",
        "2026-02-30 00:00:00",
        "2026-03-01 24:00:00",
        "01.03.2026 00:00:00",
        "2026-03-01 00:00:00\n",
        "0001-01-01 00:00:00",
        "٢٠٢٦-03-01 00:00:00",
    ],
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError):
        parse_moment(text, DUBAI)


@given(
    zone=st.sampled_from(ZONES),
    seconds=st.integers(0, 10 * 366 * 86400),
)
def test_the_name_of_an_instant_covers_it(zone: ZoneInfo, seconds: int) -> None:
    moment = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    name = moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    parsed = parse_moment(name, zone)
    assert any(first <= moment < end for first, end in parsed.spans)
    assert parsed.earliest <= moment < parsed.end
    for first, end in parsed.spans:
        assert end - first == timedelta(seconds=1)
        assert first.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S") == name


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T08:30:00.000Z",
        "2026-03-01T08:30:00.999999999Z",
        "2026-03-01T12:30:00.5+04:00",
        "2026-03-01 12:30:00,25 +0400",
        "2026-03-01T12:30:00+04",
        "2026-03-01T12:30:00.123",
    ],
)
def test_a_fraction_names_its_second_in_any_zone(text: str) -> None:
    assert is_moment(text)
    moment = parse_moment(text, DUBAI)
    assert (moment.earliest, moment.end) == (utc("2026-03-01T08:30:00"), utc("2026-03-01T08:30:01"))


@pytest.mark.parametrize(
    "text",
    ["01.03.2026", "2026-03-01T08:30Z", "2026-02-30 00:00:00", "2026-03-01 00:00:00+99:00", "1772353800"],
)
def test_an_error_of_a_time_has_the_accepted_forms(text: str) -> None:
    assert not is_moment(text)
    with pytest.raises(ValueError, match=r"YYYY-MM-DD hh:mm:ss.*2026-03-01T08:30:00.000Z"):
        parse_moment(text, DUBAI)
