"""States of callers, agents and tiers, and the moves that exist between them. Data; a test walks the tables.

The numbers in brackets are those of the rules of queues (``docs/develop/queues.md``).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar


class CallerState(StrEnum):
    """What a caller of a queue is doing (3.1)."""

    WAITING = "Waiting"
    TRYING = "Trying"
    ANSWERED = "Answered"
    ABANDONED = "Abandoned"


class LeavingReason(StrEnum):
    """Why a caller is not in the queue any more (3.1)."""

    HANGUP = "hangup"
    TIMEOUT = "timeout"
    NO_AGENT_TIMEOUT = "no_agent_timeout"
    EXIT_KEY = "exit_key"
    BREAK_OUT = "break_out"
    ANSWERED = "answered"


class AgentStatus(StrEnum):
    """What the agent or an administrator has set (3.2)."""

    LOGGED_OUT = "Logged Out"
    AVAILABLE = "Available"
    ON_DEMAND = "Available (On Demand)"
    ON_BREAK = "On Break"

    @property
    def receives_offers(self) -> bool:
        return self in (AgentStatus.AVAILABLE, AgentStatus.ON_DEMAND)

    @property
    def is_present(self) -> bool:
        return self is not AgentStatus.LOGGED_OUT


class AgentState(StrEnum):
    """What the system has found an agent to be doing (3.3)."""

    WAITING = "Waiting"
    RESERVED = "Reserved"
    """Kept free while a callback or a lead is being called; every other offer passes it within one decision."""
    RECEIVING = "Receiving"
    IN_CALL = "In a queue call"
    IDLE = "Idle"

    @property
    def is_engaged(self) -> bool:
        """Whether the agent has an offer, a reservation or a queue call."""
        return self in (AgentState.RESERVED, AgentState.RECEIVING, AgentState.IN_CALL)


class TierState(StrEnum):
    """What an agent is doing for one queue (3.4)."""

    READY = "Ready"
    OFFERING = "Offering"
    ACTIVE_INBOUND = "Active Inbound"
    STANDBY = "Standby"
    NO_ANSWER = "No Answer"


class OfferOutcome(StrEnum):
    """How an offer ended (7.3)."""

    ANSWERED = "answered"
    CANCELLED = "cancelled"
    BUSY = "busy"
    REJECTED = "rejected"
    UNREGISTERED = "unregistered"
    NO_ANSWER = "no_answer"


class TicketState(StrEnum):
    """What a queue callback is doing while it is open."""

    QUEUED = "queued"
    """It has its place in the queue; nobody is being called."""
    DIALLING = "dialling"
    """An agent is reserved and the customer is being called."""


State = TypeVar("State", bound=StrEnum)

CALLER_MOVES: Mapping[CallerState, frozenset[CallerState]] = MappingProxyType(
    {
        CallerState.WAITING: frozenset({CallerState.TRYING, CallerState.ABANDONED}),
        CallerState.TRYING: frozenset({CallerState.WAITING, CallerState.ANSWERED, CallerState.ABANDONED}),
        CallerState.ANSWERED: frozenset(),
        CallerState.ABANDONED: frozenset({CallerState.WAITING}),
    }
)
"""From each state of a caller to those that may follow (3.1). One that was answered is removed when the call ends."""

AGENT_MOVES: Mapping[AgentState, frozenset[AgentState]] = MappingProxyType(
    {
        AgentState.WAITING: frozenset({AgentState.RESERVED, AgentState.RECEIVING, AgentState.IDLE}),
        AgentState.RESERVED: frozenset({AgentState.RECEIVING, AgentState.WAITING, AgentState.IDLE}),
        AgentState.RECEIVING: frozenset({AgentState.IN_CALL, AgentState.WAITING, AgentState.IDLE}),
        AgentState.IN_CALL: frozenset({AgentState.WAITING, AgentState.IDLE}),
        AgentState.IDLE: frozenset({AgentState.WAITING}),
    }
)
"""From each state of an agent to those that may follow (3.3)."""

TIER_MOVES: Mapping[TierState, frozenset[TierState]] = MappingProxyType(
    {
        TierState.READY: frozenset({TierState.OFFERING, TierState.STANDBY}),
        TierState.OFFERING: frozenset({TierState.ACTIVE_INBOUND, TierState.READY, TierState.NO_ANSWER}),
        TierState.ACTIVE_INBOUND: frozenset({TierState.READY}),
        TierState.STANDBY: frozenset({TierState.READY}),
        TierState.NO_ANSWER: frozenset({TierState.OFFERING, TierState.READY}),
    }
)
"""From each state of a tier to those that may follow (3.4). From No Answer to Ready: a restart (13.3)."""


class ForbiddenMoveError(RuntimeError):
    """A rule or an event would move something to a state that cannot follow: a defect of the rules."""


def moved(moves: Mapping[State, frozenset[State]], before: State, after: State) -> State:
    """The state after a move.

    :raises ForbiddenMoveError: the table does not have this move.
    """
    if after not in moves[before]:
        raise ForbiddenMoveError(f"{type(before).__name__}: {before.value} -> {after.value}")
    return after
