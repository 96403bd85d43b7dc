"""Deliveries in their table, which is the truth and the queue in one.

A delivery is pending until it is delivered or given up. ``next_attempt_at`` is its due time; those of one
*stream* (a call's notifications for one subscription) go one after another, oldest first. Statements take many rows
at once, as every event of every call comes through here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import orjson
from psycopg import AsyncConnection

from trunkline.core.errors import InvalidState, NotFound
from trunkline.core.log import get_logger
from trunkline.core.storable_text import storable
from trunkline.db.pool import Database
from trunkline.notifications import backoff
from trunkline.notifications.sender import SendOutcome

_log = get_logger("notifications")

CHANNEL = "trunkline_deliveries"
"""NOTIFY channel for the deliverer."""

DeliveryKey = tuple[int, int]
"""Account and delivery id."""

STREAM_ROWS = 20
"""Deliveries of a stream that are read at once."""

ACCOUNT_STREAMS = 200
"""Streams of an account that are begun by one read, those of its endpoints in turns."""

ACCOUNT_TRIALS = 20
"""Suspended endpoints of an account that are tested by one read."""

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

_REPLAY_MANY = """
update deliveries set status = 'pending', round_started_at = now(), round_attempts = 0, delivered_at = null,
    next_attempt_at = now()
where account_id = %(account_id)s and delivery_id = any(array(
    select delivery_id from deliveries
    where account_id = %(account_id)s and status <> 'pending' and delivery_id > %(after)s
    and (%(subscription_id)s::bigint is null or subscription_id = %(subscription_id)s)
    and (%(mnemonic)s::text is null or mnemonic = %(mnemonic)s)
    and (%(status)s::text is null or status = %(status)s)
    and (%(since)s::timestamptz is null or occurred_at >= %(since)s)
    and (%(until)s::timestamptz is null or occurred_at < %(until)s)
    and (url is not null or exists (
        select from subscriptions subscription
        where subscription.account_id = deliveries.account_id
            and subscription.subscription_id = deliveries.subscription_id and subscription.is_active))
    order by delivery_id limit %(batch)s))
returning delivery_id
"""
_REPLAY_BATCH = 1000
"""Deliveries that one transaction makes due again."""

_TAKE = """
with endpoint as (
    select target.*, coalesce(state.failures, 0) as failures, state.suspended_until is not null as is_suspended,
        state.trial_stream
    from (
        select account_id, subscription_id, 'subscription' as kind, url, method, body_template, headers,
            secret_encrypted, case when former_secret_until > now() then former_secret_encrypted end
                as former_secret_encrypted
        from subscriptions where is_active
        union all
        select account_id, subscription_id, 'upload_callback', origin, 'POST', null, '{}', null, null
        from callback_endpoints
    ) as target left join endpoint_states state using (account_id, subscription_id)
), due_stream as (
    select endpoint.*, due.stream, due.place + coalesce(working.streams, 0) as place
    from endpoint left join unnest(%(working)s::bigint[], %(working_streams)s::int[])
        as working(subscription_id, streams) using (subscription_id)
    cross join lateral (
        select stream, row_number() over (order by min(next_attempt_at), stream) as place from (
            select delivery.stream, delivery.next_attempt_at from deliveries delivery
            where delivery.account_id = endpoint.account_id
                and delivery.subscription_id = endpoint.subscription_id and delivery.status = 'pending'
                and delivery.next_attempt_at <= now()
                and not delivery.subscription_id || ' ' || delivery.stream = any(%(busy)s)
            order by delivery.next_attempt_at, delivery.delivery_id limit %(limit)s
        ) as row group by stream
    ) as due
    where not endpoint.is_suspended and not endpoint.subscription_id = any(%(full)s)
    union all
    select endpoint.*, endpoint.trial_stream, 0 from endpoint
    where endpoint.is_suspended and endpoint.subscription_id = any(%(trials)s)
), stream as (
    select * from (
        select due_stream.*, row_number() over (partition by account_id order by place, subscription_id) as turn
        from due_stream
    ) as ranked where turn <= %(account_streams)s
)
select stream.*, coalesce(delivery.url, stream.url) as url,
    delivery.delivery_id, delivery.seq, delivery.mnemonic, delivery.variables, delivery.attempts,
    delivery.round_attempts, delivery.next_attempt_at, delivery.next_attempt_at > now() as is_early,
    extract(epoch from delivery.round_started_at)::float8 as round_started
