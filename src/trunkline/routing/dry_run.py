"""What a call would do: a dry run through scenarios by the rules of calls, without a call. Pure.

What only a call shows is assumed (:class:`Assumptions`): who answers, which keys are pressed, what another system replies,
how the time in a queue ends. Phones ring unless they are said to be offline; lines are free.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from trunkline.directory.model import (
    Account,
    CallQueue,
    Group,
    Operation,
    OperationKind,
    Phone,
    Scenario,
    VirtualNumber,
)
from trunkline.events.reasons import Reason
from trunkline.routing import interpreter, menus
from trunkline.routing.branches import Caller, ReturnPoint
from trunkline.routing.decisions import (
    NO_ATTEMPTS,
    AskKeys,
    AskSystem,
    Attempts,
    End,
    EnterQueue,
    Play,
    Ring,
    RingForward,
    RingOutside,
    RoutingDecision,
    ScenarioEntered,
    Skipped,
    TakeMessage,
    with_destination,
)
from trunkline.routing.directions import refused_direction
from trunkline.routing.refusals import line_obstacle, number_refusal
from trunkline.routing.ringing import DEFAULT_RING_SECONDS

STEPS_MAX = 200
"""A dry run of more steps is in a loop that only the caller ends."""

_DEFAULT_TIMEOUT, _DEFAULT_REPEATS = 5, 3

_TIMEOUT, _CALLBACK = "timeout", "callback"
"""A name and a destination of exits (:mod:`trunkline.directory.queues.exits`)."""


class QueueEnd(StrEnum):
    """How the time in a queue ends."""

    AGENT = "agent"
    TIMEOUT = "timeout"
    NO_AGENTS = "no_agents"


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What happens to the call outside of the scenario.

    :ivar keys: what is pressed at each prompt, in order: the keys of a menu, the digits of a code; empty: none. Nothing is
        pressed behind the last one.
    :ivar answered: at which call somebody answers, from 1 on; 0: nobody does.
    :ivar queue_end: of each queue.
    :ivar returned_code: of each external decision; empty: no usable reply.
    :ivar registered: ids of SIP lines that are registered; None: all are.
    :ivar last_employee: id of the employee who talked with the caller last.
    :ivar call_session_id: decides splits.
    """

    keys: tuple[str, ...] = ()
    answered: int = 0
    queue_end: QueueEnd = QueueEnd.AGENT
    returned_code: str = ""
    registered: frozenset[int] | None = None
    last_employee: int | None = None
    call_session_id: int = 0


class StepKind(StrEnum):
    """What a step of a dry run is."""

    SCENARIO = "scenario"
    OPEN = "open"
    CLOSED = "closed"
    BRANCH = "branch"
    TAGS = "tags"
    NOTIFICATION = "notification"
    PLAYED = "played"
    SKIPPED = "skipped"
    RINGS = "rings"
    FORWARDED = "forwarded"
    ANSWERED = "answered"
    UNANSWERED = "unanswered"
    MENU_KEY = "menu_key"
    MENU_WRONG = "menu_wrong"
    MENU_SILENT = "menu_silent"
    MESSAGE = "message"
    CODE = "code"
    NO_CODE = "no_code"
    QUEUE_AGENT = "queue_agent"
    QUEUE_LEFT = "queue_left"
    QUEUE_KEY = "queue_key"
    QUEUE_CALLBACK = "queue_callback"
    NO_SCENARIO = "no_scenario"
    ENDED = "ended"
    STOPPED = "stopped"


