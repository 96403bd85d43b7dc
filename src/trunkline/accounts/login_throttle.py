"""Throttling of password guessing: after some failures in a row each failure doubles the wait.

Pure rules; times are Unix seconds.
"""

from __future__ import annotations

from trunkline.core.failures import failures_at

FREE_FAILURES = 5
"""So many mistypings in a row cost nothing."""

LONGEST_WAIT = 60.0
"""Seconds; short enough that guessing cannot lock an honest user out for long."""


def subject(login: str, address: str | None) -> str:
    """What failures are counted by: the login as typed (known or not) from one address."""
    return f"{login.strip().lower()[:200]}|{address or ''}"


def wait_after(failures: int) -> float:
    """Seconds that must pass after the last of so many failures in a row."""
    if failures < FREE_FAILURES:
        return 0.0
    return min(LONGEST_WAIT, float(2 ** min(failures - FREE_FAILURES, 30)))


def remaining_wait(failures: int, last_failed_at: float, now: float) -> float:
    """Remaining seconds to wait; 0 = continue."""
    wait = wait_after(failures_at(failures, last_failed_at, now))
    return max(0.0, min(wait, last_failed_at + wait - now))
