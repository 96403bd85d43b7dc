"""The settings of agents written, for every interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from trunkline.core.errors import Duplicate, InvalidInput
from trunkline.db.pool import Connection
from trunkline.db.rows import lock_rows
from trunkline.directory.agents.rules import GROUP_SETTINGS, checked_settings


@dataclass(frozen=True, slots=True)
class AgentPatch:
    """New values; what is left out stays, or has the default.

    :param columns: of table ``agents``, without ``settings``.
    :param settings: None removes one.
    """

    columns: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


async def put_agent(connection: Connection, account_id: int, employee_id: int, wanted: AgentPatch) -> None:
    """Write settings of an employee.

    :raises InvalidInput: a setting that cannot be.
    :raises NotFound: a group that is not there.
    :raises Duplicate: ``ext_user_id`` of another employee.
    """
    columns = dict(wanted.columns)
    if (external := columns.get("ext_user_id")) is not None:
        cursor = await connection.execute(
            "select from agents where account_id = %s and ext_user_id = %s and employee_id <> %s",
            (account_id, external, employee_id),
        )
        if await cursor.fetchone() is not None:
            raise Duplicate(
                f"Another user has the ext_user_id {external}: send another one.",
                field="ext_user_id",
                value=external,
            )
    try:
        settings = checked_settings(wanted.settings)
    except ValueError as error:
        raise InvalidInput(f"{error}.") from error
    for name in GROUP_SETTINGS & settings.keys():
        await lock_rows(connection, "employee_groups", "group_id", account_id, settings[name], field=name)
    await connection.execute(
        "insert into agents (account_id, employee_id) values (%s, %s) on conflict do nothing",
        (account_id, employee_id),
    )
    removed = [name for name, value in wanted.settings.items() if value is None]
    assignments = [sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in columns]
    statement = sql.SQL(
        "update agents set settings = (settings - %(removed)s::text[]) || %(settings)s{}"
        " where account_id = %(account_id)s and employee_id = %(employee_id)s"
    ).format(sql.SQL("").join(sql.SQL(", ") + one for one in assignments))
    params = {
        **columns,
        "settings": Jsonb(settings),
        "removed": removed,
        "account_id": account_id,
        "employee_id": employee_id,
    }
    await connection.execute(statement, params)
