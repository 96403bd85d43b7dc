"""Counts what anybody can cause, so that it fills no log: the 1st, 2nd, 4th, 8th... is logged."""

from __future__ import annotations


class Sparse:
    """:ivar count: how often it happened."""

    def __init__(self) -> None:
        self.count = 0

    def is_due(self) -> bool:
        """Count one more; whether it is to be logged."""
        self.count += 1
        return self.count.bit_count() == 1
