"""The parties of a call started by the API: from a plan's words to what is dialled. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from trunkline.calls.decision import Decision
from trunkline.calls.finish_reasons import Side
from trunkline.calls.flows import dialing
from trunkline.calls.flows.dialing import DialTarget
from trunkline.calls.flows.scenario_position import caller_of, position
from trunkline.calls.session import Role, Session
from trunkline.calls.states import ClickToCall
from trunkline.directory.model import Operation, OperationKind
from trunkline.events.reasons import Reason
from trunkline.routing import interpreter
from trunkline.routing.branches import Caller
from trunkline.routing.decisions import Candidate, Play, Ring, RingOutside, RoutingDecision, Skipped
from trunkline.routing.ringing import ring_operation
from trunkline.telephony.port import Endpoint, Target

RING_SECONDS_OUTSIDE = 60
RING_SECONDS_GROUP = 20

DialTargets = tuple[list[DialTarget], int]
"""The targets to dial at once, and the seconds; empty = no (further) targets."""


def plan_of(session: Session) -> dict[str, Any]:
    """What the API asked for; empty once it does not decide any more."""
    return session.state.plan if isinstance(session.state, ClickToCall) else {}


def dial_targets_for(decision: Decision, party: dict[str, Any]) -> DialTargets:
    """The next phones of a party. Those passed over are kept as skipped legs."""
    match party["kind"]:
        case "employee":
            return _employee(decision, party)
        case "line":
            return _line(decision, party)
        case "scenario":
            return _scenario(decision, party)
        case "group":
            return _group(decision, party)
        case _:
            return _number(decision, party)


def unreached(party: dict[str, Any]) -> Reason:
    """Why the session ends when this party could not be reached."""
    return Reason.NO_SUCCESS_CALLER_CALL if party["kind"] == "contact" else Reason.NO_SUCCESS_OPERATOR_CALL


def nobody(party: dict[str, Any], contact: str | None) -> dict[str, Any]:
    """Data of a leg for a party that could not even be dialled."""
    is_contact = party["kind"] == "contact"
    return {
        "role": {"contact": Role.CONTACT, "operator": Role.OPERATOR}.get(party["kind"], Role.EMPLOYEE),
        "side": Side.CONTACT if is_contact else Side.OPERATOR,
        "direction": "out",
        "called_phone_number": party.get("number") or (contact if is_contact else None),
        "employee_id": party.get("employee_id"),
    }


def _shown_to_us(decision: Decision) -> str:
    """The caller id that our side sees."""
    session = decision.session
    if chosen := _chosen_for_us(decision)[0]:
        return chosen
    if plan_of(session).get("show_virtual_phone_number", True):
        return session.virtual_phone_number or ""
    return session.contact_phone_number or ""


def _name_shown_to_us(decision: Decision) -> str:
    return _chosen_for_us(decision)[1] or decision.session.contact_full_name or ""


def _chosen_for_us(decision: Decision) -> tuple[str | None, str | None]:
    """Number and name that the request chose for our side."""
    number, name = plan_of(decision.session).get("shown_to_us") or (None, None)
    return number, name


def _line(decision: Decision, party: dict[str, Any]) -> DialTargets:
    """A SIP line that was named itself; its employee serves the call, if it has one."""
    account = decision.context.account
    line = account.lines.get(party["sip_line_id"])
    if line is None:
        return [], 0
    shown = _shown_to_us(decision)
    target = Target.of(
        Endpoint.line(line.phone_number), caller_number=shown, caller_name=_name_shown_to_us(decision)
    )
    owner = account.employee_of_line(line.sip_line_id)
    return [(target, dialing.line_leg(line, owner, shown))], line.dial_time


def _number(decision: Decision, party: dict[str, Any]) -> DialTargets:
    session, context = decision.session, decision.context
    number = str(party["number"])
    is_contact = party["kind"] == "contact"
    caller = (session.virtual_phone_number or "") if is_contact else _shown_to_us(decision)
    data: dict[str, Any] = {
        "role": Role.CONTACT if is_contact else Role.OPERATOR,
        "side": Side.CONTACT if is_contact else Side.OPERATOR,
        "direction": "out",
        "calling_phone_number": caller,
        "called_phone_number": number,
    }
    line = context.account.line_by_login(number)
    name = plan_of(session).get("shown_name") or "" if is_contact else ""
    if line is not None:
        target = Target.of(Endpoint.line(number), caller_number=caller, caller_name=name)
        return [(target, {**data, "sip_line_id": line.sip_line_id})], line.dial_time
    trunk = dialing.take_outgoing_trunk(
        context, number, context.account.numbers.get(session.virtual_number_id or 0)
    )
    if isinstance(trunk, Reason):
        return [], 0
    # Carriers accept only the account's own numbers as caller id.
    own = caller if context.account.number_by_phone(caller) is not None else session.virtual_phone_number
    target = dialing.trunk_target(decision, trunk, number, own, name)
    return [(target, {**data, "trunk_id": trunk.trunk_id})], RING_SECONDS_OUTSIDE


def _employee(decision: Decision, party: dict[str, Any]) -> DialTargets:
    """The employee's next phone that is not tried yet and free."""
    employee = decision.context.account.employees.get(party["employee_id"])
    if employee is None:
        return [], 0
    tried = {leg.phone_id for leg in decision.session.legs.values()}
    for phone in employee.phones:
        if phone.phone_id in tried or phone.phone_id not in party["phone_ids"]:
            continue
        reason = (
            Reason.EMPLOYEE_PHONE_INACTIVE if not phone.is_active else decision.context.phone_obstacle(phone)
        )
        if reason is not None:
            decision.record_skipped(Skipped(employee, phone, reason))
            continue
        dial_targets = dialing.candidate_dial_targets(
            decision,
            [Candidate(employee, phone)],
            _shown_to_us(decision),
            _name_shown_to_us(decision),
        )
        if dial_targets:
            return dial_targets, phone.dial_time
    return [], 0


