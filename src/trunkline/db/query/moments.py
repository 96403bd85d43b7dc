"""Local wall-clock times of an account and the instants they mean, including the days on which clocks change.

``YYYY-MM-DD hh:mm:ss`` names one second of the account's wall clock. When clocks go back, the name covers two
seconds an hour apart; when they go forward, the times in the gap cover none. A :class:`Moment` has both
exactly, so that every operator has one meaning:

======== ==========================================
``=``    inside one of ``spans``
``>=``   at or after ``earliest``
``<``    before ``earliest``
``<=``   before ``end``
``>``    at or after ``end``
======== ==========================================
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

_FORM = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[ T](\d{2}):(\d{2}):(\d{2})(?:[.,]\d{1,9})?(?: ?(Z|[+-]\d{2}(?::?\d{2})?))?\Z",
    re.ASCII,
)
FORMATS = (
    "YYYY-MM-DD hh:mm:ss in the account's time zone, or ISO 8601 such as 2026-03-01T08:30:00.000Z"
    " and 2026-03-01T12:30:00+04:00"
)
"""The accepted forms of a time, for error texts."""
_SECOND = timedelta(seconds=1)
_YEARS = range(1970, 2200)
_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Moment:
    """The instants (aware, UTC) of one wall-clock second."""

    spans: tuple[tuple[datetime, datetime], ...]
    """Half-open spans of one second: one, two (clocks went back) or none (clocks went forward)."""
    earliest: datetime
    end: datetime
    """First instant after the moment; equal to ``earliest`` for a second that does not exist."""


def parse_moment(text: str, zone: ZoneInfo) -> Moment:
    """Read ``YYYY-MM-DD hh:mm:ss`` in ``zone``; a ``T`` between, a fraction of a second (the moment is that second), and
    a trailing ``Z`` or offset are accepted.

    :raises ValueError: not such a time; the message has the accepted forms.
    """
    found = _FORM.match(text)
    if not found:
        raise ValueError(f"write {FORMATS}")
    parts = [int(part) for part in found.groups()[:6]]
    if parts[0] not in _YEARS:
        raise ValueError(f"expected a year from {_YEARS.start} to {_YEARS.stop - 1}")
    try:
        local = datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001 - the zone is applied below
        offset = _offset(found[7]) if found[7] else None
    except ValueError as error:
        raise ValueError(f"there is no such time ({error}); write {FORMATS}") from error
    if offset is not None:
        return _single(local.replace(tzinfo=offset).astimezone(UTC))
    return local_moment(local, zone)


def is_moment(text: str) -> bool:
    """Whether :func:`parse_moment` can read the text."""
    try:
        parse_moment(text, _UTC)
    except ValueError:
        return False
    return True


def local_moment(local: datetime, zone: ZoneInfo) -> Moment:
    """The moment of a naive wall-clock time (whole seconds) in ``zone``."""
    first = local.replace(tzinfo=zone, fold=0)
    second = local.replace(tzinfo=zone, fold=1)
    before, after = _utc_offset(first), _utc_offset(second)
    if before == after:
        return _single(first.astimezone(UTC))
    if before > after:
        one, two = first.astimezone(UTC), second.astimezone(UTC)
        return Moment(((one, one + _SECOND), (two, two + _SECOND)), one, two + _SECOND)
    change = _transition(second.astimezone(UTC), first.astimezone(UTC), zone)
    return Moment((), change, change)


def _single(instant: datetime) -> Moment:
    return Moment(((instant, instant + _SECOND),), instant, instant + _SECOND)


def _offset(text: str) -> timezone:
    if text == "Z":
        return UTC
    sign = -1 if text[0] == "-" else 1
    digits = text[1:].replace(":", "").ljust(4, "0")
    return timezone(sign * timedelta(hours=int(digits[:2]), minutes=int(digits[2:])))


def _utc_offset(moment: datetime) -> timedelta:
    offset = moment.utcoffset()
    if offset is None:
        raise ValueError("the zone has no offset")
    return offset


def _transition(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """First second in (low, high] at which the zone's offset differs from the one at ``low``."""
    old = _utc_offset(low.astimezone(zone))
    span = int((high - low).total_seconds())
    left, right = 0, span
    while right - left > 1:
        middle = (left + right) // 2
        if _utc_offset((low + timedelta(seconds=middle)).astimezone(zone)) == old:
            left = middle
        else:
            right = middle
    return low + timedelta(seconds=right)
