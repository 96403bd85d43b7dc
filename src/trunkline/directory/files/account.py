"""Write the ``account`` section of a directory file. Its default number is a link: who writes all of it sets it."""

from __future__ import annotations

from typing import Any, LiteralString

from psycopg import sql

from trunkline.db.pool import Connection
from trunkline.directory.files.form import AccountForm


async def write_account(connection: Connection, account_id: int, account: AccountForm) -> None:
    """Settings that the form names; the others stay. Runs in the caller's transaction."""

    async def run(statement: LiteralString, **params: Any) -> None:
        await connection.execute(statement, {"account_id": account_id, **params})

    for name in ("name", "time_zone", "locale", "currency", "country"):
        value = getattr(account, name)
        if value is not None:
            statement = sql.SQL("update accounts set {} = %(value)s where account_id = %(account_id)s")
            params = {"account_id": account_id, "value": value}
            await connection.execute(statement.format(sql.Identifier(name)), params)
    if account.cors_origins is not None:
        await run(
            "update accounts set cors_origins = %(origins)s where account_id = %(account_id)s",
            origins=list(account.cors_origins),
        )
    if account.components is not None:
        await run(
            """delete from account_components
               where account_id = %(account_id)s and component <> all(%(components)s)""",
            components=list(account.components),
        )
        await run(
            """insert into account_components (account_id, component)
               select %(account_id)s, unnest(%(components)s::text[]) on conflict do nothing""",
            components=list(account.components),
        )
    for direction, allowed in (account.security or {}).items():
        await run(
            """insert into security_rules (account_id, direction, allowed)
               values (%(account_id)s, %(direction)s, %(allowed)s)
               on conflict (account_id, direction) do update set allowed = excluded.allowed""",
            direction=direction,
            allowed=allowed,
        )
    for api, networks in (account.allow or {}).items():
        await _allow(connection, account_id, api, list(networks))
    if account.tts_message_max_length is not None:
        await run(
            """insert into account_limits (account_id, api, tts_message_max_length)
               values (%(account_id)s, 'call_api', %(length)s)
               on conflict (account_id, api) do update
               set tts_message_max_length = excluded.tts_message_max_length""",
            length=account.tts_message_max_length,
        )
        # the limits table announces nothing by itself
        await run("select pg_notify('trunkline_directory', %(account_id)s::text)")


async def _allow(connection: Connection, account_id: int, api: str, networks: list[str]) -> None:
    params = {"account_id": account_id, "api": api, "networks": networks}
    await connection.execute(
        """delete from allowed_addresses
           where account_id = %(account_id)s and api = %(api)s and network <> all(%(networks)s::cidr[])""",
        params,
    )
    await connection.execute(
        """insert into allowed_addresses (account_id, api, network)
           select %(account_id)s, %(api)s, unnest(%(networks)s::cidr[]) on conflict do nothing""",
        params,
    )
