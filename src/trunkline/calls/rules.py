"""The rules of a call: what each signal and command means. Pure: no I/O, no clock, no randomness.

Every handler may run twice with the same signal: what is already known makes no event. How a session began decides
which flow handles it: :mod:`~trunkline.calls.flows.inbound`, :mod:`~trunkline.calls.flows.outbound` or
:mod:`~trunkline.calls.flows.click_to_call`. This module has what the flows share: legs, talks, hang-ups, the end.
"""

from __future__ import annotations

from trunkline.calls.context import CallContext
from trunkline.calls.decision import Decision, is_own_channel
from trunkline.calls.effects import (
    Compensation,
    Dial,
    Effect,
    Hangup,
    Join,
    PlayFiles,
    RecordMessage,
    TakeControl,
)
from trunkline.calls.finish_reasons import (
    ANSWERED_ELSEWHERE,
    NO_ANSWER,
    SUBSCRIBER_ABSENT,
    TEMPORARY_FAILURE,
    Side,
    cause_for_result,
    hung_up,
    unanswered,
)
from trunkline.calls.flows import click_to_call, coaching, consultation, dialing, inbound, outbound, recording
from trunkline.calls.records.summary import finished
from trunkline.calls.session import Leg, LegState, PendingTarget, Phase, Role, Session, UnresolvedLeg
from trunkline.calls.timers import Elapsed, QuestionAnswered, QuestionFailed, TimerInput, ring_timer
from trunkline.core.errors import ChannelGone, EffectRefused, EffectTimedOut, EngineError, EngineUnavailable
from trunkline.directory.model import CallRecording
from trunkline.events.catalogue import EventType
from trunkline.events.reasons import Reason
from trunkline.telephony.port import (
    Answered,
    Channel,
    ConnectFinished,
    ConnectResult,
    ControlTaken,
    Ended,
    Joined,
    KeyPressed,
    Left,
    PlayFinished,
    RecordFinished,
    Ringing,
    TargetStarted,
)

CallSignal = (
    TargetStarted
    | Ringing
    | Answered
    | Joined
    | Left
    | ConnectFinished
    | Ended
    | PlayFinished
    | RecordFinished
    | KeyPressed
    | ControlTaken
)
"""The signals that concern a session that has begun."""

_NORMAL_CAUSES = frozenset({0, 16, 127})
"""Causes of an unanswered leg without information: elapsed ring time, caller hang-up and answer elsewhere have the same."""


def signal(session: Session, heard: CallSignal | TimerInput, context: CallContext) -> Decision:
    """What a signal about one of the session's channels, a timer of it or an answer to its question means."""
    decision = Decision(session, context, heard.at)
    if session.phase is Phase.ENDED:
        return decision
    try:
        _react(decision, heard)
        _finish_when_empty(decision)
    except Exception as error:
        decision.failure = error
        _give_up(decision, heard)
    return decision


def _give_up(decision: Decision, heard: CallSignal | TimerInput) -> None:
    """A rule failed: its events are kept, and the call is ended, so that no channel remains without control."""
    session = decision.session
    decision.ending(Reason.INTERNAL_ERROR)
    if isinstance(heard, Ended):
        leg = session.leg_of(heard.channel)
        if leg is not None and leg.alive:
            decision.end_leg(leg, Reason.INTERNAL_ERROR, heard.cause)
    _hang_up_all(decision, TEMPORARY_FAILURE)
    _finish_when_empty(decision)


