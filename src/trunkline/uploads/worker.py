"""Tasks of the worker process for uploads."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

from trunkline.core.settings import Settings
from trunkline.db.jobs import Jobs
from trunkline.db.pool import Database
from trunkline.uploads import accept
from trunkline.uploads.process import Processor, WhenReady

CONCURRENCY = {accept.QUEUE: 16}
"""Concurrent jobs in a process: they mostly wait for customers' servers. Other queues have their own."""


@contextlib.asynccontextmanager
async def uploading(
    db: Database, jobs: Jobs, settings: Settings, when_ready: Sequence[WhenReady] = ()
) -> AsyncIterator[None]:
    """Process uploaded calls: registers their jobs. Enter it before ``jobs.run``.

    :param when_ready: what else happens when a recording of an uploaded call is ready (speech analytics).
    """
    processor = Processor(db, jobs, settings, when_ready)
    jobs.register(accept.PROCESS_CALL, processor.process, queue=accept.QUEUE, lets_others_pass=True)
    jobs.register(accept.PROCESS_PLAIN, processor.process_plain, queue=accept.QUEUE, lets_others_pass=True)
    jobs.share(accept.QUEUE, CONCURRENCY[accept.QUEUE])
    try:
        yield
    finally:
        await processor.close()
