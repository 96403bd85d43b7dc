"""Statements of one transaction that are sent by one message (:mod:`trunkline.db.one_trip`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from tests.db.query_sample import SAMPLE, TABLE
from trunkline.db.one_trip import KEPT_MAX, BoundStatement, run_in_one_trip, run_prepared
from trunkline.db.pool import Database
from trunkline.db.query import compile_request, fetch_page, parse_request
from trunkline.db.waiting import EventConnection

BEGIN = b"begin isolation level repeatable read, read only"


@pytest.fixture
async def connection(database: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    async with await EventConnection.connect(database) as connection:
        yield connection


def bound(text: bytes, **values: Any) -> BoundStatement:
    return BoundStatement(text, values)


async def run(connection: psycopg.AsyncConnection[Any], *statements: BoundStatement) -> list[Any]:
    rows = await run_in_one_trip(connection, BEGIN, statements)
    assert connection.info.transaction_status == TransactionStatus.INTRANS
    await connection.commit()
    return rows


async def test_the_rows_of_the_last_statement_see_the_settings_of_the_first(
    connection: psycopg.AsyncConnection[Any],
) -> None:
    setting = bound(b"select set_config('trunkline.account_id', %(account)s, true)", account="7")
    asked = bound(
        b"select current_setting('trunkline.account_id'), i::bigint, '100%%', %(word)s || %(word)s"
        b" from generate_series(1, %(rows)s) i",
        word="a", rows=300,
    )  # fmt: skip
    for _ in range(3):
        rows = await run(connection, setting, asked)
        assert rows == [(b"7", i.to_bytes(8, "big"), b"100%", b"aa") for i in range(1, 301)]
    left = await (await connection.execute("select current_setting('trunkline.account_id', true)")).fetchone()
    assert left == ("",)


async def test_an_error_of_any_statement_is_raised_and_the_connection_stays_usable(
    connection: psycopg.AsyncConnection[Any],
) -> None:
    good, zero, absent = (
        bound(b"select 1"),
        bound(b"select 1 / %(number)s::int", number=0),
        bound(b"select * from nothing_of_this_name"),
    )
    for statements, error in (
        ((zero, good), psycopg.errors.DivisionByZero),
        ((good, zero), psycopg.errors.DivisionByZero),
        ((good, absent), psycopg.errors.UndefinedTable),
        ((absent, good), psycopg.errors.UndefinedTable),
    ):
        with pytest.raises(error):
            await run_in_one_trip(connection, BEGIN, statements)
        await connection.rollback()
        assert await run(connection, good, good) == [((1).to_bytes(4, "big"),)]


async def test_a_transaction_is_read_only(connection: psycopg.AsyncConnection[Any]) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        await run_in_one_trip(connection, BEGIN, (bound(b"create table t (i int)"),))


async def test_statements_stay_prepared_up_to_a_limit(connection: psycopg.AsyncConnection[Any]) -> None:
    async def prepared() -> list[str]:
        cursor = await connection.execute(
            "select statement from pg_prepared_statements order by prepare_time"
        )
        found = [row[0] for row in await cursor.fetchall()]
        await connection.commit()
        return found

    first = bound(b"select 0, %(value)s::text", value="a")
    for value in "abc":
        assert await run(connection, bound(first.text, value=value)) == [(bytes(4), value.encode())]
    assert await prepared() == ["select 0, $1::text"]
    for number in range(1, KEPT_MAX + 10):
        await run(connection, bound(b"select %d" % number))
        await run(connection, first)
    kept = await prepared()
    assert "select 0, $1::text" in kept
    assert len(kept) <= KEPT_MAX + 1


async def test_statements_that_the_driver_closed_are_prepared_again(
    connection: psycopg.AsyncConnection[Any],
) -> None:
    asked = bound(b"select 5")
    await run(connection, asked)
    await connection.execute("deallocate all")
    await connection.commit()
    assert await run(connection, asked) == [((5).to_bytes(4, "big"),)]
    assert await run(connection, asked) == [((5).to_bytes(4, "big"),)]


@pytest.mark.parametrize(("hours", "kind"), [(25, "generic_plans"), (26, "custom_plans")])
async def test_only_a_report_over_a_short_period_is_not_planned_for_its_values(
    database: str, hours: int, kind: str
) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    query = compile_request(
        SAMPLE,
        parse_request({}, SAMPLE, ZoneInfo("UTC")),
        account_id=1,
        time_zone="UTC",
        where="s.at >= %(period_start)s and s.at < %(period_end)s",
        params={"period_start": start, "period_end": start + timedelta(hours=hours)},
    )
    async with await Database.open(database, max_size=1) as db:
        await db.execute(TABLE)
        for _ in range(3):
            assert (await fetch_page(db, query)).count == 0
        plans = await db.fetch_all(
            "select generic_plans, custom_plans from pg_prepared_statements where statement like '%row_to_json%'"
        )
    assert [{name: number for name, number in row.items() if number} for row in plans] == [{kind: 3}]


async def test_a_cancelled_request_leaves_the_connection_usable(
    connection: psycopg.AsyncConnection[Any],
) -> None:
    task = asyncio.create_task(run_in_one_trip(connection, BEGIN, (bound(b"select pg_sleep(60)"),)))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await connection.rollback()
    assert await run(connection, bound(b"select 1")) == [((1).to_bytes(4, "big"),)]


async def test_a_single_statement_is_a_transaction_and_its_rows_have_names(
    connection: psycopg.AsyncConnection[Any],
) -> None:
    at = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
    asked = bound(
        b"select %(at)s::timestamptz as at, array['10.0.0.0/8'::cidr] as networks, null::int as nothing,"
        b" '{\"a\": [1]}'::jsonb as json from generate_series(1, %(rows)s)",
        at=at, rows=2,
    )  # fmt: skip
    row = {"at": at, "networks": [ip_network("10.0.0.0/8")], "nothing": None, "json": {"a": [1]}}
    assert await run_prepared(connection, asked) == [row, row]
    assert await run_prepared(connection, bound(asked.text, at=at, rows=0)) == []
    with pytest.raises(psycopg.errors.DivisionByZero):
        await run_prepared(connection, bound(b"select 1 / %(number)s::int", number=0))
    assert connection.info.transaction_status == TransactionStatus.IDLE
    await connection.execute("deallocate all")
    await connection.commit()
    assert await run_prepared(connection, asked) == [row, row]


async def test_a_connection_that_has_read_goes_back_with_its_prepared_statements(database: str) -> None:
    """Also after an error, and when the pool is closed at once."""
    asked = bound(b"select %(word)s || 'b'", word="a")
    prepared = "select count(*) as count from pg_prepared_statements where statement = 'select $1 || ''b'''"
    async with await Database.open(database, max_size=1) as db:
        for _ in range(3):
            async with db.reading_first(1000, asked) as (_, rows):
                assert rows == [(b"ab",)]
            assert await db.fetch_all(prepared) == [{"count": 1}]
        with pytest.raises(psycopg.errors.DivisionByZero):
            async with db.reading_first(1000, bound(b"select 1 / 0")):
                pass
        with pytest.raises(LookupError):
            async with db.reading_first(1000, asked):
                raise LookupError
        async with db.reading_first(1000, asked) as (connection, rows):
            assert rows == [(b"ab",)]
        assert db.pool_use().in_use == 1
    assert connection.closed
