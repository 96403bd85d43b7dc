"""Where a caller goes on who leaves a queue unanswered: the texts in ``exits`` of a queue, as operations. Pure.

=====================  ==============================================================
``scenario:<id>``      that scenario
``queue:<id>``         that queue
``employee:<id>``      the phones of that employee
``group:<id>``         that group
``voicemail``          a voice message; ``voicemail:<id>``: to that employee
``number:<digits>``    that outside number
``callback``           the place is kept and the caller is called back; ``callback:<id>``: the call goes on with that
                       scenario meanwhile, otherwise it ends. By a key only.
``hangup``             the call ends
=====================  ==============================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trunkline.core.phone import normalise
from trunkline.directory.model import CallQueue, Operation, OperationKind, Scenario

KEYS = frozenset("0123456789*#")
TIMEOUT = "timeout"
"""The exit of a caller whose longest wait is over."""

OPERATION = "queue"
"""Key of the operation that is the queue itself."""

CALLBACK = "callback"

_BY_ID = {
    CALLBACK: (OperationKind.RUN_SCENARIO, "scenario_id"),
    "scenario": (OperationKind.RUN_SCENARIO, "scenario_id"),
    "queue": (OperationKind.QUEUE, "queue_id"),
    "employee": (OperationKind.FORWARD_EMPLOYEE, "employee_id"),
    "group": (OperationKind.FORWARD_GROUP, "group_id"),
}


SECTIONS: Mapping[str, str] = {
    "scenario": "scenarios",
    "queue": "queues",
    "employee": "employees",
    "group": "groups",
    "voicemail": "employees",
}
"""Section of directory files with the items that a kind of destination names: by id, in a file by key."""

FORM = (
    "write scenario:, queue:, employee: or group: and which one, voicemail, voicemail: and which employee,"
    " number: and a number in full, or hangup"
)


def name_problem(name: str) -> str | None:
    """Why a text is no name of an exit; None: it is one."""
    if name in KEYS or name == TIMEOUT:
        return None
    return f"{name!r} is no exit: the names are one key of a phone (0 to 9, * and #), and {TIMEOUT}"


def target(destination: str) -> tuple[str, str] | None:
    """Kind and name of the item that a destination names; None: it names none."""
    kind, _, what = destination.strip().partition(":")
    return (kind, what) if kind in SECTIONS and what else None


def problem_of(destination: str) -> str | None:
    """Why a text is no destination; whether the item that it names exists is another question."""
    kind, _, what = destination.strip().partition(":")
    is_item = target(destination) is not None
    if is_item or (kind == "voicemail" and not what) or operation_of(destination) is not None:
        return None
    return f"{destination!r} is no destination: {FORM}"


def usable(exits: object) -> dict[str, str]:
    """The exits of a queue whose destinations can be reached; all others lead nowhere."""
    if not isinstance(exits, Mapping):
        return {}
    return {
        str(name): str(destination)
        for name, destination in exits.items()
        if (name in KEYS or (name == TIMEOUT and not str(destination).startswith(CALLBACK)))
        and operation_of(str(destination)) is not None
    }


def operation_of(destination: str) -> tuple[OperationKind, dict[str, Any]] | None:
    """Kind and settings of the operation that a destination is; None: it is none."""
    kind, _, what = destination.strip().partition(":")
    if kind in _BY_ID and what.isdecimal():
        operation, name = _BY_ID[kind]
        return operation, {name: int(what)}
    if kind == "voicemail" and (not what or what.isdecimal()):
        return OperationKind.VOICEMAIL, {"employee_id": int(what)} if what else {}
    if kind == "number" and (number := normalise(what)) is not None:
        return OperationKind.FORWARD_NUMBER, {"number": number}
    if kind in ("hangup", CALLBACK) and not what:
        return OperationKind.HANGUP, {}
    return None


def scenario_of(queue: CallQueue) -> Scenario:
    """The scenario of a call that is put into the queue directly: by its extension, or by a transfer."""
    keys = {name: f"exit_{name}" for name in queue.exits}
    settings = {
        "queue_id": queue.queue_id,
        "next": keys.get(TIMEOUT),
        "no_agents": keys.get(TIMEOUT),
        "exits": {name: key for name, key in keys.items() if name != TIMEOUT},
    }
    operations = [Operation(0, OPERATION, queue.name, OperationKind.QUEUE, settings)]
    for name, destination in queue.exits.items():
        found = operation_of(destination)
        if found is not None:
            operations.append(Operation(0, keys[name], queue.name, found[0], found[1]))
    return Scenario(queue.scenario_id, queue.name, tuple(operations))
