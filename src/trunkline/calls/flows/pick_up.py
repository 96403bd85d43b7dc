"""An employee takes a call that rings for a colleague. Pure.

The engine puts the phone that dialled in the place of the phone that rings, and reports that it has answered. Then its
channel becomes a leg of the call that rings, and the call to the code ends. When the other phone was answered first, the
call to the code ends, and nothing else changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trunkline.calls.context import RingingPhone
from trunkline.calls.decision import Decision
from trunkline.calls.effects import PickUp
from trunkline.calls.flows.number_plan import ToPickUp
from trunkline.calls.session import Leg
from trunkline.directory.model import Account
from trunkline.events.reasons import Reason

_OF_THE_CALL = (
    "role", "side", "direction", "calling_phone_number", "group_id", "group_name", "operation_id", "operation_name",
)  # fmt: skip


def call(decision: Decision, leg: Leg, where: ToPickUp) -> Reason | None:
    """A line dialled the code; why nothing is picked up, if so."""
    phones = decision.context.ringing()
    found = choose(decision.context.account, leg.employee_id, phones, where)
    if found is None:
        return Reason.NO_SUCCESS_OPERATOR_CALL
    decision.do(PickUp(leg.channel, found.channel))
    return None


def choose(
    account: Account, employee_id: int | None, phones: Sequence[RingingPhone], where: ToPickUp
) -> RingingPhone | None:
    """The phone that has rung longest of those meant; None: none rings.

    :param employee_id: who dials. Their own phones, and calls that the employee makes, are not meant.
    """
    if employee_id is not None:
        phones = [one for one in phones if employee_id not in (one.employee_id, one.caller_employee_id)]
    if where.employee is None and where.group is None:
        colleagues = {
            colleague
            for group in account.groups.values()
            if employee_id in group.employee_ids
            for colleague in group.employee_ids
        }
        meant = [one for one in phones if one.employee_id in colleagues]
    elif where.employee is not None:
        meant = [one for one in phones if one.employee_id == where.employee.employee_id]
    else:
        meant = [one for one in phones if where.group is not None and one.group_id == where.group.group_id]
    return next(iter(meant), None)


def take(decision: Decision, ringing: Leg, by: Leg) -> None:
    """The call that rings: the phone that dialled the code is one of its legs from now on.

    :param by: the leg of the call to the code.
    """
    data: dict[str, Any] = {name: getattr(ringing, name) for name in _OF_THE_CALL}
    data |= {
        "employee_id": by.employee_id,
        "employee_full_name": by.employee_full_name,
        "employee_phone_number": by.employee_phone_number,
        "called_phone_number": by.employee_phone_number,
        "sip_line_id": by.sip_line_id,
    }
    decision.start_leg(by.channel, data)
