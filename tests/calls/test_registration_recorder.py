"""Table ``registrations`` follows the devices that the switch knows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import structlog

from tests.calls.company import ACCOUNT, ANNA_LINE, BORIS_LINE, company
from trunkline.calls.switch import registration_recorder
from trunkline.calls.switch.presence import Presence
from trunkline.calls.switch.registration_recorder import RegistrationRecorder, registering
from trunkline.core.clock import Instant
from trunkline.core.errors import DatabaseUnavailable
from trunkline.db.pool import Connection, Database
from trunkline.directory.model import Directory
from trunkline.telephony.port import Registered, Unregistered

LINES = {1: ANNA_LINE, 2: BORIS_LINE}


def registered(line: str, expires_at: float, at: float) -> Registered:
    return Registered(
        at=Instant(at), line=line, contact_uri=f"sip:{line}@192.0.2.1", ip="192.0.2.1", port=5060, transport="udp",
        user_agent="Desk", expires_at=Instant(expires_at), round_trip_us=None, reachable=True,
    )  # fmt: skip


async def rows(db: Database) -> dict[int, float]:
    found = await db.fetch_all(
        "select sip_line_id, extract(epoch from expires_at)::float8 as ends from registrations where account_id = %s",
        (ACCOUNT,),
    )
    return {row["sip_line_id"]: row["ends"] for row in found}


async def wait_rows(db: Database, expected: dict[int, float]) -> None:
    deadline = time.monotonic() + 30
    while (found := await rows(db)) != expected:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.02)


class Counting:
    """The database; counts the connections that were taken."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.taken = 0

    def connection(self, *args: Any, **more: Any) -> AbstractAsyncContextManager[Connection]:
        self.taken += 1
        return self._db.connection(*args, **more)


def recorder_of(db: Any, lines: Sequence[int] = (1, 2)) -> RegistrationRecorder:
    directory = Directory({ACCOUNT: company()})
    assert {line_id: company().lines[line_id].phone_number for line_id in lines} == LINES
    return RegistrationRecorder(db, Presence(), lambda: directory)


class Breakable(Counting):
    """The database; can be unavailable."""

    is_available = False

    def connection(self, *args: Any, **more: Any) -> AbstractAsyncContextManager[Connection]:
        if not self.is_available:
            self.taken += 1
            raise DatabaseUnavailable("no connection")
        return super().connection(*args, **more)


async def insert_lines(db: Database) -> None:
    for line_id, login in LINES.items():
        await db.execute(
            "insert into sip_lines (account_id, sip_line_id, phone_number, ha1_md5, ha1_sha256)"
            " values (%s, %s, %s, %s, %s)",
            (ACCOUNT, line_id, login, "0" * 32, "0" * 64),
        )


@pytest.mark.durability
async def test_what_waits_is_bounded_and_the_newest_is_kept(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A phone that comes and goes during an outage; the other line keeps its event, and both have their rows at the end."""
    monkeypatch.setattr(registration_recorder, "RETRY_SECONDS", 0.01)
    await insert_lines(db)
    database = Breakable(db)
    recorder = recorder_of(database)
    with structlog.testing.capture_logs() as logged:
        async with registering(recorder):
            recorder.handle(registered(BORIS_LINE, 5_000.0, 1.0))
            for second in range(1000):
                recorder.handle(registered(ANNA_LINE, 5_000.0 + second, float(second)))
                recorder.handle(Unregistered(Instant(second + 0.5), ANNA_LINE, f"sip:{ANNA_LINE}@192.0.2.1"))
                if second % 200 == 0:
                    await asyncio.sleep(0.15)
            assert recorder.waiting <= registration_recorder.EVENTS_OF_LINE_MAX + 1
            recorder.handle(registered(ANNA_LINE, 9_000.0, 2_000.0))
            before = database.taken
            while database.taken < before + 3:
                await asyncio.sleep(0.01)
            assert recorder.waiting <= registration_recorder.EVENTS_OF_LINE_MAX + 1
            database.is_available = True
            await wait_rows(db, {1: 9_000.0, 2: 5_000.0})
            while recorder.waiting:
                await asyncio.sleep(0.01)
            rows_of = await db.fetch_all("select type, stream from stream_events order by stream, seq")
    types = [row["type"] for row in rows_of if row["stream"] == "line:1"]
    assert len(types) == registration_recorder.EVENTS_OF_LINE_MAX
    assert types[-2:] == ["line_lost", "line_registered"]
    assert [row["type"] for row in rows_of if row["stream"] == "line:2"] == ["line_registered"]
    assert [one["event"] for one in logged].count("registrations_unwritten") == 1
    [written] = [one for one in logged if one["event"] == "registrations_written"]
    assert written["dropped"] == 2001 - registration_recorder.EVENTS_OF_LINE_MAX


async def test_events_of_many_lines_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration_recorder, "EVENTS_MAX", 100)
    recorder = recorder_of(None)
    for number in range(10_000):
        recorder.handle(registered(f"100{number % 90}", 5_000.0, float(number)))
        recorder.handle(
            Unregistered(Instant(number + 0.5), f"100{number % 90}", f"sip:100{number % 90}@192.0.2.1")
        )
    assert recorder.waiting <= 100 + 90


async def test_refreshes_move_the_expiry_of_many_lines_in_one_transaction(db: Database) -> None:
    await insert_lines(db)
    counting = Counting(db)
    recorder = recorder_of(counting)
    async with registering(recorder):
        for login in LINES.values():
            recorder.handle(registered(login, 1_000.0, 900.0))
        await wait_rows(db, {1: 1_000.0, 2: 1_000.0})
        before = counting.taken
        for login in LINES.values():
            recorder.handle(registered(login, 2_000.0, 990.0))
        await wait_rows(db, {1: 2_000.0, 2: 2_000.0})
        assert counting.taken - before == 1
        recorder.handle(Unregistered(Instant(2_001.0), BORIS_LINE, f"sip:{BORIS_LINE}@192.0.2.1"))
        await wait_rows(db, {1: 2_000.0})
