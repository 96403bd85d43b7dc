"""Puts TLS around the TCP of a program that knows none: Debian builds SIPp so."""

from __future__ import annotations

import asyncio
import ssl
from types import TracebackType
from typing import Self

from trunkline.testing.outside import Registrar


class TlsRelay:
    """One TLS connection to a PBX, as an async context manager.

    What connects here speaks over it; when nobody is connected, what the PBX sends is brought to ``phone``. So a
    registration outlives the run of SIPp that made it.

    :param host: where to listen and where the phone listens.
    :param phone: port of the phone.
    """

    def __init__(self, pbx: Registrar, host: str, phone: int) -> None:
        self.port = 0
        self._pbx = pbx
        self._host = host
        self._phone = phone
        self._near: asyncio.StreamWriter | None = None
        self._far: asyncio.StreamWriter | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        reader, self._far = await asyncio.open_connection(self._pbx.host, self._pbx.port, ssl=context)
        self._server = await asyncio.start_server(self._outward, self._host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self._spawn(self._inward(reader))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            self._server.close()
        for writer in (self._near, self._far):
            if writer is not None:
                writer.close()

    def _spawn(self, work: object) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)  # type: ignore[call-overload]
        self._tasks.add(task)

    async def _outward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._near = writer
        assert self._far is not None
        while content := await reader.read(65536):
            self._far.write(content)
        if self._near is writer:
            self._near = None
        writer.close()

    async def _inward(self, reader: asyncio.StreamReader) -> None:
        while content := await reader.read(65536):
            if self._near is None:
                near, writer = await self._reach_phone()
                self._near = writer
                self._spawn(self._outward(near, writer))
            self._near.write(content)

    async def _reach_phone(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """It may be starting just now."""
        while True:
            try:
                return await asyncio.open_connection(self._host, self._phone)
            except OSError:
                await asyncio.sleep(0.05)
