"""Publishes an event for each limit on outgoing calls that was reached, in a background task."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from trunkline.calls.flows.outgoing_limits import OutgoingUsage
from trunkline.core.log import get_logger
from trunkline.core.tasks import core_task
from trunkline.db.pool import Database
from trunkline.events.catalogue import EventType, account_stream
from trunkline.events.publisher import EventPublisher, Publication, publishing

PERIOD_SECONDS = 1.0

_log = get_logger("calls")


def take(usage: OutgoingUsage, publisher: EventPublisher) -> None:
    """Log the limits that were reached, and queue their events: once each, also while PostgreSQL is unavailable."""
    while usage.reached:
        reached = usage.reached.popleft()
        data = {
            "sip_line_id": reached.sip_line_id,
            "limit": reached.kind.value,
            "limit_max_value": reached.limit,
        }
        _log.warning(
            "outgoing_limit_reached",
            account_id=reached.account_id,
            **data,
            consequence="outgoing calls of the account or line are refused until it is below the limit",
            remedy="check whose calls they are (trunkline calls); raise the limit if they are wanted",
        )
        publisher.put(
            Publication(
                EventType.OUTGOING_LIMIT_REACHED,
                reached.at,
                data,
                reached.account_id,
                account_stream(reached.account_id),
            )
        )


@contextlib.asynccontextmanager
async def publishing_limits(
    db: Database, usage: OutgoingUsage, file: Path | None = None
) -> AsyncIterator[None]:
    """Publish for the time of the block.

    :param file: keeps what waits for PostgreSQL.
    """
    publisher = EventPublisher(db, file=file)

    async def run() -> None:
        while True:
            await asyncio.sleep(PERIOD_SECONDS)
            take(usage, publisher)

    async with publishing(publisher, "limit-events"):
        task = core_task(run(), name="limits-reached")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            take(usage, publisher)
