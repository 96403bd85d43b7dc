"""A coach on a live talk: is called, then receives the audio of both parties; the mode defines its own audio. Pure."""

from __future__ import annotations

from trunkline.calls.command_names import CoachMode
from trunkline.calls.decision import Decision
from trunkline.calls.effects import Hangup, Supervise
from trunkline.calls.finish_reasons import Side
from trunkline.calls.flows import consultation, dialing
from trunkline.calls.flows.number_plan import ToEmployee, ToLine, ToOutside, destination
from trunkline.calls.session import Leg, Role
from trunkline.calls.states import Coaching, NoCoach
from trunkline.core.errors import InvalidInput, InvalidState, NotFound
from trunkline.core.hangup_causes import NO_ANSWER
from trunkline.events.catalogue import EventType
from trunkline.events.reasons import Reason
from trunkline.routing.decisions import Candidate
from trunkline.routing.ringing import first_free_phone
from trunkline.telephony.port import Endpoint, Supervision, Target

RING_SECONDS = 60


def add(decision: Decision, phone_number: str | None, mode: CoachMode) -> None:
    """``add.coach``: call the named number, else the coach of the employee who talks.

    :raises InvalidState: there is no talk, or there is already a coach.
    :raises NotFound: ``coach_not_found``; InvalidInput: ``no_active_phone_number``.
    """
    session = decision.session
    if not session.talking or session.ending is not None:
        raise InvalidState("This method cannot be called in this state", field="call_session_id")
    if not isinstance(session.coach, NoCoach):
        raise InvalidState("A coach is on this call already", field="call_session_id")
    _, operator = consultation.talking(session)
    dial_target = _named(decision, phone_number) if phone_number is not None else _own(decision, operator)
    if dial_target is None:
        raise InvalidInput(
            "The phone number does not exist or is inactive",
            mnemonic="no_active_phone_number",
            field="phone_number",
            value=phone_number,
        )
    target, data = dial_target
    data |= {"role": Role.COACH, "side": Side.OPERATOR, "coach_mode": mode}
    decision.originate_leg(target, data, RING_SECONDS)


def answered(decision: Decision, leg: Leg) -> None:
    """The coach has answered: it joins, unless the one to coach is gone."""
    operator = consultation.serving(decision.session)
    if operator is None or decision.session.ending is not None:
        decision.do(Hangup(leg.channel))  # whom to coach is gone
    else:
        mode = CoachMode(leg.coach_mode or CoachMode.WHISPER)
        decision.emit(EventType.COACH_JOINED, leg_id=leg.leg_id, target_leg_id=operator.leg_id, mode=mode)
        if mode is CoachMode.BARGE:
            consultation.join_talk(decision, leg)
        else:
            decision.do(Supervise(leg.channel, operator.channel, Supervision(mode)))


def stop_ringing(decision: Decision, leg: Leg) -> None:
    """The coach has rung as long as it may."""
    decision.do(Hangup(leg.channel, NO_ANSWER))


def dismiss(decision: Decision, cause: int) -> None:
    """A coach that has joined leaves; one that still rings may join later."""
    coach = decision.session.coach
    if isinstance(coach, Coaching):
        decision.do(Hangup(decision.session.legs[coach.leg_id].channel, cause))


def _own(decision: Decision, operator: Leg) -> dialing.DialTarget | None:
    account = decision.context.account
    employee = account.employees.get(operator.employee_id or 0)
    coach = account.employees.get(employee.coach_id or 0) if employee is not None else None
    if coach is None:
        raise NotFound("The coach was not found in your settings", mnemonic="coach_not_found")
    candidate, _ = first_free_phone(coach, decision.context, ())
    dial_targets = dialing.candidate_dial_targets(
        decision, [Candidate(coach, candidate.phone)] if candidate else [], *_shown(decision)
    )
    return dial_targets[0] if dial_targets else None


def _named(decision: Decision, phone_number: str) -> dialing.DialTarget | None:
    context = decision.context
    caller_number, caller_name = _shown(decision)
    match destination(context.account, phone_number):
        case ToEmployee(employee):
            candidate, _ = first_free_phone(employee, context, ())
            dial_targets = dialing.candidate_dial_targets(
                decision,
                [Candidate(employee, candidate.phone)] if candidate else [],
                caller_number,
                caller_name,
            )
            return dial_targets[0] if dial_targets else None
        case ToLine(line):
            target = Target.of(
                Endpoint.line(line.phone_number),
                caller_number=caller_number,
                caller_name=caller_name,
            )
            return target, dialing.line_leg(
                line, context.account.employee_of_line(line.sip_line_id), caller_number
            )
        case ToOutside(number, keys):
            own = context.account.numbers.get(decision.session.virtual_number_id or 0)
            trunk = dialing.take_outgoing_trunk(context, number, own)
            if not isinstance(trunk, Reason):
                return dialing.contact_dial_target(
                    decision, trunk, number, own.phone_number if own else None, keys=keys
                )
    return None


def _shown(decision: Decision) -> tuple[str, str]:
    return decision.session.contact_phone_number or "", decision.session.contact_full_name or ""
