"""Callers of a queue in the order of their scores, without computing the scores anew at every moment. Pure.

With an instant of ``n`` whole seconds and the fraction ``g``, the score of a caller who joined at ``j`` seconds and the
fraction ``f`` is ``n + (constants - j)``, less one if ``g < f``. So a list that is sorted by ``constants - j`` is in the
order of the scores except that those with ``g < f`` count with the next lower ones. :func:`in_order` moves just these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from trunkline.core.clock import Instant
from trunkline.queues.callers import MICROSECONDS, Caller, Rank, microseconds

LineKey = tuple[int, int, int]
"""Negated constant part of the score, microseconds of joining, id: the order while fractions of seconds are left out."""


def line_key(caller: Caller) -> LineKey:
    """The key of a caller; it never changes while the caller waits."""
    joined = microseconds(caller.joined_at)
    return joined // MICROSECONDS - caller.base_score - caller.skill_score, joined, caller.caller_id


def in_order(line: Sequence[LineKey], now: Instant) -> Iterator[Rank]:
    """The ranks of the callers of a sorted line at one moment, the best first (4.3)."""
    seconds, fraction = divmod(microseconds(now), MICROSECONDS)
    late: list[tuple[int, int]] = []
    late_score = 0
    for constant, group in groupby(line, key=_constant):
        if late and late_score < constant:
            yield from (Rank(late_score - seconds, *one) for one in late)
            late = []
        present = late
        late = []
        late_score = constant + 1
        for _, joined, caller_id in group:
            (late if joined % MICROSECONDS > fraction else present).append((joined, caller_id))
        present.sort()
        for one in present:
            yield Rank(constant - seconds, *one)
    yield from (Rank(late_score - seconds, *one) for one in late)


def _constant(key: LineKey) -> int:
    return key[0]
