"""Monthly partitions: bounds, names, making ahead and on demand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.ids import first_id_at
from trunkline.db import partitions
from trunkline.db.partitions import Month
from trunkline.db.pool import Database

MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2057, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


def _id_at(moment: datetime) -> int:
    return first_id_at(round(moment.timestamp() * 1000))


@pytest.fixture
async def db(database: str) -> AsyncIterator[Database]:
    async with await Database.open(database, max_size=6) as db:
        yield db


@given(MOMENTS)
def test_an_id_lies_in_its_month(moment: datetime) -> None:
    identifier = _id_at(moment)
    month = partitions.month_of_id(identifier)
    assert month.first_id <= identifier < month.plus(1).first_id


@given(MOMENTS, st.integers(-400, 400))
def test_months_count_on(moment: datetime, steps: int) -> None:
    month = Month.of(moment)
    assert month.plus(steps).plus(-steps) == month
    assert 1 <= month.plus(steps).month <= 12
    assert (month.plus(1).year, month.plus(1).month) > (month.year, month.month)


def test_the_last_millisecond_of_a_year() -> None:
    newyear = datetime(2027, 1, 1, tzinfo=UTC)
    assert partitions.month_of_id(_id_at(newyear)) == (2027, 1)
    assert partitions.month_of_id(_id_at(newyear) - 1) == (2026, 12)
    assert Month(2026, 12).plus(1) == (2027, 1)
    assert Month(2027, 1).plus(-1) == (2026, 12)


def test_months_are_utc_whatever_the_zone() -> None:
    late = datetime(2026, 3, 1, 2, tzinfo=timezone(timedelta(hours=4)))
    assert Month.of(late) == (2026, 2)
    with pytest.raises(ValueError, match="naive"):
        Month.of(datetime(2026, 3, 1))  # noqa: DTZ001


def test_around_a_new_year() -> None:
    assert partitions.months_around(datetime(2026, 12, 31, 23, 59, tzinfo=UTC)) == [
        (2026, 11), (2026, 12), (2027, 1), (2027, 2), (2027, 3),
    ]  # fmt: skip


def test_before_the_epoch_of_ids_there_is_nothing_to_make() -> None:
    assert partitions.statement([Month(2023, 11), Month(2023, 12)]) is None
    assert partitions.statement([Month(2023, 12), Month(2024, 1)]) is not None


async def _partitions(db: Database, table: str) -> set[str]:
    rows = await db.fetch_all(
        "select inhrelid::regclass::text as name from pg_inherits where inhparent = %s::regclass", (table,)
    )
    return {row["name"] for row in rows}


async def _insert(db: Database, identifier: int) -> None:
    async with db.connection() as connection:
        await connection.execute(
            "insert into call_sessions (account_id, call_session_id, node, start_time, direction, source)"
            " values (1, %s, 0, now(), 'in', 'va')",
            (identifier,),
        )
        await connection.execute(
            "insert into call_legs (account_id, call_session_id, leg_id, start_time, direction)"
            " values (1, %s, %s, now(), 'in')",
            (identifier, identifier + 1),
        )
        await connection.execute(
            "insert into call_events (account_id, call_session_id, seq, type, occurred_at, data)"
            " values (1, %s, 1, 'started', now(), '{}')",
            (identifier,),
        )


async def test_made_ahead_and_again(db: Database) -> None:
    now = datetime(2030, 12, 31, 23, 59, 59, tzinfo=UTC)
    for _ in range(2):
        async with db.connection() as connection:
            await partitions.ensure_partitions(connection, now)
    for table in partitions.TABLES:
        made = await _partitions(db, table)
        wanted = {partitions.partition_name(table, month) for month in partitions.months_around(now)}
        assert wanted <= made
    edge = datetime(2031, 1, 1, tzinfo=UTC)
    await _insert(db, _id_at(edge) - 1)
    await _insert(db, _id_at(edge))
    rows = await db.fetch_all(
        "select tableoid::regclass::text as name from call_sessions where account_id = 1"
        " order by call_session_id"
    )
    assert [row["name"] for row in rows] == ["call_sessions_2030_12", "call_sessions_2031_01"]


async def test_an_upgraded_database_takes_calls_of_now(db: Database) -> None:
    await _insert(db, _id_at(datetime.now(UTC)))


async def test_a_call_outside_is_not_lost(db: Database) -> None:
    far = _id_at(datetime(2044, 7, 15, tzinfo=UTC))
    with pytest.raises(psycopg.errors.CheckViolation):
        await _insert(db, far)
    async with db.connection() as connection:
        await partitions.ensure_for(connection, far)
    await _insert(db, far)
    # The smallest id there is: the month of the epoch.
    async with db.connection() as connection:
        await partitions.ensure_for(connection, 0)
    await _insert(db, 0)


async def test_makers_at_once_take_turns(db: Database) -> None:
    async def make() -> None:
        async with db.connection() as connection:
            await partitions.ensure_partitions(connection, datetime(2035, 5, 5, tzinfo=UTC))

    await asyncio.gather(*(make() for _ in range(6)))
    assert "call_legs_2035_08" in await _partitions(db, "call_legs")


async def test_writers_do_not_stop_the_maker(db: Database) -> None:
    async with db.connection() as writer:
        await writer.execute(
            "insert into call_events (account_id, call_session_id, seq, type, occurred_at, data)"
            " values (1, %s, 1, 'started', now(), '{}')",
            (_id_at(datetime.now(UTC)),),
        )
        async with asyncio.timeout(10), db.connection() as maker:
            await maker.execute("set local lock_timeout = '5s'")
            await partitions.ensure_partitions(maker, datetime(2036, 5, 5, tzinfo=UTC))


async def test_a_search_by_id_looks_into_one_partition(db: Database) -> None:
    identifier = _id_at(datetime.now(UTC))
    rows = await db.fetch_all(
        "explain select * from call_sessions where account_id = 1 and call_session_id = %s", (identifier,)
    )
    plan = "\n".join(row["QUERY PLAN"] for row in rows)
    assert partitions.partition_name("call_sessions", partitions.month_of_id(identifier)) in plan
    assert plan.count("Scan") == 1
