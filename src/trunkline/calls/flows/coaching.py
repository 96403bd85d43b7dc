"""A coach on a live talk: is called, then receives the audio of both parties; the mode defines its own audio. Pure."""

from __future__ import annotations

from trunkline.calls.decision import Turn
from trunkline.calls.effects import Hangup, Supervise
from trunkline.calls.finish_reasons import Side
from trunkline.calls.flows import consultation, dialing
from trunkline.calls.flows.number_plan import ToEmployee, ToLine, ToWorld, destination
from trunkline.calls.session import CoachMode, Leg, Role
from trunkline.core.errors import InvalidInput, InvalidState, NotFound
from trunkline.events.catalogue import EventType
from trunkline.events.reasons import Reason
from trunkline.routing.interpreter import Candidate, first_free_phone
from trunkline.telephony.port import Endpoint, Supervision, Target

RING_SECONDS = 60


def add(turn: Turn, phone_number: str | None, mode: CoachMode) -> None:
    """``add.coach``: call the named number, else the coach of the employee who talks.

    :raises InvalidState: there is no talk, or there is already a coach.
    :raises NotFound: ``coach_not_found``; InvalidInput: ``no_active_phone_number``.
    """
    session = turn.session
    if not session.talking or session.ending is not None:
        raise InvalidState("This method cannot be called in this state", field="call_session_id")
    if any(leg.role is Role.COACH and leg.alive for leg in session.legs.values()):
        raise InvalidState("A coach is on this call already", field="call_session_id")
    _, operator = consultation.talking(session)
    aim = _named(turn, phone_number) if phone_number is not None else _own(turn, operator)
    if aim is None:
        raise InvalidInput(
            "The phone number does not exist or is inactive",
            mnemonic="no_active_phone_number",
            field="phone_number",
            value=phone_number,
        )
    target, data = aim
    data |= {"role": Role.COACH, "side": Side.OPERATOR, "coach_mode": mode}
    turn.call(target, data, RING_SECONDS)


def leg_answered(turn: Turn, leg: Leg) -> bool:
    """The coach picked up. True when the leg is a coach's."""
    if leg.role is not Role.COACH:
        return False
    operator = consultation.serving(turn.session)
    if operator is None or turn.session.ending is not None:
        turn.do(Hangup(leg.channel))  # whom to coach is gone
    else:
        mode = CoachMode(leg.coach_mode or CoachMode.WHISPER)
        turn.emit(EventType.COACH_JOINED, leg_id=leg.leg_id, target_leg_id=operator.leg_id, mode=mode)
        if mode is CoachMode.BARGE:
            consultation.join_talk(turn, leg)
        else:
            turn.do(Supervise(leg.channel, operator.channel, Supervision(mode)))
    return True


def _own(turn: Turn, operator: Leg) -> dialing.Aim | None:
    account = turn.look.account
    employee = account.employees.get(operator.employee_id or 0)
    coach = account.employees.get(employee.coach_id or 0) if employee is not None else None
    if coach is None:
        raise NotFound("The coach was not found in your settings", mnemonic="coach_not_found")
    candidate, _ = first_free_phone(coach, turn.look, ())
    aims = dialing.candidate_aims(
        turn, [Candidate(coach, candidate.phone)] if candidate else [], *_shown(turn)
    )
    return aims[0] if aims else None


def _named(turn: Turn, phone_number: str) -> dialing.Aim | None:
    look = turn.look
    caller_number, caller_name = _shown(turn)
    match destination(look.account, phone_number):
        case ToEmployee(employee):
            candidate, _ = first_free_phone(employee, look, ())
            aims = dialing.candidate_aims(
                turn, [Candidate(employee, candidate.phone)] if candidate else [], caller_number, caller_name
            )
            return aims[0] if aims else None
        case ToLine(line):
            target = Target.of(
                Endpoint.line(line.phone_number),
                caller_number=caller_number,
                caller_name=caller_name,
            )
            return target, dialing.line_leg(
                line, look.account.employee_of_line(line.sip_line_id), caller_number
            )
        case ToWorld(number, keys):
            own = look.account.numbers.get(turn.session.virtual_number_id or 0)
            trunk = dialing.outgoing_trunk(look, number, own)
            if not isinstance(trunk, Reason):
                return dialing.contact_aim(turn, trunk, number, own.phone_number if own else None, keys=keys)
    return None


def _shown(turn: Turn) -> tuple[str, str]:
    return turn.session.contact_phone_number or "", turn.session.contact_full_name or ""
