"""Check-ins of agents at devices: by a command, or by a number that the agent dials from the device.

While an agent is checked in at a SIP line, the line is the agent's first phone and nobody else's
(view ``employee_devices``).
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from trunkline.core.errors import InvalidState, NotCarriedOut, NotFound
from trunkline.db.pool import Connection, Database
from trunkline.db.rows import one_at_a_time, transaction

CODE_SECONDS = 600
"""How long a number to dial is valid."""

SetStatus = Callable[[int, str], Awaitable[None]]
"""Sets the status of an agent in queues, :data:`CHECKED_IN` or :data:`CHECKED_OUT`; nothing for an employee who is no agent.

An agent whose check-in ends because another one takes its place is checked out before that is stored: when it fails, nothing
has changed, and the same request does all of it again."""

CHECKED_IN, CHECKED_OUT = "Available", "Logged Out"

_DIGITS = 6
_TRIES = 20


async def check_in(
    db: Database,
    account_id: int,
    employee_id: int,
    sip_line_id: int,
    set_status: SetStatus,
    *,
    force: bool = False,
) -> None:
    """Check an agent in at a line, who then is available to queues; to repeat it changes nothing.

    :param force: ends another check-in of the agent, and that of another agent at the line.
    :raises NotFound: no such employee or line.
    :raises InvalidState: there is another check-in.
    """
    async with transaction(db) as connection:
        await one_at_a_time(connection, account_id)
        await _check_in(connection, account_id, employee_id, sip_line_id, set_status, force=force)
    await set_status(employee_id, CHECKED_IN)


async def _check_in(
    connection: Connection,
    account_id: int,
    employee_id: int,
    sip_line_id: int,
    set_status: SetStatus,
    *,
    force: bool,
) -> None:
    await _check_employee(connection, account_id, employee_id)
    await _check_line(connection, account_id, sip_line_id)
    cursor = await connection.execute(
        "select employee_id, sip_line_id from agent_check_ins"
        " where account_id = %s and (employee_id = %s or sip_line_id = %s)",
        (account_id, employee_id, sip_line_id),
    )
    present = await cursor.fetchall()
    if any((row["employee_id"], row["sip_line_id"]) == (employee_id, sip_line_id) for row in present):
        return
    for row in present:
        if force:
            continue
        if row["employee_id"] == employee_id:
            raise InvalidState(
                f"The user is checked in at device {row['sip_line_id']}: send forceCheckOut=1, or checkOut first.",
                field="user_id",
                value=employee_id,
            )
        raise InvalidState(
            f"User {row['employee_id']} is checked in at this device: send forceCheckOut=1, or checkOut first.",
            field="device_id",
            value=sip_line_id,
        )
    await connection.execute(
        "delete from agent_check_ins where account_id = %s and (employee_id = %s or sip_line_id = %s)",
        (account_id, employee_id, sip_line_id),
    )
    await connection.execute(
        "insert into agent_check_ins (account_id, employee_id, sip_line_id) values (%s, %s, %s)",
        (account_id, employee_id, sip_line_id),
    )
    for row in present:
        if row["employee_id"] != employee_id:
            await set_status(row["employee_id"], CHECKED_OUT)


async def _check_employee(connection: Connection, account_id: int, employee_id: int) -> None:
    cursor = await connection.execute(
        "select from employees where account_id = %s and employee_id = %s", (account_id, employee_id)
    )
    if await cursor.fetchone() is None:
        raise NotFound(f"There is no user {employee_id}.", field="user_id", value=employee_id)


async def _check_line(connection: Connection, account_id: int, sip_line_id: int) -> None:
    cursor = await connection.execute(
        "select from sip_lines where account_id = %s and sip_line_id = %s", (account_id, sip_line_id)
    )
    if await cursor.fetchone() is None:
        raise NotFound(f"There is no device {sip_line_id}.", field="device_id", value=sip_line_id)


async def check_out(
    db: Database, account_id: int, employee_id: int, set_status: SetStatus, sip_line_id: int | None = None
) -> None:
    """End the check-in of an agent, and the number to dial; the agent is then not available to queues.

    The status is set before the end is stored: when that fails, nothing has changed, and a repeated request does all of it.

    :param sip_line_id: only a check-in there; an agent without one stays as it is.
    """
    async with transaction(db) as connection:
        cursor = await connection.execute(
            "delete from agent_check_ins where account_id = %s and employee_id = %s"
            " and (%s::bigint is null or sip_line_id = %s)",
            (account_id, employee_id, sip_line_id, sip_line_id),
        )
        is_ended = cursor.rowcount > 0
        if is_ended or sip_line_id is None:
            await connection.execute(
                "delete from agent_check_in_codes where account_id = %s and employee_id = %s",
                (account_id, employee_id),
            )
            await set_status(employee_id, CHECKED_OUT)


async def new_code(db: Database, account_id: int, employee_id: int, *, force: bool = False) -> str:
    """The digits that the agent dials behind :data:`~trunkline.calls.flows.number_plan.CHECK_IN`; an earlier number ends.

    :param force: as of :func:`check_in`.
    :raises NotFound: no such employee.
    """
    async with transaction(db) as connection:
        await one_at_a_time(connection, account_id)
        await _check_employee(connection, account_id, employee_id)
        await connection.execute(
            "delete from agent_check_in_codes where account_id = %s and (employee_id = %s or expires_at < now())",
            (account_id, employee_id),
        )
        for _ in range(_TRIES):
            code = "".join(secrets.choice("0123456789") for _ in range(_DIGITS))
            cursor = await connection.execute(
                "insert into agent_check_in_codes (account_id, employee_id, code, forces, expires_at)"
                " values (%s, %s, %s, %s, now() + %s * interval '1 second')"
                " on conflict (account_id, code) do nothing returning code",
                (account_id, employee_id, code, force, CODE_SECONDS),
            )
            if await cursor.fetchone() is not None:
                return code
    raise NotCarriedOut("No number to dial is free now: try again in some minutes.")


async def check_in_by_code(
    db: Database, account_id: int, data: Mapping[str, Any], set_status: SetStatus
) -> int:
    """Check in an agent who dialled the number; the employee. To dial it again from the same line changes nothing.

    :param data: ``value``: the digits, ``sip_line_id``: of the line that dialled.
    :raises NotFound: there is no such number, or not any more.
    :raises InvalidState: there is another check-in, and the number does not end it.
    """
    sip_line_id = data["sip_line_id"]
    async with transaction(db) as connection:
        await one_at_a_time(connection, account_id)
        cursor = await connection.execute(
            "update agent_check_in_codes set sip_line_id = %(line)s where account_id = %(account_id)s and code = %(code)s"
            " and expires_at > now() and (sip_line_id is null or sip_line_id = %(line)s) returning employee_id, forces",
            {"account_id": account_id, "code": data["value"], "line": sip_line_id},
        )
        row = await cursor.fetchone()
        if row is None:
            raise NotFound("This number to check in does not exist any more", field="code")
        employee_id = int(row["employee_id"])
        await _check_in(connection, account_id, employee_id, sip_line_id, set_status, force=row["forces"])
    await set_status(employee_id, CHECKED_IN)
    return employee_id
