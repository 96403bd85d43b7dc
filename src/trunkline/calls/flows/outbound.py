"""Calls out of a SIP line: to outside numbers, to a colleague, to a group. Pure."""

from __future__ import annotations

from trunkline.calls.context import CallContext
from trunkline.calls.decision import Decision
from trunkline.calls.effects import Hangup
from trunkline.calls.finish_reasons import Side, cause_for_result, reason_unanswered
from trunkline.calls.flows import (
    dialing,
    employee_settings,
    engine_connect,
    forwards,
    mailbox,
    parking,
    pick_up,
)
from trunkline.calls.flows.dialing import DialTarget
from trunkline.calls.flows.inbound import perform, refuse
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
    PartyTaken,
    QuestionReply,
    RingElapsed,
    ScenarioPlayed,
    TalkOver,
)
from trunkline.calls.flows.number_plan import (
    Destination,
    ToCode,
    ToEmergency,
    ToEmployee,
    ToGroup,
    ToLine,
    ToMailbox,
    ToOutside,
    ToParking,
    ToPickUp,
    ToQueue,
    ToSetting,
    destination,
)
from trunkline.calls.flows.scenario_position import caller_of
from trunkline.calls.flows.table import Table, pairs, row
from trunkline.calls.flows.third_party import right_missing
from trunkline.calls.session import Leg, Role
from trunkline.calls.states import Dialling, Finishing
from trunkline.directory.model import (
    CallQueue,
    Employee,
    Phone,
    SipLine,
    VirtualNumber,
)
from trunkline.events.reasons import Reason
from trunkline.routing import interpreter
from trunkline.routing.decisions import Candidate, Skipped
from trunkline.routing.ringing import employee_obstacle, first_free_phone, members_of
from trunkline.telephony.port import Arrived, ConnectResult, Endpoint, Target

RING_SECONDS_OUTSIDE = 120
"""The network usually gives up earlier by itself."""


def open_call(arrived: Arrived, line: SipLine, context: CallContext, call_session_id: int) -> Decision:
    """A call came from one of the account's lines."""
    where = destination(context.account, arrived.called)
    decision, leg = _begun(arrived, line, where, context, call_session_id)
    decision.at = arrived.at
    refusal = None
    if not isinstance(where, ToEmergency):
        refusal = _refusal(line, context.account.employee_of_line(line.sip_line_id), where, context)
    if refusal is None:
        refusal = _connect(decision, leg, where)
    if refusal is not None:
        refuse(decision, leg, refusal)
    return decision


def _connect(decision: Decision, leg: Leg, where: Destination | None) -> Reason | None:
    """Call the destination; why not, if it cannot be."""
    match where:
        case ToEmergency():
            return _to_emergency(decision, leg, where.number)
        case ToMailbox():
            return mailbox.call(decision, leg, where)
        case ToParking():
            return parking.call(decision, leg, where)
        case ToPickUp():
            return pick_up.call(decision, leg, where)
        case ToSetting():
            return employee_settings.call(decision, leg, where)
        case ToOutside():
            return _to_outside(
                decision, leg, where, decision.context.account.numbers.get(_caller_id(decision, leg) or 0)
            )
        case ToQueue():
            return _to_queue(decision, where.queue)
        case ToEmployee() | ToGroup() | ToLine():
            return _to_colleagues(decision, leg, where)
    return Reason.INCORRECT_INPUT


def _to_queue(decision: Decision, queue: CallQueue) -> Reason | None:
    """The caller waits in the queue, as a customer would."""
    account = decision.context.account
    scenario = account.scenarios.get(queue.scenario_id)
    if scenario is None:
        return Reason.INCORRECT_CONFIG
    decision.enter_scenario(scenario, takes_over=True)
    perform(decision, interpreter.decide_first(account, scenario, decision.context, caller_of(decision)))
    return None


def _caller_id(decision: Decision, leg: Leg) -> int | None:
    """The virtual number with which the line calls outside numbers."""
    line = decision.context.account.lines.get(leg.sip_line_id or 0)
    return line.virtual_number_id if line is not None else None


def record_call(arrived: Arrived, line: SipLine, context: CallContext, call_session_id: int) -> Decision:
    """Write the beginning of a call out of a line; decides nothing."""
    return _begun(arrived, line, destination(context.account, arrived.called), context, call_session_id)[0]


