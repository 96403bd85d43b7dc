"""Organisations of contacts."""

from __future__ import annotations

from trunkline.db.pool import Database
from trunkline.db.rows import delete, insert, transaction, update

_TABLE, _ID = "contact_organizations", "organization_id"


async def create_organization(db: Database, account_id: int, name: str) -> int:
    """Add an organisation; its id.

    :raises Duplicate: there is one of that name.
    """
    async with transaction(db) as connection:
        return await insert(connection, _TABLE, _ID, account_id, {"name": name})


async def rename_organization(db: Database, account_id: int, organization_id: int, name: str) -> None:
    """Give an organisation another name.

    :raises NotFound: no such organisation.
    :raises Duplicate: another has that name.
    """
    async with transaction(db) as connection:
        await update(connection, _TABLE, _ID, account_id, organization_id, {"name": name})


async def delete_organization(db: Database, account_id: int, organization_id: int) -> None:
    """Remove an organisation.

    :raises NotFound: no such organisation.
    :raises InUse: it has contacts.
    """
    async with transaction(db) as connection:
        await delete(connection, _TABLE, _ID, account_id, organization_id)
