"""Tasks of the worker process for HubSpot."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection

from trunkline.accounts.secrets import Cipher
from trunkline.core.settings import HubSpotSettings, Settings
from trunkline.core.tasks import core_task
from trunkline.db.pool import Database
from trunkline.hubspot.calls import RecordingUrl
from trunkline.hubspot.client import Client
from trunkline.hubspot.connections import Connections
from trunkline.hubspot.limits import LimitKind, Limits, Rate
from trunkline.hubspot.objects import HubSpotObjects
from trunkline.hubspot.push import Pusher
from trunkline.hubspot.sync import Sync
from trunkline.outbound import Allowed
from trunkline.recordings.links import LinkMaker, base_url


def playable_links(settings: Settings) -> RecordingUrl:
    """The addresses of recordings as engagements have them."""
    links = LinkMaker(base_url(settings.web.public_url, settings.web.http_bind, settings.web.http_port))
    return lambda *one: links.of(*one).playable


@contextlib.asynccontextmanager
async def client_of(
    db: Database,
    settings: HubSpotSettings,
    cipher: Cipher,
    closed_ports: Collection[int] = (),
    rates: dict[LimitKind, Rate] | None = None,
) -> AsyncIterator[tuple[Client, Connections]]:
    """A client, and the connections whose tokens it uses.

    :param closed_ports: ports on loopback that no request may reach.
    :param rates: other limits than HubSpot's, for tests.
    """
    connections = Connections(db, cipher)
    allowed = Allowed(settings.allowed_private_networks, "hubspot.allowed_private_networks", closed_ports)
    client = Client(settings, connections, Limits(db, rates), allowed)
    try:
        yield client, connections
    finally:
        await client.close()


@contextlib.asynccontextmanager
async def syncing(
    db: Database,
    settings: HubSpotSettings,
    cipher: Cipher,
    recording_url: RecordingUrl,
    closed_ports: Collection[int] = (),
    rates: dict[LimitKind, Rate] | None = None,
) -> AsyncIterator[None]:
    """Send calls to HubSpot meanwhile."""
    async with client_of(db, settings, cipher, closed_ports, rates) as (client, connections):
        objects = HubSpotObjects(db, settings.search_delay, settings.timeout)
        pusher = Pusher(db, client, objects, connections.installation, recording_url)
        task = core_task(Sync(db, settings, connections, objects, pusher).run(), name="hubspot")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
