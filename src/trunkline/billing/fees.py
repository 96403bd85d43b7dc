"""Monthly fees: for the account, each of its numbers and each of its SIP lines; and what enabling a number costs.

A month is the account's, by its own calendar. An item that the account has at any time of a month costs the full monthly
fee, at the price at the time of the charge. The price of a number is that of the inventory, or else that of the
plan.
"""

from __future__ import annotations

from datetime import datetime

from trunkline.db.pool import Database

_CHARGE = """
with payer as (
    select a.account_id, a.currency, t.month, p.account_fee, p.number_fee, p.line_fee, a.time_zone
    from accounts a
    cross join lateral (
        select (%(now)s at time zone a.time_zone)::date as today,
            date_trunc('month', %(now)s at time zone a.time_zone)::date as month
    ) t
    left join lateral (
        select p.account_fee, p.number_fee, p.line_fee from tariff_prices p
        where p.account_id in (0, a.parent_account_id) and p.tariff_plan_id = (
            select h.tariff_plan_id from account_tariff_plans h
            where h.account_id = a.account_id and h.since <= %(now)s order by h.since desc limit 1
        ) and p.currency = a.currency and p.valid_from <= t.today
        order by p.valid_from desc limit 1
    ) p on true
    where a.status = 'active'
), due as (
    select account_id, month, 'account' as kind, 0 as item_id, '' as item, account_fee as amount, currency from payer
    union all
    select payer.account_id, month, 'number', v.virtual_number_id, v.phone_number,
        coalesce(i.monthly_charge, payer.number_fee), currency
    from payer join virtual_numbers v on v.account_id = payer.account_id and v.is_verified
    left join number_inventory i on i.phone_number = v.phone_number
    union all
    select payer.account_id, month, 'number_activation', v.virtual_number_id, v.phone_number, i.onetime_payment, currency
    from payer join virtual_numbers v on v.account_id = payer.account_id and v.is_verified
    join number_inventory i on i.phone_number = v.phone_number
    where date_trunc('month', v.activation_date at time zone payer.time_zone)::date = month
    union all
    select payer.account_id, month, 'line', l.sip_line_id, l.phone_number, payer.line_fee, currency
    from payer join sip_lines l using (account_id)
)
insert into account_fees (account_id, month, kind, item_id, item, amount, currency)
select account_id, month, kind, item_id, item, amount, currency from due where amount > 0
on conflict (account_id, month, kind, item_id) do nothing
"""


async def charge_fees(database: Database, now: datetime) -> int:
    """Charge all active accounts what their present month costs so far; how many fees were new.

    May run at any time, any number of times.
    """
    return await database.execute(_CHARGE, {"now": now})
