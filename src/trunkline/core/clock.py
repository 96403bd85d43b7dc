"""Representation of times: Unix seconds as ``float`` in rules, aware UTC ``datetime`` in interfaces."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NewType

Instant = NewType("Instant", float)
"""Unix time in seconds, UTC, with a fraction."""


def to_datetime(instant: float) -> datetime:
    """Aware UTC datetime of an instant (microseconds kept)."""
    return datetime.fromtimestamp(instant, UTC)


def to_text(instant: float) -> str:
    """An instant as other systems get it: UTC, milliseconds, ``Z``."""
    return to_datetime(instant).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_instant(moment: datetime) -> Instant:
    """Instant of an aware datetime."""
    if moment.tzinfo is None:
        raise ValueError("a naive datetime has no place in time; give it a zone")
    return Instant(moment.timestamp())
