"""The rules of a call: what each signal and command means. Pure: no I/O, no clock, no randomness.

A signal becomes facts (events: a leg rang, answered, ended; a talk began), then an input of the flow that decides about the
call. :data:`TABLE` has the tables of all flows: it has the rule that handles the input in the state of the call. The same
signal may come twice: what is already known makes no event.
"""

from __future__ import annotations

from trunkline.calls.context import CallContext
from trunkline.calls.decision import Decision
from trunkline.calls.effects import (
    Compensation,
    ConnectTargets,
    Effect,
    Hangup,
    Join,
    PlayFiles,
    RecordMessage,
    TakeControl,
)
from trunkline.calls.finish_reasons import Side, reason_hung_up, reason_media_lost
from trunkline.calls.flows import (
    click_to_call,
    coaching,
    consultation,
    employee_settings,
    engine_connect,
    external_decision,
    inbound,
    mailbox,
    menu,
    outbound,
    parking,
    queueing,
    recording,
    redirects,
    voice_message,
)
from trunkline.calls.flows.inputs import (
    Command,
    FlowSignal,
    InputElapsed,
    JoinFailed,
    Key,
    LegAnswered,
    LegGone,
    LegUnreached,
    MessagePlayed,
    MessageRecorded,
    NotConnected,
    PartyTaken,
    QuestionReply,
    RingElapsed,
    ScenarioPlayed,
    TalkOver,
)
from trunkline.calls.session import Leg, LegState, Phase, Role, Session
from trunkline.calls.states import (
    Controlled,
    Departure,
    Dialling,
    Forwarding,
    InQueue,
    MailboxGreeting,
    MailboxLogin,
    MailboxNewPin,
    State,
    Talking,
)
from trunkline.calls.summary import finished
from trunkline.calls.timers import (
    CONNECT_TIMER,
    MENU_TIMER,
    PARKING_TIMER,
    Elapsed,
    QuestionAnswered,
    QuestionFailed,
    TimerInput,
    ring_timer,
)
from trunkline.core import not_recorded
from trunkline.core.errors import (
    ChannelGone,
    EffectRefused,
    EffectTimedOut,
    EngineError,
    EngineUnavailable,
    NoChannelFree,
)
from trunkline.core.hangup_causes import (
    ANSWERED_ELSEWHERE,
    MEDIA_LOST,
    NORMAL_CLEARING,
    SWITCH_CONGESTION,
    TEMPORARY_FAILURE,
)
from trunkline.events.catalogue import EventType
from trunkline.events.reasons import Reason
from trunkline.telephony.port import (
    Answered,
    Channel,
    ConnectFinished,
    ConnectResult,
    ControlTaken,
    EarlyMedia,
    Ended,
    Joined,
    KeyPressed,
    Left,
    PlayFinished,
    RecordFinished,
    Redirected,
    Refused,
    Ringing,
    TargetStarted,
)

CallSignal = (
    TargetStarted
    | Ringing
    | Refused
    | EarlyMedia
    | Answered
    | Joined
    | Left
    | ConnectFinished
    | Ended
    | PlayFinished
    | RecordFinished
    | KeyPressed
    | Redirected
    | ControlTaken
)
"""The signals that concern a session that has begun."""

TABLE = inbound.TABLE.merged(
    menu.TABLE,
    external_decision.TABLE,
    mailbox.TABLE,
    employee_settings.TABLE,
    outbound.TABLE,
    click_to_call.TABLE,
    engine_connect.TABLE,
    consultation.TABLE,
    queueing.TABLE,
    parking.TABLE,
)
"""What each input means in each state of a call."""


def signal(session: Session, signal: CallSignal | TimerInput, context: CallContext) -> Decision:
    """What a signal about one of the session's channels, a timer of it or an answer to its question means."""
    decision = Decision(session, context, signal.at)
    if session.phase is Phase.ENDED:
        return decision
    try:
        _react(decision, signal)
        finish_when_empty(decision)
    except Exception as error:
        decision.failure = error
        _give_up(decision, signal)
    return decision


