"""The state of one call session, and how each event changes it.

The state of a session is the result of its events: :func:`evolve` applies one, and nothing else changes the facts. So a
restarted switch rebuilds every live session from the event log. Fields that are not in the event log are *ephemeral*
(marked below): they can be read again from the engine or are not needed after a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from trunkline.calls.finish_reasons import Side
from trunkline.calls.states import (
    Announcing,
    BothAnswered,
    Calling,
    CallingFirst,
    CallingSecond,
    CoachCalled,
    Coaching,
    CoachState,
    Connecting,
    Consulting,
    Controlled,
    Departure,
    EngineTalk,
    EngineTalkEnded,
    Finished,
    Finishing,
    FirstAnswered,
    Forwarding,
    Greeting,
    Incoming,
    InScenario,
    LeavingMessage,
    Meeting,
    NoCoach,
    OnHold,
    Parted,
    Passing,
    Placing,
    Releasing,
    State,
    TakenLate,
    Talking,
    TransferAnnouncing,
    TransferCalling,
    TransferReleasing,
    WithThird,
)
from trunkline.calls.timers import ring_timer
from trunkline.core.clock import Instant
from trunkline.directory.model import OperationKind
from trunkline.events.catalogue import Event, EventType
from trunkline.events.reasons import Reason
from trunkline.telephony.port import Bridge, Channel, Endpoint

NEVER = Instant(0.0)


class Phase(StrEnum):
    """Where a session stands; the state diagram of the Call API without what needs a third party."""

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
    """A number named by an API call, not an employee."""
    COACH = "coach"


class CoachMode(StrEnum):
    """The parties that get the coach's audio; the coach gets that of both in every mode."""

    LISTEN = "listen"
    """Nobody."""
    WHISPER = "whisper"
    """The operator."""
    BARGE = "barge"
    """Operator and contact: a third party of their talk."""


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
    keys: str | None = None
    """Keyed in once it has answered: its extension."""
    is_transfered: bool = False
    coach_mode: str | None = None
    state: LegState = LegState.DIAL
    ringing_at: Instant | None = None
    answered_at: Instant | None = None
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
    is_redirected: bool = False
    """Ephemeral: it came under our control from the engine's bridge."""

    @property
    def alive(self) -> bool:
        return self.state is not LegState.ENDED

    @property
    def serves(self) -> bool:
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
class PendingTarget:
    """Ephemeral: a target given to the engine."""

    endpoint: Endpoint
    number: str | None
    leg: dict[str, Any]
    """Data of the LEG_STARTED event to come, without leg_id and channel."""
    appeared: bool = False
    """Whether the engine made a channel of it."""


@dataclass(frozen=True, slots=True)
class UnresolvedLeg:
    """Ephemeral: a leg that ended unanswered, whose reason follows from a later signal."""

    leg_id: int
    at: Instant
    cause: int


@dataclass(slots=True)
class Session:
    """One conversation story."""

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
    api_request_id: int | None = None
    visit: dict[str, Any] = field(default_factory=dict)
    """The campaign and the site that brought the call, by the wire names."""
    scenario_id: int | None = None
    scenario_name: str | None = None
    present_scenario_id: int | None = None
    """The scenario that decides now: another than the first after a talk option handed the contact over."""
    operations: list[dict[str, Any]] = field(default_factory=list)
    operation_key: str | None = None
    legs_before_operation: int = 0
    """How many legs there were when the present operation was entered."""
    state: State = field(default_factory=Incoming)
    """What the call is doing, and which flow decides about it."""
    coach: CoachState = field(default_factory=NoCoach)
    phase: Phase = Phase.SESSION
    """Where the call stands in the state diagram of the Call API."""
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
    finished_at: Instant | None = None
    finish: dict[str, Any] = field(default_factory=dict)
    seq: int = 0
    last_at: Instant = NEVER
    """Time of the newest event."""

    # Ephemeral.
    pending_targets: list[PendingTarget] = field(default_factory=list)
    unresolved: list[UnresolvedLeg] = field(default_factory=list)
    dialling: Channel | None = None
    """The channel given to the engine to connect, until it comes back or ends."""
    unconfirmed_dial: Channel | None = None
    """The channel of a connect that Asterisk may not have got, because the connection to it broke: the recovery after the
    reconnect repeats it unless one of its targets has appeared."""
    connect_finished_at: Instant = NEVER
    """Time of the newest connect's result: a repeated result is not that of the next connect."""
    record_refused: bool = False
    """The call is not recorded because the disk was nearly full."""
    engine_records: bool = True
    """The engine records when it connects the parties; False when the disk was nearly full."""
    record_wanted: bool = False
    playing: str | None = None
    speaking_since: Instant | None = None
    """When the voice mail's recording began, after its greeting."""
    heard: set[int] = field(default_factory=set)
    """Legs that have heard what they were to hear before they are connected."""
    pressed: str = ""
    """The key that an employee pressed last, as long as it may be the first of two."""
    pressed_at: Instant = NEVER
    confirmed: set[int] = field(default_factory=set)
    """Legs that pressed the key by which they take the call."""
    taking_control: bool = False
    """A command is moving the talk from the engine's bridge under our control; a channel that leaves that bridge does not
    end the talk."""
    plays: dict[str, int] = field(default_factory=dict)
    """Messages being played to controlled legs: play id -> leg."""

    def leg_of(self, channel: Channel) -> Leg | None:
        for leg in self.legs.values():
            if leg.channel == channel:
                return leg
        return None

    @property
    def living(self) -> list[Leg]:
        return [leg for leg in self.legs.values() if leg.alive]

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
        return [leg for leg in since if leg.serves and leg.operation_id == current]


