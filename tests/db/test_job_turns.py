"""Accounts get jobs of a queue in turns, and shares of a worker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.patience import PATIENCE
from trunkline.db.jobs import Jobs
from trunkline.db.pool import Database

pytestmark = pytest.mark.isolation


@contextlib.asynccontextmanager
async def _running(jobs: Jobs, slots: int) -> AsyncIterator[None]:
    task = asyncio.create_task(jobs.run({"one": slots}))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _enqueue(db: Database, jobs: Jobs, accounts: str, each: int) -> None:
    """The backlog of the first account, then that of the second, and so on; in four lanes each."""
    async with db.connection() as conn:
        for account in accounts:
            for number in range(each):
                args = {"account_id": account, "number": number}
                await jobs.enqueue(conn, "work", args, queue="one", lock=f"{account}:{number % 4}")


async def test_accounts_get_turns(database: str) -> None:
    done: list[str] = []
    finished = asyncio.Event()

    async def work(account_id: str, number: int) -> None:
        done.append(f"{account_id}{number}")
        if len(done) == 7:
            finished.set()

    jobs = Jobs(database)
    jobs.register("work", work, queue="one")
    async with await Database.open(database) as db:
        await _enqueue(db, jobs, "ab", 3)
        await _enqueue(db, jobs, "c", 1)
        async with _running(jobs, 1), asyncio.timeout(PATIENCE):
            await finished.wait()
    assert done == ["a0", "b0", "c0", "a1", "b1", "a2", "b2"]


async def test_accounts_with_much_work_leave_slots_to_others(database: str) -> None:
    """Jobs of four accounts end only after the only one of the fifth has."""
    begun: list[str] = []
    fifth, finished = asyncio.Event(), asyncio.Event()

    async def work(account_id: str, number: int) -> None:
        begun.append(account_id)
        if account_id == "e":
            fifth.set()
        await fifth.wait()
        if len(begun) == 33:
            finished.set()

    jobs = Jobs(database)
    jobs.register("work", work, queue="one")
    jobs.share("one", 16)
    async with await Database.open(database) as db:
        await _enqueue(db, jobs, "abcd", 8)
        async with _running(jobs, 16):
            async with asyncio.timeout(PATIENCE):
                while len(begun) < 12:
                    await asyncio.sleep(0.01)
            await _enqueue(db, jobs, "e", 1)
            async with asyncio.timeout(PATIENCE):
                await finished.wait()
    assert begun.index("e") <= 15
    assert max(begun[:12].count(account) for account in "abcd") == 3
