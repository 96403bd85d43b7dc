"""When a schedule is open. Wall-clock rules: what the clock on the office wall shows decides.

On a day when clocks change nothing special happens: an hour that is skipped is never asked about, an hour
that comes twice is open (or closed) twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from typing import Any

MINUTES_A_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class Interval:
    """Open from minute ``start`` until (excluding) minute ``end`` of the days it begins on.

    ``end`` at or before ``start`` means the next day: 22:00-06:00 is a night, 09:00-09:00 a full day.
    """

    days: frozenset[int]
    """ISO weekdays, 1 = Monday."""
    start: int
    """Minutes after midnight, 0..1439."""
    end: int
    """Minutes after midnight, 0..1440."""


@dataclass(frozen=True, slots=True)
class Exceptional:
    """A date with its own hours. ``hours`` None = closed all day; several entries of one date add up."""

    date: date
    hours: Interval | None


class DayKind(StrEnum):
    """The kind of the days of a rule; the docstring defines its ``days``."""

    DAYS_OF_WEEK = "days_of_week"
    """0 = Sunday .. 6 = Saturday."""
    DAYS_OF_MONTH = "days_of_month"
    """1 .. 31; a day that the month does not have is left out."""
    BUSINESS_CALENDAR = "business_calendar"
    """7 = working days, 8 = the others: the weekend of the account's country."""
    CYCLE = "cycle"
    """(working days, days off), over and over again from :attr:`Rule.anchor` on, and before it."""


WORKING_DAYS, DAYS_OFF = 7, 8
USUAL_WEEKEND = frozenset({6, 7})
FIRST_ANCHOR = date(2000, 1, 1)


@dataclass(frozen=True, slots=True)
class Rule:
    """Open at certain times of certain days, between two dates (both included; None = without end)."""

    kind: DayKind
    days: tuple[int, ...]
    times: tuple[tuple[int, int], ...] = ()
    """Minutes after midnight: from, until (excluding, later than from); none = all day."""
    first: date | None = None
    last: date | None = None
    anchor: date = FIRST_ANCHOR
    """First working day of a cycle."""
    weekend: frozenset[int] = USUAL_WEEKEND
    """ISO weekdays."""

    def is_open(self, local: datetime) -> bool:
        minute = local.hour * 60 + local.minute
        in_time = not self.times or any(start <= minute < end for start, end in self.times)
        return in_time and self.has(local.date())

    def has(self, day: date) -> bool:
        """Whether the day is one of the rule."""
        if (self.first and day < self.first) or (self.last and day > self.last):
            return False
        match self.kind:
            case DayKind.DAYS_OF_WEEK:
                return day.isoweekday() % 7 in self.days
            case DayKind.DAYS_OF_MONTH:
                return day.day in self.days
            case DayKind.BUSINESS_CALENDAR:
                return (DAYS_OFF if day.isoweekday() in self.weekend else WORKING_DAYS) in self.days
            case DayKind.CYCLE:
                working, off = self.days
                return (day - self.anchor).days % (working + off) < working


def is_open(
    intervals: Sequence[Interval],
    exceptions: Sequence[Exceptional],
    local: datetime,
    rules: Sequence[Rule] = (),
) -> bool:
    """Whether it is open at ``local``, a wall-clock time (its zone, if any, is not looked at).

    A date with exceptions has the hours of its exceptions only; a night that began the day before ends at
    midnight before such a date. A night that began on such a date runs on into an ordinary next day.
    On other dates it is open during its intervals and rules.
    """
    today = local.date()
    minute = local.hour * 60 + local.minute
    if any(start <= minute < end for start, end in _spans(intervals, exceptions, today)):
        return True
    if any(exception.date == today for exception in exceptions):
        return False
    if any(rule.is_open(local) for rule in rules):
        return True
    yesterday = today - timedelta(days=1)
    return any(minute < end - MINUTES_A_DAY for _, end in _spans(intervals, exceptions, yesterday))


def opens_at(
    intervals: Sequence[Interval],
    exceptions: Sequence[Exceptional],
    local: datetime,
    rules: Sequence[Rule] = (),
    *,
    days: int,
) -> datetime | None:
    """When it is open for the first time from ``local`` on, by :func:`is_open`; None: not within so many days.

    The cost is that of one look at each rule for each day, whatever the hours are.

    :return: ``local`` itself, or the full minute at which it opens, with the zone of ``local``.
    """
    today, minute = local.date(), local.hour * 60 + local.minute
    by_date: dict[date, list[Exceptional]] = {}
    for exception in exceptions:
        if timedelta(days=-1) <= exception.date - today <= timedelta(days=days):
            by_date.setdefault(exception.date, []).append(exception)
    for ahead in range(days + 1):
        day = today + timedelta(days=ahead)
        special, before = by_date.get(day, []), by_date.get(day - timedelta(days=1), [])
        spans = _spans(intervals, special, day)
        if not special:
            for rule in rules:
                if rule.has(day):
                    spans += rule.times or [(0, MINUTES_A_DAY)]
            spans += [
                (0, end - MINUTES_A_DAY)
                for _, end in _spans(intervals, before, day - timedelta(days=1))
                if end > MINUTES_A_DAY
            ]
        since = minute if ahead == 0 else 0
        starts = [max(start, since) for start, end in spans if since < min(end, MINUTES_A_DAY)]
        if starts:
            at = datetime.combine(day, time(*divmod(min(starts), 60)), local.tzinfo)
            found = max(at, local) if ahead == 0 else at
            return found if found < local + timedelta(days=days) else None
    return None


