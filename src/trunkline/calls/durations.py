"""The durations of a call session, from its times.

Definitions (report ``get.calls_report``): waiting lasts from the start until the first employee answers (for an
outgoing call: until the contact answers), or until the end without an answer. Total waiting is all time in which
contact and employee did not speak. The talk lasts from the first conversation's start until post-call processing
begins; clean talk is the sum of the conversations themselves. All are whole seconds, half a second rounds up, each
rounded from the exact time by itself: so sums may differ by one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Durations:
    """Whole seconds."""

    wait: int
    total_wait: int
    talk: int
    clean_talk: int
    total: int
    postprocess: int


def whole_seconds(seconds: float) -> int:
    """Rounded to the nearest second, halves up; never negative."""
    return max(0, math.floor(seconds + 0.5))


def durations(
    started: float, answered: float | None, talks: Sequence[tuple[float, float]], finished: float
) -> Durations:
    """All six, from Unix seconds.

    :param answered: when the party that was called (employee; contact on the way out) first picked up.
    :param talks: conversations as (start, end), in order; they may overlap while a call is handed over.
    """
    clean = covered(talks)
    talk_end = max((end for _, end in talks), default=finished)
    talk = talk_end - min(start for start, _ in talks) if talks else 0.0
    return Durations(
        wait=whole_seconds((finished if answered is None else answered) - started),
        total_wait=whole_seconds(finished - started - clean),
        talk=whole_seconds(talk),
        clean_talk=whole_seconds(clean),
        total=whole_seconds(finished - started),
        postprocess=whole_seconds(finished - talk_end) if talks else 0,
    )


def covered(spans: Sequence[tuple[float, float]]) -> float:
    """Length of the union of spans, in the unit of their times."""
    total = 0.0
    reach = -math.inf
    for start, end in sorted(spans):
        if end > reach:
            total += end - max(start, reach)
            reach = end
    return total
