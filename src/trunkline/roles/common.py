"""What the roles share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from trunkline.core import metrics
from trunkline.core.tasks import core_task
from trunkline.db.pool import Database


@contextlib.asynccontextmanager
async def database(
    dsn: str, name: str, *, max_size: int = 10, statement_timeout_ms: int | None = None
) -> AsyncIterator[Database]:
    db = await Database.open(
        dsn, application_name=name, max_size=max_size, statement_timeout_ms=statement_timeout_ms
    )
    metrics.POOL_SIZE.labels(name).set_function(lambda: db.pool_use().size)
    metrics.POOL_IN_USE.labels(name).set_function(lambda: db.pool_use().in_use)
    metrics.POOL_WAITING.labels(name).set_function(lambda: db.pool_use().waiting)
    try:
        yield db
    finally:
        await db.close()


async def until_stopped(stopped: asyncio.Event, **work: Coroutine[Any, Any, None]) -> None:
    """Do the work, each part a core task by its name, until the process is asked to stop."""
    tasks = [core_task(one, name=name.replace("_", "-")) for name, one in work.items()]
    try:
        await stopped.wait()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def cancelled(task: asyncio.Future[None] | asyncio.Task[bool]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
