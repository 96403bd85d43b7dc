"""What would be broken without an employee or a group: scenarios and keys of a talk name them in their settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg.types.json import Jsonb

from trunkline.core.errors import InUse
from trunkline.db.pool import Connection


async def refuse_if_used(connection: Connection, account_id: int, name: str, row_id: int) -> None:
    """Whether a scenario's operation or a talk option names this row.

    :param name: of the id in the settings: ``employee_id``, ``group_id``, ``schedule_id``.
    :raises InUse: it does; the message names the place.
    """
    cursor = await connection.execute(
        """
        select 'the operation "' || o.name || '" of the scenario "' || s.name || '"' as place
        from scenario_operations o join scenarios s using (account_id, scenario_id)
        where o.account_id = %(account_id)s and o.settings ->> %(name)s = %(row_id)s
        union all
        select 'the talk option ' || button from talk_options
        where account_id = %(account_id)s and settings ->> %(name)s = %(row_id)s""",
        {"account_id": account_id, "name": name, "row_id": str(row_id)},
    )
    refuse_places([row["place"] for row in await cursor.fetchall()], row_id)


async def refuse_if_in_operations(
    connection: Connection, account_id: int, settings: dict[str, Any], row_id: int
) -> None:
    """Whether a scenario's operation has these settings among its own, lists included.

    :raises InUse: it does; the message names the place.
    """
    cursor = await connection.execute(
        """
        select 'the operation "' || o.name || '" of the scenario "' || s.name || '"' as place
        from scenario_operations o join scenarios s using (account_id, scenario_id)
        where o.account_id = %(account_id)s and o.settings @> %(settings)s""",
        {"account_id": account_id, "settings": Jsonb(settings)},
    )
    refuse_places([row["place"] for row in await cursor.fetchall()], row_id)


def refuse_places(places: Sequence[str], row_id: int) -> None:
    """:raises InUse: when there are such places."""
    if places:
        raise InUse(f"Used by {'; '.join(places[:5])}: take it out there first.", field="id", value=row_id)
