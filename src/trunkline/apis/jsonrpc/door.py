"""The machine behind HTTP: ``POST /v4.0`` and the like, and the OpenRPC document beside it.

Answers are HTTP 200 with JSON whatever happened in JSON-RPC; 413 with ``invalid_request`` for a body past
the size limit. ``Content-Type`` and ``Accept`` of the request are not looked at. Bodies and tokens are
never logged.
"""

from __future__ import annotations

from aiohttp import web

from trunkline.apis.address import AddressOf
from trunkline.apis.jsonrpc import answer
from trunkline.apis.jsonrpc.errors import rpc_error
from trunkline.apis.jsonrpc.machine import Machine
from trunkline.apis.jsonrpc.openrpc import document
from trunkline.apis.jsonrpc.pieces import Pieces

_JSON = "application/json"

IDEMPOTENCY_HEADER = "Idempotency-Key"

_ONE_PIECE = 256 * 1024
"""Bytes of an answer up to which it is sent at once."""


class JsonRpcDoor:
    """Routes of one API.

    :param body_max: bytes of the largest body read.
    :param address_of: tells the client's address of a request.
    """

    def __init__(self, machine: Machine, *, body_max: int, address_of: AddressOf) -> None:
        self._machine = machine
        self._body_max = body_max
        self._address_of = address_of
        self._openrpc = document(machine.surface)

    def routes(self) -> list[web.RouteDef]:
        path = self._machine.surface.path
        return [
            web.post(path, self.call),
            web.post(f"{path}/", self.call),
            web.get(f"{path}/openrpc.json", self.describe),
        ]

    async def call(self, request: web.Request) -> web.StreamResponse:
        try:
            body = await self._read(request)
        except web.RequestPayloadError:
            return await self._unreadable(request)
        if body is None:
            error = rpc_error(
                self._machine.surface.api, "invalid_request", params={"body_max_bytes": self._body_max}
            )
            return web.Response(status=413, body=answer.failure(None, error, {}), content_type=_JSON)
        answered = await self._machine.respond(
            body, self._address_of(request), idempotency_key=request.headers.get(IDEMPOTENCY_HEADER)
        )
        if answered.size <= _ONE_PIECE:
            return web.Response(body=answered.joined(), content_type=_JSON, charset="utf-8")
        return await _stream(request, answered)

    async def _unreadable(self, request: web.Request) -> web.Response:
        """The answer to a body that is not in the encoding that its header names."""
        answered = await self._machine.respond(b"", self._address_of(request))
        response = web.Response(body=answered.joined(), content_type=_JSON, charset="utf-8")
        # Nothing after the broken body can be found on this connection; nobody is to look for its end.
        response.force_close()
        request.content.feed_eof()
        return response

    async def describe(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._openrpc, content_type=_JSON, charset="utf-8")

    async def _read(self, request: web.Request) -> bytes | None:
        """The body, or None when it is larger than we read."""
        body = bytearray()
        async for chunk in request.content.iter_chunked(65_536):
            body += chunk
            if len(body) > self._body_max:
                return None
        return bytes(body)


async def _stream(request: web.Request, answered: Pieces) -> web.StreamResponse:
    """Send a large answer piece by piece, as fast as the client reads."""
    response = web.StreamResponse()
    response.content_type = _JSON
    response.charset = "utf-8"
    response.content_length = answered.size
    await response.prepare(request)
    for piece in answered.pieces:
        await response.write(piece)
    await response.write_eof()
    return response
