"""Accounts in CRM systems with deals and leads: configuration, and the progress of loading."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trunkline.contract.columns import field, listed, optional_field
from trunkline.db.pool import Database
from trunkline.db.query import Listing
from trunkline.db.rows import delete, insert, transaction, update

TYPES = ("custom", "amocrm", "bitrix")
CONVERSION_MODELS = ("last_before_deal", "last_before_contact", "last_before_lead")
LOAD_STATES = ("not_loaded", "completed", "in_process", "error")

_DEFAULTS: Mapping[str, Any] = {
    "description": "",
    "type": "custom",
    "is_ignore_outgoing_calls": False,
    "is_ignore_outgoing_chats": False,
}
"""What an optional value is when it is not given, or reset."""

CRM_ACCOUNTS = Listing(
    name="crm_accounts",
    table="crm_accounts c",
    where="c.account_id = %(account_id)s",
    order="c.crm_account_id",
    columns=listed(
        "get.crm_accounts",
        field("id", "c.crm_account_id"),
        field("name", "c.name"),
        optional_field("description", "c.description"),
        field("type", "c.type"),
        field("url", "c.url"),
        field("deal_conversion_model", "c.deal_conversion_model"),
        field("is_ignore_outgoing_calls", "c.is_ignore_outgoing_calls"),
        field("is_ignore_outgoing_chats", "c.is_ignore_outgoing_chats"),
        field("last_deals_load_time", "c.last_deals_load_time"),
        field("deals_load_state", "c.deals_load_state"),
        field("deals_load_error", "c.deals_load_error"),
        field("last_leads_load_time", "c.last_leads_load_time"),
        field("leads_load_state", "c.leads_load_state"),
    ),
)


async def create_crm_account(database: Database, account_id: int, values: Mapping[str, Any]) -> int:
    """Add a CRM account; its id.

    :param values: ``name``, ``url``, ``deal_conversion_model`` and optional ones.
    :raises Duplicate: the name is taken.
    """
    async with transaction(database) as connection:
        return await insert(
            connection, "crm_accounts", "crm_account_id", account_id, {**_DEFAULTS, **_without_nulls(values)}
        )


async def update_crm_account(
    database: Database, account_id: int, crm_account_id: int, values: Mapping[str, Any]
) -> None:
    """Change what ``values`` has; None resets an optional value.

    :raises NotFound: no such CRM account here.
    :raises Duplicate: the name is taken.
    """
    async with transaction(database) as connection:
        await update(
            connection,
            "crm_accounts",
            "crm_account_id",
            account_id,
            crm_account_id,
            _without_nulls(values),
        )


async def delete_crm_account(database: Database, account_id: int, crm_account_id: int) -> None:
    """Remove a CRM account.

    :raises NotFound: no such CRM account here.
    :raises InUse: something refers to it.
    """
    async with transaction(database) as connection:
        await delete(connection, "crm_accounts", "crm_account_id", account_id, crm_account_id)


def _without_nulls(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _DEFAULTS[name] if value is None else value for name, value in values.items()}
