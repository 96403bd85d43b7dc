"""Changes of a scenario as a tree: add, move, delete an operation, and the order in which it is drawn. Pure.

A scenario is a set of operations that name each other. It is drawn as a tree: what follows by ``next`` stands below, other
branches stand inside, and an operation to which several lead is drawn where the first of them is; the others refer to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trunkline.core.errors import InvalidInput
from trunkline.directory.model import OperationKind
from trunkline.directory.scenarios.form import OperationForm, ScenarioForm, branches_of, led_by

NEXT = "next"

DEPTH_MAX = 30
"""Branches inside each other that are drawn; what is deeper is a tree of its own."""

_CONTINUES = (NEXT, "otherwise", "open")
"""The branch by which a scenario goes on after an operation, the first that it has."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an operation stands: at a branch of another one.

    :ivar owner: key of that one; empty: at the beginning of the scenario.
    :ivar branch: as :func:`.form.branches_of` names it.
    """

    owner: str = ""
    branch: str = ""

    def __str__(self) -> str:
        return f"{self.owner} {self.branch}".strip()

    @classmethod
    def parse(cls, text: str) -> Place:
        """The reverse of ``str``."""
        owner, _, branch = text.partition(" ")
        return cls(owner, branch)


BEGINNING = Place()


@dataclass(frozen=True, slots=True)
class Drawn:
    """A branch, and what it leads to.

    :ivar operation: None: the scenario ends there, or goes on at an operation that is drawn elsewhere.
    :ivar elsewhere: the key of that operation, or of one that does not exist.
    :ivar branches: of the operation, without ``next``.
    :ivar continuation: what follows by ``next``, or the end; None: the operation has no ``next``.
    """

    place: Place
    key: str | None = None
    operation: OperationForm | None = None
    elsewhere: str | None = None
    branches: tuple[Drawn, ...] = ()
    continuation: Drawn | None = None

    def line(self) -> Iterable[Drawn]:
        """This operation and those that follow it one after another, with the end of them."""
        one: Drawn | None = self
        while one is not None:
            yield one
            one = one.continuation


def first_of(scenario: ScenarioForm) -> str | None:
    """The key of the operation that starts."""
    return next(iter(scenario.operations), None)


def tree_of(scenario: ScenarioForm) -> tuple[Drawn, ...]:
    """The tree from the beginning, then those of operations that are too deep in it, or that no call reaches."""
    drawn: set[str] = set()
    trees = [_draw(scenario, BEGINNING, first_of(scenario), drawn)]
    named = {target for one in scenario.operations.values() for target in branches_of(one).values()}
    rest = [key for key in scenario.operations if key not in drawn]
    for key in sorted(rest, key=lambda each: each in named):  # those that begin a line come before circles
        if key not in drawn:
            trees += [_draw(scenario, BEGINNING, key, drawn)]
    return tuple(trees)


def _draw(scenario: ScenarioForm, place: Place, target: str | None, drawn: set[str], depth: int = 0) -> Drawn:
    """Goes along a line without recursion: scenarios may be as long as they like."""
    line: list[tuple[Place, str, OperationForm]] = []
    if depth == DEPTH_MAX:
        return Drawn(place, elsewhere=target)
    last: Drawn | None = None
    while target is not None and target in scenario.operations and target not in drawn:
        drawn.add(target)
        operation = scenario.operations[target]
        line.append((place, target, operation))
        branches = branches_of(operation)
        if NEXT not in branches:
            break
        place, target = Place(target, NEXT), branches[NEXT]
    else:
        last = Drawn(place, elsewhere=target)
    for at, key, operation in reversed(line):
        inside = tuple(
            _draw(scenario, Place(key, name), to, drawn, depth + 1)
            for name, to in branches_of(operation).items()
            if name != NEXT
        )
        last = Drawn(at, key, operation, None, inside, last)
    assert last is not None
    return last


def continuation_of(operation: OperationForm) -> str | None:
    """The branch by which the scenario goes on after an operation; None: it has none."""
    branches = branches_of(operation)
    return next((name for name in _CONTINUES if name in branches), None) or next(iter(branches), None)


def places_of(scenario: ScenarioForm) -> tuple[Place, ...]:
    """Where an operation may stand, in the order of the tree."""
    found: list[Place] = [BEGINNING]
    for key, operation in scenario.operations.items():
        found += [Place(key, name) for name in branches_of(operation)]
    return tuple(found)


def new_key(scenario: ScenarioForm, kind: OperationKind) -> str:
    """A key that no operation has yet."""
    number = 1
    while (key := kind.value if number == 1 else f"{kind.value}-{number}") in scenario.operations:
        number += 1
    return key


def added(scenario: ScenarioForm, place: Place, key: str, operation: OperationForm) -> ScenarioForm:
    """With an operation at a place. What stood there follows it, if no branch of it leads elsewhere by then.

    :raises InvalidInput: there is no such place.
    """
    target = _target(scenario, place)
    own = continuation_of(operation)
    if own is not None and branches_of(operation)[own] is None:
        operation = led_by(operation, lambda name, to: target if name == own else to)
    operations = {**scenario.operations, key: operation}
    return _with_target(scenario.model_copy(update={"operations": operations}), place, key)


def changed(scenario: ScenarioForm, key: str, operation: OperationForm) -> ScenarioForm:
    """With another operation of this key.

    :raises InvalidInput: there is none.
    """
    _operation(scenario, key)
    return scenario.model_copy(update={"operations": {**scenario.operations, key: operation}})


def moved(scenario: ScenarioForm, key: str, place: Place) -> ScenarioForm:
    """With an operation at another place: the scenario goes on without it where it was. Its other branches go with it.

    :raises InvalidInput: there is no such place, or it is inside the operation.
    """
    operation = _operation(scenario, key)
    if place.owner == key:
        raise InvalidInput("an operation cannot follow itself: choose another place")
    if _target(scenario, place) == key:
        return scenario
    before = reached(scenario)
    own = continuation_of(operation)
    without = _redirected(scenario, key, None if own is None else branches_of(operation)[own])
    target = _target(without, place)
    operation = led_by(
        without.operations[key],
        lambda name, to: (target if target != key else None) if name == own else to,
    )
    without = without.model_copy(update={"operations": {**without.operations, key: operation}})
    result = _with_target(without, place, key)
    if key in before and key not in reached(result):
        raise InvalidInput("this place is reached by the operation itself only: choose another place")
    return result


def deleted(scenario: ScenarioForm, key: str, *, with_branches: bool = False) -> ScenarioForm:
    """Without an operation: what led to it leads to what follows it.

    :param with_branches: without all that only this operation leads to; what led to it ends there.
    :raises InvalidInput: there is no such operation, or no other one.
    """
    operation = _operation(scenario, key)
    own = continuation_of(operation)
    follows = None if own is None or with_branches else branches_of(operation)[own]
    rest = _redirected(scenario, key, follows)
    operations = {name: one for name, one in rest.operations.items() if name != key}
    rest = rest.model_copy(update={"operations": operations})
    if with_branches:
        first = first_of(scenario) if key != first_of(scenario) else None
        still = reached(rest, first)
        behind = reached(scenario, key)
        operations = {name: one for name, one in operations.items() if name in still or name not in behind}
        rest = rest.model_copy(update={"operations": operations})
    if not rest.operations:
        raise InvalidInput("a scenario needs an operation: add another one first")
    return _without_lost(rest)


def reached(scenario: ScenarioForm, start: str | None = "") -> frozenset[str]:
    """The operations that a call may come to.

    :param start: from this one on; empty: from the beginning; None: none is reached.
    """
    waiting = [first_of(scenario) if start == "" else start]
    found: set[str] = set()
    while waiting:
        key = waiting.pop()
        if key is None or key in found or key not in scenario.operations:
            continue
        found.add(key)
        waiting += branches_of(scenario.operations[key]).values()
    return frozenset(found)


def _operation(scenario: ScenarioForm, key: str) -> OperationForm:
    found = scenario.operations.get(key)
    if found is None:
        raise InvalidInput("there is no such operation any more: open the scenario again")
    return found


def _target(scenario: ScenarioForm, place: Place) -> str | None:
    if place == BEGINNING:
        return first_of(scenario)
    branches = branches_of(_operation(scenario, place.owner))
    if place.branch not in branches:
        raise InvalidInput("there is no such place any more: open the scenario again")
    return branches[place.branch]


def _with_target(scenario: ScenarioForm, place: Place, key: str) -> ScenarioForm:
    operations: Mapping[str, OperationForm] = scenario.operations
    if place == BEGINNING:
        return scenario.model_copy(update={"operations": {key: operations[key], **operations}})
    owner = led_by(operations[place.owner], lambda name, to: key if name == place.branch else to)
    return scenario.model_copy(update={"operations": {**operations, place.owner: owner}})


def _redirected(scenario: ScenarioForm, key: str, follows: str | None) -> ScenarioForm:
    """All that led to an operation leads to another one, which starts if the operation did."""
    follows = None if follows == key else follows
    operations = {
        name: led_by(one, lambda _, to: follows if to == key else to)
        for name, one in scenario.operations.items()
    }
    if key == first_of(scenario) and follows in operations:
        operations = {follows: operations[follows], **operations}
    return scenario.model_copy(update={"operations": operations})


def _without_lost(scenario: ScenarioForm) -> ScenarioForm:
    """Without branches to operations that are not there."""
    keys = scenario.operations.keys()
    return scenario.model_copy(
        update={
            "operations": {
                name: led_by(one, lambda _, to: to if to in keys else None)
                for name, one in scenario.operations.items()
            }
        }
    )
