"""The notifications' part of a worker process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from trunkline.accounts.secrets import Cipher
from trunkline.core.settings import NotificationSettings
from trunkline.core.tasks import core_task
from trunkline.db.pool import Database
from trunkline.notifications.deliverer import Deliverer
from trunkline.notifications.sender import Sender


@contextlib.asynccontextmanager
async def delivering(
    db: Database, settings: NotificationSettings, cipher: Cipher | None
) -> AsyncIterator[None]:
    """Take up deliveries meanwhile."""
    sender = Sender(settings)
    deliverer = core_task(Deliverer(db, settings, sender, cipher).run(), name="deliverer")
    try:
        yield
    finally:
        deliverer.cancel()
        await asyncio.gather(deliverer, return_exceptions=True)
        await sender.close()
