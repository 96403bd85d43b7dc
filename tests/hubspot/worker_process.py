"""A worker process for HubSpot alone: ``python -m tests.hubspot.worker_process DSN URL KEY``; a test kills it."""

from __future__ import annotations

import asyncio
import sys

from tests.hubspot.rig import FAST, settings_for
from trunkline.accounts.secrets import Cipher
from trunkline.db.pool import Database
from trunkline.events.relay import Relay
from trunkline.hubspot.listener import HubSpotListener
from trunkline.hubspot.worker import syncing


async def run(dsn: str, url: str, key: str) -> None:
    async with (
        await Database.open(dsn, max_size=10) as db,
        syncing(
            db, settings_for(url), Cipher(key.encode()), lambda *_: "https://pbx.example/x.mp3", rates=FAST
        ),
    ):
        await Relay(db, [HubSpotListener()]).run()


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))