def command(decision: Decision, flow_input: Command) -> None:
    """A command that depends on the state of the call.

    :raises InvalidState: the state has no row for it.
    """
    TABLE.apply(decision, decision.session.state, flow_input)


def start(request: click_to_call.StartCall, context: CallContext, call_session_id: int) -> Decision:
    """Command: a call by the API. It may be over at once, when the first party has no phone to ring."""
    decision = click_to_call.open_call(request, context, call_session_id, context.now)
    finish_when_empty(decision)
    return decision


def effect_failed(session: Session, effect: Effect, error: EngineError, context: CallContext) -> Decision:
    """The engine did not carry out an effect: what its policy names is done instead."""
    decision = Decision(session, context, context.now)
    policy = effect.policy
    left_to_recovery = isinstance(error, EngineUnavailable) and policy.resumed
    connect = session.connect
    if (
        left_to_recovery
        and isinstance(effect, ConnectTargets)
        and connect
        and session.connecting_channel == effect.channel
    ):
        connect.is_confirmed = False
    if session.phase is Phase.ENDED or isinstance(error, ChannelGone) or left_to_recovery:
        return decision
    try:
        _compensate(decision, effect, error)
        finish_when_empty(decision)
    except Exception as failure:
        decision.failure = failure
        _give_up(decision)
    return decision


def _give_up(decision: Decision, signal: CallSignal | TimerInput | None = None) -> None:
    """A rule failed: its events so far stand, and the call is ended, so that nobody stays on a line nobody commands.

    :param signal: whose rule it was; None: that of a failed effect.
    """
    session = decision.session
    decision.end_session(Reason.INTERNAL_ERROR)
    if isinstance(signal, Ended):
        leg = session.leg_of(signal.channel)
        if leg is not None and leg.is_alive:
            decision.end_leg(leg, Reason.INTERNAL_ERROR, signal.cause)
    engine_connect.hang_up_all(decision, TEMPORARY_FAILURE)
    finish_when_empty(decision)


def _react(decision: Decision, signal: CallSignal | TimerInput) -> None:
    session = decision.session
    match signal:
        case TargetStarted():
            engine_connect.target_started(decision, signal)
        case Ringing():
            _ringing(decision, signal)
        case EarlyMedia():
            leg = session.leg_of(signal.channel)
            if leg is not None:
                leg.has_early_media = True
        case Refused():
            leg = session.leg_of(signal.channel)
            if leg is not None:
                leg.sip_code = signal.sip_code
        case Answered():
            _answered(decision, signal)
        case Joined():
            _joined(decision, signal)
        case Left():
            _left(decision, signal)
        case ConnectFinished():
            _connect_finished(decision, signal)
        case Redirected():
            redirects.note(decision, signal)
        case Ended():
            _note_answer_before_end(decision, signal)
            _ended(decision, signal)
        case ControlTaken():
            _control_taken(decision, signal)
        case PlayFinished():
            _played(decision, signal.play_id)
        case RecordFinished():
            _recorded(decision, signal.seconds, go_on=not signal.hung_up)
        case KeyPressed():
            leg = session.leg_of(signal.channel)
            if leg is not None:
                if not isinstance(
                    session.state, MailboxLogin | MailboxNewPin
                ):  # the digits of a PIN are stored nowhere
                    decision.emit(EventType.KEY_PRESSED, leg_id=leg.leg_id, key=signal.key)
                _flow(decision, Key(leg, signal.key))
        case Elapsed():
            _elapsed(decision, signal.key)
        case QuestionAnswered() | QuestionFailed():
            _question_closed(decision, signal)


def _flow(decision: Decision, flow_input: FlowSignal, before: State | None = None) -> None:
    """Give the flow its input.

    :param before: the state before the facts of the signal; None: as it is now.
    """
    TABLE.apply(decision, before or decision.session.state, flow_input)


# --- timers and questions ---------------------------------------------------------------------------------


