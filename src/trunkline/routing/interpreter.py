"""The scenario interpreter: from an operation to the next thing that takes time.

Pure: it gets the account's directory and the present :class:`Availability`, and returns a decision. Operations
without duration (schedule branches) are passed through at once and listed in ``entered``, so that every operation
a call touched is known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from trunkline.core.phone import normalise, split_number
from trunkline.directory.model import (
    Account,
    CallQueue,
    Employee,
    EmployeeStatus,
    Group,
    HangupCause,
    Operation,
    OperationKind,
    Phone,
    Scenario,
    UsualEmployee,
    VirtualNumber,
)
from trunkline.events.reasons import Reason
from trunkline.routing import branches
from trunkline.routing.branches import MAX_NESTED, UNKNOWN_CALLER, Caller, ReturnPoint
from trunkline.routing.directions import refused_direction
from trunkline.routing.forwards import Forward, forward_always, forward_unreached

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

    def last_employee(self, phone_number: str) -> int | None:
        """Id of the employee who talked last with a caller; None = none known."""


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
class ScenarioEntered:
    """The call goes on in another scenario: a sub-scenario began, or ended.

    :ivar returns: the scenarios that wait for it, the outermost first.
    """

    scenario: Scenario
    returns: tuple[ReturnPoint, ...]


Step = Operation | ScenarioEntered
"""What a call passes on its way to something that takes time."""


@dataclass(frozen=True, slots=True)
class Play:
    """Play media to the contact, then continue with :func:`decide_after`."""

    entered: tuple[Step, ...]
    operation: Operation
    media_file_ids: tuple[int, ...]
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True)
class Chosen:
    """Whom an operation calls that names nobody: exactly one of the first three is set."""

    employee_id: int | None = None
    group_id: int | None = None
    number: str | None = None
    """An outside number, E.164 digits."""
    phones_left: tuple[str, ...] = ()
    """Numbers of an external decision that are called when this one is not reached, as they were written."""


@dataclass(frozen=True, slots=True)
class Ring:
    """Ring all candidates at once; when none answers, ask again with those tried."""

    entered: tuple[Step, ...]
    operation: Operation
    candidates: tuple[Candidate, ...]
    skipped: tuple[Skipped, ...]
    ring_seconds: int
    music_media_file_id: int | None
    chosen: Chosen | None = None
    """Whom the call chose, when the operation names nobody."""


@dataclass(frozen=True, slots=True)
class RingForward:
    """Call where an employee forwards calls; when nobody is reached there, continue with :func:`decide_next_round`."""

    entered: tuple[Step, ...]
    operation: Operation
    forward: Forward
    skipped: tuple[Skipped, ...]
    chosen: Chosen | None = None
    """Whom the call chose, when the operation names nobody."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """What became of the calls of the present operation.

    :ivar reasons: why phones did not take the call.
    :ivar forwarded: by id of an employee whose forwarding was followed: whether anybody could be called there.
    """

    reasons: Collection[Reason] = ()
    forwarded: Mapping[int, bool] = field(default_factory=dict)


NO_ATTEMPTS = Attempts()


@dataclass(frozen=True, slots=True)
class RingOutside:
    """Call an outside number; when it is not reached, continue with :func:`decide_next_round`."""

    entered: tuple[Step, ...]
    operation: Operation
    number: str
    """E.164 digits, maybe with an extension."""
    ring_seconds: int
    music_media_file_id: int | None
    skipped: tuple[Skipped, ...] = ()
    chosen: Chosen | None = None
    """Whom the call chose, when the operation names nobody."""

    def not_called(self, reason: Reason) -> Skipped:
        """What is kept of it when there was no way to it after all."""
        return Skipped(None, None, reason, None, self.operation, self.number)


@dataclass(frozen=True, slots=True)
class TakeMessage:
    """Play the greeting, then record the contact's message."""

    entered: tuple[Step, ...]
    operation: Operation
    media_file_ids: tuple[int, ...]
    max_seconds: int
    silence_seconds: int
    employee_id: int | None
    group_id: int | None
    skipped: tuple[Skipped, ...] = ()
    emails: tuple[str, ...] = ()
    """Who gets the message by mail."""


