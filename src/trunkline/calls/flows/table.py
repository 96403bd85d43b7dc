"""Transition tables: what each input means in each state. Every pair is in a table, refused, or ignored.

``rows``: the rule, and the states in which the call may be after it. ``refused``: commands that are ``invalid_state``.
``ignored``: signals that change nothing; they come from races, and are counted. ``expected``: signals that need nothing,
because the events of their facts are all that is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trunkline.calls.decision import Decision
from trunkline.calls.flows.inputs import Command, Input
from trunkline.calls.session import Session
from trunkline.calls.states import State
from trunkline.core.errors import InvalidState

Rule = Callable[[Decision, Any], None]
Pair = tuple[type[State], type[Input]]


@dataclass(frozen=True, slots=True)
class Row:
    """One entry.

    :ivar following: states in which the call may be after the rule.
    """

    rule: Rule
    following: frozenset[type[State]]


def row(rule: Rule, *following: type[State]) -> Row:
    return Row(rule, frozenset(following))


@dataclass(frozen=True, slots=True)
class Table:
    """The table of one flow, or of all of them."""

    rows: Mapping[Pair, Row] = field(default_factory=dict)
    refused: frozenset[Pair] = frozenset()
    ignored: frozenset[Pair] = frozenset()
    expected: frozenset[Pair] = frozenset()

    def merged(self, *others: Table) -> Table:
        """One table of several that share no state.

        :raises ValueError: two tables have the same pair.
        """
        rows: dict[Pair, Row] = dict(self.rows)
        for other in others:
            if twice := rows.keys() & other.rows.keys():
                raise ValueError(f"in two tables: {twice}")
            rows |= other.rows
        return Table(
            rows,
            self.refused.union(*(one.refused for one in others)),
            self.ignored.union(*(one.ignored for one in others)),
            self.expected.union(*(one.expected for one in others)),
        )

    def apply(self, decision: Decision, before: State, flow_input: Input) -> None:
        """Apply an input to a call.

        :param before: the state before the input; its facts may have changed it already.
        :raises InvalidState: a command that has no row in this state.
        """
        pair = type(before), type(flow_input)
        found = self.rows.get(pair)
        if found is not None:
            found.rule(decision, flow_input)
            decision.applied.append(pair)
        elif isinstance(flow_input, Command):
            raise invalid_state(decision.session)
        elif pair not in self.expected:
            decision.ignored.append(f"{pair[1].__name__} in {pair[0].__name__}")


def pairs(states: Iterable[type[State]], *inputs: type[Input]) -> frozenset[Pair]:
    """Each of the states with each of the inputs."""
    return frozenset((state, flow_input) for state in states for flow_input in inputs)


def invalid_state(session: Session) -> InvalidState:
    """The error of a command that the state of the call does not allow."""
    return InvalidState(
        "This method cannot be called in this state",
        field="call_session_id",
        value=session.call_session_id,
    )