def replay(events: Iterable[Event]) -> Session | None:
    """The session of these events; None when the first of them is missing."""
    session: Session | None = None
    for event in events:
        if session is None:
            if event.type is not EventType.SESSION_STARTED:
                return None
            session = begin(event)
        else:
            evolve(session, event)
    return session


def begin(event: Event) -> Session:
    """The session right after its SESSION_STARTED."""
    call_session_id = event.call_session_id
    if event.type is not EventType.SESSION_STARTED or call_session_id is None:
        raise IllegalTransitionError(f"a session begins with session_started, not {event.type}")
    session = Session(event.account_id, call_session_id, event.at, seq=event.seq, last_at=event.at)
    for name in (
        "direction",
        "source",
        "is_internal",
        "virtual_number_id",
        "virtual_phone_number",
        "contact_phone_number",
        "contact_id",
        "contact_full_name",
        "operator_phone_number",
        "external_id",
        "api_request_id",
        "visit",
    ):
        if name in event.data:
            setattr(session, name, event.data[name])
    if plan := event.data.get("plan"):
        session.state = CallingFirst(plan)
    elif session.direction == "out":
        session.state = Placing()
    return session


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


def evolve(session: Session, event: Event) -> None:
    """Apply one event. Events that are already applied (by number) change nothing."""
    if event.seq <= session.seq:
        return
    session.seq = event.seq
    session.last_at = max(session.last_at, event.at)
    data = event.data
    match event.type:
        case EventType.SCENARIO_ENTERED:
            session.present_scenario_id = data["scenario_id"]
            if session.scenario_id is None:
                session.scenario_id = data["scenario_id"]
                session.scenario_name = data["scenario_name"]
        case EventType.OPERATION_ENTERED:
            session.operations.append(
                {"id": data["operation_id"], "name": data["operation_name"], "key": data["key"]}
            )
            session.operation_key = data["key"]
            session.legs_before_operation = len(session.legs)
        case EventType.LEG_STARTED:
            leg = Leg(
                leg_id=data["leg_id"],
                channel=Channel(data["channel"]),
                role=Role(data["role"]),
                side=Side(data["side"]),
                direction=data["direction"],
                started_at=event.at,
            )
            for name in _LEG_DETAILS:
                setattr(leg, name, data.get(name))
            leg.is_transfered = bool(data.get("is_transfered"))
            session.legs[leg.leg_id] = leg
            if data.get("ring_seconds") is not None:
                session.timers[ring_timer(leg.leg_id)] = Instant(event.at + data["ring_seconds"])
        case EventType.LEG_RINGING:
            session.legs[data["leg_id"]].ringing_at = event.at
        case EventType.LEG_ANSWERED:
            leg = session.legs[data["leg_id"]]
            leg.answered_at = event.at
            session.timers.pop(ring_timer(leg.leg_id), None)
            move_leg(leg, LegState.CONNECTED)
            if data.get("is_first_answer"):
                session.first_answer_at = event.at
        case EventType.TALK_STARTED:
            leg = session.legs[data["leg_id"]]
            contact = session.legs.get(data.get("contact_leg_id") or 0) or session.contact
            contact_leg_id = contact.leg_id if contact is not None else None
            session.talks.append(Talk(leg.leg_id, event.at, contact_leg_id=contact_leg_id))
            for one in (leg, contact):
                if one is not None and one.alive:
                    one.is_talked = True
                    move_leg(one, LegState.TALK)
            move(session, Phase.TALK)
        case EventType.TALK_ENDED:
            talk = session.open_talk(data["leg_id"])
            if talk is not None:
                talk.ended_at = event.at
            leg = session.legs[data["leg_id"]]
            if leg.state is LegState.TALK:
                move_leg(leg, LegState.CONNECTED)
            if not session.talking:
                contact = session.contact
                if contact is not None and contact.state is LegState.TALK:
                    move_leg(contact, LegState.CONNECTED)
                if session.phase is Phase.TALK:
                    move(session, Phase.POST_TALK)
                    if session.ending is not None:
                        move(session, Phase.FINISHING)
        case EventType.LEG_ENDED:
            leg = session.legs[data["leg_id"]]
            leg.ended_at = event.at
            leg.finish_reason = Reason(data["finish_reason"])
            leg.cause = data.get("release_cause_code")
            leg.is_failed = bool(data.get("is_failed"))
            leg.bridge = None
            session.timers.pop(ring_timer(leg.leg_id), None)
            move_leg(leg, LegState.ENDED)
        case EventType.RECORDING_STARTED:
            session.recorded = True
            leg = session.legs[data["leg_id"]]
            leg.is_recorded = True
            leg.recorded_parts += 1
            session.record_wanted = True
            session.record_asked = session.record_asked or bool(data.get("asked"))
        case EventType.RECORDING_REFUSED:
            session.record_refused = True
        case EventType.RECORDING_STOPPED:
            session.legs[data["leg_id"]].is_recorded = False
            if not data.get("paused"):
                session.record_wanted = session.record_asked = False
        case EventType.CALL_TAKEN:
            session.has_bridges = True
        case EventType.CALL_HELD:
            session.has_bridges = True
            move(session, Phase.HOLD)
        case EventType.THIRD_PARTY_CALLED:
            move(session, Phase.DIALING)
        case EventType.CONSULT_STARTED:
            move(session, Phase.OPERATOR_TALK)
        case EventType.CONSULT_ENDED:
            third = session.legs.get(session.third_leg_id or 0)
            if third is not None and third.alive:
                third.departure = Departure.SENT_AWAY
            if session.phase in (Phase.DIALING, Phase.OPERATOR_TALK):
                move(session, Phase.HOLD)
        case EventType.TRANSFER_REQUESTED:
            session.legs[data["operator_leg_id"]].departure = Departure.HANDED_OVER
        case EventType.TRANSFERRED:
            session.legs[data["leg_id"]].is_transfered = True
            session.legs[data["operator_leg_id"]].departure = Departure.HANDED_OVER
            move(session, Phase.HOLD)
        case EventType.VOICE_MAIL_STARTED:
            session.message = dict(data)
            session.last_message_at = event.at
        case EventType.VOICE_MAIL_LEFT:
            session.message = None
        case EventType.TAG_SET:
            session.tags = [tag for tag in session.tags if tag["tag_id"] != data["tag_id"]]
            session.tags.append({**data, "tag_change_time": event.at})
        case EventType.TAG_UNSET:
            session.tags = [tag for tag in session.tags if tag["tag_id"] != data["tag_id"]]
        case EventType.TIMER_STARTED:
            session.timers[data["key"]] = Instant(data["due"])
        case EventType.TIMER_CANCELLED | EventType.TIMER_ELAPSED:
            session.timers.pop(data["key"], None)
        case EventType.QUESTION_ASKED:
            session.questions[data["key"]] = data["kind"]
        case EventType.QUESTION_CLOSED:
            session.questions.pop(data["key"], None)
        case EventType.SESSION_ENDING:
            session.ending = Reason(data["finish_reason"])
            if session.phase is not Phase.TALK:
                move(session, Phase.FINISHING)
        case EventType.SESSION_FINISHED:
            session.finished_at = event.at
            session.finish = dict(data)
            session.timers, session.questions = {}, {}
            move(session, Phase.ENDED)
        case _:
            pass
    following = _FOLLOWING.get(event.type)
    if following is not None:
        session.state = following(session, data) or session.state


