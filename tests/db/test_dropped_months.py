"""A process that has written to a month writes to it again after retention has dropped its partitions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from tests.billing.company import give_plan, wait_for_rating
from tests.reports.lifelike import GeneratedCall, generate_calls, store
from trunkline.billing.rating import Rater
from trunkline.db import partitions
from trunkline.db.partitions import TABLES, Month, ensure_months, partition_name
from trunkline.db.pool import Database
from trunkline.events.retention import remove_calls

ACCOUNT = 1001
MARCH = Month(2025, 3)


@pytest.fixture
async def db(database: str) -> AsyncIterator[Database]:
    async with await Database.open(database, max_size=4) as db:
        await db.execute(
            "insert into accounts (account_id, name, time_zone) values (%s, 'Harbour Tours', 'Asia/Dubai')",
            (ACCOUNT,),
        )
        await give_plan(db, ACCOUNT)
        yield db


def calls() -> list[GeneratedCall]:
    return generate_calls(ACCOUNT, datetime(2025, 3, 5, tzinfo=UTC), 1, 5, seed=1)


async def charges(db: Database) -> int:
    return len(await db.fetch_all("select from leg_charges where account_id = %s", (ACCOUNT,)))


async def drop_charges_of_march(db: Database) -> None:
    await db.execute(f"drop table {partition_name('leg_charges', MARCH)}".encode())


async def test_charges_of_a_month_that_was_dropped(db: Database) -> None:
    reported = calls()
    await store(db, reported)
    rater = Rater(db)
    await wait_for_rating(db, reported)
    await rater.rate_waiting()
    count = await charges(db)
    assert count
    await drop_charges_of_march(db)
    assert not await charges(db)
    await wait_for_rating(db, reported)
    await rater.rate_waiting()
    assert await charges(db) == count


async def test_retention_drops_a_month_and_it_is_made_anew(db: Database) -> None:
    reported = calls()
    await store(db, reported)
    await db.execute("update recordings set status = 'removed', wav_path = null, mp3_path = null")
    now = datetime(2026, 3, 1, tzinfo=UTC)
    await remove_calls(db, {ACCOUNT: now.timestamp()}, now)
    for table in TABLES:
        assert await db.fetch_one("select to_regclass(%s) as name", (partition_name(table, MARCH),)) == {
            "name": None
        }
    async with db.connection() as connection:
        await ensure_months(connection, [MARCH])
    rows = await db.fetch_all("select relname from pg_class where relname like '%%2025_03' and relkind = 'r'")
    assert {row["relname"] for row in rows} == {partition_name(table, MARCH) for table in TABLES}


async def test_months_that_are_there_take_no_lock(db: Database) -> None:
    async with db.connection() as connection:
        await ensure_months(connection, [MARCH])
    async with db.connection() as first, db.connection() as second:
        await ensure_months(first, [MARCH])
        await second.execute("set local lock_timeout = '100ms'")
        await second.execute("select pg_advisory_xact_lock(%s)", (partitions._LOCK,))
