"""Commands on a living call: hold, consult, transfer, and what follows from them. Pure.

The state diagram of the Call API is the law (:data:`trunkline.calls.session.PHASES`): a command in a wrong state is
``invalid_state``. A call that the engine connected is first taken into our hands; from then on our own bridges connect
the parties: ``talk-<session>`` the contact and who serves, ``consult-<session>`` the operator and the third party.
"""

from __future__ import annotations

from typing import Any

from trunkline.calls.decision import Decision
from trunkline.calls.effects import Hangup, Join, Leave, Music, PlayFiles, StopPlay, TakeControl
from trunkline.calls.finish_reasons import Side
from trunkline.calls.flows import dialing, inbound, recording
from trunkline.calls.flows.number_plan import ToEmergency, ToEmployee, ToGroup, ToLine, ToOutside, destination
from trunkline.calls.session import CoachMode, Leg, Phase, Role, Session
from trunkline.core.errors import InvalidInput, InvalidState, NotFound
from trunkline.directory.model import Phone
from trunkline.events.catalogue import EventType
from trunkline.events.reasons import Reason
from trunkline.routing import interpreter
from trunkline.routing.interpreter import Candidate, employee_obstacle, first_free_phone, members_of
from trunkline.telephony.port import Bridge, Channel, Endpoint, Target

THIRD_PARTY_RING_SECONDS = 60


def talk_bridge(session: Session) -> Bridge:
    return Bridge(f"talk-{session.call_session_id}")


def consult_bridge(session: Session) -> Bridge:
    return Bridge(f"consult-{session.call_session_id}")


def bridges(session: Session) -> tuple[Bridge, ...]:
    """All bridges that a session may have made."""
    ours = session.controlled or session.left_to_scenario
    return (talk_bridge(session), consult_bridge(session)) if ours else ()


# --- commands ---------------------------------------------------------------------------------------------


def hold(decision: Decision, message: tuple[str, ...]) -> None:
    """``hold.call``: plays the message to the contact, then music."""
    session = decision.session
    _require(session, Phase.TALK)
    contact, operator = talking(session)
    _part(decision, contact, operator)
    decision.emit(EventType.CALL_HELD, leg_id=operator.leg_id)
    decision.end_talk(operator.leg_id)
    say(decision, contact, message)


def unhold(decision: Decision) -> None:
    """``unhold.call``: contact and operator talk again."""
    session = decision.session
    _require(session, Phase.HOLD)
    contact, operator = _contact_and_operator(session)
    decision.emit(EventType.CALL_UNHELD, leg_id=operator.leg_id)
    _connect(decision, contact, operator)


def make_call(decision: Decision, to: str, message: tuple[str, ...]) -> None:
    """``make.call``: calls the third party, with ring-back for the operator and music for the contact."""
    session = decision.session
    _require(session, Phase.HOLD)
    _, operator = _contact_and_operator(session)
    target, data, seconds = third_party(decision, to)
    third = decision.call(target, data, seconds)
    decision.emit(EventType.THIRD_PARTY_CALLED, leg_id=third.leg_id, message=list(message))
    decision.do(Music(operator.channel, decision.context.system_media_path("ringback")))


def restore(decision: Decision) -> None:
    """``restore.talk``: the third party is sent away, contact and operator talk again."""
    session = decision.session
    _require(session, Phase.DIALING, Phase.OPERATOR_TALK)
    _refuse_if_transferring(session)
    contact, operator = _contact_and_operator(session)
    third = session.legs.get(session.third_leg_id or 0)
    decision.emit(EventType.CONSULT_ENDED, leg_id=session.third_leg_id)
    decision.emit(EventType.CALL_UNHELD, leg_id=operator.leg_id)
    if third is not None and third.alive:
        decision.do(Hangup(third.channel))
    _connect(decision, contact, operator)


