"""One call session: its legs, talks, phase and state.

The state of a session is the result of its events (:func:`trunkline.calls.evolution.evolve`), and nothing else changes the
facts. So a restarted switch rebuilds every live session from the event log. Fields that are not in the event log are
*ephemeral* (marked below): they can be read again from the engine or are not needed after a restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from trunkline.calls.finish_reasons import Side
from trunkline.calls.states import (
    BothAnswered,
    CallingFirst,
    CallingSecond,
    CoachState,
    Controlled,
    Departure,
    EngineTalk,
    EngineTalkEnded,
    FirstAnswered,
    Incoming,
    InScenario,
    NoCoach,
    State,
    WithThird,
)
from trunkline.core.clock import Instant
from trunkline.events.reasons import Reason
from trunkline.telephony.port import Bridge, Channel, ConnectFinished, Ended, Endpoint

NEVER = Instant(0.0)


class Phase(StrEnum):
    """Phase of a call in the state diagram of the Call API (``list.calls``, checks of commands)."""

    SESSION = "session"
    """Started; no talk yet."""
    TALK = "talk"
    HOLD = "hold"
    """Music or a message for the contact; the operator may call a third party (also WAITING_INPUT of the diagram)."""
    DIALING = "dialing"
    """The third party is being called."""
    OPERATOR_TALK = "operator_talk"
    """Operator and third party talk; the contact does not hear them."""
    POST_TALK = "post_talk"
    """They talked; what is left of the call is being cleared or goes on in the scenario."""
    FINISHING = "finishing"
    """Being hung up; no command is taken any more."""
    ENDED = "ended"


PHASES: dict[Phase, frozenset[Phase]] = {
    Phase.SESSION: frozenset({Phase.TALK, Phase.FINISHING, Phase.ENDED}),
    Phase.TALK: frozenset({Phase.POST_TALK, Phase.HOLD}),
    Phase.HOLD: frozenset({Phase.TALK, Phase.DIALING, Phase.FINISHING, Phase.ENDED}),
    Phase.DIALING: frozenset({Phase.HOLD, Phase.OPERATOR_TALK, Phase.FINISHING, Phase.ENDED}),
    Phase.OPERATOR_TALK: frozenset({Phase.HOLD, Phase.FINISHING, Phase.ENDED}),
    Phase.POST_TALK: frozenset({Phase.TALK, Phase.FINISHING, Phase.ENDED}),
    Phase.FINISHING: frozenset({Phase.ENDED}),
    Phase.ENDED: frozenset(),
}
"""Every change of phase that may happen."""


class LegState(StrEnum):
    DIAL = "dial"
    """Being called, or calling and not answered by us."""
    CONNECTED = "connected"
    """Answered, with prompts, music or silence."""
    TALK = "talk"
    ENDED = "ended"


LEG_STATES: dict[LegState, frozenset[LegState]] = {
    LegState.DIAL: frozenset({LegState.CONNECTED, LegState.ENDED}),
    LegState.CONNECTED: frozenset({LegState.TALK, LegState.ENDED}),
    LegState.TALK: frozenset({LegState.CONNECTED, LegState.ENDED}),
    LegState.ENDED: frozenset(),
}


class Role(StrEnum):
    """Who a leg's participant is."""

    CONTACT = "contact"
    EMPLOYEE = "employee"
    OPERATOR = "operator"
    """An outside number that serves the contact: of a forward of a scenario, a third party, or an API call."""
    COACH = "coach"


class IllegalTransitionError(AssertionError):
    """A bug in the rules: a state that the tables do not allow."""


