"""What a client sends before it is known who it is takes little memory, wherever in a request it is."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tracemalloc
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.apis.support import TOKEN, ApisOnFakes
from trunkline.apis.jsonrpc import Services
from trunkline.apis.listener import HEAD_MAX
from trunkline.apis.service.turns import Turns
from trunkline.apis.web import build_app, serving
from trunkline.core.settings import Settings, WebSettings

pytestmark = pytest.mark.attack

Ports = Callable[[int], list[int]]

CONNECTIONS = 30
SECONDS = 2.0
MEMORY_MAX = 40 * 1024 * 1024
"""Bytes that all the connections may take in the process, with what is there for the first request."""

_PINGS = b"\x89\x80\0\0\0\0"
_HEADER = b"X-%d: " + b"x" * 8000 + b"\r\n"


def _upgrade(path: str, protocol: str = "websocket") -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: {protocol}\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


_BIG_HEAD = b"GET /x HTTP/1.1\r\nHost: x\r\n" + _HEADER * 3 + b"\r\n"
_CHUNKED = b"POST /v4.0 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

ATTACKS = {
    "frames behind an upgrade with a wrong token": (
        _upgrade(f"/v4.0/stream?access_token={'x' * 43}"),
        _PINGS,
    ),
    "frames behind an upgrade of no endpoint": (_upgrade("/x"), _PINGS),
    "bytes behind CONNECT": (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", _PINGS),
    "bytes behind an upgrade to h2c": (_upgrade("/x", "h2c"), _PINGS),
    "garbage behind a request": (b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n", _PINGS),
    "garbage alone": (b"", _PINGS),
    "many requests with big heads": (b"", _BIG_HEAD),
    "a head without an end": (b"GET /x HTTP/1.1\r\nHost: x\r\n", _HEADER),
    "a trailer without an end": (_CHUNKED + b"1\r\nx\r\n0\r\n", _HEADER),
    "small chunks": (_CHUNKED, b"1\r\nx\r\n"),
    "an extension of a chunk without an end": (_CHUNKED + b"1;", b"x" * 4096),
}


@contextlib.asynccontextmanager
async def _web(folder: Path, ports: Ports) -> AsyncIterator[int]:
    [port] = ports(1)
    settings = Settings(data_dir=folder, web=WebSettings(http_port=port, https_port=0))
    fakes = ApisOnFakes()
    app = build_app(Services(fakes.accounts, fakes.switch, settings), request_log=fakes.request_log)
    async with serving(app, settings):
        yield port


async def _send_again_and_again(port: int, head: bytes, piece: bytes, until: float) -> None:
    """As many connections one after the other as there is time for, each with as many bytes as are taken.

    What is sent is one object, and kept by the system, so that the sender needs no memory of the process.
    """
    loop = asyncio.get_running_loop()
    while loop.time() < until:
        with contextlib.suppress(OSError, TimeoutError), socket.socket() as connection:
            connection.setblocking(False)
            async with asyncio.timeout_at(until):
                await loop.sock_connect(connection, ("127.0.0.1", port))
                await loop.sock_sendall(connection, head)
                while True:
                    await loop.sock_sendall(connection, piece)
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("kind", ATTACKS)
async def test_connections_without_a_token_take_little_memory(
    tmp_path: Path, free_ports: Ports, kind: str
) -> None:
    head, unit = ATTACKS[kind]
    piece = unit * max(1, 120_000 // len(unit))
    async with _web(tmp_path, free_ports) as port:
        until = asyncio.get_running_loop().time() + SECONDS
        tracemalloc.start()
        try:
            senders = (_send_again_and_again(port, head, piece, until) for _ in range(CONNECTIONS))
            await asyncio.gather(*senders)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < MEMORY_MAX


async def _answer(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        async with asyncio.timeout(20):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_a_refused_upgrade_ends_its_connection(tmp_path: Path, free_ports: Ports) -> None:
    """What came behind it is no request: it may be frames."""
    behind = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    async with _web(tmp_path, free_ports) as port:
        answer = await _answer(port, _upgrade("/x") + behind)
        assert answer.startswith(b"HTTP/1.1 404 ")
        assert answer.count(b"HTTP/1.1 ") == 1
        assert b"Connection: close" in answer


async def test_requests_that_follow_each_other_at_once_are_answered(
    tmp_path: Path, free_ports: Ports
) -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"logout.user","params":{"access_token":"%s"}}' % TOKEN.encode()
    body += b" " * 300_000
    head = b"POST /v4.0 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    last = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    async with _web(tmp_path, free_ports) as port:
        answer = await _answer(port, (head + body) * 5 + last)
        assert answer.count(b"HTTP/1.1 200 OK") == 6
        one_byte_chunks = _CHUNKED + b"".join(b"1\r\n%c\r\n" % one for one in body[:2000] + b" " * 20_000)
        answer = await _answer(port, one_byte_chunks + b"0\r\nX-A: b\r\n\r\n" + last)
        assert answer.count(b"HTTP/1.1 200 OK") == 2


async def test_a_head_has_a_limit(tmp_path: Path, free_ports: Ports) -> None:
    async with _web(tmp_path, free_ports) as port:
        fits = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + _HEADER * 3 + b"\r\n"
        assert len(fits) < HEAD_MAX
        assert b" 200 OK" in await _answer(port, fits)
        too_long = b"GET /health HTTP/1.1\r\nHost: x\r\n" + _HEADER * 7
        assert b" 400 Bad Request" in await _answer(port, too_long)


async def test_the_bytes_of_all_requests_are_bounded(
    tmp_path: Path, free_ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each client has less than its own limits; a client that had a valid token is served all the same."""
    monkeypatch.setattr("trunkline.apis.stored_bytes.STORED_OF_UNKNOWN", 2_000_000)
    loop = asyncio.get_running_loop()
    body = b'{"jsonrpc":"2.0","id":1,"method":"logout.user","params":{"access_token":"%s"}}' % TOKEN.encode()
    body += b" " * (900_000 - len(body))
    head = b"POST /v4.0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with _web(tmp_path, free_ports) as port:
        assert b"200 OK" in await _answer(port, head + body), "the address is known now"
        with contextlib.ExitStack() as stack:
            refused = list[bytes]()
            for number in range(8):
                stranger = stack.enter_context(socket.socket())
                stranger.bind((f"127.0.2.{1 + number}", 0))
                stranger.setblocking(False)
                await loop.sock_connect(stranger, ("127.0.0.1", port))
                with contextlib.suppress(OSError):
                    await loop.sock_sendall(stranger, head + body[:-1])
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(0.5):
                        refused.append(await loop.sock_recv(stranger, 2000))
            assert len(refused) >= 6
            assert all(b" 503 Service Unavailable" in one and b"Retry-After: 5" in one for one in refused)
            assert b"200 OK" in await _answer(port, head + body)
        await asyncio.sleep(0.2)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.2.1", 0))
        writer.write(head + body)
        assert b"200 OK" in await asyncio.wait_for(reader.read(), 20), "requests are stored again"
        writer.close()


