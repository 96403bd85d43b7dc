"""The profile of an account and its user, as visible to themselves."""

from __future__ import annotations

from typing import Any

from trunkline.accounts.model import Action, Caller
from trunkline.accounts.permissions import RESOURCES
from trunkline.core.errors import NotFound
from trunkline.db.pool import Database

PROJECT = "trunkline"

_PROFILE = """
select a.account_id as app_id, a.status as app_state, a.name as app_name,
    a.parent_account_id is not null as is_agent_app, a.account_id as customer_id,
    u.user_id, u.role as user_type, u.login as user_login, nullif(u.full_name, '') as user_name,
    plan.tariff_plan_id as tp_id, plan.name as tp_name,
    (select crm.type from crm_accounts crm where crm.account_id = a.account_id
     order by crm.crm_account_id limit 1) as crm_type,
    a.locale as lang, a.time_zone as timezone, a.currency as report_currency, a.is_agent,
    case when a.is_agent then 'agent' end as agent_type
from accounts a join users u using (account_id)
    left join tariff_plans plan on plan.tariff_plan_id = (
        select h.tariff_plan_id from account_tariff_plans h where h.account_id = a.account_id
        order by h.since desc limit 1)
where a.account_id = %s and u.user_id = %s
"""


async def account(db: Database, account_id: int) -> dict[str, Any]:
    """``app_id``, ``name``, ``timezone`` (IANA) of an account.

    :raises NotFound: there is no such account (any more).
    """
    row = await db.fetch_one(
        "select account_id as app_id, name, time_zone as timezone from accounts where account_id = %s",
        (account_id,),
    )
    if row is None:
        raise NotFound("the account does not exist any more", field="app_id", value=account_id)
    return row


async def profile(db: Database, caller: Caller) -> dict[str, Any]:
    """All of ``getobj.account``: the account, the calling user, and what the user may do.

    :raises NotFound: there is no such account or user (any more).
    """
    row = await db.fetch_one(_PROFILE, (caller.account_id, caller.user_id))
    if row is None:
        raise NotFound("the account does not exist any more", field="app_id", value=caller.account_id)
    return {
        **row,
        "project": PROJECT,
        "is_bi_available": False,
        "permissions": permissions(caller),
        "components": sorted(caller.components),
    }


def permissions(caller: Caller) -> list[dict[str, Any]]:
    """What the user may do, by resource; those without any permission are left out. Pure."""
    named = {permission.partition(":")[0] for permission in caller.permissions}
    shown = [
        {"unit_id": resource, **{f"is_{action}": caller.may(resource, action) for action in Action}}
        for resource in sorted({*RESOURCES, *named})
    ]
    return [one for one in shown if any(one[f"is_{action}"] for action in Action)]
