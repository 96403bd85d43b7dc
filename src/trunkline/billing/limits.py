"""Limits that agents set for their clients: a client that has reached one is locked, until it has not any more.

Money: fees and calls of the month. Calls: those that began in the month, or on the day. By the client's own calendar.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from trunkline.accounts.customers import CustomerStatus, put_status
from trunkline.billing import notices
from trunkline.billing.notices import Kind
from trunkline.core.log import get_logger
from trunkline.db.jobs import Jobs
from trunkline.db.pool import Database
from trunkline.reports.period import Period

_log = get_logger("billing")

_LIMITED = """
select c.*, c.account_id as agent_id, a.name, a.currency, t.month::date as month, t.day::date as day,
    t.month at time zone a.time_zone as month_start, t.day at time zone a.time_zone as day_start
from customers c join accounts a on a.account_id = c.customer_id
cross join lateral (
    select date_trunc('month', %(now)s at time zone a.time_zone) as month,
        date_trunc('day', %(now)s at time zone a.time_zone) as day
) t
where (c.status = 'active' and a.status = 'active' or c.status = 'limit_lock')
    and (c.status = 'limit_lock'
        or coalesce(c.monthly_base_limit, c.monthly_calls_limit, c.daily_calls_limit, c.monthly_base_notify_limit,
            c.monthly_calls_notify_limit, c.daily_calls_notify_limit) is not null)
"""

_SPENT = """
select (select coalesce(sum(amount), 0) from account_fees f
        where f.account_id = %(account_id)s and f.month = %(month)s and f.currency = %(currency)s)
    + (select coalesce(sum(total_charge), 0) from leg_charges c
        where c.account_id = %(account_id)s and c.start_time >= %(period_start)s and c.start_time < %(period_end)s
            and c.call_session_id >= %(first_id)s and c.call_session_id < %(end_id)s and c.currency = %(currency)s)
    as spent
"""

_CALLS = """
select count(*) as calls from call_sessions s
where s.account_id = %(account_id)s and s.start_time >= %(period_start)s and s.start_time < %(period_end)s
    and s.call_session_id >= %(first_id)s and s.call_session_id < %(end_id)s
"""


async def enforce_limits(database: Database, jobs: Jobs, now: datetime) -> int:
    """Lock the clients that have reached a limit, let in those that were locked and have not; how many changed.

    Notices on limits and thresholds are sent by mail (:mod:`trunkline.billing.notices`).

    :param now: aware.
    """
    changed = 0
    for client in await database.fetch_all(_LIMITED, {"now": now}):
        used = await _used(database, client, now)
        limits = {kind: client[f"{kind}_limit"] for kind in used}
        is_over = any(limit is not None and used[kind] >= limit for kind, limit in limits.items())
        wanted = CustomerStatus.LIMIT_LOCK if is_over else CustomerStatus.ACTIVE
        if wanted != client["status"]:
            changed += await _move(database, client, wanted)
        await notices.enqueue_notices(database, jobs, client, notices.reached(client, used))
    return changed


async def _used(database: Database, client: Mapping[str, Any], now: datetime) -> dict[Kind, Decimal | int]:
    """Of what is limited, or has a threshold."""
    month, day = Period(client["month_start"], now), Period(client["day_start"], now)
    params = {
        "account_id": client["customer_id"],
        "currency": client["currency"],
        "month": client["month"],
    }
    wanted = [
        kind for kind in Kind if (client[f"{kind}_limit"], client[f"{kind}_notify_limit"]) != (None, None)
    ]
    used: dict[Kind, Decimal | int] = {}
    for kind in wanted:
        of_money = kind is Kind.MONTHLY_BASE
        period = day if kind is Kind.DAILY_CALLS else month
        row = await database.fetch_one(_SPENT if of_money else _CALLS, {**params, **period.params})
        assert row is not None  # sums and counts always answer
        used[kind] = row["spent"] if of_money else row["calls"]
    return used


async def _move(database: Database, client: Any, wanted: CustomerStatus) -> bool:
    """Set the status, unless it was changed meanwhile."""
    async with database.connection() as connection:
        cursor = await connection.execute(
            "select from customers where account_id = %s and customer_id = %s and status = %s for no key update",
            (client["agent_id"], client["customer_id"], client["status"]),
        )
        if await cursor.fetchone() is None:
            return False
        await put_status(connection, client["agent_id"], client["customer_id"], wanted)
    _log.info("customer_limit", account_id=client["customer_id"], status=wanted.value)
    return True
