"""Consultation: hold, call a third party, transfer, and what follows from them. Pure.

The first command redirects both channels into Stasis. From then on the switch connects the parties: bridge
``talk-<session>`` has the contact and the operator, ``consult-<session>`` the operator and the third party. The states are
:class:`~trunkline.calls.states.Controlled` and its kinds; :data:`TABLE` is the state diagram of the Call API.
"""

from __future__ import annotations

from trunkline.calls.command_names import CoachMode
from trunkline.calls.decision import RING_MARGIN_SECONDS, Decision
from trunkline.calls.effects import Hangup, Join, Leave, Music, OriginateLeg, PlayFiles, StopPlay, TakeControl
from trunkline.calls.finish_reasons import Side, reason_hung_up
from trunkline.calls.flows import inbound, recording
from trunkline.calls.flows.inputs import (
    COMMANDS,
    Hold,
    InputElapsed,
    JoinFailed,
    Key,
    LegAnswered,
    LegGone,
    LegUnreached,
    MakeCall,
    MessagePlayed,
    MessageRecorded,
    NotConnected,
    PartyTaken,
    QuestionReply,
    Restore,
    RingElapsed,
    RunScenario,
    ScenarioPlayed,
    TalkOver,
    Transfer,
    Unhold,
)
from trunkline.calls.flows.scenario_position import caller_of
from trunkline.calls.flows.table import Table, invalid_state, pairs, row
from trunkline.calls.flows.third_party import third_party
from trunkline.calls.session import Leg, Role, Session
from trunkline.calls.states import (
    AFTER_OPERATION,
    Announcing,
    Calling,
    Connecting,
    Consulting,
    Controlled,
    ControlledLate,
    Departure,
    EngineTalk,
    EngineTalkEnded,
    Finishing,
    InScenario,
    Joining,
    OnHold,
    Parked,
    Releasing,
    State,
    Talking,
    TalkInterrupted,
    TransferAnnouncing,
    TransferCalling,
    TransferReleasing,
    Transferring,
    WithThird,
)
from trunkline.calls.timers import StartTimer, ring_timer
from trunkline.core.engine_values import CallTag
from trunkline.core.errors import NotFound
from trunkline.core.hangup_causes import NO_ANSWER
from trunkline.events.catalogue import EventType
from trunkline.events.reasons import Reason
from trunkline.routing import interpreter
from trunkline.telephony.port import Bridge, Channel, Endpoint, Originate, Target


def talk_bridge(session: Session) -> Bridge:
    return Bridge(f"talk-{session.call_session_id}")


def into_talk(session: Session, leg: Leg) -> Join:
    """A party joins the talk with the contact, which ends with the contact also while no switch runs."""
    contact = session.contact
    is_led = contact is not None and leg is not contact and leg.role is not Role.COACH
    return Join(
        leg.channel, talk_bridge(session), contact.channel if contact is not None and is_led else None
    )


def consult_bridge(session: Session) -> Bridge:
    return Bridge(f"consult-{session.call_session_id}")


def bridges(session: Session) -> tuple[Bridge, ...]:
    """All bridges that the switch may have made for a call."""
    return (talk_bridge(session), consult_bridge(session)) if session.has_bridges else ()


# --- commands ---------------------------------------------------------------------------------------------


def hold(decision: Decision, flow_input: Hold) -> None:
    """The contact hears the message, then music."""
    contact, operator = talking(decision.session)
    part(decision, contact, operator)
    decision.emit(EventType.CALL_HELD, leg_id=operator.leg_id)
    decision.end_talk(operator.leg_id)
    say(decision, contact, flow_input.message)


def unhold(decision: Decision, _given: Unhold) -> None:
    """Contact and operator talk again."""
    contact, operator = _contact_and_operator(decision.session)
    decision.emit(EventType.CALL_UNHELD, leg_id=operator.leg_id)
    connect(decision, contact, operator)


def make_call(decision: Decision, flow_input: MakeCall) -> None:
    """The third party is called; the operator hears ring-back, the contact continues to hear music."""
    _, operator = _contact_and_operator(decision.session)
    target, data, seconds = third_party(decision, flow_input.to, flow_input.sip_line_id)
    third = decision.originate_leg(target, data, seconds)
    decision.emit(EventType.THIRD_PARTY_CALLED, leg_id=third.leg_id, message=list(flow_input.message))
    decision.do(Music(operator.channel, decision.context.system_media_path("ringback")))


