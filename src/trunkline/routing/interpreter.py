"""The scenario interpreter: from an operation to the next thing that takes time.

Pure: it gets the account's directory and the present :class:`Availability`, and returns a decision. Operations
without duration (schedule branches) are passed through at once and listed in ``entered``, so that every operation
a call touched is known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from trunkline.core.phone import dialled
from trunkline.directory.model import (
    Account,
    Employee,
    Group,
    Operation,
    OperationKind,
    Phone,
    Scenario,
    VirtualNumber,
)
from trunkline.events.reasons import Reason
from trunkline.routing.directions import refused_direction

MAX_TRANSITIONS = 100
"""Operations one call may pass without anything that takes time between them: ends loops of branches."""

DEFAULT_VOICE_MAIL_SECONDS = 120
DEFAULT_SILENCE_SECONDS = 5
DEFAULT_RING_SECONDS = 60


class Availability(Protocol):
    """What the interpreter asks about the moment."""

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


@dataclass(frozen=True, slots=True)
class Candidate:
    """One phone of one employee, to be rung."""

    employee: Employee
    phone: Phone
    group: Group | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """Somebody who was due and could not be rung: an employee, or an outside number.

    ``phone`` is None when the obstacle is the employee.
    """

    employee: Employee | None
    phone: Phone | None
    reason: Reason
    group: Group | None = None
    operation: Operation | None = None
    """Of the scenario, in which that was."""
    number: str | None = None
    """The outside number, instead of an employee."""


@dataclass(frozen=True, slots=True)
class Play:
    """Play media to the contact, then continue with :func:`after`."""

    entered: tuple[Operation, ...]
    operation: Operation
    media_file_ids: tuple[int, ...]
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True)
class Ring:
    """Ring all candidates at once; when none answers, ask again with those tried."""

    entered: tuple[Operation, ...]
    operation: Operation
    candidates: tuple[Candidate, ...]
    skipped: tuple[Skipped, ...]
    ring_seconds: int
    music_media_file_id: int | None


@dataclass(frozen=True, slots=True)
class RingOutside:
    """Call an outside number; when it is not reached, continue with :func:`again`."""

    entered: tuple[Operation, ...]
    operation: Operation
    number: str
    """E.164 digits, maybe with an extension."""
    ring_seconds: int
    music_media_file_id: int | None
    skipped: tuple[Skipped, ...] = ()

    def not_called(self, reason: Reason) -> Skipped:
        """What is kept of it when there was no way to it after all."""
        return Skipped(None, None, reason, None, self.operation, self.number)


@dataclass(frozen=True, slots=True)
class TakeMessage:
    """Play the greeting, then record the contact's message."""

    entered: tuple[Operation, ...]
    operation: Operation
    media_file_ids: tuple[int, ...]
    max_seconds: int
    silence_seconds: int
    employee_id: int | None
    group_id: int | None
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True)
class End:
    """Nothing more to do: hang up with this reason."""

    entered: tuple[Operation, ...]
    reason: Reason
    skipped: tuple[Skipped, ...] = ()


RoutingDecision = Play | Ring | RingOutside | TakeMessage | End
"""``entered``: the operations passed to get there, in order; ``skipped``: who could not be rung on the way."""


def scenario_for(account: Account, number: VirtualNumber, local_time: datetime) -> Scenario | None:
    """The scenario of the first active call processing rule whose schedule is open now (or that has none).

    A call tracking number follows the rules of the number it redirects to. When no rule takes the call, the default
    scenario of the site does whose campaign shows the number, else the rules of the site's default number.
    """
    campaign = number.campaign
    if campaign is None:
        return _ruled(account, number, local_time)
    redirection = account.numbers.get(campaign.redirection_virtual_number_id or 0)
    default = account.numbers.get(campaign.default_virtual_number_id or 0)
    return (
        _ruled(account, number, local_time)
        or _ruled(account, redirection, local_time)
        or account.scenarios.get(campaign.default_scenario_id or 0)
        or _ruled(account, default, local_time)
    )


