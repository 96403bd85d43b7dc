"""The inventory: numbers that accounts may enable, which the administrator of the installation offers.

A number is offered to all accounts, or to the clients of one agent (and the agent itself). It stays listed while
an account has it, and is available again when that account returns it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field

from trunkline.core.errors import InUse, NotFound
from trunkline.db.pool import Connection, Database, Row
from trunkline.directory.forms.fields import Item, Key, Phone
from trunkline.directory.numbers.geography import place_name

EVERYBODY = 0
"""Account of what is offered to all."""

Money = Annotated[Decimal, Field(ge=0, max_digits=14, decimal_places=4)]


class OfferForm(Item):
    """A number as a file offers it.

    ``location``: ISO 3166 code of a country or region (AE, AE-DU). ``trunk``: key of the trunk that brings its
    calls, in the account that ``trunk_account`` names.
    """

    category: Literal["usual", "bronze", "silver", "gold", "platinum"] = "usual"
    location: Annotated[str, Field(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$")] | None = None
    onetime_payment: Money = Decimal(0)
    monthly_charge: Money = Decimal(0)
    min_charge: Money = Decimal(0)
    trunk: Key | None = None


class InventoryForm(Item):
    """An inventory file: numbers with their data."""

    numbers: dict[Phone, OfferForm]


async def offer_numbers(
    database: Database,
    offers: Mapping[str, OfferForm],
    *,
    offered_to: int = EVERYBODY,
    trunk_account: int | None = None,
) -> int:
    """Put numbers into the inventory, all or none; those that are there change. How many they are.

    :param offered_to: an agent's account, for its clients; default: all accounts.
    :param trunk_account: the account whose trunks the offers name.
    :raises NotFound: no such agent, or trunk.
    :raises InUse: an agent's number is in the inventory of another.
    """
    async with database.connection() as connection:
        if offered_to != EVERYBODY:
            await _check_agent(connection, offered_to)
        for phone, offer in offers.items():
            trunk_id = await _trunk_id(connection, offer.trunk, trunk_account)
            await _put(connection, offered_to, phone, offer, trunk_id)
    return len(offers)


async def inventory(database: Database) -> list[Row]:
    """All numbers of the inventory, with ``used_by``: the account that has each, None = free."""
    return await database.fetch_all(
        "select i.account_id as offered_to, i.number_capacity_id, i.phone_number, i.category,"
        " i.location_mnemonic, i.location_name, trim_scale(i.onetime_payment)::text as onetime_payment,"
        " trim_scale(i.monthly_charge)::text as monthly_charge, trim_scale(i.min_charge)::text as min_charge,"
        " i.trunk_id, v.account_id as used_by from number_inventory i"
        " left join virtual_numbers v on v.phone_number = i.phone_number and v.is_verified order by i.phone_number"
    )


async def withdraw_number(database: Database, phone_number: str) -> None:
    """Take a number off the inventory; who has it keeps it.

    :raises NotFound: it is not in the inventory.
    """
    if not await database.execute("delete from number_inventory where phone_number = %s", (phone_number,)):
        raise NotFound(
            f"{phone_number} is not in the inventory; see `trunkline numbers list`", value=phone_number
        )


async def _put(
    connection: Connection, offered_to: int, phone: str, offer: OfferForm, trunk_id: int | None
) -> None:
    values: dict[str, Any] = {
        "offered_to": offered_to,
        "phone": phone,
        "category": offer.category,
        "location": offer.location or "",
        "location_name": place_name(offer.location) if offer.location else "",
        "onetime": offer.onetime_payment,
        "monthly": offer.monthly_charge,
        "min": offer.min_charge,
        "trunk_id": trunk_id,
    }
    done = await connection.execute(
        "insert into number_inventory as i (account_id, phone_number, category, location_mnemonic, location_name,"
        " onetime_payment, monthly_charge, min_charge, trunk_id, number_capacity_id)"
        " values (%(offered_to)s, %(phone)s, %(category)s, %(location)s, %(location_name)s, %(onetime)s,"
        " %(monthly)s, %(min)s, %(trunk_id)s,"
        # who has the number already has given it its id
        " coalesce((select virtual_number_id from virtual_numbers where phone_number = %(phone)s and is_verified),"
        " nextval(pg_get_serial_sequence('virtual_numbers', 'virtual_number_id'))))"
        " on conflict (phone_number) do update set category = excluded.category,"
        " location_mnemonic = excluded.location_mnemonic, location_name = excluded.location_name,"
        " onetime_payment = excluded.onetime_payment, monthly_charge = excluded.monthly_charge,"
        " min_charge = excluded.min_charge, trunk_id = excluded.trunk_id"
        " where i.account_id = excluded.account_id",
        values,
    )
    if not done.rowcount:
        raise InUse(f"{phone} is offered to others: withdraw it first", value=phone)


async def _check_agent(connection: Connection, account_id: int) -> None:
    cursor = await connection.execute(
        "select from accounts where account_id = %s and is_agent", (account_id,)
    )
    if await cursor.fetchone() is None:
        raise NotFound(f"there is no agent account {account_id}; see `trunkline account list`")


async def _trunk_id(connection: Connection, key: str | None, account_id: int | None) -> int | None:
    if key is None:
        return None
    cursor = await connection.execute(
        "select trunk_id from trunks where account_id = %s and key = %s", (account_id, key)
    )
    row = await cursor.fetchone()
    if row is None:
        raise NotFound(f"account {account_id} has no trunk {key}: see its directory file", value=key)
    return int(row["trunk_id"])
