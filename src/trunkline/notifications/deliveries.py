"""Deliveries in their table, which is the truth and the queue in one.

A delivery is pending until it is delivered or given up. ``next_attempt_at`` says when it is due; those of one
*stream* (a call's notifications for one subscription) go one after another, oldest first. Statements take many rows
at once, as every event of every call comes through here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from psycopg import AsyncConnection

from trunkline.core.errors import InvalidState, NotFound
from trunkline.core.log import get_logger
from trunkline.db.pool import Database
from trunkline.notifications import backoff
from trunkline.notifications.sender import Outcome

_log = get_logger("notifications")

CHANNEL = "trunkline_deliveries"
"""NOTIFY channel that wakes who delivers."""

STREAM_ROWS = 20
"""Deliveries of a stream that are read at once."""

_MAKE = """
insert into deliveries
    (account_id, subscription_id, stream, seq, mnemonic, occurred_at, variables, next_attempt_at)
select account_id, subscription_id, stream, seq, mnemonic, occurred_at, variables, now()
from jsonb_to_recordset(%s::jsonb) as made(account_id bigint, subscription_id bigint, stream text, seq int,
    mnemonic text, occurred_at timestamptz, variables jsonb)
on conflict (account_id, subscription_id, stream, seq, mnemonic) do nothing
returning delivery_id
"""

_REPLAY = """
update deliveries set status = 'pending', round_started_at = now(), round_attempts = 0, delivered_at = null,
    next_attempt_at = now()
where account_id = %s and delivery_id = %s
"""

_TAKE = """
with endpoint as (
    select subscription.account_id, subscription.subscription_id, subscription.url, subscription.method,
        subscription.body_template, subscription.headers, subscription.secret_encrypted,
        coalesce(state.failures, 0) as failures, state.suspended_until is not null as is_suspended,
        state.trial_stream
    from subscriptions subscription left join endpoint_states state using (account_id, subscription_id)
    where subscription.is_active
), stream as (
    select endpoint.*, due.stream from endpoint cross join lateral (
        select distinct stream from (
            select delivery.stream from deliveries delivery
            where delivery.account_id = endpoint.account_id
                and delivery.subscription_id = endpoint.subscription_id and delivery.status = 'pending'
                and delivery.next_attempt_at <= now()
                and not delivery.subscription_id || ' ' || delivery.stream = any(%(busy)s)
            order by delivery.next_attempt_at, delivery.delivery_id limit %(limit)s
        ) as row
    ) as due
    where not endpoint.is_suspended and not endpoint.subscription_id = any(%(full)s)
    union all
    select endpoint.*, endpoint.trial_stream from endpoint
    where endpoint.is_suspended and endpoint.subscription_id = any(%(trials)s)
)
select stream.*, delivery.delivery_id, delivery.seq, delivery.mnemonic, delivery.variables, delivery.attempts,
    delivery.round_attempts, delivery.next_attempt_at, delivery.next_attempt_at > now() as is_early,
    extract(epoch from delivery.round_started_at)::float8 as round_started
from stream cross join lateral (
    select * from deliveries delivery
    where delivery.account_id = stream.account_id and delivery.subscription_id = stream.subscription_id
        and delivery.stream = stream.stream and delivery.status = 'pending'
    order by delivery.seq, delivery.delivery_id limit %(rows)s
) as delivery
"""

_HALF_OPEN = """
select state.account_id, state.subscription_id, next.stream
from endpoint_states state
    join subscriptions subscription using (account_id, subscription_id)
    cross join lateral (
        select stream from deliveries delivery
        where delivery.account_id = state.account_id and delivery.subscription_id = state.subscription_id
            and delivery.status = 'pending'
        order by delivery.next_attempt_at, delivery.delivery_id limit 1
    ) next
where state.suspended_until <= now() and subscription.is_active
"""

_START_TRIAL = """
update endpoint_states set trial_stream = %s, suspended_until = now() + make_interval(secs => %s)
where account_id = %s and subscription_id = %s
"""

_WAIT_FOR_HEAD = """
update deliveries set next_attempt_at = %(next_attempt_at)s
where account_id = %(account_id)s and subscription_id = %(subscription_id)s and stream = %(stream)s
    and status = 'pending' and next_attempt_at < %(next_attempt_at)s
