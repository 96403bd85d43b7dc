"""Events that are published in the background wait for PostgreSQL; one that it refuses delays none."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
import structlog

from tests.calls import company as c
from trunkline.calls.flows.outgoing_limits import LimitKind, LimitReached, OutgoingUsage
from trunkline.calls.switch import limit_events
from trunkline.core.clock import Instant
from trunkline.core.errors import DatabaseUnavailable
from trunkline.db.pool import Connection, Database
from trunkline.events import publisher
from trunkline.events.catalogue import EventType
from trunkline.events.publisher import Alarm, EventPublisher, Publication, publishing

AT = Instant(1.7e9)


class Breakable:
    """A database that can be unavailable; the calls of its methods are counted."""

    def __init__(self, db: Database | None = None) -> None:
        self._db = db
        self.is_available = False
        self.asked = 0

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        self.asked += 1
        if self._db is None or not self.is_available:
            raise DatabaseUnavailable("no connection")
        async with self._db.connection() as connection:
            yield connection

    async def execute(self, *given: Any) -> int:
        assert self._db is not None
        return await self._db.execute(*given)


def reached(limit: float, second: int) -> LimitReached:
    return LimitReached(c.ACCOUNT, 2, LimitKind.CALLS_PER_MINUTE, limit, Instant(AT + second))


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(limit_events, "PERIOD_SECONDS", 0.01)


@pytest.mark.usefixtures("fast")
async def test_a_limit_is_logged_once_while_the_database_is_unavailable() -> None:
    usage, database = OutgoingUsage(), Breakable()
    usage.reached.append(reached(30, 0))
    with structlog.testing.capture_logs() as logged:
        async with limit_events.publishing_limits(cast(Database, database), usage):
            await until(lambda: database.asked >= 5)
    assert [one["event"] for one in logged].count("outgoing_limit_reached") == 1
    assert [one["event"] for one in logged].count("publications_wait") == 1


@pytest.mark.usefixtures("fast")
async def test_a_refused_event_delays_none_and_is_a_dead_letter(database: str) -> None:
    usage = OutgoingUsage()
    usage.reached.extend([reached(30, 0), reached(float("nan"), 1), reached(31, 2)])
    async with await Database.open(database, application_name="test") as db:
        await db.execute(
            "insert into accounts (account_id, name, time_zone) values (%s, 'Example', 'UTC')", (c.ACCOUNT,)
        )
        await db.execute(
            "alter table stream_events add check (data->>'limit_max_value' is not null or type like 'call%')"
        )
        breakable = Breakable(db)
        async with limit_events.publishing_limits(cast(Database, breakable), usage):
            await until(lambda: breakable.asked >= 3)
            breakable.is_available = True
            async with asyncio.timeout(20):
                while len(rows := await db.fetch_all("select data from outbox order by outbox_id")) < 2:
                    await asyncio.sleep(0.02)
        [dead] = await db.fetch_all("select * from dead_letters")
    assert [row["data"]["limit_max_value"] for row in rows] == [30, 31]
    assert (dead["account_id"], dead["type"]) == (c.ACCOUNT, "outgoing_limit_reached")
    assert "CheckViolation" in dead["error"]


def publication(second: int, data: dict[str, Any] | None = None) -> Publication:
    return Publication(
        EventType.OUTGOING_LIMIT_REACHED,
        Instant(AT + second),
        data or {"limit": second},
        c.ACCOUNT,
        f"account:{c.ACCOUNT}",
    )


async def account(db: Database) -> None:
    await db.execute(
        "insert into accounts (account_id, name, time_zone) values (%s, 'Example', 'UTC')", (c.ACCOUNT,)
    )


@pytest.mark.durability
@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("way", ["killed", "stopped"])
async def test_what_waits_survives_the_end_of_the_process(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(publisher, "KEEP_SECONDS", 0.05)
    monkeypatch.setattr(publisher, "STOP_SECONDS", 0.1)
    file = tmp_path / "limit-events.jsonl"
    alarm = Publication("disk_level", AT, {"level": "low"}, alarm=Alarm(0, "disk_level", {"level": "low"}))
    wanted = [publication(0), publication(1, {"name": "\u0130 \x01"}), alarm]
    queue = EventPublisher(cast(Database, Breakable()), file=file)
    if way == "killed":
        tasks = [asyncio.ensure_future(one) for one in (queue.run(), queue.keep())]
        for one in wanted:
            queue.put(one)
        await until(file.exists)
        await asyncio.sleep(0.2)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    else:
        with structlog.testing.capture_logs() as logged:
            async with publishing(queue, "test"):
                for one in wanted:
                    queue.put(one)
        assert "publications_dropped" not in [one["event"] for one in logged]
    async with await Database.open(database, application_name="test") as db:
        await account(db)
        again = EventPublisher(db, file=file)
        assert again.waiting == 3
        async with publishing(again, "test"):
            again.put(publication(2))
            await until(lambda: not again.waiting)
        rows = await db.fetch_all("select data from stream_events order by seq")
        [risen] = await db.fetch_all("select type, data from installation_events")
    assert [row["data"] for row in rows] == [{"limit": 0}, {"name": "\u0130 \x01"}, {"limit": 2}]
    assert risen == {"type": "disk_level", "data": {"level": "low"}}
    assert not file.exists()


@pytest.mark.durability
@pytest.mark.usefixtures("fast")
async def test_what_was_written_before_the_process_was_killed_is_not_written_twice(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the commit and the change of the file a process may be killed."""
    monkeypatch.setattr(publisher, "STOP_SECONDS", 0.1)
    file = tmp_path / "ban-events.jsonl"
    queue = EventPublisher(cast(Database, Breakable()), file=file)
    alarm = Publication("login_guessing", AT, {}, alarm=Alarm(0, "login_guessing", {"line": "1"}))
    async with publishing(queue, "test"):
        for one in (publication(0), alarm, publication(1)):
            queue.put(one)
    kept = file.read_bytes()
    async with await Database.open(database, application_name="test") as db:
        await account(db)
        for _ in range(2):
            file.write_bytes(kept)
            again = EventPublisher(db, file=file)
            async with publishing(again, "test"):
                await until(lambda queue=again: not queue.waiting)
        again.put(publication(1))  # the same event, of this process: a second one
        await again.finish()
        assert len(await db.fetch_all("select from stream_events")) == 3
        assert len(await db.fetch_all("select from installation_events")) == 1


