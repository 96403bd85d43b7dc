"""Who can ring: the phones and outside numbers of one operation that can be called now, and why the others cannot.

Pure: what the directory does not say comes from :class:`Availability`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from trunkline.core.phone import normalise, split_number
from trunkline.directory.model import (
    Account,
    Employee,
    EmployeeStatus,
    Group,
    Operation,
    OperationKind,
    Phone,
)
from trunkline.events.reasons import Reason
from trunkline.routing.branches import Caller
from trunkline.routing.decisions import (
    NO_ATTEMPTS,
    Attempts,
    Candidate,
    Chosen,
    Ring,
    RingForward,
    RingOutside,
    Skipped,
    Step,
    with_destination,
)
from trunkline.routing.directions import refused_direction
from trunkline.routing.forwards import forward_always, forward_unreached

DEFAULT_RING_SECONDS = 60


class Availability(Protocol):
    """What is asked about the moment."""

    @property
    def local_time(self) -> datetime:
        """Now, in the account's zone."""

    def phone_obstacle(self, phone: Phone) -> Reason | None:
        """Why this phone cannot ring right now (offline, all channels in use); None = it can."""

    def number_obstacle(self, number: str, channels: int | None) -> Reason | None:
        """Why an outside number takes no call right now (``channels`` calls are there already); None = it does."""

    def group_obstacle(self, group: Group) -> Reason | None:
        """Why this group takes no call right now (it has all the calls it may have); None = it does."""

    def idle_since(self, employee_id: int) -> float:
        """Unix seconds of the end of the employee's last talk; 0 = none known."""

    def last_employee(self, phone_number: str) -> int | None:
        """Id of the employee who talked last with a caller; None = none known."""


def ring_operation(
    account: Account,
    operation: Operation,
    availability: Availability,
    tried: Collection[int],
    entered: tuple[Step, ...],
    caller: Caller,
    attempts: Attempts = NO_ATTEMPTS,
) -> Ring | RingForward | Reason:
    """The next round of a forward to an employee or a group; a reason: nobody of it can be called at all.

    :param tried: ids of employees (forward to a group) or phones (forward to an employee) rung or skipped before.
    """
    if operation.kind is OperationKind.FORWARD_EMPLOYEE:
        return _ring_employee(account, operation, availability, tried, entered, caller, attempts)
    return _ring_group(account, operation, availability, tried, entered)


def ring_chosen(
    account: Account, operation: Operation, chosen: Chosen, availability: Availability, caller: Caller
) -> Ring | RingForward | RingOutside:
    """A call to whom the call chose; without candidates: nobody there can be called."""
    chosen_operation = with_destination(operation, chosen)
    if chosen.number is not None:
        obstacle = Reason.NUMB_NOT_EXISTS
        outside = ring_outside(chosen_operation, ())
        if chosen.number:
            refusal = number_obstacle(account, chosen_operation.settings, availability)
            if refusal is None:
                return replace(outside, chosen=chosen)
            obstacle = refusal
        return replace(_round(operation, (), (), ()), skipped=(outside.not_called(obstacle),))
    ring = ring_operation(account, chosen_operation, availability, (), (), caller)
    if isinstance(ring, Reason):
        return _round(operation, (), (), ())
    return replace(ring, chosen=chosen)


