"""What the roles share."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from trunkline.core import metrics
from trunkline.core.errors import DatabaseUnavailable, first_line
from trunkline.core.log import get_logger
from trunkline.core.tasks import core_task
from trunkline.db.pool import Database, log_cause

CONNECT_SECONDS = 5.0
"""Of one attempt to connect to PostgreSQL at the start of a process."""

LOG_PERIOD_SECONDS = 60.0
"""A start that waits is logged when it begins to wait, then in this interval."""

_log = get_logger("roles")


class StoppedAtStart(Exception):  # noqa: N818 - what happened
    """The process was asked to stop while it waited for PostgreSQL: it ends without an error."""


@contextlib.asynccontextmanager
async def database(
    dsn: str,
    name: str,
    *,
    max_size: int = 10,
    statement_timeout_ms: int | None = None,
    stopped: asyncio.Event | None = None,
) -> AsyncIterator[Database]:
    """The pool of a role. While PostgreSQL is unavailable this waits: a process that ended instead would be started
    again and again, and each start costs seconds.

    :param name: of the role's process, as PostgreSQL shows it.
    :param stopped: the process is to stop.
    :raises StoppedAtStart: it was stopped while it waited.
    """
    db = await _opened(dsn, name, max_size, statement_timeout_ms, stopped)
    metrics.POOL_SIZE.labels(name).set_function(lambda: db.pool_use().size)
    metrics.POOL_IN_USE.labels(name).set_function(lambda: db.pool_use().in_use)
    metrics.POOL_WAITING.labels(name).set_function(lambda: db.pool_use().waiting)
    try:
        yield db
    finally:
        await db.close()


async def _opened(
    dsn: str, name: str, max_size: int, statement_timeout_ms: int | None, stopped: asyncio.Event | None
) -> Database:
    logged_at: float | None = None
    while True:
        try:
            return await Database.open(
                dsn,
                application_name=name,
                max_size=max_size,
                statement_timeout_ms=statement_timeout_ms,
                connect_timeout=CONNECT_SECONDS,
            )
        except DatabaseUnavailable as error:
            if stopped is not None and stopped.is_set():
                raise StoppedAtStart from error
            now = time.monotonic()
            if logged_at is None or now - logged_at >= LOG_PERIOD_SECONDS:
                logged_at = now
                _log.warning(
                    "start_without_database",
                    cause=log_cause(error),
                    error=first_line(error),
                    consequence="this process is not ready; it is tried again until PostgreSQL responds",
                    remedy="see logs/postgres.log, and trunkline status",
                )


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
