"""The parties of a call started by the API: from a plan's words to what is dialled. Pure."""

from __future__ import annotations

from typing import Any

from trunkline.calls.decision import Turn
from trunkline.calls.finish_reasons import Side
from trunkline.calls.flows import dialing
from trunkline.calls.flows.dialing import Aim
from trunkline.calls.session import Role
from trunkline.directory.model import Scenario
from trunkline.events.catalogue import EventType
from trunkline.events.reasons import Reason
from trunkline.routing import interpreter
from trunkline.routing.interpreter import Candidate, Decision, Play, Ring, RingOutside, Skipped
from trunkline.telephony.port import Endpoint, Target

RING_SECONDS_TO_WORLD = 60

Aims = tuple[list[Aim], int]
"""The targets to dial at once, and the seconds; empty = no (further) targets."""


def aims_for(turn: Turn, party: dict[str, Any]) -> Aims:
    """The next phones of a party. Those passed over are kept as skipped legs."""
    match party["kind"]:
        case "employee":
            return _employee(turn, party)
        case "scenario":
            return _scenario(turn, party)
        case _:
            return _number(turn, party)


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


def _shown_to_us(turn: Turn) -> str:
    """The caller id that our side sees."""
    session = turn.session
    if session.plan.get("show_virtual_phone_number", True):
        return session.virtual_phone_number or ""
    return session.contact_phone_number or ""


def _number(turn: Turn, party: dict[str, Any]) -> Aims:
    session, look = turn.session, turn.look
    number = str(party["number"])
    is_contact = party["kind"] == "contact"
    caller = (session.virtual_phone_number or "") if is_contact else _shown_to_us(turn)
    data: dict[str, Any] = {
        "role": Role.CONTACT if is_contact else Role.OPERATOR,
        "side": Side.CONTACT if is_contact else Side.OPERATOR,
        "direction": "out",
        "calling_phone_number": caller,
        "called_phone_number": number,
    }
    line = look.account.line_by_login(number)
    if line is not None:
        target = Target.of(Endpoint.line(number), caller_number=caller)
        return [(target, {**data, "sip_line_id": line.sip_line_id})], line.dial_time
    trunk = dialing.outgoing_trunk(look, number, look.account.numbers.get(session.virtual_number_id or 0))
    if isinstance(trunk, Reason):
        return [], 0
    # Carriers accept only the account's own numbers as caller id.
    own = caller if look.account.number_by_phone(caller) is not None else session.virtual_phone_number
    target = dialing.trunk_target(turn, trunk, number, own)
    return [(target, {**data, "trunk_id": trunk.trunk_id})], RING_SECONDS_TO_WORLD


def _employee(turn: Turn, party: dict[str, Any]) -> Aims:
    """The employee's next phone that is not tried yet and free."""
    employee = turn.look.account.employees.get(party["employee_id"])
    if employee is None:
        return [], 0
    tried = {leg.phone_id for leg in turn.session.legs.values()}
    for phone in employee.phones:
        if phone.phone_id in tried or phone.phone_id not in party["phone_ids"]:
            continue
        reason = Reason.EMPLOYEE_PHONE_INACTIVE if not phone.is_active else turn.look.phone_obstacle(phone)
        if reason is not None:
            turn.skip(Skipped(employee, phone, reason))
            continue
        aims = dialing.candidate_aims(
            turn, [Candidate(employee, phone)], _shown_to_us(turn), turn.session.contact_full_name or ""
        )
        if aims:
            return aims, phone.dial_time
    return [], 0


def _scenario(turn: Turn, party: dict[str, Any]) -> Aims:
    """Whom the scenario rings next; what it would play on the way is not for our side and is passed over."""
    session, look = turn.session, turn.look
    scenario = look.account.scenarios.get(party["scenario_id"])
    if scenario is None:
        return [], 0
    if session.scenario_id is None:
        turn.emit(EventType.SCENARIO_ENTERED, scenario_id=scenario.scenario_id, scenario_name=scenario.name)
        decision = interpreter.start(look.account, scenario, look)
    else:
        operation = scenario.operation(session.operation_key)
        if operation is None:
            return [], 0
        tried = {leg.employee_id for leg in session.attempts() if leg.employee_id is not None}
        tried |= {leg.phone_id for leg in session.attempts() if leg.phone_id is not None}
        decision = interpreter.again(look.account, scenario, operation, look, tried)
    return _first_ring(turn, scenario, decision)


def _first_ring(turn: Turn, scenario: Scenario, decision: Decision) -> Aims:
    name = turn.session.contact_full_name or ""
    for _ in range(interpreter.MAX_TRANSITIONS):
        turn.enter(decision.entered)
        for skipped in decision.skipped:
            turn.skip(skipped)
        match decision:
            case Ring():
                aims = dialing.candidate_aims(turn, decision.candidates, _shown_to_us(turn), name)
                return aims, decision.ring_seconds
            case RingOutside():
                aim = dialing.outside_aim(turn, decision.number)
                if not isinstance(aim, Reason):
                    return [aim], decision.ring_seconds
                turn.skip(decision.not_called(aim))
            case Play():
                pass
            case _:
                return [], 0
        decision = interpreter.after(turn.look.account, scenario, decision.operation, turn.look)
    return [], 0
