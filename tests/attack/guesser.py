"""Somebody who guesses SIP passwords: REGISTER with digest authentication over UDP, from any loopback address."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import re
import socket
import time
from typing import Self

REALM = "trunkline"
_NONCE = re.compile(r'nonce="([^"]+)"')
_OPAQUE = re.compile(r'opaque="([^"]*)"')


class Guesser:
    """One socket of one address; an async context manager."""

    def __init__(self, port: int, address: str = "127.0.0.1", *, patience: float = 2.0) -> None:
        self._server = ("127.0.0.1", port)
        self._patience = patience
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((address, 0))
        self._local = f"{address}:{self._socket.getsockname()[1]}"
        self._ids = itertools.count(1)
        self._contact = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._socket.close()

    async def guess(self, line: str, password: str, contact: str = "") -> int:
        """Try one password; the status of the answer (200, 401, 403, ...), 0 when there was none.

        :param contact: the address to register, in the place of its own.
        """
        self._contact = contact
        status, answer = await self._request(line, None)
        if status != 401:
            return status
        status, _ = await self._request(line, self._authorization(line, password, answer))
        return status

    async def challenge(self, line: str) -> str:
        """The Authorization header of a wrong guess whose nonce is this socket's own."""
        status, answer = await self._request(line, None)
        assert status == 401, status
        return self._authorization(line, "wrong", answer)

    async def burst(self, line: str, count: int, seconds: float) -> int:
        """Send so many wrong guesses on one nonce without waiting for answers, for so many seconds at most; how many."""
        return await self.flood(line, "wrong", count, seconds)

    async def flood(self, line: str, password: str, count: int, seconds: float) -> int:
        """As :meth:`burst`, with this password; none when there was no challenge."""
        status, answer = await self._request(line, None)
        if status != 401:
            return 0
        authorization = self._authorization(line, password, answer)
        loop = asyncio.get_running_loop()
        end = time.monotonic() + seconds
        for sent in range(count):
            if time.monotonic() > end:
                return sent
            message, _ = self._register(line, authorization)
            await loop.sock_sendto(self._socket, message, self._server)
            if sent % 20 == 0:
                await asyncio.sleep(0)
        return count

    async def send(self, line: str, authorization: str | None) -> int:
        status, _ = await self._request(line, authorization)
        return status

    def _authorization(self, line: str, password: str, challenge: str) -> str:
        nonce, uri = _NONCE.search(challenge), f"sip:127.0.0.1:{self._server[1]}"
        assert nonce is not None, challenge
        opaque = _OPAQUE.search(challenge)
        ha1 = _md5(f"{line}:{REALM}:{password}")
        response = _md5(f"{ha1}:{nonce[1]}:00000001:c0ffee:auth:{_md5(f'REGISTER:{uri}')}")
        return (
            f'Digest username="{line}", realm="{REALM}", nonce="{nonce[1]}", uri="{uri}", response="{response}", '
            f'algorithm=MD5, qop=auth, nc=00000001, cnonce="c0ffee"'
            + (f', opaque="{opaque[1]}"' if opaque else "")
        )

    async def _request(self, line: str, authorization: str | None) -> tuple[int, str]:
        message, call_id = self._register(line, authorization)
        loop = asyncio.get_running_loop()
        await loop.sock_sendto(self._socket, message, self._server)
        try:
            async with asyncio.timeout(self._patience):
                while True:
                    answer = (await loop.sock_recv(self._socket, 65536)).decode(errors="replace")
                    if f"Call-ID: {call_id}" in answer and not answer.startswith("SIP/2.0 1"):
                        return int(answer.split()[1]), answer
        except TimeoutError:
            return 0, ""

    def _register(self, line: str, authorization: str | None) -> tuple[bytes, str]:
        number = next(self._ids)
        call_id = f"{number}-{time.monotonic_ns()}@{self._local}"
        uri = f"sip:127.0.0.1:{self._server[1]}"
        lines = [
            f"REGISTER {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self._local};branch=z9hG4bK{number}{time.monotonic_ns()};rport",
            f"From: <sip:{line}@127.0.0.1>;tag={number}",
            f"To: <sip:{line}@127.0.0.1>",
            f"Call-ID: {call_id}",
            f"CSeq: {number} REGISTER",
            f"Contact: <{self._contact or f'sip:{line}@{self._local}'}>",
            "Max-Forwards: 70",
            "Expires: 60",
            *([f"Authorization: {authorization}"] if authorization else []),
            "Content-Length: 0",
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode(), call_id


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()
