"""How many requests of one client are checked at once, and what requests that are refused cost their sender.

All stages before the handler (parsing, the token, the parameters), and the answer to a request that is refused, take the
event loop's time and a connection of commands. A sender has a share of the requests that are checked; further ones of the
same sender wait, and free places go to the senders in turn, so that the others wait for a few requests and not for all.

The sender is an account when the token was valid from that address a short time ago, else the address. To find the token,
the body is searched for it, not parsed: what is found decides on the share alone, and the token is checked as always.

- Requests of an address are counted as bytes (:mod:`.body_allowance`), small ones too, and returned when the token is valid.
  That is so for every path and method (:mod:`trunkline.apis.request_share`); answers that are large count more.
- Requests of an account that are refused cost no points; they are counted in the same way, and when the account has sent
  too many, their answers wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Callable

from trunkline.accounts.networks import network_of
from trunkline.apis.service.body_allowance import AllowanceExceeded, BodyAllowance
from trunkline.apis.service.turns import Turns
from trunkline.core.concurrency_limit import ConcurrencyLimit
from trunkline.core.errors import LimitExceeded
from trunkline.core.settings import WebSettings

REQUEST_COST = 8 * 1024
"""Bytes that a request counts in addition to its body: the token's look-up costs about as much as parsing so many."""

REFUSAL_SECONDS = 5.0
"""Until the answer to a request whose sender has used up its allowance."""

_KNOWN_SECONDS = 300.0
_KNOWN_MAX = 10_000
"""Tokens that are remembered; the oldest are forgotten first."""

_QUEUE = 256
"""Requests of one sender that may wait; ``web.connections_per_address`` is the limit for one address."""

_NAME = b'"access_token"'
_TOKEN = re.compile(rb'\s{0,9}:\s{0,9}"([^"\\]{1,512})"')

_Key = tuple[bytes, str]


