"""Who has no token cannot stop the web process: no body keeps its event loop busy for long, and what is not completed in
time, or is opened too often, is closed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import gzip
import os
import re
import socket
import threading
import time
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from tests.apis.support import TOKEN, ApisOnFakes, mnemonic
from trunkline.accounts import passwords
from trunkline.apis.body import MEMBERS_MAX, BodyTooLarge, BodyUnreadable, Inflater
from trunkline.apis.jsonrpc import Services
from trunkline.apis.web import Endpoints, build_app, serving
from trunkline.core import patterns
from trunkline.core.settings import Settings, WebSettings
from trunkline.core.threads import NICENESS, half_of_the_processors
from trunkline.demo.certificate import certify

pytestmark = pytest.mark.attack

Ports = Callable[[int], list[int]]

LONGEST_STEP = 0.05
"""Seconds of processor time between two steps of the event loop."""

MIB = 1_048_576


@contextlib.asynccontextmanager
async def _web(folder: Path, ports: Ports, **changes: Any) -> AsyncIterator[Endpoints]:
    http, https = ports(2)
    fields = {"http_port": http, "https_port": https, "https_bind": "127.0.0.1", **changes}
    settings = Settings(data_dir=folder, web=WebSettings.model_validate(fields))
    certify(settings)
    fakes = ApisOnFakes()
    app = build_app(Services(fakes.accounts, fakes.switch, settings), request_log=fakes.request_log)
    async with serving(app, settings) as endpoints:
        yield endpoints


class _Steps:
    """The longest step of the event loop, in processor time: a machine that is busy elsewhere does not count."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def watch(self) -> None:
        while True:
            began = time.thread_time()
            await asyncio.sleep(0.001)
            self.longest = max(self.longest, time.thread_time() - began)


@contextlib.asynccontextmanager
async def _watched() -> AsyncIterator[_Steps]:
    gc.collect()
    gc.freeze()  # as a role does when it is ready
    steps = _Steps()
    task = asyncio.create_task(steps.watch())
    try:
        yield steps
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        gc.unfreeze()


def _port(url: str | None) -> int:
    assert url is not None
    return int(url.rpartition(":")[2])


