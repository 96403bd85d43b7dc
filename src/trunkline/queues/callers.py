"""Callers of queues, their offers, and their order (section 4). Pure data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from trunkline.core.clock import Instant
from trunkline.queues.settings import TimeBase
from trunkline.queues.states import CALLER_MOVES, CallerState, LeavingReason, TicketState, moved

MICROSECONDS = 1_000_000


def exact(at: float) -> Instant:
    """An instant as events store it: to the microsecond. A sum of instants and seconds passes through this before it is
    compared, so that a deadline and the check of it are the same number."""
    return Instant(round(at, 6))


def after(at: Instant, seconds: float) -> Instant:
    """The instant so many seconds after another."""
    return exact(at + seconds)


def microseconds(at: float) -> int:
    """An instant in whole microseconds: differences of these are exact."""
    return round(at * MICROSECONDS)


def whole_seconds(since: float, until: float) -> int:
    """Complete seconds between two instants (4.1); negative when ``until`` is earlier."""
    return (microseconds(until) - microseconds(since)) // MICROSECONDS


class Place(NamedTuple):
    """The place of an agent in a queue: the order of (level, position, id). A pointer of 6.3 or 6.4 is one."""

    level: int
    position: int
    agent_id: int


class Rank(NamedTuple):
    """The order of callers at one moment, over all queues: the least one is served first (4.3, 4.4)."""

    negated_score: int
    joined_us: int
    caller_id: int


@dataclass(slots=True)
class Offer:
    """One attempt to reach one agent for one caller.

    :ivar ring_seconds: for how long it rings at most (7.4f).
    :ivar ringing_at: when the device was reported to ring.
    :ivar is_answered: the agent has answered, and the two are being connected (7.2).
    """

    offer_id: int
    agent_id: int
    started_at: Instant
    ring_seconds: int
    ringing_at: Instant | None = None
    is_answered: bool = False

    @property
    def deadline(self) -> Instant:
        """When the ring time is over."""
        return after(self.started_at, self.ring_seconds)


@dataclass(slots=True)
class Caller:
    """One call that waits in one queue. Its id stays the same when the customer calls again (section 11).

    :ivar number: of the customer, normalised; empty: withheld.
    :ivar base_score: number given with the call and the time of 4.2; fixed at joining.
    :ivar skill_score: fixed at joining.
    :ivar call_session_id: of its present call, or of its last one.
    :ivar joined_at: of the first attempt.
    :ivar attempt_started_at: when the present call joined (9.2).
    :ivar attempts: calls of this visit (11.5).
    :ivar pointer: the last agent called for it (6.3).
    :ivar offers: in progress, by their ids.
    :ivar connected_offer: the offer that was answered and connected.
    :ivar is_announcement_broken: the announcement could not be played to this caller (10.2).
    :ivar is_callback: asked to be called back: counted apart, whatever comes of it.
    :ivar is_lead: called by a campaign: not counted.
    """

    caller_id: int
    queue_id: int
    number: str
    base_score: int
    skill_score: int
    call_session_id: int
    joined_at: Instant
    attempt_started_at: Instant
    resumed_at: Instant | None = None
    attempts: int = 1
    state: CallerState = CallerState.WAITING
    pointer: Place | None = None
    offers: dict[int, Offer] = field(default_factory=dict)
    connected_offer: int | None = None
    connected_agent: int | None = None
    connected_at: Instant | None = None
    abandoned_at: Instant | None = None
    reason: LeavingReason | None = None
    exit_key: str | None = None
    is_announcement_broken: bool = False
    is_callback: bool = False
    is_lead: bool = False

    @property
    def is_in_queue(self) -> bool:
        """Whether it counts as waiting (10.3)."""
        return self.state in (CallerState.WAITING, CallerState.TRYING)

    @property
    def is_being_connected(self) -> bool:
        """Whether an agent has answered it and the two are not connected yet."""
        return any(offer.is_answered for offer in self.offers.values())

    def move(self, state: CallerState) -> None:
        """Change the state; it may be the same.

        :raises ForbiddenMoveError: the move does not exist (3.1).
        """
        if state is not self.state:
            self.state = moved(CALLER_MOVES, self.state, state)

    def score(self, now: Instant) -> int:
        """4.1: whole seconds since it joined, and its constants."""
        return whole_seconds(self.joined_at, now) + self.base_score + self.skill_score

    def rank(self, now: Instant) -> Rank:
        """Its order among all callers (4.3)."""
        return Rank(-self.score(now), microseconds(self.joined_at), self.caller_id)

    def waited(self, now: Instant) -> float:
        """Seconds since it joined, of the first attempt (8.7)."""
        return exact(now - self.joined_at)


@dataclass(slots=True)
class Ticket:
    """An open queue callback of a caller who has left: its place is kept, and the customer is called.

    :ivar tries: how often the customer was called.
    :ivar next_try_at: not before.
    :ivar agent_id: who is reserved while the customer is being called.
    :ivar dialled_at: when the customer's call began.
    """

    caller_id: int
    number: str
    requested_at: Instant
    next_try_at: Instant
    state: TicketState = TicketState.QUEUED
    tries: int = 0
    agent_id: int | None = None
    dialled_at: Instant | None = None


def base_score(given: int, time_base: TimeBase, answered_at: Instant, joined_at: Instant) -> int:
    """4.2: the number given with the call and, with the time base ``system``, its whole seconds before it joined."""
    if time_base is TimeBase.SYSTEM:
        return given + whole_seconds(answered_at, joined_at)
    return given


NEVER = Instant(-math.inf)
"""Earlier than everything: since when a queue is empty that never had an agent (9.4)."""
