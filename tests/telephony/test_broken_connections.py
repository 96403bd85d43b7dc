"""Connections to Asterisk that are reset or fall silent, without Asterisk: a small server in its place."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop
from aiohttp import web
from aiohttp.test_utils import TestServer

from trunkline.core import response_timeout
from trunkline.telephony import ami, ari, http_pool
from trunkline.telephony.ami import AmiAddress, AmiClient, AmiDown, AmiMessage, AmiNotConnected, AmiUp
from trunkline.telephony.ari import AriAddress, AriClient, AriError
from trunkline.telephony.http_pool import HttpError, HttpPool, HttpTimeout
from trunkline.testing.proxy import FaultProxy

pytestmark = pytest.mark.shells

RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def on_uvloop(work: Coroutine[Any, Any, None]) -> None:
    """As the roles run: uvloop raises RuntimeError for a write on a closed transport."""
    uvloop.run(asyncio.wait_for(work, 30))


@asynccontextmanager
async def http_server() -> AsyncIterator[FaultProxy]:
    """A proxy before a server that answers each request with ``{}``."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(RESPONSE)
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, FaultProxy(server.sockets[0].getsockname()[1]) as proxy:
        yield proxy


def test_requests_after_a_reset_of_kept_connections_succeed() -> None:
    async def work() -> None:
        async with http_server() as proxy:
            pool = HttpPool("127.0.0.1", proxy.port, "Basic eA==", 8, 2.0)
            for _ in range(20):
                answers = await asyncio.gather(*(pool.request("GET", "/", None, None) for _ in range(8)))
                assert {status for status, _ in answers} == {200}
                proxy.reset()
                # Some of the next requests find the connection closed, others about to be.
                answers = await asyncio.gather(*(pool.request("GET", "/", None, None) for _ in range(8)))
                assert {status for status, _ in answers} == {200}
            pool.close()

    on_uvloop(work())


def test_a_request_without_a_server_is_an_http_error() -> None:
    async def work() -> None:
        async with http_server() as proxy:
            pool = HttpPool("127.0.0.1", proxy.port, "Basic eA==", 8, 2.0)
            await pool.request("GET", "/", None, None)
            proxy.down()
            for _ in range(5):
                with pytest.raises(HttpError):
                    await pool.request("GET", "/", None, None)
            proxy.heal()
            assert await pool.request("GET", "/", None, None) == (200, b"{}")
            pool.close()

    on_uvloop(work())


def test_the_wait_for_a_free_connection_is_no_late_response() -> None:
    """Many commands at once, after a large recovery: each is late only when Asterisk is late with it."""
    limit = 2.0

    async def work() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(asyncio.IncompleteReadError, OSError):
                while await reader.readuntil(b"\r\n\r\n"):
                    await asyncio.sleep(limit / 4)
                    writer.write(RESPONSE)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            pool = HttpPool("127.0.0.1", server.sockets[0].getsockname()[1], "Basic eA==", 1, limit)
            answers = await asyncio.gather(*(pool.request("GET", "/", None, None) for _ in range(6)))
            assert {status for status, _ in answers} == {200}
            pool.close()

    on_uvloop(work())


@pytest.mark.durability
def test_a_response_that_came_while_this_process_was_stopped_is_not_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Calls that Asterisk had answered ended as unanswered when the switch went on: each response counted as missing."""
    monkeypatch.setattr(response_timeout, "LATE_SECONDS", 0.1)
    asked = threading.Event()

    def serve(listening: socket.socket) -> None:
        peer, _ = listening.accept()
        peer.recv(1 << 16)
        asked.set()
        time.sleep(0.1)
        peer.sendall(RESPONSE)
        peer.recv(1)

    async def work(port: int) -> None:
        pool = HttpPool("127.0.0.1", port, "Basic eA==", 1, 0.2)
        response = asyncio.ensure_future(pool.request("GET", "/", None, None))
        while not asked.is_set():
            await asyncio.sleep(0)
        time.sleep(0.6)
        assert (await response)[0] == 200
        pool.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        on_uvloop(work(listening.getsockname()[1]))
        thread.join()


def test_a_request_that_was_never_sent_is_no_late_response(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_pool, "PLACE_SECONDS", 0.3)

    async def work() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(asyncio.IncompleteReadError, OSError):
                await reader.readexactly(1 << 20)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            pool = HttpPool("127.0.0.1", server.sockets[0].getsockname()[1], "Basic eA==", 1, 60.0)
            sent = asyncio.ensure_future(pool.request("GET", "/", None, None))
            await asyncio.sleep(0)
            with pytest.raises(HttpError) as caught:
                await pool.request("GET", "/", None, None)
            assert not isinstance(caught.value, HttpTimeout)
            sent.cancel()
            await asyncio.gather(sent, return_exceptions=True)
            with pytest.raises(HttpTimeout):
                await pool.request("GET", "/", None, None, 0.1)
            pool.close()

    on_uvloop(work())


def test_a_write_on_a_transport_that_uvloop_has_closed_is_an_http_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The transport closes between two looks at it: uvloop raises RuntimeError, not OSError."""

    def closed(_: asyncio.StreamWriter, data: bytes) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    async def work() -> None:
        async with http_server() as proxy:
            pool = HttpPool("127.0.0.1", proxy.port, "Basic eA==", 8, 2.0)
            with monkeypatch.context() as patch:
                patch.setattr(asyncio.StreamWriter, "write", closed)
                with pytest.raises(HttpError):
                    await pool.request("GET", "/", None, None)
            client = AriClient(AriAddress(proxy.port, "user", "secret"), "app")
            with monkeypatch.context() as patch:
                patch.setattr(asyncio.StreamWriter, "write", closed)
                with pytest.raises(AriError):
                    await client.get("/channels")

    on_uvloop(work())