def _elapsed(decision: Decision, key: str) -> None:
    """A deadline has passed. A timer that was cancelled meanwhile is not open any more."""
    session, before = decision.session, decision.session.state
    if key not in session.timers:
        decision.ignored.append(f"Elapsed {key.partition(':')[0]}")
        return
    decision.emit(EventType.TIMER_ELAPSED, key=key)
    leg = next((one for one in session.living if key == ring_timer(one.leg_id)), None)
    if leg is not None and leg.role is Role.COACH:
        coaching.stop_ringing(decision, leg)
    elif leg is not None:
        _flow(decision, RingElapsed(leg), before)
    elif key in (MENU_TIMER, PARKING_TIMER) or (key == CONNECT_TIMER and isinstance(before, InQueue)):
        _flow(decision, InputElapsed(), before)


def _question_closed(decision: Decision, signal: QuestionAnswered | QuestionFailed) -> None:
    if signal.key not in decision.session.questions:
        decision.ignored.append(type(signal).__name__)
        return
    why = signal.why if isinstance(signal, QuestionFailed) else None
    decision.emit(EventType.QUESTION_CLOSED, key=signal.key, why=why)
    value = signal.value if isinstance(signal, QuestionAnswered) else None
    _flow(decision, QuestionReply(signal.key, value))


# --- effects that failed ----------------------------------------------------------------------------------


def _compensate(decision: Decision, effect: Effect, error: EngineError) -> None:
    session = decision.session
    leg = session.leg_of(effect.channel)
    compensation = effect.policy.compensation(error)
    match effect, compensation:
        case _, Compensation.NOT_REACHED:
            if not isinstance(error, EffectRefused):
                decision.do(Hangup(effect.channel, TEMPORARY_FAILURE))
            _not_reached(decision, effect.channel, error)
        case _, Compensation.NOT_RECORDED:
            if leg is not None and leg.is_alive and leg.is_recorded:
                decision.emit(EventType.RECORDING_STOPPED, leg_id=leg.leg_id, paused=True)
        case TakeControl(), Compensation.CONTROL_LATE:
            coaching.dismiss(decision, TEMPORARY_FAILURE)
            if not isinstance(error, EngineUnavailable) and consultation.is_leaving_contact(session):
                decision.end_session(Reason.INTERNAL_ERROR)
                engine_connect.hang_up_all(decision, TEMPORARY_FAILURE)
            else:
                _control_is_late(decision, effect)
        case _, Compensation.COACH_LEAVES:
            coaching.dismiss(decision, TEMPORARY_FAILURE)
        case _ if session.ending is not None:
            pass
        case PlayFiles(), _:
            _played(decision, effect.play_id)
        case RecordMessage(), _:
            _recorded(decision, 0.0, go_on=True)
        case ConnectTargets(), Compensation.NOT_CONNECTED:
            cause = TEMPORARY_FAILURE
            if isinstance(error, NoChannelFree):
                engine_connect.refuse_targets(session, effect.channel)
                cause = SWITCH_CONGESTION
            refused = ConnectFinished(effect.channel, decision.at, ConnectResult.UNREACHABLE, cause)
            _connect_finished(decision, refused)
        case Join(), _ if leg is not None and leg.role is Role.COACH:
            decision.do(Hangup(leg.channel))
        case Join(), _ if leg is not None:
            _flow(decision, JoinFailed(leg, effect.bridge))
        case _, Compensation.END_CALL | Compensation.RESTORE:
            decision.end_session(Reason.INTERNAL_ERROR)
            engine_connect.hang_up_all(decision, TEMPORARY_FAILURE)


def _control_is_late(decision: Decision, effect: TakeControl) -> None:
    """The redirect of two who talk did not succeed in time, but it may be carried out: who is or comes under our control
    continues in our bridge."""
    session = decision.session
    if not isinstance(session.state, Talking) or not session.talking:
        return
    decision.emit(EventType.CALL_TAKEN, late=True)
    for channel in effect.channels:
        leg = session.leg_of(channel)
        if leg is not None and leg.is_alive and leg.is_redirected and leg.bridge is None:
            decision.do(consultation.into_talk(session, leg))