def _ring_employee(
    account: Account,
    operation: Operation,
    availability: Availability,
    tried: Collection[int],
    entered: tuple[Step, ...],
    caller: Caller,
    attempts: Attempts,
) -> Ring | RingForward | Reason:
    employee = account.employees.get(operation.settings["employee_id"])
    if employee is None:
        return Reason.EMPLOYEES_NOT_EXISTS
    forwarded = attempts.forwarded.get(employee.employee_id)
    if forwarded:
        return _round(operation, entered, (), ())  # the phones ring no more
    may_forward = caller.follows_forwards and forwarded is None
    may_forward = may_forward and may_be_forwarded(account, employee, availability.local_time)
    if may_forward and (forward := forward_always(employee)) is not None:
        return RingForward(entered, operation, forward, ())
    candidate: Candidate | None = None
    obstacle = employee_obstacle(account, employee, availability.local_time)
    if obstacle is not None:
        skipped: tuple[Skipped, ...] = (Skipped(employee, None, obstacle),)
    else:
        candidate, skipped = first_free_phone(employee, availability, tried)
    if candidate is None and may_forward:
        reasons = {*attempts.reasons, *(one.reason for one in skipped)}
        forward = forward_unreached(employee, reasons)
        if forward is not None:
            of_operation = tuple(replace(one, operation=operation) for one in skipped)
            return RingForward(entered, operation, forward, of_operation)
    return _round(operation, entered, (candidate,) if candidate else (), skipped)


def _ring_group(
    account: Account,
    operation: Operation,
    availability: Availability,
    tried: Collection[int],
    entered: tuple[Step, ...],
) -> Ring | Reason:
    group = account.groups.get(operation.settings["group_id"])
    if group is None:
        return Reason.EMPLOYEES_NOT_EXISTS
    if not account.is_open(group.schedule_id, availability.local_time):
        return Reason.GROUP_INACTIVE_BY_SCHEDULE
    if not group.employee_ids:
        return Reason.GROUP_WITHOUT_PHONES
    busy = availability.group_obstacle(group)
    if busy is not None:
        return busy
    members = [employee for employee in members_of(account, group) if employee.employee_id not in tried]
    strategy = operation.settings.get("strategy") or group.strategy
    if strategy == "longest_idle":
        members.sort(key=lambda employee: availability.idle_since(employee.employee_id))
    candidates: list[Candidate] = []
    skipped: list[Skipped] = []
    for employee in members:
        obstacle = employee_obstacle(account, employee, availability.local_time)
        if obstacle is not None:
            skipped.append(Skipped(employee, None, obstacle, group))
            continue
        phones = group.phones_of(employee)
        if not phones:
            skipped.append(Skipped(employee, None, Reason.EMPLOYEE_WITHOUT_PHONES, group))
            continue
        candidate, refused = first_free_phone(employee, availability, (), phones)
        skipped.extend(Skipped(s.employee, s.phone, s.reason, group) for s in refused)
        if candidate is not None:
            candidates.append(Candidate(employee, candidate.phone, group))
            if strategy != "all":
                break
    return _round(operation, entered, tuple(candidates), tuple(skipped))


def ring_outside(operation: Operation, entered: tuple[Step, ...]) -> RingOutside:
    """The call of a forward to an outside number, whether or not it can be called (:func:`number_obstacle`)."""
    settings = operation.settings
    return RingOutside(
        entered,
        operation,
        settings["number"],
        int(settings.get("ring_seconds") or DEFAULT_RING_SECONDS),
        settings.get("music_media_file_id"),
    )


def number_obstacle(
    account: Account, settings: Mapping[str, Any], availability: Availability
) -> Reason | None:
    """Why an outside number may not be called, or cannot be just now."""
    number = split_number(settings["number"]).number
    if account.number_by_phone(number) is not None:
        return Reason.INCORRECT_CONFIG  # the call would return to the scenario, without end
    if number in account.blacklist:
        return Reason.LOCKED_NUMB
    if refused_direction(account, number) is not None:
        return Reason.EXTERNAL_CALL_NOT_ALLOWED
    return availability.number_obstacle(number, settings.get("channels"))


def destination_of(account: Account, phone: str) -> Chosen:
    """Whom a number of an external decision means: an employee or a group by the extension, the employee of a line, or an
    outside number, which may be none (the call is then refused with a reason)."""
    digits = phone.strip().lstrip("+")
    employee = account.employee_by_extension(digits)
    line = account.line_by_login(digits)
    if employee is None and line is not None:
        employee = account.employee_of_line(line.sip_line_id)
    if employee is not None:
        return Chosen(employee_id=employee.employee_id)
    group = account.group_by_extension(digits)
    if group is not None:
        return Chosen(group_id=group.group_id)
    return Chosen(number=normalise(phone) or "")