def _react(decision: Decision, heard: CallSignal | TimerInput) -> None:
    session = decision.session
    match heard:
        case TargetStarted():
            _target_started(decision, heard)
        case Ringing():
            leg = session.leg_of(heard.channel)
            if (
                leg is not None
                and leg.state is LegState.DIAL
                and leg.ringing_at is None
                and leg.direction == "out"
            ):
                decision.emit(EventType.LEG_RINGING, leg_id=leg.leg_id)
        case Answered():
            _answered(decision, heard)
        case Joined():
            _joined(decision, heard)
        case Left():
            _left(decision, heard)
        case ConnectFinished():
            _connect_finished(decision, heard)
        case Ended():
            _ended(decision, heard)
        case ControlTaken():
            _control_taken(decision, heard)
        case PlayFinished():
            _played(decision, heard.play_id)
        case RecordFinished():
            inbound.message_recorded(decision, heard.seconds, go_on=not heard.hung_up)
        case KeyPressed():
            leg = session.leg_of(heard.channel)
            if leg is not None:
                decision.emit(EventType.KEY_PRESSED, leg_id=leg.leg_id, key=heard.key)
                click_to_call.key_pressed(decision, leg, heard.key)
        case Elapsed():
            _elapsed(decision, heard.key)
        case QuestionAnswered() | QuestionFailed():
            _question_closed(decision, heard)


def _elapsed(decision: Decision, key: str) -> None:
    """A deadline has passed. A timer that was cancelled meanwhile is not open any more."""
    session = decision.session
    if key not in session.timers:
        decision.ignored.append(f"elapsed {key.partition(':')[0]}")
        return
    decision.emit(EventType.TIMER_ELAPSED, key=key)
    for leg in session.living:
        if key == ring_timer(leg.leg_id):
            # Its end, which follows as a signal, decides what comes next.
            decision.do(Hangup(leg.channel, NO_ANSWER))


def _question_closed(decision: Decision, heard: QuestionAnswered | QuestionFailed) -> None:
    session = decision.session
    kind = session.questions.get(heard.key)
    if kind is None:
        decision.ignored.append("question_closed")
        return
    why = heard.why if isinstance(heard, QuestionFailed) else None
    decision.emit(EventType.QUESTION_CLOSED, key=heard.key, why=why)


def start(request: click_to_call.StartCall, context: CallContext, call_session_id: int) -> Decision:
    """Command: a call by the API. It may be over at once, when the first party has no phone to ring."""
    decision = click_to_call.open_call(request, context, call_session_id, context.now)
    _finish_when_empty(decision)
    return decision


def settle(decision: Decision) -> None:
    """After a command: end the session when no party is left."""
    _finish_when_empty(decision)


def effect_failed(session: Session, effect: Effect, error: EngineError, context: CallContext) -> Decision:
    """The engine did not carry out an effect: what its policy names is done instead."""
    decision = Decision(session, context, context.now)
    policy = effect.policy
    left_to_recovery = isinstance(error, EngineUnavailable) and policy.resumed
    if left_to_recovery and isinstance(effect, Dial) and session.dialling == effect.channel:
        session.unconfirmed_dial = effect.channel
    if session.phase is Phase.ENDED or isinstance(error, ChannelGone) or left_to_recovery:
        return decision
    try:
        _compensate(decision, effect, error)
        _finish_when_empty(decision)
    except Exception as failure:
        decision.failure = failure
        decision.ending(Reason.INTERNAL_ERROR)
        _hang_up_all(decision, TEMPORARY_FAILURE)
        _finish_when_empty(decision)
    return decision


def _compensate(decision: Decision, effect: Effect, error: EngineError) -> None:
    session = decision.session
    leg = session.leg_of(effect.channel)
    compensation = effect.policy.compensation
    if isinstance(effect, Dial) and isinstance(error, EffectTimedOut):
        compensation = Compensation.END_CALL  # its targets may ring yet: only its end stops them
    match effect, compensation:
        case _, Compensation.NOT_REACHED:
            if not isinstance(error, EffectRefused):
                decision.do(Hangup(effect.channel, TEMPORARY_FAILURE))
            _not_reached(decision, effect.channel)
        case _, Compensation.NOT_RECORDED:
            if leg is not None and leg.alive and leg.is_recorded:
                decision.emit(EventType.RECORDING_STOPPED, leg_id=leg.leg_id, paused=True)
        case TakeControl(), _:
            _dismiss_coaches(decision)
            _control_taken_late(decision, effect)
        case _, Compensation.COACH_LEAVES:
            _dismiss_coaches(decision)
        case _ if session.ending is not None:
            pass
        case PlayFiles(), _:
            _played(decision, effect.play_id)
        case RecordMessage(), _:
            inbound.message_recorded(decision, 0.0)
        case Dial(), Compensation.NOT_CONNECTED:
            refused = ConnectFinished(
                effect.channel, decision.at, ConnectResult.UNREACHABLE, TEMPORARY_FAILURE
            )
            _connect_finished(decision, refused)
        case Join(), _ if leg is not None and consultation.restore_after_failed_join(
            decision, leg, effect.bridge
        ):
            pass
        case _, Compensation.END_CALL | Compensation.RESTORE:
            decision.ending(Reason.INTERNAL_ERROR)
            _hang_up_all(decision, TEMPORARY_FAILURE)


