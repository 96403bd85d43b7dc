"""The rules of a call: what each signal and command means. Pure: no I/O, no clock, no randomness.

Every handler may run twice with the same signal: what is already known makes no event. How a session began decides
which flow handles it: :mod:`~trunkline.calls.flows.inbound`, :mod:`~trunkline.calls.flows.outbound` or
:mod:`~trunkline.calls.flows.click_to_call`. This module has what the flows share: legs, talks, hang-ups, the end.
"""

from __future__ import annotations

from trunkline.calls.context import Look
from trunkline.calls.decision import Turn, is_own_channel
from trunkline.calls.effects import Compensation, Dial, Effect, Hangup, Join, PlayFiles, RecordMessage, Take
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
from trunkline.calls.session import Expected, Leg, LegState, Phase, Role, Session, Undecided
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
    Ended,
    Joined,
    KeyPressed,
    Left,
    PlayFinished,
    RecordFinished,
    Ringing,
    Taken,
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
    | Taken
)
"""The signals that concern a session that has begun."""

_QUIET_CAUSES = frozenset({0, 16, 127})
"""Causes of an unanswered leg without information: elapsed ring time, caller hang-up and answer elsewhere have the same."""


def signal(session: Session, heard: CallSignal | TimerInput, look: Look) -> Turn:
    """What a signal about one of the session's channels, a timer of it or an answer to its question means."""
    turn = Turn(session, look, heard.at)
    if session.phase is Phase.ENDED:
        return turn
    try:
        _react(turn, heard)
        _finish_when_empty(turn)
    except Exception as error:
        turn.failure = error
        _give_up(turn, heard)
    return turn


def _give_up(turn: Turn, heard: CallSignal | TimerInput) -> None:
    """A rule failed: its events are kept, and the call is ended, so that no channel remains without control."""
    session = turn.session
    turn.ending(Reason.INTERNAL_ERROR)
    if isinstance(heard, Ended):
        leg = session.leg_of(heard.channel)
        if leg is not None and leg.alive:
            turn.end_leg(leg, Reason.INTERNAL_ERROR, heard.cause)
    _hang_up_all(turn, TEMPORARY_FAILURE)
    _finish_when_empty(turn)


def _react(turn: Turn, heard: CallSignal | TimerInput) -> None:
    session = turn.session
    match heard:
        case TargetStarted():
            _target_started(turn, heard)
        case Ringing():
            leg = session.leg_of(heard.channel)
            if (
                leg is not None
                and leg.state is LegState.DIAL
                and leg.ringing_at is None
                and leg.direction == "out"
            ):
                turn.emit(EventType.LEG_RINGING, leg_id=leg.leg_id)
        case Answered():
            _answered(turn, heard)
        case Joined():
            _joined(turn, heard)
        case Left():
            _left(turn, heard)
        case ConnectFinished():
            _connect_finished(turn, heard)
        case Ended():
            _ended(turn, heard)
        case Taken():
            _taken(turn, heard)
        case PlayFinished():
            _played(turn, heard.play_id)
        case RecordFinished():
            inbound.message_recorded(turn, heard.seconds, go_on=not heard.hung_up)
        case KeyPressed():
            leg = session.leg_of(heard.channel)
            if leg is not None:
                turn.emit(EventType.KEY_PRESSED, leg_id=leg.leg_id, key=heard.key)
                click_to_call.key_pressed(turn, leg, heard.key)
        case Elapsed():
            _elapsed(turn, heard.key)
        case QuestionAnswered() | QuestionFailed():
            _question_closed(turn, heard)


def _elapsed(turn: Turn, key: str) -> None:
    """A deadline has passed. A timer that was cancelled meanwhile is not open any more."""
    session = turn.session
    if key not in session.timers:
        turn.ignored.append(f"elapsed {key.partition(':')[0]}")
        return
    turn.emit(EventType.TIMER_ELAPSED, key=key)
    for leg in session.living:
        if key == ring_timer(leg.leg_id):
            # Its end, which follows as a signal, decides what comes next.
            turn.do(Hangup(leg.channel, NO_ANSWER))


def _question_closed(turn: Turn, heard: QuestionAnswered | QuestionFailed) -> None:
    session = turn.session
    kind = session.questions.get(heard.key)
    if kind is None:
        turn.ignored.append("question_closed")
        return
    why = heard.why if isinstance(heard, QuestionFailed) else None
    turn.emit(EventType.QUESTION_CLOSED, key=heard.key, why=why)


