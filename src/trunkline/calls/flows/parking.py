"""Parking: a contact waits in a slot of the account until a phone of the account takes it. Pure.

An employee parks a contact by a blind transfer to ``*68``, or to a slot (``*6801``), or by dialling ``*68`` while the
contact is on hold. Who dials a slot takes the contact that waits there. When nobody does, the phone that parked it rings
after each ``CallContext.parking_seconds``.

The call to a code is a call of its own. It asks a question, which the switch answers by a change of the other call
(:mod:`trunkline.calls.switch.parking`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trunkline.calls.decision import Decision
from trunkline.calls.effects import Answer, Hangup, Music, TakeControl
from trunkline.calls.finish_reasons import Side
from trunkline.calls.flows import consultation, engine_connect, phone_transfer
from trunkline.calls.flows.inbound import refuse
from trunkline.calls.flows.inputs import (
    COMMANDS,
    InputElapsed,
    JoinFailed,
    Key,
    LegAnswered,
    LegGone,
    LegUnreached,
    MessagePlayed,
    MessageRecorded,
    NotConnected,
    Park,
    PartyTaken,
    QuestionReply,
    RingElapsed,
    ScenarioPlayed,
    TalkOver,
)
from trunkline.calls.flows.number_plan import ToParking
from trunkline.calls.flows.table import Table, pairs, row
from trunkline.calls.flows.third_party import third_party
from trunkline.calls.session import Leg, Role, Session
from trunkline.calls.states import (
    Announcing,
    Calling,
    Connecting,
    Consulting,
    ControlledLate,
    DialledParking,
    EngineTalk,
    EngineTalkEnded,
    Finishing,
    OnHold,
    Parked,
    Releasing,
    State,
    Talking,
)
from trunkline.calls.timers import PARKING_TIMER, Ask, CancelTimer, Question, StartTimer
from trunkline.core.errors import InvalidInput, InvalidState
from trunkline.core.hangup_causes import ANSWERED_ELSEWHERE, NORMAL_CLEARING
from trunkline.events.catalogue import EventType
from trunkline.events.reasons import Reason
from trunkline.telephony.port import Channel

SLOTS = range(1, 100)
"""Of each account: dialled with two digits behind the code."""

PARKED_SECONDS_MAX = 4 * 3600
"""Then the call ends: nobody is there, and a channel of a trunk may cost money."""

PARK = "park"
"""Kind of the question of a call to the code: to park the contact whom this line has on hold. Data: ``call_session_id`` (of
the call to the code). The answer has the ``slot``."""

RETRIEVE = "retrieve"
"""Kind of the question of a call to a slot. Data: ``call_session_id``, ``slot``."""


# --- the call of the contact ------------------------------------------------------------------------------


def park(decision: Decision, flow_input: Park) -> None:
    """The contact hears music in a slot; who served it leaves the call.

    :raises InvalidState: the slot is taken, or all are.
    """
    session = decision.session
    contact, operator = consultation.talking(session)
    slot = free_slot(decision.context.parked(), flow_input.slot)
    if slot is None:
        text = "No parking slot is free" if flow_input.slot is None else "This parking slot is taken"
        raise InvalidState(text, field="call_session_id", value=session.call_session_id)
    consultation.part(decision, contact, operator)
    decision.emit(EventType.CALL_PARKED, leg_id=operator.leg_id, slot=slot, since=decision.at)
    decision.end_talk(operator.leg_id)
    consultation.dismiss_coach(decision)
    decision.do(StartTimer(PARKING_TIMER, decision.context.parking_seconds))
    _music(decision, contact)
    files = announcement(decision, slot) if flow_input.is_transfer else ()
    if files:
        consultation.say(decision, operator, files, then_music=False)
    else:
        _let_go(decision, operator, is_transfer=flow_input.is_transfer)


def free_slot(parked: Mapping[int, int], wanted: int | None = None) -> int | None:
    """The first free slot, or the one that is wanted; None: it is taken.

    :param parked: the calls by their slots.
    """
    if wanted is not None:
        return wanted if wanted in SLOTS and wanted not in parked else None
    return next((slot for slot in SLOTS if slot not in parked), None)


def announcement(decision: Decision, slot: int) -> tuple[str, ...]:
    """Files that name a slot."""
    names = ("parked", *(f"digit_{digit}" for digit in f"{slot:02}"))
    paths = [decision.context.system_media_path(name) for name in names]
    return tuple(path for path in paths if path is not None) if None not in paths else ()


def announced(decision: Decision, flow_input: MessagePlayed) -> None:
    """The phone that asked for the transfer has played the slot: it gets the result, and leaves."""
    if flow_input.leg.departure is not None:
        _let_go(decision, flow_input.leg, is_transfer=True)


def _let_go(decision: Decision, operator: Leg, *, is_transfer: bool) -> None:
    if is_transfer:
        phone_transfer.done(decision, operator)
    decision.do(Hangup(operator.channel))


def call_back(decision: Decision, _given: InputElapsed) -> None:
    """Nobody took the contact: the phone that parked it rings, and again after the same time."""
    session, state = decision.session, decision.session.state
    contact = session.contact
    if not isinstance(state, Parked) or contact is None:
        return
    if decision.at - state.since >= PARKED_SECONDS_MAX:
        decision.end_session(Reason.NO_SUCCESS_OPERATOR_CALL)
        engine_connect.hang_up_all(decision, NORMAL_CLEARING)
        return
    decision.do(StartTimer(PARKING_TIMER, decision.context.parking_seconds))
    if called(session):
        return
    parker = session.legs[state.by_leg_id]
    to = parker.employee_phone_number or parker.called_phone_number
    try:
        target, data, seconds = third_party(decision, to or "", parker.sip_line_id)
    except InvalidInput:
        return  # its phone is busy or offline now
    leg = decision.originate_leg(target, data, seconds)
    decision.emit(EventType.PARKING_RETURNED, leg_id=leg.leg_id, slot=state.slot)


def called(session: Session) -> list[Leg]:
    """The phone that rings for a parked contact."""
    parties = (leg for leg in session.living if leg.role is not Role.COACH)
    return [leg for leg in parties if leg is not session.contact and leg.departure is None]


def answered(decision: Decision, flow_input: LegAnswered) -> None:
    """Who parked the contact takes it back."""
    if flow_input.leg.departure is None and flow_input.leg is not decision.session.contact:
        _connect(decision, flow_input.leg)


def take(decision: Decision, by: Leg) -> None:
    """A phone that dialled the slot goes on in this call.

    :param by: its leg in the call to the slot.
    """
    session, state = decision.session, decision.session.state
    if not isinstance(state, Parked):
        return
    parker = session.legs[state.by_leg_id]
    leg = decision.start_leg(
        by.channel,
        {
            "role": Role.EMPLOYEE,
            "side": Side.OPERATOR,
            "direction": "out",
            "calling_phone_number": session.contact_phone_number,
            "called_phone_number": by.employee_phone_number,
            "employee_id": by.employee_id,
            "employee_full_name": by.employee_full_name,
            "employee_phone_number": by.employee_phone_number,
            "sip_line_id": by.sip_line_id,
            "is_transfered": by.sip_line_id != parker.sip_line_id,
        },
    )
    decision.do(Answer(by.channel))
    decision.answer_leg(leg)
    _connect(decision, leg)


def _connect(decision: Decision, leg: Leg) -> None:
    session, state, contact = decision.session, decision.session.state, decision.session.contact
    if not isinstance(state, Parked) or contact is None:
        return
    others = [one for one in called(session) if one is not leg]
    decision.do(CancelTimer(PARKING_TIMER))
    decision.emit(EventType.CALL_RETRIEVED, leg_id=leg.leg_id, slot=state.slot)
    for other in others:
        decision.do(Hangup(other.channel, ANSWERED_ELSEWHERE))
    consultation.connect(decision, contact, leg)


def party_gone(decision: Decision, flow_input: LegGone) -> None:
    """The call ends with the contact, and with nobody else."""
    if flow_input.leg is decision.session.contact:
        decision.end_session(flow_input.reason)
        engine_connect.hang_up_all(decision, NORMAL_CLEARING)


def resume(decision: Decision, controlled: frozenset[Channel]) -> None:
    """After a restart of the switch: the contact hears music, and who parked it is gone.

    :param controlled: living channels that the engine does not command.
    """
    session, contact = decision.session, decision.session.contact
    if contact is None or not contact.is_alive:
        return
    for leg in session.living:
        if leg.departure is not None:
            decision.do(Hangup(leg.channel))
    if contact.channel not in controlled:
        decision.do(TakeControl((contact.channel,)))
    for leg in called(session):
        if leg.answered_at is not None:
            _connect(decision, leg)
            return
    _music(decision, contact)


def _music(decision: Decision, contact: Leg) -> None:
    decision.do(Music(contact.channel, decision.context.system_media_path("hold_music")))


# --- the call to a code -----------------------------------------------------------------------------------


def call(decision: Decision, leg: Leg, where: ToParking) -> Reason | None:
    """A line dialled ``*68`` or a slot; why it is refused, if it is."""
    if where.slot is not None and where.slot not in decision.context.parked():
        return Reason.NO_SUCCESS_OPERATOR_CALL
    decision.emit(EventType.PARKING_DIALLED, leg_id=leg.leg_id, slot=where.slot)
    kind = PARK if where.slot is None else RETRIEVE
    data: dict[str, Any] = {"call_session_id": decision.session.call_session_id, "slot": where.slot}
    decision.do(Ask(kind, Question(kind, data, is_change=True)))
    return None


def replied(decision: Decision, flow_input: QuestionReply) -> None:
    """The contact is parked: the phone plays the slot. Else the phone gets a refusal."""
    leg = decision.session.initiator
    if leg is None or not leg.is_alive:
        return
    reply = flow_input.value if isinstance(flow_input.value, Mapping) else {}
    if flow_input.key != PARK or "slot" not in reply:
        refuse(decision, leg, Reason.NO_SUCCESS_OPERATOR_CALL)
        return
    decision.do(Answer(leg.channel))
    files = announcement(decision, reply["slot"])
    if files:
        consultation.say(decision, leg, files, then_music=False)
    else:
        decision.hang_up_served(leg)


def heard(decision: Decision, flow_input: MessagePlayed) -> None:
    """The phone has played the slot."""
    decision.hang_up_served(flow_input.leg)


def resume_dialled(decision: Decision, leg: Leg) -> None:
    """After a restart of the switch: an open question fails, and an announcement is not repeated."""
    if not decision.session.questions:
        decision.hang_up_served(leg)


# --- the table --------------------------------------------------------------------------------------------

_IN_TALK: tuple[type[State], ...] = (EngineTalk, Talking, ControlledLate)
_OTHERS: tuple[type[State], ...] = (EngineTalkEnded, OnHold, Calling, Announcing, Releasing, Consulting)
_MEANINGLESS = (
    PartyTaken, ScenarioPlayed, MessageRecorded, NotConnected, TalkOver,
)  # fmt: skip

TABLE = Table(
    rows={
        **{(state, Park): row(park, Parked) for state in _IN_TALK},
        (Parked, InputElapsed): row(call_back, Parked, Finishing),
        (Parked, LegAnswered): row(answered, Parked, Connecting),
        (Parked, MessagePlayed): row(announced, Parked),
        (Parked, RingElapsed): row(consultation.stop_ringing, Parked),
        (Parked, LegGone): row(party_gone, Parked, Finishing),
        (DialledParking, QuestionReply): row(replied, DialledParking, Finishing),
        (DialledParking, MessagePlayed): row(heard, Finishing),
        (DialledParking, LegGone): row(engine_connect.party_gone, DialledParking, Finishing),
    },
    refused=pairs(_OTHERS, Park) | pairs((Parked, DialledParking), *COMMANDS),
    ignored=pairs((Parked, DialledParking), *_MEANINGLESS, JoinFailed)
    | pairs((Parked,), QuestionReply)
    | pairs((DialledParking,), RingElapsed, InputElapsed),
    expected=pairs((Parked, DialledParking), LegUnreached, Key) | pairs((DialledParking,), LegAnswered),
)
"""Of a parked contact, and of the calls to the codes of parking."""