from stream cross join lateral (
    select * from deliveries delivery
    where delivery.account_id = stream.account_id and delivery.subscription_id = stream.subscription_id
        and delivery.stream = stream.stream and delivery.status = 'pending'
    order by delivery.seq, delivery.delivery_id limit %(rows)s
) as delivery
"""

_TRIALS = """
select account_id, subscription_id, stream from (
select state.account_id, state.subscription_id, next.stream,
    row_number() over (partition by state.account_id order by state.suspended_until) as turn
from endpoint_states state
    join (
        select account_id, subscription_id from subscriptions where is_active
        union all select account_id, subscription_id from callback_endpoints
    ) as target using (account_id, subscription_id)
    cross join lateral (
        select stream from deliveries delivery
        where delivery.account_id = state.account_id and delivery.subscription_id = state.subscription_id
            and delivery.status = 'pending'
        order by delivery.next_attempt_at, delivery.delivery_id limit 1
    ) next
where state.suspended_until <= now() and not state.subscription_id = any(%(full)s)
) as trial where turn <= %(account_trials)s
"""

# Rows that another transaction has locked are left for the next read, because a leader that waits delays all tenants.
_START_TRIAL = """
update endpoint_states state
set trial_stream = held.stream, suspended_until = now() + make_interval(secs => %(secs)s)
from (
    select one.account_id, one.subscription_id, trial.stream
    from unnest(%(accounts)s::bigint[], %(subscriptions)s::bigint[], %(streams)s::text[])
        as trial(account_id, subscription_id, stream)
        join endpoint_states one using (account_id, subscription_id)
    for update of one skip locked
) as held
where state.account_id = held.account_id and state.subscription_id = held.subscription_id
returning state.subscription_id
"""

_WAIT_FOR_HEAD = """
update deliveries delivery set next_attempt_at = held.due
from (
    select one.account_id, one.delivery_id, head.due
    from unnest(%(accounts)s::bigint[], %(subscriptions)s::bigint[], %(streams)s::text[], %(due)s::timestamptz[])
        as head(account_id, subscription_id, stream, due)
        join deliveries one using (account_id, subscription_id, stream)
    where one.status = 'pending' and one.next_attempt_at < head.due
    for no key update of one skip locked
) as held
where delivery.account_id = held.account_id and delivery.delivery_id = held.delivery_id
"""

# One row for each delivery that still exists: whether it is written. A row that another transaction holds (a
# subscription that is being deleted) is not waited for, and a row that is gone breaks no other.
_SETTLE = """
with outcome as (
    select * from jsonb_to_recordset(%s::jsonb) as o(account_id bigint, delivery_id bigint, attempt int, status text,
        body text, pause float8, duration_ms int, status_code int, error text, response_excerpt text,
        round_started float8)
), held as (
    select delivery.account_id, delivery.delivery_id,
        extract(epoch from delivery.round_started_at)::float8 <> outcome.round_started as replayed
    from deliveries delivery join outcome using (account_id, delivery_id)
    for no key update of delivery skip locked
), noted as (
    insert into delivery_attempts
        (account_id, delivery_id, attempt, started_at, duration_ms, status_code, error, response_excerpt)
    select account_id, delivery_id, attempt, now() - make_interval(secs => duration_ms / 1000.0), duration_ms,
        status_code, error, response_excerpt
    from outcome join held using (account_id, delivery_id)
    on conflict (account_id, delivery_id, attempt) do nothing
), written as (
    update deliveries delivery set
        status = case when replayed then 'pending' else outcome.status end,
        attempts = outcome.attempt,
        round_attempts = case when replayed then delivery.round_attempts else delivery.round_attempts + 1 end,
        body = outcome.body,
        delivered_at = case when outcome.status = 'delivered' and not replayed then now() end,
        next_attempt_at = case when replayed then now()
            when outcome.status = 'pending' then now() + make_interval(secs => outcome.pause) end
    from held join outcome using (account_id, delivery_id)
    where delivery.account_id = held.account_id and delivery.delivery_id = held.delivery_id
        and delivery.attempts < outcome.attempt
)
select delivery.account_id, delivery.delivery_id, held.delivery_id is not null as is_written
from outcome join deliveries delivery using (account_id, delivery_id)
    left join held using (account_id, delivery_id)
