"""Limits of stored recordings that accounts have reached: for ``trunkline status``, and as events.

A limit is reached when as much is stored, or when the last upload was refused by it, and neither the limit nor less stored
bytes have given it space since.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from trunkline.core.clock import Instant
from trunkline.core.errors import DatabaseUnavailable
from trunkline.core.log import get_logger
from trunkline.db.pool import Connection, Database, log_cause
from trunkline.events.catalogue import EventType, account_stream
from trunkline.events.store import append_to_end
from trunkline.uploads.storage import Quota

_log = get_logger("uploads")

PERIOD = 15.0
"""Seconds between two checks."""

_STATES = """
select a.account_id, a.name as account_name, one.name, one.own_limit, one.used, s.refused_limit, s.refused_bytes,
    one.name = 'bytes' or (s.refused_at at time zone 'UTC')::date = (now() at time zone 'UTC')::date as is_current,
    coalesce(s.is_published, false) as is_published
from upload_totals t join accounts a on a.account_id = t.account_id
    left join upload_limits l on l.account_id = t.account_id
    cross join lateral (values ('bytes', l.bytes, t.bytes), ('bytes_per_day', l.bytes_per_day,
        case when t.day = (now() at time zone 'UTC')::date then t.day_bytes else 0 end)) as one(name, own_limit, used)
    left join upload_limit_states s on s.account_id = t.account_id and s.limit_name = one.name
order by a.account_id, one.name
"""

_PUBLISH = """
insert into upload_limit_states as s (account_id, limit_name, is_published, published_at)
values (%(account_id)s, %(name)s, true, now())
on conflict (account_id, limit_name) do update set is_published = true, published_at = now()
where not s.is_published and coalesce(s.published_at < now() - interval '1 hour', true)
"""

_END = """
update upload_limit_states set is_published = false
where account_id = %(account_id)s and limit_name = %(name)s and is_published
"""

_NOTE = """
insert into installation_events (node, type, data, mailed_at)
values (0, 'uploads_limit', %s, case when %s then null else now() end)
"""


@dataclass(frozen=True, slots=True)
class ReachedLimit:
    """``limit``: ``bytes`` or ``bytes_per_day``. ``limit_max_value`` and ``stored_bytes`` in bytes, of the day (UTC) for the
    latter."""

    account_id: int
    account_name: str
    limit: str
    limit_max_value: int
    stored_bytes: int


def reached(row: Mapping[str, Any], quota: Quota) -> ReachedLimit | None:
    """What a row of the states shows; None: the limit is not reached. Pure."""
    usual = quota.bytes if row["name"] == "bytes" else quota.day_bytes
    limit = usual if row["own_limit"] is None else row["own_limit"]
    was_refused = (
        row["is_current"]
        and row["refused_limit"] is not None
        and limit <= row["refused_limit"]
        and row["used"] >= row["refused_bytes"]
    )
    if limit == 0 or not (row["used"] >= limit or was_refused):
        return None
    return ReachedLimit(row["account_id"], row["account_name"], row["name"], limit, row["used"])


async def reached_limits(db: Database, quota: Quota) -> list[ReachedLimit]:
    """Of all accounts."""
    found = (reached(row, quota) for row in await db.fetch_all(_STATES))
    return [one for one in found if one is not None]


async def publish_limits(db: Database, quota: Quota) -> None:
    """Publish limits that are reached since the last check, each at most once an hour, and those that are not any more."""
    for row in await db.fetch_all(_STATES):
        one = reached(row, quota)
        if (one is not None) == row["is_published"]:
            continue
        async with db.connection() as connection:
            if one is not None:
                await _publish(connection, one)
                continue
            cursor = await connection.execute(_END, row)
            if cursor.rowcount:
                data = {name: row[name] for name in ("account_id", "account_name")}
                await connection.execute(
                    _NOTE, (Jsonb({**data, "limit": row["name"], "state": "below"}), False)
                )


async def _publish(connection: Connection, one: ReachedLimit) -> None:
    cursor = await connection.execute(_PUBLISH, {"account_id": one.account_id, "name": one.limit})
    if not cursor.rowcount:
        return
    await connection.execute(_NOTE, (Jsonb({**asdict(one), "state": "reached"}), True))
    await append_to_end(
        connection,
        one.account_id,
        account_stream(one.account_id),
        EventType.UPLOADS_LIMIT_REACHED,
        Instant(time.time()),
        {
            "limit": f"uploads_{one.limit}",
            "limit_max_value": one.limit_max_value,
            "stored_bytes": one.stored_bytes,
        },
    )


async def run_limits(db: Database, quota: Quota) -> None:
    """The part of a worker, until cancelled. Any number of workers may run it."""
    while True:
        try:
            await publish_limits(db, quota)
        except (psycopg.Error, DatabaseUnavailable) as error:
            _log.warning(
                "upload_limits_not_checked",
                cause=log_cause(error),
                error=str(error),
                consequence="limits that accounts have reached are published later; it is tried again",
            )
        await asyncio.sleep(PERIOD)
