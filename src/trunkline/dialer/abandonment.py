"""Counts of calls that persons answered, and the cap on those that were abandoned. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import floor

from trunkline.core.clock import Instant
from trunkline.dialer.outcomes import DAY, HOUR, DialOutcome

WINDOWS = (HOUR, DAY, 30 * DAY)
"""The cap holds in each of these rolling windows, in seconds."""

BUCKET = 60.0
"""Counts are kept for each minute, in seconds."""


@dataclass(frozen=True, slots=True)
class Counts:
    """
    :ivar answered: by persons, and connected with an agent or abandoned.
    """

    answered: int = 0
    abandoned: int = 0

    @property
    def rate(self) -> float:
        """Share of abandoned calls; 0 without any call."""
        return self.abandoned / self.answered if self.answered else 0.0


class Abandonment:
    """Calls of the last 30 days, by minute."""

    def __init__(self) -> None:
        self._buckets: dict[float, deque[tuple[float, int, int]]] = {one: deque() for one in WINDOWS}
        self._sums = {one: [0, 0] for one in WINDOWS}

    def add(self, at: Instant, outcome: DialOutcome) -> None:
        """An attempt has ended; others than ``answered``, ``callback`` and ``abandoned`` do not count."""
        if outcome in (DialOutcome.ANSWERED, DialOutcome.CALLBACK, DialOutcome.ABANDONED):
            self.add_counts(at, Counts(1, int(outcome is DialOutcome.ABANDONED)))

    def add_counts(self, at: Instant, counts: Counts) -> None:
        """Calls of one moment."""
        minute = at - at % BUCKET
        for window, buckets in self._buckets.items():
            if buckets and buckets[-1][0] >= minute:
                begun, answered, abandoned = buckets.pop()
                buckets.append((begun, answered + counts.answered, abandoned + counts.abandoned))
            else:
                buckets.append((minute, counts.answered, counts.abandoned))
            self._sums[window][0] += counts.answered
            self._sums[window][1] += counts.abandoned

    def counts(self, window: float, at: Instant) -> Counts:
        """Of one of :data:`WINDOWS`, up to ``at``."""
        buckets, sums = self._buckets[window], self._sums[window]
        while buckets and buckets[0][0] + BUCKET <= at - window:
            _, answered, abandoned = buckets.popleft()
            sums[0] -= answered
            sums[1] -= abandoned
        return Counts(sums[0], sums[1])

    def budget(self, limit: float, at: Instant) -> int:
        """How many of the calls that are answered next may be abandoned, each counted as answered, too: the least over all
        windows; negative: the cap is exceeded."""
        if limit <= 0:
            return 0
        found = []
        for window in WINDOWS:
            counts = self.counts(window, at)
            # The largest n with (abandoned + n) / (answered + n) <= limit.
            found.append(floor((limit * counts.answered - counts.abandoned) / (1 - limit) + 1e-9))
        return min(found)