def transfer(decision: Decision) -> None:
    """``transfer.talk``: the third party takes over; while it is still being called, as soon as it answers."""
    session = decision.session
    _require(session, Phase.DIALING, Phase.OPERATOR_TALK)
    _refuse_if_transferring(session)
    contact, operator = _contact_and_operator(session)
    third = session.legs[session.third_leg_id or 0]
    if session.phase is Phase.DIALING:
        decision.emit(EventType.TRANSFER_REQUESTED, leg_id=third.leg_id, operator_leg_id=operator.leg_id)
    else:
        _hand_over(decision, contact, third, operator)
    decision.do(Hangup(operator.channel))


def run_scenario(decision: Decision, scenario_id: int) -> None:
    """Hand the contact over to a scenario; the operator leaves.

    :raises NotFound: ``scenario_not_found``.
    """
    session = decision.session
    _require(session, Phase.TALK)
    account = decision.context.account
    scenario = account.scenarios.get(scenario_id)
    if scenario is None:
        raise NotFound(
            "This scenario does not exist any more", mnemonic="scenario_not_found", value=scenario_id
        )
    contact, operator = talking(session)
    _part(decision, contact, operator)
    decision.end_talk(operator.leg_id)
    decision.emit(EventType.TRANSFER_REQUESTED, leg_id=None, operator_leg_id=operator.leg_id)
    decision.do(Hangup(operator.channel))
    _dismiss_coaches(decision)
    decision.emit(EventType.SCENARIO_ENTERED, scenario_id=scenario.scenario_id, scenario_name=scenario.name)
    inbound.perform(decision, interpreter.start(account, scenario, decision.context))


# --- what follows -----------------------------------------------------------------------------------------


def leg_answered(decision: Decision, leg: Leg) -> bool:
    """The third party answered. True when the leg belongs to this flow."""
    session = decision.session
    if leg.leg_id != session.third_leg_id:
        return False
    if session.ending is not None:
        return True
    if session.third_message:
        say(decision, leg, tuple(session.third_message), then_music=False)
    else:
        _third_ready(decision, leg)
    return True


def join_talk(decision: Decision, leg: Leg) -> None:
    """Join a third party into the talk, with audio in both directions during each talk."""
    session = decision.session
    if not session.controlled:
        _take_talk(decision)
    decision.do(Join(leg.channel, talk_bridge(session)))


def message_heard(decision: Decision, leg: Leg) -> None:
    """A message was played to its end: connect the third party, or start music for the contact."""
    session = decision.session
    if leg.leg_id == session.third_leg_id:
        _third_ready(decision, leg)
    elif leg is session.contact and session.phase in (Phase.HOLD, Phase.DIALING, Phase.OPERATOR_TALK):
        _hold_music(decision, leg)


def leg_ended(decision: Decision, leg: Leg, reason: Reason) -> None:
    """A party of a controlled call left; its LEG_ENDED is already written."""
    session = decision.session
    contact = session.contact
    if session.ending is not None or leg.role is Role.COACH:
        return
    if leg.leg_id == session.third_leg_id:
        _third_lost(decision, leg, reason)
        return
    if reason is Reason.TRANSFER_DISCONNECTS:
        _dismiss_coaches(decision)
        return
    if contact is not None and contact.alive and _somebody_remains(session, leg):
        return
    decision.ending(reason)
    for one in session.living:
        decision.do(Hangup(one.channel))


def resume(decision: Decision, controlled: frozenset[Channel]) -> None:
    """Go on after a restart of the switch, which may have come between deciding and doing: do once more what is so.

    :param in_our_hands: living channels that the engine does not command.
    """
    session, contact = decision.session, decision.session.contact
    if session.ending is not None:
        for leg in session.living:
            decision.do(Hangup(leg.channel))
        return
    if contact is None or not contact.alive:
        return
    for leg in session.living:
        if leg.handed_over or leg.sent_away:
            decision.do(Hangup(leg.channel))
    operator = session.legs.get(session.operator_leg_id or 0)
    if session.phase is Phase.SESSION or session.reconnecting:
        answered = (leg for leg in session.living if leg.serves and leg.answered_at is not None)
        other = operator if session.reconnecting else next(answered, None)
        if other is not None and other.alive:
            _connect(decision, contact, other)
    elif session.phase is Phase.TALK:
        _resume_talk(decision, controlled)
    elif session.phase in (Phase.HOLD, Phase.DIALING, Phase.OPERATOR_TALK):
        parties = [leg for leg in (contact, operator) if leg is not None and leg.alive]
        if any(leg.channel not in controlled for leg in parties):
            decision.do(TakeControl(tuple(leg.channel for leg in parties)))
        for leg in parties:
            if leg.bridge == talk_bridge(session):
                decision.do(Leave(leg.channel, talk_bridge(session)))
        if contact.leg_id not in session.plays.values():
            _hold_music(decision, contact)
        _resume_consulting(decision, operator)