async def test_a_line_of_the_file_that_cannot_be_read_costs_only_itself(tmp_path: Path) -> None:
    file = tmp_path / "ban-events.jsonl"
    queue = EventPublisher(cast(Database, Breakable()), file=file)
    queue.put(publication(0))
    await queue.finish()
    file.write_bytes(b'{"type": 1}\n\xff\n' + file.read_bytes() + b'{"type"')
    assert EventPublisher(cast(Database, Breakable()), file=file).waiting == 1


async def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    queue = EventPublisher(cast(Database, Breakable()), file=tmp_path / "none" / "ban-events.jsonl")
    queue.put(publication(0))
    with structlog.testing.capture_logs() as logged:
        await queue.finish()
    assert {"publications_not_kept", "publications_dropped"} <= {one["event"] for one in logged}


@pytest.mark.durability
@pytest.mark.usefixtures("fast")
async def test_what_waits_is_bounded() -> None:
    database = Breakable()
    queue = EventPublisher(cast(Database, database), waiting_max=3)
    with structlog.testing.capture_logs() as logged:
        async with publishing(queue, "test"):
            for _ in range(10):
                queue.put(Publication(EventType.OUTGOING_LIMIT_REACHED, AT, {}, c.ACCOUNT, "account:1"))
            await until(lambda: database.asked >= 2)
            assert queue.waiting == 3
    dropped = [one for one in logged if one["event"] == "publications_dropped"]
    assert [one["log_level"] for one in dropped] == ["error", "error"]  # full, and the end of the process
