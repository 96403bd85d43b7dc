"""Summary figures of many measurements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Spread:
    """Median and 99th percentile of ``count`` values, in their unit."""

    count: int
    p50: float
    p99: float


def spread(values: Sequence[float]) -> Spread:
    """:class:`ValueError` without values."""
    if not values:
        raise ValueError("nothing was measured")
    ordered = sorted(values)
    return Spread(len(ordered), round(median(ordered), 3), round(_quantile(ordered, 0.99), 3))


def pooled(spreads: Sequence[Spread]) -> Spread:
    """Of several rounds: the median of each figure, so that one disturbed round does not count."""
    return Spread(
        sum(one.count for one in spreads),
        round(median(one.p50 for one in spreads), 3),
        round(median(one.p99 for one in spreads), 3),
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))]
