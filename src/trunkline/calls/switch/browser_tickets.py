"""Tickets of calls of browsers: what a visitor of a website dials.

The web process asks for one when a visitor is about to call, after its own limits. A ticket is good for one call within
:data:`SECONDS`, and says whose website it is and which visit. It is kept in memory, so nothing is read from a disk between
an INVITE and the ringing; a switch that ends takes its tickets with it, and the page asks for another.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from trunkline.calls.flows.site_calls import BrowserCall
from trunkline.core.errors import LimitExceeded

SECONDS = 60.0
MOST = 200
"""Unused tickets of an account."""


class BrowserTickets:
    """:param clock: seconds, Unix time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._calls: dict[str, tuple[BrowserCall, float]] = {}

    def issue(self, call: BrowserCall) -> str:
        """A ticket for a call: 32 hexadecimal digits.

        :raises LimitExceeded: the account has too many that nobody has used yet.
        """
        now = self._clock()
        self._calls = {ticket: kept for ticket, kept in self._calls.items() if kept[1] > now}
        own = sum(kept.account_id == call.account_id for kept, _ in self._calls.values())
        if own >= MOST:
            raise LimitExceeded(
                "Too many visitors of the account's websites are about to call: try again later."
            )
        ticket = secrets.token_hex(16)
        self._calls[ticket] = (call, now + SECONDS)
        return ticket

    def unused(self, site_id: int) -> int:
        """How many tickets of a website are unused."""
        now = self._clock()
        return sum(call.site_id == site_id and until > now for call, until in self._calls.values())

    def is_valid(self, ticket: str, account_id: int, site_id: int) -> bool:
        """Whether a ticket may be used for a call of this website."""
        call, until = self._calls.get(ticket, (None, 0.0))
        return (
            call is not None
            and until > self._clock()
            and (call.account_id, call.site_id) == (account_id, site_id)
        )

    def redeem(self, ticket: str, account_id: int, site_id: int) -> BrowserCall | None:
        """Use a ticket: it is valid once. None: it is not good for this website."""
        if not self.is_valid(ticket, account_id, site_id):
            return None
        return self._calls.pop(ticket)[0]
