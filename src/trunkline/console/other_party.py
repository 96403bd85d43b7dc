"""Who is at the other end of a call, as the user of the console sees it. Pure.

A call between employees has no contact. Its contact number is the extension that was dialled, which is the user's own when
a colleague called.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

CALLER, CALLED = "internal_caller", "internal_called"
FIELDS = ("is_internal", "contact_phone_number", "contact_full_name", "employees", CALLER, CALLED)
"""Of a report, for :func:`seen_by` (:data:`~trunkline.reports.calls.CALLS_FOR_PEOPLE`)."""


def seen_by(call: Mapping[str, Any], employee_id: int | None) -> dict[str, Any]:
    """A row of a report whose contact is the other party.

    :param call: with :data:`FIELDS`.
    :param employee_id: of the user.
    """
    if not call["is_internal"]:
        return dict(call)
    number, name = _other(call, (one["employee_id"] for one in call["employees"] or ()), employee_id)
    return {
        **call,
        "contact_phone_number": number or call["contact_phone_number"],
        "contact_full_name": name or call["contact_full_name"],
    }


def live_seen_by(call: Mapping[str, Any], employee_id: int | None) -> dict[str, Any]:
    """The same of a call in progress (:func:`~trunkline.calls.live_view.call_in_progress`).

    A switch of an older version does not name the parties: the call is shown as it is."""
    if not call["is_internal"]:
        return dict(call)
    number, name = _other(call, call["employee_ids"], employee_id)
    return {
        **call,
        "contact_number": number or call["contact_number"],
        "contact_name": name or call["contact_name"],
    }


def colleague_of(call: Mapping[str, Any], employee_id: int) -> int | None:
    """The other employee of a call between employees in progress; None: not one employee, or a call with a contact."""
    if not call["is_internal"]:
        return None
    caller, called = call.get(CALLER) or {}, call.get(CALLED) or {}
    found = called if caller.get("employee_id") == employee_id else caller
    other: int | None = found.get("employee_id")
    return other


def _other(
    call: Mapping[str, Any], participants: Iterable[int], employee_id: int | None
) -> tuple[str | None, str | None]:
    """Number and name: of the caller for an employee who was called, else of the called employee."""
    caller, called = call.get(CALLER) or {}, call.get(CALLED) or {}
    if employee_id is not None and employee_id != caller.get("employee_id") and employee_id in participants:
        return caller.get("number"), caller.get("full_name")
    return None, called.get("full_name")
