"""Call forwarding that an employee has set: always, when busy, when not answered. Pure.

The target is dialled with the rights and limits of the employee's line, as if the line dialled it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from trunkline.calls.context import CallContext
from trunkline.calls.decision import Decision
from trunkline.calls.finish_reasons import Side
from trunkline.calls.flows import dialing
from trunkline.calls.flows.number_plan import (
    ToEmployee,
    destination,
    is_dialled,
)
from trunkline.calls.flows.third_party import FORWARDS_MAX, line_of, refusal, third_party
from trunkline.calls.session import Leg
from trunkline.core.errors import InvalidInput
from trunkline.directory.model import Employee, SipLine
from trunkline.events.catalogue import EventType
from trunkline.events.reasons import Reason
from trunkline.routing.forwards import Forward, forward_always, forward_unreached
from trunkline.routing.ringing import may_be_forwarded


def follow(decision: Decision, caller: Leg, forward: Forward, side: Side, *, internal: bool = False) -> bool:
    """Dial where an employee forwards calls; a colleague there who forwards all calls is followed, too.

    :param caller: whose channel the engine connects.
    :param side: of the party that is called.
    :returns: whether anybody is dialled; if not, the call goes on as if nothing was forwarded.
    """
    line: SipLine | None = None
    seen: list[Forward] = []
    following: Forward | None = forward
    while following is not None and len(seen) < FORWARDS_MAX:
        seen.append(following)
        line = line_of(decision.context.account, following.employee)
        following = _next(decision.context, following.to, internal=internal)
    last = seen[-1]
    refused: Reason | None
    if line is None:
        refused = Reason.EMPLOYEE_WITHOUT_PHONES
    elif following is not None or decision.session.forward_count + len(seen) > FORWARDS_MAX:
        refused = Reason.MAX_TRANSITION_COUNT_EXCEEDED
    else:
        refused = dial_for_line(decision, caller, line, side, last.to)
    for one in seen:
        decision.emit(
            EventType.CALL_FORWARDED,
            employee_id=one.employee.employee_id,
            when=one.when.value,
            to=one.to,
            refused=refused,
        )
    return refused is None


def always(decision: Decision, caller: Leg, employee: Employee) -> bool:
    """Whether a call of a colleague goes where this employee forwards all calls."""
    forward = forward_always(employee)
    return forward is not None and _follow_internal(decision, caller, forward)


def unreached(decision: Decision, caller: Leg, employee: Employee, reasons: Collection[Reason]) -> bool:
    """Whether a call of a colleague, which no phone of this employee has taken, is forwarded.

    :param reasons: why not; those of a call between colleagues are reported for the called side.
    """
    forward = forward_unreached(employee, reasons)
    return forward is not None and _follow_internal(decision, caller, forward)


def _follow_internal(decision: Decision, caller: Leg, forward: Forward) -> bool:
    context, employee = decision.context, forward.employee
    if employee.employee_id in decision.session.forwarding_results:
        return False
    if not may_be_forwarded(context.account, employee, context.local_time, internal=True):
        return False
    return follow(decision, caller, forward, Side.CONTACT, internal=True)


def _next(context: CallContext, to: str, *, internal: bool) -> Forward | None:
    """Where the colleague forwards all calls whom this extension calls."""
    where = destination(context.account, to)
    if not isinstance(where, ToEmployee):
        return None
    employee = where.employee
    if not may_be_forwarded(context.account, employee, context.local_time, internal=internal):
        return None
    return forward_always(employee)


def dial_for_line(decision: Decision, caller: Leg, line: SipLine, side: Side, to: str) -> Reason | None:
    """Dial as if this line dialled; why not, if it may not or nobody can be called there."""
    account = decision.context.account
    where = destination(account, to) if is_dialled(to) else None
    refused = refusal(account, line, where, decision.context)
    if refused is not None:
        return refused
    if isinstance(where, ToEmployee) and where.employee.employee_id == caller.employee_id:
        return Reason.INCORRECT_CONFIG
    try:
        target, data, seconds = third_party(decision, to, line.sip_line_id, forwards=0)
    except InvalidInput:
        return Reason.NO_SUCCESS_OPERATOR_CALL
    more: dict[str, Any] = {"side": side, **decision.present_operation()}
    if data.get("trunk_id") is not None:
        more["limited_line_id"] = line.sip_line_id
    dialing.dial(decision, caller, [(target, data | more)], seconds)
    return None
