"""Contacts saved during a call."""

from __future__ import annotations

from trunkline.core.errors import NotFound
from trunkline.db.pool import Database


async def save_contact(
    db: Database, account_id: int, phone_number: str, contact_group_id: int | None = None
) -> int:
    """The contact of this number, made without a name if there is none, and put into the group if one is given.

    Done twice, it changes nothing the second time.

    :param phone_number: E.164 digits.
    :returns: the contact's id.
    :raises NotFound: no such group in this account.
    """
    params = {"account_id": account_id, "phone": phone_number, "group": contact_group_id}
    async with db.connection() as connection:
        if contact_group_id is not None:
            group = await connection.execute(
                """select from contact_groups
                   where account_id = %(account_id)s and contact_group_id = %(group)s for share""",
                params,
            )
            if await group.fetchone() is None:
                raise NotFound(f"There is no contact group {contact_group_id}; choose one that exists.")
        # the key is made of the number, so that two calls that save it at the same time make one contact
        made = await connection.execute(
            """
            with known as (
                select contact_id from contact_phones
                where account_id = %(account_id)s and phone_number = %(phone)s order by contact_id limit 1),
            made as (
                insert into contacts (account_id, key)
                select %(account_id)s, 'phone-' || %(phone)s where not exists (select from known)
                on conflict (account_id, key) do update set key = excluded.key
                returning contact_id)
            select contact_id from known union all select contact_id from made""",
            params,
        )
        row = await made.fetchone()
        assert row is not None
        params["contact"] = row["contact_id"]
        await connection.execute(
            """insert into contact_phones (account_id, contact_id, phone_number)
               values (%(account_id)s, %(contact)s, %(phone)s) on conflict do nothing""",
            params,
        )
        if contact_group_id is not None:
            await connection.execute(
                """insert into contact_group_members (account_id, contact_group_id, contact_id)
                   values (%(account_id)s, %(group)s, %(contact)s) on conflict do nothing""",
                params,
            )
        return int(row["contact_id"])
