"""Counts wrong passwords at each line over all addresses, banned, exempt or forged. Pure: times are Unix seconds.

Bans do not stop guesses over UDP from an address where the line is registered, because its source may be forged. Many
wrong passwords at one line raise an alarm. Nothing is refused because of it, so that nobody can lock out a phone with it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from trunkline.core.clock import Instant

GUESSES = 100
"""Wrong passwords at one line within a period that are reported. A phone with an old password that tries every 30 s makes
120 an hour, so it is reported as well."""
PERIOD_SECONDS = 3600.0
"""A line is reported at most once in a period."""
LINES_MAX = 10_000
"""Lines that are counted; the oldest are dropped first."""
ADDRESSES_MAX = 50
"""Addresses that are counted for a line; the failures of further ones are in the sum only."""
SHOWN = 5
"""Addresses in a report, those with the most failures."""


@dataclass(frozen=True, slots=True)
class Guessing:
    """Many wrong passwords at a line.

    :ivar seconds: within which they were tried, 1 at least.
    :ivar addresses: with their failures, the most first.
    """

    line: str
    at: Instant
    failures: int
    seconds: int
    addresses: tuple[tuple[str, int], ...]


@dataclass(slots=True)
class _Counted:
    since: float
    failures: int = 0
    addresses: Counter[str] = field(default_factory=Counter)
    reported: bool = False


class GuessCounter:
    """The lines at which passwords are tried, in memory."""

    def __init__(self) -> None:
        self._lines: dict[str, _Counted] = {}

    def failed(self, line: str, ip: str, at: Instant) -> Guessing | None:
        """Count a wrong password; the report when it is the one that reaches :data:`GUESSES` in this period."""
        one = self._lines.get(line)
        if one is None or at - one.since >= PERIOD_SECONDS:
            self._lines.pop(line, None)
            while len(self._lines) >= LINES_MAX:
                del self._lines[next(iter(self._lines))]
            one = self._lines[line] = _Counted(at)
        one.failures += 1
        if ip in one.addresses or len(one.addresses) < ADDRESSES_MAX:
            one.addresses[ip] += 1
        if one.reported or one.failures < GUESSES:
            return None
        one.reported = True
        return self._report(line, one, at)

    def reported(self, now: Instant) -> list[Guessing]:
        """The lines that were reported in a period that is not over, with the count up to now."""
        return [
            self._report(line, one, now)
            for line, one in self._lines.items()
            if one.reported and now - one.since < PERIOD_SECONDS
        ]

    def _report(self, line: str, one: _Counted, at: Instant) -> Guessing:
        return Guessing(
            line, at, one.failures, max(1, round(at - one.since)), tuple(one.addresses.most_common(SHOWN))
        )
