"""HTTP client for one trusted server: Asterisk on loopback. Connections are kept and reused.

Every call costs a few commands, so a command must be cheap: this takes a quarter of the time of a general client.
Asterisk answers with ``Content-Length`` always, which is all that is understood here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from trunkline.core.response_timeout import ResponseTimeout

_IDLE_SECONDS = 30.0  # Asterisk closes after 60
_HEAD_LIMIT = 1 << 16
PLACE_SECONDS = 30.0
"""How long a request waits until fewer than ``limit`` others are under way."""


class HttpError(Exception):
    """No response, or none that can be understood."""


class HttpTimeout(HttpError):  # noqa: N818 - what happened
    """No response in time: the server may still carry out the request."""


@dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used_at: float
    fresh: bool = True

    @property
    def is_usable(self) -> bool:
        """False once the server has closed or reset it."""
        return not self.writer.is_closing() and not self.reader.at_eof() and self.reader.exception() is None


def send(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Write to a stream; :class:`ConnectionError` when the connection is closed or was reset.

    uvloop raises RuntimeError for a write on a closed transport, where asyncio only logs.
    """
    if writer.is_closing():
        raise ConnectionResetError("the connection is closed")
    try:
        writer.write(data)
    except RuntimeError as error:
        raise ConnectionResetError(str(error)) from error


class HttpPool:
    """At most ``limit`` requests under way at once; more wait.

    :param authorization: value of that header.
    :param timeout: seconds that the server may take for a request, unless the request has its own. The time that a request
        waits for others does not count: a response is late only if the server is.
    """

    def __init__(self, host: str, port: int, authorization: str, limit: int, timeout: float) -> None:
        self._host = host
        self._port = port
        self._common = f"Host: {host}:{port}\r\nAuthorization: {authorization}\r\n"
        self._idle: list[_Connection] = []
        self._places = asyncio.Semaphore(limit)
        self._timeout = timeout
        self._pruning: asyncio.TimerHandle | None = None

    async def request(
        self,
        method: str,
        path: str,
        params: Mapping[str, str | int] | None,
        body: bytes | None,
        timeout: float | None = None,
    ) -> tuple[int, bytes]:
        """Status and body.

        :param timeout: seconds that the server may take; None = those of the pool.
        :raises HttpTimeout: the request was sent, and no response came in time.
        :raises HttpError: there is no response, or the request was not sent within :data:`PLACE_SECONDS`.
        """
        target = f"{path}?{urlencode(params)}" if params else path
        head = f"{method} {target} HTTP/1.1\r\n{self._common}Content-Length: {len(body or b'')}\r\n"
        if body is not None:
            head += "Content-Type: application/json\r\n"
        message = head.encode() + b"\r\n" + (body or b"")
        seconds = self._timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(PLACE_SECONDS):
                await self._places.acquire()
        except TimeoutError as error:
            raise HttpError(
                f"not sent: other requests have been under way for {PLACE_SECONDS:.0f} s"
            ) from error
        try:
            async with ResponseTimeout(seconds):
                return await self._exchange(message)
        except TimeoutError as error:
            raise HttpTimeout(f"no response within {seconds:.0f} s") from error
        finally:
            self._places.release()

    def close(self) -> None:
        """Close the connections that are not in use; later requests open new ones."""
        if self._pruning is not None:
            self._pruning.cancel()
            self._pruning = None
        while self._idle:
            self._idle.pop().writer.close()

    async def _exchange(self, message: bytes) -> tuple[int, bytes]:
        while True:
            connection = await self._connection()
            kept = False
            try:
                send(connection.writer, message)
                head = await connection.reader.readuntil(b"\r\n\r\n")
                status, length, keep = _parse_head(head)
                body = await connection.reader.readexactly(length) if length else b""
                kept = keep
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
                was_not_read = isinstance(error, OSError) or (
                    isinstance(error, asyncio.IncompleteReadError) and not error.partial
                )
                # A kept connection may have been closed by the server just now: it has not read the request.
                if was_not_read and not connection.fresh:
                    continue
                raise HttpError(repr(error)) from error
            finally:
                if not kept:
                    connection.writer.close()
            connection.used_at = time.monotonic()
            connection.fresh = False
            self._idle.append(connection)
            if self._pruning is None:
                self._prune_later()
            return status, body

    def _prune_later(self) -> None:
        self._pruning = asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._prune)

    def _prune(self) -> None:
        """Close what was not used for long: after a rush of calls no more stay open than are needed."""
        oldest = time.monotonic() - _IDLE_SECONDS
        for connection in self._idle:
            if connection.used_at < oldest:
                connection.writer.close()
        self._idle = [one for one in self._idle if one.used_at >= oldest]
        self._pruning = None
        if self._idle:
            self._prune_later()

    async def _connection(self) -> _Connection:
        oldest = time.monotonic() - _IDLE_SECONDS
        while self._idle:
            connection = self._idle.pop()
            if connection.used_at >= oldest and connection.is_usable:
                return connection
            connection.writer.close()
        try:
            reader, writer = await asyncio.open_connection(self._host, self._port, limit=_HEAD_LIMIT)
        except OSError as error:
            raise HttpError(str(error)) from error
        return _Connection(reader, writer, 0.0)


def _parse_head(head: bytes) -> tuple[int, int, bool]:
    """Status, length of the body, and whether the connection stays."""
    lower = head.lower()
    try:
        status = int(head[9:12])
        at = lower.index(b"content-length:") + 15
        length = int(lower[at : lower.index(b"\r\n", at)])
        if length < 0:
            raise ValueError(length)
    except ValueError as error:
        raise HttpError(f"not understood: {head[:80]!r}") from error
    return status, length, b"connection: close" not in lower
