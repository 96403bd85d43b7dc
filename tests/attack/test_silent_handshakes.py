"""A connection to a TLS port of the engine that sends no handshake is ended by the supervisor; one that sends is not."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.telephony.conftest import Pbx
from tests.telephony.conftest import pbx as pbx  # the fixture
from trunkline.runtime import handshakes, sip_connections
from trunkline.runtime.child_sockets import ESTABLISHED, LISTENING, TcpSocket

pytestmark = pytest.mark.attack

_SERVER = """
import asyncio, sys
async def serve(reader, writer):
    await reader.read()
    writer.close()
async def main():
    servers = [await asyncio.start_server(serve, "127.0.0.1", 0) for _ in range(2)]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
"""Accepts and waits, as a program without deadlines does."""


@contextlib.asynccontextmanager
async def _server() -> AsyncIterator[tuple[subprocess.Popen[str], list[int]]]:
    child = subprocess.Popen([sys.executable, "-c", _SERVER], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        yield child, [int(word) for word in (await asyncio.to_thread(child.stdout.readline)).split()]
    finally:
        child.kill()
        child.wait()


async def _closed(reader: asyncio.StreamReader) -> None:
    async with asyncio.timeout(30):
        await _ended(reader)


async def _ended(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        while await reader.read(1000):
            pass


async def test_silent_connections_are_ended() -> None:
    async with _server() as (child, (port, other_port)):
        watching = handshakes.watch(child.pid, {port}, seconds=0.3, check_period=0.1)
        silent = await asyncio.open_connection("127.0.0.1", port)
        begun = await asyncio.open_connection("127.0.0.1", port)
        begun[1].write(b"\x16\x03\x01\x02\x00\x01")
        kept = await asyncio.open_connection("127.0.0.1", port)
        kept[1].write(b"x" * handshakes.SMALLEST_HANDSHAKE)
        elsewhere = await asyncio.open_connection("127.0.0.1", other_port)
        await _closed(silent[0])
        await _closed(begun[0])
        late = await asyncio.open_connection("127.0.0.1", port)
        await _closed(late[0])
        assert not kept[0].at_eof()
        assert not elsewhere[0].at_eof()
        child.kill()
        await asyncio.to_thread(watching.join, 30)
        assert not watching.is_alive()


def test_a_connection_is_looked_at_once() -> None:
    deadlines = handshakes.Deadlines({5061}, 15)
    one, two = TcpSocket("1", ESTABLISHED, 5061), TcpSocket("2", ESTABLISHED, 5061)
    others = [TcpSocket("3", LISTENING, 5061), TcpSocket("4", ESTABLISHED, 5060)]
    assert deadlines.due([one, *others], 0) == set()
    assert deadlines.due([one, two, *others], 14) == set()
    assert deadlines.due([one, two, *others], 15) == {"1"}
    assert deadlines.due([one, two, *others], 29) == {"2"}
    assert deadlines.due([one, two], 100) == set()
    assert deadlines.due([], 101) == set()
    assert deadlines.due([one], 102) == set()
    assert deadlines.due([one], 117) == {"1"}


@pytest.mark.engine
async def test_handshakes_that_stop_halfway_leave_room_to_others(pbx: Pbx, tmp_path: Path) -> None:
    """A thousand connections of one address that begin a handshake and stop; another address is served."""
    port, most = pbx.config.ports.tls, 500
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    async with pbx.engine():
        ports, limits = sip_connections.Ports(0, port, 0), sip_connections.Limits(tls_per_address=most)
        sip_connections.watch(pbx.pid, ports, limits, lambda _: None, tmp_path / "bans.json")
        hello, writers, ends, closed_at_once = _half_handshake(trust), [], [], 0
        for number in range(1000):
            try:
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", port, local_addr=("127.0.0.31", 0)
                )
            except ConnectionResetError:  # closed as one too many before this process saw it open
                closed_at_once += 1
            else:
                writer.write(hello)
                writers.append(writer)
                ends.append(asyncio.create_task(_ended(reader)))
            if number % 10 == 9:
                await asyncio.sleep(0.05)  # the queue of the port takes them all
        try:
            async with asyncio.timeout(60):
                for ended in itertools.islice(asyncio.as_completed(ends), 1000 - closed_at_once - most):
                    await ended
            other = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
            assert not other[0].at_eof()
            other[1].close()
        finally:
            for writer in writers:
                writer.transport.abort()
            await asyncio.gather(*ends)


def _half_handshake(trust: ssl.SSLContext) -> bytes:
    """A whole ClientHello, to which nothing follows."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        trust.wrap_bio(incoming, outgoing, server_hostname="pbx.example").do_handshake()
    return outgoing.read()


@pytest.mark.engine
async def test_the_engine_takes_a_handshake_and_loses_what_sends_none(pbx: Pbx) -> None:
    ports = pbx.config.ports
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    async with pbx.engine():
        handshakes.watch(pbx.pid, {ports.tls, ports.wss}, seconds=1.0, check_period=0.2)
        for port in (ports.tls, ports.wss):
            shaken = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
            silent = await asyncio.open_connection("127.0.0.1", port)
            await _closed(silent[0])
            assert not shaken[0].at_eof()
            shaken[1].close()
