"""The first account of an installation, made when there is none."""

from __future__ import annotations

from trunkline.accounts import components
from trunkline.accounts.administration import AccountProfile, add_account
from trunkline.accounts.model import NewAccount
from trunkline.db.pool import Database

_LOCK = 7_256_002
"""Advisory lock: two processes that start at once make one account."""

FIRST_NAME = "My company"
"""Of the account, until somebody names it."""

_LOOPBACK = ("127.0.0.0/8", "::1/128")


async def ensure_first_account(db: Database, profile: AccountProfile | None = None) -> NewAccount | None:
    """Create the first account when the database has none, with all components; only this machine may use it.

    :returns: what must be printed once; None when there is an account already.
    """
    async with db.connection() as connection:
        await connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
        cursor = await connection.execute("select from accounts limit 1")
        if await cursor.fetchone() is not None:
            return None
        return await add_account(
            connection,
            profile or AccountProfile(FIRST_NAME),
            login="admin",
            allow=_LOOPBACK,
            enabled=components.ALL,
        )
