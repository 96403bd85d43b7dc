"""Rules of points: an account has so many a minute and so many a day, in each API; a method costs its weight.

A day begins at midnight UTC, a minute at the full minute. No I/O, no clock: times are Unix seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from trunkline.accounts.model import Points


class Period(StrEnum):
    """What points are counted by; also the ``limit_type`` of the error."""

    DAY = "day"
    MINUTE = "minute"


_SECONDS = {Period.DAY: 86_400, Period.MINUTE: 60}

DEFAULT_DAY_POINTS = 10_000
DEFAULT_MINUTE_POINTS = 250


@dataclass(frozen=True, slots=True)
class Counter:
    """Points spent in the period that began at ``start`` (Unix seconds)."""

    start: float
    used: int


def period_start(period: Period, now: float) -> float:
    """When the running day or minute began. Unix time has no leap seconds: each day has 86 400."""
    return now - now % _SECONDS[period]


def seconds_left(period: Period, now: float) -> int:
    """Whole seconds, rounded up, until the period ends: never 0, so who waits that long finds new points."""
    return max(1, math.ceil(period_start(period, now) + _SECONDS[period] - now))


def used_in(period: Period, counter: Counter | None, now: float) -> int:
    """Points spent in the running period; a counter of an earlier period does not count.

    One of a later period does: another process, whose clock is ahead, has opened it already.
    """
    if counter is None or counter.start < period_start(period, now):
        return 0
    return counter.used


def remaining_points(limits: Mapping[Period, int], counters: Mapping[Period, Counter], now: float) -> Points:
    """Limits and what is left, as the metadata of an answer shows it."""

    def remaining(period: Period) -> int:
        return max(0, limits[period] - used_in(period, counters.get(period), now))

    return Points(
        day_limit=limits[Period.DAY],
        day_remaining=remaining(Period.DAY),
        day_reset=seconds_left(Period.DAY, now),
        minute_limit=limits[Period.MINUTE],
        minute_remaining=remaining(Period.MINUTE),
        minute_reset=seconds_left(Period.MINUTE, now),
        at=now,
    )


def exceeded(points: Points, weight: int) -> Period:
    """The limit that a method of that weight exceeds; the day's first, because it lasts longer."""
    return Period.DAY if points.day_remaining < weight else Period.MINUTE
