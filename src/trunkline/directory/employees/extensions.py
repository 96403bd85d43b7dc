"""Short numbers: employees, groups and queues of an account share one set of them."""

from __future__ import annotations

from trunkline.core.errors import Duplicate, InvalidInput
from trunkline.db.pool import Connection
from trunkline.directory.model.limits import MAX_EXTENSION, MIN_EXTENSION, is_extension


async def check_extension(
    connection: Connection,
    account_id: int,
    extension: str,
    *,
    field: str,
    employee_id: int | None = None,
    group_id: int | None = None,
) -> None:
    """Whether an employee or group may have this short number; its own one is no obstacle.

    :raises InvalidInput: not 2 to 5 digits.
    :raises Duplicate: ``already_in_use``.
    """
    if not is_extension(extension):
        raise InvalidInput(
            f"a short number has {MIN_EXTENSION} to {MAX_EXTENSION} digits", field=field, value=extension
        )
    cursor = await connection.execute(
        """
        select from employees where account_id = %(account_id)s and extension = %(extension)s
            and employee_id is distinct from %(employee_id)s
        union all
        select from employee_groups where account_id = %(account_id)s and extension = %(extension)s
            and group_id is distinct from %(group_id)s
        union all
        select from queues where account_id = %(account_id)s and extension = %(extension)s""",
        {
            "account_id": account_id,
            "extension": extension,
            "employee_id": employee_id,
            "group_id": group_id,
        },
    )
    if await cursor.fetchone() is not None:
        raise Duplicate(
            f"{extension} is the short number of another employee, group or queue",
            mnemonic="already_in_use",
            field=field,
            value=extension,
        )
