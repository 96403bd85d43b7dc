"""Monthly partitions of the call tables, made ahead.

The tables are ranged by ``call_session_id``, which carries its time (:mod:`trunkline.core.ids`), so a month
is a range of ids. There is no default partition: the worker makes partitions long before they are needed, and
who writes a call outside of them (a clock far off, a worker long away) calls :func:`ensure_for` and writes
again.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from trunkline.core.ids import first_id_at, unix_ms_of
from trunkline.db.row_security import secured

TABLES = ("call_sessions", "call_legs", "call_events", "call_streams", "leg_charges")
MONTHS_BACK = 1
MONTHS_AHEAD = 3

_LOCK = 7_256_001
"""Advisory lock held while partitions are made: two makers take turns."""


class Month(NamedTuple):
    """A calendar month in UTC."""

    year: int
    month: int

    @classmethod
    def of(cls, moment: datetime) -> Month:
        """The month of an aware moment."""
        if moment.tzinfo is None:
            raise ValueError("a naive datetime has no month in UTC; give it a zone")
        utc = moment.astimezone(UTC)
        return cls(utc.year, utc.month)

    def plus(self, months: int) -> Month:
        """So many months later (earlier when negative)."""
        years, index = divmod(self.year * 12 + self.month - 1 + months, 12)
        return Month(years, index + 1)

    @property
    def first_id(self) -> int:
        """The smallest id of the month; 0 for all months up to the epoch of ids."""
        start = datetime(self.year, self.month, 1, tzinfo=UTC)
        return first_id_at(int(start.timestamp()) * 1000)


def month_of_id(call_session_id: int) -> Month:
    """The month whose partition keeps this call."""
    return Month.of(datetime.fromtimestamp(unix_ms_of(call_session_id) / 1000, UTC))


def months_around(now: datetime) -> list[Month]:
    """The months that must have partitions at this moment."""
    return [Month.of(now).plus(step) for step in range(-MONTHS_BACK, MONTHS_AHEAD + 1)]


def partition_name(table: str, month: Month) -> str:
    """``call_sessions_2026_03``."""
    return f"{table}_{month.year:04}_{month.month:02}"


def statement(months: list[Month]) -> sql.Composed | None:
    """SQL that makes the partitions that are not there yet; None when no month holds any id. A table that an older
    schema does not have gets none.

    A table is made first and attached then, which, unlike ``create table ... partition of``, lets running
    transactions write to the other partitions meanwhile.
    """
    parts = [
        sql.SQL(
            """
            if to_regclass({text}) is null and to_regclass({parent}) is not null then
                create table {name} (like {table} including defaults including constraints);
                alter table {table} attach partition {name} for values from ({first}) to ({end});
                {secured}
            end if;"""
        ).format(
            text=sql.Literal(partition_name(table, month)),
            parent=sql.Literal(table),
            name=sql.Identifier(partition_name(table, month)),
            secured=secured(sql.Literal(partition_name(table, month))),
            table=sql.Identifier(table),
            first=sql.Literal(month.first_id),
            end=sql.Literal(month.plus(1).first_id),
        )
        for month in months
        if month.first_id < month.plus(1).first_id  # a month before the epoch of ids holds none
        for table in TABLES
    ]
    if not parts:
        return None
    lock = sql.SQL("perform pg_advisory_xact_lock({});").format(sql.Literal(_LOCK))
    return sql.SQL("do $$ begin {lock} {parts} end $$").format(lock=lock, parts=sql.SQL("").join(parts))


async def ensure_partitions(connection: psycopg.AsyncConnection[Any], now: datetime) -> None:
    """Make the partitions from last month to three months ahead; those that are there stay as they are.

    Takes part in the connection's transaction.
    """
    await _run(connection, months_around(now))


async def ensure_for(connection: psycopg.AsyncConnection[Any], call_session_id: int) -> None:
    """Create the partitions for this call, for any time."""
    await _run(connection, [month_of_id(call_session_id)])


async def ensure_months(connection: psycopg.AsyncConnection[Any], months: Iterable[Month]) -> None:
    """Make the partitions of these months that are not there, in the connection's transaction.

    Asks the database each time: retention drops months, so a process cannot remember which are there. While none is
    missing, no lock is taken.
    """
    wanted = {partition_name(table, month): month for month in months for table in TABLES}
    cursor = await connection.execute(
        "select name from unnest(%s::text[]) name where to_regclass(name) is null", (list(wanted),)
    )
    missing = {row["name"] if isinstance(row, dict) else row[0] for row in await cursor.fetchall()}
    if todo := sorted({wanted[name] for name in missing}):
        await _run(connection, todo)


async def _run(connection: psycopg.AsyncConnection[Any], months: list[Month]) -> None:
    todo = statement(months)
    if todo is not None:
        await connection.execute(todo)
