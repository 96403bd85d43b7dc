"""Errors of enqueuing are those of any statement of the transaction."""

from __future__ import annotations

import pytest

from trunkline.core.errors import DatabaseUnavailable
from trunkline.db.jobs import Jobs
from trunkline.db.pool import Database


async def _enqueue(db: Database) -> None:
    async with db.connection() as connection:
        row = await (await connection.execute("select pg_backend_pid() as pid")).fetchone()
        assert row is not None
        await db.execute("select pg_terminate_backend(%s)", (row["pid"],))
        await Jobs(db.dsn).enqueue(connection, "task", {}, queue="queue")


async def test_a_server_that_is_killed_before_a_job_is_enqueued_is_unavailable(database: str) -> None:
    """The library has errors of its own, which ended the worker."""
    db = await Database.open(database)
    try:
        with pytest.raises(DatabaseUnavailable):
            await _enqueue(db)
    finally:
        await db.close()