# --- how events change the state; None = they do not


def _scenario_entered(session: Session, data: Mapping[str, Any]) -> State | None:
    return Passing() if isinstance(session.state, InScenario) or data.get("takes_over") else None


def _operation_entered(session: Session, data: Mapping[str, Any]) -> State | None:
    if not isinstance(session.state, InScenario):
        return None
    match data.get("kind"):
        case OperationKind.GREETING:
            return Greeting()
        case OperationKind.FORWARD_EMPLOYEE | OperationKind.FORWARD_GROUP | OperationKind.FORWARD_NUMBER:
            return Forwarding()
    return Passing()


def _leg_started(session: Session, data: Mapping[str, Any]) -> State | None:
    state = session.state
    if data["role"] == Role.COACH:
        session.coach = CoachCalled(data["leg_id"])
    elif isinstance(state, FirstAnswered) and data.get("ring_seconds") is not None:
        return CallingSecond(state.plan, state.first_leg_id)
    return None


def _leg_answered(session: Session, data: Mapping[str, Any]) -> State | None:
    leg_id = data["leg_id"]
    match session.state:
        case CallingFirst(plan):
            return FirstAnswered(plan, leg_id)
        case CallingSecond(plan, first):
            same_side = session.legs[leg_id].side is session.legs[first].side
            return None if same_side else BothAnswered(plan, first, leg_id)
        case Calling(operator, third, message) if third == leg_id and message:
            return Announcing(operator, third, message)
        case TransferCalling(operator, third, message) if third == leg_id and message:
            return TransferAnnouncing(operator, third, message)
    return None


