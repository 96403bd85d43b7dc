"""How many requests with the password of a line come from one address. Pure: times are Unix seconds.

Asterisk evaluates each request that has the right password, and keeps memory for each transaction for 32 s: a device that
registers some hundred times a second takes gigabytes of it. Asterisk has no limit for that, so the switch counts.
"""

from __future__ import annotations

REQUESTS_MAX = 1200
"""Requests of a line from one address within :data:`PERIOD_SECONDS` that are a flood. A phone sends a few for each call and
one each time that its registration or a subscription is refreshed."""
PERIOD_SECONDS = 60.0
SENDERS_MAX = 20_000
"""Senders that are counted; when there are more, all are counted anew."""


class RequestRates:
    """Counts the authenticated requests of each line and address."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], tuple[float, int]] = {}
        """Begin of the period and requests since then."""

    def add(self, line: str, ip: str, at: float) -> int:
        """Count one request.

        :returns: the requests of this sender in the present period when this one makes them a flood, 0 otherwise. The period
            then begins anew.
        """
        sender = line, ip
        since, count = self._counts.get(sender, (at, 0))
        if at - since >= PERIOD_SECONDS:
            since, count = at, 0
        count += 1
        if count >= REQUESTS_MAX:
            self._counts.pop(sender, None)
            return count
        if len(self._counts) >= SENDERS_MAX and sender not in self._counts:
            self._counts.clear()
        self._counts[sender] = since, count
        return 0