def _dismiss_coaches(decision: Decision) -> None:
    for leg in decision.session.living:
        if leg.role is Role.COACH and leg.answered_at is not None:
            decision.do(Hangup(leg.channel, TEMPORARY_FAILURE))


def _control_taken_late(decision: Decision, effect: TakeControl) -> None:
    """The redirect of two who talk did not succeed in time, but it may be carried out: who is or comes under our control
    continues in our bridge."""
    session = decision.session
    if not session.controlled or not session.talking or session.ending is not None:
        return
    session.control_taken_late = True
    for channel in effect.channels:
        leg = session.leg_of(channel)
        if leg is not None and leg.alive and leg.is_redirected and leg.bridge is None:
            decision.do(Join(channel, consultation.talk_bridge(session)))


def _not_reached(decision: Decision, channel: Channel) -> None:
    """An originate that never became a channel: no signal of its end will come."""
    session = decision.session
    leg = session.leg_of(channel)
    if leg is None or not leg.alive or leg.answered_at is not None:
        return
    is_added = leg.role is Role.COACH or leg.leg_id == session.third_leg_id
    reason = unanswered(_role_side(leg), TEMPORARY_FAILURE, is_line=leg.sip_line_id is not None)
    decision.end_leg(leg, reason, TEMPORARY_FAILURE)
    if is_added:
        consultation.leg_ended(decision, leg, reason)
    else:
        click_to_call.leg_failed(decision, leg)


def _control_taken(decision: Decision, heard: ControlTaken) -> None:
    """A party came under our control after the command that waited for it had failed: the talk continues in our bridge."""
    session = decision.session
    leg = session.leg_of(heard.channel)
    if leg is not None:
        leg.is_redirected = True
    if leg is None or not leg.alive or session.taking_control or session.ending is not None:
        return
    others = [one for one in session.living if one is not leg and one.role is not Role.COACH]
    is_apart = session.phase in (Phase.HOLD, Phase.DIALING, Phase.OPERATOR_TALK)
    if session.controlled and (is_apart or not session.control_taken_late):
        return
    if not others:
        decision.ending(hung_up(_other(leg.side)))
        decision.do(Hangup(leg.channel))
        return
    if not session.controlled:
        session.dialling = None
        session.pending_targets = []
        session.control_taken_late = True
        decision.emit(EventType.CALL_TAKEN)
    leg.bridge = None
    decision.do(Join(leg.channel, consultation.talk_bridge(session)))


# --- legs appear and answer -------------------------------------------------------------------------------


def _target_started(decision: Decision, heard: TargetStarted) -> None:
    session = decision.session
    session.unconfirmed_dial = None
    if session.leg_of(heard.channel) is not None:
        return
    fitting = [
        e
        for e in session.pending_targets
        if e.endpoint == heard.endpoint and _same_number(e.number, heard.number)
    ]
    # Two may be called by one number, with extensions of their own; a line may have several devices.
    pending = next((e for e in fitting if not e.appeared), fitting[0] if fitting else None)
    if pending is not None:
        pending.appeared = True
    data = dict(pending.leg) if pending is not None else dialing.unexpected(decision, heard)
    decision.start_leg(heard.channel, data)


def _same_number(wanted: str | None, dialled: str | None) -> bool:
    return (wanted or "").lstrip("+") == (dialled or "").lstrip("+")


