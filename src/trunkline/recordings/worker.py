"""Tasks of the worker process for recordings."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import psycopg

from trunkline.core.errors import DatabaseUnavailable
from trunkline.core.log import get_logger
from trunkline.core.settings import Settings
from trunkline.core.spool import nodes_of_spool
from trunkline.core.tasks import core_task
from trunkline.db.jobs import Jobs
from trunkline.db.pool import Database, log_cause
from trunkline.recordings.listener import JOB, QUEUE, queue_of
from trunkline.recordings.service import RecordingMaker, Sweeper

_log = get_logger("recordings")

_AT_A_TIME = 2
"""Concurrent jobs in a process."""

_SWEEP_PERIOD = 60.0
"""Seconds."""


def concurrency(settings: Settings) -> dict[str, int]:
    """Concurrent jobs by queue: those of the nodes whose raw sound this machine has now."""
    nodes = sorted(nodes_of_spool(settings.spool_dir))
    return {QUEUE: 1, **{queue_of(node): _AT_A_TIME for node in nodes}}


@contextlib.asynccontextmanager
async def recording(db: Database, jobs: Jobs, settings: Settings) -> AsyncIterator[None]:
    """Register the job of recordings, and remove leftovers periodically. Enter it before ``jobs.run``."""
    jobs.register(JOB, RecordingMaker(db, settings, jobs).make_recordings, queue=QUEUE)
    sweeper = core_task(_sweep_for_ever(Sweeper(db, jobs, settings)), name="recording-sweeper")
    try:
        yield
    finally:
        sweeper.cancel()
        await asyncio.gather(sweeper, return_exceptions=True)


async def _sweep_for_ever(sweeper: Sweeper) -> None:
    while True:
        try:
            await sweeper.sweep()
        except (psycopg.OperationalError, DatabaseUnavailable) as error:
            _log.warning(
                "sweeper_without_database",
                cause=log_cause(error),
                error=str(error),
                consequence="it is tried again in a minute",
            )
        await asyncio.sleep(_SWEEP_PERIOD)
