"""Service counts of a queue for the last two days, as part of its state: each visit is counted once, when it ends.

The counts of each quarter of an hour are kept, because days of all time zones begin with one. A caller who resumes the
place is taken out of the counts again, and counted when the visit ends at last (11.5). The settings of the moment decide
what was in time.
"""

from __future__ import annotations

from dataclasses import astuple, fields
from typing import Any

from trunkline.core.clock import Instant
from trunkline.queues.service_level import ServiceCounts, Visit
from trunkline.queues.settings import QueueSettings

QUARTER_SECONDS = 900
KEPT_QUARTERS = 50 * 4
"""A day with the longest clock change, and the day before."""

Served = dict[int, ServiceCounts]
"""By the number of the quarter of an hour since 1970."""


def quarter(at: Instant) -> int:
    """The quarter of an hour of an instant."""
    return int(at // QUARTER_SECONDS)


def count(served: Served, visit: Visit, at: Instant, settings: QueueSettings) -> None:
    """A visit has ended."""
    key = quarter(at)
    known = served.get(key)
    if known is None:
        for old in [one for one in served if one <= key - KEPT_QUARTERS]:
            del served[old]
        known = ServiceCounts()
    served[key] = known + _counts(visit, settings)


def uncount(served: Served, visit: Visit, at: Instant, settings: QueueSettings) -> None:
    """A visit that was counted goes on.

    :param at: when it was counted.
    """
    known = served.get(quarter(at))
    if known is not None:
        less = _counts(visit, settings)
        served[quarter(at)] = ServiceCounts(
            *(max(0, getattr(known, one.name) - getattr(less, one.name)) for one in fields(known))
        )


def since(served: Served, start: float) -> ServiceCounts:
    """The counts since an instant that begins a quarter of an hour."""
    total = ServiceCounts()
    for key, counts in served.items():
        if key * QUARTER_SECONDS >= start:
            total += counts
    return total


def data_of(served: Served) -> list[list[Any]]:
    """As JSON."""
    return [[key, *astuple(counts)] for key, counts in sorted(served.items())]


def of_data(data: list[list[Any]]) -> Served:
    """From JSON."""
    return {key: ServiceCounts(*counts) for key, *counts in data}


def _counts(visit: Visit, settings: QueueSettings) -> ServiceCounts:
    return ServiceCounts.of(visit, settings.sla_answer_time, settings.short_abandon_time)
