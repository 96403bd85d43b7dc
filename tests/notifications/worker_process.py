"""A separate worker process, to be killed: ``python -m tests.notifications.worker_process DSN``."""

from __future__ import annotations

import asyncio
import sys

from tests.notifications.rig import Rig, worker
from trunkline.db.pool import Database


async def main(dsn: str) -> None:
    db = await Database.open(dsn, max_size=10)
    async with worker(Rig(dsn, db, 0)):
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