@asynccontextmanager
async def manager_server() -> AsyncIterator[FaultProxy]:
    """A proxy before a server that greets as AMI does and accepts each action."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"Asterisk Call Manager/11.0.0\r\n")
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                [action_id] = [
                    line.partition(b": ")[2] for line in head.split(b"\r\n") if line.startswith(b"ActionID")
                ]
                writer.write(b"Response: Success\r\nActionID: " + action_id + b"\r\n\r\n")
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, FaultProxy(server.sockets[0].getsockname()[1]) as proxy:
        yield proxy


def test_the_manager_interface_returns_after_resets() -> None:
    async def work() -> None:
        async with manager_server() as proxy, AmiClient(AmiAddress(proxy.port, "user", "secret")) as client:
            events = client.events()
            for _ in range(3):
                assert isinstance(await anext(events), AmiUp)
                assert (await client.action("Ping")).get("Response") == "Success"
                proxy.reset()
                assert isinstance(await anext(events), AmiDown)
                with pytest.raises(AmiNotConnected):
                    await client.action("Ping")

    on_uvloop(work())


def test_a_manager_interface_that_is_silent_at_the_log_in_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ami, "_HANDSHAKE_SECONDS", 0.2)

    async def work() -> None:
        async with manager_server() as proxy:
            proxy.silence()
            async with AmiClient(AmiAddress(proxy.port, "user", "secret")) as client:
                with pytest.raises(TimeoutError):
                    await client.wait_up(0.5)
                proxy.heal()
                await client.wait_up()

    on_uvloop(work())


def test_an_event_stream_that_is_silent_at_the_handshake_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ari, "_HANDSHAKE_SECONDS", 0.2)
    attempts = 0

    async def work() -> None:
        tried = asyncio.Event()

        async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal attempts
            attempts += 1
            if attempts == 3:
                tried.set()
            await reader.read()
            writer.close()

        server = await asyncio.start_server(swallow, "127.0.0.1", 0)
        async with server, AriClient(AriAddress(server.sockets[0].getsockname()[1], "u", "s"), "app"):
            await tried.wait()

    on_uvloop(work())


def test_who_waits_after_a_reconnect_waits_for_the_new_event_stream() -> None:
    async def work() -> None:
        streams = 0

        async def stream(request: web.Request) -> web.WebSocketResponse:
            nonlocal streams
            streams += 1
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            await socket.receive()
            return socket

        application = web.Application()
        application.router.add_get("/ari/events", stream)
        async with TestServer(application) as server:
            assert server.port
            async with AriClient(AriAddress(server.port, "user", "secret"), "app") as client:
                await client.wait_up()
                client.reconnect("silent")
                assert not client.is_up
                await client.wait_up()
                assert streams == 2

    on_uvloop(work())


FAILURE = (
    b"Event: InvalidAccountID\r\nPrivilege: security,all\r\nEventTV: x\r\nSeverity: Error\r\nService: PJSIP\r\n"
    b"EventVersion: 1\r\nAccountID: "
    + b"n"
    * 3000
    + b"\r\nSessionID: s\r\nLocalAddress: IPV4/TCP/192.0.2.1/5060\r\n"
    b"RemoteAddress: IPV4/TCP/192.0.2.7/5060\r\n\r\n"
)


def test_events_that_nobody_takes_are_not_read() -> None:
    """A flood of events waits in Asterisk, not in the memory of the switch, and none is lost."""
    count = 8_000  # 26 MB, more than the kernel keeps
    sent = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"Asterisk Call Manager/11.0.0\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        [action_id] = [
            line.partition(b": ")[2] for line in head.split(b"\r\n") if line.startswith(b"ActionID")
        ]
        writer.write(b"Response: Success\r\nActionID: " + action_id + b"\r\n\r\n")
        for _ in range(count // 100):
            writer.write(FAILURE * 100)
            await writer.drain()
        sent.set()

    async def work() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = AmiAddress(server.sockets[0].getsockname()[1], "user", "secret")
        async with server, AmiClient(address, queue_max=20) as client:
            events = client.events()
            assert isinstance(await anext(events), AmiUp)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(sent.wait(), 1.0)
            assert client._queue.qsize() <= 20
            for _ in range(count):
                assert isinstance(await anext(events), AmiMessage)
            assert sent.is_set()

    on_uvloop(work())
