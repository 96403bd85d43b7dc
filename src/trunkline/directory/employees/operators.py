"""Chat settings of employees. Password: hashed; it opens the operator's desk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trunkline.accounts import passwords
from trunkline.core.errors import Duplicate, InvalidInput
from trunkline.db.pool import Connection
from trunkline.db.rows import insert, lock_row, lock_rows, update

_TABLE, _ID = "employee_operators", "employee_id"


@dataclass(frozen=True, slots=True)
class OperatorPatch:
    """:param columns: of table ``employee_operators``, without the password's hash."""

    columns: Mapping[str, Any]
    password: str = field(repr=False)


async def put_operator(
    connection: Connection, account_id: int, employee_id: int, wanted: OperatorPatch
) -> None:
    """Give an employee chat settings, or change the present ones.

    :raises NotFound: a position or site that is not there.
    :raises Duplicate: ``already_in_use``: another operator's login.
    :raises InvalidInput: ``required_parameter_missed``: new settings without a name.
    """
    columns = wanted.columns
    if columns.get("position_id") is not None:
        where = "operator.operator_position_id"
        await lock_row(
            connection, "employee_positions", "position_id", account_id, columns["position_id"], field=where
        )
    if sites := columns.get("site_ids"):
        await lock_rows(connection, "sites", "site_id", account_id, sites, field="operator.operator_sites")
    cursor = await connection.execute(
        "select employee_id from employee_operators where account_id = %s and lower(login) = lower(%s)",
        (account_id, columns["login"]),
    )
    holder = await cursor.fetchone()
    if holder is not None and holder["employee_id"] != employee_id:
        raise Duplicate(
            "another operator has this login; choose another",
            mnemonic="already_in_use",
            field="operator.operator_login",
            value=columns["login"],
        )
    row = {**columns, "password_hash": await passwords.hash_of(wanted.password)}
    cursor = await connection.execute(
        "select from employee_operators where account_id = %s and employee_id = %s", (account_id, employee_id)
    )
    if await cursor.fetchone() is not None:
        await update(connection, _TABLE, _ID, account_id, employee_id, row)
        return
    if "display_name" not in row:
        raise InvalidInput(
            "the first chat settings need a name",
            mnemonic="required_parameter_missed",
            field="operator.operator_display_name",
        )
    await insert(connection, _TABLE, _ID, account_id, {"employee_id": employee_id, **row})


async def remove_operator(connection: Connection, account_id: int, employee_id: int) -> None:
    """Take an employee's chat settings away, if there are any."""
    await connection.execute(
        "delete from employee_operators where account_id = %s and employee_id = %s", (account_id, employee_id)
    )
