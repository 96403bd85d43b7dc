"""Streams of events and the rows made of them: one sequencer, nothing ahead of what is written, nothing dropped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.calls import company as c
from tests.calls.simulation import CallSimulation
from tests.calls.test_event_writer import dead_letters, outbox, reported, row, talk
from tests.drills.own_server import fill, needs_root, own_server, small_disk
from trunkline.calls.records import event_writer as writer_module
from trunkline.calls.records.batch_writer import BatchWriter
from trunkline.calls.records.event_writer import EventWriter
from trunkline.calls.session import Phase, Session
from trunkline.calls.switch.recovery import open_sessions
from trunkline.core.errors import DatabaseUnavailable, LeaseLost, StreamConflict, StreamOpen
from trunkline.db.migrate import upgrade
from trunkline.db.partitions import ensure_for
from trunkline.db.pool import Connection, Database
from trunkline.events.catalogue import Event, EventType, call_stream
from trunkline.events.store import _OPEN, Fence, append_to_end, call_events, write_call_events
from trunkline.runtime.postgres import EmbeddedPostgres
from trunkline.testing.proxy import FaultProxy

pytestmark = pytest.mark.drill

LIMIT = 20.0
"""Seconds."""


_OWNER = "operators_owner"
_WRITTEN = ("call_events", "outbox", "call_streams", "call_sessions", "call_legs", "contact_counters")


@pytest.fixture(scope="module")
def owners_template(postgres_server: EmbeddedPostgres) -> str:
    """Name of a database as an operator makes it: its owner is not a superuser."""
    name = "owners_template"
    with psycopg.connect(postgres_server.dsn_of("postgres"), autocommit=True) as connection:
        connection.execute(f"create role {_OWNER} login createrole".encode())
        connection.execute(f"create database {name} owner {_OWNER}".encode())
    upgrade(f"{postgres_server.dsn_of(name)}&options=-crole%3D{_OWNER}")
    return name


@pytest.fixture
def owners_database(postgres_server: EmbeddedPostgres, owners_template: str) -> Iterator[str]:
    """Connection URI of a fresh database for a session whose role is its owner."""
    name = "owners_database"
    with psycopg.connect(postgres_server.dsn_of("postgres"), autocommit=True) as connection:
        connection.execute(f"create database {name} owner {_OWNER} template {owners_template}".encode())
        try:
            yield f"{postgres_server.dsn_of(name)}&options=-crole%3D{_OWNER}"
        finally:
            connection.execute(f"drop database {name} with (force)".encode())


async def _make_account(db: Database) -> None:
    await db.execute(
        "insert into accounts (account_id, name, time_zone) values (%s, 'Palm', 'Asia/Dubai')", (c.ACCOUNT,)
    )


@pytest.fixture
async def db(database: str) -> AsyncIterator[Database]:
    async with await Database.open(database, max_size=6, wait_timeout=1.0) as db:
        await _make_account(db)
        yield db


async def stored(db: Database, session: Session) -> list[Event]:
    async with db.connection() as connection:
        return await call_events(connection, c.ACCOUNT, session.call_session_id)


@asynccontextmanager
async def writing(db: Database, **options: Any) -> AsyncIterator[EventWriter]:
    writer = EventWriter(db, 1, buffer_max=1000, **options)
    writer.start()
    try:
        yield writer
    finally:
        await writer.stop()


class FailingOnce:
    """A database whose n-th commit succeeds, but its answer does not arrive."""

    def __init__(self, db: Database, commit: int) -> None:
        self._db = db
        self._left = commit

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        async with self._db.connection() as connection:
            yield connection
        self._left -= 1
        if self._left == 0:
            raise DatabaseUnavailable("the connection broke during commit")


@pytest.mark.parametrize("batch_max", [1, 3, 7])
async def test_a_row_holds_no_more_than_its_stream(
    db: Database, monkeypatch: pytest.MonkeyPatch, batch_max: int
) -> None:
    """A backlog is written in several batches, though its calls are over in memory: killed between two batches, the
    switch finds every call open whose end is not written, and no row has that end."""
    monkeypatch.setattr(writer_module, "BATCH_MAX", batch_max)
    simulations = [talk(seed=one * 4) for one in range(2)]
    commits = 0
    write = BatchWriter._transaction

    async def checked(self: BatchWriter, *arguments: Any, **more: Any) -> None:
        nonlocal commits
        await write(self, *arguments, **more)
        commits += 1
        still_open = {session.call_session_id for session, _ in await open_sessions(db, 1)}
        for simulation in simulations:
            events = await stored(db, simulation.session)
            if not events:
                continue
            found = await row(db, simulation.session)
            is_over = any(event.type is EventType.SESSION_FINISHED for event in events)
            assert found["version"] == events[-1].seq
            assert (found["finish_time"] is not None) == is_over
            assert (simulation.session.call_session_id in still_open) == (not is_over)

    monkeypatch.setattr(BatchWriter, "_transaction", checked)
    async with writing(db) as writer:
        for simulation in simulations:
            assert simulation.session.phase is Phase.ENDED
            for event in simulation.events:
                writer.put([event])
        async with asyncio.timeout(LIMIT):
            await writer.flush()
    assert commits > 3
    assert await outbox(db) == reported([event for simulation in simulations for event in simulation.events])
    assert [(await row(db, simulation.session))["total_duration"] for simulation in simulations] == [36, 36]


async def test_the_events_of_one_decision_are_written_together(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that begins has its first leg: without the leg, a restarted switch would not find the call's channel."""
    monkeypatch.setattr(writer_module, "BATCH_MAX", 1)
    simulations = [talk(seed=one * 4) for one in range(3)]
    write = BatchWriter._transaction
    together: list[list[int]] = []

    async def noted(self: BatchWriter, portions: Any, *arguments: Any, **more: Any) -> None:
        together.extend([event.seq for event in portion.events] for portion in portions)
        await write(self, portions, *arguments, **more)

    monkeypatch.setattr(BatchWriter, "_transaction", noted)
    async with writing(db) as writer:
        for simulation in simulations:
            writer.put(simulation.events[:4])
            writer.put(simulation.events[4:])
        async with asyncio.timeout(LIMIT):
            await writer.flush()
    first, rest = [1, 2, 3, 4], [event.seq for event in simulations[0].events[4:]]
    assert [one for one in together if one[0] == 1][-1] == first
    assert all(one in (first, rest) for one in together)


