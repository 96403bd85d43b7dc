"""Where the calls of an employee are forwarded. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from trunkline.directory.model import Employee, ForwardWhen
from trunkline.events.reasons import Reason

_BUSY = frozenset(
    {
        Reason.OPERATOR_BUSY,
        Reason.OPERATOR_CHANNELS_BUSY,
        Reason.OPERATOR_DISCONNECTS,  # declined
        Reason.EMPLOYEE_STATUS_DO_NOT_DISTURB,
    }
)
_NOT_REACHED = frozenset(
    {
        Reason.OPERATOR_NOT_RESPONSIVE,
        Reason.OPERATOR_NUMBER_PROBLEMS,
        Reason.SIP_OFFLINE,
        Reason.LOCKED_PHONE,
        Reason.NO_RESOURCES,
        Reason.EMPLOYEE_PHONE_INACTIVE,
        Reason.EMPLOYEE_PHONE_NOT_FOUND,
        Reason.EMPLOYEE_WITHOUT_PHONES,
    }
)


@dataclass(frozen=True, slots=True)
class Forward:
    """A call of an employee goes elsewhere.

    :ivar to: an extension, or an outside number.
    """

    employee: Employee
    when: ForwardWhen
    to: str


def forward_always(employee: Employee) -> Forward | None:
    """Where all calls go, before a phone rings."""
    return _forward(employee, ForwardWhen.ALWAYS)


def forward_unreached(employee: Employee, reasons: Collection[Reason]) -> Forward | None:
    """Where a call goes that no phone of the employee has taken.

    :param reasons: those of the phones, or of the employee. A phone that rang and was not answered counts before a busy one.
    """
    if Reason.OPERATOR_NOT_RESPONSIVE in reasons:
        return _forward(employee, ForwardWhen.NO_ANSWER)
    if any(reason in _BUSY for reason in reasons):
        return _forward(employee, ForwardWhen.BUSY)
    if any(reason in _NOT_REACHED for reason in reasons):
        return _forward(employee, ForwardWhen.NO_ANSWER)
    return None


def _forward(employee: Employee, when: ForwardWhen) -> Forward | None:
    to = employee.forward_to(when)
    return Forward(employee, when, to) if to else None