SENTENCES: Mapping[StepKind, str] = {
    StepKind.SCENARIO: "The scenario %(name)s goes on with the call.",
    StepKind.OPEN: "The schedule %(name)s is open.",
    StepKind.CLOSED: "The schedule %(name)s is closed.",
    StepKind.BRANCH: "The caller takes the branch to %(name)s.",
    StepKind.TAGS: "The call gets the tags %(name)s.",
    StepKind.NOTIFICATION: "A notification is sent.",
    StepKind.PLAYED: "The caller hears %(name)s.",
    StepKind.SKIPPED: "%(name)s is not called: %(reason)s",
    StepKind.RINGS: "It rings at %(name)s for %(seconds)s seconds.",
    StepKind.FORWARDED: "%(name)s forwards the call to %(to)s.",
    StepKind.ANSWERED: "%(name)s answers.",
    StepKind.UNANSWERED: "Nobody answers.",
    StepKind.MENU_KEY: "The caller presses %(keys)s.",
    StepKind.MENU_WRONG: "The caller presses %(keys)s, which means nothing here.",
    StepKind.MENU_SILENT: "The caller presses no key.",
    StepKind.MESSAGE: "The caller may leave a message.",
    StepKind.CODE: "The other system replies with the code %(name)s.",
    StepKind.NO_CODE: "The other system gives no usable reply.",
    StepKind.QUEUE_AGENT: "The caller waits in the queue %(name)s, and an agent answers.",
    StepKind.QUEUE_LEFT: "The caller waits in the queue %(name)s, and no agent answers.",
    StepKind.QUEUE_KEY: "The caller leaves the queue %(name)s with the key %(keys)s.",
    StepKind.QUEUE_CALLBACK: "The caller keeps the place in the queue %(name)s with the key %(keys)s and is called back.",
    StepKind.NO_SCENARIO: "No rule of the number takes the call now.",
    StepKind.ENDED: "The call ends: %(reason)s",
    StepKind.STOPPED: "The dry run stops here: the scenario goes on in a circle until the caller hangs up.",
}
"""A sentence for each step. ``reason`` is described by :mod:`trunkline.reports.reason_descriptions`."""


@dataclass(frozen=True, slots=True)
class Step:
    """:ivar at: wall-clock time of the account's zone.
    :ivar operation: in which it happens; empty: in none.
    :ivar values: of the sentence, without the reason."""

    kind: StepKind
    at: datetime
    scenario_id: int
    operation: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    reason: Reason | None = None


@dataclass
class _Availability:
    """The moment of a step."""

    account: Account
    assumptions: Assumptions
    local_time: datetime

    def phone_obstacle(self, phone: Phone) -> Reason | None:
        if phone.sip_line_id is None:
            outside = phone.outside
            is_closed = outside is not None and refused_direction(self.account, outside.number) is not None
            return Reason.LOCKED_NUMB if is_closed else None
        fixed = line_obstacle(self.account, phone.sip_line_id)
        registered = self.assumptions.registered
        if fixed is None and registered is not None and phone.sip_line_id not in registered:
            return Reason.SIP_OFFLINE
        return fixed

    def number_obstacle(self, number: str, channels: int | None) -> Reason | None:
        return None

    def group_obstacle(self, group: Group) -> Reason | None:
        return None

    def idle_since(self, employee_id: int) -> float:
        return 0.0

    def last_employee(self, phone_number: str) -> int | None:
        return self.assumptions.last_employee


def dry_run_of_number(
    account: Account,
    number: VirtualNumber | None,
    caller: str | None,
    local_time: datetime,
    assumptions: Assumptions,
) -> tuple[Step, ...]:
    """A call to a virtual number.

    :param caller: E.164 digits; None: withheld.
    :param local_time: wall clock of the account's zone.
    """
    refusal = number_refusal(account, number, caller)
    if refusal is not None or number is None:
        return (Step(StepKind.ENDED, local_time, 0, reason=refusal or Reason.NUMB_NOT_EXISTS),)
    scenario = interpreter.scenario_for(account, number, local_time)
    if scenario is None:
        return (Step(StepKind.NO_SCENARIO, local_time, 0),)
    return dry_run_of_scenario(account, scenario, caller, local_time, assumptions)


