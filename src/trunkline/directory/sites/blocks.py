"""Changes of site blocks."""

from __future__ import annotations

from trunkline.db.pool import Database
from trunkline.db.rows import delete, insert, lock_row, transaction, update

_TABLE, _ID = "site_blocks", "site_block_id"


async def create_block(db: Database, account_id: int, site_id: int, name: str) -> int:
    """Add a block to a site; its id.

    :raises NotFound: no such site.
    :raises Duplicate: the site has a block of that name.
    """
    async with transaction(db) as connection:
        await lock_row(connection, "sites", "site_id", account_id, site_id, field="site_id")
        return await insert(connection, _TABLE, _ID, account_id, {"site_id": site_id, "name": name})


async def rename_block(db: Database, account_id: int, block_id: int, name: str | None) -> None:
    """Give a block another name; None leaves it as it is.

    :raises NotFound: no such block.
    :raises Duplicate: the site has a block of that name.
    """
    async with transaction(db) as connection:
        values = {} if name is None else {"name": name}
        await update(connection, _TABLE, _ID, account_id, block_id, values)


async def delete_block(db: Database, account_id: int, block_id: int) -> None:
    """Remove a block.

    :raises NotFound: no such block.
    :raises InUse: a campaign shows a number in it.
    """
    async with transaction(db) as connection:
        await delete(connection, _TABLE, _ID, account_id, block_id)
