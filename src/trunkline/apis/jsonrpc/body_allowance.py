"""How many bytes of requests without a valid token one address may have read per second.

A token is inside the body, so a body is inflated and parsed before anybody knows whose it is: about ten milliseconds of the
event loop for a mebibyte. Small bodies are free. The bytes of large ones are taken from the allowance of their address, and
returned when the token is valid; requests of an address that has none left wait, and those of others do not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

FREE = 32 * 1024
"""Bytes of a body up to which nothing is taken: parsing it costs less than the rest of a request."""

RATE = 1024 * 1024
"""Bytes per second that an address gets: about one hundredth of the event loop's time."""

BURST = 4 * RATE
"""Bytes that an address may have at most."""

_STEP = 0.25
"""Seconds after which a waiting request looks again: bytes of others may have been returned."""

_ADDRESSES_MAX = 10_000
"""Addresses that are remembered; those with a full allowance are forgotten first."""


@dataclass(slots=True)
class _Balance:
    """Bytes that an address has left (below 0: a debt) at a moment."""

    bytes: float
    at: float


class BodyAllowance:
    """The allowances of all addresses of one process. In memory: it protects the process, not the account.

    :param clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._balances: dict[str, _Balance] = {}

    async def take(self, address: str, size: int) -> None:
        """Take the bytes of a body; returns when the address is not in debt.

        :param size: of the body, inflated.
        """
        if size <= FREE:
            return
        balance = self._balance(address)
        balance.bytes -= size
        while (missing := -self._balance(address).bytes) > 0:  # noqa: ASYNC110 - time pays the debt, no event does
            await asyncio.sleep(min(_STEP, missing / RATE))

    def give_back(self, address: str, size: int) -> None:
        """The token of the request was valid."""
        if size > FREE:
            balance = self._balance(address)
            balance.bytes = min(BURST, balance.bytes + size)

    def _balance(self, address: str) -> _Balance:
        """Of the address, or of its network of 64 bits, with what it got since."""
        key, now = _network(address), self._clock()
        balance = self._balances.get(key)
        if balance is None:
            self._forget_full_ones(now)
            balance = self._balances[key] = _Balance(BURST, now)
        balance.bytes = min(BURST, balance.bytes + (now - balance.at) * RATE)
        balance.at = now
        return balance

    def _forget_full_ones(self, now: float) -> None:
        if len(self._balances) >= _ADDRESSES_MAX:
            self._balances = {
                key: one for key, one in self._balances.items() if one.bytes + (now - one.at) * RATE < BURST
            }


def _network(address: str) -> str:
    """One client has 64 bits of IPv6 for itself."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(int(parsed) >> 64) if isinstance(parsed, IPv6Address) else address
