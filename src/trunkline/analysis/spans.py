"""Arithmetic of time spans. Pure.

The returned lists of spans are in order and without overlaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trunkline.analysis.model import Span

BEGINS_AT = 0.5
"""Probability of speech from which speech begins (the default of the model's authors)."""
GOES_ON_AT = 0.35
"""Probability above which a span continues."""
SHORTEST_SPEECH = 0.2
"""Seconds; less is a click or a cough."""
SHORTEST_PAUSE = 0.2
"""Seconds; less is a breath within speech."""


def speech(probabilities: Sequence[float], frame: float, length: float) -> list[Span]:
    """Spans of speech, from the probability of speech in each frame.

    :param frame: seconds of a frame.
    :param length: seconds of the sound; the last frame may reach beyond it.
    """
    spans: list[Span] = []
    began: int | None = None
    for number, probability in enumerate(probabilities):
        if began is None:
            began = number if probability >= BEGINS_AT else None
        elif probability < GOES_ON_AT:
            spans.append(Span(began * frame, number * frame))
            began = None
    if began is not None:
        spans.append(Span(began * frame, len(probabilities) * frame))
    cut = [Span(one.start, min(one.end, length)) for one in spans if one.start < length]
    return [one for one in joined(cut, SHORTEST_PAUSE) if one.seconds >= SHORTEST_SPEECH]


def joined(spans: Iterable[Span], gap: float = 0.0) -> list[Span]:
    """The spans, with those that touch or are less than ``gap`` apart merged."""
    result: list[Span] = []
    for span in sorted(spans):
        if result and (span.start <= result[-1].end or span.start - result[-1].end < gap):
            result[-1] = Span(result[-1].start, max(result[-1].end, span.end))
        else:
            result.append(span)
    return result


def common(one: Sequence[Span], other: Sequence[Span]) -> list[Span]:
    """Intersection of both lists. Each must be in order and without overlaps."""
    result = []
    i = j = 0
    while i < len(one) and j < len(other):
        start, end = max(one[i].start, other[j].start), min(one[i].end, other[j].end)
        if start < end:
            result.append(Span(start, end))
        if one[i].end < other[j].end:
            i += 1
        else:
            j += 1
    return result


def gaps(spans: Sequence[Span], length: float) -> list[Span]:
    """The spans between 0 and ``length`` that are in none of these."""
    ends = [0.0, *(span.end for span in spans)]
    starts = [*(span.start for span in spans), length]
    return [Span(end, start) for end, start in zip(ends, starts, strict=True) if end < start]


def total(spans: Iterable[Span]) -> float:
    """The sum of the lengths, in seconds."""
    return sum(span.seconds for span in spans)