def _not_reached(decision: Decision, channel: Channel, error: EngineError) -> None:
    """An originate that never became a channel: no signal of its end will come."""
    session, before = decision.session, decision.session.state
    leg = session.leg_of(channel)
    if leg is None or not leg.is_alive or leg.answered_at is not None:
        return
    if isinstance(error, NoChannelFree):
        reason, cause = Reason.NO_RESOURCES, SWITCH_CONGESTION
    elif isinstance(error, EngineUnavailable | EffectTimedOut):
        # Says nothing of the party, who was not called.
        reason, cause = Reason.INTERNAL_ERROR, TEMPORARY_FAILURE
    else:
        reason, cause = engine_connect.why_unanswered(leg, TEMPORARY_FAILURE), TEMPORARY_FAILURE
    decision.end_leg(leg, reason, cause)
    if leg.role is not Role.COACH:
        _flow(decision, LegUnreached(leg, reason), before)


def _control_taken(decision: Decision, signal: ControlTaken) -> None:
    """A party came under our control. A command that waits for it goes on by itself."""
    session = decision.session
    leg = session.leg_of(signal.channel)
    if leg is not None:
        leg.is_redirected = True
        if leg.is_alive and not session.taking_control and session.ending is None:
            _flow(decision, PartyTaken(leg))


# --- legs answer and talk ---------------------------------------------------------------------------------


def _ringing(decision: Decision, signal: Ringing) -> None:
    leg = decision.session.leg_of(signal.channel)
    if leg is None or leg.state is not LegState.DIAL or leg.direction != "out" or leg.ringing_at is not None:
        return
    decision.emit(EventType.LEG_RINGING, leg_id=leg.leg_id)


def _answered(decision: Decision, signal: Answered) -> None:
    session, before = decision.session, decision.session.state
    leg = session.leg_of(signal.channel)
    if leg is None or leg.state is not LegState.DIAL:
        return
    decision.answer_leg(leg, at=signal.answered_at_phone, detection=signal.detection)
    if leg.direction == "out" and session.connecting_channel not in (None, leg.channel):
        engine_connect.target_answered(decision)
    if leg.role is Role.COACH:
        coaching.answered(decision, leg)
    elif session.ending is None:
        _flow(decision, LegAnswered(leg), before)


def _joined(decision: Decision, signal: Joined) -> None:
    session = decision.session
    leg = session.leg_of(signal.channel)
    if leg is None or not leg.is_alive:
        return
    leg.bridge = signal.bridge
    if session.ending is not None:
        return
    together = [one for one in session.living if one.bridge == signal.bridge]
    contact = next((one for one in together if one.side is Side.CONTACT), None)
    if contact is None:
        return
    for other in together:
        known = session.open_talk(other.leg_id) is not None
        if other.side is Side.OPERATOR and not known and consultation.starts_talk(session, other):
            _talk_started(decision, contact, other)


def _talk_started(decision: Decision, contact: Leg, other: Leg) -> None:
    session = decision.session
    of_queue = queueing.is_recorded(decision)
    for leg in (contact, other):
        if leg.state is LegState.DIAL:
            decision.answer_leg(leg)
    decision.emit(
        EventType.TALK_STARTED,
        leg_id=other.leg_id,
        contact_leg_id=contact.leg_id,
        employee_id=other.employee_id,
        employee_full_name=other.employee_full_name,
        employee_phone_number=other.employee_phone_number,
    )
    is_required = recording.is_required(decision, (contact.employee_id, other.employee_id))
    if session.record_wanted and (session.record_asked or is_required or of_queue):
        by_engine = not isinstance(session.state, Controlled)
        if by_engine and session.is_without_switch:
            recording.refuse(decision, contact, not_recorded.WITHOUT_SWITCH)
            return
        if by_engine and session.connect is not None and session.connect.not_recorded is not None:
            recording.refuse(decision, contact, session.connect.not_recorded)
            return
        for leg in (contact, other):
            recording.begin(decision, leg, by_engine=by_engine, asked=of_queue)


def _played(decision: Decision, play_id: str) -> None:
    session = decision.session
    if play_id == session.playing:
        session.playing = None
        if session.contact is not None and session.contact.is_alive:
            _flow(decision, ScenarioPlayed())
        return
    leg = session.legs.get(session.plays.pop(play_id, 0))
    if leg is None or not leg.is_alive or session.ending is not None:
        return
    session.message_played_to.add(leg.leg_id)
    _flow(decision, MessagePlayed(leg))