def _answered(decision: Decision, heard: Answered) -> None:
    session = decision.session
    leg = session.leg_of(heard.channel)
    if leg is None or leg.state is not LegState.DIAL:
        return
    decision.answer_leg(leg)
    if leg.direction == "out" and session.dialling not in (None, leg.channel):
        _decide(decision, Reason.ANOTHER_OPERATOR_ANSWER)
        _report_unmade(decision, session.pending_targets, SUBSCRIBER_ABSENT)
    if not consultation.leg_answered(decision, leg) and not coaching.leg_answered(decision, leg):
        click_to_call.leg_answered(decision, leg)


def _joined(decision: Decision, heard: Joined) -> None:
    session = decision.session
    leg = session.leg_of(heard.channel)
    if leg is None or not leg.alive:
        return
    leg.bridge = heard.bridge
    if session.ending is not None:
        return
    together = [one for one in session.living if one.bridge == heard.bridge]
    contact = next((one for one in together if one.side is Side.CONTACT), None)
    if contact is None:
        return
    for other in together:
        known = session.open_talk(other.leg_id) is not None
        if other.side is Side.OPERATOR and not known and consultation.starts_talk(session, other):
            _talk_started(decision, contact, other)


def _talk_started(decision: Decision, contact: Leg, other: Leg) -> None:
    session = decision.session
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
    if session.record_wanted and (session.record_asked or _records(decision, contact, other)):
        if not session.controlled and not session.engine_records:
            recording.refuse(decision, contact)
            return
        for leg in (contact, other):
            recording.begin(decision, leg, by_engine=not session.controlled)


def _records(decision: Decision, *legs: Leg) -> bool:
    """Whether one of the employees in this talk wants calls of this direction recorded."""
    direction = decision.session.direction
    served_by_employee = False
    for leg in legs:
        employee = (
            decision.context.account.employees.get(leg.employee_id) if leg.employee_id is not None else None
        )
        if employee is not None:
            served_by_employee = True
            if employee.call_recording in (CallRecording.ALL, CallRecording(direction)):
                return True
    return not served_by_employee


def _played(decision: Decision, play_id: str) -> None:
    session = decision.session
    if play_id == session.playing:
        session.playing = None
        inbound.played(decision)
        return
    leg = session.legs.get(session.plays.pop(play_id, 0))
    if leg is None or not leg.alive or session.ending is not None:
        return
    session.heard.add(leg.leg_id)
    if session.talks:
        consultation.message_heard(decision, leg)
    else:
        click_to_call.message_heard(decision, leg)


# --- legs go ----------------------------------------------------------------------------------------------


def _left(decision: Decision, heard: Left) -> None:
    session = decision.session
    leg = session.leg_of(heard.channel)
    if leg is None or leg.bridge != heard.bridge:
        return
    leg.bridge = None
    if session.taking_control:
        return  # it goes on under our control, or its end follows
    for talk in [t for t in session.talks if t.ended_at is None]:
        if talk.has(leg):
            decision.end_talk(talk.leg_id)


def _connect_finished(decision: Decision, heard: ConnectFinished) -> None:
    session = decision.session
    if session.dialling != heard.channel or heard.at <= session.connect_finished_at:
        return
    session.connect_finished_at = heard.at
    session.dialling = session.unconfirmed_dial = None
    pending_targets, session.pending_targets = session.pending_targets, []
    leg = session.leg_of(heard.channel)
    if leg is None or not leg.alive:
        return
    talked = heard.result is ConnectResult.ANSWERED
    _decide(decision, Reason.ANOTHER_OPERATOR_ANSWER if talked else None)
    unreachable = heard.result is ConnectResult.UNREACHABLE
    _report_unmade(
        decision, pending_targets, heard.cause if unreachable and heard.cause else SUBSCRIBER_ABSENT
    )
    if session.ending is not None:
        decision.do(Hangup(heard.channel))
        return
    if talked:
        other = next(
            (one for one in session.legs.values() if one.side is not leg.side and one.is_talked), None
        )
        decision.ending(hung_up(other.side if other is not None else leg.side))
        decision.do(Hangup(heard.channel))
        return
    _close_undone(decision, heard)
    if session.left_to_scenario:
        inbound.not_connected(decision)
    elif session.plan:
        click_to_call.not_connected(decision, leg, heard)
    elif leg.serves:
        outbound.not_connected(decision, leg, heard)
    else:
        inbound.not_connected(decision)