def restore(decision: Decision, _given: Restore) -> None:
    """The third party is sent away, contact and operator talk again."""
    contact, operator = _contact_and_operator(decision.session)
    third = _third(decision.session)
    decision.emit(EventType.CONSULT_ENDED, leg_id=decision.session.third_leg_id)
    decision.emit(EventType.CALL_UNHELD, leg_id=operator.leg_id)
    if third is not None:
        decision.do(Hangup(third.channel))
    connect(decision, contact, operator)


def transfer_later(decision: Decision, _given: Transfer) -> None:
    """The third party, which is still being called, takes over as soon as it answers."""
    _, operator = _contact_and_operator(decision.session)
    third_leg_id = decision.session.third_leg_id
    decision.emit(EventType.TRANSFER_REQUESTED, leg_id=third_leg_id, operator_leg_id=operator.leg_id)
    decision.do(Hangup(operator.channel))


def transfer_now(decision: Decision, _given: Transfer) -> None:
    """The third party, which talks with the operator, takes over."""
    contact, operator = _contact_and_operator(decision.session)
    third = decision.session.legs[decision.session.third_leg_id or 0]
    hand_over(decision, contact, third, operator)
    decision.do(Hangup(operator.channel))


def run_scenario(decision: Decision, flow_input: RunScenario) -> None:
    """Hand the contact over to a scenario; the operator leaves.

    :raises NotFound: ``scenario_not_found``.
    """
    account = decision.context.account
    scenario = account.scenarios.get(flow_input.scenario_id)
    if scenario is None:
        raise NotFound(
            "This scenario does not exist any more",
            mnemonic="scenario_not_found",
            value=flow_input.scenario_id,
        )
    contact, operator = talking(decision.session)
    part(decision, contact, operator)
    decision.end_talk(operator.leg_id)
    decision.emit(EventType.TRANSFER_REQUESTED, leg_id=None, operator_leg_id=operator.leg_id)
    decision.do(Hangup(operator.channel))
    dismiss_coach(decision)
    decision.enter_scenario(scenario)
    inbound.perform(
        decision, interpreter.decide_first(account, scenario, decision.context, caller_of(decision))
    )


# --- signals ----------------------------------------------------------------------------------------------


def third_answered(decision: Decision, flow_input: LegAnswered) -> None:
    """The third party hears its message, or is connected."""
    leg = flow_input.leg
    state = decision.session.state
    if leg.leg_id != decision.session.third_leg_id:
        return
    if isinstance(state, Announcing | TransferAnnouncing):
        say(decision, leg, state.message, then_music=False)
    else:
        _third_ready(decision, leg)


def hang_up_again(decision: Decision, flow_input: LegAnswered) -> None:
    """A third party answered while it is being hung up."""
    if flow_input.leg.leg_id == decision.session.third_leg_id:
        decision.do(Hangup(flow_input.leg.channel, NO_ANSWER))


def message_played(decision: Decision, flow_input: MessagePlayed) -> None:
    """The contact hears music after its message; a third party that heard its message is connected."""
    session = decision.session
    if flow_input.leg.leg_id == session.third_leg_id:
        if isinstance(session.state, Announcing | TransferAnnouncing):
            _third_ready(decision, flow_input.leg)
    elif flow_input.leg is session.contact:
        _hold_music(decision, flow_input.leg)


def party_gone(decision: Decision, flow_input: LegGone | LegUnreached) -> None:
    """A party has left: who talks without it, and does the call go on?"""
    session, leg = decision.session, flow_input.leg
    state = session.state
    if leg.leg_id == session.third_leg_id:
        _third_lost(decision, leg, flow_input.reason)
    elif leg.departure is Departure.HANDED_OVER:
        dismiss_coach(decision)
    elif leg is session.contact or not isinstance(state, Controlled) or _is_needed(state, leg):
        decision.end_session(flow_input.reason)
        for one in session.living:
            decision.do(Hangup(one.channel))


def _is_needed(state: Controlled, leg: Leg) -> bool:
    """Whether the call cannot go on without this party, which is not the contact and not the third."""
    if isinstance(state, Transferring):
        return False
    return state.operator_leg_id in (None, leg.leg_id)


