"""A separate worker process, to be killed: ``python -m tests.uploads.worker_process DSN FOLDER CERTIFICATE [SECONDS]``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.uploads.rig import MASTER_KEY, settings_for
from trunkline.accounts.secrets import Cipher
from trunkline.db import jobs as job_queue
from trunkline.db.jobs import Jobs
from trunkline.db.pool import Database
from trunkline.notifications.worker import delivering
from trunkline.uploads.worker import CONCURRENCY, uploading

STALLED_AFTER = 10.0
"""Seconds after which the jobs of a killed worker are taken over: half of those of the product."""


async def main(dsn: str, folder: str, certificate: str, download_timeout: str = "20") -> None:
    async with await Database.open(dsn, max_size=10) as db:
        jobs = Jobs(dsn)
        settings = settings_for(Path(folder), Path(certificate), download_timeout=float(download_timeout))
        async with (
            uploading(db, jobs, settings),
            delivering(db, settings.notifications, Cipher(MASTER_KEY), settings.uploads),
        ):
            print("ready", flush=True)
            await jobs.run(CONCURRENCY)


if __name__ == "__main__":
    job_queue.STALLED_AFTER = STALLED_AFTER
    job_queue.HEARTBEAT_PERIOD = job_queue._RESCUE_PERIOD = STALLED_AFTER / 5
    asyncio.run(main(*sys.argv[1:]))
