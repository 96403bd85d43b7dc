"""Calls out of a SIP line: to the world, to a colleague, to a group. Pure."""

from __future__ import annotations

from trunkline.calls.context import Look
from trunkline.calls.decision import Turn
from trunkline.calls.effects import Hangup
from trunkline.calls.finish_reasons import Side, cause_for_result, unanswered
from trunkline.calls.flows import dialing
from trunkline.calls.flows.dialing import Aim
from trunkline.calls.flows.inbound import refuse
from trunkline.calls.flows.number_plan import (
    Destination,
    ToEmergency,
    ToEmployee,
    ToGroup,
    ToLine,
    ToWorld,
    destination,
)
from trunkline.calls.session import Leg, Role
from trunkline.directory.model import (
    BillingState,
    Employee,
    LineStatus,
    LineType,
    Phone,
    SipLine,
    VirtualNumber,
)
from trunkline.events.reasons import Reason
from trunkline.routing.interpreter import Candidate, Skipped, employee_obstacle, first_free_phone, members_of
from trunkline.telephony.port import Arrived, ConnectFinished, ConnectResult, Endpoint, Target

RING_SECONDS_TO_WORLD = 120
"""The network usually gives up earlier by itself."""


def open_call(arrived: Arrived, line: SipLine, look: Look, call_session_id: int) -> Turn:
    """A call came from one of the account's lines."""
    turn = adopt(arrived, line, look, call_session_id)
    leg = turn.session.initiator
    if leg is None:
        return turn
    turn.at = arrived.at
    where = destination(look.account, arrived.called)
    refusal = None
    if not isinstance(where, ToEmergency):
        refusal = _refusal(line, look.account.employee_of_line(line.sip_line_id), where, look)
    if refusal is None:
        refusal = _connect(turn, leg, where)
    if refusal is not None:
        refuse(turn, leg, refusal)
    return turn


def _connect(turn: Turn, leg: Leg, where: Destination | None) -> Reason | None:
    """Call the destination; why not, if it cannot be."""
    match where:
        case ToEmergency():
            return _to_emergency(turn, leg, where.number)
        case ToWorld():
            return _to_world(turn, leg, where, turn.look.account.numbers.get(_caller_id(turn, leg) or 0))
        case ToEmployee() | ToGroup() | ToLine():
            return _to_colleagues(turn, leg, where)
    return Reason.INCORRECT_INPUT


def _caller_id(turn: Turn, leg: Leg) -> int | None:
    """The virtual number with which the line calls the world."""
    line = turn.look.account.lines.get(leg.sip_line_id or 0)
    return line.virtual_number_id if line is not None else None


def adopt(arrived: Arrived, line: SipLine, look: Look, call_session_id: int) -> Turn:
    """Begin the session of a call out of a line, without doing anything with it."""
    account = look.account
    employee = account.employee_of_line(line.sip_line_id)
    where = destination(account, arrived.called)
    number = account.numbers.get(line.virtual_number_id or 0)
    internal = not isinstance(where, ToWorld | ToEmergency | None)
    contact_number = where.number if isinstance(where, ToWorld | ToEmergency) else arrived.called
    contact = account.contacts_by_phone.get(contact_number)
    turn = Turn.open(
        account.account_id,
        call_session_id,
        look,
        arrived.started_at,
        {
            "direction": "out",
            "source": "sip",
            "is_internal": internal,
            "virtual_number_id": number.virtual_number_id if number is not None and not internal else None,
            "virtual_phone_number": number.phone_number if number is not None and not internal else None,
            "contact_phone_number": contact_number,
            "contact_id": contact.contact_id if contact else None,
            "contact_full_name": contact.full_name if contact else None,
            "operator_phone_number": line.phone_number,
        },
    )
    turn.start_leg(
        arrived.channel,
        {
            "role": Role.EMPLOYEE,
            "side": Side.OPERATOR,
            "direction": "in",
            "calling_phone_number": line.phone_number,
            "called_phone_number": contact_number,
            "employee_id": employee.employee_id if employee else None,
            "employee_full_name": employee.full_name if employee else None,
            "employee_phone_number": line.phone_number,
            "sip_line_id": line.sip_line_id,
        },
    )
    return turn


def resume(turn: Turn, leg: Leg) -> None:
    """After an interruption the caller waits in a controlled channel: call the dialled number again."""
    refusal = _connect(turn, leg, destination(turn.look.account, leg.called_phone_number or ""))
    if refusal is not None:
        refuse(turn, leg, refusal)


def not_connected(turn: Turn, leg: Leg, heard: ConnectFinished) -> None:
    """The called party was not reached: send the caller's phone the response of the network.

    An emergency call that no trunk has carried so far is tried over the next one.
    """
    where = destination(turn.look.account, leg.called_phone_number or "")
    failed_to_leave = heard.result is ConnectResult.UNREACHABLE
    if isinstance(where, ToEmergency) and failed_to_leave and _to_emergency(turn, leg, where.number) is None:
        return
    called = [one for one in turn.session.legs.values() if one is not leg]
    reasons = {one.finish_reason for one in called if one.finish_reason is not None}
    cause = cause_for_result(heard.result, heard.cause)
    if len(reasons) == 1:
        reason = next(iter(reasons))
    elif reasons:
        reason = Reason.NO_SUCCESS_OPERATOR_CALL
    else:
        reason = unanswered(Side.CONTACT, cause, is_line=False)
    turn.ending(reason)
    turn.do(Hangup(leg.channel, cause))