def take_late(decision: Decision, flow_input: PartyTaken) -> None:
    """The talk continues in the bridge of the switch, though the command that took control has failed."""
    session, leg = decision.session, flow_input.leg
    others = [one for one in session.living if one is not leg and one.role is not Role.COACH]
    if not others:
        decision.end_session(reason_hung_up(Side.CONTACT if leg.side is Side.OPERATOR else Side.OPERATOR))
        decision.do(Hangup(leg.channel))
        return
    if not isinstance(session.state, ControlledLate):
        session.connect = None
        decision.emit(EventType.CALL_TAKEN, late=True)
    leg.bridge = None
    decision.do(into_talk(session, leg))


def end_for_failed_join(decision: Decision, _given: JoinFailed) -> None:
    """There is no state to return to."""
    decision.end_session(Reason.INTERNAL_ERROR)
    for leg in decision.session.living:
        decision.do(Hangup(leg.channel))


def hold_again(decision: Decision, flow_input: JoinFailed) -> None:
    """Contact and operator could not be joined: the contact is on hold as before."""
    session = decision.session
    contact, operator = session.contact, _operator(session)
    if contact is None or operator is None or flow_input.bridge != talk_bridge(session):
        end_for_failed_join(decision, flow_input)
        return
    decision.emit(EventType.CALL_HELD, leg_id=operator.leg_id)
    for one in (contact, operator):
        decision.do(Leave(one.channel, talk_bridge(session)))
    _hold_music(decision, contact)


def stop_ringing(decision: Decision, flow_input: RingElapsed) -> None:
    """A party has rung as long as it may; its end, which follows, decides what comes next."""
    decision.do(Hangup(flow_input.leg.channel, NO_ANSWER))


def release_third(decision: Decision, _given: JoinFailed) -> None:
    """Hang the third party up; its end gives the held contact back to the operator."""
    third = _third(decision.session)
    if third is not None:
        decision.do(Hangup(third.channel))


# --- used by other flows ----------------------------------------------------------------------------------


def join_talk(decision: Decision, leg: Leg) -> None:
    """Put another party into the talk: it hears both and is heard by both, whenever they talk."""
    session = decision.session
    if not isinstance(session.state, Controlled):
        take_talk(decision)
    decision.do(into_talk(session, leg))


def rejoin(decision: Decision) -> None:
    """The talk was moved under our control for a command that was then refused: it continues in our bridge."""
    if isinstance(decision.session.state, EngineTalk) and decision.session.talking:
        take_talk(decision)


def say(decision: Decision, leg: Leg, files: tuple[str, ...], *, then_music: bool = True) -> None:
    """Play a message to a party that the switch controls; without files, music."""
    session = decision.session
    if not files:
        if then_music:
            _hold_music(decision, leg)
        return
    play_id = f"{session.call_session_id}-{leg.leg_id}-{session.seq}"
    session.plays[play_id] = leg.leg_id
    decision.do(PlayFiles(leg.channel, play_id, files))


def stop_playback(decision: Decision, leg: Leg) -> None:
    """Stop what is being played to a party."""
    session = decision.session
    for play_id in [one for one, leg_id in session.plays.items() if leg_id == leg.leg_id]:
        del session.plays[play_id]
        decision.do(StopPlay(leg.channel, play_id))


def starts_talk(session: Session, other: Leg) -> bool:
    """Whether a serving party that is in one bridge with the contact talks with it by that."""
    if other.departure is not None or other.role is Role.COACH:
        return False
    match session.state:
        case OnHold() | WithThird():
            return False
        case Controlled(operator):
            return operator in (None, other.leg_id)
    return True


def talking(session: Session) -> tuple[Leg, Leg]:
    """Contact and operator of the present talk.

    :raises InvalidState: nobody talks.
    """
    talk = next((one for one in session.talks if one.ended_at is None), None)
    contact = session.contact
    if talk is None or contact is None:
        raise invalid_state(session)
    return contact, session.legs[talk.leg_id]


def serving(session: Session) -> Leg | None:
    """Who talks with the contact, or has put it on hold."""
    talk = next((one for one in session.talks if one.ended_at is None), None)
    leg = session.legs.get(talk.leg_id if talk is not None else session.operator_leg_id or 0)
    return leg if leg is not None and leg.is_alive and leg.departure is not Departure.HANDED_OVER else None


