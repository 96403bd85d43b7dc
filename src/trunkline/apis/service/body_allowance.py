"""How many bytes of requests without a valid token one address may have read per second.

A token is inside the body, so a body is inflated and parsed before it is known whose it is: about ten milliseconds of the
event loop for a mebibyte. The bytes of all bodies are taken from the allowance of their address, and returned when the token
is valid; requests of an address that has none left wait in the order of their arrival, and those of others do not. Refused
requests of an account are counted in the same way (:mod:`.check_limit`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from trunkline.accounts.networks import network_of

RATE = 1024 * 1024
"""Bytes per second that an address gets."""

BURST = 4 * RATE
"""Bytes that an address may have at most."""

WAIT_MAX = 30.0
"""Seconds that a request may have to wait. A client that closes its connection does not end the wait of its request, so
without a limit those could use up the memory."""

_STEP = 0.25
"""Seconds after which a waiting request looks again: bytes of others may have been returned."""

_ADDRESSES_MAX = 10_000
"""Addresses that are remembered; those with a full allowance are forgotten first."""


class AllowanceExceeded(Exception):  # noqa: N818
    """The request would wait longer than :data:`WAIT_MAX`; nothing was taken."""


@dataclass(slots=True)
class _Balance:
    """Bytes that an address has taken, and those that it got or that were returned, until a moment; both since it is
    remembered. ``paid - taken`` is what it has left, below 0 a debt."""

    taken: float
    paid: float
    at: float


class BodyAllowance:
    """The allowances of all addresses of one process. In memory: it protects the process, not the account.

    :param clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._balances: dict[str, _Balance] = {}

    async def take(self, address: str, size: int) -> None:
        """Take the bytes of a request; returns when they, and all taken before, are paid.

        :param address: an address, or another name of a client.
        :param size: of the body, inflated.
        :raises AllowanceExceeded: at once.
        """
        balance = self._balance(address)
        if balance.taken + size - balance.paid > WAIT_MAX * RATE:
            raise AllowanceExceeded
        balance.taken += size
        own = balance.taken
        while (missing := own - balance.paid) > 0:
            await asyncio.sleep(min(_STEP, missing / RATE))
            self._pay(balance)

    def give_back(self, address: str, size: int) -> None:
        """The token of the request was valid."""
        balance = self._balance(address)
        balance.paid = min(balance.taken + BURST, balance.paid + size)

    def _balance(self, address: str) -> _Balance:
        """Of the address, or of its network of 64 bits, with what it got since."""
        key = network_of(address)
        balance = self._balances.get(key)
        if balance is None:
            now = self._clock()
            self._forget_full_ones(now)
            balance = self._balances[key] = _Balance(0, BURST, now)
        self._pay(balance)
        return balance

    def _pay(self, balance: _Balance) -> None:
        now = self._clock()
        balance.paid = min(balance.taken + BURST, balance.paid + (now - balance.at) * RATE)
        balance.at = now

    def _forget_full_ones(self, now: float) -> None:
        if len(self._balances) >= _ADDRESSES_MAX:
            self._balances = {
                key: one
                for key, one in self._balances.items()
                if one.paid - one.taken + (now - one.at) * RATE < BURST
            }
