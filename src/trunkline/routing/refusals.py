"""Why a call or a phone is refused by what the directory says, whatever happens at the moment. Pure."""

from __future__ import annotations

from trunkline.directory.model import (
    Account,
    BillingState,
    LineStatus,
    LineType,
    NumberStatus,
    VirtualNumber,
)
from trunkline.events.reasons import Reason


def number_refusal(account: Account, number: VirtualNumber | None, caller: str | None) -> Reason | None:
    """Why a call to a virtual number does not begin; None: it does.

    :param caller: E.164 digits; None: withheld.
    """
    if not account.is_active:
        return Reason.APP_IS_INACTIVE
    if number is None:
        return Reason.NUMB_NOT_EXISTS
    if number.status is not NumberStatus.ACTIVE:
        return Reason.NUMB_IS_INACTIVE
    if caller is not None and caller in account.blacklist:
        return Reason.NUMA_IN_BLACK_LIST
    return None


def line_obstacle(account: Account, sip_line_id: int) -> Reason | None:
    """Why a line takes no calls; None: it does when it is registered and has a free channel."""
    line = account.lines.get(sip_line_id)
    if line is None:
        return Reason.EMPLOYEE_PHONE_NOT_FOUND
    if line.status is not LineStatus.ACTIVE:
        return Reason.EMPLOYEE_PHONE_INACTIVE
    if line.type is LineType.OUT or line.billing_state is not BillingState.ACTIVE:
        return Reason.IN_CALL_NOT_ALLOWED
    return None
