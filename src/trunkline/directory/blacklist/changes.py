"""Numbers whose calls are refused: the list and its changes. Changes take effect in the switch at once."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.contract.columns import field, listed
from trunkline.core.errors import Duplicate
from trunkline.core.phone import in_full
from trunkline.db.pool import Database
from trunkline.db.query import Listing
from trunkline.db.rows import delete, transaction

BLACKLIST = Listing(
    name="blacklist",
    table="blacklist b",
    where="b.account_id = %(account_id)s",
    order="b.blacklist_id",
    columns=listed(
        "get.blacklist_phone_numbers",
        field("id", "b.blacklist_id"),
        field("phone_number", "b.phone_number"),
        field("add_user_name", "b.added_by"),
        field("add_comment", "b.comment"),
        field("add_date_time", "b.added_at"),
    ),
)


@dataclass(frozen=True, slots=True)
class Blocked:
    """A number that was added."""

    blacklist_id: int
    phone_number: str
    """Digits of E.164, from any form."""


async def block(db: Database, account_id: int, user_id: int, phone_number: str, comment: str) -> Blocked:
    """Refuse calls of this number from now on.

    :param user_id: the user who adds it; the name is stored with the number.
    :raises InvalidInput: no telephone number.
    :raises Duplicate: it is in the list.
    """
    digits = in_full(phone_number, "phone_number")
    blocked = await block_digits(db, account_id, user_id, digits, comment)
    if blocked is None:
        raise Duplicate("This number is in the blacklist already", field="phone_number", value=phone_number)
    return blocked


async def block_digits(
    db: Database, account_id: int, user_id: int, digits: str, comment: str
) -> Blocked | None:
    """As :func:`block`, of a number as calls have it; None when it is in the list."""
    async with transaction(db) as connection:
        cursor = await connection.execute(
            """insert into blacklist (account_id, phone_number, comment, added_by)
               values (%(account_id)s, %(number)s, %(comment)s,
                       (select coalesce(nullif(full_name, ''), login) from users
                        where account_id = %(account_id)s and user_id = %(user_id)s))
               on conflict (account_id, phone_number) do nothing returning blacklist_id""",
            {"account_id": account_id, "number": digits, "comment": comment, "user_id": user_id},
        )
        row = await cursor.fetchone()
    return None if row is None else Blocked(row["blacklist_id"], digits)


async def unblock(db: Database, account_id: int, blacklist_id: int) -> None:
    """Let calls of a number in again.

    :raises NotFound: no such entry.
    """
    async with transaction(db) as connection:
        await delete(connection, "blacklist", "blacklist_id", account_id, blacklist_id)
