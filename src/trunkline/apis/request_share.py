"""Counts each request of each path and method for its sender (:mod:`trunkline.apis.service.check_limit`).

The middleware counts all requests but those of handlers that read the token from the body and count by themselves
(:func:`counts_itself`); so an endpoint that is added later is counted, too, and so are paths without an endpoint. A handler
that authenticates the request takes its check from :data:`CHECK`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiohttp import web
from aiohttp.typedefs import Middleware

from trunkline.accounts.networks import network_of
from trunkline.apis.address import AddressOf
from trunkline.apis.body import BodyNotStored
from trunkline.apis.listener import is_of_proxy, mark_identified
from trunkline.apis.service.body_allowance import AllowanceExceeded
from trunkline.apis.service.check_limit import REFUSAL_SECONDS, CheckLimit, RequestCheck
from trunkline.apis.stored_bytes import BODY, RETRY_SECONDS, StoredBody, StoredBytes
from trunkline.core.errors import LimitExceeded

CHECK: web.RequestKey[RequestCheck] = web.RequestKey("check", RequestCheck)
"""The check of a request."""

SESSION_COOKIE = "trunkline_session"
"""Of the console: holds the session's token."""

_MARK = "_counts_itself"

Handler = Callable[..., Awaitable[web.StreamResponse]]
Marked = TypeVar("Marked", bound=Handler)


def counts_itself(handler: Marked) -> Marked:
    """Mark a handler that makes the check of its requests, and stores it in :data:`CHECK`."""
    setattr(handler, _MARK, True)
    return handler


def token_of(request: web.Request) -> str | None:
    """What the request's parameter ``access_token`` or ``Authorization: Bearer`` has."""
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and bearer.strip():
        return bearer.strip()
    return request.query.get("access_token")


def request_share(
    check_limit: CheckLimit, address_of: AddressOf, stored: StoredBytes | None = None
) -> Middleware:
    """The middleware; it must be the outermost.

    :param stored: the bytes of requests of the process; None: counted here alone.
    """
    turns, counted = check_limit.turns, stored or StoredBytes()

    @web.middleware
    async def count(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        network = network_of(address_of(request))
        if is_of_proxy(request) and not turns.may_pass(network):
            await turns.turn(network)
        body = request[BODY] = StoredBody(counted, is_known=turns.is_known(network))
        try:
            if getattr(request.match_info.handler, _MARK, False):
                return await handler(request)
            token = token_of(request) or request.cookies.get(SESSION_COOKIE) or ""
            check = request[CHECK] = check_limit.request_with(token, address_of(request), 0)
            await check.count()
            try:
                return await handler(request)
            finally:
                await check.delay_refusal()  # these requests cost no points
        except (AllowanceExceeded, LimitExceeded):
            await asyncio.sleep(REFUSAL_SECONDS)
            return _too_many()
        except BodyNotStored:
            return _no_room()
        finally:
            body.release()
            made = request.get(CHECK)
            if made is not None and made.is_identified:
                mark_identified(request)

    return count


def _too_many() -> web.Response:
    text = "Too many requests of this address without a valid token: send fewer."
    response = web.json_response({"error": text}, status=429, headers={"Retry-After": "30"})
    response.force_close()
    return response


def _no_room() -> web.Response:
    text = "The server has too many requests to store now: send the request again later."
    response = web.json_response({"error": text}, status=503, headers={"Retry-After": str(RETRY_SECONDS)})
    response.force_close()  # the rest of the body is not read
    return response