def dry_run_of_scenario(
    account: Account,
    scenario: Scenario,
    caller: str | None,
    local_time: datetime,
    assumptions: Assumptions,
) -> tuple[Step, ...]:
    """A call that comes to a scenario; parameters as of :func:`dry_run_of_number`."""
    one = _DryRun(account, scenario, caller, local_time, assumptions)
    one.note(StepKind.SCENARIO, name=scenario.name)
    decide: _Following | None = one.first
    while decide is not None and len(one.steps) < STEPS_MAX:
        decide = one.perform(decide())
    if decide is not None:
        one.note(StepKind.STOPPED)
    return tuple(one.steps)


_Following = Callable[[], RoutingDecision]
"""Decides what follows; None: nothing does."""


class _DryRun:
    def __init__(
        self,
        account: Account,
        scenario: Scenario,
        caller: str | None,
        local_time: datetime,
        assumptions: Assumptions,
    ) -> None:
        contact = account.contacts_by_phone.get(caller) if caller is not None else None
        self.steps: list[Step] = []
        self._account = account
        self._scenario = scenario
        self._assumptions = assumptions
        self._availability = _Availability(account, assumptions, local_time)
        self._caller = Caller(assumptions.call_session_id, caller, contact)
        self._operation: Operation | None = None
        self._keys = list(assumptions.keys)
        self._rung = 0
        self._round_of: int | None = None
        """The operation whose rounds are called, and who was in them."""
        self._tried: frozenset[int] = frozenset()

    def first(self) -> RoutingDecision:
        return interpreter.decide_first(self._account, self._scenario, self._availability, self._caller)

    def note(self, kind: StepKind, reason: Reason | None = None, **values: str) -> None:
        key = self._operation.key if self._operation is not None else ""
        step = Step(kind, self._availability.local_time, self._scenario.scenario_id, key, values, reason)
        self.steps.append(step)

    def perform(self, decision: RoutingDecision) -> _Following | None:
        """Note what happens; what follows."""
        self._pass(decision)
        for skipped in decision.skipped:
            self._skip(skipped)
        if isinstance(decision, End):
            self.note(StepKind.ENDED, decision.reason)
            return None
        operation = self._operation = decision.operation
        match decision:
            case Play():
                self._note_played(decision.media_file_ids)
                return self._after(operation)
            case Ring():
                return self._ring(decision)
            case RingForward():
                return self._forwarded(decision)
            case RingOutside():
                chosen = decision.chosen
                if chosen is not None:
                    operation = with_destination(operation, chosen)
                name, seconds = decision.number, decision.ring_seconds
                return self._called(name, seconds) and self._round(operation, frozenset(), NO_ATTEMPTS)
            case TakeMessage():
                self._note_played(decision.media_file_ids)
                self.note(StepKind.MESSAGE)
                return self._after(operation)
            case AskKeys():
                return self._menu(operation, decision.media_file_ids)
            case AskSystem():
                return self._system(operation, decision.media_file_ids)
            case EnterQueue():
                return self._queue(operation, decision)

    def _pass(self, decision: RoutingDecision) -> None:
        """Operations without a duration, each with where it leads."""
        entered = decision.entered
        for index, step in enumerate(entered):
            if isinstance(step, ScenarioEntered):
                self._scenario = step.scenario
                self._caller = replace(self._caller, returns=step.returns)
                self._operation = None
                self.note(StepKind.SCENARIO, name=step.scenario.name)
                continue
            self._operation, self._round_of = step, None
            following = next((one for one in entered[index + 1 :] if isinstance(one, Operation)), None)
            settings = step.settings
            match step.kind:
                case OperationKind.SCHEDULE:
                    is_open = self._account.is_open(settings["schedule_id"], self._availability.local_time)
                    schedule = self._account.schedules.get(settings["schedule_id"])
                    kind = StepKind.OPEN if is_open else StepKind.CLOSED
                    self.note(kind, name=schedule.name if schedule is not None else "")
                case (
                    OperationKind.SPLIT
                    | OperationKind.CONTACT_GROUP
                    | OperationKind.REGION
                    | OperationKind.CALLER_LIST
                ):
                    self.note(StepKind.BRANCH, name=following.name if following is not None else "–")
                case OperationKind.TAG:
                    tags = [self._account.tags.get(one) for one in settings["tag_ids"]]
                    self.note(StepKind.TAGS, name=", ".join(one.name for one in tags if one is not None))
                case OperationKind.NOTIFICATION:
                    self.note(StepKind.NOTIFICATION)
                case _:
                    pass

    def _skip(self, skipped: Skipped) -> None:
        before = self._operation
        self._operation = skipped.operation or before
        name = skipped.employee.full_name if skipped.employee is not None else skipped.number or ""
        self.note(StepKind.SKIPPED, skipped.reason, name=name)
        self._operation = before

    def _note_played(self, media_file_ids: Sequence[int]) -> None:
        media = [self._account.media.get(one) for one in media_file_ids]
        names = list(dict.fromkeys(one.name for one in media if one is not None))
        own = self._operation.name if self._operation is not None else ""
        # A file of a text is named like its text, with the full stop that the sentence of the step has, too.
        self.note(StepKind.PLAYED, name=(", ".join(names) or own).rstrip("."))

    def _pass_time(self, seconds: float) -> None:
        self._availability.local_time += timedelta(seconds=seconds)

    def _ring(self, ring: Ring) -> _Following | None:
        operation = ring.operation
        if ring.chosen is not None:
            operation = with_destination(operation, ring.chosen)
        if "group_id" in operation.settings:
            tried = {one.employee.employee_id for one in ring.candidates}
            tried |= {one.employee.employee_id for one in ring.skipped if one.employee is not None}
        else:
            tried = {one.phone.phone_id for one in ring.candidates}
            tried |= {one.phone.phone_id for one in ring.skipped if one.phone is not None}
        if self._round_of != operation.operation_id:
            self._tried, self._round_of = frozenset(), operation.operation_id
        self._tried |= tried
        if not ring.candidates:
            return self._round(operation, self._tried, NO_ATTEMPTS)
        names = ", ".join(one.employee.full_name for one in ring.candidates)
        answered = self._called(names, ring.ring_seconds)
        attempts = Attempts({Reason.OPERATOR_NOT_RESPONSIVE})
        return answered and self._round(operation, self._tried, attempts)

    def _forwarded(self, decision: RingForward) -> _Following | None:
        operation = decision.operation
        if decision.chosen is not None:
            operation = with_destination(operation, decision.chosen)
        employee = decision.forward.employee
        self.note(StepKind.FORWARDED, name=employee.full_name, to=decision.forward.to)
        attempts = Attempts({Reason.OPERATOR_NOT_RESPONSIVE}, {employee.employee_id: True})
        answered = self._called(decision.forward.to, DEFAULT_RING_SECONDS)
        return answered and self._round(operation, frozenset(), attempts)

    def _called(self, name: str, seconds: int) -> _Following | None:
        """Whether the dry run goes on: nobody answers."""
        self._rung += 1
        self.note(StepKind.RINGS, name=name, seconds=str(seconds))
        if self._rung == self._assumptions.answered:
            self.note(StepKind.ANSWERED, name=name)
            return None
        self._pass_time(seconds)
        self.note(StepKind.UNANSWERED)
        return self.first

    def _menu(self, operation: Operation, prompt: Sequence[int]) -> _Following:
        settings = operation.settings
        branch = "timeout"
        for _round in range(int(settings.get("repeats") or _DEFAULT_REPEATS)):
            self._note_played(prompt)
            pressed = self._keys.pop(0) if self._keys else ""
            if not pressed:
                self._pass_time(float(settings.get("timeout_seconds") or _DEFAULT_TIMEOUT))
                self.note(StepKind.MENU_SILENT)
                branch = "timeout"
                continue
            found = menus.meaning(self._account, operation.kind, settings, pressed, is_over=True)
            if isinstance(found, menus.Picked):
                self.note(StepKind.MENU_KEY, keys=pressed)
                return self._at(found.key)
            if isinstance(found, menus.ExtensionDialled):
                self.note(StepKind.MENU_KEY, keys=pressed)
                chosen = with_destination(operation, found.chosen)
                return self._round(chosen, frozenset(), NO_ATTEMPTS)
            self.note(StepKind.MENU_WRONG, keys=pressed)
            branch = "invalid"
        return self._at(settings.get(branch))

    def _system(self, operation: Operation, prompt: Sequence[int]) -> _Following:
        self._note_played(prompt)
        if operation.settings.get("code_length"):
            pressed = self._keys.pop(0) if self._keys else ""
            if pressed:
                self.note(StepKind.MENU_KEY, keys=pressed)
            else:
                self.note(StepKind.MENU_SILENT)
        code = self._assumptions.returned_code
        codes: Mapping[str, str | None] = operation.settings.get("codes") or {}
        if code and code in codes:
            self.note(StepKind.CODE, name=code)
            return self._at(codes[code])
        self.note(StepKind.NO_CODE)
        return self._at(operation.settings.get("otherwise"))

    def _queue(self, operation: Operation, decision: EnterQueue) -> _Following | None:
        """As a call leaves a queue: by the operation, and where that names no place by the queue's own exits."""
        settings, queue = operation.settings, decision.queue
        name = queue.name
        exits: Mapping[str, str | None] = settings.get("exits") or {}
        if self._keys and self._keys[0] in {*exits, *queue.exits}:
            pressed = self._keys.pop(0)
            is_callback = queue.exits.get(pressed, "").startswith(_CALLBACK)
            kind = StepKind.QUEUE_CALLBACK if is_callback else StepKind.QUEUE_KEY
            self.note(kind, name=name, keys=pressed)
            return self._leave(queue, settings, exits.get(pressed), pressed)
        match self._assumptions.queue_end:
            case QueueEnd.AGENT:
                self.note(StepKind.QUEUE_AGENT, name=name)
                return None
            case QueueEnd.NO_AGENTS:
                self.note(StepKind.QUEUE_LEFT, name=name)
                return self._leave(
                    queue, settings, settings.get("no_agents") or settings.get("next"), _TIMEOUT
                )
            case QueueEnd.TIMEOUT:
                self._pass_time(float(queue.settings.get("max_wait_time") or 0))
                self.note(StepKind.QUEUE_LEFT, name=name)
                return self._leave(queue, settings, settings.get("next"), _TIMEOUT)

    def _leave(
        self, queue: CallQueue, settings: Mapping[str, Any], branch: str | None, exit_name: str
    ) -> _Following:
        """See ``leave`` of :mod:`trunkline.calls.flows.queueing`."""
        own = self._account.scenarios.get(queue.scenario_id)
        if branch is None and exit_name in queue.exits and own is not None and own is not self._scenario:
            there = own.operation(f"exit_{exit_name}")
            if there is not None:
                back = ReturnPoint(self._scenario.scenario_id, settings.get("next"))
                self._caller = replace(self._caller, returns=(*self._caller.returns, back))
                self._scenario, branch = own, there.key
        return self._at(branch)

    def _at(self, key: str | None) -> _Following:
        account, scenario = self._account, self._scenario
        return lambda: interpreter.decide_at(account, scenario, key, self._availability, self._caller)

    def _after(self, operation: Operation) -> _Following:
        account, scenario = self._account, self._scenario
        return lambda: interpreter.decide_after(
            account, scenario, operation, self._availability, self._caller
        )

    def _round(self, operation: Operation, tried: frozenset[int], attempts: Attempts) -> _Following:
        account, scenario = self._account, self._scenario
        return lambda: interpreter.decide_next_round(
            account, scenario, operation, self._availability, tried, self._caller, attempts
        )
