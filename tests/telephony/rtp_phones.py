"""Phones behind a trunk that choose the numbers of their RTP packets, which other phones choose at random."""

from __future__ import annotations

import asyncio
import random
import re
import secrets
import socket
import struct
import time
from types import TracebackType
from typing import Self

import numpy as np

from trunkline.demo.tones import Sound, sine

PATIENCE = 10.0
_ENOUGH = 25
"""Packets in a row, 20 ms each."""
_SAMPLES = 160
_PAYLOADS = {"ulaw": 0, "alaw": 8, "g722": 9}
_RATE = 8000
_LOUD = 0.1


def _encode(codec: str, tone: float) -> bytes:
    """A second of the tone; G.722 is noise: these phones need no encoder for it."""
    if codec == "g722":
        return random.Random(1).randbytes(_RATE)
    table = _table(codec)
    order = np.argsort(table)
    places = np.searchsorted(table[order], sine(tone, 1.0)).clip(0, 255)
    return bytes(order[places].tolist())


def _table(codec: str) -> Sound:
    """What each byte of G.711 stands for, in -1..1."""
    codes = np.arange(256)
    if codec == "ulaw":
        code = ~codes & 0xFF
        size = ((((code & 0xF) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84
        return np.where(code & 0x80, -size, size) / 32768
    code = codes ^ 0x55
    segment, low = (code & 0x70) >> 4, (code & 0xF) << 4
    size = np.where(segment == 0, low + 8, (low + 0x108) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, size, -size) / 32768


class RtpPhone:
    """One party: says its tone with packets numbered from ``first``, keeps what it gets (of G.711).

    :ivar tone: Hz.
    """

    def __init__(self, codec: str, tone: float, first: int) -> None:
        self.tone = tone
        self._codec = codec
        self._next = first
        self._said = _encode(codec, tone)
        self._heard: list[Sound] = []
        self._arrived = asyncio.Event()
        self._socket: socket.socket | None = None
        self._speaking: asyncio.Task[None] | None = None
        self._to: tuple[str, int] | None = None

    async def hears(self, *tones: float) -> None:
        """Wait until, from now on, all of the tones are in enough packets in a row; else :class:`TimeoutError`.

        Without a tone: any sound.
        """
        past = len(self._heard)
        try:
            async with asyncio.timeout(PATIENCE):
                while not self._heard_since(past, tones):
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            raise TimeoutError(
                f"{self.tone:.0f} Hz does not hear {tones or 'anything'}; {len(self._heard) - past} packets came"
            ) from None

    def _heard_since(self, past: int, tones: tuple[float, ...]) -> bool:
        latest = self._heard[max(past, len(self._heard) - _ENOUGH) :]
        return len(latest) == _ENOUGH and all(_is_in(sound, tones) for sound in latest)

    def open(self, host: str) -> int:
        """The port it takes packets on."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self._socket.setblocking(False)
        asyncio.get_running_loop().add_reader(self._socket, self._read)
        port: int = self._socket.getsockname()[1]
        return port

    def start(self, to: tuple[str, int]) -> None:
        self._to = to
        self._speaking = asyncio.create_task(self._speak(to))

    async def restart(self, first: int) -> None:
        """Begin a new stream at this number to the same port, as a carrier does that changes its media gateway."""
        assert self._speaking is not None
        assert self._to is not None
        self._speaking.cancel()
        await asyncio.gather(self._speaking, return_exceptions=True)
        self._next = first
        self.start(self._to)

    async def close(self) -> None:
        if self._speaking is not None:
            self._speaking.cancel()
            await asyncio.gather(self._speaking, return_exceptions=True)
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()

    async def _speak(self, to: tuple[str, int]) -> None:
        assert self._socket is not None
        ssrc, stamp, begin = secrets.randbits(32), secrets.randbits(30), time.monotonic()
        payload = _PAYLOADS[self._codec]
        sent = 0
        while True:
            header = struct.pack("!BBHII", 0x80, payload, self._next & 0xFFFF, stamp + _SAMPLES * sent, ssrc)
            place = _SAMPLES * sent % _RATE
            self._socket.sendto(header + self._said[place : place + _SAMPLES], to)
            self._next += 1
            sent += 1
            await asyncio.sleep(max(0.0, begin + 0.02 * sent - time.monotonic()))

    def _read(self) -> None:
        assert self._socket is not None
        packet = self._socket.recv(2000)
        if packet[1] & 0x7F == _PAYLOADS[self._codec]:
            codes = np.frombuffer(packet[12:], dtype=np.uint8)
            self._heard.append(np.zeros(0) if self._codec == "g722" else _table(self._codec)[codes])
            self._arrived.set()


def _is_in(sound: Sound, tones: tuple[float, ...]) -> bool:
    if not tones:
        return bool(np.abs(sound).max(initial=0.0) > _LOUD)
    turns = np.exp(-2j * np.pi * np.outer(tones, np.arange(len(sound))) / _RATE)
    return bool((np.abs(turns @ sound) * 2 / max(1, len(sound)) > _LOUD).all())


class RtpCarrier(asyncio.DatagramProtocol):
    """Takes each call to a number for the phone that has it; to be used as an async context manager."""

    def __init__(self, host: str, port: int, phones: dict[str, RtpPhone]) -> None:
        self._host = host
        self._port = port
        self._phones = phones
        self._answers: dict[tuple[str, str], bytes] = {}
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=(self._host, self._port)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for phone in self._phones.values():
            await phone.close()
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        head, _, body = data.decode().partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        method = first.split()[0]
        if method in ("SIP/2.0", "ACK"):
            return
        headers = {name: [line for line in lines if line.lower().startswith(f"{name}:")] for name in _COPIED}
        call = (headers["call-id"][0], headers["cseq"][0])
        if call not in self._answers:
            self._answers[call] = self._answer(first, method, headers, body)
        assert self._transport is not None
        self._transport.sendto(self._answers[call], addr)

    def _answer(self, first: str, method: str, headers: dict[str, list[str]], body: str) -> bytes:
        lines = ["SIP/2.0 200 OK", *(line for name in _COPIED for line in headers[name])]
        lines = [
            f"{one};tag=1" if one.lower().startswith("to:") and ";tag=" not in one else one for one in lines
        ]
        sdp = ""
        if method == "INVITE":
            number, host, port = (
                _found("sip:([^@]+)@", first),
                _found(r"c=IN IP4 (\S+)", body),
                _found(r"m=audio (\d+)", body),
            )
            phone = self._phones[number]
            sdp = (
                f"v=0\r\no=- 1 1 IN IP4 {self._host}\r\ns=-\r\nc=IN IP4 {self._host}\r\nt=0 0\r\n"
                f"m=audio {phone.open(self._host)} RTP/AVP {_PAYLOADS[phone._codec]}\r\n"
            )
            phone.start((host, int(port)))
            lines += [f"Contact: <sip:{number}@{self._host}:{self._port}>", "Content-Type: application/sdp"]
        return "\r\n".join([*lines, f"Content-Length: {len(sdp)}", "", sdp]).encode()


_COPIED = ("via", "from", "to", "call-id", "cseq")


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match is not None, text
    return match[1]