def _report_unmade(decision: Decision, pending_targets: list[PendingTarget], cause: int) -> None:
    """Targets of which the engine could not even make a channel: no registered device, no way to the trunk."""
    for one in pending_targets:
        if one.appeared:
            continue
        one.appeared = True
        leg = decision.start_leg(Channel(""), dict(one.leg))
        decision.end_leg(leg, unanswered(_role_side(leg), cause, is_line=leg.sip_line_id is not None), cause)


def _close_undone(decision: Decision, heard: ConnectFinished) -> None:
    """Targets that the engine gave up but whose end is not reported yet: their reasons follow from the result."""
    cause = cause_for_result(heard.result, heard.cause)
    for leg in decision.session.living:
        ours = is_own_channel(leg.channel)  # a coach, say: the engine did not call it for this
        if not ours and leg.channel != heard.channel and leg.answered_at is None and leg.direction == "out":
            decision.end_leg(
                leg, unanswered(_role_side(leg), cause, is_line=leg.sip_line_id is not None), cause
            )


def _ended(decision: Decision, heard: Ended) -> None:
    session = decision.session
    leg = session.leg_of(heard.channel)
    if leg is None or not leg.alive or _is_unresolved(session, leg):
        return
    leg.bridge = None
    if leg.direction == "out" and leg.answered_at is None:
        _unanswered_ended(decision, leg, heard)
        return
    reason = (
        consultation.reason_of_leaving(session, leg)
        or session.ending
        or hung_up(leg.side if heard.by_party else _other(leg.side))
    )
    early = (
        leg is session.initiator
        and not session.operations
        and len(session.legs) == 1
        and leg.direction == "in"
        and not leg.serves
    )
    if leg is session.initiator and leg.answered_at is None and session.ending is None:
        reason = hung_up(leg.side)
    if session.plan and len(session.legs) == 1 and not heard.by_party and session.ending is None:
        # No other party was called yet, so none hung up: no switch was available, or the engine ended it.
        reason = Reason.INTERNAL_ERROR
    decision.end_leg(leg, reason, heard.cause)
    if session.message is not None and leg is session.contact:
        # The caller hung up while speaking, and the engine reported that first.
        inbound.message_recorded(decision, inbound.spoken_seconds(session, heard.at))
    if session.taking_control and leg.role is not Role.COACH:
        # The other party may have left the engine's bridge already: the engine does not end it then.
        session.dialling = None
        _decide(decision, reason)
        decision.ending(reason)
        _hang_up_all(decision, 16)
    elif (
        session.dialling is None
        and (session.controlled or session.follows_plan)
        and leg.role is not Role.COACH
    ):
        consultation.leg_ended(decision, leg, reason)
    elif leg.channel in (session.dialling, _anchor_channel(session)):
        engine_clears = leg.channel == session.dialling
        session.dialling = None
        _decide(decision, reason)
        decision.ending(Reason.DISCONNECT_BEFORE_CALL_PROCESSING if early else reason)
        if not engine_clears:
            _hang_up_all(decision, 16)
    elif not session.living:
        decision.ending(reason)


def being_connected(session: Session) -> Channel | None:
    """The channel that the engine is connecting according to the event log: other parties are called for it."""
    leg = anchor(session)
    if leg is None or not leg.alive or session.controlled:
        return None
    called = any(
        one.direction == "out" and not is_own_channel(one.channel) and not one.handed_over
        for one in session.living
        if one is not leg
    )
    return leg.channel if called else None


def anchor(session: Session) -> Leg | None:
    """The leg without which the call cannot go on: the one that began it; by the API, the first that answered;
    after it was handed over to a scenario, the contact."""
    if session.left_to_scenario:
        return session.contact
    if session.plan:
        return next((leg for leg in session.legs.values() if leg.answered_at is not None), None)
    return session.initiator


