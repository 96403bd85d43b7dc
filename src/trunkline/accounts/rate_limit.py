"""The caller of a token and the points of the request, by one query.

The statement takes points only if the data that it reads permit the request; the caller must still be checked
by the rules (:mod:`.access`, :mod:`.networks`), and points of a request that is refused then are given back. Where it
took none, :class:`~trunkline.accounts.metering.Metering` tries again and returns the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import LiteralString

from psycopg import errors

from trunkline.accounts import access, networks, tokens
from trunkline.accounts.metering import TAKEN, parameters
from trunkline.accounts.model import Caller, Points
from trunkline.accounts.points import Counter, Period, remaining_points
from trunkline.core.clock import to_datetime
from trunkline.db.one_trip import BoundStatement
from trunkline.db.pool import Database, Row

_ADMIT: LiteralString = f"""
    with who as materialized ({access.BY_TOKEN}),
    without_flush as materialized (select set_config('synchronous_commit', 'off', true) as setting),
    wanted as (
        select w.account_id, v.period, v.period_start, v.cap,
            coalesce((w.weights ->> %(method)s)::int, %(weight)s) as weight
        from without_flush, who w join account_limits l on l.account_id = w.account_id and l.api = %(api)s,
            lateral (values
                ('day', %(day)s::timestamptz, l.day_points),
                ('minute', %(minute)s::timestamptz, l.minute_points)) as v (period, period_start, cap)
        where without_flush.setting = 'off'
            and w.blocked_at is null and (w.expires_at is null or w.expires_at > %(now)s)
            and (w.api is null or w.api = %(api)s)
            and w.user_status = 'active' and w.account_status = 'active'
            and case %(api)s when 'call_api' then w.call_api_enabled when 'data_api' then w.data_api_enabled
                when 'call_center' then w.call_center_enabled end
            and exists (select from unnest(w.networks) as n (network) where n.network >>= %(ip)s::inet)
    ),
    {TAKEN}
    select who.*, (
        -- One counter of two: a limit is exceeded, and the division by zero rolls back the other.
        select case count(*) when 2 then jsonb_object_agg(
                t.period, jsonb_build_array(extract(epoch from t.period_start), t.used, t.cap))
            when 1 then to_jsonb(1 / (count(*) - 1)) end
        from taken t) as taken
    from who
"""  # noqa: S608 - consists of constants


@dataclass(frozen=True, slots=True)
class AdmittedCaller:
    """The caller of a request, and the points that were taken; None when none were."""

    caller: Caller
    points: Points | None


async def admit(
    db: Database, token: str, api: str, method: str, weight: int, ip: str, now: float
) -> AdmittedCaller:
    """See :meth:`trunkline.accounts.service.Accounts.admit`."""
    moment = to_datetime(now)
    address = networks.parse_address(ip)
    if address is not None:
        asked = {
            **parameters(0, api, weight, now),
            "hash": tokens.hash_of(token),
            "method": method,
            "ip": str(address),
            "now": moment,
        }
        try:
            rows = await db.fetch_prepared(BoundStatement(_ADMIT.encode(), asked))
        except errors.DivisionByZero:
            pass
        else:
            row = rows[0] if rows else None
            caller = await access.caller_of_row(db, row, api, moment)
            return AdmittedCaller(caller, _points(row, now))
    return AdmittedCaller(await access.find_caller(db, token, api, moment), None)


def _points(row: Row | None, now: float) -> Points | None:
    if row is None or row["taken"] is None:
        return None
    counters = {Period(name): Counter(float(start), used) for name, (start, used, _) in row["taken"].items()}
    limits = {Period(name): cap for name, (_, _, cap) in row["taken"].items()}
    return remaining_points(limits, counters, now)