def _resume_talk(decision: Decision, controlled: frozenset[Channel]) -> None:
    session = decision.session
    if not session.talking:
        return
    parties = [leg for leg in talking(session) if leg.alive]
    barging = [
        leg for leg in session.living if leg.coach_mode == CoachMode.BARGE and leg.answered_at is not None
    ]
    if any(leg.channel not in controlled for leg in parties):
        decision.do(TakeControl(tuple(leg.channel for leg in parties)))
    for leg in (*parties, *barging):
        if leg.bridge != talk_bridge(session):
            leg.bridge = None
            decision.do(Join(leg.channel, talk_bridge(session)))


def _resume_consulting(decision: Decision, operator: Leg | None) -> None:
    session = decision.session
    third = session.legs.get(session.third_leg_id or 0)
    if third is None or not third.alive or third.answered_at is None:
        return
    if session.phase is Phase.DIALING:
        if third.leg_id not in session.plays.values():
            leg_answered(decision, third)
    elif operator is not None and operator.alive:
        for leg in (operator, third):
            if leg.bridge != consult_bridge(session):
                decision.do(Join(leg.channel, consult_bridge(session)))


def reason_of_leaving(session: Session, leg: Leg) -> Reason | None:
    """The finish reason of a leg that the switch hung up; None = by the general rules."""
    if leg.handed_over:
        return Reason.TRANSFER_DISCONNECTS
    if leg.sent_away:
        return Reason.OPERATOR_DISCONNECTS
    return None


def say(decision: Decision, leg: Leg, files: tuple[str, ...], *, then_music: bool = True) -> None:
    """Play a message to a controlled leg; without a message, music."""
    session = decision.session
    if not files:
        if then_music:
            _hold_music(decision, leg)
        return
    play_id = f"{session.call_session_id}-{leg.leg_id}-{session.seq}"
    session.plays[play_id] = leg.leg_id
    decision.do(PlayFiles(leg.channel, play_id, files))


def restore_after_failed_join(decision: Decision, leg: Leg, bridge: Bridge) -> bool:
    """A leg could not be put into a bridge: leave the call as it was before. False when there is no such state."""
    session = decision.session
    third = session.legs.get(session.third_leg_id or 0)
    operator = session.legs.get(session.operator_leg_id or 0)
    if leg.role is Role.COACH:
        decision.do(Hangup(leg.channel))
        return True
    if bridge == consult_bridge(session):
        if third is not None and third.alive:
            decision.do(Hangup(third.channel))  # its end gives the operator back the held contact
        return True
    contact = session.contact
    if session.reconnecting and contact is not None and operator is not None and operator.alive:
        decision.emit(EventType.CALL_HELD, leg_id=operator.leg_id)
        for one in (contact, operator):
            decision.do(Leave(one.channel, talk_bridge(session)))
        _hold_music(decision, contact)
        return True
    return False


def rejoin(decision: Decision) -> None:
    """The talk was moved under our control for a command that was then refused: it continues in our bridge."""
    if decision.session.talking and not decision.session.controlled and decision.session.ending is None:
        _take_talk(decision)


def starts_talk(session: Session, other: Leg) -> bool:
    """Whether a serving leg that meets the contact in a bridge talks with it by that."""
    if other.handed_over or other.sent_away or other.role is Role.COACH:
        return False
    if not session.controlled or session.operator_leg_id is None:
        return True
    apart = session.phase in (Phase.HOLD, Phase.DIALING, Phase.OPERATOR_TALK) and not session.reconnecting
    return other.leg_id == session.operator_leg_id and not apart


