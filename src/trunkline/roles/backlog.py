"""Backlogs in the database, read periodically for the metrics of the worker, and for ``trunkline status``.

Each count stops at ``MOST``, so reading a long backlog does not add to its cause. Every worker reads the same figures.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import psycopg

from trunkline.core import log, metrics
from trunkline.core.errors import DatabaseUnavailable
from trunkline.db.pool import Database, log_cause
from trunkline.events.relay import MAX_ATTEMPTS

PERIOD = 15.0
"""Seconds between two readings."""

MOST = 100_000
"""A figure that has reached it means: this many or more."""

QUEUES = ("account_mails", "analysis", "mails", "recordings", "uploads")
"""Queues of jobs. Those of one node (``recordings:1``) count as the queue before the colon."""

_STATES = {"todo": "waits", "retried": "retried", "doing": "runs"}
"""Label by state of a job; one that was tried and waits for its next try is retried."""

_TIMEOUT_MS = 5_000

_OUTBOX = """
select count(*) as count, coalesce(extract(epoch from now() - min(occurred_at)), 0)::float8 as age
from (select occurred_at from outbox order by outbox_id limit %s) as waiting
"""

# Deliveries of an endpoint that fails wait for that endpoint, and those of an inactive subscription for its owner.
_DELIVERIES = """
select count(*) as count, count(*) filter (where attempts > 0) as retried,
    coalesce(extract(epoch from now() - min(next_attempt_at) filter (where works)), 0)::float8 as age
from (
    select delivery.attempts, delivery.next_attempt_at, target.account_id is not null and coalesce(state.failures, 0) = 0
        and state.suspended_until is null as works
    from deliveries delivery
        left join (
            select account_id, subscription_id from subscriptions where is_active
            union all select account_id, subscription_id from callback_endpoints
        ) as target using (account_id, subscription_id)
        left join endpoint_states state using (account_id, subscription_id)
    where delivery.status = 'pending' limit %s
) as pending
"""

# The lowest id of a group is the job that was enqueued first.
_JOBS = """
select jobs.*, greatest(extract(epoch from now() - coalesce(
    (select min(at) from procrastinate_events where job_id = jobs.first_id), now())), 0)::float8 as age
