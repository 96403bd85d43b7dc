"""Cross-origin requests of browsers, for the origins of ``web.cors_origins``; none by default.

A preflight (``OPTIONS`` with ``Origin`` and ``Access-Control-Request-Method``) is answered here: it needs no token and costs
no points. Responses to other requests of these origins can be read by their pages. Cookies are not permitted
(``Access-Control-Allow-Credentials`` is never sent): a page needs a key or a session of its own.

For the Call Center API an account has origins of its own, too. A preflight has no key, so it is permitted for the origins of
all accounts; the response to the request itself can be read only by pages of the account's origins.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.typedefs import Middleware

from trunkline.core.errors import Unavailable

if TYPE_CHECKING:
    from trunkline.db.pool import Database

CALL_CENTER_PREFIX = "/api/"

ACCOUNT_ORIGINS: web.RequestKey[tuple[str, ...]] = web.RequestKey("account_origins", tuple)
"""Of a request: the origins that its account permits, once the account is known."""

_MAX_AGE = 600
"""Seconds for which a browser keeps the answer to a preflight."""

_READ_AGAIN = 5.0
"""Seconds after which the origins of the accounts are read again."""

_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, Range",
    "Access-Control-Max-Age": str(_MAX_AGE),
}
_CALL_CENTER_PREFLIGHT = {
    **_PREFLIGHT,
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, api_key, Api-Key, X-Api-Key, X-Request-Id",
}
_READABLE = "Accept-Ranges, Content-Disposition, Content-Length, Content-Range"

OriginsOfAccounts = Callable[[], Awaitable[frozenset[str]]]


class Cors:
    """:param origins: permitted origins, or ``*``.
    :param of_accounts: returns the origins of all accounts, in small letters.
    """

    def __init__(self, origins: Sequence[str], of_accounts: OriginsOfAccounts | None = None) -> None:
        self._origins = _lower(origins)
        self._of_accounts = of_accounts

    def middleware(self) -> Middleware:
        """Answers preflights of permitted origins."""

        @web.middleware
        async def answer_preflight(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            is_preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
            if is_preflight and await self._permits(request):
                is_call_center = request.path.startswith(CALL_CENTER_PREFIX)
                return web.Response(
                    status=204, headers=_CALL_CENTER_PREFLIGHT if is_call_center else _PREFLIGHT
                )
            return await handler(request)

        return answer_preflight

    async def set_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """Signal ``on_response_prepare``: the headers that let the page read the response."""
        if not self._origins and not request.path.startswith(CALL_CENTER_PREFIX):
            return
        response.headers.add("Vary", "Origin")
        if await self._permits(request):
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Expose-Headers"] = _READABLE

    async def _permits(self, request: web.Request) -> bool:
        origin = request.headers.get("Origin")
        if origin is None:
            return False
        if _holds(self._origins, origin):
            return True
        if not request.path.startswith(CALL_CENTER_PREFIX):
            return False
        own = request.get(ACCOUNT_ORIGINS)
        if own is not None:
            return _holds(_lower(own), origin)
        return self._of_accounts is not None and _holds(await self._of_accounts(), origin)


def origins_of_accounts(database: Database, clock: Callable[[], float] = time.monotonic) -> OriginsOfAccounts:
    """A reader that asks the database at most once in some seconds, because anybody may send a preflight.

    While the database is unavailable it returns what was read before.
    """
    known: frozenset[str] = frozenset()
    read_at = float("-inf")

    async def read() -> frozenset[str]:
        nonlocal known, read_at
        if clock() - read_at < _READ_AGAIN:
            return known
        read_at = clock()
        try:
            rows = await database.fetch_all(
                "select distinct lower(unnest(cors_origins)) as origin from accounts where account_id > 0"
            )
        except Unavailable:
            return known
        known = frozenset(row["origin"] for row in rows)
        return known

    return read


def _lower(origins: Sequence[str]) -> frozenset[str]:
    return frozenset(origin.lower() for origin in origins)


def _holds(origins: frozenset[str], origin: str) -> bool:
    return "*" in origins or origin.lower() in origins