def stop_playback(decision: Decision, leg: Leg) -> None:
    """Stop what is being played to a leg."""
    session = decision.session
    for play_id in [one for one, leg_id in session.plays.items() if leg_id == leg.leg_id]:
        del session.plays[play_id]
        decision.do(StopPlay(leg.channel, play_id))


def talking(session: Session) -> tuple[Leg, Leg]:
    """Contact and operator of the present talk."""
    talk = next((one for one in session.talks if one.ended_at is None), None)
    contact = session.contact
    if talk is None or contact is None:
        raise _invalid_state(session)
    return contact, session.legs[talk.leg_id]


def _dismiss_coaches(decision: Decision) -> None:
    """Hang up the coaches after the coached party left."""
    for coach in decision.session.living:
        if coach.role is Role.COACH:
            decision.do(Hangup(coach.channel))


def serving(session: Session) -> Leg | None:
    """Who talks with the contact, or has put it on hold."""
    talk = next((one for one in session.talks if one.ended_at is None), None)
    leg = session.legs.get(talk.leg_id if talk is not None else session.operator_leg_id or 0)
    return leg if leg is not None and leg.alive and not leg.handed_over else None


def _take_talk(decision: Decision) -> None:
    """Move a talk that the engine connected into our bridge; the two go on talking, recordings go on."""
    session = decision.session
    parties = talking(session)
    session.dialling = None
    session.pending_targets = []
    decision.emit(EventType.CALL_TAKEN)
    decision.do(TakeControl(tuple(leg.channel for leg in parties)))
    for leg in parties:
        leg.bridge = None  # later signals of the old bridge are obsolete
        decision.do(Join(leg.channel, talk_bridge(session)))


def _part(decision: Decision, contact: Leg, operator: Leg) -> None:
    """End the talk of the two and its recording; both channels are controlled afterwards."""
    session = decision.session
    session.dialling = None
    session.pending_targets = []
    decision.do(TakeControl((contact.channel, operator.channel)))
    for leg in (contact, operator):
        recording.pause(decision, leg)
        leg.bridge = None  # later signals of the old bridge are obsolete
        if session.controlled:
            decision.do(Leave(leg.channel, talk_bridge(session)))


def _connect(decision: Decision, contact: Leg, other: Leg) -> None:
    session = decision.session
    for leg in (contact, other):
        stop_playback(decision, leg)
    for leg in (contact, other):
        decision.do(Join(leg.channel, talk_bridge(session)))


def _third_ready(decision: Decision, third: Leg) -> None:
    session = decision.session
    contact, operator = session.contact, session.legs[session.operator_leg_id or 0]
    if contact is None or not contact.alive:
        return
    if session.transfer_requested:
        _hand_over(decision, contact, third, operator)
        return
    decision.emit(EventType.CONSULT_STARTED, leg_id=third.leg_id, operator_leg_id=operator.leg_id)
    decision.do(Join(operator.channel, consult_bridge(session)))
    decision.do(Join(third.channel, consult_bridge(session)))


def _hand_over(decision: Decision, contact: Leg, third: Leg, operator: Leg) -> None:
    decision.emit(EventType.TRANSFERRED, leg_id=third.leg_id, operator_leg_id=operator.leg_id)
    _connect(decision, contact, third)


def _third_lost(decision: Decision, third: Leg, reason: Reason) -> None:
    session = decision.session
    was_transfer, were_talking = session.transfer_requested, session.phase is Phase.OPERATOR_TALK
    decision.emit(EventType.CONSULT_ENDED, leg_id=third.leg_id)
    operator = session.legs.get(session.operator_leg_id or 0)
    if was_transfer or operator is None or not operator.alive:
        decision.ending(reason)
        for leg in session.living:
            decision.do(Hangup(leg.channel))
        return
    # The operator waits on the line: silence would make him believe that the call is gone.
    if were_talking:
        decision.do(Leave(operator.channel, consult_bridge(session)))
    _hold_music(decision, operator)