def start(request: click_to_call.StartCall, look: Look, call_session_id: int) -> Turn:
    """Command: a call by the API. It may be over at once, when the first party has no phone to ring."""
    turn = click_to_call.open_call(request, look, call_session_id, look.now)
    _finish_when_empty(turn)
    return turn


def settle(turn: Turn) -> None:
    """After a command: end the session when no party is left."""
    _finish_when_empty(turn)


def effect_failed(session: Session, effect: Effect, error: EngineError, look: Look) -> Turn:
    """The engine did not carry out an effect: what its policy names is done instead."""
    turn = Turn(session, look, look.now)
    policy = effect.policy
    left_to_recovery = isinstance(error, EngineUnavailable) and policy.resumed
    if left_to_recovery and isinstance(effect, Dial) and session.dialling == effect.channel:
        session.unconfirmed_dial = effect.channel
    if session.phase is Phase.ENDED or isinstance(error, ChannelGone) or left_to_recovery:
        return turn
    try:
        _compensate(turn, effect, error)
        _finish_when_empty(turn)
    except Exception as failure:
        turn.failure = failure
        turn.ending(Reason.INTERNAL_ERROR)
        _hang_up_all(turn, TEMPORARY_FAILURE)
        _finish_when_empty(turn)
    return turn


def _compensate(turn: Turn, effect: Effect, error: EngineError) -> None:
    session = turn.session
    leg = session.leg_of(effect.channel)
    compensation = effect.policy.compensation
    if isinstance(effect, Dial) and isinstance(error, EffectTimedOut):
        compensation = Compensation.END_CALL  # its targets may ring yet: only its end stops them
    match effect, compensation:
        case _, Compensation.NOT_REACHED:
            if not isinstance(error, EffectRefused):
                turn.do(Hangup(effect.channel, TEMPORARY_FAILURE))
            _not_reached(turn, effect.channel)
        case _, Compensation.NOT_RECORDED:
            if leg is not None and leg.alive and leg.is_recorded:
                turn.emit(EventType.RECORDING_STOPPED, leg_id=leg.leg_id, paused=True)
        case Take(), _:
            _dismiss_coaches(turn)
            _control_taken_late(turn, effect)
        case _, Compensation.COACH_LEAVES:
            _dismiss_coaches(turn)
        case _ if session.ending is not None:
            pass
        case PlayFiles(), _:
            _played(turn, effect.play_id)
        case RecordMessage(), _:
            inbound.message_recorded(turn, 0.0)
        case Dial(), Compensation.NOT_CONNECTED:
            refused = ConnectFinished(effect.channel, turn.at, ConnectResult.UNREACHABLE, TEMPORARY_FAILURE)
            _connect_finished(turn, refused)
        case Join(), _ if leg is not None and consultation.restore_after_failed_join(
            turn, leg, effect.bridge
        ):
            pass
        case _, Compensation.END_CALL | Compensation.RESTORE:
            turn.ending(Reason.INTERNAL_ERROR)
            _hang_up_all(turn, TEMPORARY_FAILURE)


def _dismiss_coaches(turn: Turn) -> None:
    for leg in turn.session.living:
        if leg.role is Role.COACH and leg.answered_at is not None:
            turn.do(Hangup(leg.channel, TEMPORARY_FAILURE))


def _control_taken_late(turn: Turn, effect: Take) -> None:
    """The redirect of two who talk did not succeed in time, but it may be carried out: who is or comes under our control
    continues in our bridge."""
    session = turn.session
    if not session.managed or not session.talking or session.ending is not None:
        return
    session.control_taken_late = True
    for channel in effect.channels:
        leg = session.leg_of(channel)
        if leg is not None and leg.alive and leg.is_redirected and leg.bridge is None:
            turn.do(Join(channel, consultation.talk_bridge(session)))


def _not_reached(turn: Turn, channel: Channel) -> None:
    """An originate that never became a channel: no signal of its end will come."""
    session = turn.session
    leg = session.leg_of(channel)
    if leg is None or not leg.alive or leg.answered_at is not None:
        return
    is_added = leg.role is Role.COACH or leg.leg_id == session.third_leg_id
    reason = unanswered(_role_side(leg), TEMPORARY_FAILURE, is_line=leg.sip_line_id is not None)
    turn.end_leg(leg, reason, TEMPORARY_FAILURE)
    if is_added:
        consultation.leg_ended(turn, leg, reason)
    else:
        click_to_call.leg_failed(turn, leg)


