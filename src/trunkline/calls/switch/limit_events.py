"""Publishes an event for each limit on outgoing calls that was reached, in a background task."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import psycopg

from trunkline.calls.flows.outgoing_limits import LimitReached, OutgoingUsage
from trunkline.core.errors import DatabaseUnavailable, first_line
from trunkline.core.log import get_logger
from trunkline.core.tasks import core_task
from trunkline.db.pool import Database, log_cause
from trunkline.events.catalogue import EventType, account_stream
from trunkline.events.store import append_to_end

PERIOD_SECONDS = 1.0

_log = get_logger("calls")


async def publish(db: Database, usage: OutgoingUsage) -> None:
    """Publish what waits; an event that cannot be written stays in the queue."""
    while usage.reached:
        reached = usage.reached[0]
        await _append(db, reached)
        if usage.reached and usage.reached[0] is reached:
            usage.reached.popleft()


async def _append(db: Database, reached: LimitReached) -> None:
    data = {
        "sip_line_id": reached.sip_line_id,
        "limit": reached.kind.value,
        "limit_max_value": reached.limit,
    }
    _log.warning("outgoing_limit_reached", account_id=reached.account_id, **data)
    async with db.connection() as connection:
        await append_to_end(
            connection,
            reached.account_id,
            account_stream(reached.account_id),
            EventType.OUTGOING_LIMIT_REACHED,
            reached.at,
            data,
        )


@contextlib.asynccontextmanager
async def publishing_limits(db: Database, usage: OutgoingUsage) -> AsyncIterator[None]:
    """Publish for the time of the block."""

    async def run() -> None:
        while True:
            await asyncio.sleep(PERIOD_SECONDS)
            try:
                await publish(db, usage)
            except (psycopg.Error, DatabaseUnavailable) as error:
                _log.warning("outgoing_limit_not_published", cause=log_cause(error), error=first_line(error))

    task = core_task(run(), name="limit-events")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