@dataclass(slots=True)
class Leg:
    """One participant's channel, living or gone."""

    leg_id: int
    channel: Channel
    role: Role
    side: Side
    direction: str
    """``in``: towards us; ``out``: from us."""
    started_at: Instant
    calling_phone_number: str | None = None
    called_phone_number: str | None = None
    employee_id: int | None = None
    employee_full_name: str | None = None
    employee_phone_number: str | None = None
    phone_id: int | None = None
    sip_line_id: int | None = None
    trunk_id: int | None = None
    group_id: int | None = None
    group_name: str | None = None
    operation_id: int | None = None
    operation_name: str | None = None
    dialled: str | None = None
    """What the caller dialled on a line, when that is not ``called_phone_number``."""
    keys: str | None = None
    """Keyed in once it has answered: its extension."""
    offer_id: int | None = None
    """The offer of a queue for which it is called; an agent may have several phones."""
    queue_id: int | None = None
    """The queue of that offer."""
    queue_name: str | None = None
    limited_line_id: int | None = None
    """Whose limits it counts for, when that is not the line that began the call: the line that forwards the call."""
    is_transfered: bool = False
    coach_mode: str | None = None
    state: LegState = LegState.DIAL
    ringing_at: Instant | None = None
    answered_at: Instant | None = None
    is_machine: bool = False
    """An answering machine has answered."""
    greeted_at: Instant | None = None
    """When the greeting of the party was over; None: that was not looked for, or is not known yet."""
    answer_order: int = 0
    """1 for the first leg of the session that answered, and so on; 0: it has not answered."""
    ended_at: Instant | None = None
    finish_reason: Reason | None = None
    cause: int | None = None
    is_failed: bool = False
    is_talked: bool = False
    is_recorded: bool = False
    """Its voice is being recorded."""
    recorded_parts: int = 0
    """How often recording it began."""
    departure: Departure | None = None
    """Why it is being hung up, when the call goes on without it."""
    bridge: Bridge | None = None
    """Ephemeral: the bridge it is in."""
    has_early_media: bool = False
    """Ephemeral: the called side sends sound before it answers, so its server responds."""
    sip_code: int = 0
    """Ephemeral: SIP status with which the carrier refused it; 0 = not known."""
    is_redirected: bool = False
    """Ephemeral: it came under our control from the engine's bridge."""

    @property
    def is_alive(self) -> bool:
        return self.state is not LegState.ENDED

    @property
    def is_over_trunk(self) -> bool:
        """Whether it is an outgoing call over a trunk."""
        return self.trunk_id is not None and self.direction == "out" and bool(self.channel)

    @property
    def rang(self) -> bool:
        """Whether the called side reported ringing or sent sound."""
        return self.ringing_at is not None or self.has_early_media

    @property
    def is_operator_side(self) -> bool:
        """Whether it is an employee or operator, not the contact."""
        return self.role is not Role.CONTACT


@dataclass(slots=True)
class Talk:
    """A conversation of the contact with one serving leg."""

    leg_id: int
    started_at: Instant
    ended_at: Instant | None = None
    contact_leg_id: int | None = None

    def has(self, leg: Leg) -> bool:
        """Whether the leg is one of the two who talk."""
        return leg.leg_id in (self.leg_id, self.contact_leg_id)


@dataclass(slots=True)
class QueueStay:
    """The time of the contact in one queue, until an agent talks with it or it goes on without one.

    :ivar outcome: ``answered``, or why it left the queue; None: it waits.
    :ivar key: the exit key that it pressed.
    """

    queue_id: int
    queue_name: str | None
    entered_at: Instant
    left_at: Instant | None = None
    outcome: str | None = None
    key: str | None = None


@dataclass(slots=True)
class PendingTarget:
    """Ephemeral: a target given to the engine."""

    endpoint: Endpoint
    number: str | None
    leg: dict[str, Any]
    """Data of the LEG_STARTED event to come, without leg_id and channel."""
    appeared: bool = False
    """Whether the engine made a channel of it."""
    has_no_channel: bool = False
    """Whether the engine does not get it, because the account has as many channels in use as it may have."""