@pytest.mark.parametrize("commit", [1, 2, 3])
async def test_a_commit_whose_answer_is_lost_is_not_repeated(
    db: Database, monkeypatch: pytest.MonkeyPatch, commit: int
) -> None:
    monkeypatch.setattr(writer_module, "BATCH_MAX", 5)
    simulation = talk()
    async with db.connection() as connection:
        await ensure_for(connection, simulation.session.call_session_id)
    async with writing(FailingOnce(db, commit)) as writer:  # type: ignore[arg-type]
        for event in simulation.events:
            writer.put([event])
        async with asyncio.timeout(LIMIT):
            await writer.flush()
        assert writer.alarm is None
    assert [event.seq for event in await stored(db, simulation.session)] == [
        event.seq for event in simulation.events
    ]
    assert await outbox(db) == reported(simulation.events)
    found = await row(db, simulation.session)
    assert (found["communication_number"], found["total_duration"]) == (1, 36)
    assert await dead_letters(db) == []


@pytest.mark.parametrize("table", _WRITTEN)
async def test_while_a_table_is_missing_events_wait(db: Database, database: str, table: str) -> None:
    """An operator's mistake: nothing is dropped, and the alarm names it."""
    begin, end = f"alter table {table} rename to mislaid", f"alter table mislaid rename to {table}"
    await _events_wait(db, database, begin, end, table)