def is_leaving_contact(session: Session) -> bool:
    """Whether the operator leaves the contact to a third party, a scenario or a parking slot, which do not serve it yet."""
    return session.ending is None and isinstance(
        session.state, Connecting | Transferring | InScenario | Parked
    )


def may_hold(session: Session) -> bool:
    """Whether a command that puts the contact on hold would be accepted."""
    return (type(session.state), Hold) in TABLE.rows and session.talking


# --- after a restart --------------------------------------------------------------------------------------


def resume(decision: Decision, controlled: frozenset[Channel]) -> None:
    """Go on after a restart of the switch, which may have come between deciding and doing: repeat what the state needs.

    :param controlled: living channels that the engine does not command.
    """
    session, contact = decision.session, decision.session.contact
    if contact is None or not contact.is_alive:
        return
    for leg in session.living:
        if leg.departure is not None:
            decision.do(Hangup(leg.channel))
    operator = _operator(session)
    match session.state:
        case Joining() | Connecting():
            answered = (leg for leg in session.living if leg.is_operator_side and leg.answered_at is not None)
            other = operator or next(answered, None)
            if other is not None:
                connect(decision, contact, other)
        case Talking() | ControlledLate() | TalkInterrupted():
            _resume_talk(decision, controlled)
        case OnHold() | WithThird():
            parties = [leg for leg in (contact, operator) if leg is not None]
            if any(leg.channel not in controlled for leg in parties):
                decision.do(TakeControl(tuple(leg.channel for leg in parties)))
            for leg in parties:
                if leg.bridge == talk_bridge(session):
                    decision.do(Leave(leg.channel, talk_bridge(session)))
            if contact.leg_id not in session.plays.values():
                _hold_music(decision, contact)
            _resume_third(decision, operator)


def call_third_again(decision: Decision, leg: Leg) -> bool:
    """The command to call the third party was lost with a former switch: call its line now, for its full time.

    :returns: False: it is not the third party that is being called, or has no line; its call has ended then.
    """
    session = decision.session
    line = decision.context.account.lines.get(leg.sip_line_id or 0)
    if leg is not _third(session) or not isinstance(session.state, Calling | TransferCalling) or line is None:
        return False
    target = Target.of(
        Endpoint.line(line.phone_number),
        caller_number=leg.calling_phone_number or "",
        caller_name=session.contact_full_name or "",
    )
    tag = CallTag(str(session.call_session_id))
    decision.do(StartTimer(ring_timer(leg.leg_id), line.dial_time))
    decision.do(OriginateLeg(Originate(leg.channel, target, line.dial_time + RING_MARGIN_SECONDS, tag)))
    return True


def _resume_talk(decision: Decision, controlled: frozenset[Channel]) -> None:
    session = decision.session
    if not session.talking:
        return
    parties = [leg for leg in talking(session) if leg.is_alive]
    barging = [
        leg for leg in session.living if leg.coach_mode == CoachMode.BARGE and leg.answered_at is not None
    ]
    if any(leg.channel not in controlled for leg in parties):
        decision.do(TakeControl(tuple(leg.channel for leg in parties)))
    for leg in (*parties, *barging):
        if leg.bridge != talk_bridge(session):
            leg.bridge = None
            decision.do(into_talk(session, leg))


def _resume_third(decision: Decision, operator: Leg | None) -> None:
    session, third = decision.session, _third(decision.session)
    if third is None:
        return
    match session.state:
        case Releasing() | TransferReleasing():
            decision.do(Hangup(third.channel, NO_ANSWER))
        case Announcing(_, _, message) | TransferAnnouncing(_, _, message):
            if third.leg_id not in session.plays.values():
                say(decision, third, message, then_music=False)
        case Calling() | TransferCalling() if third.answered_at is not None:
            _third_ready(decision, third)
        case Consulting() if operator is not None:
            for leg in (operator, third):
                if leg.bridge != consult_bridge(session):
                    decision.do(Join(leg.channel, consult_bridge(session)))


# --- steps ------------------------------------------------------------------------------------------------


def dismiss_coach(decision: Decision) -> None:
    """Whom the coach listened to has left."""
    for coach in decision.session.living:
        if coach.role is Role.COACH:
            decision.do(Hangup(coach.channel))


