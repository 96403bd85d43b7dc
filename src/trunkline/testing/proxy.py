"""A TCP proxy that fails on demand, for tests of broken connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from types import TracebackType
from typing import Self

_LOOPBACK = "127.0.0.1"
_CHUNK = 65536
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class FaultProxy:
    """Forwards connections to a port of loopback; an async context manager.

    :param target: port of the server.
    :param port: where it listens; 0 = a free one.
    :ivar port: where clients connect to.
    """

    def __init__(self, target: int, port: int = 0) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._pairs: dict[asyncio.Task[None], tuple[asyncio.StreamWriter, ...]] = {}
        self._is_down = False
        self._passing = asyncio.Event()
        self._passing.set()
        self._cut_reply_to: bytes | None = None
        self.port = port

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, _LOOPBACK, self.port)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.reset()
        if self._server is not None:
            self._server.close()
        tasks = list(self._pairs)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def connections(self) -> int:
        """Number of open connections."""
        return len(self._pairs)

    def reset(self) -> None:
        """Reset (RST) all present connections, on both sides; new ones are accepted."""
        for writers in list(self._pairs.values()):
            for writer in writers:
                _reset(writer)

    def down(self) -> None:
        """Reset all present connections and each new one, until :meth:`heal`."""
        self._is_down = True
        self.reset()

    def silence(self) -> None:
        """Keep connections, and accept new ones, but forward nothing, until :meth:`heal`."""
        self._passing.clear()

    def cut_reply(self, request: bytes) -> None:
        """Once: forward the next data that contains ``request``, then reset that connection before any reply."""
        self._cut_reply_to = request

    def heal(self) -> None:
        """Forward again, also what was held back."""
        self._is_down = False
        self._passing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_down:
            _reset(writer)
            return
        task = asyncio.current_task()
        assert task is not None
        try:
            to_reader, to_writer = await asyncio.open_connection(_LOOPBACK, self._target)
        except OSError:
            _reset(writer)
            return
        self._pairs[task] = (writer, to_writer)
        try:
            await asyncio.gather(
                self._forward(reader, to_writer, writer), self._forward(to_reader, writer, None)
            )
        finally:
            del self._pairs[task]
            for one in (writer, to_writer):
                _reset(one)

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: asyncio.StreamWriter | None
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._passing.wait()
                if writer.is_closing():
                    return
                writer.write(data)
                await writer.drain()
                if client is not None and self._cut_reply_to is not None and self._cut_reply_to in data:
                    self._cut_reply_to = None
                    _reset(client)
                    writer.close()  # with FIN: the server reads the request to its end
        with contextlib.suppress(OSError, RuntimeError):
            writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    if writer.is_closing():
        return
    connection: socket.socket | None = writer.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
