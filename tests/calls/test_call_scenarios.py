"""Call scenarios by the rules: after any sequence of commands, answers, hang-ups and timeouts, every call ends."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from tests.calls.call_scenarios import (
    COACHES,
    Action,
    Beginning,
    CallScenario,
    call_scenarios,
    happenings,
    sample,
)

pytestmark = pytest.mark.xdist_group("sample of scenarios")

REPLAYED = 13
"""The number that ``tests/engine/callapi/test_call_scenarios.py`` runs."""


@settings(max_examples=200, deadline=None)
@given(call_scenarios())
def test_every_scenario_ends(call_scenario: CallScenario) -> None:
    """The invariants of each step (states of the diagram, no party left alone) are checked during the run."""
    assert call_scenario.finish_reason
    assert call_scenario.legs
    assert call_scenario.steps[-1].states == {}
    assert all(reported.states for reported in call_scenario.steps[:-1])


def test_the_sample_is_of_all_kinds() -> None:
    """Else replaying it would show little."""
    chosen = sample(REPLAYED)
    assert {call_scenario.beginning for call_scenario in chosen} == set(Beginning)
    steps = [reported for call_scenario in chosen for reported in call_scenario.steps]
    assert {reported.step.action for reported in steps} == set(Action)
    states = {state for reported in steps for state in reported.states.values()}
    assert {"Dial", "Conversation", "On hold", "Operators talking", "Call Transfer"} <= states
    done = {reported.step.command for reported in steps if reported.step.command and reported.refusal is None}
    assert done >= {"hold_call", "unhold_call", "make_call", "restore_talk", "transfer_talk", "release_call"}
    assert done >= {"disconnect_leg", *COACHES}
    assert any(reported.refusal for reported in steps)
    assert len({call_scenario.finish_reason for call_scenario in chosen}) >= 3


def test_the_sample_is_the_same_each_time() -> None:
    made_anew = sample.__wrapped__
    assert made_anew(REPLAYED, 100) == made_anew(REPLAYED, 100)


def test_the_sample_shows_new_things_with_each_scenario() -> None:
    seen: set[tuple[str, ...]] = set()
    for call_scenario in sample(REPLAYED):
        assert happenings(call_scenario) - seen
        seen |= happenings(call_scenario)