"""

_SETTLE = """
with outcome as (
    select * from jsonb_to_recordset(%s::jsonb) as o(account_id bigint, delivery_id bigint, attempt int, status text,
        body text, pause float8, duration_ms int, status_code int, error text, response_excerpt text)
), noted as (
    insert into delivery_attempts
        (account_id, delivery_id, attempt, started_at, duration_ms, status_code, error, response_excerpt)
    select account_id, delivery_id, attempt, now() - make_interval(secs => duration_ms / 1000.0), duration_ms,
        status_code, error, response_excerpt
    from outcome
    on conflict (account_id, delivery_id, attempt) do nothing
)
update deliveries delivery set status = outcome.status, attempts = outcome.attempt,
    round_attempts = round_attempts + 1, body = outcome.body,
    delivered_at = case when outcome.status = 'delivered' then now() end,
    next_attempt_at = case when outcome.status = 'pending' then now() + make_interval(secs => outcome.pause) end
from outcome
where delivery.account_id = outcome.account_id and delivery.delivery_id = outcome.delivery_id
"""

# Deliveries that were under way together when an endpoint died suspend it, but count as one failure beyond that.
_ENDPOINT_FAILED = """
insert into endpoint_states as state (account_id, subscription_id, failures) values (%s, %s, 1)
on conflict (account_id, subscription_id) do update
set failures = greatest(least(state.failures + 1, %s), %s)
returning failures
"""

_SUSPEND = """
update endpoint_states set trial_stream = null, suspended_until = now() + make_interval(secs => %s)
where account_id = %s and subscription_id = %s
"""

_ENDPOINT_WORKS = "delete from endpoint_states where account_id = %s and subscription_id = %s"

_ALL_DUE = """
update deliveries set next_attempt_at = now()
where account_id = %s and subscription_id = %s and status = 'pending'
"""

_GIVE_UP = """
update deliveries set status = 'failed', next_attempt_at = null
where status = 'pending' and round_started_at < now() - make_interval(secs => %s)
"""

# By the key: the oldest come first, so that nothing is looked through when nothing is old. Attempts go along.
_PRUNE = """
delete from deliveries where account_id = %(account_id)s and delivery_id = any(array(
    select delivery_id from (
        select delivery_id, created_at from deliveries
        where account_id = %(account_id)s and status <> 'pending' order by delivery_id limit %(batch)s
    ) as oldest
    where created_at < now() - make_interval(days => %(days)s)))
"""
_PRUNE_BATCH = 2000

_GRACE = 60.0
"""Seconds after its end that a delivery's own last attempt may still need."""


