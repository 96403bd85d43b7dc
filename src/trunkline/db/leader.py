"""One leader among any number of processes: who holds a session lock of PostgreSQL.

The lock lives as long as its connection, so a killed leader frees it by dying.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import psycopg

from trunkline.db.pool import Connection, Database


@contextlib.asynccontextmanager
async def leading(db: Database, key: int) -> AsyncIterator[Connection | None]:
    """The connection that holds the lock of this key, to be used by the leader alone; None when another leads.

    :param key: of an advisory lock; the house's begin with 0x7472_6B6C.
    """
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