def _taken(turn: Turn, heard: Taken) -> None:
    """A party came under our control after the command that waited for it had failed: the talk continues in our bridge."""
    session = turn.session
    leg = session.leg_of(heard.channel)
    if leg is not None:
        leg.is_redirected = True
    if leg is None or not leg.alive or session.taking_control or session.ending is not None:
        return
    others = [one for one in session.living if one is not leg and one.role is not Role.COACH]
    is_apart = session.phase in (Phase.HOLD, Phase.DIALING, Phase.OPERATOR_TALK)
    if session.managed and (is_apart or not session.control_taken_late):
        return
    if not others:
        turn.ending(hung_up(_other(leg.side)))
        turn.do(Hangup(leg.channel))
        return
    if not session.managed:
        session.dialling = None
        session.expected = []
        session.control_taken_late = True
        turn.emit(EventType.CALL_TAKEN)
    leg.bridge = None
    turn.do(Join(leg.channel, consultation.talk_bridge(session)))


# --- legs appear and answer -------------------------------------------------------------------------------


def _target_started(turn: Turn, heard: TargetStarted) -> None:
    session = turn.session
    session.unconfirmed_dial = None
    if session.leg_of(heard.channel) is not None:
        return
    fitting = [
        e for e in session.expected if e.endpoint == heard.endpoint and _same_number(e.number, heard.number)
    ]
    # Two may be called by one number, with extensions of their own; a line may have several devices.
    expected = next((e for e in fitting if not e.appeared), fitting[0] if fitting else None)
    if expected is not None:
        expected.appeared = True
    data = dict(expected.leg) if expected is not None else dialing.unexpected(turn, heard)
    turn.start_leg(heard.channel, data)


def _same_number(wanted: str | None, dialled: str | None) -> bool:
    return (wanted or "").lstrip("+") == (dialled or "").lstrip("+")


def _answered(turn: Turn, heard: Answered) -> None:
    session = turn.session
    leg = session.leg_of(heard.channel)
    if leg is None or leg.state is not LegState.DIAL:
        return
    turn.answer_leg(leg)
    if leg.direction == "out" and session.dialling not in (None, leg.channel):
        _decide(turn, Reason.ANOTHER_OPERATOR_ANSWER)
        _tell_of_unmade(turn, session.expected, SUBSCRIBER_ABSENT)
    if not consultation.leg_answered(turn, leg) and not coaching.leg_answered(turn, leg):
        click_to_call.leg_answered(turn, leg)


def _joined(turn: Turn, heard: Joined) -> None:
    session = turn.session
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
            _talk_started(turn, contact, other)


def _talk_started(turn: Turn, contact: Leg, other: Leg) -> None:
    session = turn.session
    for leg in (contact, other):
        if leg.state is LegState.DIAL:
            turn.answer_leg(leg)
    turn.emit(
        EventType.TALK_STARTED,
        leg_id=other.leg_id,
        contact_leg_id=contact.leg_id,
        employee_id=other.employee_id,
        employee_full_name=other.employee_full_name,
        employee_phone_number=other.employee_phone_number,
    )
    if session.record_wanted and (session.record_asked or _records(turn, contact, other)):
        if not session.managed and not session.engine_records:
            recording.refuse(turn, contact)
            return
        for leg in (contact, other):
            recording.begin(turn, leg, by_engine=not session.managed)


def _records(turn: Turn, *legs: Leg) -> bool:
    """Whether one of the employees in this talk wants calls of this direction recorded."""
    direction = turn.session.direction
    served_by_employee = False
    for leg in legs:
        employee = turn.look.account.employees.get(leg.employee_id) if leg.employee_id is not None else None
        if employee is not None:
            served_by_employee = True
            if employee.call_recording in (CallRecording.ALL, CallRecording(direction)):
                return True
    return not served_by_employee


def _played(turn: Turn, play_id: str) -> None:
    session = turn.session
    if play_id == session.playing:
        session.playing = None
        inbound.played(turn)
        return
    leg = session.legs.get(session.plays.pop(play_id, 0))
    if leg is None or not leg.alive or session.ending is not None:
        return
    session.heard.add(leg.leg_id)
    if session.talks:
        consultation.message_heard(turn, leg)
    else:
        click_to_call.message_heard(turn, leg)