def _ruled(account: Account, number: VirtualNumber | None, local_time: datetime) -> Scenario | None:
    for rule in number.rules if number is not None else ():
        if not rule.is_active:
            continue
        if rule.schedule_id is not None:
            schedule = account.schedules.get(rule.schedule_id)
            if schedule is not None and not schedule.is_open(local_time):
                continue
        scenario = account.scenarios.get(rule.scenario_id)
        if scenario is not None:
            return scenario
    return None


def start(account: Account, scenario: Scenario, availability: Availability) -> RoutingDecision:
    """Enter a scenario at its first operation."""
    first = scenario.operations[0].key if scenario.operations else None
    return _run(account, scenario, first, availability)


def after(
    account: Account, scenario: Scenario, operation: Operation, availability: Availability
) -> RoutingDecision:
    """The decision after a finished operation (played, recorded, no answer)."""
    return _run(account, scenario, operation.settings.get("next"), availability)


def again(
    account: Account,
    scenario: Scenario,
    operation: Operation,
    availability: Availability,
    tried: Collection[int],
) -> RoutingDecision:
    """The decision after a round of ringing without an answer: the next round of the operation, or the next operation.

    :param tried: ids of employees (forward to a group) or phones (forward to an employee) rung or skipped before.
    """
    if operation.kind is OperationKind.FORWARD_NUMBER:
        return after(account, scenario, operation, availability)  # it is called once
    ring = _ring(account, operation, availability, tried, ())
    if isinstance(ring, Ring) and ring.candidates:
        return ring
    following = after(account, scenario, operation, availability)
    if isinstance(ring, Ring) and ring.skipped:
        return _with_skipped(following, ring.skipped)
    return following


def resume(
    account: Account, scenario: Scenario, operation: Operation, availability: Availability
) -> RoutingDecision:
    """Do an operation once more from its beginning, after an interruption."""
    return _run(account, scenario, operation.key, availability)


def _run(
    account: Account, scenario: Scenario, key: str | None, availability: Availability
) -> RoutingDecision:
    by_key = {operation.key: operation for operation in scenario.operations}
    entered: list[Operation] = []
    skipped: tuple[Skipped, ...] = ()
    refusal: Reason | None = None
    for _ in range(MAX_TRANSITIONS):
        if key is None:
            return End(tuple(entered), refusal or Reason.NO_OPERATION, skipped)
        operation = by_key.get(key)
        if operation is None:
            return End(tuple(entered), Reason.INCORRECT_CONFIG, skipped)
        entered.append(operation)
        settings = operation.settings
        match operation.kind:
            case OperationKind.GREETING:
                return _with_skipped(
                    Play(tuple(entered), operation, tuple(settings.get("media_file_ids", ()))), skipped
                )
            case OperationKind.SCHEDULE:
                schedule = account.schedules.get(settings["schedule_id"])
                is_open = schedule is None or schedule.is_open(availability.local_time)
                key = settings.get("open" if is_open else "closed")
            case OperationKind.FORWARD_EMPLOYEE | OperationKind.FORWARD_GROUP:
                ring = _ring(account, operation, availability, (), tuple(entered))
                if isinstance(ring, Reason):
                    refusal = ring
                    key = settings.get("next")
                elif ring.candidates:
                    return _with_skipped(ring, skipped)
                else:
                    skipped += ring.skipped
                    refusal = _only_reason(ring.skipped)
                    key = settings.get("next")
            case OperationKind.FORWARD_NUMBER:
                outside = _ring_outside(operation, tuple(entered))
                refusal = _number_obstacle(account, settings, availability)
                if refusal is None:
                    return _with_skipped(outside, skipped)
                skipped += (outside.not_called(refusal),)
                key = settings.get("next")
            case OperationKind.VOICEMAIL:
                return _with_skipped(
                    TakeMessage(
                        tuple(entered),
                        operation,
                        tuple(settings.get("media_file_ids", ())),
                        int(settings.get("max_seconds") or DEFAULT_VOICE_MAIL_SECONDS),
                        int(settings.get("silence_seconds") or DEFAULT_SILENCE_SECONDS),
                        settings.get("employee_id"),
                        settings.get("group_id"),
                    ),
                    skipped,
                )
            case OperationKind.HANGUP:
                return End(tuple(entered), refusal or Reason.SCENARIO_DISCONNECTS, skipped)
    return End(tuple(entered), Reason.MAX_TRANSITION_COUNT_EXCEEDED, skipped)


