"""When to try again: pure arithmetic of pauses."""

from __future__ import annotations

from trunkline.core.retry import DELIVERIES

SUSPEND_AFTER = 5
"""Failures of an endpoint in a row, after which it is suspended."""

FIRST_SUSPENSION = 5.0
LONGEST_SUSPENSION = 300.0

SWITCH_OFF_AFTER = 5 * 86_400.0
"""Seconds for which an endpoint has failed without a success, after which its subscription is switched off."""

TRIAL_SECONDS = 30.0
"""Seconds that one trial delivery to a suspended endpoint has before another one is sent."""


def pause(attempts: int, chance: float) -> float:
    """Seconds until the next attempt of a delivery.

    :param attempts: how many there were, at least 1.
    :param chance: a random number in [0, 1).
    """
    return DELIVERIES.pause(attempts, chance)


def suspension(failures: int) -> float:
    """Seconds of suspension of an endpoint after so many failures in a row; 0 = none."""
    if failures < SUSPEND_AFTER:
        return 0.0
    return min(FIRST_SUSPENSION * 2.0 ** min(failures - SUSPEND_AFTER, 10), LONGEST_SUSPENSION)


def is_over(started: float, now: float, give_up_after: float) -> bool:
    """Whether a delivery whose tries began then has been tried long enough."""
    return now - started >= give_up_after