async def _events_wait(db: Database, admin: str, begin: str, end: str, *words: str) -> None:
    """Under a fault nothing is written, nothing is dropped, and the alarm has these words; after its end all is written.

    :param admin: connection URI by which a superuser begins and ends the fault.
    """
    simulation, other = talk(), talk(seed=5)
    async with (
        await psycopg.AsyncConnection.connect(admin, autocommit=True) as operator,
        writing(db) as writer,
    ):
        writer.put(simulation.events[:3])
        await writer.flush()
        await operator.execute(begin.encode())
        writer.put(simulation.events[3:])
        writer.put(other.events)
        async with asyncio.timeout(LIMIT):
            while not all(word in (writer.alarm or "") for word in words):
                await asyncio.sleep(0.02)
        assert writer.unwritten == len(simulation.events) + len(other.events) - 3
        await operator.execute(end.encode())
        async with asyncio.timeout(LIMIT):
            await writer.flush()
        assert writer.alarm is None
    for one in (simulation, other):
        assert len(await stored(db, one.session)) == len(one.events)
        assert (await row(db, one.session))["total_duration"] == 36
    assert sorted(await outbox(db)) == sorted(reported([*simulation.events, *other.events]))
    assert await dead_letters(db) == []


@pytest.mark.parametrize("table", _WRITTEN)
async def test_while_a_permission_is_missing_events_wait(
    owners_database: str, postgres_server: EmbeddedPostgres, table: str
) -> None:
    async with await Database.open(owners_database, max_size=6, wait_timeout=1.0) as db:
        await _make_account(db)
        await _events_wait(
            db,
            postgres_server.dsn_of("owners_database"),
            f"revoke all on {table} from {_OWNER}, trunkline_tenant, trunkline_agent",  # the owner is a member of both
            f"grant all on {table} to {_OWNER}",
            f"permission denied for table {table}",
        )


@pytest.mark.parametrize("table", _WRITTEN)
async def test_while_a_disk_is_full_events_wait(db: Database, database: str, table: str) -> None:
    """Stands for the disk: a trigger that raises what PostgreSQL reports (53100) when it cannot extend a file."""
    await _events_wait(
        db,
        database,
        "create function disk_full() returns trigger language plpgsql as $$ begin raise exception using"
        " errcode = '53100', message = 'could not extend file: No space left on device'; end $$;"
        f" create trigger disk_full before insert or update on {table} for each row execute function disk_full()",
        f"drop trigger disk_full on {table}",
        "No space left on device",
    )


async def test_a_second_writer_of_a_stream_is_an_error(db: Database) -> None:
    simulation = talk()
    foreign = replace(simulation.events[4], data={"leg_id": 0})
    async with writing(db) as writer:
        writer.put(simulation.events[:4])
        await writer.flush()
        async with db.connection() as connection:
            await write_call_events(connection, [foreign])
        writer.put(simulation.events[4:])
        other = talk(seed=5)
        writer.put(other.events)
        async with asyncio.timeout(LIMIT):
            await writer.flush()
        assert writer.alarm is not None
    assert (await stored(db, simulation.session))[4].data == {"leg_id": 0}
    assert await dead_letters(db) == [(one.stream, one.seq) for one in simulation.events[4:]]
    assert (await row(db, other.session))["total_duration"] == 36


async def test_an_append_with_another_version_raises_and_writes_nothing(db: Database) -> None:
    simulation = talk()
    async with writing(db) as writer:
        writer.put(simulation.events[:6])
        await writer.flush()
    for wrong in (simulation.events[7:], simulation.events[4:]):
        with pytest.raises((StreamConflict, psycopg.errors.UniqueViolation)):
            async with db.connection() as connection:
                await write_call_events(connection, wrong)
    assert [event.seq for event in await stored(db, simulation.session)] == [1, 2, 3, 4, 5, 6]
    async with db.connection() as connection:
        await write_call_events(connection, simulation.events[6:])
    assert len(await stored(db, simulation.session)) == len(simulation.events)