COUNT, SIZE = 20, 8000
"""Clients, and bytes of each."""


async def test_a_small_request_has_space_beside_clients_that_send_much(
    tmp_path: Path, free_ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the process has no time for turns, unknown clients fill their share; who sends little gets in all the same."""
    monkeypatch.setattr("trunkline.apis.stored_bytes.STORED_OF_UNKNOWN", COUNT * SIZE)
    has_time, give_turns = asyncio.Event(), Turns._give_turns
    monkeypatch.setattr(Turns, "_give_turns", lambda turns: give_turns(turns) if has_time.is_set() else None)
    has_time.set()
    loop = asyncio.get_running_loop()
    async with _web(tmp_path, free_ports) as port:
        with contextlib.ExitStack() as stack:
            connections = []
            for number in range(COUNT + 1):
                one = stack.enter_context(socket.socket())
                one.bind((f"127.0.3.{1 + number}", 0))
                one.setblocking(False)
                await loop.sock_connect(one, ("127.0.0.1", port))
                connections.append(one)
            *strangers, client = connections
            await asyncio.sleep(0.2)  # all are accepted
            has_time.clear()
            for one in strangers:
                await loop.sock_sendall(one, b"x" * SIZE)
            await asyncio.sleep(0.2)  # all of it is read
            await loop.sock_sendall(client, b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            await asyncio.sleep(0.2)
            has_time.set()
            answer = await asyncio.wait_for(loop.sock_recv(client, 2000), 20)
        assert answer.startswith(b"HTTP/1.1 200 OK")
