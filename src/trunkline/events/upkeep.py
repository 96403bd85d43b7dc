"""Maintenance of events by a worker: partitions for coming months, old events of lines, failed listener events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import psycopg

from trunkline.core.clock import to_datetime
from trunkline.core.errors import DatabaseUnavailable
from trunkline.core.log import get_logger
from trunkline.db.partitions import ensure_partitions
from trunkline.db.pool import Database, is_of_the_installation, log_cause
from trunkline.events.relay import Listener, retry_failures
from trunkline.events.store import prune_streams

_log = get_logger("events.upkeep")

_RETRY_PERIOD = 15.0
"""Seconds between two retries of failed listener events."""

_PARTITION_ROUNDS = 240
"""In this number of rounds (an hour) partitions are created ahead, once."""


async def run_upkeep(db: Database, listeners: Sequence[Listener]) -> None:
    """Keep at it until cancelled. Any number of workers may run it.

    :param listeners: the relay's.
    """
    rounds = 0
    while True:
        try:
            if rounds % _PARTITION_ROUNDS == 0:
                async with db.connection() as conn:
                    await ensure_partitions(conn, to_datetime(time.time()))
                    await prune_streams(conn)
            await retry_failures(db, listeners)
        except (psycopg.Error, DatabaseUnavailable) as error:
            if not isinstance(error, DatabaseUnavailable) and not is_of_the_installation(error):
                raise
            _log.warning(
                "upkeep_without_database",
                cause=log_cause(error),
                error=str(error),
                consequence="partitions and failed events wait; it is tried again",
            )
        rounds += 1
        await asyncio.sleep(_RETRY_PERIOD)