"""

_GIVE_UP = """
update deliveries set status = 'failed', next_attempt_at = null
where (account_id, delivery_id) in (
    select account_id, delivery_id from deliveries
    where status = 'pending' and round_started_at < now() - make_interval(
        secs => case when url is null then %(subscription)s else %(upload_callback)s end)
    for no key update skip locked)
"""

_DUE_LATER = """
select distinct extract(epoch from date_trunc('second', due) + interval '1 second' - now())::float8 as seconds
from (
    select next_attempt_at as due from deliveries where status = 'pending' and next_attempt_at > now()
    union all select suspended_until from endpoint_states where suspended_until > now()
) as later
order by seconds limit 1000
"""

_NO_TEXT = "the error's text cannot be stored"

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

_REMOVE = """
delete from deliveries where account_id = %(account_id)s and delivery_id = any(array(
    select delivery_id from deliveries where account_id = %(account_id)s and subscription_id = %(subscription_id)s
    order by delivery_id desc limit %(batch)s))
"""

# The pairs that have deliveries are read off the index, one step each.
_ORPHANS = """
with recursive pair as (
    (select account_id, subscription_id from deliveries order by account_id, subscription_id limit 1)
    union all
    select following.* from pair cross join lateral (
        select delivery.account_id, delivery.subscription_id from deliveries delivery
        where (delivery.account_id, delivery.subscription_id) > (pair.account_id, pair.subscription_id)
        order by delivery.account_id, delivery.subscription_id limit 1
    ) as following
)
select account_id, subscription_id from pair
except select account_id, subscription_id from subscriptions
except select account_id, subscription_id from callback_endpoints
"""

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
    """Send a delivery again in any state, with the subscription's present address and template.

    :raises NotFound: no such delivery in this account.
    :raises InvalidState: its subscription is switched off.
    """
    async with db.connection() as conn:
        cursor = await conn.execute(
            "select delivery.url is not null or subscription.is_active as is_active"
            " from deliveries delivery left join subscriptions subscription using (account_id, subscription_id)"
            " where delivery.account_id = %s and delivery.delivery_id = %s"
            " and (delivery.url is not null or subscription.subscription_id is not null)",
            (account_id, delivery_id),
        )
        row = await cursor.fetchone()
        if row is None:
            raise NotFound(f"There is no delivery {delivery_id} in this account.", field="delivery_id")
        if not row["is_active"]:
            raise InvalidState("The subscription is switched off; switch it on before replaying.")
        await conn.execute(_REPLAY, (account_id, delivery_id))
        await conn.execute("select pg_notify(%s, '')", (CHANNEL,))


async def replay_many(
    db: Database,
    account_id: int,
    *,
    subscription_id: int | None = None,
    mnemonic: str | None = None,
    status: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> int:
    """Send deliveries again, with the subscriptions' present addresses and templates. Those that wait, and those of
    subscriptions that are switched off, stay as they are.

    :param status: ``delivered`` or ``failed``; None: both.
    :param since: of the events; inclusive.
    :param until: exclusive.
    :returns: how many.
    """
    chosen = {
        "account_id": account_id,
        "subscription_id": subscription_id,
        "mnemonic": mnemonic,
        "status": status,
        "since": since,
        "until": until,
        "batch": _REPLAY_BATCH,
    }
    count, last = 0, 0
    while True:
        async with db.connection() as conn:
            cursor = await conn.execute(_REPLAY_MANY, {**chosen, "after": last})
            ids = [int(row["delivery_id"]) for row in await cursor.fetchall()]
            await conn.execute("select pg_notify(%s, '')", (CHANNEL,))
        count += len(ids)
        if len(ids) < _REPLAY_BATCH:
            return count
        last = max(ids)


class EndpointKind(StrEnum):
    """What a delivery is sent for."""

    SUBSCRIPTION = "subscription"
    UPLOAD_CALLBACK = "upload_callback"


@dataclass(frozen=True, slots=True)
class Stream:
    """Deliveries of one stream that are to be sent, in order.

    :ivar rows: with what is needed of the subscription and its endpoint's state; at least one.
    :ivar is_trial: the endpoint is suspended, and this attempt tests whether it works again.
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
    outcome: SendOutcome
    body: str
    status: str
    pause: float
    """Seconds until the next one, when it is pending still."""

    @property
    def key(self) -> DeliveryKey:
        return int(self.row["account_id"]), int(self.row["delivery_id"])


