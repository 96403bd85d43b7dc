"""Employees made, changed and removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trunkline.core.errors import InvalidInput, NotFound
from trunkline.db.pool import Connection, Database
from trunkline.db.rows import (
    delete,
    insert_keyed,
    lock_row,
    lock_rows,
    one_at_a_time,
    transaction,
    update,
)
from trunkline.directory.agents.changes import AgentPatch, put_agent
from trunkline.directory.employees.numbers import PhonePatch, replace_phones
from trunkline.directory.employees.operators import OperatorPatch, put_operator, remove_operator
from trunkline.directory.employees.rules import CoachFault, coach_fault
from trunkline.directory.exclusive import Holder, check_extension
from trunkline.directory.model import EmployeeStatus
from trunkline.directory.uses import refuse_if_used, refuse_places

_TABLE, _ID = "employees", "employee_id"


@dataclass(frozen=True, slots=True)
class EmployeePatch:
    """The new values of an employee. Other values are kept (or have the default, for a new one).

    :param columns: of table ``employees``.
    :param group_ids, phones: the complete list; None = unchanged.
    :param operator: chat settings; None = unchanged.
    :param no_operator: the employee shall have no chat settings.
    :param agent: settings in the call center; None = unchanged.
    """

    columns: Mapping[str, Any] = field(default_factory=dict)
    group_ids: Sequence[int] | None = None
    phones: Sequence[PhonePatch] | None = None
    operator: OperatorPatch | None = None
    no_operator: bool = False
    agent: AgentPatch | None = None


async def create_employee(db: Database, account_id: int, wanted: EmployeePatch) -> int:
    """Add an employee; the id.

    :raises NotFound: a schedule, coach, group, status or position that is not there.
    :raises InvalidInput, Duplicate: see :func:`update_employee`.
    """
    async with transaction(db) as connection:
        return await add_employee(connection, account_id, wanted)


async def add_employee(connection: Connection, account_id: int, wanted: EmployeePatch) -> int:
    """As :func:`create_employee`, in the transaction of the connection."""
    await one_at_a_time(connection, account_id)
    await _check(connection, account_id, None, wanted.columns)
    employee_id = await insert_keyed(connection, _TABLE, _ID, account_id, wanted.columns)
    await _parts(connection, account_id, employee_id, wanted)
    return employee_id


async def update_employee(db: Database, account_id: int, employee_id: int, wanted: EmployeePatch) -> None:
    """Change an employee.

    :raises NotFound: no such employee, or an object that the employee shall have does not exist.
    :raises InvalidInput: a phone that is none, a coach who is the employee; ``invalid_parameters_combination``:
        a coach who is always called, but none is named.
    :raises Duplicate: ``already_in_use``: a short number, SIP line or chat login that another has.
    """
    async with transaction(db) as connection:
        await change_employee(connection, account_id, employee_id, wanted)


async def set_available(db: Database, account_id: int, employee_id: int) -> None:
    """An employee who has begun to work is available, whatever the status was before.

    :raises NotFound: no such employee.
    """
    patch = EmployeePatch(columns={"status": EmployeeStatus.AVAILABLE.value})
    await update_employee(db, account_id, employee_id, patch)


async def change_employee(
    connection: Connection, account_id: int, employee_id: int, wanted: EmployeePatch
) -> None:
    """As :func:`update_employee`, in the transaction of the connection."""
    await one_at_a_time(connection, account_id)
    await lock_row(connection, _TABLE, _ID, account_id, employee_id)
    await _check(connection, account_id, employee_id, wanted.columns)
    await update(connection, _TABLE, _ID, account_id, employee_id, wanted.columns)
    await _parts(connection, account_id, employee_id, wanted)


async def delete_employee(db: Database, account_id: int, employee_id: int) -> None:
    """Remove an employee from all groups; the user of this employee then has no employee.

    :raises NotFound: no such employee.
    :raises InUse: a SIP line, a scenario, a talk option or another employee (as coach) refers to the employee.
    """
    async with transaction(db) as connection:
        await remove_employee(connection, account_id, employee_id)


async def remove_employee(connection: Connection, account_id: int, employee_id: int) -> None:
    """As :func:`delete_employee`, in the transaction of the connection."""
    await one_at_a_time(connection, account_id)
    await lock_row(connection, _TABLE, _ID, account_id, employee_id)
    cursor = await connection.execute(
        """
        select 'SIP line ' || phone_number as place from sip_lines
        where account_id = %(account_id)s and employee_id = %(employee_id)s
        union all
        select 'employee ' || full_name || ' (as coach)' from employees
        where account_id = %(account_id)s and coach_id = %(employee_id)s""",
        {"account_id": account_id, "employee_id": employee_id},
    )
    refuse_places([row["place"] for row in await cursor.fetchall()], employee_id)
    await refuse_if_used(connection, account_id, "employee_id", employee_id)
    await connection.execute(
        "update users set employee_id = null where account_id = %s and employee_id = %s",
        (account_id, employee_id),
    )
    await delete(connection, _TABLE, _ID, account_id, employee_id)


async def _check(
    connection: Connection, account_id: int, employee_id: int | None, columns: Mapping[str, Any]
) -> None:
    if (status_id := columns.get("status_id")) is not None:
        await _check_status(connection, account_id, status_id)
    if (schedule_id := columns.get("schedule_id")) is not None:
        await lock_row(connection, "schedules", "schedule_id", account_id, schedule_id, field="schedule_id")
    if (extension := columns.get("extension")) is not None:
        await check_extension(
            connection,
            account_id,
            extension,
            Holder("employees", employee_id),
            field="extension.extension_phone_number",
        )
    await _check_coach(connection, account_id, employee_id, columns)


async def _check_coach(
    connection: Connection, account_id: int, employee_id: int | None, columns: Mapping[str, Any]
) -> None:
    is_always_called = bool(columns.get("coach_always_enabled"))
    coach_id = columns.get("coach_id")
    if coach_id is not None:
        await lock_row(connection, _TABLE, _ID, account_id, coach_id, field="coach.coach_id")
    elif is_always_called and "coach_id" not in columns:
        cursor = await connection.execute(
            "select coach_id from employees where account_id = %s and employee_id = %s",
            (account_id, employee_id),
        )
        row = await cursor.fetchone()
        coach_id = None if row is None else row["coach_id"]
    match coach_fault(employee_id, coach_id, is_always_called=is_always_called):
        case CoachFault.IS_SELF:
            raise InvalidInput(
                "An employee cannot be their own coach. Send another employee.",
                field="coach.coach_id",
                value=coach_id,
            )
        case CoachFault.NOT_NAMED:
            raise InvalidInput(
                "A coach who is always called requires coach_id. Send it, too.",
                mnemonic="invalid_parameters_combination",
                field="coach.coach_always_enabled",
                value=True,
            )


async def _check_status(connection: Connection, account_id: int, status_id: int) -> None:
    cursor = await connection.execute(
        """select from employee_statuses where account_id in (0, %s) and status_id = %s and not is_deleted""",
        (account_id, status_id),
    )
    if await cursor.fetchone() is None:
        raise NotFound(
            f"There is no status {status_id}: see get.statuses.", field="status_id", value=status_id
        )


async def _parts(connection: Connection, account_id: int, employee_id: int, wanted: EmployeePatch) -> None:
    if wanted.group_ids is not None:
        await _join_groups(connection, account_id, employee_id, wanted.group_ids)
    if wanted.phones is not None:
        await replace_phones(connection, account_id, employee_id, wanted.phones)
    if wanted.no_operator:
        await remove_operator(connection, account_id, employee_id)
    elif wanted.operator is not None:
        await put_operator(connection, account_id, employee_id, wanted.operator)
    if wanted.agent is not None:
        await put_agent(connection, account_id, employee_id, wanted.agent)


async def _join_groups(
    connection: Connection, account_id: int, employee_id: int, group_ids: Sequence[int]
) -> None:
    """Set the groups of the employee; a new member is the last of the group."""
    await lock_rows(connection, "employee_groups", "group_id", account_id, group_ids, field="groups")
    params = {"account_id": account_id, "employee_id": employee_id, "group_ids": list(group_ids)}
    await connection.execute(
        """delete from group_members where account_id = %(account_id)s and employee_id = %(employee_id)s
           and group_id <> all(%(group_ids)s)""",
        params,
    )
    await connection.execute(
        """
        insert into group_members (account_id, group_id, employee_id, position)
        select %(account_id)s, wanted.group_id, %(employee_id)s, coalesce((
            select max(m.position) + 1 from group_members m
            where m.account_id = %(account_id)s and m.group_id = wanted.group_id), 0)
        from unnest(%(group_ids)s::bigint[]) as wanted (group_id)
        on conflict do nothing""",
        params,
    )
