"""Time zones of numbers, and when numbers may be called. Pure.

A number may belong to several zones (mobile numbers of large countries do): it is called only when it is open in all.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers import timezone
from phonenumbers.tzdata import TIMEZONE_DATA

from trunkline.core.clock import Instant, to_datetime
from trunkline.core.time_zones import time_zone
from trunkline.dialer.settings import Hours

_UNKNOWN = "Etc/Unknown"
_DAYS_SEARCHED = 16
"""Two weeks and two days: the only hour of a week may be the one that the change of the clocks leaves out."""


def _known_zones(number: str) -> tuple[str, ...]:
    try:
        found = timezone.time_zones_for_number(phonenumbers.parse(f"+{number}"))
    except phonenumbers.NumberParseException:
        return ()
    return tuple(one for one in found if one != _UNKNOWN)


def zones_of(number: str, default: str) -> tuple[str, ...]:
    """The time zones in which a number may be.

    :param number: digits of E.164.
    :param default: the zone that a number has when none follows from it: that of the account.
    """
    return _known_zones(number) or (default,)


def is_open(hours: Hours, zones: tuple[str, ...], at: Instant) -> bool:
    """Whether a number may be called now, in each of its zones."""
    return all(_is_open(hours, to_datetime(at).astimezone(_zone(one))) for one in zones)


def closed_zones(hours: Hours, at: Instant, default: str) -> list[str]:
    """The time zones in which no number may be called now: of all that numbers have, and ``default``."""
    return [one for one in sorted({*_zones_of_numbers(), default}) if not is_open(hours, (one,), at)]


@lru_cache(maxsize=1)
def _zones_of_numbers() -> frozenset[str]:
    """Without those that this system does not know."""
    found = set()
    for name in {name for names in TIMEZONE_DATA.values() for name in names}:
        with suppress(ValueError):
            found.add(_zone(name).key)
    return frozenset(found)


def next_open(hours: Hours, zones: tuple[str, ...], at: Instant) -> Instant | None:
    """The first moment from ``at`` on when the number may be called; None: never within :data:`_DAYS_SEARCHED`."""
    now = at
    for _ in range(_DAYS_SEARCHED * len(zones) * 2):
        if is_open(hours, zones, now):
            return now
        latest = now
        for zone in zones:
            opening = _next_open(hours, to_datetime(now).astimezone(_zone(zone)))
            if opening is None:
                return None
            latest = max(latest, Instant(opening.timestamp()))
        now = latest
        if now > at + _DAYS_SEARCHED * 86_400:
            return None
    return None


@lru_cache(maxsize=512)
def _zone(name: str) -> ZoneInfo:
    return time_zone(name)


def _is_open(hours: Hours, local: datetime) -> bool:
    minute = local.hour * 60 + local.minute
    return any(day == local.weekday() and begin <= minute < end for day, begin, end in hours.spans)


def _next_open(hours: Hours, local: datetime) -> datetime | None:
    if _is_open(hours, local):
        return local
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    for days in range(_DAYS_SEARCHED):
        date = midnight + timedelta(days=days)
        for day, begin, _ in hours.spans:
            opening = (date + timedelta(minutes=begin)).replace(tzinfo=local.tzinfo)
            if day == date.weekday() and opening.timestamp() > local.timestamp():
                return opening
    return None
