"""Phone lists: read, made, renamed and deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trunkline.core.errors import NotFound
from trunkline.db.pool import Connection, Database, Row
from trunkline.db.rows import delete, insert, transaction, update

_TABLE, _ID = "phone_lists", "phone_list_id"

_READ = """
select l.phone_list_id as id, l.account_id, l.name,
    (select count(*) from leads d where d.account_id = l.account_id and d.phone_list_id = l.phone_list_id) as list_rows
from phone_lists l where l.account_id = %(account_id)s
    and (%(id)s::bigint is null or l.phone_list_id = %(id)s) and l.phone_list_id > %(after)s
    and (%(words)s::text is null or strpos(lower(l.name), lower(%(words)s)) > 0)
order by l.phone_list_id limit %(limit)s offset %(offset)s
"""


async def read_lists(
    db: Database,
    account_id: int,
    *,
    words: str | None = None,
    after: int = -1,
    limit: int | None = None,
    offset: int = 0,
) -> list[Row]:
    """Lists, sorted by id: ``id``, ``account_id``, ``name``, ``list_rows`` (leads in it).

    :param words: part of the name; None: all.
    :param after: ids up to this one are left out.
    """
    params = {
        "account_id": account_id, "id": None, "words": words, "after": after, "limit": limit, "offset": offset
    }  # fmt: skip
    return await db.fetch_all(_READ, params)


async def read_list(db: Database, account_id: int, list_id: int) -> Row:
    """One list; see :func:`read_lists`.

    :raises NotFound: no such list.
    """
    params = {
        "account_id": account_id, "id": list_id, "words": None, "after": -1, "limit": 1, "offset": 0
    }  # fmt: skip
    row = await db.fetch_one(_READ, params)
    if row is None:
        raise no_list(list_id)
    return row


async def create_list(db: Database, account_id: int, columns: Mapping[str, Any]) -> int:
    """Add an empty list; its id.

    :raises Duplicate: the account has a list of this name.
    """
    async with transaction(db) as connection:
        return await insert(connection, _TABLE, _ID, account_id, columns)


async def update_list(db: Database, account_id: int, list_id: int, columns: Mapping[str, Any]) -> None:
    """Change a list.

    :raises NotFound: no such list.
    :raises Duplicate: the account has a list of this name.
    """
    async with transaction(db) as connection:
        await update(connection, _TABLE, _ID, account_id, list_id, columns)


async def delete_list(db: Database, account_id: int, list_id: int) -> None:
    """Delete a list with its leads.

    :raises NotFound: no such list.
    """
    async with transaction(db) as connection:
        await delete(connection, _TABLE, _ID, account_id, list_id)


async def lock_list(connection: Connection, account_id: int, list_id: int) -> None:
    """Lock a list, so that it is not deleted before this transaction ends.

    :raises NotFound: no such list.
    """
    cursor = await connection.execute(
        "select from phone_lists where account_id = %s and phone_list_id = %s for key share",
        (account_id, list_id),
    )
    if await cursor.fetchone() is None:
        raise no_list(list_id)


def no_list(list_id: int) -> NotFound:
    """The error of a list that the account does not have."""
    return NotFound(
        f"There is no phone list {list_id}: GET /api/phone_list lists them.", field="id", value=list_id
    )
