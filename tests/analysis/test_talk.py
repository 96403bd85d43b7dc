"""Stretches of time and what is made of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.analysis import spans
from trunkline.analysis.model import Side, Span
from trunkline.analysis.talk import LONGEST_PAUSE, talk

LENGTH = 60
GRID = 10
"""Spans begin and end at tenths of seconds, so that a grid of cells gives the same result."""


@st.composite
def span_lists(draw: st.DrawFn) -> list[Span]:
    edges = draw(st.lists(st.integers(0, LENGTH * GRID), unique=True, max_size=16).map(sorted))
    return [Span(start / GRID, end / GRID) for start, end in zip(edges[::2], edges[1::2], strict=False)]


def cells(some: list[Span]) -> np.ndarray:
    grid = np.zeros(LENGTH * GRID, dtype=bool)
    for span in some:
        grid[round(span.start * GRID) : round(span.end * GRID)] = True
    return grid


@given(span_lists(), span_lists())
def test_sums_are_those_of_cells(contact: list[Span], employee: list[Span]) -> None:
    a, b = cells(contact), cells(employee)
    found = talk({Side.CONTACT: contact, Side.EMPLOYEE: employee}, LENGTH)
    assert found.overlap_duration == pytest.approx((a & b).sum() / GRID)
    assert found.silence_duration == pytest.approx((~a & ~b).sum() / GRID)
    assert found.sides[Side.CONTACT].speech_duration == pytest.approx(a.sum() / GRID)
    if a.any() or b.any():
        assert found.talk_ratio == pytest.approx(b.sum() / (a.sum() + b.sum()))
        assert (found.talk_ratio or 0) + (found.listen_ratio or 0) == pytest.approx(1)
        assert found.spoke_first is (
            Side.CONTACT
            if (a.argmax() if a.any() else 9**9) <= (b.argmax() if b.any() else 9**9)
            else Side.EMPLOYEE
        )
    else:
        assert (found.talk_ratio, found.listen_ratio, found.spoke_first, found.spoke_last) == (None,) * 4


@given(span_lists(), span_lists())
def test_in_a_monologue_the_other_is_silent(contact: list[Span], employee: list[Span]) -> None:
    found = talk({Side.CONTACT: contact, Side.EMPLOYEE: employee}, LENGTH)
    own, other = cells(contact), cells(employee)
    longest = found.sides[Side.CONTACT].longest_monologue
    if longest is None:
        assert not (own & ~other).any()
        return
    first, end = round(longest.start * GRID), round(longest.end * GRID)
    assert not other[first:end].any()
    assert own[first]
    assert own[end - 1]
    pause = 0
    for speaks in own[first:end]:
        pause = 0 if speaks else pause + 1
        assert pause <= LONGEST_PAUSE * GRID
    alone = spans.joined(spans.common(contact, spans.gaps(employee, LENGTH)))
    assert longest.seconds >= max(span.seconds for span in alone) - 1e-9


@given(span_lists(), span_lists())
def test_sides_are_treated_alike(contact: list[Span], employee: list[Span]) -> None:
    one = talk({Side.CONTACT: contact, Side.EMPLOYEE: employee}, LENGTH)
    other = talk({Side.CONTACT: employee, Side.EMPLOYEE: contact}, LENGTH)
    assert one.overlaps == other.overlaps
    assert one.silences == other.silences
    assert one.sides[Side.CONTACT] == other.sides[Side.EMPLOYEE]


def test_a_short_pause_does_not_end_a_monologue_and_the_other_does() -> None:
    def longest(*contact: Span, employee: tuple[Span, ...] = ()) -> Span | None:
        found = talk({Side.CONTACT: contact, Side.EMPLOYEE: employee}, 30.0)
        return found.sides[Side.CONTACT].longest_monologue

    assert longest(Span(1, 4), Span(5.5, 9)) == Span(1, 9)
    assert longest(Span(1, 4), Span(6.5, 9)) == Span(1, 4)
    assert longest(Span(1, 4), Span(5.5, 9), employee=(Span(4.5, 5),)) == Span(5.5, 9)
    assert longest(Span(1, 9), employee=(Span(3, 4),)) == Span(4, 9)
    assert longest(Span(1, 2), employee=(Span(0, 3),)) is None


@given(st.lists(st.floats(0, 1), max_size=200), st.floats(0.001, 6.5))
def test_speech_is_in_order_apart_and_inside(probabilities: list[float], length: float) -> None:
    found = spans.speech(probabilities, 0.032, length)
    for span in found:
        assert 0 <= span.start < span.end <= length
        assert span.seconds >= spans.SHORTEST_SPEECH
    for one, following in itertools.pairwise(found):
        assert following.start - one.end >= spans.SHORTEST_PAUSE


def test_speech_begins_surely_and_goes_on_while_it_may() -> None:
    probabilities = [0.4] * 10 + [0.9] + [0.4] * 20 + [0.1] * 30 + [0.9] * 2 + [0.1] * 30
    found = [edge for span in spans.speech(probabilities, 0.1, 99.0) for edge in span]
    assert found == pytest.approx([1.0, 3.1, 6.1, 6.3])
    assert spans.speech([0.9, 0.1, 0.1, 0.1], 0.1, 9.0) == []
    assert spans.speech([0.9, 0.9, 0.9, 0.1, 0.9], 0.1, 0.45) == [Span(0.0, 0.45)]
