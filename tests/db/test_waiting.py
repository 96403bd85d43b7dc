"""A process that waits for notifications sleeps until one comes."""

from __future__ import annotations

import asyncio
import resource

from trunkline.db.pool import Database
from trunkline.db.waiting import EventConnection

_SECONDS = 1.5
"""psycopg's own wait wakes fifteen times in it."""


def _wakeups() -> int:
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


async def test_waiting_for_notifications_does_not_wake_the_process(database: str) -> None:
    async with await EventConnection.connect(database, autocommit=True) as connection:
        await connection.execute("listen some_channel")
        before = _wakeups()
        async for _ in connection.notifies(timeout=_SECONDS):
            raise AssertionError("nobody notifies")
        assert _wakeups() - before < 6


async def test_a_notification_ends_the_wait(database: str) -> None:
    async with await Database.open(database) as db:
        payloads = db.listen("some_channel")
        assert await anext(payloads) == ""  # connected
        for text in ("one", "two"):
            await db.execute("select pg_notify('some_channel', %s)", (text,))
            assert await asyncio.wait_for(anext(payloads), 60) == text
        await payloads.aclose()
