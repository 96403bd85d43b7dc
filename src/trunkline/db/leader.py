"""One leader among any number of processes: who holds a session lock of PostgreSQL.

The lock ends with its connection, so a killed leader releases it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from enum import IntEnum

import psycopg

from trunkline.core.errors import DatabaseUnavailable
from trunkline.core.log import get_logger
from trunkline.core.tasks import core_task
from trunkline.db.pool import Connection, Database, is_of_the_installation, log_cause

_log = get_logger("db.leader")


class LeaderLock(IntEnum):
    """Keys of the advisory locks of PostgreSQL that leaders hold, each for one kind of work."""

    RELAY = 0x7472_6B6C_0001
    DELIVERIES = 0x7472_6B6C_0002
    HUBSPOT = 0x7472_6B6C_0003


FOLLOWER_PERIOD = 1.0
"""Seconds between two tries of a follower to lead."""

_RECONNECT_PERIOD = 0.5
"""Seconds to wait after the database became unavailable."""


async def lead_when_possible(
    db: Database, key: LeaderLock, lead: Callable[[Connection], Awaitable[None]], what: str
) -> None:
    """Lead when no other process does, until cancelled; continues after restarts and faults of the database.

    :param key: as :func:`leading`.
    :param lead: called with the connection that holds the lock, until it ends.
    :param what: what is led, for the log.
    """
    while True:
        try:
            async with leading(db, key) as conn:
                if conn is not None:
                    await lead(conn)
        except (psycopg.Error, DatabaseUnavailable) as error:
            if not isinstance(error, DatabaseUnavailable) and not is_of_the_installation(error):
                raise
            _log.warning(
                "leader_without_database",
                cause=log_cause(error),
                what=what,
                error=str(error),
                consequence="this work waits; the worker reconnects",
            )
            await asyncio.sleep(_RECONNECT_PERIOD)
            continue
        await asyncio.sleep(FOLLOWER_PERIOD)


@contextlib.asynccontextmanager
async def woken_by(db: Database, channel: str, wake: asyncio.Event) -> AsyncIterator[None]:
    """Set ``wake`` at each announcement on a channel, and after each (re)connect."""

    async def listen() -> None:
        async for _ in db.listen(channel):
            wake.set()

    task = core_task(listen(), name=f"woken-by-{channel}")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def leading(db: Database, key: int) -> AsyncIterator[Connection | None]:
    """The connection that holds the lock of this key, to be used by the leader alone; None when another leads."""
    async with db.connection() as conn:
        cursor = await conn.execute("select pg_try_advisory_lock(%s) as won", (key,))
        row = await cursor.fetchone()
        await conn.commit()
        if row is None or not row["won"]:
            yield None
            return
        try:
            yield conn
        finally:
            await _resign(conn, key)


async def _resign(conn: Connection, key: int) -> None:
    try:
        await conn.rollback()
        await conn.execute("select pg_advisory_unlock(%s)", (key,))
        await conn.commit()
    except psycopg.Error:
        await conn.close()  # frees the lock, too