def _spans(
    intervals: Sequence[Interval], exceptions: Sequence[Exceptional], day: date
) -> list[tuple[int, int]]:
    """What begins on a day, as minutes after its midnight; an end beyond 1440 is on the next day."""
    special = [exception.hours for exception in exceptions if exception.date == day]
    hours: Iterable[Interval | None] = special or [i for i in intervals if day.isoweekday() in i.days]
    return [
        (each.start, each.end if each.end > each.start else each.end + MINUTES_A_DAY)
        for each in hours
        if each is not None
    ]


def minutes(text: str) -> int:
    """Minutes after midnight of ``HH:MM`` (00:00 to 24:00). ValueError if it is none."""
    hour, colon, minute = text.partition(":")
    if not (colon and len(minute) == 2 and 1 <= len(hour) <= 2 and (hour + minute).isascii()):
        raise ValueError(f"{text!r} is not a time of day; write HH:MM, for example 09:00")
    if not (hour + minute).isdigit() or int(minute) > 59 or int(hour) * 60 + int(minute) > MINUTES_A_DAY:
        raise ValueError(f"{text!r} is not a time of day; write HH:MM between 00:00 and 24:00")
    return int(hour) * 60 + int(minute)


def clock(minute: int) -> str:
    """``HH:MM`` of minutes after midnight."""
    return f"{minute // 60:02}:{minute % 60:02}"


def interval_from_json(data: Mapping[str, Any]) -> Interval:
    """Of ``{"days": [1..7], "from": "09:00", "till": "18:00"}``, in the format of the table ``schedules``."""
    return Interval(frozenset(data["days"]), minutes(data["from"]), minutes(data["till"]))


def exception_from_json(data: Mapping[str, Any]) -> Exceptional:
    """Of ``{"date": "2026-12-02", "closed": true}`` or ``{"date": .., "from": .., "till": ..}``."""
    day = date.fromisoformat(data["date"])
    if data.get("closed"):
        return Exceptional(day, None)
    return Exceptional(
        day, Interval(frozenset({day.isoweekday()}), minutes(data["from"]), minutes(data["till"]))
    )


_DAYS = {
    DayKind.DAYS_OF_WEEK: frozenset(range(7)),
    DayKind.DAYS_OF_MONTH: frozenset(range(1, 32)),
    DayKind.BUSINESS_CALENDAR: frozenset({WORKING_DAYS, DAYS_OFF}),
}
LONGEST_CYCLE = 366


def are_days(kind: DayKind, days: Sequence[int]) -> bool:
    """Whether these can be the ``days`` of a rule of this kind."""
    if kind is DayKind.CYCLE:
        return len(days) == 2 and 1 <= days[0] <= LONGEST_CYCLE and 0 <= days[1] <= LONGEST_CYCLE
    return bool(days) and len(set(days)) == len(days) and _DAYS[kind].issuperset(days)


def rule_from_json(data: Mapping[str, Any], weekend: frozenset[int] = USUAL_WEEKEND) -> Rule:
    """Of ``{"type": "cycle", "days": [2, 2], "times": [{"from": "09:00", "till": "18:00"}], "first": "2026-12-01",
    "last": null, "anchor": "2026-12-01"}``, in the format of the table ``schedules``."""
    first, last, anchor = (data.get(name) for name in ("first", "last", "anchor"))
    return Rule(
        kind=DayKind(data["type"]),
        days=tuple(data["days"]),
        times=tuple((minutes(each["from"]), minutes(each["till"])) for each in data.get("times", ())),
        first=date.fromisoformat(first) if first else None,
        last=date.fromisoformat(last) if last else None,
        anchor=date.fromisoformat(anchor) if anchor else FIRST_ANCHOR,
        weekend=weekend,
    )


def weekend_of(country: str) -> frozenset[int]:
    """ISO weekdays on which a country (ISO 3166 alpha-2) rests; Saturday and Sunday where nothing is known."""
    return _weekends(country.upper())


@cache
def _weekends(country: str) -> frozenset[int]:
    from babel import Locale, UnknownLocaleError  # only schedules by the business calendar need it

    try:
        locale = Locale.parse(f"und_{country}")
    except (UnknownLocaleError, ValueError):
        return USUAL_WEEKEND
    first, last = locale.weekend_start, locale.weekend_end  # 0 = Monday
    return frozenset((first + step) % 7 + 1 for step in range((last - first) % 7 + 1))
