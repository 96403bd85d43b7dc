"""The state of each endpoint: failures in a row suspend it, and one that is gone or has failed for days is switched off.

What waits for a suspended endpoint stays pending; one delivery at a time tests whether it works again
(:func:`trunkline.notifications.deliveries.take`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import AsyncConnection

from trunkline.core.log import get_logger
from trunkline.db.pool import Database
from trunkline.notifications import backoff
from trunkline.notifications.deliveries import Attempt

_log = get_logger("notifications")

# Deliveries that were in progress together when an endpoint failed suspend it, but count as one failure beyond that.
_ENDPOINT_FAILED = """
insert into endpoint_states as state (account_id, subscription_id, failures)
select account_id, subscription_id, 1 from (
    select account_id, subscription_id from subscriptions
    union all select account_id, subscription_id from callback_endpoints
) as target where account_id = %s and subscription_id = %s
on conflict (account_id, subscription_id) do update
set failures = greatest(least(state.failures + 1, %s), %s)
returning failures, failures >= %s and failing_since < now() - make_interval(secs => %s) as is_hopeless
"""

_SWITCH_OFF = """
with off as (
    update subscriptions set is_active = false, switched_off_reason = %(reason)s
    where account_id = %(account_id)s and subscription_id = %(subscription_id)s and is_active
    returning account_id, subscription_id, key, url
), noted as (
    insert into installation_events (node, type, data)
    select 0, 'subscription_off', jsonb_build_object('account_id', account_id, 'subscription_id', subscription_id,
        'key', key, 'url', split_part(url, '?', 1), 'reason', %(reason)s::text)
    from off
)
select key from off
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


def concerns_endpoint(attempt: Attempt) -> bool:
    """Whether the outcome changes the state of the endpoint. Pure."""
    row = attempt.row
    return attempt.outcome.endpoint_failed or bool(row["failures"]) or bool(row["is_suspended"])


async def note_endpoint(db: Database, attempts: Sequence[Attempt]) -> float:
    """Write the state of one endpoint from outcomes, in a separate transaction.

    A state that another transaction holds is left as it is: the next outcome shows the same.

    :param attempts: of one subscription, in the order in which they ended.
    :returns: seconds for which the endpoint is suspended now; 0 = it is not.
    """
    seconds = 0.0
    try:
        async with db.connection() as conn:
            await conn.execute("set local lock_timeout = '500ms'")
            for one in attempts:
                seconds = await _note_endpoint(conn, one)
    except (psycopg.errors.LockNotAvailable, psycopg.IntegrityError) as error:
        ids = {name: attempts[0].row[name] for name in ("account_id", "subscription_id")}
        _log.warning(
            "endpoint_state_not_written",
            **ids,
            error=str(error),
            consequence="this attempt does not count for a suspension",
        )
        return 0.0
    return seconds


async def _note_endpoint(conn: AsyncConnection[Any], attempt: Attempt) -> float:
    """Count failures in a row of an endpoint, suspend it after some, and continue when it works again.

    :returns: seconds for which it is suspended.
    """
    row = attempt.row
    ids = (row["account_id"], row["subscription_id"])
    if not attempt.outcome.endpoint_failed:
        if row["failures"]:
            await conn.execute(_ENDPOINT_WORKS, ids)
        if row["is_suspended"]:
            await conn.execute(_ALL_DUE, ids)
            _log.info("endpoint_works_again", subscription_id=row["subscription_id"])
        return 0.0
    cursor = await conn.execute(
        _ENDPOINT_FAILED,
        (*ids, backoff.SUSPEND_AFTER, row["failures"] + 1, backoff.SUSPEND_AFTER, backoff.SWITCH_OFF_AFTER),
    )
    counted = await cursor.fetchone()
    if counted is None:
        return 0.0  # the subscription is deleted
    if attempt.outcome.is_gone or counted["is_hopeless"]:
        await _switch_off(conn, attempt)
    seconds = max(backoff.suspension(counted["failures"]), attempt.outcome.retry_after)
    if not seconds:
        return 0.0
    await conn.execute(_SUSPEND, (seconds, *ids))
    _log.warning(
        "endpoint_suspended",
        subscription_id=row["subscription_id"],
        failures=counted["failures"],
        seconds=seconds,
        consequence="deliveries of this subscription wait for the time in seconds; all others continue",
    )
    return seconds


async def _switch_off(conn: AsyncConnection[Any], attempt: Attempt) -> None:
    """Switch off the subscription of an endpoint that is gone, or has failed for days. Administrators get a mail about it.

    What waits for it stays until its time is over, and is sent if the subscription is switched on before.
    """
    ids = {name: attempt.row[name] for name in ("account_id", "subscription_id")}
    reason = "gone" if attempt.outcome.is_gone else "failing"
    cursor = await conn.execute(_SWITCH_OFF, {**ids, "reason": reason})
    off = await cursor.fetchone()
    if off is None:
        return  # it is off already, or takes callbacks of uploads
    _log.error(
        "subscription_switched_off",
        **ids,
        key=off["key"],
        reason=reason,
        error=attempt.outcome.error,
        consequence="nothing is sent to it",
        remedy="correct the receiver, then switch it on: trunkline notification on",
    )
