"""Groups of employees made, changed and removed; which of their phones ring, and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trunkline.core.errors import InvalidInput
from trunkline.db.pool import Connection, Database
from trunkline.db.rows import (
    delete,
    insert_keyed,
    lock_row,
    lock_rows,
    one_at_a_time,
    transaction,
    update,
)
from trunkline.directory.exclusive import GROUP_NAME, Holder, check_exclusive, check_extension
from trunkline.directory.groups.store import put_members, put_phones
from trunkline.directory.uses import refuse_if_used

_TABLE, _ID = "employee_groups", "group_id"


async def create_group(
    db: Database, account_id: int, columns: Mapping[str, Any], employee_ids: Sequence[int]
) -> int:
    """Add a group; its id.

    :param columns: of table ``employee_groups``.
    :raises NotFound: an employee who is not there.
    :raises Duplicate: there is a group of that name; ``already_in_use``: a short number that another has.
    """
    async with transaction(db) as connection:
        await one_at_a_time(connection, account_id)
        await _check(connection, account_id, None, columns)
        group_id = await insert_keyed(connection, _TABLE, _ID, account_id, columns)
        await _members(connection, account_id, group_id, employee_ids)
        return group_id


async def update_group(
    db: Database,
    account_id: int,
    group_id: int,
    columns: Mapping[str, Any],
    employee_ids: Sequence[int] | None,
) -> None:
    """Change a group.

    :param employee_ids: all its members in their order; None = they stay.
    :raises NotFound: no such group, or an employee who is not there.
    :raises Duplicate: see :func:`create_group`.
    """
    async with transaction(db) as connection:
        await one_at_a_time(connection, account_id)
        await lock_row(connection, _TABLE, _ID, account_id, group_id)
        await _check(connection, account_id, group_id, columns)
        await update(connection, _TABLE, _ID, account_id, group_id, columns)
        if employee_ids is not None:
            await _members(connection, account_id, group_id, employee_ids)


async def delete_group(db: Database, account_id: int, group_id: int) -> None:
    """Remove a group; its members stay.

    :raises NotFound: no such group.
    :raises InUse: a scenario or a talk option calls it.
    """
    async with transaction(db) as connection:
        await one_at_a_time(connection, account_id)
        await lock_row(connection, _TABLE, _ID, account_id, group_id)
        await refuse_if_used(connection, account_id, "group_id", group_id)
        await delete(connection, _TABLE, _ID, account_id, group_id)


async def order_phones(
    db: Database, account_id: int, group_id: int, phones: Sequence[tuple[int, bool]]
) -> None:
    """Say for each phone of a group's members its place, and whether it rings.

    :param phones: (phone id, whether it is available), all of them, the first to ring first.
    :raises NotFound: no such group.
    :raises InvalidInput: not all of the group's phones, one twice, or one that is not the group's.
    """
    async with transaction(db) as connection:
        await one_at_a_time(connection, account_id)
        await lock_row(connection, _TABLE, _ID, account_id, group_id)
        cursor = await connection.execute(
            """
            select p.phone_id, p.employee_id from group_members m join employee_phones p
            on p.account_id = m.account_id and p.employee_id = m.employee_id
            where m.account_id = %s and m.group_id = %s""",
            (account_id, group_id),
        )
        owners = {row["phone_id"]: row["employee_id"] for row in await cursor.fetchall()}
        if sorted(phone_id for phone_id, _ in phones) != sorted(owners):
            raise InvalidInput(
                "give each phone of the group once, and no others: see get.group_employees",
                field="phone_numbers",
                value=[phone_id for phone_id, _ in phones],
            )
        await put_phones(connection, account_id, group_id, phones)


async def _check(
    connection: Connection, account_id: int, group_id: int | None, columns: Mapping[str, Any]
) -> None:
    holder = Holder("groups", group_id)
    if (extension := columns.get("extension")) is not None:
        await check_extension(connection, account_id, extension, holder, field="group_phone_number")
    if (name := columns.get("name")) is not None:
        await check_exclusive(connection, account_id, GROUP_NAME, {name: name}, holder, field="name")


async def _members(
    connection: Connection, account_id: int, group_id: int, employee_ids: Sequence[int]
) -> None:
    """Set the members of the group. The phone settings of remaining members do not change."""
    await lock_rows(connection, "employees", "employee_id", account_id, employee_ids, field="members")
    await put_members(connection, account_id, group_id, employee_ids)