async def make(conn: AsyncConnection[Any], rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Put deliveries into the table, due at once; who is there already stays. Returns the ids of the new ones.

    :param rows: ``account_id, subscription_id, stream, seq, mnemonic, occurred_at, variables``.
    """
    cursor = await conn.execute(_MAKE, (orjson.dumps(rows).decode(),))
    made = [int(row["delivery_id"]) for row in await cursor.fetchall()]
    await conn.execute("select pg_notify(%s, '')", (CHANNEL,))
    return made


async def replay(db: Database, account_id: int, delivery_id: int) -> None:
    """Send a delivery once more, whatever became of it; with the subscription's present address and template.

    :raises NotFound: no such delivery in this account.
    :raises InvalidState: its subscription is switched off.
    """
    async with db.connection() as conn:
        cursor = await conn.execute(
            "select subscription.is_active from deliveries join subscriptions subscription"
            " using (account_id, subscription_id) where account_id = %s and delivery_id = %s",
            (account_id, delivery_id),
        )
        row = await cursor.fetchone()
        if row is None:
            raise NotFound(f"There is no delivery {delivery_id} in this account.", field="delivery_id")
        if not row["is_active"]:
            raise InvalidState("The subscription is switched off; switch it on before replaying.")
        await conn.execute(_REPLAY, (account_id, delivery_id))
        await conn.execute("select pg_notify(%s, '')", (CHANNEL,))


@dataclass(frozen=True, slots=True)
class Stream:
    """Deliveries of one stream that are to be sent, in order.

    :ivar rows: with what is needed of the subscription and its endpoint's state; at least one.
    :ivar is_trial: the endpoint is suspended, and this is to find out whether it works again.
    """

    account_id: int
    subscription_id: int
    stream: str
    rows: list[dict[str, Any]]
    is_trial: bool

    @property
    def key(self) -> str:
        return f"{self.subscription_id} {self.stream}"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a delivery, and what the delivery's status is after it."""

    row: Mapping[str, Any]
    outcome: Outcome
    body: str
    status: str
    pause: float
    """Seconds until the next one, when it is pending still."""


async def take(
    conn: AsyncConnection[Any], busy: Sequence[str], full: Sequence[int], limit: int
) -> list[Stream]:
    """Streams with something due, less those at work.

    :param busy: keys of streams at work.
    :param full: subscriptions that have enough at work.
    :param limit: due deliveries looked at for each subscription.
    """
    cursor = await conn.execute(_HALF_OPEN)
    trials = [row for row in await cursor.fetchall() if row["subscription_id"] not in full]
    for row in trials:
        ids = (row["account_id"], row["subscription_id"])
        await conn.execute(_START_TRIAL, (row["stream"], backoff.PROBE_LEASE, *ids))
    cursor = await conn.execute(
        _TAKE,
        {
            "busy": list(busy),
            "full": list(full),
            "limit": limit,
            "rows": STREAM_ROWS,
            "trials": [row["subscription_id"] for row in trials],
        },
    )
    found: dict[tuple[int, str], Stream] = {}
    for row in await cursor.fetchall():
        key = (row["subscription_id"], row["stream"])
        if key not in found:
            found[key] = Stream(row["account_id"], *key, [], row["is_suspended"])
        found[key].rows.append(row)
    return list(found.values())


async def wait_for_head(conn: AsyncConnection[Any], stream: Stream) -> None:
    """Nothing of a stream is due before its oldest is."""
    head = stream.rows[0]
    await conn.execute(
        _WAIT_FOR_HEAD,
        {
            "account_id": stream.account_id,
            "subscription_id": stream.subscription_id,
            "stream": stream.stream,
            "next_attempt_at": head["next_attempt_at"],
        },
    )


async def settle(conn: AsyncConnection[Any], attempts: Sequence[Attempt]) -> set[int]:
    """Write what came of attempts, and what it says of their endpoints.

    :returns: subscriptions that are suspended for it.
    """
    rows = [
        {
            "account_id": one.row["account_id"],
            "delivery_id": one.row["delivery_id"],
            "attempt": one.row["attempts"] + 1,
            "status": one.status,
            "body": one.body.replace("\x00", ""),
            "pause": one.pause,
            "duration_ms": one.outcome.duration_ms,
            "status_code": one.outcome.status_code,
            "error": one.outcome.error,
            "response_excerpt": one.outcome.response_excerpt,
        }
        for one in attempts
    ]
    await conn.execute(_SETTLE, (orjson.dumps(rows).decode(),))
    suspended = set()
    for one in attempts:
        if await _note_endpoint(conn, one):
            suspended.add(int(one.row["subscription_id"]))
    return suspended


async def give_up(db: Database, after: float) -> int:
    """End deliveries whose time is over; returns how many.

    :param after: seconds.
    """
    count = await db.execute(_GIVE_UP, (after + _GRACE,))
    if count:
        _log.error("deliveries_given_up", count=count)
    return count


async def prune(db: Database, days: int) -> int:
    """Forget deliveries that were made more than so many days ago and are over; how many that were.

    In small transactions, so that nobody waits for a long one. For the worker, hourly or so.
    """
    gone = 0
    for account in await db.fetch_all("select account_id from accounts"):
        rows = _PRUNE_BATCH
        while rows == _PRUNE_BATCH:
            rows = await db.execute(_PRUNE, {**account, "days": days, "batch": _PRUNE_BATCH})
            gone += rows
    return gone


async def _note_endpoint(conn: AsyncConnection[Any], attempt: Attempt) -> bool:
    """Count failures in a row of an endpoint, leave it alone after some, and let all go on when it works again.
    Whether it is left alone now."""
    row = attempt.row
    ids = (row["account_id"], row["subscription_id"])
    if not attempt.outcome.endpoint_failed:
        if row["failures"]:
            await conn.execute(_ENDPOINT_WORKS, ids)
        if row["is_suspended"]:
            await conn.execute(_ALL_DUE, ids)
            _log.info("endpoint_works_again", subscription_id=row["subscription_id"])
        return False
    cursor = await conn.execute(_ENDPOINT_FAILED, (*ids, backoff.SUSPEND_AFTER, row["failures"] + 1))
    counted = await cursor.fetchone()
    assert counted is not None
    seconds = backoff.suspension(counted["failures"])
    if not seconds:
        return False
    await conn.execute(_SUSPEND, (seconds, *ids))
    _log.warning(
        "endpoint_suspended",
        subscription_id=row["subscription_id"],
        failures=counted["failures"],
        seconds=seconds,
    )
    return True
