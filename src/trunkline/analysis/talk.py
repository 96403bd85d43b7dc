"""Figures of a talk, from the spans in which each side spoke. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trunkline.analysis import spans
from trunkline.analysis.model import Side, Span

LONGEST_PAUSE = 2.0
"""Maximum pause within a monologue, in seconds."""


@dataclass(frozen=True, slots=True)
class SideTalk:
    """One side of a talk."""

    speech: tuple[Span, ...]
    speech_duration: float
    speech_ratio: float
    """Of the recording, 0 to 1."""
    longest_monologue: Span | None
    """The longest stretch in which this side spoke, with pauses of :data:`LONGEST_PAUSE` at most, and the other
    did not."""


@dataclass(frozen=True, slots=True)
class Talk:
    """A talk. Ratios are 0 to 1; None without speech."""

    duration: float
    sides: Mapping[Side, SideTalk]
    talk_ratio: float | None
    """The employee's part of the speech."""
    listen_ratio: float | None
    """The contact's part: what the employee listened to."""
    overlaps: tuple[Span, ...]
    """Both spoke."""
    silences: tuple[Span, ...]
    """Nobody spoke."""
    spoke_first: Side | None
    spoke_last: Side | None

    @property
    def overlap_duration(self) -> float:
        return spans.total(self.overlaps)

    @property
    def silence_duration(self) -> float:
        return spans.total(self.silences)

    @property
    def longest_silence(self) -> float:
        return max((one.seconds for one in self.silences), default=0.0)


def talk(speech: Mapping[Side, Sequence[Span]], duration: float) -> Talk:
    """The figures of a recording of ``duration`` seconds in which the two sides spoke in these spans."""
    spoken = {side: spans.joined(speech.get(side, ())) for side in Side}
    contact, employee = spoken[Side.CONTACT], spoken[Side.EMPLOYEE]
    seconds = {side: spans.total(spoken[side]) for side in Side}
    both = sum(seconds.values())
    return Talk(
        duration=duration,
        sides={
            Side.CONTACT: _side(contact, employee, duration),
            Side.EMPLOYEE: _side(employee, contact, duration),
        },
        talk_ratio=seconds[Side.EMPLOYEE] / both if both else None,
        listen_ratio=seconds[Side.CONTACT] / both if both else None,
        overlaps=tuple(spans.common(contact, employee)),
        silences=tuple(spans.gaps(spans.joined([*contact, *employee]), duration)),
        spoke_first=min((s for s in Side if spoken[s]), key=lambda s: spoken[s][0].start, default=None),
        spoke_last=max((s for s in Side if spoken[s]), key=lambda s: spoken[s][-1].end, default=None),
    )


def _side(own: Sequence[Span], other: Sequence[Span], duration: float) -> SideTalk:
    monologues: list[Span] = []
    for span in spans.common(own, spans.gaps(other, duration)):
        if monologues and _goes_on(monologues[-1].end, span.start, other):
            monologues[-1] = Span(monologues[-1].start, span.end)
        else:
            monologues.append(span)
    seconds = spans.total(own)
    return SideTalk(
        speech=tuple(own),
        speech_duration=seconds,
        speech_ratio=seconds / duration if duration else 0.0,
        longest_monologue=max(monologues, key=lambda one: one.seconds, default=None),
    )


def _goes_on(pause: float, again: float, other: Sequence[Span]) -> bool:
    """Whether a side that paused continues the same monologue."""
    if again - pause > LONGEST_PAUSE:
        return False
    following = bisect_right(other, pause, key=lambda span: span.end)
    return following == len(other) or other[following].start >= again
