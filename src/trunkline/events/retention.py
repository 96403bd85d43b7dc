"""Removes calls whose retention is over: whole months when it is over for all accounts, else rows in small batches.

A call that is open is never removed, nor one whose recordings still have files.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import psycopg
from psycopg import sql

from trunkline.core.ids import first_id_at
from trunkline.core.log import get_logger
from trunkline.db import partitions
from trunkline.db.partitions import Month
from trunkline.db.pool import Connection, Database

_log = get_logger("events.retention")

BATCH = 200
"""Calls of a transaction."""

LOCK_TIMEOUT = "500ms"
"""How long dropping a month waits for its locks, and so how long writers of calls wait at most; it is tried again later."""

_OLD = """
select call_session_id from call_sessions call
where call.account_id = %(account_id)s and call.call_session_id < %(before)s and call.call_session_id > %(after)s
    and call.finish_time is not null
    and not exists (select from call_streams stream where stream.account_id = call.account_id
        and stream.call_session_id = call.call_session_id and stream.is_open)
    and not exists (select from recordings recording where recording.account_id = call.account_id
        and recording.call_session_id = call.call_session_id
        and (recording.status in ('pending', 'ready') or recording.wav_path is not null
            or recording.mp3_path is not null))
order by call.call_session_id limit %(batch)s
"""

_RELATED = (
    "call_analyses",
    "recordings",
    "unrated_calls",
    "leg_charges",
    "call_legs",
    "call_events",
    "call_streams",
    "hubspot_calls",
)
"""Tables with rows of a call, those first that refer to others."""

_OBJECTS_OF_CALLS = """
delete from hubspot_objects where account_id = %s and kind in ('call', 'task') and key = any(%s)
"""

_OBJECTS_OF_PERIOD = """
delete from hubspot_objects where kind in ('call', 'task') and case when kind in ('call', 'task')
    then key::bigint >= %s and key::bigint < %s end
"""


async def remove_calls(db: Database, before: Mapping[int, float | None], now: datetime) -> int:
    """Remove old calls; how many rows of calls and how many months went is logged.

    :param before: for every account: calls that began before this moment (Unix seconds); None = none.
    """
    await _drop_months(db, before, now)
    count = 0
    for account_id, moment in before.items():
        if moment is not None:
            count += await _remove_rows(db, account_id, first_id_at(int(moment * 1000)))
    if count:
        _log.info("calls_removed", count=count)
    return count


async def _remove_rows(db: Database, account_id: int, before: int) -> int:
    count, after = 0, -1
    while True:
        ids = {"account_id": account_id, "before": before, "after": after, "batch": BATCH}
        async with db.connection() as conn:
            cursor = await conn.execute(_OLD, ids)
            calls = [row["call_session_id"] for row in await cursor.fetchall()]
            for table in (*_RELATED, "call_sessions"):
                statement = sql.SQL("delete from {} where account_id = %s and call_session_id = any(%s)")
                await conn.execute(statement.format(sql.Identifier(table)), (account_id, calls))
            await conn.execute(_OBJECTS_OF_CALLS, (account_id, [str(call) for call in calls]))
        count += len(calls)
        if len(calls) < BATCH:
            return count
        after = calls[-1]


async def _drop_months(db: Database, before: Mapping[int, float | None], now: datetime) -> None:
    """Drop months in which no account keeps calls."""
    first_kept = Month.of(now).plus(-partitions.MONTHS_BACK)
    # The name by a join: a cast of the id gives a number for a partition that another worker has just dropped.
    rows = await db.fetch_all(
        "select relname from pg_inherits join pg_class on oid = inhrelid where inhparent = 'call_sessions'::regclass"
    )
    months = sorted(
        Month(int(year), int(month))
        for row in rows
        for year, month in [row["relname"].removeprefix("call_sessions_").split("_")]
    )
    limits = [None if moment is None else first_id_at(int(moment * 1000)) for moment in before.values()]
    for month in months:
        if month >= first_kept:
            return
        end = month.plus(1).first_id
        passed = bool(limits) and all(limit is not None and limit >= end for limit in limits)
        try:
            async with db.connection() as conn:
                await conn.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(LOCK_TIMEOUT)))
                if await _may_go(conn, month, passed):
                    await _drop(conn, month)
                    _log.info("month_of_calls_dropped", year=month.year, month=month.month)
        except psycopg.errors.LockNotAvailable:
            _log.info("month_of_calls_in_use", year=month.year, month=month.month)


async def _may_go(conn: Connection, month: Month, passed: bool) -> bool:
    """Whether no call of a month is kept or open and no recording of it has files."""
    for table in partitions.TABLES:
        name = partitions.partition_name(table, month)
        cursor = await conn.execute("select to_regclass(%s) is not null as there", (name,))
        row = await cursor.fetchone()
        if row is None or not row["there"]:
            continue
        if table == "call_sessions" and passed:
            condition = sql.SQL("where finish_time is null")
        elif table == "call_streams" and passed:
            condition = sql.SQL("where is_open")
        elif passed:
            continue
        else:
            condition = sql.SQL("")
        cursor = await conn.execute(
            sql.SQL("select from {} {} limit 1").format(sql.Identifier(name), condition)
        )
        if cursor.rowcount:
            return False
    cursor = await conn.execute(
        "select from recordings where call_session_id >= %s and call_session_id < %s"
        " and (status in ('pending', 'ready') or wav_path is not null or mp3_path is not null) limit 1",
        (month.first_id, month.plus(1).first_id),
    )
    return cursor.rowcount == 0


async def _drop(conn: Connection, month: Month) -> None:
    span = (month.first_id, month.plus(1).first_id)
    for table in ("call_analyses", "recordings", "unrated_calls", "hubspot_calls"):
        await conn.execute(
            sql.SQL("delete from {} where call_session_id >= %s and call_session_id < %s").format(
                sql.Identifier(table)
            ),
            span,
        )
    await conn.execute(_OBJECTS_OF_PERIOD, span)
    for table in partitions.TABLES:
        name = sql.Identifier(partitions.partition_name(table, month))
        await conn.execute(sql.SQL("drop table if exists {}").format(name))
