"""What would be broken without an employee, a group or a queue: scenarios, keys of a talk and exits of queues name them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg.types.json import Jsonb

from trunkline.core.errors import InUse
from trunkline.db.pool import Connection

_EXITS = {"employee_id": ("employee", "voicemail"), "group_id": ("group",), "queue_id": ("queue",)}
"""Kinds of the exits of queues that name a row, see :mod:`trunkline.directory.queues.exits`."""


async def refuse_if_used(connection: Connection, account_id: int, name: str, row_id: int) -> None:
    """Whether a scenario's operation, a talk option or an exit of a queue names this row.

    :param name: of the id in the settings: ``employee_id``, ``group_id``, ``schedule_id``, ``queue_id``.
    :raises InUse: it does; the message names the place.
    """
    cursor = await connection.execute(
        """
        select 'the operation "' || o.name || '" of the scenario "' || s.name || '"' as place
        from scenario_operations o join scenarios s using (account_id, scenario_id)
        where o.account_id = %(account_id)s and o.settings ->> %(name)s = %(row_id)s
        union all
        select 'the talk option ' || button from talk_options
        where account_id = %(account_id)s and settings ->> %(name)s = %(row_id)s
        union all
        select 'an exit of the queue "' || name || '"' from queues
        where account_id = %(account_id)s
            and not (%(name)s = 'queue_id' and queue_id = %(number)s)  -- its own exits go with it
            and exists (
                select from jsonb_each_text(case jsonb_typeof(exits) when 'object' then exits else '{}' end) as e
                where btrim(e.value) = any(%(exits)s))""",
        {
            "account_id": account_id,
            "name": name,
            "row_id": str(row_id),
            "number": row_id,
            "exits": [f"{kind}:{row_id}" for kind in _EXITS.get(name, ())],
        },
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
