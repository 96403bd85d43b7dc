"""Points in the database: taken in one statement, so that requests at once never spend more than there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, LiteralString

from psycopg import errors

from trunkline.accounts.model import Points
from trunkline.accounts.points import Counter, Period, exceeded, period_start, remaining_points
from trunkline.core.clock import to_datetime
from trunkline.core.errors import LimitExceeded
from trunkline.db.pool import Connection, Database, Row

# One statement, so that it costs one round trip to the server. Both counters or none: when one limit is exceeded its
# row does not come back, and the division by zero undoes the other. It does not wait for the disk: a crash may lose
# points of the last moment.
TAKEN: LiteralString = """
    taken as (
        insert into points_used as p (account_id, api, period, period_start, used)
        select account_id, %(api)s, period, period_start, weight from wanted where weight <= cap order by period
        on conflict (account_id, api, period) do update set
            used = excluded.used + case when p.period_start >= excluded.period_start then p.used else 0 end,
            period_start = greatest(p.period_start, excluded.period_start)
        where excluded.used + case when p.period_start >= excluded.period_start then p.used else 0 end
              <= (select w.cap from wanted w where w.period = excluded.period)
        returning period, period_start, used,
            (select w.cap from wanted w where w.period = p.period) as cap
    )
"""
"""Takes the points of ``wanted`` (account_id, period, period_start, cap, weight) from each counter with enough points."""

_TAKE: LiteralString = f"""
    with without_flush as materialized (select set_config('synchronous_commit', 'off', true) as setting),
    wanted as (
        select l.account_id, v.period, v.period_start, v.cap, %(weight)s::int as weight
        from without_flush, account_limits l, lateral (values
            ('day', %(day)s::timestamptz, l.day_points),
            ('minute', %(minute)s::timestamptz, l.minute_points)) as v (period, period_start, cap)
        where l.account_id = %(account_id)s and l.api = %(api)s and without_flush.setting = 'off'
    ),
    {TAKEN}
    select period, period_start, used, cap, 1 / (count(*) over () - 1) as both from taken
"""  # noqa: S608 - consists of constants

# In the order of _TAKE, so that the two never wait for each other crosswise.
_GIVE_BACK = """
    with kept as (
        select account_id, api, period from points_used
        where account_id = %(account_id)s and api = %(api)s
          and period_start = case period when 'day' then %(day)s else %(minute)s end
        order by period for update
    )
    update points_used p set used = greatest(0, p.used - %(weight)s)
    from kept where p.account_id = %(account_id)s and p.api = kept.api and p.period = kept.period
"""

_READ = """
    select v.period, v.cap, p.period_start, p.used
    from account_limits l
    cross join lateral (values ('day', l.day_points), ('minute', l.minute_points)) as v (period, cap)
    left join points_used p on p.account_id = l.account_id and p.api = l.api and p.period = v.period
    where l.account_id = %(account_id)s and l.api = %(api)s
"""


class Metering:
    """Takes, returns and reads points."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def take(self, account_id: int, api: str, weight: int, now: float) -> Points:
        """See :meth:`trunkline.accounts.service.Accounts.reserve_points`."""
        try:
            rows = await self._db.fetch_all(_TAKE, parameters(account_id, api, weight, now))
        except errors.DivisionByZero:
            rows = []
        if not rows:
            points = await self.read(account_id, api, now)
            period = exceeded(points, weight)
            limit = points.day_limit if period is Period.DAY else points.minute_limit
            raise LimitExceeded(
                f"this account may spend {limit} points a {period}; wait or have the limit raised",
                params={"limit_type": period.value, "limit_max_value": limit},
            )
        return _remaining_points(rows, now)

    async def give_back(self, account_id: int, api: str, weight: int, taken_at: float, now: float) -> Points:
        """See :meth:`trunkline.accounts.service.Accounts.refund_points`."""
        async with self._db.connection() as connection:
            await _commit_without_flush(connection)
            await connection.execute(_GIVE_BACK, parameters(account_id, api, weight, taken_at))
        return await self.read(account_id, api, now)

    async def read(self, account_id: int, api: str, now: float) -> Points:
        """Limits and what is left; an account without limits for that API has none to spend."""
        return _remaining_points(await self._db.fetch_all(_READ, {"account_id": account_id, "api": api}), now)


async def _commit_without_flush(connection: Connection) -> None:
    """The commit of this transaction does not wait until the write-ahead log is flushed to the disk: a crash may lose the
    points of the last moment."""
    await connection.execute("set local synchronous_commit = off")


def parameters(account_id: int, api: str, weight: int, now: float) -> Mapping[str, Any]:
    """Of :data:`_TAKE` and its like: what is asked, and when the day and the minute of ``now`` began."""
    return {
        "account_id": account_id,
        "api": api,
        "weight": weight,
        "day": to_datetime(period_start(Period.DAY, now)),
        "minute": to_datetime(period_start(Period.MINUTE, now)),
    }


def _remaining_points(rows: Iterable[Row], now: float) -> Points:
    limits = dict.fromkeys(Period, 0)
    counters: dict[Period, Counter] = {}
    for row in rows:
        period = Period(row["period"])
        limits[period] = row["cap"]
        if row["period_start"] is not None:
            counters[period] = Counter(row["period_start"].timestamp(), row["used"])
    return remaining_points(limits, counters, now)
