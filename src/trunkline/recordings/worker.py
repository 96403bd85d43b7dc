"""The recordings' part of a worker process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import psycopg

from trunkline.core.errors import DatabaseUnavailable
from trunkline.core.log import get_logger
from trunkline.core.settings import Settings
from trunkline.core.tasks import core_task
from trunkline.db.jobs import Jobs
from trunkline.db.pool import Database
from trunkline.recordings.listener import JOB, QUEUE
from trunkline.recordings.service import RecordingMaker, Sweeper

_log = get_logger("recordings")

CONCURRENCY = {QUEUE: 2}
"""Jobs at a time in a process."""

_SWEEP_PERIOD = 60.0
"""Seconds."""


@contextlib.asynccontextmanager
async def recording(db: Database, jobs: Jobs, settings: Settings) -> AsyncIterator[None]:
    """Take up recordings: registers their job and sweeps now and then. Enter it before ``jobs.run``."""
    jobs.register(JOB, RecordingMaker(db, settings).make_recordings, queue=QUEUE)
    sweeper = core_task(_sweep_for_ever(Sweeper(db, jobs, settings)), name="recording-sweeper")
    try:
        yield
    finally:
        sweeper.cancel()
        await asyncio.gather(sweeper, return_exceptions=True)


async def _sweep_for_ever(sweeper: Sweeper) -> None:
    while True:
        await asyncio.sleep(_SWEEP_PERIOD)
        try:
            await sweeper.sweep()
        except (psycopg.OperationalError, DatabaseUnavailable) as error:
            _log.warning("sweeper_without_database", error=str(error))