@dataclass(slots=True)
class EngineConnect:
    """Ephemeral: a channel that the engine was given to connect, and the targets to ring for it.

    :ivar not_recorded: why the engine does not record when it connects the parties, of :mod:`trunkline.core.not_recorded`;
        None: it records if that is wanted.
    :ivar is_confirmed: False: Asterisk may not have got it, because the connection to it broke. The recovery after the
        reconnect repeats it unless one of its targets has appeared.
    :ivar is_over: the channel came back, or ended; a target may still be reported.
    """

    channel: Channel
    targets: list[PendingTarget] = field(default_factory=list)
    not_recorded: str | None = None
    is_confirmed: bool = True
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class UnresolvedLeg:
    """Ephemeral: a leg that ended unanswered, whose reason follows from a later signal."""

    leg_id: int
    at: Instant
    cause: int


@dataclass(slots=True)
class Session:
    """One call session, as its events make it."""

    account_id: int
    call_session_id: int
    started_at: Instant
    direction: str = "in"
    source: str = "va"
    is_internal: bool = False
    virtual_number_id: int | None = None
    virtual_phone_number: str | None = None
    contact_phone_number: str | None = None
    contact_id: int | None = None
    contact_full_name: str | None = None
    operator_phone_number: str | None = None
    external_id: str | None = None
    lead_id: str | None = None
    """The lead of a phone list that the call is about, as the request names it."""
    lead: dict[str, Any] | None = None
    """The lead that a campaign calls, as it was at the moment of dialling: ``name``, ``tags`` and ``ext_api_vars``."""
    dial_campaign_id: int | None = None
    """The dialing campaign that made the call."""
    api_request_id: int | None = None
    is_code: bool = False
    """A line dialled a code, such as that of the mailbox: nobody is called, so nobody can miss the call."""
    visit: dict[str, Any] = field(default_factory=dict)
    """The campaign and the site that brought the call, by the wire names."""
    scenario_id: int | None = None
    scenario_name: str | None = None
    present_scenario_id: int | None = None
    """The scenario that decides now: another than the first after a talk option handed the contact over."""
    returns: list[tuple[int, str | None]] = field(default_factory=list)
    """Scenarios that wait for the present one, the outermost first: id, and the operation where each goes on."""
    chosen: dict[str, Any] | None = None
    """Whom the present operation calls, when the call chose that: ``employee_id``, ``group_id`` and ``number``."""
    instruction: dict[str, Any] | None = None
    """Instructions of another system for the present operation: ``files``, ``employee_files``, ``phones`` not called yet."""
    forwarding_results: dict[int, bool] = field(default_factory=dict)
    """By id of an employee whose forwarding was followed in the present operation: whether anybody could be called there."""
    forward_count: int = 0
    """How often the call was forwarded."""
    request_message: tuple[str, ...] = ()
    """What the request of the API plays to an employee whom a scenario calls: paths of files."""
    abandoned_scenario_id: int | None = None
    """What a lead hears with whom no agent was connected in time."""
    detects_machine: bool = False
    """Whether it is found out if a person or a machine answers the call to the contact."""
    queue_entered_at: Instant | None = None
    """When the contact entered its last queue."""
    queue_id: int | None = None
    """The queue that the contact is in, or whose agent it talks with."""
    queue_left: str | None = None
    """Why the contact left its last queue without having been connected."""
    queue_stays: list[QueueStay] = field(default_factory=list)
    """The queues that the contact was in, in that order."""
    menu_timed_out: bool = False
    """The caller chose nothing in the last menu."""
    operations: list[dict[str, Any]] = field(default_factory=list)
    operation_key: str | None = None
    legs_before_operation: int = 0
    """How many legs there were when the present operation was entered."""
    state: State = field(default_factory=Incoming)
    """What the call is doing, and which flow decides about it."""
    coach: CoachState = field(default_factory=NoCoach)
    phase: Phase = Phase.SESSION
    """State of the call in the state diagram of the Call API."""
    legs: dict[int, Leg] = field(default_factory=dict)
    talks: list[Talk] = field(default_factory=list)
    tags: list[dict[str, Any]] = field(default_factory=list)
    ending: Reason | None = None
    """Why the session ends, once that is decided."""
    first_answer_at: Instant | None = None
    recorded: bool = False
    record_asked: bool = False
    """Recording was switched on by a command: it continues for all later talks."""
    has_bridges: bool = False
    """The switch has connected the parties in bridges of its own at some time."""
    message: dict[str, Any] | None = None
    """The voice mail being recorded: data of VOICE_MAIL_STARTED."""
    last_message_at: Instant = NEVER
    timers: dict[str, Instant] = field(default_factory=dict)
    """Open timers: key -> deadline."""
    questions: dict[str, str] = field(default_factory=dict)
    """Open questions: key -> kind."""
    asked_transfer: Mapping[str, Any] | None = None
    """A transfer that a phone has asked for and that is not decided yet: ``leg_id``, ``to``, ``other``."""
    finished_at: Instant | None = None
    finish: dict[str, Any] = field(default_factory=dict)
    seq: int = 0
    last_at: Instant = NEVER
    """Time of the newest event."""
    signalled_at: Instant = NEVER
    """Time of the newest event that may follow from a signal of the engine. Commands and timers have the time of the clock,
    and signals may come later than they happened: what happened before such an event may not be handled yet."""

    record_refused: bool = False
    """A talk of this call was not recorded, for one of :data:`trunkline.core.not_recorded.REFUSALS`; published once."""
    record_cut: list[str] = field(default_factory=list)
    """Kinds of recordings (``talk``, ``voice_mail``) that lack sound: the disk was full, or the account reached its limit
    (:data:`trunkline.core.not_recorded.CUTS`)."""
    record_wanted: bool = False

    # Ephemeral: no event sets these; a restarted switch begins with the defaults.
    connect: EngineConnect | None = None
    """The newest connect that the engine was given."""
    unresolved: list[UnresolvedLeg] = field(default_factory=list)
    connect_finished_at: Instant = NEVER
    """Time of the newest connect's result: a repeated result is not that of the next connect."""
    phone_redirects: dict[int, str] = field(default_factory=dict)
    """Called legs whose phone redirects the call, and where to; until the call is dialled there."""
    redirect_count: int = 0
    """How often the call was dialled where a phone redirected it."""
    connecting_offer: int | None = None
    """The offer whose agent is being connected with the contact, who waits in a queue."""
    is_without_switch: bool = False
    """Ephemeral: the dialplan connects the call by itself, which records nothing."""
    playing: str | None = None
    speaking_since: Instant | None = None
    """When the voice mail's recording began, after its greeting."""
    message_played_to: set[int] = field(default_factory=set)
    """Legs whose message before the connection has been played."""
    pressed: str = ""
    """The key that an employee pressed last, as long as it may be the first of two."""
    pressed_at: Instant = NEVER
    confirmed: set[int] = field(default_factory=set)
    """Legs that pressed the key by which they take the call."""
    taking_control: bool = False
    """A command is moving the talk from the engine's bridge under our control; a channel that leaves that bridge does not
    end the talk."""
    leaving: Channel | None = None
    """While a command is carried out after which this party leaves the call to others: it may hang up before. The signals
    that follow from that wait in ``held_back`` until the command is decided, which needs it in the call."""
    held_back: list[Ended | ConnectFinished] = field(default_factory=list)
    mailbox_pin: str = ""
    """The PIN of a mailbox, as far as it is pressed; it is in no event."""
    mailbox_new_pin: str = ""
    """The new PIN as it was entered for the first time."""
    mailbox: tuple[dict[str, Any], ...] = ()
    """Messages of the open mailbox: ``id``, ``is_saved``, ``file``."""
    mailbox_at: int = 0
    """The message that is heard; -1: the call ends after what is said now."""
    plays: dict[str, int] = field(default_factory=dict)
    """Messages being played to controlled legs: play id -> leg."""

    def leg_of(self, channel: Channel) -> Leg | None:
        for leg in self.legs.values():
            if leg.channel == channel:
                return leg
        return None

    @property
    def living(self) -> list[Leg]:
        return [leg for leg in self.legs.values() if leg.is_alive]

    @property
    def contact(self) -> Leg | None:
        """The leg on the contact's side: the customer, or (of those) the called colleague who talked, or answered."""
        talked = self.legs.get(self.talks[-1].contact_leg_id or 0) if self.talks else None
        if talked is not None:
            return talked
        legs = [leg for leg in self.legs.values() if leg.side is Side.CONTACT]
        answered = (leg for leg in reversed(legs) if leg.answered_at is not None)
        return next(answered, legs[0] if legs else None)

    @property
    def initiator(self) -> Leg | None:
        """The leg that started the session."""
        return next(iter(self.legs.values()), None)

    def limited_line(self, of_leg: int | None) -> int | None:
        """The line whose limits an outgoing call counts for; None: those of the account only.

        :param of_leg: the line that forwards the call; None: the one that began the session, if a line did.
        """
        if of_leg is not None:
            return of_leg
        first = self.initiator
        return first.sip_line_id if first is not None and first.direction == "in" else None

    @property
    def connecting_channel(self) -> Channel | None:
        """The channel that the engine is connecting."""
        return self.connect.channel if self.connect is not None and not self.connect.is_over else None

    def restore_connect(self, channel: Channel) -> None:
        """The engine is connecting this channel, as it is found by a recovery."""
        if self.connect is None or self.connect.channel != channel:
            self.connect = EngineConnect(channel)
        self.connect.is_over = False

    def end_connect(self) -> None:
        """The channel that the engine was connecting came back, or ended."""
        if self.connect is not None:
            self.connect.is_over = True

    @property
    def operator_leg_id(self) -> int | None:
        """Who commands a call that the switch controls."""
        return self.state.operator_leg_id if isinstance(self.state, Controlled) else None

    @property
    def third_leg_id(self) -> int | None:
        """The third party of a consultation."""
        return self.state.third_leg_id if isinstance(self.state, WithThird) else None

    def open_talk(self, leg_id: int) -> Talk | None:
        return next((t for t in self.talks if t.leg_id == leg_id and t.ended_at is None), None)

    @property
    def talking(self) -> bool:
        return any(talk.ended_at is None for talk in self.talks)

    def attempts(self) -> list[Leg]:
        """Serving legs (and attempts) of the present operation, since it was entered."""
        current = self.operations[-1]["id"] if self.operations else None
        since = list(self.legs.values())[self.legs_before_operation :]
        return [leg for leg in since if leg.is_operator_side and leg.operation_id == current]


def move(session: Session, phase: Phase) -> None:
    """Change the phase; staying is always allowed."""
    if phase is session.phase:
        return
    if phase not in PHASES[session.phase]:
        raise IllegalTransitionError(f"session {session.call_session_id}: {session.phase} -> {phase}")
    session.phase = phase


def move_leg(leg: Leg, state: LegState) -> None:
    if state is leg.state:
        return
    if state not in LEG_STATES[leg.state]:
        raise IllegalTransitionError(f"leg {leg.leg_id}: {leg.state} -> {state}")
    leg.state = state


def anchor(session: Session) -> Leg | None:
    """The leg without which the call cannot go on, while the switch does not control it: the one that began it; of a call by
    the API, the first that answered; in a scenario, the contact."""
    match session.state:
        case InScenario():
            return session.contact
        case CallingFirst():
            return next((leg for leg in session.legs.values() if leg.answered_at is not None), None)
        case FirstAnswered(_, leg_id) | CallingSecond(_, leg_id) | BothAnswered(_, leg_id, _):
            return session.legs.get(leg_id)
        case EngineTalk(leg_id) | EngineTalkEnded(leg_id):
            return session.legs.get(leg_id)
    return session.initiator