# --- legs go ----------------------------------------------------------------------------------------------


def _left(turn: Turn, heard: Left) -> None:
    session = turn.session
    leg = session.leg_of(heard.channel)
    if leg is None or leg.bridge != heard.bridge:
        return
    leg.bridge = None
    if session.taking_control:
        return  # it goes on under our control, or its end follows
    for talk in [t for t in session.talks if t.ended_at is None]:
        if talk.has(leg):
            turn.end_talk(talk.leg_id)


def _connect_finished(turn: Turn, heard: ConnectFinished) -> None:
    session = turn.session
    if session.dialling != heard.channel or heard.at <= session.connect_finished_at:
        return
    session.connect_finished_at = heard.at
    session.dialling = session.unconfirmed_dial = None
    expected, session.expected = session.expected, []
    leg = session.leg_of(heard.channel)
    if leg is None or not leg.alive:
        return
    talked = heard.result is ConnectResult.ANSWERED
    _decide(turn, Reason.ANOTHER_OPERATOR_ANSWER if talked else None)
    unreachable = heard.result is ConnectResult.UNREACHABLE
    _tell_of_unmade(turn, expected, heard.cause if unreachable and heard.cause else SUBSCRIBER_ABSENT)
    if session.ending is not None:
        turn.do(Hangup(heard.channel))
        return
    if talked:
        other = next(
            (one for one in session.legs.values() if one.side is not leg.side and one.is_talked), None
        )
        turn.ending(hung_up(other.side if other is not None else leg.side))
        turn.do(Hangup(heard.channel))
        return
    _close_undone(turn, heard)
    if session.left_to_scenario:
        inbound.not_connected(turn)
    elif session.plan:
        click_to_call.not_connected(turn, leg, heard)
    elif leg.serves:
        outbound.not_connected(turn, leg, heard)
    else:
        inbound.not_connected(turn)


def _tell_of_unmade(turn: Turn, expected: list[Expected], cause: int) -> None:
    """Targets of which the engine could not even make a channel: no registered device, no way to the trunk."""
    for one in expected:
        if one.appeared:
            continue
        one.appeared = True
        leg = turn.start_leg(Channel(""), dict(one.leg))
        turn.end_leg(leg, unanswered(_role_side(leg), cause, is_line=leg.sip_line_id is not None), cause)


def _close_undone(turn: Turn, heard: ConnectFinished) -> None:
    """Targets that the engine gave up but whose end is not reported yet: their reasons follow from the result."""
    cause = cause_for_result(heard.result, heard.cause)
    for leg in turn.session.living:
        ours = is_own_channel(leg.channel)  # a coach, say: the engine did not call it for this
        if not ours and leg.channel != heard.channel and leg.answered_at is None and leg.direction == "out":
            turn.end_leg(leg, unanswered(_role_side(leg), cause, is_line=leg.sip_line_id is not None), cause)


def _ended(turn: Turn, heard: Ended) -> None:
    session = turn.session
    leg = session.leg_of(heard.channel)
    if leg is None or not leg.alive or _is_undecided(session, leg):
        return
    leg.bridge = None
    if leg.direction == "out" and leg.answered_at is None:
        _unanswered_ended(turn, leg, heard)
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
    turn.end_leg(leg, reason, heard.cause)
    if session.message is not None and leg is session.contact:
        # The caller hung up while speaking, and the engine reported that first.
        inbound.message_recorded(turn, inbound.spoken_seconds(session, heard.at))
    if session.taking_control and leg.role is not Role.COACH:
        # The other party may have left the engine's bridge already: the engine does not end it then.
        session.dialling = None
        _decide(turn, reason)
        turn.ending(reason)
        _hang_up_all(turn, 16)
    elif (
        session.dialling is None and (session.managed or session.follows_plan) and leg.role is not Role.COACH
    ):
        consultation.leg_ended(turn, leg, reason)
    elif leg.channel in (session.dialling, _anchor_channel(session)):
        engine_clears = leg.channel == session.dialling
        session.dialling = None
        _decide(turn, reason)
        turn.ending(Reason.DISCONNECT_BEFORE_CALL_PROCESSING if early else reason)
        if not engine_clears:
            _hang_up_all(turn, 16)
    elif not session.living:
        turn.ending(reason)