def take_talk(decision: Decision) -> None:
    """Move a talk that the engine connected into our bridge; the two continue to talk, recordings go on."""
    session = decision.session
    parties = talking(session)
    session.connect = None
    decision.emit(EventType.CALL_TAKEN)
    decision.do(TakeControl(tuple(leg.channel for leg in parties)))
    for leg in parties:
        leg.bridge = None  # later signals of the old bridge have no meaning
        decision.do(into_talk(session, leg))


def part(decision: Decision, contact: Leg, operator: Leg) -> None:
    """End what the two hear and what is recorded of each other; the switch controls both then.

    The operator may hang up meanwhile. What the contact gets does not depend on it: where the call ends with the operator,
    it does so by the signal of the operator's end.
    """
    session = decision.session
    session.connect = None
    # Done already for a command (``CommandHandler.execute_one``), and not for a rule; repeated it changes nothing.
    decision.do(TakeControl((contact.channel, operator.channel), leaving=operator.channel))
    for leg in (contact, operator):
        recording.pause(decision, leg)
        leg.bridge = None  # later signals of the old bridge have no meaning
        if isinstance(session.state, Controlled):
            decision.do(Leave(leg.channel, talk_bridge(session)))


def connect(decision: Decision, contact: Leg, other: Leg) -> None:
    """Contact and other party hear each other, and nothing else any more."""
    for leg in (contact, other):
        stop_playback(decision, leg)
    for leg in (contact, other):
        decision.do(into_talk(decision.session, leg))


def _third_ready(decision: Decision, third: Leg) -> None:
    session = decision.session
    contact, operator = session.contact, session.legs[session.operator_leg_id or 0]
    if contact is None or not contact.is_alive:
        return
    if isinstance(session.state, Transferring):
        hand_over(decision, contact, third, operator)
        return
    decision.emit(EventType.CONSULT_STARTED, leg_id=third.leg_id, operator_leg_id=operator.leg_id)
    decision.do(Join(operator.channel, consult_bridge(session)))
    decision.do(Join(third.channel, consult_bridge(session)))


def hand_over(decision: Decision, contact: Leg, third: Leg, operator: Leg) -> None:
    """The third party takes the contact over from the operator."""
    decision.emit(EventType.TRANSFERRED, leg_id=third.leg_id, operator_leg_id=operator.leg_id)
    connect(decision, contact, third)


def _third_lost(decision: Decision, third: Leg, reason: Reason) -> None:
    session, before = decision.session, decision.session.state
    operator = _operator(session)
    decision.emit(EventType.CONSULT_ENDED, leg_id=third.leg_id)
    if isinstance(before, Transferring) or operator is None:
        decision.end_session(reason)
        for leg in session.living:
            decision.do(Hangup(leg.channel))
        return
    # The operator waits on the line: silence would suggest that the call is gone.
    if isinstance(before, Consulting):
        decision.do(Leave(operator.channel, consult_bridge(session)))
    _hold_music(decision, operator)


def _hold_music(decision: Decision, leg: Leg) -> None:
    decision.do(Music(leg.channel, decision.context.system_media_path("hold_music")))


def _operator(session: Session) -> Leg | None:
    """The operator, while it is there and has not left the call to somebody else."""
    leg = session.legs.get(session.operator_leg_id or 0)
    return leg if leg is not None and leg.is_alive and leg.departure is None else None


def _third(session: Session) -> Leg | None:
    leg = session.legs.get(session.third_leg_id or 0)
    return leg if leg is not None and leg.is_alive else None


def _contact_and_operator(session: Session) -> tuple[Leg, Leg]:
    contact, operator = session.contact, _operator(session)
    if contact is None or operator is None or not contact.is_alive:
        raise invalid_state(session)
    return contact, operator


# --- the table --------------------------------------------------------------------------------------------

_IN_TALK: tuple[type[State], ...] = (EngineTalk, Talking, ControlledLate)
_TALKS: tuple[type[State], ...] = (Joining, Connecting, Talking, ControlledLate, TalkInterrupted)
_WITH_THIRD: tuple[type[State], ...] = (Calling, Announcing, Releasing, Consulting)
_HELD: tuple[type[State], ...] = (OnHold, *_WITH_THIRD)
_TRANSFERS: tuple[type[State], ...] = (TransferCalling, TransferAnnouncing, TransferReleasing)
_CONTROLLED = (*_TALKS, *_HELD, *_TRANSFERS)

