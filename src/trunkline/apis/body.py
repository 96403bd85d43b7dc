"""Reads the body of a request within limits of size and time; compressed bodies are decompressed only up to the limit.

The HTTP server leaves compressed bodies as they are (``auto_decompress=False``), because it would inflate all of what a
client sends before the limit is checked.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import Final

from aiohttp import web

from trunkline.apis.stored_bytes import BODY

MEMBERS_MAX = 16
"""Members of one gzip body: each costs a new decompressor."""

_CHUNK = 65_536
_GZIP: Final = frozenset({"gzip", "x-gzip"})
_NOT_SUPPORTED: Final = frozenset({"br", "zstd", "compress"})


class BodyError(Exception):
    """The body cannot be taken."""


class BodyTooLarge(BodyError):  # noqa: N818 - a kind of BodyError
    """It is larger than the limit, as it came or inflated."""


class BodyUnreadable(BodyError):  # noqa: N818
    """It ends too early, or is not in the encoding that its header names."""


class BodyTooSlow(BodyError):  # noqa: N818
    """It did not arrive in time."""


class BodyNotStored(BodyError):  # noqa: N818
    """The process stores too many bytes now (:mod:`.stored_bytes`)."""


async def read_body(request: web.Request, *, limit: int, seconds: float) -> bytes:
    """The complete body, decompressed.

    :param limit: bytes, as they come and inflated.
    :param seconds: until the last byte.
    :raises BodyError: one of its kinds.
    """
    inflater = _inflater_for(request.headers.get("Content-Encoding", ""), limit)
    if request.content_length is not None and request.content_length > limit:
        raise BodyTooLarge
    body = bytearray()
    received = 0
    stored = request.get(BODY)
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.content.iter_chunked(_CHUNK):
                received += len(chunk)
                if received > limit:
                    raise BodyTooLarge
                piece = chunk if inflater is None else inflater.feed(chunk)
                if stored is not None and not stored.take(len(piece)):
                    raise BodyNotStored
                body += piece
                if len(body) > limit:
                    raise BodyTooLarge
    except TimeoutError:
        raise BodyTooSlow from None
    except RuntimeError as error:
        if request.transport is None:  # aiohttp's error for reading what a client sent that is gone
            raise ConnectionResetError from error
        raise
    except web.RequestPayloadError as error:
        raise BodyUnreadable from error
    if inflater is not None and received and not inflater.is_complete:
        raise BodyUnreadable
    return bytes(body)


class Inflater:
    """Decompresses a gzip or deflate stream, up to one byte past the limit.

    :ivar produced: bytes inflated so far.
    """

    def __init__(self, *, gzip: bool, limit: int) -> None:
        self._gzip = gzip
        self._limit = limit
        self._members = 0
        self._stream: zlib._Decompress | None = None
        self.produced = 0

    @property
    def is_complete(self) -> bool:
        """Whether the stream has come to its end."""
        return self._stream is not None and self._stream.eof

    def feed(self, data: bytes) -> bytes:
        """Decompress some more bytes.

        :raises BodyTooLarge: more than the limit in all.
        :raises BodyUnreadable: they are no such stream.
        """
        inflated = bytearray()
        rest = data
        while rest:
            if self._stream is None or self._stream.eof:
                self._begin(rest)
            assert self._stream is not None
            try:
                part = self._stream.decompress(rest, self._limit - self.produced + 1)
            except zlib.error as error:
                raise BodyUnreadable from error
            inflated += part
            self.produced += len(part)
            if self.produced > self._limit:
                raise BodyTooLarge
            rest = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
        return bytes(inflated)

    def _begin(self, data: bytes) -> None:
        self._members += 1
        if self._members > (MEMBERS_MAX if self._gzip else 1):
            raise BodyUnreadable
        if self._gzip:
            bits = 16 + zlib.MAX_WBITS
        else:
            # "deflate" means a zlib stream (RFC 9110); some clients send the bare one.
            bits = zlib.MAX_WBITS if data[0] & 0x0F == 8 else -zlib.MAX_WBITS
        self._stream = zlib.decompressobj(bits)


def _inflater_for(encoding: str, limit: int) -> Inflater | None:
    name = encoding.strip().lower()
    if name in _GZIP or name == "deflate":
        return Inflater(gzip=name in _GZIP, limit=limit)
    if name in _NOT_SUPPORTED or "," in name:
        raise BodyUnreadable
    return None
