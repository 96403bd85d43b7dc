"""The state of a lead, which follows from its attempts alone, and which lead is next. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trunkline.core.clock import Instant
from trunkline.dialer.hours import is_open, next_open
from trunkline.dialer.outcomes import DAY, NEXT_DAY, NOT_CALLED, RULES, Closing, DialOutcome
from trunkline.dialer.settings import CampaignSettings

AT_ONCE = Instant(0.0)
"""Of a lead that was never called."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt that has ended.

    :ivar next_at: the time that was agreed, with ``callback``.
    """

    at: Instant
    outcome: DialOutcome
    next_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """What follows for a lead.

    :ivar closed: why it is not called any more; None: it is.
    :ivar next_at: not before.
    """

    attempts: int
    next_at: Instant
    closed: Closing | None = None


@dataclass(frozen=True, slots=True)
class Lead:
    """A lead that may be called.

    :ivar phone: digits of E.164; it names the lead.
    :ivar zones: of the number; it is called when it is open in all of them.
    :ivar priority: greater first.
    :ivar attempts: so far.
    :ivar is_callback: its time was agreed with the person: before all others.
    """

    phone: str
    zones: tuple[str, ...]
    priority: int = 0
    attempts: int = 0
    next_at: Instant = AT_ONCE
    is_callback: bool = False

    @property
    def rank(self) -> tuple[bool, int, int, float, str]:
        """Its order among the leads whose time has come: the least first."""
        return (not self.is_callback, -self.priority, self.attempts, self.next_at, self.phone)


def progress(history: Sequence[Attempt], settings: CampaignSettings) -> Progress:
    """What follows from the attempts of a lead, in their order."""
    if not history:
        return Progress(0, Instant(0.0))
    attempts = sum(RULES[one.outcome].counts for one in history)
    last = history[-1]
    rule = RULES[last.outcome]
    same = [one for one in history if one.outcome is last.outcome]
    next_at = last.next_at if last.next_at is not None else Instant(last.at + rule.after)
    if rule.closes is not None:
        return Progress(attempts, next_at, rule.closes)
    if rule.most is not None and rule.per_day:
        if sum(one.at > last.at - DAY for one in same) >= rule.most:
            next_at = max(next_at, Instant(last.at + NEXT_DAY))
    elif rule.most is not None and len(same) >= rule.most:
        return Progress(attempts, next_at, Closing.OUTCOME_REPEATED)
    is_agreed = last.next_at is not None  # with the person, who expects the call
    if attempts >= settings.max_attempts and not is_agreed:
        return Progress(attempts, next_at, Closing.ATTEMPTS_USED)
    today = [one.at for one in history if one.at > last.at - DAY and one.outcome not in NOT_CALLED]
    if len(today) >= settings.max_per_day:
        next_at = max(next_at, Instant(today[-settings.max_per_day] + DAY))
    return Progress(attempts, next_at)


class LeadPool:
    """Leads in the order in which they are called."""

    def __init__(self, settings: CampaignSettings, leads: Iterable[Lead] = ()) -> None:
        self.settings = settings
        self._ready: list[tuple[tuple[bool, int, int, float, str], Lead]] = []
        self._later: list[tuple[float, str, Lead]] = []
        self._phones: set[str] = set()
        for lead in leads:
            self.add(lead)

    def __len__(self) -> int:
        return len(self._phones)

    def __contains__(self, phone: str) -> bool:
        return phone in self._phones

    def add(self, lead: Lead) -> bool:
        """Add a lead. False: its phone is there."""
        if lead.phone in self._phones:
            return False
        self._phones.add(lead.phone)
        heapq.heappush(self._later, (lead.next_at, lead.phone, lead))
        return True

    def take(self, at: Instant) -> Lead | None:
        """Remove and return the lead that is to be called now; None: none is.

        A lead whose number may not be called at this hour waits until it may.
        """
        while self._later and self._later[0][0] <= at:
            _, _, lead = heapq.heappop(self._later)
            heapq.heappush(self._ready, (lead.rank, lead))
        while self._ready:
            _, lead = heapq.heappop(self._ready)
            if is_open(self.settings.spans, lead.zones, at):
                self._phones.discard(lead.phone)
                return lead
            opening = next_open(self.settings.spans, lead.zones, at)
            if opening is None:
                self._phones.discard(lead.phone)
            else:
                heapq.heappush(self._later, (opening, lead.phone, lead))
        return None

    def next_at(self) -> Instant | None:
        """When the next lead may be called; None: there is none. In the past: one is ready."""
        if self._ready:
            return Instant(0.0)
        return Instant(self._later[0][0]) if self._later else None
