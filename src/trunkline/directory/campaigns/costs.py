"""What campaigns cost, as uploaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from trunkline.core.errors import InvalidInput, NotFound
from trunkline.db.pool import Connection, Database
from trunkline.db.rows import transaction

MOST = 500
"""Records of one upload."""


@dataclass(frozen=True, slots=True)
class Cost:
    """``cost`` in the account's currency for whole days, both included; 0 removes the period's cost."""

    campaign_id: int
    site_id: int
    date_from: date
    date_till: date
    cost: Decimal


async def upload_costs(db: Database, account_id: int, costs: Sequence[Cost]) -> None:
    """Keep costs, all or none; what was uploaded for the same campaign and period before is replaced.

    :raises InvalidInput: more than :data:`MOST` (mnemonic ``data_limit_exceeded``); a period that ends before it
        begins (``invalid_date_time``).
    :raises NotFound: no such site, or no such campaign of it.
    """
    if len(costs) > MOST:
        raise InvalidInput(
            f"Upload at most {MOST} records at once",
            mnemonic="data_limit_exceeded",
            field="costs",
            params={"max_value": MOST},
        )
    for cost in costs:
        if cost.date_till < cost.date_from:
            raise InvalidInput(
                "A period ends on the day it begins, or later",
                mnemonic="invalid_date_time",
                field="costs.date_till",
                value=cost.date_till.isoformat(),
            )
    async with transaction(db) as connection:
        await _lock_row(connection, account_id, costs)
        for cost in costs:
            await put_cost(connection, account_id, cost)


async def _lock_row(connection: Connection, account_id: int, costs: Sequence[Cost]) -> None:
    cursor = await connection.execute("select site_id from sites where account_id = %s", (account_id,))
    sites = {row["site_id"] for row in await cursor.fetchall()}
    cursor = await connection.execute(
        "select campaign_id, site_id from campaigns where account_id = %s and campaign_id = any(%s)"
        " for key share",
        (account_id, [cost.campaign_id for cost in costs]),
    )
    campaigns = {(row["campaign_id"], row["site_id"]) for row in await cursor.fetchall()}
    for cost in costs:
        if cost.site_id not in sites:
            raise NotFound(
                "There is no such site: look it up with get.sites", field="costs.site_id", value=cost.site_id
            )
        if (cost.campaign_id, cost.site_id) not in campaigns:
            raise NotFound(
                "The site has no such campaign: look it up with get.campaigns",
                field="costs.campaign_id",
                value=cost.campaign_id,
            )


async def put_cost(connection: Connection, account_id: int, cost: Cost) -> None:
    """Keep the cost of a campaign for a period; 0 removes it."""
    period = (account_id, cost.campaign_id, cost.date_from, cost.date_till)
    if not cost.cost:
        await connection.execute(
            """delete from campaign_costs
               where account_id = %s and campaign_id = %s and date_from = %s and date_till = %s""",
            period,
        )
        return
    await connection.execute(
        """insert into campaign_costs (account_id, campaign_id, date_from, date_till, cost)
           values (%s, %s, %s, %s, %s)
           on conflict (account_id, campaign_id, date_from, date_till)
           do update set cost = excluded.cost, uploaded_at = now()""",
        (*period, cost.cost),
    )