def _recorded(decision: Decision, seconds: float, *, go_on: bool) -> None:
    if voice_message.message_left(decision, seconds) or isinstance(decision.session.state, MailboxGreeting):
        _flow(decision, MessageRecorded(seconds, go_on))


# --- legs go ----------------------------------------------------------------------------------------------


def _left(decision: Decision, signal: Left) -> None:
    session = decision.session
    leg = session.leg_of(signal.channel)
    if leg is None or leg.bridge != signal.bridge:
        return
    leg.bridge = None
    if session.taking_control or session.leaving is not None:
        return  # it goes on under our control, or its end follows
    for talk in [t for t in session.talks if t.ended_at is None]:
        if talk.has(leg):
            decision.end_talk(talk.leg_id)


def _connect_finished(decision: Decision, signal: ConnectFinished) -> None:
    session = decision.session
    leg = session.leg_of(signal.channel)
    if not engine_connect.finished(decision, signal) or leg is None:
        return
    is_talked = signal.result is ConnectResult.ANSWERED
    may_follow = isinstance(session.state, Forwarding | Dialling) and session.ending is None
    if not is_talked and may_follow and redirects.follow(decision, leg):
        return
    _flow(decision, TalkOver(leg) if is_talked else NotConnected(leg, signal))


def _note_answer_before_end(decision: Decision, signal: Ended) -> None:
    """A party that picked up and left before its channel could be connected has answered, without the consequences."""
    leg = decision.session.leg_of(signal.channel)
    if signal.answered_at_phone is not None and leg is not None and leg.state is LegState.DIAL:
        decision.answer_leg(leg, at=signal.answered_at_phone)


def _ended(decision: Decision, signal: Ended) -> None:
    session, before = decision.session, decision.session.state
    leg = session.leg_of(signal.channel)
    if leg is None or not leg.is_alive or engine_connect.is_unresolved(session, leg):
        return
    leg.bridge = None
    if leg.direction == "out" and leg.answered_at is None:
        _unanswered_ended(decision, leg, signal)
        return
    early = (
        leg is session.initiator
        and not session.operations
        and len(session.legs) == 1
        and leg.direction == "in"
        and not leg.is_operator_side
    )
    reason = _why_gone(session, leg, signal)
    decision.end_leg(leg, reason, signal.cause, is_silent=is_silent(leg, signal))
    if leg is session.contact:
        # The caller hung up while speaking, and the engine reported that first.
        voice_message.message_left(decision, voice_message.spoken_seconds(session, signal.at))
    if leg.role is Role.COACH:
        if not session.living:
            decision.end_session(reason)
    elif session.taking_control:
        # The other party may have left the engine's bridge already: the engine does not end it then.
        session.end_connect()
        engine_connect.end_unresolved(decision, reason)
        decision.end_session(reason)
        engine_connect.hang_up_all(decision, NORMAL_CLEARING)
    else:
        _flow(decision, LegGone(leg, reason, early), before)


SILENT_SECONDS = 5.0
"""How long a leg is answered before the sound of its device must have arrived."""


def is_silent(leg: Leg, signal: Ended) -> bool:
    """Whether nothing arrived from the device of a leg that was answered for :data:`SILENT_SECONDS`. A device that sends no
    sound in pauses has sent some by then, and one that holds the call has sent it before."""
    return (
        signal.received == 0 and leg.answered_at is not None and signal.at - leg.answered_at >= SILENT_SECONDS
    )


def _why_gone(session: Session, leg: Leg, signal: Ended) -> Reason:
    if session.ending is None:
        if len(session.legs) == 1 and leg.direction == "out" and not signal.by_party:
            # No other party was called yet, so none hung up: no switch arrived in time, or the engine ended it.
            return Reason.INTERNAL_ERROR
        if leg is session.initiator and leg.answered_at is None:
            return reason_hung_up(leg.side)
    if leg.departure is not None:
        return _DEPARTURES[leg.departure]
    if session.ending is None and signal.cause == MEDIA_LOST and not signal.by_party:
        return reason_media_lost(leg.side)
    other = Side.CONTACT if leg.side is Side.OPERATOR else Side.OPERATOR
    if session.ending is not None:
        return session.ending
    return reason_hung_up(leg.side) if signal.by_party else engine_connect.reason_talk_over(session, other)


