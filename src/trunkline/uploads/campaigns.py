"""Which advertising campaign a visit belongs to, by the conditions of the site's campaigns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from trunkline.db.pool import Connection

_OF_SITE = """
select campaign_id, group_conditions from campaigns
where account_id = %s and site_id = %s and status = 'active' and group_conditions <> '[]' order by campaign_id
"""

_VALUE_MAX = 2000
"""Characters of a value that a pattern is tried on."""


async def campaign_of(
    connection: Connection, account_id: int, site_id: int, visit: Mapping[str, Any]
) -> int | None:
    """The first campaign of the site whose conditions the visit meets; None when it meets none's."""
    cursor = await connection.execute(_OF_SITE, (account_id, site_id))
    for campaign in await cursor.fetchall():
        for group in campaign["group_conditions"]:
            if await _meets(connection, group.get("conditions", ()), visit):
                return int(campaign["campaign_id"])
    return None


async def _meets(connection: Connection, conditions: Any, visit: Mapping[str, Any]) -> bool:
    """Whether all conditions that include hold, and none that excludes."""
    for condition in conditions:
        holds = await _holds(connection, condition, visit)
        if holds != (condition.get("type", "include") == "include"):
            return False
    return bool(conditions)


async def _holds(connection: Connection, condition: Mapping[str, Any], visit: Mapping[str, Any]) -> bool:
    value = visit.get(str(condition.get("campaign_parameter")))
    if value is None:
        return False
    text, wanted = str(value)[:_VALUE_MAX], str(condition.get("value", ""))
    match condition.get("operator"):
        case "=":
            return text == wanted
        case "sub":
            return wanted in text
        case "~":
            return await _matches(connection, text, wanted)
        case _:
            return False


async def _matches(connection: Connection, text: str, pattern: str) -> bool:
    """By the database, as filters are."""
    try:
        async with connection.transaction():
            row = await (await connection.execute("select %s ~ %s as holds", (text, pattern))).fetchone()
    except psycopg.errors.InvalidRegularExpression:
        return False
    return bool(row and row["holds"])
