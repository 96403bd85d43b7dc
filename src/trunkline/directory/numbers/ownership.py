"""Which account owns a number: verified by the administrator of the installation, or by a call to the number.

A number of the inventory is verified when an account enables it, one of a directory file when the file makes it. A number
that an account adds by itself (``enable.private_number``) is not: several accounts may have it.
"""

from __future__ import annotations

from trunkline.core.errors import InUse
from trunkline.core.phone import in_full
from trunkline.db.pool import Connection, Database, Row, whole_installation
from trunkline.db.rows import one_at_a_time
from trunkline.directory.model import SYSTEM_ACCOUNT_ID


async def is_only_account(database: Database) -> bool:
    """Whether the installation has one account: then its numbers can be nobody else's, and who administers the account
    administers the installation."""
    async with database.connection() as connection, whole_installation(connection):
        cursor = await connection.execute(
            "select count(*) as count from accounts where account_id <> %s", (SYSTEM_ACCOUNT_ID,)
        )
        row = await cursor.fetchone()
    return row is not None and row["count"] == 1


async def assign(database: Database, account_id: int, phone_number: str, *, take: bool = False) -> int:
    """Verify a number for an account, as the administrator; returns its id. The number is added to the account if necessary.

    :param take: also when it is verified for another account, which keeps it unverified.
    :raises InvalidInput: it is no number.
    :raises InUse: another account has it verified.
    """
    digits = digits_of(phone_number)
    async with database.connection() as connection:
        owner = await _owner(connection, digits)
        if owner is not None and owner != account_id:
            if not take:
                raise InUse(
                    f"{digits} is verified for account {owner}; use --take to move it",
                    value=phone_number,
                )
            await one_at_a_time(connection, owner)
            await connection.execute(
                "update virtual_numbers set is_verified = false, carrier_trunk_id = null"
                " where account_id = %s and phone_number = %s",
                (owner, digits),
            )
        cursor = await connection.execute(
            "insert into virtual_numbers (account_id, phone_number, is_verified) values (%s, %s, true)"
            " on conflict (account_id, phone_number) do update set is_verified = true returning virtual_number_id",
            (account_id, digits),
        )
        row = await cursor.fetchone()
        assert row is not None
        await _forget_code(connection, account_id, digits)
        return int(row["virtual_number_id"])


async def claims(database: Database) -> list[Row]:
    """Numbers that are not verified, as ``account_id``, ``phone_number``, ``owner`` (account that has it verified)."""
    return await database.fetch_all(
        "select v.account_id, v.phone_number, o.account_id as owner from virtual_numbers v"
        " left join virtual_numbers o on o.phone_number = v.phone_number and o.is_verified"
        " and o.account_id <> v.account_id"
        " where v.account_id <> %s and not v.is_verified order by v.phone_number, v.account_id",
        (SYSTEM_ACCOUNT_ID,),
    )


def digits_of(phone_number: str) -> str:
    """:raises InvalidInput: it is no number."""
    return in_full(phone_number)


async def _owner(connection: Connection, digits: str) -> int | None:
    cursor = await connection.execute(
        "select v.account_id from virtual_numbers v where v.account_id <> %s and v.phone_number = %s and v.is_verified"
        " for update",
        (SYSTEM_ACCOUNT_ID, digits),
    )
    row = await cursor.fetchone()
    return int(row["account_id"]) if row is not None else None


async def _forget_code(connection: Connection, account_id: int, digits: str) -> None:
    await connection.execute(
        "delete from number_verifications where account_id = %s and phone_number = %s", (account_id, digits)
    )