def _refusal(
    line: SipLine, employee: Employee | None, where: Destination | None, look: Look
) -> Reason | None:
    account = look.account
    if not account.is_active:
        return Reason.APP_IS_INACTIVE
    if where is None:
        return Reason.INCORRECT_INPUT
    if (
        line.type is LineType.IN
        or line.status is not LineStatus.ACTIVE
        or line.billing_state is not BillingState.ACTIVE
    ):
        return Reason.OUT_CALL_NOT_ALLOWED
    if look.line_channels(line.sip_line_id) >= line.channels_count:
        return Reason.MAX_OUT_CALL_REACHED
    if employee is not None:
        if not employee.is_active:
            return Reason.EMPLOYEE_INACTIVE
        if isinstance(where, ToWorld) and "out" not in employee.out_external_allowed:
            return Reason.EXTERNAL_CALL_NOT_ALLOWED
        if not isinstance(where, ToWorld) and "out" not in employee.out_internal_allowed:
            return Reason.INTERNAL_CALL_NOT_ALLOWED
    return None


def _to_world(turn: Turn, leg: Leg, where: ToWorld, number: VirtualNumber | None) -> Reason | None:
    look = turn.look
    if number is None:
        return Reason.INCORRECT_CONFIG
    if where.number in look.account.blacklist:
        return Reason.LOCKED_NUMB
    if number.max_out_calls and look.number_calls(number.virtual_number_id, "out") >= number.max_out_calls:
        return Reason.MAX_OUT_CALL_REACHED
    trunk = dialing.outgoing_trunk(look, where.number, number, leg.sip_line_id)
    if isinstance(trunk, Reason):
        return Reason.INCORRECT_CONFIG if trunk is Reason.SIP_TRUNK_IS_LOCKED else trunk
    aim = dialing.contact_aim(turn, trunk, where.number, number.phone_number, keys=where.keys)
    dialing.dial(turn, leg, [aim], RING_SECONDS_TO_WORLD)
    return None


def _to_emergency(turn: Turn, leg: Leg, number: str) -> Reason | None:
    """Call an emergency number, whatever is locked or in use. Returns the reason when no trunk is left, else None."""
    aim = dialing.emergency_aim(turn, number, turn.look.account.numbers.get(_caller_id(turn, leg) or 0))
    if aim is None:
        return Reason.SIP_TRUNK_IS_LOCKED
    dialing.dial(turn, leg, [aim], RING_SECONDS_TO_WORLD)
    return None


def _to_colleagues(turn: Turn, leg: Leg, where: ToEmployee | ToGroup | ToLine) -> Reason | None:
    caller_number, caller_name = _shown(turn, leg)
    if isinstance(where, ToLine):
        aims, skipped, seconds = _line_aim(turn, where.line, caller_number, caller_name)
    else:
        aims, skipped, seconds = _employee_aims(turn, where, caller_number, caller_name)
    for one in skipped:
        turn.skip(one)
    if not aims:
        reasons = {one.reason for one in skipped}
        return next(iter(reasons)) if len(reasons) == 1 else Reason.NO_SUCCESS_OPERATOR_CALL
    dialing.dial(turn, leg, aims, seconds)
    return None


def _shown(turn: Turn, leg: Leg) -> tuple[str, str]:
    """What a colleague's phone shows: the caller's short number, else the line; and the name."""
    employee = turn.look.account.employees.get(leg.employee_id or 0)
    if employee is None:
        return leg.calling_phone_number or "", ""
    return employee.extension or leg.calling_phone_number or "", employee.full_name


def _line_aim(
    turn: Turn, line: SipLine, caller_number: str, caller_name: str
) -> tuple[list[Aim], list[Skipped], int]:
    owner = turn.look.account.employee_of_line(line.sip_line_id)
    phone = Phone(0, line.sip_line_id, None, line.channels_count, line.dial_time, is_active=True)
    obstacle = turn.look.phone_obstacle(phone)
    if obstacle is not None and owner is not None:
        return [], [Skipped(owner, phone, obstacle)], line.dial_time
    target = Target.of(Endpoint.line(line.phone_number), caller_number=caller_number, caller_name=caller_name)
    data = dialing.line_leg(line, owner, caller_number, side=Side.CONTACT)
    return [(target, data)], [], line.dial_time


def _employee_aims(
    turn: Turn, where: ToEmployee | ToGroup, caller_number: str, caller_name: str
) -> tuple[list[Aim], list[Skipped], int]:
    account = turn.look.account
    group = where.group if isinstance(where, ToGroup) else None
    people = [where.employee] if isinstance(where, ToEmployee) else members_of(account, where.group)
    busy = turn.look.group_obstacle(group) if group is not None else None
    candidates: list[Candidate] = []
    skipped: list[Skipped] = []
    for employee in people:
        obstacle = busy or employee_obstacle(account, employee, turn.look.local_time, internal=True)
        if obstacle is not None:
            skipped.append(Skipped(employee, None, obstacle, group))
            continue
        phones = group.phones_of(employee) if group is not None else None
        candidate, refused = first_free_phone(employee, turn.look, (), phones)
        skipped.extend(refused)
        if candidate is not None:
            candidates.append(Candidate(employee, candidate.phone, group))
    aims = dialing.candidate_aims(turn, candidates, caller_number, caller_name, side=Side.CONTACT)
    return aims, skipped, max((c.phone.dial_time for c in candidates), default=60)
