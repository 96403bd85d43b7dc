"""Limits that agents set for their clients: a client that has reached one is locked, until it has not any more.

Money: fees and calls of the month. Calls: those that began in the month, or on the day. By the client's own calendar.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from trunkline.accounts.customers import CustomerStatus, put_status
from trunkline.core.log import get_logger
from trunkline.db.pool import Database
from trunkline.reports.period import Period

_log = get_logger("billing")

_LIMITED = """
select c.account_id as agent_id, c.customer_id, c.status, a.currency,
    c.monthly_base_limit, c.monthly_calls_limit, c.daily_calls_limit,
    t.month::date as month, t.month at time zone a.time_zone as month_start, t.day at time zone a.time_zone as day_start
from customers c join accounts a on a.account_id = c.customer_id
cross join lateral (
    select date_trunc('month', %(now)s at time zone a.time_zone) as month,
        date_trunc('day', %(now)s at time zone a.time_zone) as day
) t
where (c.status = 'active' and a.status = 'active' or c.status = 'limit_lock')
    and (c.status = 'limit_lock'
        or coalesce(c.monthly_base_limit, c.monthly_calls_limit, c.daily_calls_limit) is not null)
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


async def enforce_limits(database: Database, now: datetime) -> int:
    """Lock the clients that have reached a limit, let in those that were locked and have not; how many changed.

    :param now: aware.
    """
    changed = 0
    for client in await database.fetch_all(_LIMITED, {"now": now}):
        wanted = CustomerStatus.LIMIT_LOCK if await _reached(database, client, now) else CustomerStatus.ACTIVE
        if wanted != client["status"]:
            changed += await _move(database, client, wanted)
    return changed


async def _reached(database: Database, client: Any, now: datetime) -> bool:
    month, day = Period(client["month_start"], now), Period(client["day_start"], now)
    params = {
        "account_id": client["customer_id"],
        "currency": client["currency"],
        "month": client["month"],
    }
    if client["monthly_base_limit"] is not None:
        row = await database.fetch_one(_SPENT, {**params, **month.params})
        if row is not None and row["spent"] >= client["monthly_base_limit"]:
            return True
    for limit, period in (("monthly_calls_limit", month), ("daily_calls_limit", day)):
        if client[limit] is not None:
            row = await database.fetch_one(_CALLS, {**params, **period.params})
            if row is not None and row["calls"] >= client[limit]:
                return True
    return False


async def _move(database: Database, client: Any, wanted: CustomerStatus) -> bool:
    """Set the status, unless somebody else changed it meanwhile."""
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
