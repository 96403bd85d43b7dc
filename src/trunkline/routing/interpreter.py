"""The scenario interpreter: from an operation to the next thing that takes time.

Pure: it gets the account's directory and the present :class:`Availability`, and returns a decision. Operations
without duration (schedule branches) are passed through at once and listed in ``entered``, so that every operation
a call touched is known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from trunkline.directory.model import (
    Account,
    HangupCause,
    Operation,
    OperationKind,
    Scenario,
    UsualEmployee,
    VirtualNumber,
)
from trunkline.events.reasons import Reason
from trunkline.routing import branches
from trunkline.routing.branches import MAX_NESTED, UNKNOWN_CALLER, Caller, ReturnPoint
from trunkline.routing.decisions import (
    NO_ATTEMPTS,
    AskKeys,
    AskSystem,
    Attempts,
    Chosen,
    End,
    EnterQueue,
    Play,
    Ring,
    RingForward,
    RoutingDecision,
    ScenarioEntered,
    Skipped,
    Step,
    TakeMessage,
    with_destination,
    with_skipped,
)
from trunkline.routing.ringing import (
    Availability,
    destination_of,
    number_obstacle,
    ring_chosen,
    ring_operation,
    ring_outside,
)

MAX_TRANSITIONS = 100
"""Operations one call may pass without anything that takes time between them: ends loops of branches."""

DEFAULT_VOICE_MAIL_SECONDS = 120
DEFAULT_SILENCE_SECONDS = 5


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
        ring = ring_chosen(account, operation, chosen, availability, caller)
        if not isinstance(ring, Ring) or ring.candidates:
            return with_skipped(ring, skipped)
        skipped += ring.skipped
    following = _run(account, scenario, operation.settings.get("next"), availability, caller)
    return with_skipped(following, skipped)


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
    ring = ring_operation(account, operation, availability, tried, (), caller, attempts)
    if isinstance(ring, RingForward) or (isinstance(ring, Ring) and ring.candidates):
        return ring
    following = decide_after(account, scenario, operation, availability, caller)
    if isinstance(ring, Ring) and ring.skipped:
        return with_skipped(following, ring.skipped)
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
                ring = ring_operation(self._account, operation, self._availability, (), entered, self._caller)
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
        ring = ring_operation(
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
        outside = ring_outside(operation, tuple(self._entered))
        self._refusal = number_obstacle(self._account, operation.settings, self._availability)
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
        return with_skipped(decision, self._skipped)


@dataclass(frozen=True, slots=True)
class _Next:
    """The operation that follows at once; None: the scenario ends."""

    key: str | None


def _only_reason(skipped: Sequence[Skipped]) -> Reason | None:
    """The finish reason when all were skipped: the common one, else that no operator was reached."""
    reasons = {item.reason for item in skipped}
    if len(reasons) == 1:
        return next(iter(reasons))
    return Reason.NO_SUCCESS_OPERATOR_CALL if reasons else None