def members_of(account: Account, group: Group) -> list[Employee]:
    """A group's employees in the order they are dialled: by the phones chosen for it, else as they are listed."""
    members = [account.employees[i] for i in group.employee_ids if i in account.employees]
    return members if group.phone_ids is None else sorted(members, key=group.place_of)


def employee_obstacle(
    account: Account, employee: Employee, local_time: datetime, *, internal: bool = False
) -> Reason | None:
    """Why no phone of this employee may ring for an incoming call; None = may."""
    if not employee.is_active:
        return Reason.EMPLOYEE_INACTIVE
    status = _STATUS_OBSTACLES.get(employee.status)
    if status is not None:
        return status
    if not account.is_open(employee.schedule_id, local_time):
        return Reason.EMPLOYEE_INACTIVE_BY_SCHEDULE
    allowed = employee.in_internal_allowed if internal else employee.in_external_allowed
    if "in" not in allowed:
        return Reason.IN_CALL_NOT_ALLOWED
    if not employee.phones:
        return Reason.EMPLOYEE_WITHOUT_PHONES
    return None


def may_be_forwarded(
    account: Account, employee: Employee, local_time: datetime, *, internal: bool = False
) -> bool:
    """Whether a call to this employee may go where the employee forwards calls: only a status may be in its way."""
    if not employee.forwards_calls:
        return False
    here = replace(employee, status=EmployeeStatus.AVAILABLE)
    obstacle = employee_obstacle(account, here, local_time, internal=internal)
    return obstacle in (None, Reason.EMPLOYEE_WITHOUT_PHONES)


_STATUS_OBSTACLES = {
    "break": Reason.EMPLOYEE_STATUS_BREAK,
    "do_not_disturb": Reason.EMPLOYEE_STATUS_DO_NOT_DISTURB,
    "not_at_workplace": Reason.EMPLOYEE_STATUS_NOT_AT_WORKPLACE,
    "not_at_work": Reason.EMPLOYEE_STATUS_NOT_AT_WORK,
    "auto_out_call": Reason.EMPLOYEE_STATUS_AUTO_OUT_CALL,
}


def first_free_phone(
    employee: Employee,
    availability: Availability,
    tried: Collection[int],
    phones: Sequence[Phone] | None = None,
) -> tuple[Candidate | None, tuple[Skipped, ...]]:
    """The first phone, in dialing order, that can ring now; and those before it that cannot.

    :param phones: of the employee's phones those that may ring; None = all.
    """
    skipped: list[Skipped] = []
    for phone in employee.phones if phones is None else phones:
        if phone.phone_id in tried:
            continue
        reason = Reason.EMPLOYEE_PHONE_INACTIVE if not phone.is_active else availability.phone_obstacle(phone)
        if reason is None:
            return Candidate(employee, phone), tuple(skipped)
        skipped.append(Skipped(employee, phone, reason))
    return None, tuple(skipped)


def _round(
    operation: Operation,
    entered: tuple[Step, ...],
    candidates: tuple[Candidate, ...],
    skipped: tuple[Skipped, ...],
) -> Ring:
    return Ring(
        entered,
        operation,
        candidates,
        tuple(replace(one, operation=operation) for one in skipped),
        ring_seconds(operation, [candidate.phone for candidate in candidates]),
        operation.settings.get("music_media_file_id"),
    )


def ring_seconds(operation: Operation, phones: Iterable[Phone]) -> int:
    """The operation's own ring time, else the longest of the phones'."""
    own = operation.settings.get("ring_seconds")
    return int(own) if own else max((phone.dial_time for phone in phones), default=DEFAULT_RING_SECONDS)