from (
    select split_part(queue_name, ':', 1) as queue,
        case when status = 'todo' and attempts > 0 then 'retried' else status::text end as status,
        count(*) as count, min(id) as first_id
    from (
        select id, queue_name, status, attempts from procrastinate_jobs where status in ('todo', 'doing')
        order by id limit %s
    ) as unfinished
    group by 1, 2
) as jobs
"""
_FAILURES = """
select count(*) filter (where attempts < %s) as retried, count(*) filter (where attempts >= %s) as given_up
from (select attempts from event_failures where resolved_at is null limit %s) as failures
"""

_MAILS_FAILED = """
select account_id, count(*) as count, (array_agg(failure order by created_at desc))[1] as failure
from account_mails
where account_id in (select account_id from accounts) and failure is not null and created_at > now() - interval '1 day'
group by account_id order by count(*) desc, account_id limit %s
"""
_ACCOUNTS_SHOWN = 5


@dataclass(slots=True)
class Waiting:
    """How much of one kind waits.

    :ivar count: all that is not done; :data:`MOST` means this many or more.
    :ivar retried: of them, those that failed at least once and wait for the next try.
    :ivar oldest_seconds: age of the oldest. Of events: since they happened. Of deliveries: since the one due first is due,
        at an endpoint that does not fail. Of jobs: since they were enqueued.
    """

    count: int = 0
    retried: int = 0
    oldest_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Backlog:
    """What the workers have yet to do.

    :ivar events: of calls, not passed to the listeners yet: reports, notifications and charges lack them.
    :ivar given_up: events that a listener could not handle and that wait for a person.
    :ivar deliveries: notifications and callbacks of uploads.
    :ivar jobs: all queues.
    :ivar states: count and age (seconds) of the oldest job, by queue and state (``waits``, ``retried``, ``runs``).
    :ivar failed_mails: mails of accounts that were not sent within 24 hours: ``account_id``, ``count`` and the last
        ``failure``; accounts with the most.
    """

    events: Waiting = field(default_factory=Waiting)
    given_up: int = 0
    deliveries: Waiting = field(default_factory=Waiting)
    jobs: Waiting = field(default_factory=Waiting)
    states: dict[tuple[str, str], tuple[int, float]] = field(default_factory=dict)
    failed_mails: Sequence[Mapping[str, Any]] = ()

    def section(self) -> dict[str, Any]:
        """For ``trunkline status``; ``queues`` has those that are not empty."""
        queues: dict[str, dict[str, Any]] = {}
        for (queue, state), (count, age) in self.states.items():
            if count:
                queues.setdefault(queue, {})[state] = {"count": count, "oldest_seconds": round(age, 1)}
        return {
            "events": {**_rounded(self.events), "given_up": self.given_up},
            "deliveries": _rounded(self.deliveries),
            "jobs": {**_rounded(self.jobs), "queues": queues},
            "failed_mails": [dict(one) for one in self.failed_mails],
        }


async def backlog_of(db: Database) -> Backlog:
    """What waits now.

    :raises psycopg.Error, DatabaseUnavailable: it cannot be read.
    """
    async with db.reading(_TIMEOUT_MS) as connection:
        outbox = await (await connection.execute(_OUTBOX, (MOST,))).fetchone()
        pending = await (await connection.execute(_DELIVERIES, (MOST,))).fetchone()
        rows = await (await connection.execute(_JOBS, (MOST,))).fetchall()
        failures = await (await connection.execute(_FAILURES, (MAX_ATTEMPTS, MAX_ATTEMPTS, MOST))).fetchone()
        failed_mails = await (await connection.execute(_MAILS_FAILED, (_ACCOUNTS_SHOWN,))).fetchall()
    assert outbox is not None
    assert pending is not None
    assert failures is not None
    states = {(queue, state): (0, 0.0) for queue in (*QUEUES, metrics.OTHER) for state in _STATES.values()}
    for row in rows:
        key = row["queue"] if row["queue"] in QUEUES else metrics.OTHER, _STATES[row["status"]]
        count, age = states[key]
        states[key] = count + row["count"], max(age, row["age"])
    return Backlog(
        Waiting(outbox["count"], failures["retried"], max(0.0, outbox["age"])),
        failures["given_up"],
        Waiting(pending["count"], pending["retried"], max(0.0, pending["age"])),
        Waiting(
            sum(count for count, _ in states.values()),
            sum(count for (_, state), (count, _) in states.items() if state == _STATES["retried"]),
            max(age for _, age in states.values()),
        ),
        states,
        failed_mails,
    )


async def read_backlog(db: Database) -> None:
    """Set the gauges of the worker."""
    found = await backlog_of(db)
    metrics.OUTBOX.set(found.events.count)
    metrics.OUTBOX_OLDEST.set(found.events.oldest_seconds)
    metrics.DELIVERIES.set(found.deliveries.count)
    metrics.DELIVERIES_LATE.set(found.deliveries.oldest_seconds)
    for (queue, state), (count, age) in found.states.items():
        metrics.JOBS.labels(queue, state).set(count)
        metrics.JOBS_OLDEST.labels(queue, state).set(age)
    metrics.EVENT_FAILURES.labels("retried").set(found.events.retried)
    metrics.EVENT_FAILURES.labels("given_up").set(found.given_up)
    metrics.BACKLOG_READ.set(time.time())


def _rounded(waiting: Waiting) -> dict[str, Any]:
    return {**asdict(waiting), "oldest_seconds": round(waiting.oldest_seconds, 1)}


async def run_backlog(db: Database) -> None:
    """Read until cancelled."""
    while True:
        try:
            await read_backlog(db)
        except (psycopg.Error, DatabaseUnavailable) as error:
            log.get_logger("roles").warning("backlog_not_read", cause=log_cause(error), error=str(error))
        await asyncio.sleep(PERIOD)
