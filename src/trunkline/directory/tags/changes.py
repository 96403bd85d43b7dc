"""Changes of tags. A tagged communication keeps the name of the tag at that time, also after the tag is deleted."""

from __future__ import annotations

from trunkline.core.errors import InUse, PermissionDenied
from trunkline.db.pool import Connection, Database
from trunkline.db.rows import delete, insert_keyed, lock_row, transaction, update
from trunkline.directory.uses import refuse_if_in_operations

TABLE, ID = "tags", "tag_id"


async def create_tag(db: Database, account_id: int, name: str) -> int:
    """Add a tag; its id.

    :raises Duplicate: there is one of that name.
    """
    async with transaction(db) as connection:
        return await insert_keyed(connection, TABLE, ID, account_id, {"name": name})


async def rename_tag(db: Database, account_id: int, tag_id: int, name: str | None) -> None:
    """Give a tag another name; None leaves it as it is.

    :raises NotFound: no such tag.
    :raises Duplicate: another tag has that name.
    :raises PermissionDenied: it is the system's.
    """
    async with transaction(db) as connection:
        await lock_row(connection, TABLE, ID, account_id, tag_id)
        await _own(connection, account_id, tag_id)
        if name is not None:
            await update(connection, TABLE, ID, account_id, tag_id, {"name": name})


async def delete_tag(db: Database, account_id: int, tag_id: int) -> None:
    """Remove a tag.

    :raises NotFound: no such tag.
    :raises PermissionDenied: it is the system's.
    :raises InUse: a talk option or a scenario gives it.
    """
    async with transaction(db) as connection:
        await lock_row(connection, TABLE, ID, account_id, tag_id)
        await _own(connection, account_id, tag_id)
        cursor = await connection.execute(
            "select from talk_options where account_id = %s and (settings ->> 'tag_id')::bigint = %s",
            (account_id, tag_id),
        )
        if await cursor.fetchone() is not None:
            raise InUse("A talk option gives this tag: change that first", field="id", value=tag_id)
        await refuse_if_in_operations(connection, account_id, {"tag_ids": [tag_id]}, tag_id)
        await delete(connection, TABLE, ID, account_id, tag_id)


async def _own(connection: Connection, account_id: int, tag_id: int) -> None:
    cursor = await connection.execute(
        "select from tags where account_id = %s and tag_id = %s and is_system", (account_id, tag_id)
    )
    if await cursor.fetchone() is not None:
        raise PermissionDenied(
            "This tag belongs to the system and cannot be changed", field="id", value=tag_id
        )
