"""Changes of contacts. The switch shows a caller's name, and blocks who is in the system's group, at once.

Behaviour that the reference leaves open: a number may belong to several contacts (calls show the one that was
made first); numbers and addresses are kept in the order in which they were given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trunkline.core.errors import InvalidInput
from trunkline.db.pool import Connection, Database
from trunkline.db.rows import delete, insert_keyed, lock_row, lock_rows, transaction, update
from trunkline.directory.contacts.rules import checked_emails, checked_phones
from trunkline.directory.contacts.store import put_phones

TABLE, ID = "contacts", "contact_id"
_PLAIN = ("first_name", "last_name", "patronymic", "personal_manager_id", "organization_id")
_NAMES = ("first_name", "patronymic")


async def create_contact(db: Database, account_id: int, values: Mapping[str, Any]) -> int:
    """Add a contact; its id.

    :param values: ``last_name`` and ``phone_numbers``; ``first_name``, ``patronymic``, ``emails``,
        ``personal_manager_id``, ``organization_id``, ``groups`` (ids) as known.
    :raises InvalidInput: a number, an address, too many of them, or one twice.
    :raises NotFound: no such employee, organisation or group.
    """
    row = _row(values)
    phones = checked_phones(values["phone_numbers"])
    async with transaction(db) as connection:
        await _lock_row(connection, account_id, values)
        contact_id = await insert_keyed(connection, TABLE, ID, account_id, row)
        await put_phones(connection, account_id, contact_id, phones)
        await _put_groups(connection, account_id, contact_id, values.get("groups") or ())
    return contact_id


async def update_contact(db: Database, account_id: int, contact_id: int, values: Mapping[str, Any]) -> None:
    """Change the columns in ``values``; lists are replaced completely, None removes a value.

    :raises NotFound: no such contact, employee, organisation or group.
    :raises InvalidInput: see :func:`create_contact`; also when the last name would be taken away.
    """
    row = _row(values)
    async with transaction(db) as connection:
        await lock_row(connection, TABLE, ID, account_id, contact_id)
        await _lock_row(connection, account_id, values)
        await update(connection, TABLE, ID, account_id, contact_id, row)
        if "phone_numbers" in values:
            await put_phones(connection, account_id, contact_id, checked_phones(values["phone_numbers"]))
        if "groups" in values:
            await _put_groups(connection, account_id, contact_id, values["groups"] or ())


async def delete_contacts(db: Database, account_id: int, ids: Sequence[int], *, field: str = "id") -> None:
    """Remove contacts, all or none; the data of calls are not changed.

    :raises NotFound: one of them is not a contact of this account.
    """
    async with transaction(db) as connection:
        await lock_rows(connection, TABLE, ID, account_id, ids, field=field)
        for contact_id in dict.fromkeys(ids):
            await delete(connection, TABLE, ID, account_id, contact_id, field=field)


def _row(values: Mapping[str, Any]) -> dict[str, Any]:
    row = {name: values[name] for name in _PLAIN if name in values}
    for name in _NAMES:
        if name in row:
            row[name] = row[name] or ""
    if "last_name" in row and not (row["last_name"] or "").strip():
        raise InvalidInput("A contact has a last name", field="last_name", value=row["last_name"])
    if "emails" in values:
        row["emails"] = checked_emails(values["emails"] or ())
    return row


async def _lock_row(connection: Connection, account_id: int, values: Mapping[str, Any]) -> None:
    places = (
        ("personal_manager_id", "employees", "employee_id"),
        ("organization_id", "contact_organizations", "organization_id"),
    )
    for field, table, id_column in places:
        if values.get(field) is not None:
            await lock_row(connection, table, id_column, account_id, values[field], field=field)


async def _put_groups(
    connection: Connection, account_id: int, contact_id: int, groups: Sequence[int]
) -> None:
    await lock_rows(connection, "contact_groups", "contact_group_id", account_id, groups, field="groups")
    params = {"account_id": account_id, "contact_id": contact_id, "groups": list(dict.fromkeys(groups))}
    await connection.execute(
        """delete from contact_group_members
           where account_id = %(account_id)s and contact_id = %(contact_id)s
             and contact_group_id <> all(%(groups)s::bigint[])""",
        params,
    )
    await connection.execute(
        """insert into contact_group_members (account_id, contact_group_id, contact_id)
           select %(account_id)s, unnest(%(groups)s::bigint[]), %(contact_id)s on conflict do nothing""",
        params,
    )