def being_connected(session: Session) -> Channel | None:
    """The channel that the engine is connecting according to the event log: other parties are called for it."""
    leg = anchor(session)
    if leg is None or not leg.alive or session.managed:
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


def _unanswered_ended(turn: Turn, leg: Leg, heard: Ended) -> None:
    session = turn.session
    reason = unanswered(_role_side(leg), heard.cause, is_line=leg.sip_line_id is not None)
    if session.ending is not None:
        turn.end_leg(leg, session.ending, heard.cause)
    elif leg.sent_away:
        turn.end_leg(leg, Reason.OPERATOR_DISCONNECTS, heard.cause)
    elif leg.role is Role.COACH or leg.leg_id == session.third_leg_id:
        turn.end_leg(leg, reason, heard.cause)
        consultation.leg_ended(turn, leg, reason)
    elif heard.cause == ANSWERED_ELSEWHERE or _another_answered(session, leg):
        turn.end_leg(leg, Reason.ANOTHER_OPERATOR_ANSWER, heard.cause)
    elif session.dialling is None or leg.channel == session.dialling or leg is session.initiator:
        # Called by the switch itself (API): there is no other result.
        turn.end_leg(leg, reason, heard.cause)
        click_to_call.leg_failed(turn, leg)
    elif heard.cause in _QUIET_CAUSES and not heard.by_party:
        session.undecided.append(Undecided(leg.leg_id, heard.at, heard.cause))
    else:
        turn.end_leg(leg, reason, heard.cause)


def _another_answered(session: Session, leg: Leg) -> bool:
    """Whether somebody else who was called for the same place in the call has picked up."""
    return any(
        one.answered_at is not None and one.direction == "out" and one.side is leg.side
        for one in session.living
        if one is not leg and one.role is not Role.COACH
    )


def _is_undecided(session: Session, leg: Leg) -> bool:
    return any(one.leg_id == leg.leg_id for one in session.undecided)


def _decide(turn: Turn, reason: Reason | None) -> None:
    """Close the undecided legs; None = the ring time was over."""
    session = turn.session
    for one in session.undecided:
        leg = session.legs[one.leg_id]
        if leg.alive:
            turn.end_leg(
                leg,
                reason or unanswered(_role_side(leg), 0, is_line=leg.sip_line_id is not None),
                one.cause,
                at=one.at,
            )
    session.undecided = []


def _role_side(leg: Leg) -> Side:
    """Whose reasons to use: an employee called by a colleague is an operator, though on the contact's side."""
    return Side.CONTACT if leg.role is Role.CONTACT else Side.OPERATOR


def _other(side: Side) -> Side:
    return Side.CONTACT if side is Side.OPERATOR else Side.OPERATOR


def _hang_up_all(turn: Turn, cause: int) -> None:
    for leg in turn.session.living:
        turn.do(Hangup(leg.channel, cause))


def abandon(turn: Turn) -> None:
    """End a call of which nothing but its beginning is known: no channel can be found for it."""
    turn.ending(Reason.INTERNAL_ERROR)
    turn.emit(EventType.SESSION_FINISHED, **finished(turn.session, turn.at))


def _finish_when_empty(turn: Turn) -> None:
    session = turn.session
    if session.phase is Phase.ENDED or not session.legs:
        return
    remaining = [leg for leg in session.living if not _is_undecided(session, leg)]
    if remaining and all(leg.role is Role.COACH for leg in remaining):
        _hang_up_all(turn, 16)
    if remaining:
        return
    _decide(turn, session.ending)
    turn.ending(_reason_of(session))
    ends = [leg.ended_at for leg in session.legs.values()] + [talk.ended_at for talk in session.talks]
    at = max((one for one in ends if one is not None), default=turn.at)
    turn.emit(EventType.SESSION_FINISHED, at=at, **finished(session, at))


def _reason_of(session: Session) -> Reason:
    """When nothing else decided: the last leg's reason."""
    parties = [leg for leg in session.legs.values() if leg.role is not Role.COACH]
    last = max(parties or session.legs.values(), key=lambda leg: (leg.ended_at or 0.0, leg.leg_id))
    return last.finish_reason or Reason.INTERNAL_ERROR
