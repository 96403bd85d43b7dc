"""Where the calls of a site go that no rule takes: to its default number, by a scenario that is made for it."""

from __future__ import annotations

from psycopg.types.json import Jsonb

from trunkline.db.pool import Connection
from trunkline.db.rows import insert
from trunkline.directory.model import OperationKind

_OPERATION = "redirect"

REDIRECT = "redirect-"
"""With this the keys of such scenarios begin."""


async def redirect_to(connection: Connection, account_id: int, number: str) -> int | None:
    """The scenario that forwards to an outside number, made when there is none yet; its id.

    :param number: E.164 digits.
    :return: None when the number is a virtual one of the account: calls follow its own rules then.
    """
    cursor = await connection.execute(
        "select from virtual_numbers where account_id = %s and phone_number = %s", (account_id, number)
    )
    if await cursor.fetchone() is not None:
        return None
    return await known_redirect(connection, account_id, number) or await _make(connection, account_id, number)


async def known_redirect(connection: Connection, account_id: int, number: str) -> int | None:
    """The scenario that was made for a number, if it is still there."""
    cursor = await connection.execute(
        "select scenario_id from scenarios where account_id = %s and key = %s", (account_id, _key(number))
    )
    row = await cursor.fetchone()
    return None if row is None else int(row["scenario_id"])


async def _make(connection: Connection, account_id: int, number: str) -> int:
    scenario = {"key": _key(number), "name": f"Redirect to {number}"}
    scenario_id = await insert(connection, "scenarios", "scenario_id", account_id, scenario)
    settings = {
        "number": number,
        "ring_seconds": 60,
        "channels": None,
        "music_media_file_id": None,
        "next": None,
    }
    operation = {
        "scenario_id": scenario_id,
        "key": _OPERATION,
        "name": scenario["name"],
        "kind": OperationKind.FORWARD_NUMBER.value,
        "position": 0,
        "settings": Jsonb(settings),
    }
    await insert(connection, "scenario_operations", "operation_id", account_id, operation)
    return scenario_id


def _key(number: str) -> str:
    return f"{REDIRECT}{number}"
