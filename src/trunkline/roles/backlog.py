"""Backlogs in the database, read periodically for the metrics of the worker.

Each count stops at ``MOST``, so reading a long backlog does not add to its cause. Every worker reads the same figures.
"""

from __future__ import annotations

import asyncio
import time

import psycopg

from trunkline.core import log, metrics
from trunkline.core.errors import DatabaseUnavailable
from trunkline.db.pool import Database, log_cause
from trunkline.events.relay import MAX_ATTEMPTS

PERIOD = 15.0
"""Seconds between two readings."""

MOST = 100_000
"""A figure that has reached it means: this many or more."""

QUEUES = ("analysis", "mails", "recordings", "uploads")
"""Queues of jobs. Those of one node (``recordings:1``) count as the queue before the colon."""

_STATES = {"todo": "waits", "retried": "retried", "doing": "runs"}
"""Label by state of a job; one that was tried and waits for its next try is retried."""

_TIMEOUT_MS = 5_000

_OUTBOX = """
select count(*) as count, coalesce(extract(epoch from now() - min(occurred_at)), 0)::float8 as age
from (select occurred_at from outbox order by outbox_id limit %s) as waiting
"""
_DELIVERIES = """
select count(*) as count, coalesce(extract(epoch from now() - min(next_attempt_at)), 0)::float8 as age
from (select next_attempt_at from deliveries where status = 'pending' limit %s) as pending
"""
_JOBS = """
select split_part(queue_name, ':', 1) as queue,
    case when status = 'todo' and attempts > 0 then 'retried' else status::text end as status,
    count(*) as count
from (select queue_name, status, attempts from procrastinate_jobs where status in ('todo', 'doing') limit %s) as jobs
group by 1, 2
"""
_FAILURES = """
select count(*) filter (where attempts < %s) as retried, count(*) filter (where attempts >= %s) as given_up
from (select attempts from event_failures where resolved_at is null limit %s) as failures
"""


async def read_backlog(db: Database) -> None:
    """Set the gauges of the worker."""
    async with db.reading(_TIMEOUT_MS) as connection:
        outbox = await (await connection.execute(_OUTBOX, (MOST,))).fetchone()
        pending = await (await connection.execute(_DELIVERIES, (MOST,))).fetchone()
        jobs = await (await connection.execute(_JOBS, (MOST,))).fetchall()
        failures = await (await connection.execute(_FAILURES, (MAX_ATTEMPTS, MAX_ATTEMPTS, MOST))).fetchone()
    assert outbox is not None
    assert pending is not None
    assert failures is not None
    metrics.OUTBOX.set(outbox["count"])
    metrics.OUTBOX_OLDEST.set(max(0.0, outbox["age"]))
    metrics.DELIVERIES.set(pending["count"])
    metrics.DELIVERIES_LATE.set(max(0.0, pending["age"]))
    depth = {(queue, state): 0 for queue in (*QUEUES, metrics.OTHER) for state in _STATES}
    for row in jobs:
        depth[row["queue"] if row["queue"] in QUEUES else metrics.OTHER, row["status"]] += row["count"]
    for (queue, state), count in depth.items():
        metrics.JOBS.labels(queue, _STATES[state]).set(count)
    metrics.EVENT_FAILURES.labels("retried").set(failures["retried"])
    metrics.EVENT_FAILURES.labels("given_up").set(failures["given_up"])
    metrics.BACKLOG_READ.set(time.time())


async def run_backlog(db: Database) -> None:
    """Read until cancelled."""
    while True:
        try:
            await read_backlog(db)
        except (psycopg.Error, DatabaseUnavailable) as error:
            log.get_logger("roles").warning("backlog_not_read", cause=log_cause(error), error=str(error))
        await asyncio.sleep(PERIOD)