@dataclass(frozen=True, slots=True)
class AskKeys:
    """Play the prompt of a menu and wait for keys (:mod:`trunkline.routing.menus`)."""

    entered: tuple[Step, ...]
    operation: Operation
    media_file_ids: tuple[int, ...]
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True)
class AskSystem:
    """Ask another system what happens to the call; before that, play the prompt and wait for a code, if one is awaited."""

    entered: tuple[Step, ...]
    operation: Operation
    media_file_ids: tuple[int, ...]
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True)
class EnterQueue:
    """The contact waits in a queue, then continues with :func:`decide_at` a branch of the operation."""

    entered: tuple[Step, ...]
    operation: Operation
    queue: CallQueue
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True)
class End:
    """Nothing more to do: hang up with this reason.

    :ivar cause: that the scenario names; None: it follows from the reason.
    """

    entered: tuple[Step, ...]
    reason: Reason
    skipped: tuple[Skipped, ...] = ()
    cause: HangupCause | None = None


RoutingDecision = (
    Play | Ring | RingForward | RingOutside | TakeMessage | AskKeys | AskSystem | EnterQueue | End
)
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
        if not account.is_open(rule.schedule_id, local_time):
            continue
        scenario = account.scenarios.get(rule.scenario_id)
        if scenario is not None:
            return scenario
    return None


def decide_first(
    account: Account, scenario: Scenario, availability: Availability, caller: Caller = UNKNOWN_CALLER
) -> RoutingDecision:
    """Enter a scenario at its first operation."""
    return _run(account, scenario, _first(scenario), availability, caller)


def decide_after(
    account: Account,
    scenario: Scenario,
    operation: Operation,
    availability: Availability,
    caller: Caller = UNKNOWN_CALLER,
) -> RoutingDecision:
    """The decision after a finished operation (played, recorded, no answer).

    The numbers of an external decision that were not called yet come first (``caller.phones``).
    """
    skipped: tuple[Skipped, ...] = ()
    for index, phone in enumerate(caller.phones):
        chosen = replace(destination_of(account, phone), phones_left=caller.phones[index + 1 :])
        ring = _ring_chosen(account, operation, chosen, availability, caller)
        if not isinstance(ring, Ring) or ring.candidates:
            return _with_skipped(ring, skipped)
        skipped += ring.skipped
    following = _run(account, scenario, operation.settings.get("next"), availability, caller)
    return _with_skipped(following, skipped)


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


def _ring_chosen(
    account: Account, operation: Operation, chosen: Chosen, availability: Availability, caller: Caller
) -> Ring | RingForward | RingOutside:
    """A call to whom the call chose; without candidates: nobody there can be called."""
    chosen_operation = with_destination(operation, chosen)
    if chosen.number is not None:
        obstacle = Reason.NUMB_NOT_EXISTS
        outside = _ring_outside(chosen_operation, ())
        if chosen.number:
            refusal = _number_obstacle(account, chosen_operation.settings, availability)
            if refusal is None:
                return replace(outside, chosen=chosen)
            obstacle = refusal
        return replace(_round(operation, (), (), ()), skipped=(outside.not_called(obstacle),))
    ring = _ring(account, chosen_operation, availability, (), (), caller)
    if isinstance(ring, Reason):
        return _round(operation, (), (), ())
    return replace(ring, chosen=chosen)


def decide_next_round(
    account: Account,
    scenario: Scenario,
    operation: Operation,
    availability: Availability,
    tried: Collection[int],
    caller: Caller = UNKNOWN_CALLER,
    attempts: Attempts = NO_ATTEMPTS,
) -> RoutingDecision:
    """The decision after a round of ringing without an answer: the next round of the operation, or the next operation.

    :param operation: towards whom it calls, if the call chose that (:func:`with_destination`).
    :param tried: ids of employees (forward to a group) or phones (forward to an employee) rung or skipped before.
    """
    if operation.kind not in (OperationKind.FORWARD_EMPLOYEE, OperationKind.FORWARD_GROUP):
        return decide_after(account, scenario, operation, availability, caller)  # it is called once
    ring = _ring(account, operation, availability, tried, (), caller, attempts)
    if isinstance(ring, RingForward) or (isinstance(ring, Ring) and ring.candidates):
        return ring
    following = decide_after(account, scenario, operation, availability, caller)
    if isinstance(ring, Ring) and ring.skipped:
        return _with_skipped(following, ring.skipped)
    return following


def decide_resumed(
    account: Account,
    scenario: Scenario,
    operation: Operation,
    availability: Availability,
    caller: Caller = UNKNOWN_CALLER,
) -> RoutingDecision:
    """Do an operation once more from its beginning, after an interruption."""
    return _run(account, scenario, operation.key, availability, caller)


def decide_at(
    account: Account,
    scenario: Scenario,
    key: str | None,
    availability: Availability,
    caller: Caller = UNKNOWN_CALLER,
) -> RoutingDecision:
    """The decision from the operation of a branch on; None: the scenario has ended."""
    return _run(account, scenario, key, availability, caller)