async def take(
    conn: AsyncConnection[Any], busy: Sequence[str], working: Mapping[int, int], limit: int
) -> list[Stream]:
    """Streams with something due, less those at work: of each account at most :data:`ACCOUNT_STREAMS`, first of the
    endpoints that have the fewest at work. So the backlog of one account neither fills the read nor makes it long.

    :param busy: keys of streams at work.
    :param working: how many streams of which subscription are at work.
    :param limit: streams at work of a subscription at most, and due deliveries looked at for each.
    """
    full = [which for which, streams in working.items() if streams >= limit]
    cursor = await conn.execute(_TRIALS, {"full": full, "account_trials": ACCOUNT_TRIALS})
    trials = await cursor.fetchall()
    started: list[int] = []
    if trials:
        cursor = await conn.execute(
            _START_TRIAL,
            {
                "accounts": [row["account_id"] for row in trials],
                "subscriptions": [row["subscription_id"] for row in trials],
                "streams": [row["stream"] for row in trials],
                "secs": backoff.TRIAL_SECONDS,
            },
        )
        started = [row["subscription_id"] for row in await cursor.fetchall()]
    cursor = await conn.execute(
        _TAKE,
        {
            "busy": list(busy),
            "full": full,
            "working": list(working),
            "working_streams": list(working.values()),
            "account_streams": ACCOUNT_STREAMS,
            "limit": limit,
            "rows": STREAM_ROWS,
            "trials": started,
        },
    )
    found: dict[tuple[int, str], Stream] = {}
    for row in await cursor.fetchall():
        key = (row["subscription_id"], row["stream"])
        if key not in found:
            found[key] = Stream(row["account_id"], *key, [], row["is_suspended"])
        found[key].rows.append(row)
    return list(found.values())


async def wait_for_heads(conn: AsyncConnection[Any], streams: Sequence[Stream]) -> None:
    """Nothing of these streams is due before the oldest of its stream is. One statement for all of them."""
    await conn.execute(
        _WAIT_FOR_HEAD,
        {
            "accounts": [one.account_id for one in streams],
            "subscriptions": [one.subscription_id for one in streams],
            "streams": [one.stream for one in streams],
            "due": [one.rows[0]["next_attempt_at"] for one in streams],
        },
    )


