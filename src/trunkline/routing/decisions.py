"""What a call does next, as the interpreter decides it. Pure data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from trunkline.directory.model import (
    CallQueue,
    Employee,
    Group,
    HangupCause,
    Operation,
    OperationKind,
    Phone,
    Scenario,
)
from trunkline.events.reasons import Reason
from trunkline.routing.branches import ReturnPoint
from trunkline.routing.forwards import Forward


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


def with_skipped(routing_decision: RoutingDecision, skipped: tuple[Skipped, ...]) -> RoutingDecision:
    """Keep who was skipped on the way to a later operation."""
    return (
        replace(routing_decision, skipped=skipped + routing_decision.skipped) if skipped else routing_decision
    )
