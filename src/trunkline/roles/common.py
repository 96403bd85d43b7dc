"""What the roles share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable

from trunkline.db.pool import Database


@contextlib.asynccontextmanager
async def database(
    dsn: str, name: str, *, max_size: int = 10, statement_timeout_ms: int | None = None
) -> AsyncIterator[Database]:
    db = await Database.open(
        dsn, application_name=name, max_size=max_size, statement_timeout_ms=statement_timeout_ms
    )
    try:
        yield db
    finally:
        await db.close()


async def until_stopped(stopped: asyncio.Event, work: Awaitable[None]) -> None:
    """Do the work until told to stop; its failure is ours."""
    task = asyncio.ensure_future(work)
    waiting = asyncio.create_task(stopped.wait())
    done, _ = await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    await cancelled(waiting)
    if task in done:
        task.result()
    else:
        await cancelled(task)


async def cancelled(task: asyncio.Future[None] | asyncio.Task[bool]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
