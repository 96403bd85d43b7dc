"""Inputs of the rules of queues: commands, what happened to calls, and time. Data.

An input that names a caller or an offer that is not there any more comes from a race: it changes nothing and is counted
(``Decision.ignored``). A command that is not possible is refused with an error of :mod:`trunkline.core.errors`, and
nothing changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from trunkline.core.clock import Instant
from trunkline.queues.settings import DEFAULT_LEVEL, DEFAULT_POSITION, AgentSettings, QueueSettings
from trunkline.queues.states import AgentState, AgentStatus, OfferOutcome

# --- configuration (section 12)


@dataclass(frozen=True, slots=True)
class SetQueue:
    """Create a queue, or change its settings."""

    queue_id: int
    settings: QueueSettings


@dataclass(frozen=True, slots=True)
class RemoveQueue:
    """Remove a queue. Refused while callers wait, unless forced: they leave with ``break_out``."""

    queue_id: int
    is_forced: bool = False


@dataclass(frozen=True, slots=True)
class SetAgent:
    """Create an agent, or change the settings of one."""

    agent_id: int
    settings: AgentSettings


@dataclass(frozen=True, slots=True)
class RemoveAgent:
    agent_id: int


@dataclass(frozen=True, slots=True)
class SetTier:
    """Add an agent to a queue, or move it there."""

    queue_id: int
    agent_id: int
    level: int = DEFAULT_LEVEL
    position: int = DEFAULT_POSITION


@dataclass(frozen=True, slots=True)
class RemoveTier:
    queue_id: int
    agent_id: int


# --- commands of agents and administrators


@dataclass(frozen=True, slots=True)
class SetStatus:
    """Check in, check out, take a break (3.2, 3.5).

    :ivar reason: of a break.
    :ivar ends_break: changes an agent on break only, and is refused for one who is logged out.
    """

    agent_id: int
    status: AgentStatus
    reason: str | None = None
    ends_break: bool = False


@dataclass(frozen=True, slots=True)
class SetState:
    """Park an agent (``Idle``) or release it (``Waiting``); all other states are refused (3.3)."""

    agent_id: int
    state: AgentState


@dataclass(frozen=True, slots=True)
class SetWrapUp:
    """End wrap-up so many seconds from now; None: the agent's own wrap-up time from now (7.5)."""

    agent_id: int
    seconds: int | None = None


@dataclass(frozen=True, slots=True)
class AgentCallStarted:
    """An agent has a tracked call that is no queue call (5.6).

    :ivar call: names the call among those of the agent.
    """

    agent_id: int
    call: str


@dataclass(frozen=True, slots=True)
class AgentCallEnded:
    agent_id: int
    call: str


# --- callers


@dataclass(frozen=True, slots=True)
class JoinQueue:
    """A call that was answered joins a queue (10.1), or resumes its place (section 11).

    :ivar number: of the customer, normalised; empty: withheld.
    :ivar answered_at: when the platform answered the call.
    :ivar base_score: given with the call, may be negative (4.2).
    :ivar is_over: the call has hung up meanwhile: it joined while the queues were not handled.
    :ivar is_lead: a campaign has called this person: not in the figures of callers.
    """

    queue_id: int
    call_session_id: int
    number: str
    answered_at: Instant
    base_score: int = 0
    is_over: bool = False
    is_lead: bool = False


@dataclass(frozen=True, slots=True)
class CallerHungUp:
    """The call of a caller has ended, waiting or connected."""

    caller_id: int


@dataclass(frozen=True, slots=True)
class CallerTaken:
    """A transfer or a command takes a caller out (``break_out``)."""

    caller_id: int


@dataclass(frozen=True, slots=True)
class CallerPressedKey:
    """Exit keys take the caller out (10.4); others mean nothing here."""

    caller_id: int
    key: str


@dataclass(frozen=True, slots=True)
class MusicFailed:
    """The hold music of a caller's queue cannot be played (10.1)."""

    caller_id: int


@dataclass(frozen=True, slots=True)
class AnnouncementEnded:
    """The announcement to a caller was played to its end."""

    caller_id: int


@dataclass(frozen=True, slots=True)
class AnnouncementFailed:
    """The announcement cannot be played (10.2)."""

    caller_id: int


