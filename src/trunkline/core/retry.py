"""When work that failed is tried again: one rule for all work queues, and its numbers for each of them. Pure.

A pause doubles with each failure from ``first`` to ``longest`` and differs by up to a fifth, so that what failed together
does not return together. Work ends by success, by an error that no retry resolves, or when it
is given up; then its row is kept, with the reason.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

JITTER = 0.2
"""A pause is longer or shorter by up to this part."""

_DOUBLINGS = 30


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The numbers of a queue.

    :ivar queue: its name in the documentation.
    :ivar first: seconds after the first failure.
    :ivar longest: seconds between two tries at most.
    :ivar attempts: after so many it is given up; None: the number is not limited.
    :ivar give_up_setting: the setting with the seconds after which it is given up; None: the time is not limited.
    """

    queue: str
    first: float
    longest: float
    attempts: int | None = None
    give_up_setting: str | None = None

    def pause(self, attempts: int, chance: float | None = None) -> float:
        """Seconds until the next try.

        :param attempts: how many there were, at least 1.
        :param chance: a number in [0, 1); None = a random one.
        """
        return self._varied(self.first * 2.0 ** min(max(attempts - 1, 0), _DOUBLINGS), chance)

    def pause_at_age(self, age: float, chance: float | None = None) -> float:
        """The same for work whose age is known and not how often it was tried.

        :param age: seconds since the first try.
        """
        return self._varied(max(self.first, age), chance)

    def _varied(self, plain: float, chance: float | None) -> float:
        part = random.random() if chance is None else chance
        return min(plain, self.longest) * (1 + JITTER * (2 * part - 1))


JOBS = RetryPolicy("jobs", first=1.0, longest=300.0)
"""Jobs of ``db.jobs``: recordings, analysis, uploads. Each must happen, so none is given up."""

MAILS = RetryPolicy("mails", first=15.0, longest=3600.0, give_up_setting="mail.give_up_after")
"""Jobs that send mails: the server decides whether it takes one."""

LISTENERS = RetryPolicy("listeners", first=15.0, longest=30_720.0, attempts=12)
"""Events that a listener of the relay could not handle: some nine hours, then they wait for a person."""

DELIVERIES = RetryPolicy(
    "deliveries", first=1.0, longest=3600.0, give_up_setting="notifications.give_up_after"
)
"""Notifications and callbacks; an endpoint that fails repeatedly is suspended besides (``notifications.backoff``)."""

HUBSPOT = RetryPolicy("hubspot", first=5.0, longest=3600.0, give_up_setting="hubspot.give_up_after")
"""Calls that become engagements. What concerns a whole portal (its limits, its token) pauses it and is no failure of a
call."""

POLICIES = (JOBS, MAILS, LISTENERS, DELIVERIES, HUBSPOT)
