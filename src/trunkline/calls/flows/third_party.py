"""Whom a command, a transfer or a forward calls besides the two who talk, and whether a line may call there. Pure."""

from __future__ import annotations

from typing import Any

from trunkline.calls.context import CallContext
from trunkline.calls.decision import Decision
from trunkline.calls.finish_reasons import Side
from trunkline.calls.flows import dialing
from trunkline.calls.flows.number_plan import (
    Destination,
    ToEmergency,
    ToEmployee,
    ToGroup,
    ToLine,
    ToOutside,
    destination,
)
from trunkline.calls.session import Role
from trunkline.core.errors import InvalidInput
from trunkline.directory.model import (
    Account,
    BillingState,
    Employee,
    LineStatus,
    LineType,
    Phone,
    SipLine,
)
from trunkline.events.reasons import Reason
from trunkline.routing.decisions import Candidate
from trunkline.routing.directions import refused_direction
from trunkline.routing.forwards import forward_always
from trunkline.routing.ringing import employee_obstacle, first_free_phone, may_be_forwarded, members_of
from trunkline.telephony.port import Endpoint, Target

THIRD_PARTY_RING_SECONDS = 60

FORWARDS_MAX = 3
"""Of one call: two employees may forward to each other."""


def right_missing(
    line: SipLine, employee: Employee | None, where: Destination, context: CallContext
) -> Reason | None:
    """Why this line, of this employee, may not call there; None: it may. An emergency number is called always."""
    if isinstance(where, ToEmergency):
        return None
    if (
        line.type is LineType.IN
        or line.status is not LineStatus.ACTIVE
        or line.billing_state is not BillingState.ACTIVE
    ):
        return Reason.OUT_CALL_NOT_ALLOWED
    if employee is not None:
        if not employee.is_active:
            return Reason.EMPLOYEE_INACTIVE
        if isinstance(where, ToOutside) and "out" not in employee.out_external_allowed:
            return Reason.EXTERNAL_CALL_NOT_ALLOWED
        if not isinstance(where, ToOutside) and "out" not in employee.out_internal_allowed:
            return Reason.INTERNAL_CALL_NOT_ALLOWED
    return None


def line_of(account: Account, employee: Employee) -> SipLine | None:
    """The line whose rights and limits the employee's forwarding has: the first of the employee's phones that is one."""
    lines = (account.lines.get(phone.sip_line_id or 0) for phone in employee.phones)
    return next((line for line in lines if line is not None), None)


def refusal(
    account: Account, line: SipLine, where: Destination | None, context: CallContext
) -> Reason | None:
    """Why calls of this line may not be forwarded there; None: they may.

    Never to an emergency number, and never to a number of the account itself: the call would return, without end.
    """
    if not isinstance(where, ToEmployee | ToGroup | ToLine | ToOutside):
        return Reason.INCORRECT_INPUT
    if isinstance(where, ToOutside):
        if account.number_by_phone(where.number) is not None:
            return Reason.INCORRECT_CONFIG
        if where.number in account.blacklist or refused_direction(account, where.number) is not None:
            return Reason.LOCKED_NUMB
    return right_missing(line, account.employee_of_line(line.sip_line_id), where, context)


def third_party(
    decision: Decision, to: str, sip_line_id: int | None = None, *, forwards: int = FORWARDS_MAX
) -> tuple[Target, dict[str, Any], int]:
    """Whom ``make.call`` calls: an extension, an employee's line, or an outside number.

    :param sip_line_id: the line whose phone asks, when one does: its limits apply, too.
    :param forwards: how many employees who forward all calls are followed.

    :raises InvalidInput: ``no_active_phone_number`` when no phone can be called there.
    """
    session, context = decision.session, decision.context
    caller = session.contact_phone_number or ""
    where = destination(context.account, to)
    match where:
        case ToOutside():
            line = context.account.lines.get(sip_line_id or 0)
            number_id = session.virtual_number_id or (line.virtual_number_id if line is not None else None)
            number = context.account.numbers.get(number_id or 0)
            trunk = dialing.take_outgoing_trunk(context, where.number, number, sip_line_id)
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
        case ToEmployee() if forwards and (found := _forwarded(decision, where.employee, forwards)):
            return found
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


def _forwarded(
    decision: Decision, employee: Employee, forwards: int
) -> tuple[Target, dict[str, Any], int] | None:
    """Where this employee forwards all calls; None: nowhere, or nobody may be called there: the phones ring."""
    context, forward = decision.context, forward_always(employee)
    if forward is None or not may_be_forwarded(context.account, employee, context.local_time, internal=True):
        return None
    line = line_of(context.account, employee)
    if line is None:
        return None
    where = destination(context.account, forward.to)
    if refusal(context.account, line, where, context) is not None:
        return None
    try:
        target, data, seconds = third_party(decision, forward.to, line.sip_line_id, forwards=forwards - 1)
    except InvalidInput:
        return None
    if data.get("trunk_id") is not None and data.get("limited_line_id") is None:
        data["limited_line_id"] = line.sip_line_id
    return target, data, seconds