# --- offers


@dataclass(frozen=True, slots=True)
class OfferRinging:
    """A device of the agent rings."""

    offer_id: int


@dataclass(frozen=True, slots=True)
class OfferAnswered:
    """The agent has answered; the two legs are not connected yet (7.2)."""

    offer_id: int


@dataclass(frozen=True, slots=True)
class OfferConnected:
    """The two legs are connected (7.2 step 2)."""

    offer_id: int


@dataclass(frozen=True, slots=True)
class OfferFailed:
    """The agent's leg has ended before it was connected. After it was answered the outcome is always ``cancelled``.

    :ivar outcome: of :func:`trunkline.queues.offers.outcome_of_cause`.
    """

    offer_id: int
    outcome: OfferOutcome


@dataclass(frozen=True, slots=True)
class AgentLegEnded:
    """The agent's own leg of a queue call has left: hung up, or the call was handed on (7.5)."""

    offer_id: int


# --- callbacks


@dataclass(frozen=True, slots=True)
class RequestCallback:
    """A waiting caller leaves and is called back, with its place.

    :ivar number: to call, normalised.
    """

    caller_id: int
    number: str


@dataclass(frozen=True, slots=True)
class CancelCallback:
    """Cancel the open callback to a number."""

    number: str


@dataclass(frozen=True, slots=True)
class CallbackConfirmed:
    """The customer of a callback has answered and confirmed; the call is answered and can be connected."""

    caller_id: int
    call_session_id: int


class CallbackFailure(StrEnum):
    """Why the customer of a callback was not reached."""

    NO_ANSWER = "no_answer"
    BUSY = "busy"
    NOT_CONFIRMED = "not_confirmed"
    """Something answered, perhaps a voice mail."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class CallbackFailed:
    caller_id: int
    failure: CallbackFailure = CallbackFailure.NO_ANSWER


# --- calls that are being dialled


@dataclass(frozen=True, slots=True)
class ReserveAgent:
    """Reserve an agent for a call that is going to be dialled and then joins the queue.

    :ivar reservation_id: id of that call.
    :ivar without: agents who are left out: none of their phones could ring now.
    """

    queue_id: int
    reservation_id: int
    without: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class ReleaseAgent:
    """The call does not come about, or the agent has talked in it before it could join the queue (preview).

    :ivar talked: seconds of the talk, after which the agent wraps up; None: there was none.
    """

    reservation_id: int
    talked: float | None = None


# --- time and restart


@dataclass(frozen=True, slots=True)
class Elapsed:
    """The moment of ``Decision.alarm`` has come."""


class LegState(StrEnum):
    """What the engine shows of an agent's leg after a restart."""

    RINGING = "ringing"
    ANSWERED = "answered"
    CONNECTED = "connected"


@dataclass(frozen=True, slots=True)
class Restarted:
    """The process has restarted and compared the engine with the events (section 13).

    :ivar calls: ids of the call sessions that still exist.
    :ivar legs: of agents, by the id of the offer.
    :ivar callbacks: ids of callers whose customers are still being called.
    :ivar agent_calls: tracked calls that are no queue calls, by agent.
    :ivar dialled: ids of calls that may have a reserved agent.
    """

    calls: frozenset[int] = frozenset()
    legs: Mapping[int, LegState] = field(default_factory=dict)
    callbacks: frozenset[int] = frozenset()
    agent_calls: Mapping[int, frozenset[str]] = field(default_factory=dict)
    dialled: frozenset[int] = frozenset()


Input = (
    SetQueue
    | RemoveQueue
    | SetAgent
    | RemoveAgent
    | SetTier
    | RemoveTier
    | SetStatus
    | SetState
    | SetWrapUp
    | AgentCallStarted
    | AgentCallEnded
    | JoinQueue
    | CallerHungUp
    | CallerTaken
    | CallerPressedKey
    | MusicFailed
    | AnnouncementEnded
    | AnnouncementFailed
    | OfferRinging
    | OfferAnswered
    | OfferConnected
    | OfferFailed
    | AgentLegEnded
    | RequestCallback
    | CancelCallback
    | CallbackConfirmed
    | CallbackFailed
    | ReserveAgent
    | ReleaseAgent
    | Elapsed
    | Restarted
)
