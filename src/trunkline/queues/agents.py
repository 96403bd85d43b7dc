"""Agents and their tiers. Pure data."""

from __future__ import annotations

from dataclasses import dataclass, field

from trunkline.core.clock import Instant
from trunkline.queues.callers import NEVER, Place
from trunkline.queues.settings import DEFAULT_LEVEL, DEFAULT_POSITION, AgentSettings
from trunkline.queues.states import (
    AGENT_MOVES,
    TIER_MOVES,
    AgentState,
    AgentStatus,
    TierState,
    moved,
)

MAX_NO_ANSWER = "max_no_answer"
"""``status_reason`` of an agent who did not answer too many offers in a row (7.4c)."""


@dataclass(slots=True)
class Tier:
    """The link of one agent to one queue."""

    queue_id: int
    level: int = DEFAULT_LEVEL
    position: int = DEFAULT_POSITION
    state: TierState = TierState.READY

    def move(self, state: TierState) -> None:
        """Change the state; it may be the same.

        :raises ForbiddenMoveError: the move does not exist (3.4).
        """
        if state is not self.state:
            self.state = moved(TIER_MOVES, self.state, state)


@dataclass(frozen=True, slots=True)
class Engagement:
    """What an agent is reserved for, receives, or talks in: one at a time, over all queues (section 5).

    :ivar offer_id: None: reserved for the callback of ``caller_id``.
    :ivar on_demand: the status was Available (On Demand) when the offer started (7.5).
    """

    queue_id: int
    caller_id: int
    offer_id: int | None
    on_demand: bool = False


@dataclass(slots=True)
class Agent:
    """One agent of an account. A new one is Logged Out and Waiting, all counters 0 (section 12).

    :ivar agent_id: grows with the creation of agents (section 6).
    :ivar status_reason: of a break, by the client that set it.
    :ivar state_changed_at: when the state was entered.
    :ivar talk_time: seconds in queue calls since the last check-in (3.5a).
    :ivar no_answer_count: over all queues (7.4d).
    :ivar last_bridge_end: end of the last queue call; :data:`NEVER` before the first (6.2).
    :ivar wrap_up_since: when the wrap-up began.
    :ivar ready_time: after failed offers (7.4b).
    :ivar last_outcome: of the last offer that was not connected.
    :ivar external_calls: ids of tracked calls that are no queue calls (5.6).
    :ivar external_changed_at: when the first of them began, or the last one ended.
    :ivar parks_afterwards: a command asked for Idle during an offer or a queue call: it applies when that has ended.
    :ivar is_removed: deleted while in a queue call, which is counted when it ends (section 12).
    """

    agent_id: int
    settings: AgentSettings
    status: AgentStatus = AgentStatus.LOGGED_OUT
    status_reason: str | None = None
    status_changed_at: Instant = NEVER
    state: AgentState = AgentState.WAITING
    state_changed_at: Instant = NEVER
    talk_time: float = 0.0
    calls_answered: int = 0
    no_answer_count: int = 0
    last_bridge_start: Instant = NEVER
    last_bridge_end: Instant = NEVER
    last_offered_call: Instant = NEVER
    wrap_up_until: Instant = NEVER
    wrap_up_since: Instant = NEVER
    ready_time: Instant = NEVER
    last_outcome: str | None = None
    engagement: Engagement | None = None
    tiers: dict[int, Tier] = field(default_factory=dict)
    external_calls: set[str] = field(default_factory=set)
    external_changed_at: Instant = NEVER
    parks_afterwards: bool = False
    is_removed: bool = False

    @property
    def rest_until(self) -> Instant:
        """Until when wrap-up and delays hold (5.4, 5.5)."""
        return max(self.wrap_up_until, self.ready_time)

    def move(self, state: AgentState) -> None:
        """Change the state; it may be the same.

        :raises ForbiddenMoveError: the move does not exist (3.3).
        """
        if state is not self.state:
            self.state = moved(AGENT_MOVES, self.state, state)

    def is_free(self, now: Instant) -> bool:
        """What eligibility needs of the agent alone, whatever the queue (5.1, 5.2, 5.4, 5.5)."""
        return self.status.receives_offers and self.state is AgentState.WAITING and now >= self.rest_until

    def place_in(self, queue_id: int) -> Place | None:
        """The agent's place in a queue; None: no tier there."""
        tier = self.tiers.get(queue_id)
        return Place(tier.level, tier.position, self.agent_id) if tier is not None else None
