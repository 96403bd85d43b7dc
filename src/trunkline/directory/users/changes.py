"""Users made, changed and deleted: employee, log-in and settings of the agent in one transaction.

Each part is written by the model of its entity (:mod:`trunkline.directory.employees`, :mod:`trunkline.accounts.users`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from trunkline.accounts.model import Action, Api
from trunkline.accounts.permissions import RESOURCES, Permission, Role, role_permits
from trunkline.accounts.users import add_user, change_user, delete_user, put_permissions
from trunkline.core.errors import InvalidInput
from trunkline.db.pool import Connection, Database
from trunkline.db.rows import one_at_a_time, transaction
from trunkline.directory.employees.changes import (
    EmployeePatch,
    add_employee,
    change_employee,
    remove_employee,
)
from trunkline.directory.employees.numbers import replace_phones
from trunkline.directory.queues.changes import replace_tiers_of
from trunkline.directory.queues.rules import Tier


@dataclass(frozen=True, slots=True)
class UserPatch:
    """New values of a user; what is left out stays.

    :ivar log_in: as of :func:`trunkline.accounts.users.change_user`.
    :ivar permissions: in addition to those of the role; None: they stay.
    :ivar tiers: all places in queues; ``employee_id`` is not looked at; None: they stay.
    """

    employee: EmployeePatch = field(default_factory=EmployeePatch)
    log_in: Mapping[str, Any] = field(default_factory=dict)
    permissions: Iterable[Permission] | None = None
    tiers: Sequence[Tier] | None = None


class LogIn(NamedTuple):
    """The log-in of an employee, and all that it may do."""

    user_id: int
    role: Role
    permissions: frozenset[Permission]

    def rights(self) -> frozenset[Permission]:
        """All permissions: of the role, of the permission group, and granted one by one."""
        of_role = {
            (resource, action.value)
            for resource in RESOURCES
            for action in Action
            if role_permits(self.role, resource, action)
        }
        return self.permissions | of_role


async def create_user(db: Database, account_id: int, wanted: UserPatch) -> int:
    """Add an employee with a log-in; the employee's id.

    :raises InvalidInput, NotFound, Duplicate: a value that cannot be.
    """
    async with transaction(db) as connection:
        employee_id = await add_employee(connection, account_id, wanted.employee)
        await _put_tiers(connection, account_id, employee_id, wanted.tiers)
        await _put_log_in(connection, account_id, employee_id, wanted)
        return employee_id


CheckLogIn = Callable[["LogIn"], None]
"""Raises when the log-in may not be changed by the present caller."""


async def update_user(
    db: Database, account_id: int, employee_id: int, wanted: UserPatch, check: CheckLogIn
) -> None:
    """Change a user. An employee without a log-in gets one as soon as ``login`` is given.

    :param check: called for a log-in that would be changed.
    :raises InvalidInput, NotFound, Duplicate: a value that cannot be.
    """
    async with transaction(db) as connection:
        await one_at_a_time(connection, account_id)
        if wanted.log_in or wanted.permissions is not None:
            for log_in in await _log_ins(connection, account_id, employee_id):
                check(log_in)
        await change_employee(connection, account_id, employee_id, wanted.employee)
        await _put_tiers(connection, account_id, employee_id, wanted.tiers)
        await _put_log_in(connection, account_id, employee_id, wanted)


async def remove_user(db: Database, account_id: int, employee_id: int, check: CheckLogIn) -> None:
    """Delete an employee with the log-in and the phones; SIP lines stay, without an employee.

    :param check: called for each log-in.
    :raises NotFound: no such employee.
    :raises InUse: a scenario, a talk option or another employee (as coach) refers to the employee.
    :raises InvalidState: the account would have no owner left.
    """
    async with transaction(db) as connection:
        await one_at_a_time(connection, account_id)
        for log_in in await _log_ins(connection, account_id, employee_id):
            check(log_in)
            await delete_user(connection, account_id, log_in.user_id)
        await replace_phones(connection, account_id, employee_id, [])
        await remove_employee(connection, account_id, employee_id)


async def _log_ins(connection: Connection, account_id: int, employee_id: int) -> list[LogIn]:
    cursor = await connection.execute(
        """
        select u.user_id, u.role, array(select p.resource || ':' || p.action from user_permissions p
            where p.account_id = u.account_id and p.user_id = u.user_id
            union select unnest(g.permissions) from permission_groups g
            where g.account_id = u.account_id and g.pgroup_id = u.pgroup_id) as permissions
        from users u where u.account_id = %s and u.employee_id = %s order by u.user_id for update""",
        (account_id, employee_id),
    )
    return [
        LogIn(row["user_id"], Role(row["role"]), frozenset(map(_permission, row["permissions"])))
        for row in await cursor.fetchall()
    ]


def _permission(text: str) -> Permission:
    resource, _, action = text.partition(":")
    return resource, action


async def _put_tiers(
    connection: Connection, account_id: int, employee_id: int, tiers: Sequence[Tier] | None
) -> None:
    if tiers is not None:
        own = [replace(tier, employee_id=employee_id) for tier in tiers]
        await replace_tiers_of(connection, account_id, employee_id, own)


async def _put_log_in(connection: Connection, account_id: int, employee_id: int, wanted: UserPatch) -> None:
    if not wanted.log_in and wanted.permissions is None:
        return
    known = await _log_ins(connection, account_id, employee_id)
    values = dict(wanted.log_in)
    if known:
        user_id = known[0].user_id
    else:
        if "login" not in values:
            given = {name for name, value in values.items() if value not in (None, [])}
            if given <= {"full_name", "email", "status"} and wanted.permissions is None:
                return  # of the employee alone
            raise InvalidInput("The user has no log-in: send username, too.", field="username")
        user_id = await add_user(
            connection,
            account_id,
            values.pop("login"),
            values.pop("password", None),
            apis=[Api.CALL_CENTER],
            employee_id=employee_id,
        )
    await change_user(connection, account_id, user_id, values)
    if wanted.permissions is not None:
        await put_permissions(connection, account_id, user_id, wanted.permissions)