def _hold_music(decision: Decision, leg: Leg) -> None:
    decision.do(Music(leg.channel, decision.context.system_media_path("hold_music")))


def _somebody_remains(session: Session, gone: Leg) -> bool:
    """Whether the contact is or will be served by somebody else than the leg that is gone."""
    if session.transfer_requested:
        third = session.legs.get(session.third_leg_id or 0)
        return third is not None and third.alive
    operator = session.legs.get(session.operator_leg_id or 0)
    return operator is not None and operator.alive and operator is not gone and gone is not session.contact


def _contact_and_operator(session: Session) -> tuple[Leg, Leg]:
    contact, operator = session.contact, session.legs.get(session.operator_leg_id or 0)
    if contact is None or operator is None or not contact.alive or not operator.alive:
        raise _invalid_state(session)
    return contact, operator


def _require(session: Session, *phases: Phase) -> None:
    if session.phase not in phases or session.ending is not None or session.reconnecting:
        raise _invalid_state(session)


def _refuse_if_transferring(session: Session) -> None:
    if session.transfer_requested:
        raise _invalid_state(session)


def _invalid_state(session: Session) -> InvalidState:
    return InvalidState(
        "This method cannot be called in this state",
        field="call_session_id",
        value=session.call_session_id,
    )


def third_party(decision: Decision, to: str) -> tuple[Target, dict[str, Any], int]:
    """Whom ``make.call`` calls: an extension, an employee's line, or a number of the world.

    :raises InvalidInput: ``no_active_phone_number`` when no phone can be called there.
    """
    session, context = decision.session, decision.context
    caller = session.contact_phone_number or ""
    where = destination(context.account, to)
    match where:
        case ToOutside():
            number = context.account.numbers.get(session.virtual_number_id or 0)
            trunk = dialing.outgoing_trunk(context, where.number, number)
            if not isinstance(trunk, Reason):
                shown = number.phone_number if number is not None else None
                target, data = dialing.contact_dial_target(
                    decision, trunk, where.number, shown, keys=where.keys
                )
                return (
                    target,
                    {**data, "role": Role.OPERATOR, "side": Side.OPERATOR},
                    THIRD_PARTY_RING_SECONDS,
                )
        case ToEmergency():
            own = context.account.numbers.get(session.virtual_number_id or 0)
            if (dial_target := dialing.emergency_dial_target(decision, where.number, own)) is not None:
                target, data = dial_target
                return (
                    target,
                    {**data, "role": Role.OPERATOR, "side": Side.OPERATOR},
                    THIRD_PARTY_RING_SECONDS,
                )
        case ToLine():
            line = where.line
            phone = Phone(0, line.sip_line_id, None, line.channels_count, line.dial_time, is_active=True)
            if context.phone_obstacle(phone) is None:
                owner = context.account.employee_of_line(line.sip_line_id)
                target = Target.of(
                    Endpoint.line(line.phone_number),
                    caller_number=caller,
                    caller_name=session.contact_full_name or "",
                )
                return target, dialing.line_leg(line, owner, caller), line.dial_time
        case ToEmployee() | ToGroup():
            group = where.group if isinstance(where, ToGroup) else None
            people = (
                [where.employee]
                if isinstance(where, ToEmployee)
                else members_of(context.account, where.group)
            )
            for employee in people:
                if (
                    employee_obstacle(context.account, employee, context.local_time, internal=True)
                    is not None
                ):
                    continue
                phones = group.phones_of(employee) if group is not None else None
                candidate, _ = first_free_phone(employee, context, (), phones)
                dial_targets = dialing.candidate_dial_targets(
                    decision,
                    [Candidate(employee, candidate.phone)] if candidate else [],
                    caller,
                    session.contact_full_name or "",
                )
                if dial_targets:
                    return (
                        dial_targets[0][0],
                        dial_targets[0][1],
                        candidate.phone.dial_time if candidate else 60,
                    )
    raise InvalidInput(
        "The phone number does not exist or is inactive",
        mnemonic="no_active_phone_number",
        field="to",
        value=to,
    )
