"""How often one thing is logged that others can cause at any rate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

LOG_SECONDS = 60.0
"""Between two lines of the log about the same thing."""
KEYS_MAX = 10_000
"""Things of which the time of the last line is kept; when there are more, all are forgotten."""


class LogLimit(Generic[K]):
    """Counts occurrences by key; a line of the log is due at most once in so many seconds for each key.

    :param seconds: between two lines.
    """

    def __init__(self, seconds: float = LOG_SECONDS) -> None:
        self._seconds = seconds
        self._logged_at: dict[K, float] = {}
        self._unlogged: Counter[K] = Counter()

    def add(self, key: K, at: float) -> int:
        """Count one occurrence. How many the line reports that is due now: those since the last line. 0: none is due.

        :param at: Unix seconds.
        """
        if len(self._unlogged) > KEYS_MAX:
            self._unlogged.clear()
        self._unlogged[key] += 1
        last = self._logged_at.get(key)
        if last is not None and at - last < self._seconds:
            return 0
        if len(self._logged_at) >= KEYS_MAX:
            self._logged_at.clear()
        self._logged_at[key] = at
        return self._unlogged.pop(key)
