"""Transfers that a phone asks for (REFER): to a number, or to the other party of its second call. Pure.

What follows is a transfer as by the Call API, with its events and rules, and with the rights of the line that asks.
"""

from __future__ import annotations

from typing import Any

from trunkline.calls.decision import Decision
from trunkline.calls.effects import AnswerTransfer, Hangup, RecordVoice
from trunkline.calls.finish_reasons import Side
from trunkline.calls.flows import consultation
from trunkline.calls.flows.number_plan import ToOutside, ToParking, ToQueue, destination, is_dialled
from trunkline.calls.flows.table import invalid_state
from trunkline.calls.flows.third_party import right_missing, third_party
from trunkline.calls.session import Leg, Role, Session
from trunkline.calls.states import Departure
from trunkline.core.errors import InvalidInput, PermissionDenied
from trunkline.core.hangup_causes import NORMAL_CLEARING
from trunkline.events.catalogue import EventType
from trunkline.events.reasons import Reason
from trunkline.telephony.port import Channel


def may_hand_over(session: Session, leg: Leg) -> bool:
    """Whether the phone of this leg serves the contact of this talk, and so may hand the contact over."""
    return consultation.may_hold(session) and consultation.talking(session)[1] is leg


def other_party(session: Session, leg: Leg) -> Leg | None:
    """With whom this leg talks; None: with nobody, or the talk cannot be moved."""
    if not consultation.may_hold(session):
        return None
    parties = consultation.talking(session)
    if leg not in parties:
        return None
    return next(one for one in parties if one is not leg)


def check_number(decision: Decision, leg: Leg, dialled: str) -> None:
    """Whether this phone may transfer the contact to this number.

    :raises InvalidState: it does not serve the contact of a talk.
    :raises InvalidInput: nobody can be called there.
    :raises PermissionDenied: the line may not call there.
    """
    if not may_hand_over(decision.session, leg):
        raise invalid_state(decision.session)
    account = decision.context.account
    where = destination(account, dialled) if is_dialled(dialled) else None
    line = account.lines.get(leg.sip_line_id or 0)
    if where is None:
        raise InvalidInput("Nobody has this number", mnemonic="no_active_phone_number", value=dialled)
    if line is None:
        raise PermissionDenied("Only lines of the account transfer calls", mnemonic="forbidden")
    refusal = right_missing(line, account.employee_of_line(line.sip_line_id), where, decision.context)
    if isinstance(where, ToOutside) and where.number in account.blacklist:
        refusal = Reason.LOCKED_NUMB
    if refusal is not None:
        raise PermissionDenied(f"The line may not call there: {refusal.value}", mnemonic="forbidden")
    if not isinstance(where, ToQueue | ToParking):  # nobody is called there
        third_party(decision, dialled, leg.sip_line_id)


def note(decision: Decision, leg: Leg, to: str | None, other: Channel | None) -> None:
    """Asterisk has accepted the request of a phone: it is known also after a restart of the switch."""
    decision.emit(EventType.TRANSFER_ASKED, leg_id=leg.leg_id, to=to, other=other)


def done(decision: Decision, leg: Leg) -> None:
    """Report to the phone that its transfer is carried out: it hangs up. So this comes after everything else, but our own
    hang-up."""
    decision.do(AnswerTransfer(leg.channel, is_done=True))


def refuse(decision: Decision, leg: Leg) -> None:
    """Report to the phone that its transfer is refused: the talk goes on, in a bridge of the switch."""
    consultation.rejoin(decision)
    if decision.session.asked_transfer is not None:
        decision.emit(EventType.TRANSFER_REFUSED, leg_id=leg.leg_id)
    decision.do(AnswerTransfer(leg.channel, is_done=False))


def take_over(decision: Decision, own: Leg, remote: Leg, asked_on: Leg, second: Leg) -> None:
    """The other party of the second call takes the contact of this call over.

    The switch controls all four channels. All commands to them are effects of this call, so they have one order.

    :param own: who hands over, in this call; ``second`` is the same phone in its second call.
    :param remote: the other party of the second call; its channel becomes one of this call.
    :param asked_on: the leg of the phone on which it asked, which gets the response.
    """
    contact, operator = consultation.talking(decision.session)
    if operator is not own:
        raise invalid_state(decision.session)
    if remote.is_recorded:
        decision.do(RecordVoice(remote.channel, on=False))
    consultation.part(decision, contact, operator)
    decision.emit(EventType.CALL_HELD, leg_id=operator.leg_id)
    decision.end_talk(operator.leg_id)
    third = decision.start_leg(remote.channel, _as_third(remote))
    decision.emit(EventType.THIRD_PARTY_CALLED, leg_id=third.leg_id, message=[])
    decision.answer_leg(third)
    decision.emit(EventType.CONSULT_STARTED, leg_id=third.leg_id, operator_leg_id=operator.leg_id)
    consultation.hand_over(decision, contact, third, operator)
    done(decision, asked_on)
    for one in (operator, second):
        decision.do(Hangup(one.channel))


def give_away(decision: Decision, own: Leg, remote: Leg) -> None:
    """The second call ends, while its other party goes on in the first. The first call has the commands for both."""
    session = decision.session
    session.connect = None
    for one in (own, remote):
        one.bridge = None
        if one.is_recorded:
            decision.emit(EventType.RECORDING_STOPPED, leg_id=one.leg_id, paused=True)
    remote.departure = Departure.HANDED_OVER
    decision.end_leg(remote, Reason.TRANSFER_DISCONNECTS, NORMAL_CLEARING)
    decision.end_session(Reason.OPERATOR_DISCONNECTS)


def _as_third(remote: Leg) -> dict[str, Any]:
    """Data of the leg that goes on in the other call."""
    return {
        "role": Role.EMPLOYEE if remote.employee_id is not None else Role.OPERATOR,
        "side": Side.OPERATOR,
        "direction": "out",
        **{
            name: getattr(remote, name)
            for name in (
                "calling_phone_number",
                "called_phone_number",
                "employee_id",
                "employee_full_name",
                "employee_phone_number",
                "phone_id",
                "sip_line_id",
                "trunk_id",
            )
        },
        "is_transfered": True,
    }
