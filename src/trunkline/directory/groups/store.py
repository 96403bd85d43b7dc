"""Statements on the members of groups and the order of their phones, for every interface."""

from __future__ import annotations

from collections.abc import Sequence

from trunkline.db.pool import Connection


async def put_members(
    connection: Connection, account_id: int, group_id: int, employee_ids: Sequence[int]
) -> None:
    """The group has these members in this order; who stays keeps what was chosen for their phones."""
    params = {"account_id": account_id, "group_id": group_id, "members": list(dict.fromkeys(employee_ids))}
    await connection.execute(
        """delete from group_members where account_id = %(account_id)s and group_id = %(group_id)s
           and employee_id <> all(%(members)s)""",
        params,
    )
    await connection.execute(
        """insert into group_members (account_id, group_id, employee_id, position)
           select %(account_id)s, %(group_id)s, m.id, m.position - 1
           from unnest(%(members)s::bigint[]) with ordinality as m (id, position)
           on conflict (account_id, group_id, employee_id) do update set position = excluded.position""",
        params,
    )


async def put_phones(
    connection: Connection, account_id: int, group_id: int, phones: Sequence[tuple[int, bool]]
) -> None:
    """The phones (id, whether it rings) of the group's members that ring first, in this order."""
    await connection.execute(
        "delete from group_phones where account_id = %s and group_id = %s", (account_id, group_id)
    )
    for position, (phone_id, available) in enumerate(phones):
        await connection.execute(
            """insert into group_phones (account_id, group_id, employee_id, phone_id, position, available)
               select p.account_id, m.group_id, p.employee_id, p.phone_id, %(position)s, %(available)s
               from employee_phones p join group_members m
                   on m.account_id = p.account_id and m.employee_id = p.employee_id
               where p.account_id = %(account_id)s and p.phone_id = %(phone_id)s and m.group_id = %(group_id)s""",
            {
                "account_id": account_id,
                "group_id": group_id,
                "phone_id": phone_id,
                "position": position,
                "available": available,
            },
        )
