"""When schedules are open: nights, exceptions, days on which clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.directory.model import Schedule
from trunkline.directory.model.hours import (
    DayKind,
    Exceptional,
    Interval,
    Rule,
    are_days,
    clock,
    exception_from_json,
    interval_from_json,
    is_open,
    minutes,
    opens_at,
    rule_from_json,
    weekend_of,
)

EVERY_DAY = frozenset(range(1, 8))
OFFICE = interval_from_json({"days": [1, 2, 3, 4, 5], "from": "09:00", "till": "18:00"})
NIGHT = interval_from_json({"days": [5], "from": "22:00", "till": "06:00"})  # Friday into Saturday

local_times = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1))  # noqa: DTZ001 - wall clocks
intervals = st.builds(
    Interval,
    st.frozensets(st.integers(1, 7), min_size=1),
    st.integers(0, 1439),
    st.integers(0, 1440),
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-20T08:59:59", False),
        ("2026-11-20T09:00:00", True),
        ("2026-11-20T17:59:59", True),
        ("2026-11-20T18:00:00", False),
        ("2026-11-21T12:00:00", False),  # Saturday
    ],
)
def test_office_hours(moment: str, expected: bool) -> None:
    assert is_open([OFFICE], [], at(moment)) is expected


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-20T21:59:00", False),
        ("2026-11-20T22:00:00", True),
        ("2026-11-21T05:59:59", True),
        ("2026-11-21T06:00:00", False),
        ("2026-11-20T05:00:00", False),  # the night from Thursday is not ours
        ("2026-11-21T23:00:00", False),
    ],
)
def test_a_night_belongs_to_the_day_it_begins_on(moment: str, expected: bool) -> None:
    assert is_open([NIGHT], [], at(moment)) is expected


def test_a_closed_date_is_closed_from_midnight_to_midnight() -> None:
    closed = [exception_from_json({"date": "2026-11-21", "closed": True})]
    assert is_open([NIGHT], closed, at("2026-11-20T23:59:00"))
    assert not is_open([NIGHT], closed, at("2026-11-21T00:00:00"))


def test_hours_of_a_date_replace_those_of_its_weekday_and_may_run_into_the_next() -> None:
    special = [
        exception_from_json({"date": "2026-11-20", "from": "10:00", "till": "12:00"}),
        exception_from_json({"date": "2026-11-20", "from": "20:00", "till": "02:00"}),
    ]
    opened = [
        hour
        for hour in range(30)
        if is_open([OFFICE], special, at("2026-11-20T00:30") + timedelta(hours=hour))
    ]
    assert opened == [10, 11, 20, 21, 22, 23, 24, 25]


def test_whole_days() -> None:
    around = Interval(EVERY_DAY, 0, 1440)
    same = Interval(frozenset({1}), 540, 540)  # Monday 09:00 to Tuesday 09:00
    assert is_open([around], [], at("2026-11-20T23:59:59.999999"))
    assert is_open([same], [], at("2026-11-17T08:59:00"))
    assert not is_open([same], [], at("2026-11-17T09:00:00"))


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Dubai", "Australia/Lord_Howe"])
@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01", "2026-04-05"])
def test_days_on_which_clocks_change_follow_the_wall_clock(zone: str, day: str) -> None:
    schedule = Schedule(1, "Night", (Interval(EVERY_DAY, 90, 180),), ())  # 01:30-03:00
    start = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(hours=14)
    for step in range(0, 40 * 60, 10):
        local = (start + timedelta(minutes=step)).astimezone(ZoneInfo(zone))
        assert schedule.is_open(local) is (90 <= local.hour * 60 + local.minute < 180)


def test_the_skipped_and_the_doubled_hour() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    early = Schedule(1, "Early", (Interval(EVERY_DAY, 120, 180),), ())  # 02:00-03:00
    for day, hours_open in (("2026-03-29", 0), ("2026-10-25", 2), ("2026-06-01", 1)):
        midnight = datetime.fromisoformat(day).replace(tzinfo=berlin).astimezone(UTC)
        opened = [
            early.is_open((midnight + timedelta(minutes=step)).astimezone(berlin)) for step in range(23 * 60)
        ]
        assert sum(opened) == hours_open * 60


@given(st.lists(intervals, max_size=3), local_times)
def test_open_exactly_when_one_interval_covers_the_moment(items: list[Interval], local: datetime) -> None:
    minute_of_week = (local.isoweekday() - 1) * 1440 + local.hour * 60 + local.minute
    covered = False
    for item in items:
        length = (item.end - item.start - 1) % 1440 + 1 if item.end <= item.start else item.end - item.start
        for day in item.days:
            offset = (minute_of_week - ((day - 1) * 1440 + item.start)) % (7 * 1440)
            covered |= offset < length
    assert is_open(items, [], local) is covered


@given(st.lists(intervals, max_size=3), local_times)
def test_a_closed_date_is_closed_whatever_the_week_says(items: list[Interval], local: datetime) -> None:
    assert not is_open(items, [Exceptional(local.date(), None)], local)


@given(st.lists(intervals, max_size=2), local_times, st.dates(date(2020, 1, 1), date(2035, 1, 1)))
def test_a_far_exception_changes_nothing(items: list[Interval], local: datetime, other: date) -> None:
    if abs((other - local.date()).days) > 1:
        assert is_open(items, [Exceptional(other, None)], local) is is_open(items, [], local)


@given(st.integers(0, 1440))
def test_clock_and_minutes_are_inverse(minute: int) -> None:
    assert minutes(clock(minute)) == minute


@pytest.mark.parametrize("text", ["", "9", "9:0", "24:01", "12:60", "-1:00", "１２:00", "9:00:00", "a:00"])
def test_what_is_no_time_of_day(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time of day"):
        minutes(text)


# --- rules


days = st.dates(date(2020, 1, 1), date(2035, 1, 1))


def rule(kind: str, days: list[int], **more: object) -> Rule:
    return rule_from_json({"type": kind, "days": days, **more})


@pytest.mark.parametrize(
    ("kind", "chosen", "moment", "expected"),
    [
        ("days_of_week", [0], "2026-11-22T00:00:00", True),  # Sunday
        ("days_of_week", [0], "2026-11-21T23:59:59", False),
        ("days_of_month", [31], "2026-12-31T12:00:00", True),
        ("days_of_month", [31], "2026-11-30T12:00:00", False),
        ("business_calendar", [7], "2026-11-20T12:00:00", True),  # Friday
        ("business_calendar", [7], "2026-11-21T12:00:00", False),
        ("business_calendar", [8], "2026-11-21T12:00:00", True),
        ("business_calendar", [7, 8], "2026-11-21T12:00:00", True),
    ],
)
def test_days_of_rules(kind: str, chosen: list[int], moment: str, expected: bool) -> None:
    assert rule(kind, chosen).is_open(at(moment)) is expected


def test_times_and_dates_of_a_rule() -> None:
    times = [{"from": "09:00", "till": "13:00"}, {"from": "22:00", "till": "24:00"}]
    shop = rule("days_of_week", [5], times=times, first="2026-11-20", last="2026-11-27")
    opened = {"2026-11-20T09:00": True, "2026-11-20T13:00": False, "2026-11-20T23:59": True}
    for moment, expected in {**opened, "2026-11-13T09:00": False, "2026-12-04T09:00": False}.items():
        assert shop.is_open(at(moment)) is expected, moment


def test_the_weekend_is_the_countrys() -> None:
    assert weekend_of("AE") == weekend_of("US") == {6, 7}
    assert weekend_of("SA") == {5, 6}
    assert weekend_of("IN") == {7}
    assert weekend_of("??") == {6, 7}
    saudi = rule_from_json({"type": "business_calendar", "days": [7]}, weekend_of("SA"))
    assert [saudi.is_open(at(f"2026-11-{day}T12:00")) for day in (19, 20, 21, 22)] == [
        True,
        False,
        False,
        True,
    ]


@given(day=days, anchor=days, working=st.integers(1, 10), off=st.integers(0, 10))
def test_a_cycle_goes_on_for_ever(day: date, anchor: date, working: int, off: int) -> None:
    shifts = rule("cycle", [working, off], anchor=anchor.isoformat())
    noon = datetime.combine(day, datetime.min.time())
    length = working + off
    one_round = [shifts.is_open(noon + timedelta(days=step)) for step in range(length)]
    assert sum(one_round) == working
    assert shifts.is_open(noon + timedelta(days=length)) is one_round[0]
    first = datetime.combine(anchor, datetime.min.time())
    assert shifts.is_open(first)
    assert shifts.is_open(first - timedelta(days=1)) is (off == 0)


@given(local_times, st.lists(st.integers(0, 6), min_size=1, unique=True))
def test_a_weekly_rule_says_what_an_interval_says(local: datetime, chosen: list[int]) -> None:
    interval = Interval(frozenset((day - 1) % 7 + 1 for day in chosen), 540, 1080)
    by_rule = rule("days_of_week", chosen, times=[{"from": "09:00", "till": "18:00"}])
    assert is_open([], [], local, [by_rule]) is is_open([interval], [], local)


@given(local_times)
def test_a_date_with_hours_of_its_own_goes_before_rules(local: datetime) -> None:
    always = rule("days_of_week", list(range(7)))
    assert is_open([], [], local, [always])
    assert not is_open([], [Exceptional(local.date(), None)], local, [always])


@pytest.mark.parametrize(
    ("kind", "chosen", "expected"),
    [
        (DayKind.DAYS_OF_WEEK, [0, 6], True),
        (DayKind.DAYS_OF_WEEK, [7], False),
        (DayKind.DAYS_OF_MONTH, [0], False),
        (DayKind.BUSINESS_CALENDAR, [7, 8], True),
        (DayKind.CYCLE, [2, 0], True),
        (DayKind.CYCLE, [0, 2], False),
        (DayKind.CYCLE, [1], False),
        (DayKind.DAYS_OF_MONTH, [1, 1], False),
        (DayKind.DAYS_OF_MONTH, [], False),
    ],
)
def test_which_days_a_kind_takes(kind: DayKind, chosen: list[int], expected: bool) -> None:
    assert are_days(kind, chosen) is expected


near = st.integers(-1, 3)
rules_near = st.builds(
    Rule,
    st.just(DayKind.DAYS_OF_WEEK),
    st.lists(st.integers(0, 6), min_size=1, unique=True).map(tuple),
    st.lists(st.tuples(st.integers(0, 700), st.integers(701, 1440)), max_size=2).map(tuple),
)


@settings(max_examples=60)
@given(
    st.lists(intervals, max_size=2),
    st.lists(st.tuples(near, st.none() | intervals), max_size=3),
    st.lists(rules_near, max_size=2),
    local_times,
)
def test_it_opens_in_the_first_minute_in_which_it_is_open(
    items: list[Interval], dates: list[tuple[int, Interval | None]], rules: list[Rule], local: datetime
) -> None:
    """Compared with a look at each minute of two days."""
    exceptions = [Exceptional(local.date() + timedelta(days=ahead), hours) for ahead, hours in dates]
    full = local.replace(second=0, microsecond=0)
    later = (full + timedelta(minutes=number) for number in range(1, 2 * 1440 + 1))
    expected = next(
        (
            one
            for one in (local, *later)
            if is_open(items, exceptions, one, rules) and one < local + timedelta(days=2)
        ),
        None,
    )
    assert opens_at(items, exceptions, local, rules, days=2) == expected