def _anchor_channel(session: Session) -> Channel | None:
    leg = anchor(session)
    return leg.channel if leg is not None else None


def _unanswered_ended(decision: Decision, leg: Leg, heard: Ended) -> None:
    session = decision.session
    reason = unanswered(_role_side(leg), heard.cause, is_line=leg.sip_line_id is not None)
    if session.ending is not None:
        decision.end_leg(leg, session.ending, heard.cause)
    elif leg.sent_away:
        decision.end_leg(leg, Reason.OPERATOR_DISCONNECTS, heard.cause)
    elif leg.role is Role.COACH or leg.leg_id == session.third_leg_id:
        decision.end_leg(leg, reason, heard.cause)
        consultation.leg_ended(decision, leg, reason)
    elif heard.cause == ANSWERED_ELSEWHERE or _another_answered(session, leg):
        decision.end_leg(leg, Reason.ANOTHER_OPERATOR_ANSWER, heard.cause)
    elif session.dialling is None or leg.channel == session.dialling or leg is session.initiator:
        # Called by the switch itself (API): there is no other result.
        decision.end_leg(leg, reason, heard.cause)
        click_to_call.leg_failed(decision, leg)
    elif heard.cause in _NORMAL_CAUSES and not heard.by_party:
        session.unresolved.append(UnresolvedLeg(leg.leg_id, heard.at, heard.cause))
    else:
        decision.end_leg(leg, reason, heard.cause)


def _another_answered(session: Session, leg: Leg) -> bool:
    """Whether somebody else who was called for the same place in the call has picked up."""
    return any(
        one.answered_at is not None and one.direction == "out" and one.side is leg.side
        for one in session.living
        if one is not leg and one.role is not Role.COACH
    )


def _is_unresolved(session: Session, leg: Leg) -> bool:
    return any(one.leg_id == leg.leg_id for one in session.unresolved)


def _decide(decision: Decision, reason: Reason | None) -> None:
    """Close the undecided legs; None = the ring time was over."""
    session = decision.session
    for one in session.unresolved:
        leg = session.legs[one.leg_id]
        if leg.alive:
            decision.end_leg(
                leg,
                reason or unanswered(_role_side(leg), 0, is_line=leg.sip_line_id is not None),
                one.cause,
                at=one.at,
            )
    session.unresolved = []


def _role_side(leg: Leg) -> Side:
    """Whose reasons to use: an employee called by a colleague is an operator, though on the contact's side."""
    return Side.CONTACT if leg.role is Role.CONTACT else Side.OPERATOR


def _other(side: Side) -> Side:
    return Side.CONTACT if side is Side.OPERATOR else Side.OPERATOR


def _hang_up_all(decision: Decision, cause: int) -> None:
    for leg in decision.session.living:
        decision.do(Hangup(leg.channel, cause))


def abandon(decision: Decision) -> None:
    """End a call of which nothing but its beginning is known: no channel can be found for it."""
    decision.ending(Reason.INTERNAL_ERROR)
    decision.emit(EventType.SESSION_FINISHED, **finished(decision.session, decision.at))


def _finish_when_empty(decision: Decision) -> None:
    session = decision.session
    if session.phase is Phase.ENDED or not session.legs:
        return
    remaining = [leg for leg in session.living if not _is_unresolved(session, leg)]
    if remaining and all(leg.role is Role.COACH for leg in remaining):
        _hang_up_all(decision, 16)
    if remaining:
        return
    _decide(decision, session.ending)
    decision.ending(_reason_of(session))
    ends = [leg.ended_at for leg in session.legs.values()] + [talk.ended_at for talk in session.talks]
    at = max((one for one in ends if one is not None), default=decision.at)
    decision.emit(EventType.SESSION_FINISHED, at=at, **finished(session, at))


def _reason_of(session: Session) -> Reason:
    """When nothing else decided: the last leg's reason."""
    parties = [leg for leg in session.legs.values() if leg.role is not Role.COACH]
    last = max(parties or session.legs.values(), key=lambda leg: (leg.ended_at or 0.0, leg.leg_id))
    return last.finish_reason or Reason.INTERNAL_ERROR
