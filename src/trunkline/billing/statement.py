"""What a month of an account cost: its fees and its calls, as they were charged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from trunkline.core.errors import NotFound
from trunkline.db.pool import Database, Row
from trunkline.reports.period import Period

_ACCOUNT = """
select a.currency, %(month)s::timestamp at time zone a.time_zone as start,
    (%(month)s::timestamp + interval '1 month') at time zone a.time_zone as end, p.name as plan
from accounts a left join tariff_plans p on p.tariff_plan_id = (
    select h.tariff_plan_id from account_tariff_plans h where h.account_id = a.account_id order by h.since desc limit 1)
where a.account_id = %(account_id)s
"""

_FEES = """
select kind, item, amount, currency from account_fees where account_id = %(account_id)s and month = %(month)s
order by kind, item, item_id
"""

_CALLS = """
select direction, direction_type, currency, count(*) filter (where duration > 0) as legs,
    sum(chargeable_duration) as chargeable_duration,
    sum(total_charge) as amount
from leg_charges c
where c.account_id = %(account_id)s and c.start_time >= %(period_start)s and c.start_time < %(period_end)s
    and c.call_session_id >= %(first_id)s and c.call_session_id < %(end_id)s
group by direction, direction_type, currency order by direction, direction_type
"""


@dataclass(frozen=True, slots=True)
class Statement:
    """A month. Amounts in ``currency``; what was charged in another one (the account's before) is not in the sums."""

    account_id: int
    month: date
    currency: str
    plan: str | None
    fees: list[Row]
    """``kind``, ``item``, ``amount``, ``currency``."""
    calls: list[Row]
    """``direction``, ``direction_type``, ``currency``, ``legs`` (with a talk), ``chargeable_duration`` in seconds,
    ``amount``."""

    @property
    def fees_total(self) -> Decimal:
        return sum((row["amount"] for row in self.fees if row["currency"] == self.currency), Decimal(0))

    @property
    def calls_total(self) -> Decimal:
        return sum((row["amount"] for row in self.calls if row["currency"] == self.currency), Decimal(0))

    @property
    def total(self) -> Decimal:
        return self.fees_total + self.calls_total


async def statement(database: Database, account_id: int, month: date) -> Statement:
    """What a month cost so far.

    :param month: any day of it, by the account's calendar.
    :raises NotFound: no such account.
    """
    params: dict[str, Any] = {"account_id": account_id, "month": month.replace(day=1)}
    account = await database.fetch_one(_ACCOUNT, params)
    if account is None:
        raise NotFound(f"there is no account {account_id}; see `trunkline account list`", value=account_id)
    period = Period(account["start"], account["end"])
    return Statement(
        account_id,
        params["month"],
        account["currency"],
        account["plan"],
        await database.fetch_all(_FEES, params),
        await database.fetch_all(_CALLS, {**params, **period.params}),
    )