TABLE = Table(
    rows={
        **{(state, Hold): row(hold, OnHold) for state in _IN_TALK},
        **{(state, RunScenario): row(run_scenario, *AFTER_OPERATION) for state in _IN_TALK},
        (OnHold, Unhold): row(unhold, Connecting),
        (OnHold, MakeCall): row(make_call, Calling),
        (Calling, Restore): row(restore, Connecting),
        (Announcing, Restore): row(restore, Connecting),
        (Releasing, Restore): row(restore, Connecting),
        (Consulting, Restore): row(restore, Connecting),
        (Calling, Transfer): row(transfer_later, TransferCalling),
        (Announcing, Transfer): row(transfer_later, TransferAnnouncing),
        (Consulting, Transfer): row(transfer_now, Connecting),
        (Calling, LegAnswered): row(third_answered, Calling, Announcing, Consulting),
        (TransferCalling, LegAnswered): row(third_answered, TransferCalling, TransferAnnouncing, Connecting),
        (Releasing, LegAnswered): row(hang_up_again, Releasing),
        (TransferReleasing, LegAnswered): row(hang_up_again, TransferReleasing),
        **{(state, RingElapsed): row(stop_ringing, state) for state in _CONTROLLED},
        (Calling, RingElapsed): row(stop_ringing, Calling, Releasing),
        (TransferCalling, RingElapsed): row(stop_ringing, TransferCalling, TransferReleasing),
        **{(state, MessagePlayed): row(message_played, state) for state in _HELD},
        (Announcing, MessagePlayed): row(message_played, Announcing, Consulting),
        (TransferCalling, MessagePlayed): row(message_played, TransferCalling),
        (TransferAnnouncing, MessagePlayed): row(message_played, TransferAnnouncing, Connecting),
        (TransferReleasing, MessagePlayed): row(message_played, TransferReleasing),
        **{(state, LegGone): row(party_gone, state, Finishing) for state in (*_TALKS, OnHold, *_TRANSFERS)},
        **{(state, LegGone): row(party_gone, state, OnHold, Finishing) for state in _WITH_THIRD},
        (Calling, LegUnreached): row(party_gone, Calling, OnHold, Finishing),
        (Releasing, LegUnreached): row(party_gone, Releasing, OnHold, Finishing),
        (TransferCalling, LegUnreached): row(party_gone, TransferCalling, Finishing),
        (TransferReleasing, LegUnreached): row(party_gone, TransferReleasing, Finishing),
        (EngineTalk, PartyTaken): row(take_late, ControlledLate, Finishing),
        (EngineTalkEnded, PartyTaken): row(take_late, ControlledLate, Finishing),
        (ControlledLate, PartyTaken): row(take_late, ControlledLate, Finishing),
        (Connecting, JoinFailed): row(hold_again, OnHold, Finishing),
        (Consulting, JoinFailed): row(release_third, Consulting),
        **{
            (state, JoinFailed): row(end_for_failed_join, Finishing)
            for state in (Joining, Talking, ControlledLate, TalkInterrupted)
        },
    },
    refused=pairs((EngineTalk, EngineTalkEnded, Talking, ControlledLate), Unhold, MakeCall, Restore, Transfer)
    | pairs((EngineTalkEnded,), Hold, RunScenario)
    | pairs((Joining, Connecting, TalkInterrupted, *_TRANSFERS), *COMMANDS)
    | pairs((OnHold,), Hold, Restore, Transfer, RunScenario)
    | pairs((Calling, Announcing, Releasing, Consulting), Hold, Unhold, MakeCall, RunScenario)
    | pairs((Releasing,), Transfer),
    ignored=pairs((*_TALKS, OnHold, Announcing, Consulting, TransferAnnouncing), LegAnswered)
    | pairs(_CONTROLLED, TalkOver, NotConnected, ScenarioPlayed, MessageRecorded, InputElapsed, QuestionReply)
    | pairs(_TALKS, MessagePlayed)
    | pairs((Joining, Connecting, Talking, TalkInterrupted, *_HELD, *_TRANSFERS), PartyTaken)
    | pairs((OnHold, Calling, Announcing, Releasing, *_TRANSFERS), JoinFailed),
    expected=pairs(_CONTROLLED, Key)
    | pairs((*_TALKS, OnHold, Announcing, Consulting, TransferAnnouncing), LegUnreached),
)
"""Of each state in which the switch controls the call, and of the commands in a talk that the engine connected."""
