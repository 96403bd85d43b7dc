"""Positions of employees (``Senior adviser``): the words under an operator's name in a chat."""

from __future__ import annotations

from trunkline.contract.columns import field, listed
from trunkline.db.pool import Database
from trunkline.db.query import Listing
from trunkline.db.rows import delete, insert, transaction, update

POSITIONS = Listing(
    name="employee_positions",
    table="employee_positions p",
    where="p.account_id = %(account_id)s",
    order="p.position_id",
    columns=listed(
        "get.employee_positions",
        field("id", "p.position_id"),
        field("name", "p.name"),
    ),
)

_TABLE, _ID = "employee_positions", "position_id"


async def create_position(db: Database, account_id: int, name: str) -> int:
    """Add a position; its id.

    :raises Duplicate: there is one of that name.
    """
    async with transaction(db) as connection:
        return await insert(connection, _TABLE, _ID, account_id, {"name": name})


async def rename_position(db: Database, account_id: int, position_id: int, name: str) -> None:
    """Give a position another name.

    :raises NotFound: no such position.
    :raises Duplicate: there is one of that name.
    """
    async with transaction(db) as connection:
        await update(connection, _TABLE, _ID, account_id, position_id, {"name": name})


async def delete_position(db: Database, account_id: int, position_id: int) -> None:
    """Remove a position.

    :raises NotFound: no such position.
    :raises InUse: an operator has it.
    """
    async with transaction(db) as connection:
        await delete(connection, _TABLE, _ID, account_id, position_id)
