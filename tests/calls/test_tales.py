"""Tales told by the rules: every call ends, and a seed tells the same tale again."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.calls.tales import Beginning, Deed, tell


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_every_tale_ends(seed: int) -> None:
    tale = tell(seed)
    assert tale.finish_reason
    assert tale.legs
    assert tale.steps[-1].states == {}
    assert all(told.states for told in tale.steps[:-1])


def test_a_seed_tells_the_same_tale() -> None:
    assert tell(7) == tell(7)


def test_tales_are_of_all_kinds() -> None:
    """Else there would be little to replay."""
    tales = [tell(seed) for seed in range(200)]
    assert {tale.beginning for tale in tales} == set(Beginning)
    steps = [told for tale in tales for told in tale.steps]
    assert {told.step.deed for told in steps} == set(Deed)
    states = {state for told in steps for state in told.states.values()}
    assert {"Dial", "Conversation", "On hold", "Operators talking", "Call Transfer"} <= states
    assert any(told.refusal for told in steps)
    assert any(told.step.command == "transfer_talk" and told.refusal is None for told in steps)
