"""Puts TLS around the TCP of a program that has none: Debian builds SIPp so."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from trunkline.demo.outside import Registrar

_END = b"\r\n\r\n"
_CALL_ID = re.compile(rb"^(?:Call-ID|i)[ \t]*:[ \t]*(\S+)", re.IGNORECASE | re.MULTILINE)
_LENGTH = re.compile(rb"^(?:Content-Length|l)[ \t]*:[ \t]*(\d+)", re.IGNORECASE | re.MULTILINE)


class TlsRelay:
    """One TLS connection to a PBX, as an async context manager.

    Programs that connect here send over it, and get the messages of their own calls, by the Call-ID. All else goes to
    ``phone``, as soon as that port accepts connections: a registration outlives the run of SIPp that made it, and a
    keep-alive that comes while that run still ends is not lost. Over TLS nothing is sent twice, and a device that does
    not answer the first keep-alive counts as unreachable for a minute.

    :param host: where to listen and where the phone listens.
    :param phone: port of the phone.
    """

    def __init__(self, pbx: Registrar, host: str, phone: int) -> None:
        self.port = 0
        self._pbx = pbx
        self._host = host
        self._phone = phone
        self._owners: dict[bytes, asyncio.StreamWriter] = {}
        """Who sent or received the first message of a call, by Call-ID."""
        self._to_phone: asyncio.Queue[bytes] = asyncio.Queue()
        self._at_phone: asyncio.StreamWriter | None = None
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
        self._spawn(self._deliver_to_phone())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            self._server.close()
        for writer in {*self._owners.values(), self._at_phone, self._far}:
            if writer is not None:
                writer.close()

    def _spawn(self, work: object) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)  # type: ignore[call-overload]
        self._tasks.add(task)

    async def _outward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self._far is not None
        async for call_id, message in _messages(reader):
            self._owners[call_id] = writer
            self._far.write(message)
        self._owners = {call_id: owner for call_id, owner in self._owners.items() if owner is not writer}
        if self._at_phone is writer:
            self._at_phone = None
        writer.close()

    async def _inward(self, reader: asyncio.StreamReader) -> None:
        async for call_id, message in _messages(reader):
            if owner := self._owners.get(call_id):
                owner.write(message)
            else:
                self._to_phone.put_nowait(message)

    async def _deliver_to_phone(self) -> None:
        while True:
            message = await self._to_phone.get()
            if self._at_phone is None:
                reader, self._at_phone = await self._reach_phone()
                self._spawn(self._outward(reader, self._at_phone))
            self._at_phone.write(message)

    async def _reach_phone(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the phone, which may be starting just now."""
        while True:
            try:
                return await asyncio.open_connection(self._host, self._phone)
            except OSError:
                await asyncio.sleep(0.05)


async def _messages(reader: asyncio.StreamReader) -> AsyncIterator[tuple[bytes, bytes]]:
    """SIP messages with their Call-ID until the connection ends; keep-alives of the transport (empty lines) are left out."""
    try:
        while True:
            head = (await reader.readuntil(_END)).lstrip(b"\r\n")
            if not head:
                continue
            call_id, length = _CALL_ID.search(head), _LENGTH.search(head)
            body = await reader.readexactly(int(length[1]) if length else 0)
            yield call_id[1] if call_id else b"", head + body
    except (asyncio.IncompleteReadError, ConnectionError):
        return
