"""The tree of a scenario as the pages show it: names of branches, and a line on each operation. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from trunkline.console import scenario_texts as texts
from trunkline.console.scenario_fields import Control, Declared, declared_fields
from trunkline.directory.scenarios.choices import Choices
from trunkline.directory.scenarios.editing import BEGINNING, Drawn, places_of, reached, tree_of
from trunkline.directory.scenarios.form import OperationForm, ScenarioForm

Sentence = tuple[str, Mapping[str, str]]
"""A text to be translated, and its values."""

SHOWN_MAX = 80
"""Characters of a text in the line on an operation."""


@dataclass(frozen=True, slots=True)
class Node:
    """An operation or an end, as it is shown.

    :ivar place: where it stands, as text.
    :ivar facts: what the operation names: the field, its values.
    :ivar elsewhere: an operation that is drawn elsewhere: key and name.
    """

    place: str
    key: str = ""
    name: str = ""
    kind: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    elsewhere: tuple[str, str] | None = None
    branches: tuple[tuple[Sentence, tuple[Node, ...]], ...] = ()


def nodes_of(scenario: ScenarioForm, choices: Choices) -> tuple[tuple[tuple[Node, ...], bool], ...]:
    """The lines of the tree (:func:`.editing.tree_of`), and whether a call reaches them."""
    found = reached(scenario)
    return tuple((_line(scenario, one, choices), one.key in found) for one in tree_of(scenario))


def _line(scenario: ScenarioForm, drawn: Drawn, choices: Choices) -> tuple[Node, ...]:
    return tuple(_node(scenario, one, choices) for one in drawn.line())


def _node(scenario: ScenarioForm, drawn: Drawn, choices: Choices) -> Node:
    operation = drawn.operation
    if operation is None or drawn.key is None:
        elsewhere = drawn.elsewhere
        named = None if elsewhere is None else (elsewhere, name_of(scenario, elsewhere))
        return Node(str(drawn.place), elsewhere=named)
    branches = tuple(
        (branch_name(operation, one.place.branch, choices), _line(scenario, one, choices))
        for one in drawn.branches
    )
    return Node(
        str(drawn.place),
        drawn.key,
        name_of(scenario, drawn.key),
        operation.kind.value,
        tuple(_facts(operation, choices)),
        branches=branches,
    )


def name_of(scenario: ScenarioForm, key: str) -> str:
    """What people call an operation."""
    operation = scenario.operations.get(key)
    return (operation.name if operation is not None else "") or key


def _facts(operation: OperationForm, choices: Choices) -> list[tuple[str, str]]:
    values = operation.model_dump(mode="json")
    found = []
    for declared in declared_fields(type(operation)):
        if declared.name == "name" or not values.get(declared.name):
            continue
        shown = _value(declared, values[declared.name], choices)
        if shown:
            found.append((texts.field_name(declared.name), shown))
    return found


def _value(declared: Declared, value: Any, choices: Choices) -> str:
    match declared.control:
        case Control.ITEM:
            return choices.name(declared.section, value)
        case Control.ITEMS:
            return ", ".join(choices.name(declared.section, one) for one in value)
        case Control.LONG | Control.TEXT if declared.name in ("text", "message", "number", "url"):
            return _short(str(value))
        case Control.LINES:
            return _short(", ".join(value))
        case _:
            return ""


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_MAX else f"{line[: SHOWN_MAX - 1]}…"


def branch_name(operation: OperationForm, branch: str, choices: Choices) -> Sentence:
    """What people call a branch."""
    container, dot, rest = branch.partition(".")
    if container == "digits":
        return texts.BRANCH_DIGITS, {}
    if container in ("keys", "exits") and dot:
        return texts.BRANCH_KEY, {"key": rest}
    if container == "codes" and dot:
        return texts.BRANCH_CODE, {"key": rest}
    found = re.fullmatch(r"(\w+)\[(\d+)\]\.next", branch)
    if found is None:
        return texts.field_name(branch), {}
    part: BaseModel = getattr(operation, found[1])[int(found[2])]
    values = part.model_dump(mode="json")
    if values.get("percent") is not None:
        return texts.BRANCH_PERCENT, {"percent": str(values["percent"])}
    named = [
        _value(one, values.get(one.name), choices)
        for one in declared_fields(type(part))
        if one.control in (Control.ITEM, Control.LINES)
    ]
    return texts.BRANCH_OF, {"number": str(int(found[2]) + 1), "name": ", ".join(filter(None, named))}


def offered_places(scenario: ScenarioForm, choices: Choices) -> Sequence[tuple[str, str, Sentence | None]]:
    """Where an operation may be moved to: the place, the name of its owner, the branch; the first is the beginning."""
    found: list[tuple[str, str, Sentence | None]] = []
    for place in places_of(scenario):
        if place == BEGINNING:
            found.append(("", "", None))
        else:
            owner = scenario.operations[place.owner]
            named = branch_name(owner, place.branch, choices)
            found.append((str(place), name_of(scenario, place.owner), named))
    return found
