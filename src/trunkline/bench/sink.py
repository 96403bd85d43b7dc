"""A SIP party that answers every call and has the arrival time of each request from the kernel's clock."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

_RECEIVED_AT = 35
"""``SO_TIMESTAMPNS`` of Linux; Python has no name for it."""
_DIALLED = re.compile(rb"^INVITE sips?:\+?([0-9]+)")
_HEAD = re.compile(rb"^(via|from|to|call-id|cseq|v|f|t|i)[ \t]*:[ \t]*(.*?)\r$", re.I | re.M)
_SHORT = {b"v": b"via", b"f": b"from", b"t": b"to", b"i": b"call-id"}
_BUFFER = 1 << 22


@dataclass(slots=True)
class Answered:
    """One call. Times are Unix seconds of arrival at this machine's network stack.

    :ivar up: set once the caller has confirmed our answer.
    """

    invited_at: float
    up: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    ended_at: float = 0.0


class SipSink:
    """Listens on UDP, rings no one, answers at once, without sound; an async context manager.

    Calls are distinguished by the dialled number: dial each number once.
    """

    def __init__(self, address: str, port: int) -> None:
        self.address = address
        self.port = port
        self._socket: socket.socket | None = None
        self._calls: dict[str, Answered] = {}
        self._dialogs: dict[bytes, Answered] = {}
        self._expected: dict[str, asyncio.Event] = {}

    async def __aenter__(self) -> Self:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.setsockopt(socket.SOL_SOCKET, _RECEIVED_AT, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        opened.setblocking(False)
        opened.bind((self.address, self.port))
        self._socket = opened
        asyncio.get_running_loop().add_reader(opened, self._read)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()

    async def call_to(self, number: str, timeout: float = 10.0) -> Answered:
        """The call to this number, once it is up; :class:`TimeoutError` when it does not come."""
        came = self._expected.setdefault(number, asyncio.Event())
        async with asyncio.timeout(timeout):
            await came.wait()
            call = self._calls[number]
            await call.up.wait()
        return call

    def _read(self) -> None:
        assert self._socket is not None
        while True:
            try:
                message, ancillary, _, sender = self._socket.recvmsg(65_535, 128)
            except BlockingIOError:
                return
            self._take(message, _arrival(ancillary), sender)

    def _take(self, message: bytes, at: float, sender: tuple[str, int]) -> None:
        method = message.partition(b" ")[0]
        if method == b"INVITE":
            self._invited(message, at, sender)
        elif method == b"ACK":
            call = self._dialogs.get(_call_id(message))
            if call is not None:
                call.up.set()
        elif method in (b"BYE", b"CANCEL"):
            call = self._dialogs.pop(_call_id(message), None)
            if call is not None:
                call.ended_at = at
                call.over.set()
            self._send(_answer(message, b"200 OK", self.address, self.port), sender)
        elif not method.startswith(b"SIP/2.0"):
            self._send(_answer(message, b"200 OK", self.address, self.port), sender)

    def _invited(self, message: bytes, at: float, sender: tuple[str, int]) -> None:
        dialled = _DIALLED.match(message)
        identity = _call_id(message)
        if dialled and identity not in self._dialogs:
            number = dialled.group(1).decode()
            self._calls[number] = self._dialogs[identity] = Answered(at)
            self._expected.setdefault(number, asyncio.Event()).set()
        self._send(_answer(message, b"200 OK", self.address, self.port, sound=True), sender)

    def _send(self, message: bytes, to: tuple[str, int]) -> None:
        assert self._socket is not None
        self._socket.sendto(message, to)


def _arrival(ancillary: list[tuple[int, int, bytes]]) -> float:
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _RECEIVED_AT:
            seconds, nanoseconds = struct.unpack("@ll", data[:16])
            return float(seconds) + float(nanoseconds) / 1e9
    return time.time()


def _headers(message: bytes) -> list[tuple[bytes, bytes]]:
    head = message.partition(b"\r\n\r\n")[0] + b"\r\n"
    found = ((name.lower(), value) for name, value in _HEAD.findall(head))
    return [(_SHORT.get(name, name), value) for name, value in found]


def _call_id(message: bytes) -> bytes:
    return next((value for name, value in _headers(message) if name == b"call-id"), b"")


def _answer(request: bytes, status: bytes, address: str, port: int, *, sound: bool = False) -> bytes:
    """An answer to a request; with ``sound`` it takes the call (A-law, sent nowhere)."""
    lines = [b"SIP/2.0 " + status]
    for name, value in _headers(request):
        if name == b"to" and b";tag=" not in value.lower():
            value += b";tag=sink"
        lines.append(name + b": " + value)
    body = b""
    if sound:
        lines += [f"Contact: <sip:{address}:{port}>".encode(), b"Content-Type: application/sdp"]
        body = (
            f"v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
            "m=audio 9 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
        ).encode()
    lines.append(f"Content-Length: {len(body)}".encode())
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