def _begun(
    arrived: Arrived, line: SipLine, where: Destination | None, context: CallContext, call_session_id: int
) -> tuple[Decision, Leg]:
    """The beginning of a session, and the caller's leg."""
    account = context.account
    employee = account.employee_of_line(line.sip_line_id)
    number = account.numbers.get(line.virtual_number_id or 0)
    internal = not isinstance(where, ToOutside | ToEmergency | None)
    contact_number = where.number if isinstance(where, ToOutside | ToEmergency) else arrived.called
    contact = account.contacts_by_phone.get(contact_number)
    decision = Decision.open(
        account.account_id,
        call_session_id,
        context,
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
            **({"is_code": True} if isinstance(where, ToCode) else {}),
        },
    )
    leg = decision.start_leg(
        arrived.channel,
        {
            "role": Role.EMPLOYEE,
            "side": Side.CONTACT if isinstance(where, ToQueue) else Side.OPERATOR,
            "direction": "in",
            "calling_phone_number": line.phone_number,
            "called_phone_number": contact_number,
            "employee_id": employee.employee_id if employee else None,
            "employee_full_name": employee.full_name if employee else None,
            "employee_phone_number": line.phone_number,
            "sip_line_id": line.sip_line_id,
            # The number alone has neither the extension nor the plus of an international number.
            **({"dialled": arrived.called} if arrived.called != contact_number else {}),
        },
    )
    return decision, leg


def _where(decision: Decision, leg: Leg) -> Destination | None:
    """Where the caller's call goes, read again from what was dialled."""
    return destination(decision.context.account, leg.dialled or leg.called_phone_number or "")


def resume(decision: Decision, leg: Leg) -> None:
    """After an interruption the caller waits in a controlled channel: call the dialled number again."""
    refusal = _connect(decision, leg, _where(decision, leg))
    if refusal is not None:
        refuse(decision, leg, refusal)


def not_connected(decision: Decision, flow_input: NotConnected) -> None:
    """The called party was not reached: the caller's phone gets the network's reason.

    An emergency call that no trunk has carried so far is tried over the next one.
    """
    leg, signal = flow_input.leg, flow_input.finished
    where = _where(decision, leg)
    failed_to_leave = signal.result is ConnectResult.UNREACHABLE
    if (
        isinstance(where, ToEmergency)
        and failed_to_leave
        and _to_emergency(decision, leg, where.number) is None
    ):
        return
    called = [one for one in decision.session.legs.values() if one is not leg]
    reasons = {one.finish_reason for one in called if one.finish_reason is not None}
    if isinstance(where, ToEmployee) and forwards.unreached(decision, leg, where.employee, reasons):
        return
    cause = cause_for_result(signal.result, signal.cause)
    if len(reasons) == 1:
        reason = next(iter(reasons))
    elif reasons:
        reason = Reason.NO_SUCCESS_OPERATOR_CALL
    else:
        reason = reason_unanswered(Side.CONTACT, cause, is_line=False)
    decision.end_session(reason)
    decision.do(Hangup(leg.channel, cause))


def _refusal(
    line: SipLine, employee: Employee | None, where: Destination | None, context: CallContext
) -> Reason | None:
    if not context.account.is_active:
        return Reason.APP_IS_INACTIVE
    if where is None:
        return Reason.INCORRECT_INPUT
    missing = right_missing(line, employee, where, context)
    if isinstance(where, ToParking):
        return missing  # the line has the contact on hold, and is free afterwards
    if missing is None and context.line_channels(line.sip_line_id) >= line.channels_count:
        return Reason.MAX_OUT_CALL_REACHED
    return missing


def _to_outside(
    decision: Decision, leg: Leg, where: ToOutside, number: VirtualNumber | None
) -> Reason | None:
    context = decision.context
    if number is None:
        return Reason.INCORRECT_CONFIG
    if where.number in context.account.blacklist:
        return Reason.LOCKED_NUMB
    if number.max_out_calls and context.number_calls(number.virtual_number_id, "out") >= number.max_out_calls:
        return Reason.MAX_OUT_CALL_REACHED
    trunk = dialing.take_outgoing_trunk(context, where.number, number, leg.sip_line_id)
    if isinstance(trunk, Reason):
        return trunk
    dial_target = dialing.contact_dial_target(
        decision, trunk, where.number, number.phone_number, keys=where.keys
    )
    dialing.dial(decision, leg, [dial_target], RING_SECONDS_OUTSIDE)
    return None