def _post(port: int, body: bytes, encoding: str) -> tuple[int, bytes]:
    """Sends a request by hand, in a thread; status and body of the answer."""
    head = (
        f"POST /v4.0 HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        f"Content-Encoding: {encoding}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        with contextlib.suppress(ConnectionError):  # it may answer before it has all
            connection.sendall(head.encode() + body)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while piece := connection.recv(65_536):
                answer += piece
    head_of_answer, _, rest = answer.partition(b"\r\n\r\n")
    return int(head_of_answer.split()[1]), rest


def _zeros(bytes_in_all: int, bits: int) -> bytes:
    compressor = zlib.compressobj(1, wbits=bits)
    block = bytes(MIB)
    pieces = [compressor.compress(block) for _ in range(bytes_in_all // MIB)]
    return b"".join((*pieces, compressor.flush()))


def _message(inside: bytes) -> bytes:
    return b'{"jsonrpc":"2.0","id":1,"method":"logout.user","params":' + inside + b"}"


_MANY = b"[" + b"[]," * 340_000 + b"[]]"
_BODIES = {
    "deflate bomb": (lambda: _zeros(220 * MIB, 15), "deflate", 413, "invalid_request"),
    "bare deflate bomb": (lambda: _zeros(220 * MIB, -15), "deflate", 413, "invalid_request"),
    "gzip bomb": (lambda: _zeros(220 * MIB, 31), "gzip", 413, "invalid_request"),
    "gzip of many members": (lambda: gzip.compress(b"")[:20] * 50_000, "gzip", 200, "parse_error"),
    "gzip of many arrays": (lambda: gzip.compress(_MANY), "gzip", 200, "invalid_request"),
    "many arrays": (lambda: _MANY, "identity", 200, "invalid_request"),
    "many objects": (
        lambda: _message(b'{"a":[' + b"{}," * 340_000 + b"{}]}"),
        "identity",
        200,
        "invalid_request",
    ),
    "many names": (
        lambda: _message(b"{" + b",".join(b'"%x":0' % n for n in range(100_000)) + b"}"),
        "identity",
        200,
        "invalid_request",
    ),
    "as many names as are read": (
        lambda: _message(b"{" + b",".join(b'"%x":0' % n for n in range(9_900)) + b"}"),
        "identity",
        200,
        "invalid_request",
    ),
    "as many parameters as are looked at": (
        lambda: _message(b"{" + b",".join(b'"%x%s":0' % (n, b"x" * 2000) for n in range(500)) + b"}"),
        "identity",
        200,
        "required_parameter_missed",
    ),
    "a long name of a method": (
        lambda: b'{"jsonrpc":"2.0","id":1,"params":{},"method":"' + b"get.account" * 90_000 + b'"}',
        "identity",
        200,
        "method_not_found",
    ),
    "as many arrays as are read": (
        lambda: _message(b'{"access_token":"x","a":[' + b"[]," * 9_900 + b"[]]}"),
        "identity",
        200,
        "access_token_invalid",
    ),
    "one name twice": (lambda: _message(b'{"a:":1,"a:":1}'), "identity", 200, "parse_error"),
    "escapes": (
        lambda: _message(b'{"access_token":"' + b'\\",:[' * 200_000 + b'"}'),
        "identity",
        200,
        "access_token_invalid",
    ),
    "nested arrays": (lambda: b"[" * 1_000_000, "identity", 200, "invalid_request"),
    "digits": (lambda: _message(b"1" * 1_000_000), "identity", 200, "parse_error"),
    "an unfinished string": (lambda: b'"' + b"a" * 1_000_000, "identity", 200, "parse_error"),
    "no UTF-8": (lambda: b'"' + b"\xff" * 1_000_000 + b'"', "identity", 200, "parse_error"),
}


@pytest.mark.parametrize("name", _BODIES)
async def test_no_body_keeps_the_event_loop_busy(tmp_path: Path, free_ports: Ports, name: str) -> None:
    make, encoding, status, expected = _BODIES[name]
    body = await asyncio.to_thread(make)
    assert len(body) <= MIB
    async with _web(tmp_path, free_ports) as endpoints, _watched() as steps:
        port = _port(endpoints.http)
        answers = [await asyncio.to_thread(_post, port, body, encoding) for _ in range(3)]
    for reported, text in answers:
        answer = orjson.loads(text)
        assert (reported, mnemonic(answer)) == (status, expected)
    assert steps.longest < LONGEST_STEP


async def test_many_bodies_of_one_address_delay_no_other(tmp_path: Path, free_ports: Ports) -> None:
    """Each costs several milliseconds before its token is known."""
    body = gzip.compress(_message(b'{"access_token":"' + b'\\",:[' * 200_000 + b'"}'))
    deadline = time.monotonic() + 4

    def flood(port: int) -> None:
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, IndexError):  # it is closed at the end without an answer
                _post(port, body, "gzip")

    request = {"jsonrpc": "2.0", "id": 1, "method": "list.calls", "params": {"access_token": TOKEN}}
    async with _web(tmp_path, free_ports, trusted_proxies=["127.0.0.1/32"]) as endpoints:
        floods = [
            threading.Thread(target=flood, args=(_port(endpoints.http),), daemon=True) for _ in range(16)
        ]
        for one in floods:
            one.start()
        await asyncio.sleep(1.5)
        used, answered = time.thread_time(), 0
        async with aiohttp.ClientSession(headers={"X-Forwarded-For": "127.9.9.9"}) as session:
            while time.monotonic() < deadline and answered < 50:  # 100 a minute are allowed
                async with session.post(f"{endpoints.http}/v4.0", json=request) as response:
                    assert "result" in await response.json()
                answered += 1
                await asyncio.sleep(0.02)
        each = (time.thread_time() - used) / answered
        for one in floods:
            await asyncio.to_thread(one.join)
    assert each < 0.02, "processor time of the process between two answers"


def test_inflating_ends_one_byte_past_the_limit() -> None:
    bomb = _zeros(64 * MIB, 31)
    inflater = Inflater(gzip=True, limit=1000)
    with pytest.raises(BodyTooLarge):
        inflater.feed(bomb)
    assert inflater.produced == 1001


def test_inflating_gives_what_was_compressed() -> None:
    text = b"".join(b"%d," % number for number in range(50_000))
    for compressed, is_gzip in (
        (gzip.compress(text), True),
        (gzip.compress(text[:1000]) + gzip.compress(text[1000:]), True),
        (zlib.compress(text), False),
        (zlib.compress(text, wbits=-15), False),
    ):
        for size in (1, 7, 65_536):
            inflater = Inflater(gzip=is_gzip, limit=len(text))
            pieces = [inflater.feed(compressed[at : at + size]) for at in range(0, len(compressed), size)]
            assert b"".join(pieces) == text
            assert inflater.is_complete
    inflater = Inflater(gzip=True, limit=100)
    with pytest.raises(BodyUnreadable):
        inflater.feed(gzip.compress(b"x") * (MEMBERS_MAX + 1))
    assert inflater.produced == MEMBERS_MAX


async def test_passwords_and_patterns_have_threads_that_come_after_the_event_loop() -> None:
    """However many logins are tried: a few threads check them, at a lower priority, and others stay free."""
    seen: set[tuple[str, int]] = set()

    def noted(_password: str) -> bool:
        own = threading.current_thread()
        seen.add((own.name, os.getpriority(os.PRIO_PROCESS, threading.get_native_id())))
        return True

    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    await asyncio.gather(*(passwords.in_thread(noted, "x") for _ in range(50)))
    await patterns.in_thread(noted, "x")
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before
    assert all(niceness >= NICENESS for _, niceness in seen)
    checking = {name for name, _ in seen if name.startswith("passwords")}
    assert 1 <= len(checking) <= half_of_the_processors()


async def _until_closed(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(20):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


async def _works(base: str | None) -> bool:
    message = {"jsonrpc": "2.0", "id": 1, "method": "logout.user", "params": {"access_token": TOKEN}}
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False, force_close=True)) as client,
        client.post(f"{base}/v4.0", json=message) as response,
    ):
        return mnemonic(orjson.loads(await response.read())) in ("ok", "access_token_invalid")


