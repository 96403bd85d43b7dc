"""A tenant's streams take nothing from others: what a client may send over them, and how often it opens one, is bounded."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import struct
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.apis.support import TOKEN, ApisOnFakes
from trunkline.apis.jsonrpc import Services
from trunkline.apis.listener import Connection
from trunkline.apis.service.incoming_budget import (
    ACCOUNT_BURST,
    BURST,
    FRAME_COST,
    RATE,
    IncomingBudgets,
)
from trunkline.apis.web import build_app, serving
from trunkline.core.settings import Settings, WebSettings
from trunkline.db.pool import Database
from trunkline.events.feed import CallFeed

pytestmark = pytest.mark.attack

Ports = Callable[[int], list[int]]

ACCOUNT = 1001
MASK = b"\0\0\0\0"
EMPTY_PING = b"\x89\x80" + MASK
FRAMES = {
    "empty pings": EMPTY_PING,
    "unmasked pings": b"\x89\x00",
    "large pings": b"\x89\xfd" + MASK + b"x" * 125,
    "pongs": b"\x8a\x80" + MASK,
    "texts": b"\x81\x80" + MASK,
    "fragments that never end": b"\x00\x80" + MASK,
}


@dataclass
class _Web:
    port: int
    feed: CallFeed

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
        """A stream, as far as the head of the answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET /v4.0/stream?access_token={TOKEN} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        return reader, writer, await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)


@contextlib.asynccontextmanager
async def _web(database: str, folder: Path, ports: Ports) -> AsyncIterator[_Web]:
    [port] = ports(1)
    settings = Settings(data_dir=folder, web=WebSettings(http_port=port, https_port=0))
    async with await Database.open(database) as db, CallFeed(db) as feed:
        fakes = ApisOnFakes(database=db)
        services = Services(fakes.accounts, fakes.switch, settings, db)
        app = build_app(services, request_log=fakes.request_log, feed=feed)
        async with serving(app, settings):
            yield _Web(port, feed)


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes of WebSockets that were parsed, one number for each piece."""
    sizes: list[int] = []
    known = Connection.data_received

    def noted(self: Connection, data: bytes) -> None:
        was_paused = self._reading_paused
        is_websocket = self._payload_parser is not None
        known(self, data)
        if is_websocket and not (self._reading_paused and not was_paused):
            sizes.append(len(data))

    monkeypatch.setattr(Connection, "data_received", noted)
    return sizes


async def _flood(writer: asyncio.StreamWriter, frame: bytes, seconds: float) -> None:
    piece = frame * (20_000 // len(frame))
    with contextlib.suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                writer.write(piece)
                await writer.drain()


async def _close_frame(reader: asyncio.StreamReader) -> tuple[int, str]:
    """The code and the reason with which the server closes; pongs before it are skipped."""
    async with asyncio.timeout(20):
        while True:
            head = await reader.readexactly(2)
            payload = await reader.readexactly(head[1] & 0x7F)
            if head[0] & 0x0F == 8:
                return struct.unpack("!H", payload[:2])[0], payload[2:].decode()


@pytest.mark.parametrize("kind", FRAMES)
async def test_a_stream_that_sends_too_much_is_closed(
    database: str, tmp_path: Path, free_ports: Ports, kind: str, parsed: list[int]
) -> None:
    async with _web(database, tmp_path, free_ports) as own:
        reader, writer, head = await own.open()
        assert b" 101 " in head
        if kind == "fragments that never end":
            writer.write(b"\x01\x80" + MASK)
        flooding = asyncio.create_task(_flood(writer, FRAMES[kind], 3))
        code, reason = await _close_frame(reader)
        assert (code, reason) == (1008, "the client sends too much: it only has to answer pings")
        await flooding
        assert sum(parsed) <= BURST + 10 * RATE, "what is beyond the budget is not even parsed"
        writer.close()


async def test_frames_that_come_with_the_upgrade_count(
    database: str, tmp_path: Path, free_ports: Ports
) -> None:
    async with _web(database, tmp_path, free_ports) as own:
        reader, writer = await asyncio.open_connection("127.0.0.1", own.port)
        head = (
            f"GET /v4.0/stream?access_token={TOKEN} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        writer.write(head.encode() + EMPTY_PING * 8_000)
        assert b" 101 " in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        assert (await _close_frame(reader))[0] == 1008
        writer.close()


async def test_a_client_that_answers_and_sends_pings_is_not_closed(
    database: str, tmp_path: Path, free_ports: Ports
) -> None:
    async with _web(database, tmp_path, free_ports) as own:
        reader, writer, _ = await own.open()
        for _ in range(100):
            writer.write(EMPTY_PING)
        assert await asyncio.wait_for(reader.readexactly(200), 20) == b"\x8a\x00" * 100
        assert own.feed.watchers(ACCOUNT) == 1
        writer.close()


async def test_floods_over_many_streams_delay_nobody(
    database: str, tmp_path: Path, free_ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _web(database, tmp_path, free_ports) as own:
        streams = [await own.open() for _ in range(30)]
        floods = [asyncio.create_task(_flood(writer, EMPTY_PING, 2)) for _, writer, _ in streams]
        longest = 0.0
        while not all(one.done() for one in floods):
            began = time.thread_time()
            await asyncio.sleep(0.001)
            longest = max(longest, time.thread_time() - began)
        assert longest < 0.3
        codes = [(await _close_frame(reader))[0] for reader, _, _ in streams]
        assert set(codes) == {1008}
        monkeypatch.setattr(IncomingBudgets, "is_used_up", lambda *_: True)
        _, writer, head = await own.open()
        assert b" 429 " in head, "no further one while the account has nothing left"
        for one in (writer, *(writer for _, writer, _ in streams)):
            one.close()


def test_budgets_come_back_with_time() -> None:
    now = 0.0
    budgets = IncomingBudgets(lambda: now)
    own = budgets.open(ACCOUNT)
    assert own.take(BURST)
    now = 10.0
    assert own.take(10 * RATE - FRAME_COST)
    assert own.take_frame()
    assert not own.take(1)
    assert own.exceeded.is_set()
    assert not own.is_of_account
    now = 20.0
    assert not own.take(1), "it is closed already"


def test_the_account_has_a_budget_for_all_its_streams() -> None:
    budgets = IncomingBudgets(lambda: 0.0)
    spent = [budgets.open(ACCOUNT).take(BURST) for _ in range(ACCOUNT_BURST // BURST)]
    assert all(spent)
    assert budgets.is_used_up(ACCOUNT)
    last = budgets.open(ACCOUNT)
    assert not last.take(1)
    assert last.is_of_account
    assert not budgets.is_used_up(1002)
    assert budgets.open(1002).take(BURST)


async def test_opening_streams_again_and_again_is_bounded(
    database: str, tmp_path: Path, free_ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trunkline.apis.event_sockets.REFUSAL_SECONDS", 0.1)
    async with _web(database, tmp_path, free_ports) as own:
        opened = 0
        began = time.monotonic()
        while time.monotonic() < began + 6:
            _, writer, head = await own.open()
            opened += b" 101 " in head
            writer.close()
        assert 100 < opened < 128 + 32 * 8
