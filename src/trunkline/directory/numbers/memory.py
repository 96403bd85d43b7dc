"""Which of our numbers each contact was called with, for the rules that keep to one."""

from __future__ import annotations

from collections.abc import Iterable

from trunkline.db.pool import Database


async def remember(db: Database, account_id: int, contact: str, virtual_number_id: int) -> None:
    """Note that a contact (E.164 digits) is called with this number now. A number that is gone is passed over."""
    await db.execute(
        """
        insert into contact_numbers (account_id, contact_phone_number, virtual_number_id)
        select n.account_id, %(contact)s, n.virtual_number_id from virtual_numbers n
        where n.account_id = %(account_id)s and n.virtual_number_id = %(number)s
        on conflict (account_id, contact_phone_number, virtual_number_id) do update set used_at = now()""",
        {"account_id": account_id, "contact": contact, "number": virtual_number_id},
    )


async def remembered(
    db: Database, account_id: int, contact: str, among: Iterable[int] | None = None
) -> int | None:
    """Id of the number the contact was called with last; None if never.

    :param among: ids that count (those of :func:`~.choice.candidates`: each group keeps to its own
        number); None = all of the account.
    """
    row = await db.fetch_one(
        """
        select virtual_number_id from contact_numbers
        where account_id = %(account_id)s and contact_phone_number = %(contact)s
          and (%(among)s::bigint[] is null or virtual_number_id = any(%(among)s))
        order by used_at desc, virtual_number_id limit 1""",
        {"account_id": account_id, "contact": contact, "among": None if among is None else list(among)},
    )
    return None if row is None else int(row["virtual_number_id"])
