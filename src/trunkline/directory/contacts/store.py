"""Statements on the numbers of contacts and the members of their groups, for every interface."""

from __future__ import annotations

from collections.abc import Sequence

from trunkline.db.pool import Connection


async def put_phones(connection: Connection, account_id: int, contact_id: int, phones: Sequence[str]) -> None:
    """The contact has these numbers (as calls have them), in this order, and no others."""
    params = {"account_id": account_id, "contact_id": contact_id, "phones": list(phones)}
    await connection.execute(
        "delete from contact_phones where account_id = %(account_id)s and contact_id = %(contact_id)s", params
    )
    await connection.execute(
        """insert into contact_phones (account_id, contact_id, phone_number, position)
           select %(account_id)s, %(contact_id)s, p.number, p.position - 1
           from unnest(%(phones)s::text[]) with ordinality as p (number, position)""",
        params,
    )


async def put_members(connection: Connection, account_id: int, group_id: int, members: Sequence[int]) -> None:
    """The group has these contacts and no others."""
    params = {"account_id": account_id, "group_id": group_id, "members": list(dict.fromkeys(members))}
    await connection.execute(
        """delete from contact_group_members
           where account_id = %(account_id)s and contact_group_id = %(group_id)s
             and contact_id <> all(%(members)s::bigint[])""",
        params,
    )
    await connection.execute(
        """insert into contact_group_members (account_id, contact_group_id, contact_id)
           select %(account_id)s, %(group_id)s, unnest(%(members)s::bigint[]) on conflict do nothing""",
        params,
    )