def _to_emergency(decision: Decision, leg: Leg, number: str) -> Reason | None:
    """Call an emergency number, whatever is locked or in use. Returns the reason when no trunk is left, else None."""
    dial_target = dialing.emergency_dial_target(
        decision, number, decision.context.account.numbers.get(_caller_id(decision, leg) or 0)
    )
    if dial_target is None:
        return Reason.SIP_TRUNK_IS_LOCKED
    dialing.dial(decision, leg, [dial_target], RING_SECONDS_OUTSIDE)
    return None


def _to_colleagues(decision: Decision, leg: Leg, where: ToEmployee | ToGroup | ToLine) -> Reason | None:
    if isinstance(where, ToEmployee) and forwards.always(decision, leg, where.employee):
        return None
    caller_number, caller_name = _shown(decision, leg)
    if isinstance(where, ToLine):
        dial_targets, skipped, seconds = _line_dial_target(decision, where.line, caller_number, caller_name)
    else:
        dial_targets, skipped, seconds = _employee_dial_targets(decision, where, caller_number, caller_name)
    for one in skipped:
        decision.record_skipped(one, caller_number)
    if not dial_targets:
        reasons = {one.reason for one in skipped}
        if isinstance(where, ToEmployee) and forwards.unreached(decision, leg, where.employee, reasons):
            return None
        return next(iter(reasons)) if len(reasons) == 1 else Reason.NO_SUCCESS_OPERATOR_CALL
    dialing.dial(decision, leg, dial_targets, seconds)
    return None


def _shown(decision: Decision, leg: Leg) -> tuple[str, str]:
    """What a colleague's phone shows: the caller's short number, else the line; and the name."""
    employee = decision.context.account.employees.get(leg.employee_id or 0)
    if employee is None:
        return leg.calling_phone_number or "", ""
    return employee.extension or leg.calling_phone_number or "", employee.full_name


def _line_dial_target(
    decision: Decision, line: SipLine, caller_number: str, caller_name: str
) -> tuple[list[DialTarget], list[Skipped], int]:
    owner = decision.context.account.employee_of_line(line.sip_line_id)
    phone = Phone(0, line.sip_line_id, None, line.channels_count, line.dial_time, is_active=True)
    obstacle = decision.context.phone_obstacle(phone)
    if obstacle is not None and owner is not None:
        return [], [Skipped(owner, phone, obstacle)], line.dial_time
    target = Target.of(Endpoint.line(line.phone_number), caller_number=caller_number, caller_name=caller_name)
    data = dialing.line_leg(line, owner, caller_number, side=Side.CONTACT)
    return [(target, data)], [], line.dial_time


def _employee_dial_targets(
    decision: Decision, where: ToEmployee | ToGroup, caller_number: str, caller_name: str
) -> tuple[list[DialTarget], list[Skipped], int]:
    account = decision.context.account
    group = where.group if isinstance(where, ToGroup) else None
    people = [where.employee] if isinstance(where, ToEmployee) else members_of(account, where.group)
    busy = decision.context.group_obstacle(group) if group is not None else None
    candidates: list[Candidate] = []
    skipped: list[Skipped] = []
    for employee in people:
        obstacle = busy or employee_obstacle(account, employee, decision.context.local_time, internal=True)
        if obstacle is not None:
            skipped.append(Skipped(employee, None, obstacle, group))
            continue
        phones = group.phones_of(employee) if group is not None else None
        candidate, refused = first_free_phone(employee, decision.context, (), phones)
        skipped.extend(refused)
        if candidate is not None:
            candidates.append(Candidate(employee, candidate.phone, group))
    dial_targets: list[DialTarget] = []
    for one in candidates:
        found = dialing.candidate_dial_target(decision, one, caller_number, caller_name, side=Side.CONTACT)
        if isinstance(found, Reason):
            skipped.append(Skipped(one.employee, one.phone, found, group))
        else:
            dial_targets.append(found)
    return dial_targets, skipped, max((c.phone.dial_time for c in candidates), default=60)


TABLE = Table(
    rows={
        (Dialling, NotConnected): row(not_connected, Dialling, Finishing),
        (Dialling, TalkOver): row(engine_connect.talk_over, Finishing),
        (Dialling, LegGone): row(engine_connect.party_gone, Dialling, Finishing),
    },
    refused=pairs((Dialling,), *COMMANDS),
    ignored=pairs(
        (Dialling,),
        PartyTaken,
        ScenarioPlayed,
        MessagePlayed,
        MessageRecorded,
        RingElapsed,
        JoinFailed,
        InputElapsed,
        QuestionReply,
    ),
    expected=pairs((Dialling,), LegAnswered, LegUnreached, Key),
)
"""Of calls that a phone has started, until somebody talks."""
