"""Defaults of the users of an account: what those have who have no setting of their own."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg import sql

from trunkline.db.pool import Database
from trunkline.directory.model.queues import AGENT_SETTINGS_OF_ACCOUNT

NAMES = ("session_ttl", *AGENT_SETTINGS_OF_ACCOUNT)


async def read_defaults(db: Database, account_id: int) -> dict[str, int | None]:
    """Each of :data:`NAMES`; None: that of the installation."""
    row = await db.fetch_one("select * from agent_defaults where account_id = %s", (account_id,))
    return {name: None if row is None else row[name] for name in NAMES}


async def change_defaults(db: Database, account_id: int, values: Mapping[str, int | None]) -> None:
    """Write some of them.

    :param values: by a name of :data:`NAMES`, within the limits of the settings of a user.
    """
    async with db.connection() as connection:
        await connection.execute(
            "insert into agent_defaults (account_id) values (%s) on conflict do nothing", (account_id,)
        )
        for name in NAMES:
            if name in values:
                statement = sql.SQL("update agent_defaults set {} = %s where account_id = %s")
                await connection.execute(statement.format(sql.Identifier(name)), (values[name], account_id))
