"""Totals of long periods from counts by the hour, where a listing keeps some (:class:`.columns.Rollup`). Pure.

The whole hours of the period are summed from the counts, what is left at both ends is counted in the rows. Filters may
name only what the counts distinguish; for all others, and for periods without a whole hour, the rows are counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from trunkline.db.query.columns import Listing
from trunkline.db.query.filters import Group, Node

_HOUR = timedelta(hours=1)


def whole_hours(start: datetime, end: datetime) -> tuple[datetime, datetime] | None:
    """The first whole hour (UTC) of a half-open period and the end of its last one; None when there is none.

    :param start: aware, in UTC, as ``end``.
    """
    first = start.replace(minute=0, second=0, microsecond=0)
    if first < start:
        first += _HOUR
    last = end.replace(minute=0, second=0, microsecond=0)
    return (first, last) if first < last else None


def can_sum(listing: Listing, filter: Node | None) -> bool:
    """Whether the counts distinguish all values that the filter uses."""
    rollup = listing.rollup
    return rollup is not None and all(sql in rollup.columns for sql in _looked_at(filter))


def hours_of(params: Mapping[str, Any]) -> tuple[datetime, datetime] | None:
    """:func:`whole_hours` of the period that a report's parameters name."""
    start, end = params.get("period_start"), params.get("period_end")
    if not isinstance(start, datetime) or not isinstance(end, datetime):
        return None
    return whole_hours(start, end)


def _looked_at(node: Node | None) -> Iterator[str]:
    if isinstance(node, Group):
        for part in node.parts:
            yield from _looked_at(part)
    elif node is not None:
        yield node.column.sql
