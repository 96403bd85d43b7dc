"""HTTP endpoints of the dispatcher: ``POST /v4.0`` and ``POST /v2.0``, and their OpenRPC documents.

Responses are HTTP 200 with JSON, also for JSON-RPC errors; ``invalid_request`` with 413 for a body past the size
limit, with 408 for one that does not arrive in time, and with 429 when the address has sent too many bytes without a
valid token. ``Content-Type`` and ``Accept`` of the request are not looked
at. Bodies and tokens are never logged.
"""

from __future__ import annotations

import asyncio
from functools import cached_property

from aiohttp import web

from trunkline.apis.address import AddressOf
from trunkline.apis.body import BodyTooLarge, BodyTooSlow, BodyUnreadable, read_body
from trunkline.apis.jsonrpc import response
from trunkline.apis.jsonrpc.chunks import Chunks
from trunkline.apis.jsonrpc.dispatcher import Dispatcher
from trunkline.apis.jsonrpc.envelope import request_id_of
from trunkline.apis.jsonrpc.errors import rpc_error
from trunkline.apis.request_share import CHECK, counts_itself
from trunkline.apis.service.body_allowance import RATE, AllowanceExceeded
from trunkline.apis.service.check_limit import REFUSAL_SECONDS, CheckLimit
from trunkline.apis.static_document import StaticDocument
from trunkline.core.errors import LimitExceeded
from trunkline.core.settings import WebSettings

_JSON = "application/json"

IDEMPOTENCY_HEADER = "Idempotency-Key"

_ONE_CHUNK = 256 * 1024
"""Bytes of an answer up to which it is sent at once."""


class JsonRpcEndpoint:
    """Routes of one API.

    :param body_max: bytes of the largest body read, inflated or not.
    :param body_seconds: within which it must arrive.
    :param address_of: returns the client's address of a request.
    :param check_limit: shared by the endpoints of a process.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        *,
        body_max: int,
        address_of: AddressOf,
        check_limit: CheckLimit | None = None,
        body_seconds: float = 30.0,
    ) -> None:
        self._dispatcher = dispatcher
        self._body_max = body_max
        self._body_seconds = body_seconds
        self._address_of = address_of
        self._check_limit = check_limit or CheckLimit(WebSettings())

    def routes(self) -> list[web.RouteDef]:
        path = self._dispatcher.service_spec.path
        return [
            web.post(path, self.handle),
            web.post(f"{path}/", self.handle),
            web.get(f"{path}/openrpc.json", self.describe),
        ]

    @counts_itself
    async def handle(self, request: web.Request) -> web.StreamResponse:
        address = self._address_of(request)
        try:
            body = await read_body(request, limit=self._body_max, seconds=self._body_seconds)
        except BodyTooLarge:
            await self._check_limit.count(address, self._body_max)
            return self._refusal(413, {"body_max_bytes": self._body_max})
        except BodyTooSlow:
            await self._check_limit.count(address)
            return self._refusal(408, {"body_timeout_seconds": self._body_seconds})
        except BodyUnreadable:
            await self._check_limit.count(address)
            answered = await self._dispatcher.respond(b"", address)
            return _closing(web.Response(body=answered.joined(), content_type=_JSON, charset="utf-8"))
        checked = await self._checked(request, body, address)
        if checked is None:
            del body  # its memory is what a client that sends too much could use up
            await asyncio.sleep(REFUSAL_SECONDS)
            return self._refusal(429, {"bytes_per_second": RATE})
        if checked.size <= _ONE_CHUNK:
            return web.Response(body=checked.joined(), content_type=_JSON, charset="utf-8")
        return await _stream(request, checked)

    async def _checked(self, request: web.Request, body: bytes, address: str) -> Chunks | None:
        """The answer, when the sender has a place for the check; None when its address has sent too much."""
        check = request[CHECK] = self._check_limit.request(body, address)
        idempotency_key = _text(request.headers.get(IDEMPOTENCY_HEADER))
        try:
            async with check:
                answered = await self._dispatcher.respond(
                    body, address, idempotency_key=idempotency_key, check=check
                )
        except AllowanceExceeded:
            return None
        except LimitExceeded as error:
            api = self._dispatcher.service_spec.api
            refused = rpc_error(api, error.mnemonic, params=error.params)
            answered = Chunks((response.failure(request_id_of(body), refused, {}),))
        await check.delay_refusal()
        return answered

    def _refusal(self, status: int, params: dict[str, float]) -> web.Response:
        error = rpc_error(self._dispatcher.service_spec.api, "invalid_request", params=params)
        body = response.failure(None, error, {})
        return _closing(web.Response(status=status, body=body, content_type=_JSON))

    async def describe(self, request: web.Request) -> web.Response:
        return await self._description.respond(request)

    @cached_property
    def _description(self) -> StaticDocument:
        return StaticDocument(self._dispatcher.openrpc)


def _text(header: str | None) -> str | None:
    """A header that may have bytes that are not UTF-8; as text that can be sent back in an error."""
    return None if header is None else header.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _closing(response: web.Response) -> web.Response:
    """Close the connection after the response: the rest of the body is not read."""
    response.force_close()
    return response


async def _stream(request: web.Request, answered: Chunks) -> web.StreamResponse:
    """Send a large answer piece by piece, as fast as the client reads."""
    response = web.StreamResponse()
    response.content_type = _JSON
    response.charset = "utf-8"
    response.content_length = answered.size
    await response.prepare(request)
    for chunk in answered.chunks:
        await response.write(chunk)
    await response.write_eof()
    return response