async def test_others_append_to_a_call_only_after_its_end(db: Database) -> None:
    simulation = talk()
    stream = call_stream(simulation.session.call_session_id)

    async def tag() -> int:
        async with db.connection() as connection:
            return await append_to_end(
                connection, c.ACCOUNT, stream, EventType.TAG_SET, simulation.events[-1].at, {"tag_id": 1}
            )

    async with writing(db) as writer:
        writer.put(simulation.events[:-1])
        await writer.flush()
        with pytest.raises(StreamOpen):
            await tag()
        writer.put(simulation.events[-1:])
        await writer.flush()
    last = simulation.events[-1].seq
    assert sorted(await asyncio.gather(*(tag() for _ in range(5)))) == [last + one for one in range(1, 6)]
    assert [event.seq for event in await stored(db, simulation.session)] == list(range(1, last + 6))
    assert len(await outbox(db)) == len(reported(simulation.events)) + 5


async def test_a_switch_that_lost_its_lease_writes_nothing(db: Database) -> None:
    await db.execute(
        "insert into switch_leases (node, holder, control_url, expires_at, token) values (1, 'a', '', now(), 7)"
    )
    simulation = talk()
    ended = asyncio.Event()
    async with writing(db, fence=Fence(1, 7), lost=ended.set) as writer:
        writer.put(simulation.events[:5], simulation.events[4].at)
        await writer.flush()
        position = await db.fetch_one("select extract(epoch from position)::float8 as at from switch_leases")
        assert position is not None
        assert position["at"] == pytest.approx(simulation.events[4].at, abs=0.001)
        await db.execute("update switch_leases set token = 8 where node = 1")
        writer.put(simulation.events[5:])
        async with asyncio.timeout(LIMIT):
            await ended.wait()
        assert writer.is_fenced
    assert len(await stored(db, simulation.session)) == 5
    assert (await row(db, simulation.session))["finish_time"] is None
    assert await dead_letters(db) == []


async def test_a_takeover_waits_for_a_write_that_is_under_way(db: Database) -> None:
    """The token is checked under the lock that the takeover needs: no write commits after it."""
    await db.execute(
        "insert into switch_leases (node, holder, control_url, expires_at, token) values (1, 'a', '', now(), 7)"
    )
    simulation = talk()
    async with db.connection() as connection:
        await ensure_for(connection, simulation.session.call_session_id)
    async with db.connection() as connection:
        await write_call_events(connection, simulation.events[:2], Fence(1, 7))
        takeover = asyncio.create_task(db.execute("update switch_leases set token = 8 where node = 1"))
        waiting = None
        async with asyncio.timeout(LIMIT):
            while waiting is None:
                waiting = await db.fetch_one(
                    "select 1 as one from pg_stat_activity where wait_event_type = 'Lock'"
                    " and query like 'update switch_leases%' and datname = current_database()"
                )
        assert not takeover.done()
    await takeover
    with pytest.raises(LeaseLost):
        async with db.connection() as connection:
            await write_call_events(connection, simulation.events[2:], Fence(1, 7))
    assert len(await stored(db, simulation.session)) == 2


async def test_a_call_that_is_not_over_is_open_whatever_its_row_says(db: Database) -> None:
    simulation = CallSimulation().arrive(c.TO_ANNA)
    async with writing(db) as writer:
        writer.put(simulation.events)
        await writer.flush()
    await db.execute("update call_sessions set finish_time = now() where account_id = %s", (c.ACCOUNT,))
    [(session, events)] = await open_sessions(db, 1)
    assert session.call_session_id == simulation.session.call_session_id
    assert len(events) == len(simulation.events)
    assert await open_sessions(db, 2) == []


def rows_touched(plan: dict[str, Any], table: str) -> int:
    """Rows that the scans of a table and its partitions looked at."""
    own = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
    touched = own * plan["Actual Loops"] if plan.get("Relation Name", "").startswith(table) else 0
    return int(touched + sum(rows_touched(one, table) for one in plan.get("Plans", ())))


async def test_a_restart_reads_open_calls_however_many_are_over(db: Database) -> None:
    simulation = CallSimulation().arrive(c.TO_ANNA)
    first = simulation.session.call_session_id
    async with writing(db) as writer:
        writer.put(simulation.events)
        await writer.flush()
    await db.execute(
        "insert into call_streams (account_id, call_session_id, version, is_open)"
        " select %s, %s + n * 8192, 9, false from generate_series(1, 20000) as n",
        (c.ACCOUNT, first),
    )
    await db.execute("analyze call_streams")
    plan = await db.fetch_one(f"explain (analyze, format json) {_OPEN.replace('%s', '1')}".encode())
    assert plan is not None
    assert rows_touched(plan["QUERY PLAN"][0]["Plan"], "call_streams") == 1
    [(session, _)] = await open_sessions(db, 1)
    assert session.call_session_id == first