def _ring(
    account: Account,
    operation: Operation,
    availability: Availability,
    tried: Collection[int],
    entered: tuple[Operation, ...],
) -> Ring | Reason:
    if operation.kind is OperationKind.FORWARD_EMPLOYEE:
        return _ring_employee(account, operation, availability, tried, entered)
    return _ring_group(account, operation, availability, tried, entered)


def _ring_employee(
    account: Account,
    operation: Operation,
    availability: Availability,
    tried: Collection[int],
    entered: tuple[Operation, ...],
) -> Ring | Reason:
    employee = account.employees.get(operation.settings["employee_id"])
    if employee is None:
        return Reason.EMPLOYEES_NOT_EXISTS
    obstacle = employee_obstacle(account, employee, availability.local_time)
    if obstacle is not None:
        return _round(operation, entered, (), (Skipped(employee, None, obstacle),))
    candidate, skipped = first_free_phone(employee, availability, tried)
    return _round(operation, entered, (candidate,) if candidate else (), skipped)


def _ring_group(
    account: Account,
    operation: Operation,
    availability: Availability,
    tried: Collection[int],
    entered: tuple[Operation, ...],
) -> Ring | Reason:
    group = account.groups.get(operation.settings["group_id"])
    if group is None:
        return Reason.EMPLOYEES_NOT_EXISTS
    if group.schedule_id is not None:
        schedule = account.schedules.get(group.schedule_id)
        if schedule is not None and not schedule.is_open(availability.local_time):
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


def _ring_outside(operation: Operation, entered: tuple[Operation, ...]) -> RingOutside:
    settings = operation.settings
    return RingOutside(
        entered,
        operation,
        settings["number"],
        int(settings.get("ring_seconds") or DEFAULT_RING_SECONDS),
        settings.get("music_media_file_id"),
    )


def _number_obstacle(
    account: Account, settings: Mapping[str, Any], availability: Availability
) -> Reason | None:
    """Why an outside number may not be called, or cannot be just now."""
    number = dialled(settings["number"]).number
    if account.number_by_phone(number) is not None:
        return Reason.INCORRECT_CONFIG  # the call would come back to us, round and round
    if number in account.blacklist:
        return Reason.LOCKED_NUMB
    if refused_direction(account, number) is not None:
        return Reason.EXTERNAL_CALL_NOT_ALLOWED
    return availability.number_obstacle(number, settings.get("channels"))


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
    if employee.schedule_id is not None:
        schedule = account.schedules.get(employee.schedule_id)
        if schedule is not None and not schedule.is_open(local_time):
            return Reason.EMPLOYEE_INACTIVE_BY_SCHEDULE
    allowed = employee.in_internal_allowed if internal else employee.in_external_allowed
    if "in" not in allowed:
        return Reason.IN_CALL_NOT_ALLOWED
    if not employee.phones:
        return Reason.EMPLOYEE_WITHOUT_PHONES
    return None


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
    entered: tuple[Operation, ...],
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


def _only_reason(skipped: Sequence[Skipped]) -> Reason | None:
    """The finish reason when all were skipped: the common one, else that no operator was reached."""
    reasons = {item.reason for item in skipped}
    if len(reasons) == 1:
        return next(iter(reasons))
    return Reason.NO_SUCCESS_OPERATOR_CALL if reasons else None


def _with_skipped(routing_decision: RoutingDecision, skipped: tuple[Skipped, ...]) -> RoutingDecision:
    """Keep who was skipped on the way to a later operation."""
    return (
        replace(routing_decision, skipped=skipped + routing_decision.skipped) if skipped else routing_decision
    )
