"""Counts of failed log-ins: a pause resets them. For users of the APIs and for SIP lines. Pure."""

from __future__ import annotations

FORGOTTEN_AFTER = 900.0
"""Seconds without a failure after which the count is reset."""


def failures_at(failures: int, last_failed_at: float, now: float) -> int:
    """The failures that still count at ``now``."""
    return 0 if now - last_failed_at > FORGOTTEN_AFTER else failures