async def _alarm(writer: EventWriter, *words: str) -> None:
    """Wait until the alarm has these words."""
    async with asyncio.timeout(LIMIT):
        while not all(word in (writer.alarm or "") for word in words):
            await asyncio.sleep(0.02)


async def _all_written(db: Database, simulations: list[CallSimulation]) -> None:
    for simulation in simulations:
        assert len(await stored(db, simulation.session)) == len(simulation.events)
        assert (await row(db, simulation.session))["total_duration"] == 36
    assert sorted(await outbox(db)) == sorted(
        reported([event for one in simulations for event in one.events])
    )
    assert await dead_letters(db) == []


@needs_root
async def test_on_a_disk_without_a_free_block_events_wait(tmp_path: Path) -> None:
    """Data and WAL of the server are on a file system of its own, which is filled up."""
    simulations = [talk(seed=one * 4) for one in range(2)]
    with small_disk(tmp_path / "disk", 250) as disk, own_server(disk / "postgres") as server:
        await asyncio.to_thread(upgrade, server.dsn)
        async with server.kept_running(), await Database.open(server.dsn, max_size=6, wait_timeout=1.0) as db:
            await _make_account(db)
            ballast = fill(disk)
            async with writing(db) as writer:
                for simulation in simulations:
                    writer.put(simulation.events)
                await _alarm(writer, "No space left on device")
                assert writer.unwritten == sum(len(simulation.events) for simulation in simulations)
                ballast.unlink()
                async with asyncio.timeout(LIMIT):
                    await writer.flush()
                assert writer.alarm is None
            await _all_written(db, simulations)


async def test_while_connections_are_reset_events_wait(tmp_path: Path) -> None:
    """Statements, commits and their replies are lost at any moment; then no connection succeeds for a while."""
    simulations = [talk(seed=one * 4) for one in range(8)]
    with own_server(tmp_path / "postgres") as server:
        await asyncio.to_thread(upgrade, server.dsn)
        async with (
            FaultProxy(server.port) as proxy,
            await Database.open(server.dsn_through(proxy.port), max_size=6, wait_timeout=1.0) as db,
        ):
            await _make_account(db)
            async with writing(db) as writer:
                for number, simulation in enumerate(simulations[:-1]):
                    for event in simulation.events:
                        writer.put([event])
                    await asyncio.sleep(0.005 * number)
                    proxy.reset()
                async with asyncio.timeout(LIMIT):
                    await writer.flush()
                proxy.down()
                writer.put(simulations[-1].events)
                await _alarm(writer, "connect")
                assert writer.unwritten == len(simulations[-1].events)
                proxy.heal()
                async with asyncio.timeout(LIMIT):
                    await writer.flush()
                assert writer.alarm is None
            await _all_written(db, simulations)


async def test_while_postgresql_is_killed_events_wait(tmp_path: Path) -> None:
    """SIGKILL to the server, three times; the events of calls that go on meanwhile are written once it is back."""
    simulations = [talk(seed=one * 4) for one in range(4)]
    with own_server(tmp_path / "postgres") as server:
        await asyncio.to_thread(upgrade, server.dsn)
        async with await Database.open(server.dsn, max_size=6, wait_timeout=1.0) as db:
            await _make_account(db)
            async with writing(db) as writer:
                writer.put(simulations[0].events)
                await writer.flush()
                for simulation in simulations[1:]:
                    server.kill()
                    writer.put(simulation.events)
                    await _alarm(writer, "events wait")
                    assert writer.unwritten == len(simulation.events)
                    await server.start_again()
                    async with asyncio.timeout(LIMIT):
                        await writer.flush()
                    assert writer.alarm is None
            await _all_written(db, simulations)