_DEPARTURES = {
    Departure.HANDED_OVER: Reason.TRANSFER_DISCONNECTS,
    Departure.SENT_AWAY: Reason.OPERATOR_DISCONNECTS,
}


_WITHOUT_ANSWER = {
    Departure.SENT_AWAY: Reason.OPERATOR_DISCONNECTS,
    # The agent's phone rang, and the contact went on: the agent has missed nothing.
    Departure.CONTACT_LEFT: Reason.ABANDONED_IN_QUEUE,
    Departure.QUEUE_ENDED: Reason.SCENARIO_DISCONNECTS,
}


def _unanswered_ended(decision: Decision, leg: Leg, signal: Ended) -> None:
    session, before = decision.session, decision.session.state
    reason = engine_connect.why_unanswered(leg, signal.cause)
    if session.ending is not None:
        decision.end_leg(leg, session.ending, signal.cause)
    elif leg.departure in _WITHOUT_ANSWER:
        decision.end_leg(leg, _WITHOUT_ANSWER[leg.departure], signal.cause)
    elif leg.role is Role.COACH:
        decision.end_leg(leg, reason, signal.cause)
    elif leg.leg_id == session.third_leg_id:
        decision.end_leg(leg, reason, signal.cause)
        _flow(decision, LegUnreached(leg, reason), before)
    elif signal.cause == ANSWERED_ELSEWHERE or engine_connect.another_answered(session, leg):
        decision.end_leg(leg, Reason.ANOTHER_OPERATOR_ANSWER, signal.cause)
    elif (
        session.connecting_channel is None
        or leg.channel == session.connecting_channel
        or leg is session.initiator
    ):
        # The switch called it itself: nobody else will explain.
        decision.end_leg(leg, reason, signal.cause)
        _flow(decision, LegUnreached(leg, reason), before)
    else:
        engine_connect.target_ended(decision, leg, signal)


def end_without_channels(decision: Decision) -> None:
    """End a call of which nothing but its beginning is known: no channel can be found for it."""
    decision.end_session(Reason.INTERNAL_ERROR)
    decision.emit(EventType.SESSION_FINISHED, **finished(decision.session, decision.at))


def end_uncalled(decision: Decision) -> None:
    """End a call whose parties were not called: its channels do not exist, so no signal ends its legs."""
    session = decision.session
    decision.end_session(Reason.INTERNAL_ERROR)
    reason = session.ending or Reason.INTERNAL_ERROR
    for leg in list(session.living):
        decision.end_leg(leg, reason, TEMPORARY_FAILURE)
    finish_when_empty(decision)


def finish_when_empty(decision: Decision) -> None:
    session = decision.session
    if session.phase is Phase.ENDED or not session.legs:
        return
    remaining = [leg for leg in session.living if not engine_connect.is_unresolved(session, leg)]
    if remaining and all(leg.role is Role.COACH for leg in remaining):
        engine_connect.hang_up_all(decision, NORMAL_CLEARING)
    if remaining:
        return
    engine_connect.end_unresolved(decision, session.ending)
    decision.end_session(_reason_of(session))
    ends = [leg.ended_at for leg in session.legs.values()] + [talk.ended_at for talk in session.talks]
    at = max((one for one in ends if one is not None), default=decision.at)
    decision.emit(EventType.SESSION_FINISHED, at=at, **finished(session, at))


def _reason_of(session: Session) -> Reason:
    """When nothing else decided: the last leg's reason."""
    parties = [leg for leg in session.legs.values() if leg.role is not Role.COACH]
    last = max(parties or session.legs.values(), key=lambda leg: (leg.ended_at or 0.0, leg.leg_id))
    return last.finish_reason or Reason.INTERNAL_ERROR
