"""Timers and questions as data. Pure.

A rule has no clock and performs no I/O. It returns :class:`StartTimer`, :class:`CancelTimer` or :class:`Ask`; each becomes
an event of the stream, so a restarted process finds the open ones by replaying the stream. What comes back is an input
like any signal: :class:`Elapsed`, :class:`QuestionAnswered` or :class:`QuestionFailed`. An input whose key is not open is
ignored.

After a restart a timer whose deadline has passed elapses at once, and an open question fails with :data:`RESTARTED`.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from trunkline.core.clock import Instant

S = TypeVar("S", bound=Hashable)
"""What identifies a stream."""

RESTARTED = "restarted"
"""Why a question failed: the process that asked it ended before the answer came."""

TIMED_OUT = "timed_out"
"""Why a question failed: there was no answer within its time."""

NO_EXECUTOR = "no_executor"
"""Why a question failed: nothing in this process answers questions of its kind."""


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Start a timer, or restart it. ``key`` is unique in its stream."""

    key: str
    seconds: float


@dataclass(frozen=True, slots=True)
class CancelTimer:
    key: str


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, as plain data.

    :ivar kind: selects the executor.
    :ivar data: JSON values.
    :ivar seconds: for how long an answer is awaited.
    :ivar is_change: it changes something, which is completed although the call has ended.
    """

    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 10.0
    is_change: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask a question outside the rules: a request to an address of the customer, a slow look-up."""

    key: str
    question: Question


@dataclass(frozen=True, slots=True)
class Elapsed:
    """Input: the deadline of a timer has passed."""

    key: str
    at: Instant


@dataclass(frozen=True, slots=True)
class QuestionAnswered:
    """Input: ``value`` is what the executor returned, JSON values."""

    key: str
    at: Instant
    value: Any


@dataclass(frozen=True, slots=True)
class QuestionFailed:
    """Input: there is no answer; ``why`` is one of the constants above, or the error."""

    key: str
    at: Instant
    why: str


TimerInput = Elapsed | QuestionAnswered | QuestionFailed


MENU_TIMER = "menu"
"""Key of the timer that waits for the next key in a menu."""


PARKING_TIMER = "parking"
"""Key of the timer after which the phone that parked a contact rings."""

CONNECT_TIMER = "connect"
"""Key of the timer within which a lead who has answered must be connected with an agent."""


def ring_timer(leg_id: int) -> str:
    """Key of the timer that ends the ringing of a leg. It starts with ``leg_started`` if that has ``ring_seconds``, and ends
    with ``leg_answered`` or ``leg_ended``: no further event is needed."""
    return f"ring:{leg_id}"


class Deadlines(Generic[S]):
    """The open timers of many streams, for the switch, which arms one clock timer for the earliest."""

    def __init__(self) -> None:
        self._open: dict[S, dict[str, Instant]] = {}
        self._heap: list[tuple[Instant, int, S, str]] = []
        self._pushed = 0

    def replace(self, stream: S, timers: Mapping[str, Instant]) -> None:
        """Set the open timers of a stream: key -> deadline."""
        before = self._open.get(stream, {})
        if timers == before:
            return
        if timers:
            self._open[stream] = dict(timers)
        else:
            self._open.pop(stream, None)
        for key, due in timers.items():
            if before.get(key) != due:
                self._pushed += 1
                heapq.heappush(self._heap, (due, self._pushed, stream, key))

    def earliest(self) -> Instant | None:
        """The next deadline; None: no timer is open."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def due(self, now: Instant) -> Iterator[tuple[S, str]]:
        """Stream and key of each timer whose deadline has passed, earliest first; each is returned once.

        What is done with one may cancel or restart the others: those are left out. A timer that is started meanwhile is not
        returned, even if its deadline has passed, too.
        """
        passed = []
        while self._heap and self._heap[0][0] <= now:
            passed.append(heapq.heappop(self._heap))
        for due, _, stream, key in passed:
            timers = self._open.get(stream, {})
            if timers.get(key) != due:
                continue
            del timers[key]
            if not timers:
                del self._open[stream]
            yield stream, key

    def __contains__(self, stream: object) -> bool:
        """Whether a stream has an open timer."""
        return stream in self._open

    def __len__(self) -> int:
        return sum(len(timers) for timers in self._open.values())

    def _drop_stale(self) -> None:
        """Remove entries of timers that were cancelled or restarted."""
        while self._heap:
            due, _, stream, key = self._heap[0]
            if self._open.get(stream, {}).get(key) == due:
                return
            heapq.heappop(self._heap)
