"""Service levels of a queue, counted from visits. Pure.

A visit is one caller from the first joining to the end, with all its attempts, so one call counts once (11.5). Counts
can be added up over hours and queues; percentages never are: a level is worked out from the sum of the counts.

=====================  ==========================================================================================
answered               connected with an agent
abandoned              hung up in the queue, or left with ``timeout`` or ``no_agent_timeout``: nobody served them
flowed out             left by an exit key, a transfer or a command: offered, and neither answered nor abandoned;
                       not part of any level
callbacks              asked to be called back: counted apart, whatever came of it
leads                  persons whom a campaign has called: not counted
=====================  ==========================================================================================

The time of a visit runs from joining the queue. Those who abandon within the short limit are counted apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from types import MappingProxyType

from trunkline.events.catalogue import Event, EventType
from trunkline.queues.settings import QueueSettings
from trunkline.queues.states import LeavingReason

ABANDONED = frozenset({LeavingReason.HANGUP, LeavingReason.TIMEOUT, LeavingReason.NO_AGENT_TIMEOUT})
"""Reasons that count as abandoned."""


class Formula(StrEnum):
    """How a service level is worked out. T: ``sla_answer_time``; s: ``short_abandon_time``. Name it beside the number."""

    OF_OFFERED = "answered_in_time / offered"
    OF_OFFERED_WITHOUT_SHORT = "answered_in_time / (offered - abandoned_short)"
    OF_ANSWERED_AND_LATE_ABANDONED = "answered_in_time / (answered + abandoned_late)"
    WITH_EARLY_ABANDONED = "(answered_in_time + abandoned_in_time) / offered"
    OF_ANSWERED = "answered_in_time / answered"
    WITH_SHORT_ABANDONED = "(answered_in_time + abandoned_short) / offered"


STRATEGIES: Mapping[int, Formula] = MappingProxyType(
    {0: Formula.OF_OFFERED_WITHOUT_SHORT, 1: Formula.OF_ANSWERED_AND_LATE_ABANDONED}
)
"""Values of ``sla_strategy``: the two usual formulas. Both leave out those who abandon at once: the first within the
short limit (with a limit of 0 it is the plain share of all offered), the second within the answer time."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One caller's visit of a queue.

    :ivar waited: seconds from joining to connection or leaving.
    :ivar reason: of the last attempt.
    :ivar is_callback: it asked to be called back.
    """

    waited: float
    reason: LeavingReason
    is_callback: bool = False


@dataclass(frozen=True, slots=True)
class ServiceCounts:
    """Counts of visits. Sums of them are counts, too.

    :ivar answered_in_time: within T.
    :ivar abandoned_in_time: within T, those within s included.
    :ivar abandoned_short: within s.
    :ivar answered_wait: seconds that all the answered ones waited.
    """

    answered: int = 0
    answered_in_time: int = 0
    abandoned: int = 0
    abandoned_in_time: int = 0
    abandoned_short: int = 0
    flowed_out: int = 0
    callbacks: int = 0
    answered_wait: float = 0.0

    @classmethod
    def of(cls, visit: Visit, answer_time: float, short_time: float) -> ServiceCounts:
        """One visit.

        :param answer_time: T, in seconds.
        :param short_time: s, in seconds; 0: nobody abandons at once.
        """
        in_time = int(visit.waited <= answer_time)
        if visit.is_callback:
            return cls(callbacks=1)
        if visit.reason is LeavingReason.ANSWERED:
            return cls(answered=1, answered_in_time=in_time, answered_wait=visit.waited)
        if visit.reason in ABANDONED:
            is_short = visit.reason is LeavingReason.HANGUP and short_time > 0 and visit.waited <= short_time
            return cls(abandoned=1, abandoned_in_time=in_time, abandoned_short=int(is_short))
        return cls(flowed_out=1)

    def __add__(self, other: ServiceCounts) -> ServiceCounts:
        return ServiceCounts(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))

    @property
    def offered(self) -> int:
        """Answered and abandoned."""
        return self.answered + self.abandoned

    @property
    def average_wait(self) -> float | None:
        """Mean seconds to the answer (ASA); None: nobody was answered."""
        return self.answered_wait / self.answered if self.answered else None

    def level(self, formula: Formula) -> float | None:
        """The service level, 0 to 1; None: nothing counts."""
        served, counted = _FORMULAS[formula](self)
        return served / counted if counted else None


_FORMULAS: Mapping[Formula, Callable[[ServiceCounts], tuple[int, int]]] = MappingProxyType(
    {
        Formula.OF_OFFERED: lambda one: (one.answered_in_time, one.offered),
        Formula.OF_OFFERED_WITHOUT_SHORT: lambda one: (
            one.answered_in_time,
            one.offered - one.abandoned_short,
        ),
        Formula.OF_ANSWERED_AND_LATE_ABANDONED: lambda one: (
            one.answered_in_time,
            one.answered + one.abandoned - one.abandoned_in_time,
        ),
        Formula.WITH_EARLY_ABANDONED: lambda one: (one.answered_in_time + one.abandoned_in_time, one.offered),
        Formula.OF_ANSWERED: lambda one: (one.answered_in_time, one.answered),
        Formula.WITH_SHORT_ABANDONED: lambda one: (one.answered_in_time + one.abandoned_short, one.offered),
    }
)


def total(visits: Iterable[Visit], settings: QueueSettings) -> ServiceCounts:
    """The counts of these visits by the settings of their queue."""
    counts = ServiceCounts()
    for visit in visits:
        counts += ServiceCounts.of(visit, settings.sla_answer_time, settings.short_abandon_time)
    return counts


def visits(events: Iterable[Event]) -> dict[int, Visit]:
    """The ended visits in the stream of a queue, by the id of the caller. One that was resumed has the end of its last
    attempt; one that is waiting now is not among them.

    :param events: of one queue, in order, from the joining of each caller.
    """
    found: dict[int, Visit] = {}
    called_back: set[int] = set()
    leads: set[int] = set()
    for event in events:
        caller_id = event.data.get("caller_id")
        if caller_id is None or caller_id in leads:
            continue
        match event.type:
            case EventType.CALLER_JOINED if event.data.get("is_lead"):
                leads.add(caller_id)
            case EventType.CALLBACK_REQUESTED:
                called_back.add(caller_id)
                found[caller_id] = Visit(found[caller_id].waited, found[caller_id].reason, is_callback=True)
            case EventType.CALLER_RESUMED:
                found.pop(caller_id, None)
            case EventType.CALLER_LEFT:
                reason = LeavingReason(event.data["reason"])
                found[caller_id] = Visit(event.data["waited"], reason, caller_id in called_back)
            case EventType.AGENT_CONNECTED:
                waited = event.data["waited"]
                found[caller_id] = Visit(waited, LeavingReason.ANSWERED, caller_id in called_back)
            case _:
                pass
    return found