def _leg_ended(session: Session, data: Mapping[str, Any]) -> State | None:
    if not isinstance(session.coach, NoCoach) and session.coach.leg_id == data["leg_id"]:
        session.coach = NoCoach()
    return None


def _talk_started(session: Session, data: Mapping[str, Any]) -> State | None:
    match session.state:
        case TakenLate() | Finishing():
            return None
        case Controlled():
            return Talking(data["leg_id"])
        case EngineTalk():
            return None
        case EngineTalkEnded(anchor_leg_id):
            return EngineTalk(anchor_leg_id)
    leg = anchor(session)
    return EngineTalk(leg.leg_id if leg is not None else data["leg_id"])


def _talk_ended(session: Session, _data: Mapping[str, Any]) -> State | None:
    if session.talking:
        return None
    match session.state:
        case Talking(operator):
            return Parted(operator)
        case EngineTalk(anchor_leg_id):
            return EngineTalkEnded(anchor_leg_id)
    return None


def _call_taken(session: Session, data: Mapping[str, Any]) -> State | None:
    talk = next((one for one in session.talks if one.ended_at is None), None)
    operator = talk.leg_id if talk is not None else data.get("operator_leg_id")
    if data.get("late"):
        return TakenLate(operator)
    return Talking(operator) if talk is not None else Meeting(operator)


def _third_party_called(session: Session, data: Mapping[str, Any]) -> State | None:
    return Calling(session.operator_leg_id, data["leg_id"], tuple(data.get("message") or ()))


def _consult_started(_session: Session, data: Mapping[str, Any]) -> State | None:
    return Consulting(data["operator_leg_id"], data["leg_id"])


def _consult_ended(session: Session, _data: Mapping[str, Any]) -> State | None:
    return OnHold(session.operator_leg_id) if isinstance(session.state, WithThird) else None


def _transfer_requested(session: Session, data: Mapping[str, Any]) -> State | None:
    match session.state:
        case _ if data["leg_id"] is None:
            return Passing()
        case Calling(operator, third, message):
            return TransferCalling(operator, third, message)
        case Announcing(operator, third, message):
            return TransferAnnouncing(operator, third, message)
    return None


def _timer_elapsed(session: Session, data: Mapping[str, Any]) -> State | None:
    match session.state:
        case Calling(operator, third) if data["key"] == ring_timer(third):
            return Releasing(operator, third)
        case TransferCalling(operator, third) if data["key"] == ring_timer(third):
            return TransferReleasing(operator, third)
    return None


def _coach_joined(session: Session, data: Mapping[str, Any]) -> State | None:
    session.coach = Coaching(data["leg_id"])
    return None


_FOLLOWING: dict[EventType, Callable[[Session, Mapping[str, Any]], State | None]] = {
    EventType.SCENARIO_ENTERED: _scenario_entered,
    EventType.OPERATION_ENTERED: _operation_entered,
    EventType.LEG_STARTED: _leg_started,
    EventType.LEG_ANSWERED: _leg_answered,
    EventType.LEG_ENDED: _leg_ended,
    EventType.TALK_STARTED: _talk_started,
    EventType.TALK_ENDED: _talk_ended,
    EventType.CALL_TAKEN: _call_taken,
    EventType.CALL_HELD: lambda _session, data: OnHold(data["leg_id"]),
    EventType.CALL_UNHELD: lambda _session, data: Connecting(data["leg_id"]),
    EventType.THIRD_PARTY_CALLED: _third_party_called,
    EventType.CONSULT_STARTED: _consult_started,
    EventType.CONSULT_ENDED: _consult_ended,
    EventType.TRANSFER_REQUESTED: _transfer_requested,
    EventType.TRANSFERRED: lambda _session, data: Connecting(data["leg_id"]),
    EventType.COACH_JOINED: _coach_joined,
    EventType.VOICE_MAIL_STARTED: lambda _session, _data: LeavingMessage(),
    EventType.TIMER_ELAPSED: _timer_elapsed,
    EventType.SESSION_ENDING: lambda _session, _data: Finishing(),
    EventType.SESSION_FINISHED: lambda _session, _data: Finished(),
}


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


_LEG_DETAILS = (
    "calling_phone_number",
    "called_phone_number",
    "employee_id",
    "employee_full_name",
    "employee_phone_number",
    "phone_id",
    "sip_line_id",
    "trunk_id",
    "group_id",
    "group_name",
    "operation_id",
    "operation_name",
    "keys",
    "coach_mode",
)
