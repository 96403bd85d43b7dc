"""Changes of groups of contacts. One group, ``Blacklist``, is the system's: calls of its members are refused."""

from __future__ import annotations

from collections.abc import Sequence

from trunkline.core.errors import InUse, PermissionDenied
from trunkline.db.pool import Connection, Database
from trunkline.db.rows import delete, insert_keyed, lock_row, lock_rows, one_at_a_time, transaction, update
from trunkline.directory.contacts.store import put_members
from trunkline.directory.exclusive import CONTACT_GROUP_NAME, Holder, check_exclusive
from trunkline.directory.uses import refuse_if_in_operations

TABLE, ID = "contact_groups", "contact_group_id"


async def create_group(db: Database, account_id: int, name: str, members: Sequence[int]) -> int:
    """Add a group of these contacts; its id.

    :raises Duplicate: there is one of that name.
    :raises NotFound: one of the members is not a contact of this account.
    """
    async with transaction(db) as connection:
        await one_at_a_time(connection, account_id)
        await _check_name(connection, account_id, name, None)
        group_id = await insert_keyed(connection, TABLE, ID, account_id, {"name": name})
        await lock_rows(connection, "contacts", "contact_id", account_id, members, field="members")
        await put_members(connection, account_id, group_id, members)
    return group_id


async def update_group(
    db: Database, account_id: int, group_id: int, name: str | None, members: Sequence[int] | None
) -> None:
    """Rename a group, and replace its members; what is None stays. The system's group keeps its name.

    :raises NotFound: no such group, or one of the members is not a contact of this account.
    :raises Duplicate: another group has that name.
    :raises PermissionDenied: the system's group would get another name.
    """
    async with transaction(db) as connection:
        await one_at_a_time(connection, account_id)
        await lock_row(connection, TABLE, ID, account_id, group_id)
        if name is not None:
            await _rename(connection, account_id, group_id, name)
        if members is not None:
            await lock_rows(connection, "contacts", "contact_id", account_id, members, field="members")
            await put_members(connection, account_id, group_id, members)


async def delete_group(db: Database, account_id: int, group_id: int) -> None:
    """Remove a group; its contacts stay.

    :raises NotFound: no such group.
    :raises PermissionDenied: it is the system's.
    :raises InUse: a talk option puts callers into it, or a scenario has a branch for it.
    """
    async with transaction(db) as connection:
        await lock_row(connection, TABLE, ID, account_id, group_id)
        if await _is_system(connection, account_id, group_id):
            raise PermissionDenied(
                "This group belongs to the system and cannot be deleted", field="id", value=group_id
            )
        await _not_in_talk_options(connection, account_id, group_id)
        branch = {"branches": [{"contact_group_id": group_id}]}
        await refuse_if_in_operations(connection, account_id, branch, group_id)
        await delete(connection, TABLE, ID, account_id, group_id)


async def _rename(connection: Connection, account_id: int, group_id: int, name: str) -> None:
    if await _is_system(connection, account_id, group_id):
        await _keep_name(connection, account_id, group_id, name)
    else:
        await _check_name(connection, account_id, name, group_id)
        await update(connection, TABLE, ID, account_id, group_id, {"name": name})


async def _is_system(connection: Connection, account_id: int, group_id: int) -> bool:
    cursor = await connection.execute(
        "select is_system from contact_groups where account_id = %s and contact_group_id = %s",
        (account_id, group_id),
    )
    row = await cursor.fetchone()
    return row is not None and bool(row["is_system"])


async def _keep_name(connection: Connection, account_id: int, group_id: int, name: str) -> None:
    cursor = await connection.execute(
        "select from contact_groups where account_id = %s and contact_group_id = %s and name = %s",
        (account_id, group_id, name),
    )
    if await cursor.fetchone() is None:
        raise PermissionDenied(
            "This group belongs to the system and cannot be renamed", field="name", value=name
        )


async def _check_name(connection: Connection, account_id: int, name: str, group_id: int | None) -> None:
    holder = Holder("contact_groups", group_id)
    await check_exclusive(connection, account_id, CONTACT_GROUP_NAME, {name: name}, holder, field="name")


async def _not_in_talk_options(connection: Connection, account_id: int, group_id: int) -> None:
    cursor = await connection.execute(
        "select from talk_options where account_id = %s and (settings ->> 'contact_group_id')::bigint = %s",
        (account_id, group_id),
    )
    if await cursor.fetchone() is not None:
        raise InUse(
            "A talk option puts callers into this group: change that first", field="id", value=group_id
        )
