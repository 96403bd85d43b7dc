"""Groups of permissions: what all users of a group may do, in addition to their roles and their own permissions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trunkline.accounts.permissions import Permission
from trunkline.core.errors import NotFound
from trunkline.db.pool import Database, Row
from trunkline.db.rows import transaction


async def read_groups(
    db: Database,
    account_id: int,
    *,
    words: str | None = None,
    after: int = -1,
    limit: int | None = None,
    offset: int = 0,
) -> list[Row]:
    """Groups by id: ``id``, ``account_id``, ``name``, ``permissions`` (``resource:action``).

    :param words: part of the name; None: all.
    :param after: ids up to this one are left out.
    """
    return await db.fetch_all(
        """
        select pgroup_id as id, account_id, name, permissions from permission_groups
        where account_id = %(account_id)s and pgroup_id > %(after)s
            and (%(words)s::text is null or strpos(lower(name), lower(%(words)s)) > 0)
        order by pgroup_id limit %(limit)s offset %(offset)s""",
        {"account_id": account_id, "words": words, "after": after, "limit": limit, "offset": offset},
    )


async def read_group(db: Database, account_id: int, pgroup_id: int) -> Row:
    """:raises NotFound: no such group."""
    row = await db.fetch_one(
        "select pgroup_id as id, account_id, name, permissions from permission_groups"
        " where account_id = %s and pgroup_id = %s",
        (account_id, pgroup_id),
    )
    if row is None:
        raise NotFound(
            f"There is no permission group {pgroup_id}: GET /api/pgroup lists them.",
            field="id",
            value=pgroup_id,
        )
    return row


async def create_group(db: Database, account_id: int, name: str, permissions: Iterable[Permission]) -> int:
    """Add a group; its id.

    :raises Duplicate: another group has the name.
    """
    async with transaction(db) as connection:
        cursor = await connection.execute(
            "insert into permission_groups (account_id, name, permissions) values (%s, %s, %s) returning pgroup_id",
            (account_id, name, _texts(permissions)),
        )
        [row] = await cursor.fetchall()
        return int(row["pgroup_id"])


async def update_group(
    db: Database,
    account_id: int,
    pgroup_id: int,
    *,
    name: str | None = None,
    permissions: Iterable[Permission] | None = None,
) -> None:
    """Change a group; None: it stays. It takes effect with the next request of each user.

    :raises Duplicate: another group has the name.
    """
    async with transaction(db) as connection:
        await connection.execute(
            "update permission_groups set name = coalesce(%s, name), permissions = coalesce(%s::text[], permissions)"
            " where account_id = %s and pgroup_id = %s",
            (name, None if permissions is None else _texts(permissions), account_id, pgroup_id),
        )


async def delete_group(db: Database, account_id: int, pgroup_id: int) -> None:
    """:raises InUse: users are in the group."""
    async with transaction(db) as connection:
        await connection.execute(
            "delete from permission_groups where account_id = %s and pgroup_id = %s", (account_id, pgroup_id)
        )


def permissions_of(texts: Sequence[str]) -> list[Permission]:
    """Of ``resource:action`` each."""
    return [(resource, action) for resource, _, action in (one.partition(":") for one in texts)]


def _texts(permissions: Iterable[Permission]) -> list[str]:
    return sorted({f"{resource}:{action}" for resource, action in permissions})
