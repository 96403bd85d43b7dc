"""Tales told by the rules: whatever commands, answers, hang-ups and timeouts follow one another, every call ends whole."""

from __future__ import annotations

from hypothesis import given, settings

from tests.calls.tales import Beginning, Deed, Tale, happenings, sample, tales

REPLAYED = 10
"""As many as ``tests/engine/callapi/test_tales.py`` tells again."""


@settings(max_examples=200, deadline=None)
@given(tales())
def test_every_tale_ends(tale: Tale) -> None:
    """What must be true of each step (states of the diagram, nobody left alone on the line) is checked while it is told."""
    assert tale.finish_reason
    assert tale.legs
    assert tale.steps[-1].states == {}
    assert all(told.states for told in tale.steps[:-1])


def test_the_sample_is_of_all_kinds() -> None:
    """Else replaying it would show little."""
    chosen = sample(REPLAYED)
    assert {tale.beginning for tale in chosen} == set(Beginning)
    steps = [told for tale in chosen for told in tale.steps]
    assert {told.step.deed for told in steps} == set(Deed)
    states = {state for told in steps for state in told.states.values()}
    assert {"Dial", "Conversation", "On hold", "Operators talking", "Call Transfer"} <= states
    done = {told.step.command for told in steps if told.step.command and told.refusal is None}
    assert done >= {"hold_call", "unhold_call", "make_call", "restore_talk", "transfer_talk", "release_call"}
    assert any(told.refusal for told in steps)
    assert len({tale.finish_reason for tale in chosen}) >= 3


def test_the_sample_is_the_same_each_time() -> None:
    first = sample(REPLAYED)
    sample.cache_clear()
    assert sample(REPLAYED) == first


def test_the_sample_tells_new_things_with_each_tale() -> None:
    seen: set[tuple[str, ...]] = set()
    for tale in sample(REPLAYED):
        assert happenings(tale) - seen
        seen |= happenings(tale)
