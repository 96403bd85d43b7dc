"""A document that is the same for everybody and as long as the process runs: compressed once, and cached by clients."""

from __future__ import annotations

import gzip
import hashlib
from functools import cached_property

from aiohttp import web

from trunkline.apis.request_share import CHECK

SHARE = 4
"""A byte of a document that is sent costs as much as a quarter of a byte of a request that is read."""


class StaticDocument:
    """:param body: JSON."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self._etag = hashlib.sha256(body).hexdigest()[:32]

    @cached_property
    def _compressed(self) -> bytes:
        return gzip.compress(self.body, 6)

    @property
    def cost(self) -> int:
        """Bytes that it counts to send it uncompressed."""
        return len(self.body) // SHARE

    async def respond(self, request: web.Request) -> web.Response:
        """The document, or 304 when the client has it already.

        :raises AllowanceExceeded: the sender had it too often.
        """
        headers = {"Cache-Control": "public, max-age=300", "Vary": "Accept-Encoding"}
        known = request.if_none_match or ()
        if any(one.value in (self._etag, "*") for one in known):
            response = web.Response(status=304, headers=headers)
        else:
            body = self.body
            if "gzip" in request.headers.get("Accept-Encoding", ""):
                body = self._compressed
                headers["Content-Encoding"] = "gzip"
            check = request.get(CHECK)
            if check is not None:
                await check.count_more(len(body) // SHARE)
            response = web.Response(
                body=body, content_type="application/json", charset="utf-8", headers=headers
            )
        response.etag = self._etag
        return response