class CheckLimit:
    """The shares of one process, for all its APIs. In memory: it protects the process, not the account.

    :param clock: seconds, monotonic.
    """

    def __init__(self, settings: WebSettings, clock: Callable[[], float] = time.monotonic) -> None:
        most = settings.command_connections

        def places(total: int) -> ConcurrencyLimit:
            return ConcurrencyLimit(
                "requests before their check",
                total=max(1, total),
                per_account=max(1, total // 2),
                queue=_QUEUE,
                wait=settings.queue_wait,
            )

        # Of their own, so that however many addresses there are, no account waits for them.
        self.places_of_addresses = places(most // 2)
        self.places_of_accounts = places(most * 2 // 3)
        self.addresses = BodyAllowance(clock)
        self.refusals = BodyAllowance(clock)
        self.turns = Turns(clock)
        self._clock = clock
        self._known: OrderedDict[_Key, tuple[int, float]] = OrderedDict()

    async def count(self, address: str, size: int = 0) -> None:
        """Count a request that is refused before there is anything to check; waits, but not for ever."""
        with contextlib.suppress(AllowanceExceeded):
            await self.addresses.take(address, REQUEST_COST + size)
            return
        await asyncio.sleep(REFUSAL_SECONDS)

    def request(self, body: bytes, address: str) -> RequestCheck:
        """The check of one request of a JSON-RPC API that has arrived."""
        return self.request_with(_token_in(body), address, len(body))

    def request_with(self, token: bytes | str, address: str, size: int) -> RequestCheck:
        """The check of one request that has arrived.

        :param token: what may be its token; empty: none was found.
        :param size: bytes of its body.
        """
        key = _key_of(token.encode("utf-8", "surrogatepass") if isinstance(token, str) else token, address)
        return RequestCheck(self, address, size, key, self._account_of(key))

    def remember(self, key: _Key, account_id: int) -> None:
        """The token is valid and may be used from the address."""
        self._known[key] = (account_id, self._clock() + _KNOWN_SECONDS)
        self._known.move_to_end(key)
        if len(self._known) > _KNOWN_MAX:
            self._known.popitem(last=False)

    def forget(self, key: _Key) -> None:
        """The token was refused."""
        self._known.pop(key, None)

    def _account_of(self, key: _Key | None) -> int | None:
        found = self._known.get(key) if key is not None else None
        return found[0] if found is not None and self._clock() < found[1] else None


class RequestCheck:
    """The check of one request: a place while the block runs, except between :meth:`leave` and :meth:`resume`."""

    def __init__(
        self, limit: CheckLimit, address: str, size: int, key: _Key | None, account_id: int | None
    ) -> None:
        """:param account_id: whose request it seems to be; None: the address's."""
        self._limit = limit
        self._address = address
        self._cost = REQUEST_COST + size
        self._key = key
        self._account_id = account_id
        self._of_address = account_id is None
        self._has_succeeded = False
        self._is_counted = False
        self.is_identified = False
        self._place: contextlib.AbstractAsyncContextManager[None] | None = None

    async def __aenter__(self) -> RequestCheck:
        """:raises LimitExceeded: too many requests of the sender wait, or none of them ended in time.
        :raises AllowanceExceeded: its address has too many bytes to wait for.
        """
        await self.count()
        await self._enter()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()

    async def count(self) -> None:
        """Count the request, unless that is done; it waits when its address has none left. Entering the block counts it.

        :raises AllowanceExceeded: its address has too many bytes to wait for.
        """
        if self._of_address and not self._is_counted:
            self._is_counted = True
            await self._limit.addresses.take(self._address, self._cost)

    async def count_more(self, size: int) -> None:
        """Count further bytes of the same request, whose place is left: for an answer that costs more than its request.

        :raises AllowanceExceeded: as :meth:`count`.
        """
        await self.leave()
        self._cost += size
        if self._account_id is None:
            await self._limit.addresses.take(self._address, size)

    def identified(self, account_id: int) -> None:
        """The request has a valid token of the account and comes from an address that may use it."""
        if self._key is not None:
            self._limit.remember(self._key, account_id)
        self._limit.turns.identified(network_of(self._address))
        if self._account_id is None:
            self._limit.addresses.give_back(self._address, self._cost)
        self._account_id = account_id
        self.is_identified = True

    def token_refused(self) -> None:
        """The token, or its use from this address, was refused."""
        if self._key is not None:
            self._limit.forget(self._key)

    async def leave(self) -> None:
        """The checks are done: what follows has limits of its own."""
        place, self._place = self._place, None
        if place is not None:
            await place.__aexit__(None, None, None)

    async def resume(self) -> None:
        """The request failed after its checks; what is left to do takes a place again, if one becomes free in time."""
        if self._place is None:
            with contextlib.suppress(LimitExceeded):
                await self._enter()

    def succeeded(self) -> None:
        """The request costs points, and nothing here."""
        self._has_succeeded = True

    async def delay_refusal(self) -> bool:
        """To be called before the answer is sent, outside the block: waits if the account has too many requests refused.

        :returns: False if it has so many that waiting was not enough.
        """
        if self._account_id is not None and not self._has_succeeded:
            try:
                await self._limit.refusals.take(str(self._account_id), self._cost)
            except AllowanceExceeded:
                await asyncio.sleep(REFUSAL_SECONDS)
                return False
        return True

    async def _enter(self) -> None:
        place = (
            self._limit.places_of_addresses.place(network_of(self._address))
            if self._of_address
            else self._limit.places_of_accounts.place(self._account_id)
        )
        await place.__aenter__()
        self._place = place


def _token_in(body: bytes) -> bytes:
    """What may be the token; empty when there is no such text."""
    at = body.find(_NAME)
    found = _TOKEN.match(body, at + len(_NAME)) if at >= 0 else None
    return found[1] if found else b""


def _key_of(token: bytes, address: str) -> _Key | None:
    """The hash of what may be the token, and where it came from; None without a token."""
    return (hashlib.sha256(token).digest(), network_of(address)) if token else None
