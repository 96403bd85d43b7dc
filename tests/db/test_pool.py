"""The pool: transactions, errors, zones, listeners; also over a restart of the server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from trunkline.core.errors import DatabaseUnavailable
from trunkline.db.pool import Database
from trunkline.runtime.postgres import EmbeddedPostgres

pytestmark = pytest.mark.shells


@pytest.fixture
async def db(empty_database: str) -> AsyncIterator[Database]:
    async with await Database.open(empty_database, application_name="test", max_size=3) as db:
        await db.execute("create table numbers (n int primary key)")
        yield db


async def test_rows_are_dictionaries(db: Database) -> None:
    assert await db.execute("insert into numbers values (1), (2)") == 2
    assert await db.fetch_all("select n from numbers order by n") == [{"n": 1}, {"n": 2}]
    assert await db.fetch_one("select n from numbers where n = %s", (2,)) == {"n": 2}
    assert await db.fetch_one("select n from numbers where n = %(n)s", {"n": 3}) is None


async def test_a_block_is_one_transaction(db: Database) -> None:
    async def write_and_fail() -> None:
        async with db.connection() as connection:
            await connection.execute("insert into numbers values (1)")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await write_and_fail()
    assert await db.fetch_all("select n from numbers") == []
    async with db.connection() as connection:
        await connection.execute("insert into numbers values (1)")
    assert await db.fetch_all("select n from numbers") == [{"n": 1}]


async def test_times_come_in_utc(db: Database) -> None:
    row = await db.fetch_one("select '2026-03-01 12:00+04'::timestamptz as t")
    assert row is not None
    assert row["t"].utcoffset() == timedelta(0)
    assert row["t"].hour == 8


async def test_statement_errors_stay_what_they_are(db: Database) -> None:
    await db.execute("insert into numbers values (1)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        await db.execute("insert into numbers values (1)")


async def test_statement_timeout(empty_database: str) -> None:
    async with await Database.open(empty_database, statement_timeout_ms=500) as db:
        with pytest.raises(psycopg.errors.QueryCanceled):
            await db.execute("select pg_sleep(10)")
        assert await db.fetch_one("select 1 as one") == {"one": 1}


async def test_cancelled_work_leaks_no_connection(db: Database) -> None:
    for _ in range(10):
        work = [asyncio.create_task(db.execute("select pg_sleep(30)")) for _ in range(3)]
        await asyncio.sleep(0.02)
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
    async with asyncio.timeout(20):
        rows = await asyncio.gather(*(db.fetch_one("select 1 as one") for _ in range(9)))
    assert rows == [{"one": 1}] * 9


async def test_open_shows_an_away_server(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable):
        await Database.open(f"host={tmp_path} dbname=nothing", connect_timeout=0.3)


async def test_listener_hears_and_lets_go(db: Database) -> None:
    heard = db.listen("news")
    assert await anext(heard) == ""
    await db.execute("select pg_notify('news', 'first')")
    await db.execute("select pg_notify('other', 'not ours')")
    await db.execute("select pg_notify('news', 'second')")
    assert [await anext(heard), await anext(heard)] == ["first", "second"]
    await heard.aclose()
    listeners = "select count(*) as n from pg_stat_activity where application_name = 'test listener'"
    async with asyncio.timeout(20):
        while await db.fetch_one(listeners) != {"n": 0}:
            await asyncio.sleep(0.02)


async def test_listener_connects_again_and_says_so(db: Database) -> None:
    heard = db.listen("news")
    assert await anext(heard) == ""
    waiting = asyncio.ensure_future(anext(heard))
    await asyncio.sleep(0.05)
    await db.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'test listener'"
    )
    async with asyncio.timeout(20):
        assert await waiting == ""
    await db.execute("select pg_notify('news', 'after')")
    assert await anext(heard) == "after"
    await heard.aclose()


async def test_a_cancelled_listener_closes_its_connection(db: Database) -> None:
    async def read() -> None:
        async for _ in db.listen("news"):
            pass

    task = asyncio.create_task(read())
    await asyncio.sleep(0.2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    listeners = "select count(*) as n from pg_stat_activity where application_name = 'test listener'"
    async with asyncio.timeout(20):
        while await db.fetch_one(listeners) != {"n": 0}:
            await asyncio.sleep(0.02)


async def test_open_waits_for_a_server_that_starts(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "data", durable=False)
    opening = asyncio.create_task(Database.open(server.dsn, connect_timeout=60))
    await asyncio.sleep(0.3)
    server.start()
    try:
        async with await opening as db:
            assert await db.fetch_one("select 1 as one") == {"one": 1}
    finally:
        server.stop()


async def test_a_restart_of_the_server_is_survived(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "data", durable=False)
    server.start()
    try:
        async with await Database.open(server.dsn, min_size=2, max_size=2, wait_timeout=1) as db:
            heard = db.listen("news")
            assert await anext(heard) == ""
            await asyncio.gather(*(db.fetch_one("select pg_sleep(0.05)") for _ in range(2)))
            server.stop()
            with pytest.raises(DatabaseUnavailable):
                await db.fetch_one("select 1 as one")
            server.start()
            async with asyncio.timeout(20):
                while True:
                    try:
                        assert await db.fetch_one("select 1 as one") == {"one": 1}
                        break
                    except DatabaseUnavailable:
                        await asyncio.sleep(0.1)
                assert await anext(heard) == ""
            await heard.aclose()
    finally:
        server.stop()


async def test_the_first_request_after_a_restart_of_the_server_has_a_connection(database: str) -> None:
    """All connections of the pool are closed then; each of them delayed it by a second and more."""
    async with await Database.open(database, application_name="test closed", max_size=6) as db:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(6):
                await stack.enter_async_context(db.connection())
        async with await psycopg.AsyncConnection.connect(database, autocommit=True) as other:
            await other.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'test closed'"
            )
            while True:
                cursor = await other.execute(
                    "select count(*) from pg_stat_activity where application_name = 'test closed'"
                )
                if await cursor.fetchone() == (0,):
                    break
        assert await db.fetch_one("select 1 as one") == {"one": 1}