_HEAD = b"POST /v4.0 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"


async def test_what_is_not_completed_in_time_is_closed(tmp_path: Path, free_ports: Ports) -> None:
    deadlines = {"head_timeout": 0.4, "body_timeout": 0.4, "handshake_timeout": 0.4}
    async with _web(tmp_path, free_ports, **deadlines) as endpoints:
        for port, beginning, expected in (
            (_port(endpoints.http), b"", b"408"),
            (_port(endpoints.http), _HEAD, b"408"),
            (_port(endpoints.http), _HEAD + b"\r\n" + b"x" * 10, b"invalid_request"),
            (_port(endpoints.https), b"", b""),
            (_port(endpoints.https), b"\x16\x03\x01\x02\x00\x01", b""),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(beginning)
            answer = await _until_closed(reader)
            writer.close()
            assert expected in answer
            if not expected:
                assert answer == b""
        assert await _works(endpoints.http)
        assert await _works(endpoints.https)


async def test_a_head_that_trickles_is_closed(tmp_path: Path, free_ports: Ports) -> None:
    """Each byte does not give it more time."""
    async with _web(tmp_path, free_ports, head_timeout=0.6) as endpoints:
        reader, writer = await asyncio.open_connection("127.0.0.1", _port(endpoints.http))
        closed = asyncio.create_task(_until_closed(reader))
        for number in range(10_000):
            if closed.done():
                break
            writer.write(b"GET /" if number == 0 else b"x")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(closed), 0.05)
        # A byte that arrives after the end resets the connection, and what was not read then is lost with it.
        assert (await closed)[:12] in (b"HTTP/1.1 408", b"")
        writer.close()


async def test_a_second_head_has_the_same_time(tmp_path: Path, free_ports: Ports) -> None:
    async with _web(tmp_path, free_ports, head_timeout=0.4) as endpoints:
        reader, writer = await asyncio.open_connection("127.0.0.1", _port(endpoints.http))
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await reader.readuntil(b"}")
        writer.write(b"GET /health HT")
        assert (await _until_closed(reader)).startswith(b"HTTP/1.1 408")
        writer.close()


@pytest.mark.parametrize("pieces", [1, 2])
async def test_an_idle_connection_is_kept_for_the_next_request(
    tmp_path: Path, free_ports: Ports, pieces: int
) -> None:
    """A client that sends a request every ten seconds got an empty 408 in place of its answer, at times."""
    body = b'{"jsonrpc":"2.0","id":1,"method":"get.account","params":{"access_token":"x"}}'
    head = b"POST /v2.0 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with _web(tmp_path, free_ports, head_timeout=0.3) as endpoints:
        reader, writer = await asyncio.open_connection("127.0.0.1", _port(endpoints.http))
        for _ in range(3):
            for piece in [head + body] if pieces == 1 else [head, body]:
                writer.write(piece)
                await asyncio.sleep(0.05)
            answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
            assert answer.startswith(b"HTTP/1.1 200"), answer
            [length] = re.findall(rb"(?i)content-length: (\d+)", answer)
            await reader.readexactly(int(length))
            await asyncio.sleep(0.6)
        writer.close()


async def test_one_address_has_a_share_of_the_connections(tmp_path: Path, free_ports: Ports) -> None:
    async with _web(tmp_path, free_ports, connections_per_address=5, handshake_timeout=60) as endpoints:
        for port in (_port(endpoints.https), _port(endpoints.http)):
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await _until_closed(reader) == b""
            writer.close()
            other = socket.create_connection(
                ("127.0.0.1", _port(endpoints.http)), source_address=("127.0.0.2", 0)
            )
            other.setblocking(False)
            reader, writer = await asyncio.open_connection(sock=other)
            writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert b"200 OK" in await _until_closed(reader)
            writer.close()
            for _, writer in held:
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()
            await _eventually_works(endpoints.http)


async def _eventually_works(base: str | None) -> None:
    """The server has seen the ends of the connections a moment later."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                assert await _works(base)
                return


async def test_connections_in_all_are_bounded(tmp_path: Path, free_ports: Ports) -> None:
    async with _web(tmp_path, free_ports, connections=3) as endpoints:
        held = [await asyncio.open_connection("127.0.0.1", _port(endpoints.http)) for _ in range(6)]
        for reader, _ in held[:4]:  # a quarter is for clients that had a valid token
            assert await _until_closed(reader) == b""
        for _, one in held:
            one.close()
        await _eventually_works(endpoints.https)
