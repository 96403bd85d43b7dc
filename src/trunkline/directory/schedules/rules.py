"""What a schedule may be, for every interface."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from trunkline.directory.model.hours import DayKind, are_days

MAX_RULES = 100
MAX_DAYS = 31
"""Of one rule."""
MAX_TIMES = 50
"""Of one rule."""
MAX_INTERVALS = 100
MAX_EXCEPTIONS = 1000
"""All are looked at for each call."""


def check_days(kind: DayKind, days: Sequence[int]) -> None:
    """:raises ValueError: a rule of this kind cannot have these days."""
    if not are_days(kind, days):
        raise ValueError(f"these are no days of the type {kind.value}")


def check_dates(first: date | None, last: date | None) -> None:
    """:raises ValueError: a rule cannot be valid from the first date until the last."""
    if first and last and last < first:
        raise ValueError(f"the last day, {last}, is before the first, {first}")


def check_times(since: int, till: int) -> None:
    """:raises ValueError: these are no times of one day, in minutes after midnight."""
    if till <= since:
        raise ValueError("the end must be later than the beginning; write a night as two ranges")
