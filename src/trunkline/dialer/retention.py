"""Removes attempts of campaigns whose calls are kept no longer.

Attempts of a lead that may be called again stay: the limits "in all" of its outcomes are counted from them.
"""

from __future__ import annotations

from collections.abc import Mapping

from trunkline.core.clock import Instant, to_datetime
from trunkline.core.log import get_logger
from trunkline.db.pool import Database

_log = get_logger("dialer")

BATCH = 1000
"""Attempts of a transaction."""

_REMOVE = """
with old as (
    select a.attempt_id from dial_campaigns c
    join dial_attempts a on a.account_id = c.account_id and a.campaign_id = c.campaign_id
    where c.account_id = %(account_id)s and a.ended_at < %(before)s and a.outcome is not null
        and not exists (select from dial_leads d where d.account_id = a.account_id and d.campaign_id = a.campaign_id
            and d.phone = a.phone and d.closed is null)
    limit %(batch)s),
gone as (
    delete from dial_attempts where account_id = %(account_id)s and attempt_id in (select attempt_id from old)
    returning 1)
select count(*) as count from gone
"""


async def remove_attempts(db: Database, before: Mapping[int, float | None]) -> int:
    """Remove old attempts; how many is logged.

    :param before: for every account: attempts that ended before this moment (Unix seconds); None = none.
    """
    total = 0
    for account_id, moment in before.items():
        if moment is None:
            continue
        params = {"account_id": account_id, "before": to_datetime(Instant(moment)), "batch": BATCH}
        while True:
            row = await db.fetch_one(_REMOVE, params)
            count = row["count"] if row is not None else 0
            total += count
            if count < BATCH:
                break
    if total:
        _log.info("attempts_removed", count=total)
    return total
