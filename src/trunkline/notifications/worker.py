"""Tasks of the worker process for notifications."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection

from trunkline.accounts.secrets import Cipher
from trunkline.core.settings import NotificationSettings, UploadSettings
from trunkline.core.tasks import core_task
from trunkline.db.pool import Database
from trunkline.notifications.deliverer import Deliverer, KindSettings
from trunkline.notifications.deliveries import EndpointKind
from trunkline.notifications.sender import Sender
from trunkline.outbound import Allowed


@contextlib.asynccontextmanager
async def delivering(
    db: Database,
    settings: NotificationSettings,
    cipher: Cipher | None,
    uploads: UploadSettings | None = None,
    closed_ports: Collection[int] = (),
) -> AsyncIterator[None]:
    """Send deliveries meanwhile: notifications, and callbacks of uploaded calls.

    :param uploads: where callbacks may go, and how long they are tried.
    :param closed_ports: ports on loopback that no delivery may reach.
    """
    uploads = uploads or UploadSettings()
    by_kind = {
        EndpointKind.SUBSCRIPTION: KindSettings(
            Sender(
                settings,
                allowed=Allowed(
                    settings.allowed_private_networks, "notifications.allowed_private_networks", closed_ports
                ),
            ),
            settings.give_up_after,
        ),
        EndpointKind.UPLOAD_CALLBACK: KindSettings(
            Sender(
                settings,
                allowed=Allowed(
                    uploads.allowed_private_networks, "uploads.allowed_private_networks", closed_ports
                ),
                total_timeout=uploads.callback_timeout,
                trusted_certificates=uploads.trusted_certificates,
            ),
            uploads.callback_give_up_after,
        ),
    }
    deliverer = core_task(Deliverer(db, settings, by_kind, cipher).run(), name="deliverer")
    try:
        yield
    finally:
        deliverer.cancel()
        await asyncio.gather(deliverer, return_exceptions=True)
        for kind_settings in by_kind.values():
            await kind_settings.sender.close()