class Settlement(StrEnum):
    """What became of one outcome that was to be written."""

    WRITTEN = "written"
    GONE = "gone"
    """The delivery is deleted, for example with its subscription."""
    LOCKED = "locked"
    """Another transaction holds the row: settle it again later."""


async def settle(
    conn: AsyncConnection[Any], attempts: Sequence[Attempt], *, without_texts: bool = False
) -> dict[DeliveryKey, Settlement]:
    """Write the outcomes of attempts. Each delivery is settled separately: one that is deleted or locked by another
    transaction neither delays nor undoes the others.

    Writing the same outcome a second time changes nothing.

    :param without_texts: leave out the body, the error and the excerpt of the answer, which may not be storable.
    """
    rows = [
        {
            "account_id": one.row["account_id"],
            "delivery_id": one.row["delivery_id"],
            "attempt": one.row["attempts"] + 1,
            "status": one.status,
            "body": None if without_texts else storable(one.body),
            "pause": one.pause,
            "duration_ms": one.outcome.duration_ms,
            "status_code": one.outcome.status_code,
            "error": _NO_TEXT if without_texts and one.outcome.error is not None else one.outcome.error,
            "response_excerpt": None if without_texts else one.outcome.response_excerpt,
            "round_started": one.row["round_started"],
        }
        for one in attempts
    ]
    cursor = await conn.execute(_SETTLE, (orjson.dumps(rows).decode(),))
    there = {
        (int(row["account_id"]), int(row["delivery_id"])): row["is_written"]
        for row in await cursor.fetchall()
    }
    return {
        one.key: Settlement.GONE
        if one.key not in there
        else (Settlement.WRITTEN if there[one.key] else Settlement.LOCKED)
        for one in attempts
    }


async def due_later(conn: AsyncConnection[Any]) -> list[float]:
    """Seconds from now after which pending deliveries become due and suspensions end, by the whole second, the
    nearest thousand."""
    cursor = await conn.execute(_DUE_LATER)
    return [float(row["seconds"]) for row in await cursor.fetchall()]


async def give_up(db: Database, after: Mapping[EndpointKind, float]) -> int:
    """End deliveries whose time is over; returns how many.

    :param after: seconds, by kind.
    """
    count = await db.execute(_GIVE_UP, {kind.value: seconds + _GRACE for kind, seconds in after.items()})
    if count:
        _log.error(
            "deliveries_given_up",
            count=count,
            consequence="these notifications are not sent any more",
            remedy="check the endpoints (trunkline notification), then send the deliveries again",
        )
    return count


async def prune(db: Database, days: Mapping[int, int | None]) -> int:
    """Delete finished deliveries that were made more than so many days ago; return how many.

    :param days: by account; None = kept for ever.

    In small transactions, so that others do not wait for a long one. Called by the worker every hour.
    """
    gone = await _remove_orphans(db)
    for account_id, limit in days.items():
        rows = 0 if limit is None else _PRUNE_BATCH
        while rows == _PRUNE_BATCH:
            rows = await db.execute(_PRUNE, {"account_id": account_id, "days": limit, "batch": _PRUNE_BATCH})
            gone += rows
    return gone


async def remove_of(db: Database, account_id: int, subscription_id: int) -> int:
    """Remove the deliveries of a subscription that is deleted, in small transactions; how many there were."""
    ids = {"account_id": account_id, "subscription_id": subscription_id}
    await db.execute(
        "delete from endpoint_states where account_id = %(account_id)s and subscription_id = %(subscription_id)s",
        ids,
    )
    gone, rows = 0, _PRUNE_BATCH
    while rows == _PRUNE_BATCH:
        rows = await db.execute(_REMOVE, {**ids, "batch": _PRUNE_BATCH})
        gone += rows
    return gone


async def _remove_orphans(db: Database) -> int:
    return sum(
        [
            await remove_of(db, row["account_id"], row["subscription_id"])
            for row in await db.fetch_all(_ORPHANS)
        ]
    )