def with_destination(operation: Operation, chosen: Chosen) -> Operation:
    """An operation as a forward to whom the call chose."""
    if chosen.number is not None:
        settings = {**operation.settings, "number": chosen.number}
        return replace(operation, kind=OperationKind.FORWARD_NUMBER, settings=settings)
    if chosen.group_id is not None:
        settings = {**operation.settings, "group_id": chosen.group_id}
        return replace(operation, kind=OperationKind.FORWARD_GROUP, settings=settings)
    settings = {**operation.settings, "employee_id": chosen.employee_id}
    return replace(operation, kind=OperationKind.FORWARD_EMPLOYEE, settings=settings)


def _first(scenario: Scenario) -> str | None:
    return scenario.operations[0].key if scenario.operations else None


def _run(
    account: Account,
    scenario: Scenario,
    key: str | None,
    availability: Availability,
    caller: Caller,
) -> RoutingDecision:
    return _Run(account, scenario, availability, caller).until_something_waits(key)


class _Run:
    """The way of a call through operations without duration, to the next that takes time."""

    def __init__(
        self, account: Account, scenario: Scenario, availability: Availability, caller: Caller
    ) -> None:
        self._account = account
        self._scenario = scenario
        self._availability = availability
        self._caller = caller
        self._returns = caller.returns
        self._entered: list[Step] = []
        self._skipped: tuple[Skipped, ...] = ()
        self._refusal: Reason | None = None

    def until_something_waits(self, key: str | None) -> RoutingDecision:
        """From the operation of this key on; None: the scenario has ended."""
        for _ in range(MAX_TRANSITIONS):
            while key is None and self._returns:
                key = self._return()
            if key is None:
                return self._end(self._refusal or Reason.NO_OPERATION)
            operation = self._scenario.operation(key)
            if operation is None:
                return self._end(Reason.INCORRECT_CONFIG)
            self._entered.append(operation)
            passed = self._operation(operation)
            if not isinstance(passed, _Next):
                return passed
            key = passed.key
        return self._end(Reason.MAX_TRANSITION_COUNT_EXCEEDED)

    def _return(self) -> str | None:
        """The sub-scenario has ended: go on in the scenario that ran it, if it still exists."""
        *outer, point = self._returns
        self._returns = tuple(outer)
        scenario = self._account.scenarios.get(point.scenario_id)
        if scenario is None:
            return None
        self._scenario = scenario
        self._entered.append(ScenarioEntered(scenario, self._returns))
        return point.key

    def _end(self, reason: Reason, cause: HangupCause | None = None) -> End:
        return End(tuple(self._entered), reason, self._skipped, cause)

    def _operation(self, operation: Operation) -> RoutingDecision | _Next:
        """What an operation does, or the key of the one that follows at once."""
        settings, entered = operation.settings, tuple(self._entered)
        match operation.kind:
            case OperationKind.GREETING | OperationKind.ANNOUNCEMENT:
                files = tuple(settings.get("media_file_ids", ())) * int(settings.get("repeats") or 1)
                return self._with_skipped(Play(entered, operation, files))
            case OperationKind.FORWARD_EMPLOYEE | OperationKind.FORWARD_GROUP:
                ring = _ring(self._account, operation, self._availability, (), entered, self._caller)
                return self._forward(operation, ring)
            case OperationKind.FORWARD_USUAL:
                return self._forward_usual(operation)
            case OperationKind.FORWARD_NUMBER:
                return self._forward_number(operation)
            case OperationKind.VOICEMAIL:
                return self._with_skipped(
                    TakeMessage(
                        entered,
                        operation,
                        tuple(settings.get("media_file_ids", ())),
                        int(settings.get("max_seconds") or DEFAULT_VOICE_MAIL_SECONDS),
                        int(settings.get("silence_seconds") or DEFAULT_SILENCE_SECONDS),
                        settings.get("employee_id"),
                        settings.get("group_id"),
                        emails=self._emails(settings),
                    )
                )
            case OperationKind.MENU | OperationKind.DIAL_EXTENSION:
                prompt = tuple(settings.get("media_file_ids", ()))
                return self._with_skipped(AskKeys(entered, operation, prompt))
            case OperationKind.EXTERNAL_DECISION:
                prompt = tuple(settings.get("media_file_ids", ()))
                return self._with_skipped(AskSystem(entered, operation, prompt))
            case OperationKind.RUN_SCENARIO:
                return self._run_scenario(operation)
            case OperationKind.QUEUE:
                queue = self._account.queues.get(settings["queue_id"])
                if queue is None:
                    return _Next(settings.get("next"))
                return self._with_skipped(EnterQueue(entered, operation, queue))
            case OperationKind.HANGUP:
                cause = settings.get("cause")
                if cause is not None:
                    return self._end(Reason.SCENARIO_DISCONNECTS, HangupCause(cause))
                return self._end(self._refusal or Reason.SCENARIO_DISCONNECTS)
            case _:
                return _Next(self._branch(operation))

    def _emails(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        """Who gets a voice message by mail."""
        listed = tuple(settings.get("emails") or ())
        employee = self._account.employees.get(settings.get("employee_id") or 0)
        own = employee.email if employee is not None and settings.get("mail_employee") else None
        return listed if own is None or own in listed else (*listed, own)

    def _branch(self, operation: Operation) -> str | None:
        """The next operation after one that only chooses it."""
        settings, caller = operation.settings, self._caller
        key: str | None
        match operation.kind:
            case OperationKind.SCHEDULE:
                is_open = self._account.is_open(settings["schedule_id"], self._availability.local_time)
                key = settings.get("open" if is_open else "closed")
            case OperationKind.SPLIT:
                key = branches.split(settings, operation.operation_id, caller.call_session_id)
            case OperationKind.CONTACT_GROUP:
                key = branches.contact_group(settings, caller.contact)
            case OperationKind.REGION:
                key = branches.region(settings, caller.phone_number)
            case OperationKind.CALLER_LIST:
                key = branches.caller_list(settings, caller.phone_number)
            case _:
                key = settings.get("next")
        return key

    def _forward(self, operation: Operation, ring: Ring | RingForward | Reason) -> RoutingDecision | _Next:
        if isinstance(ring, RingForward) or (isinstance(ring, Ring) and ring.candidates):
            return self._with_skipped(ring)
        if isinstance(ring, Ring):
            self._skipped += ring.skipped
            self._refusal = _only_reason(ring.skipped)
        else:
            self._refusal = ring
        return _Next(operation.settings.get("next"))

    def _forward_usual(self, operation: Operation) -> RoutingDecision | _Next:
        caller = self._caller
        last = self._availability.last_employee(caller.phone_number) if caller.phone_number else None
        employee_id = branches.usual_employee(
            UsualEmployee(operation.settings["choose"]), caller.contact, last
        )
        if employee_id is None or employee_id not in self._account.employees:
            return _Next(operation.settings.get("next"))
        chosen = Chosen(employee_id=employee_id)
        ring = _ring(
            self._account,
            with_destination(operation, chosen),
            self._availability,
            (),
            tuple(self._entered),
            caller,
        )
        if isinstance(ring, Ring | RingForward):
            ring = replace(ring, chosen=chosen)
        return self._forward(operation, ring)

    def _forward_number(self, operation: Operation) -> RoutingDecision | _Next:
        outside = _ring_outside(operation, tuple(self._entered))
        self._refusal = _number_obstacle(self._account, operation.settings, self._availability)
        if self._refusal is None:
            return self._with_skipped(outside)
        self._skipped += (outside.not_called(self._refusal),)
        return _Next(operation.settings.get("next"))

    def _run_scenario(self, operation: Operation) -> RoutingDecision | _Next:
        scenario = self._account.scenarios.get(operation.settings["scenario_id"])
        if scenario is None:
            return self._end(Reason.INCORRECT_CONFIG)
        if len(self._returns) >= MAX_NESTED:
            return self._end(Reason.MAX_TRANSITION_COUNT_EXCEEDED)
        point = ReturnPoint(self._scenario.scenario_id, operation.settings.get("next"))
        self._returns = (*self._returns, point)
        self._scenario = scenario
        self._entered.append(ScenarioEntered(scenario, self._returns))
        return _Next(_first(scenario))

    def _with_skipped(self, decision: RoutingDecision) -> RoutingDecision:
        return _with_skipped(decision, self._skipped)


@dataclass(frozen=True, slots=True)
class _Next:
    """The operation that follows at once; None: the scenario ends."""

    key: str | None


def _ring(
    account: Account,
    operation: Operation,
    availability: Availability,
    tried: Collection[int],
    entered: tuple[Step, ...],
    caller: Caller,
    attempts: Attempts = NO_ATTEMPTS,
) -> Ring | RingForward | Reason:
    if operation.kind is OperationKind.FORWARD_EMPLOYEE:
        return _ring_employee(account, operation, availability, tried, entered, caller, attempts)
    return _ring_group(account, operation, availability, tried, entered)


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


def _ring_outside(operation: Operation, entered: tuple[Step, ...]) -> RingOutside:
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
    number = split_number(settings["number"]).number
    if account.number_by_phone(number) is not None:
        return Reason.INCORRECT_CONFIG  # the call would return to the scenario, without end
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
