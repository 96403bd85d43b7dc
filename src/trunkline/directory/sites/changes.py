"""Changes of sites. A new site has one block; calls on numbers of its campaigns use it at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from trunkline.core.errors import Duplicate, InvalidInput, NotFound
from trunkline.db.pool import Connection, Database, whole_installation
from trunkline.db.rows import delete, insert, lock_row, one_at_a_time, transaction, update
from trunkline.directory.sites.redirects import known_redirect, redirect_to
from trunkline.directory.sites.rules import FIRST_BLOCK

TABLE, ID = "sites", "site_id"
DEFAULTS: Mapping[str, Any] = {
    "name": None,
    "default_scenario_id": None,
    "target_call_min_duration": 30,
    "second_communication_period": 1,
    "cookie_lifetime": 90,
    "campaign_lifetime": 90,
    "track_subdomains": True,
    "sales_enabled": False,
    "services_enabled": True,
    "replacement_dynamical_block_enabled": False,
    "is_support_web_directory": False,
    "is_block_robot_traffic": False,
    "widget_link": None,
    "show_visitor_id": None,
    "child_customer_id": None,
    "calls_enabled": False,
    "origins": [],
    "phone_scenario_id": None,
    "callback_scenario_id": None,
    "calls_number_id": None,
    "calls_schedule_id": None,
    "calls_abroad": False,
    "calls_at_once": 5,
    "calls_per_minute": 10,
    "calls_per_number": 3,
    "calls_per_address": 5,
}
"""Default values of a site, also for null in an update."""

_REQUIRED = ("domain_name", "default_phone_number", "industry_id")
_OBJECTS = ("widget_link", "show_visitor_id")


@dataclass(frozen=True, slots=True)
class NewSite:
    site_id: int
    site_key: str
    """What pages of the site are marked with; 32 characters."""


async def create_site(
    db: Database, account_id: int, values: Mapping[str, Any], *, site_key: str | None = None
) -> NewSite:
    """Add a site with its first block, and a scenario that forwards its calls to its default number.

    :param values: ``domain_name``, ``industry_id``, and of ``default_phone_number`` and :data:`DEFAULTS` what is
        known.
    :param site_key: None = one is made.
    :raises Duplicate: the account has a site of this domain.
    :raises InvalidInput: mnemonic ``already_in_use``: another site has this key.
    :raises NotFound: no such scenario or client.
    """
    row = _row(values)
    async with transaction(db) as connection:
        await one_at_a_time(connection, account_id)
        await _lock_row(connection, account_id, values)
        if (number := values.get("default_phone_number")) is not None:
            redirect = await redirect_to(connection, account_id, number)
            row["default_scenario_id"] = row.get("default_scenario_id") or redirect
        if site_key is not None:
            row["site_key"] = site_key
        site_id = await _insert(connection, account_id, row)
        block = {"site_id": site_id, "name": FIRST_BLOCK}
        await insert(connection, "site_blocks", "site_block_id", account_id, block)
        cursor = await connection.execute(
            "select site_key from sites where account_id = %s and site_id = %s", (account_id, site_id)
        )
        made = await cursor.fetchone()
    assert made is not None
    return NewSite(site_id, made["site_key"])


async def update_site(db: Database, account_id: int, site_id: int, values: Mapping[str, Any]) -> None:
    """Change what is in ``values``, the rest stays; None means the default.

    :raises NotFound: no such site, scenario or client.
    :raises Duplicate: another site has this domain.
    """
    row = _row(values)
    async with transaction(db) as connection:
        await one_at_a_time(connection, account_id)
        await lock_row(connection, TABLE, ID, account_id, site_id)
        await _lock_row(connection, account_id, values)
        row |= await _redirected(connection, account_id, site_id, row)
        await update(connection, TABLE, ID, account_id, site_id, row)


async def delete_site(db: Database, account_id: int, site_id: int) -> None:
    """Remove a site and its blocks; the data of calls are not changed.

    :raises NotFound: no such site.
    :raises InUse: it has campaigns.
    """
    async with transaction(db) as connection:
        await delete(connection, TABLE, ID, account_id, site_id)


async def _redirected(
    connection: Connection, account_id: int, site_id: int, row: Mapping[str, Any]
) -> dict[str, Any]:
    """The scenario that follows from a change: that of the number, as long as no other was chosen."""
    cursor = await connection.execute(
        "select default_phone_number, default_scenario_id from sites where account_id = %s and site_id = %s",
        (account_id, site_id),
    )
    present = await cursor.fetchone()
    assert present is not None
    was, number = (each.get("default_phone_number") for each in (present, {**present, **row}))
    if number is None:
        return {}
    redirect = await redirect_to(connection, account_id, number)
    if "default_scenario_id" in row:
        follows = row["default_scenario_id"] is None
    else:
        before = await known_redirect(connection, account_id, was) if was is not None else None
        follows = number != was and present["default_scenario_id"] in (None, before)
    return {"default_scenario_id": redirect} if follows else {}


def _row(values: Mapping[str, Any]) -> dict[str, Any]:
    row = {name: values[name] for name in _REQUIRED if name in values}
    for name, default in DEFAULTS.items():
        if name in values:
            row[name] = default if values[name] is None else values[name]
    for name in _OBJECTS:
        if row.get(name) is not None:
            row[name] = Jsonb(row[name])
    return row


async def _lock_row(connection: Connection, account_id: int, values: Mapping[str, Any]) -> None:
    scenario, client = values.get("default_scenario_id"), values.get("child_customer_id")
    if scenario is not None:
        field = "default_scenario_id"
        await lock_row(connection, "scenarios", "scenario_id", account_id, scenario, field=field)
    if client is not None:
        async with whole_installation(connection):
            cursor = await connection.execute(
                "select from accounts where account_id = %s and parent_account_id = %s", (client, account_id)
            )
            found = await cursor.fetchone()
        if found is None:
            raise NotFound(
                f"There is no client {client}: look it up with get.customers",
                field="child_customer_id",
                value=client,
            )


async def _insert(connection: Connection, account_id: int, row: Mapping[str, Any]) -> int:
    try:
        return await insert(connection, TABLE, ID, account_id, row)
    except Duplicate as error:
        if error.field != "site_key":
            raise
        raise InvalidInput(
            "Another site has this key: choose another, or none to have one made",
            mnemonic="already_in_use",
            field="site_key",
            value=row["site_key"],
        ) from error