def _group(decision: Decision, party: dict[str, Any]) -> DialTargets:
    """Whom a group rings next, by its strategy."""
    context = decision.context
    settings = {"group_id": party["group_id"], "ring_seconds": RING_SECONDS_GROUP}
    operation = Operation(0, "group", "", OperationKind.FORWARD_GROUP, settings)
    tried = {leg.employee_id for leg in decision.session.attempts() if leg.employee_id is not None}
    ring = ring_operation(context.account, operation, context, tried, (), _caller(decision))
    if not isinstance(ring, Ring):
        return [], 0
    for skipped in ring.skipped:
        decision.record_skipped(skipped)
    targets = dialing.candidate_dial_targets(
        decision, ring.candidates, _shown_to_us(decision), _name_shown_to_us(decision)
    )
    return targets, ring.ring_seconds


def _scenario(decision: Decision, party: dict[str, Any]) -> DialTargets:
    """Whom the scenario rings next; what it would play on the way is not for our side and is passed over."""
    session, context = decision.session, decision.context
    scenario = context.account.scenarios.get(party["scenario_id"])
    if scenario is None:
        return [], 0
    if session.scenario_id is None:
        decision.enter_scenario(scenario)
        routing_decision = interpreter.decide_first(context.account, scenario, context, _caller(decision))
    else:
        present, operation = position(decision)
        if present is None or operation is None:
            return [], 0
        tried = {leg.employee_id for leg in session.attempts() if leg.employee_id is not None}
        tried |= {leg.phone_id for leg in session.attempts() if leg.phone_id is not None}
        routing_decision = interpreter.decide_next_round(
            context.account, present, operation, context, tried, _caller(decision)
        )
    return _first_ring(decision, routing_decision)


def _caller(decision: Decision) -> Caller:
    """A call to our own side is not forwarded: its employee is to talk with the contact."""
    return replace(caller_of(decision), follows_forwards=False)


def _first_ring(decision: Decision, routing_decision: RoutingDecision) -> DialTargets:
    name = decision.session.contact_full_name or ""
    for _ in range(interpreter.MAX_TRANSITIONS):
        decision.enter(routing_decision.entered)
        for skipped in routing_decision.skipped:
            decision.record_skipped(skipped)
        match routing_decision:
            case Ring():
                if routing_decision.chosen is not None:
                    decision.choose(routing_decision.operation, routing_decision.chosen)
                dial_targets = dialing.candidate_dial_targets(
                    decision, routing_decision.candidates, _shown_to_us(decision), name
                )
                return dial_targets, routing_decision.ring_seconds
            case RingOutside():
                dial_target = dialing.outside_dial_target(decision, routing_decision.number)
                if not isinstance(dial_target, Reason):
                    return [dial_target], routing_decision.ring_seconds
                decision.record_skipped(routing_decision.not_called(dial_target))
            case Play():
                pass
            case _:
                return [], 0
        scenario, operation = position(decision)
        if scenario is None or operation is None:
            return [], 0
        routing_decision = interpreter.decide_after(
            decision.context.account, scenario, operation, decision.context, _caller(decision)
        )
    return [], 0
