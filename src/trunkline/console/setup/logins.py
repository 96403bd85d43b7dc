"""Logins of employees for the console: made, given another password, disabled. Nobody makes one with more rights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from trunkline.accounts import tokens
from trunkline.accounts.model import Action, Status
from trunkline.accounts.permissions import RESOURCES, Permission, Role, check_may_change_log_in, role_permits
from trunkline.accounts.users import Users
from trunkline.apis.service.request_context import CallerLike
from trunkline.console.languages import translatable
from trunkline.console.page_request import PageRequest
from trunkline.console.setup.controls import Choice
from trunkline.console.setup.writer import logged
from trunkline.core.errors import PermissionDenied
from trunkline.directory.users.changes import LogIn, UserPatch, update_user

_ = translatable

READ: Permission = ("users", "select")
MAKE: Permission = ("users", "insert")
CHANGE: Permission = ("users", "update")

ROLES: Mapping[Role, str] = {
    Role.OPERATOR: _("Operator: their own calls"),
    Role.SUPERVISOR: _("Supervisor: all calls"),
    Role.INTEGRATOR: _("Integrator: programs"),
    Role.ADMIN: _("Admin: everything"),
    Role.MEMBER: _("Member: nothing yet"),
}


def _rights(role: Role) -> list[Permission]:
    return [
        (resource, action.value)
        for resource in RESOURCES
        for action in Action
        if role_permits(role, resource, action)
    ]


def roles_of(caller: CallerLike) -> list[Choice]:
    """The roles that the caller may give: those with no right that the caller does not have."""
    return [
        Choice(role.value, title, is_text=True)
        for role, title in ROLES.items()
        if all(caller.may(*one) for one in _rights(role))
    ]


def may_make(caller: CallerLike) -> bool:
    return caller.may(*MAKE)


def _check_may_change(caller: CallerLike, log_in: LogIn) -> None:
    check_may_change_log_in(caller, log_in.user_id, log_in.rights())


async def of_employee(page_request: PageRequest, employee_id: int) -> Sequence[Mapping[str, Any]]:
    """The logins of an employee; none for a visitor who may not see users."""
    if not page_request.may(READ):
        return []
    rows = await Users(page_request.db).list_users(page_request.account_id)
    return [
        {**row, "role_title": ROLES.get(Role(row["role"]), "") or row["role"]}
        for row in rows
        if row["employee_id"] == employee_id
    ]


async def make(page_request: PageRequest, employee_id: int, full_name: str, login: str, role: str) -> str:
    """Make a login; its password, shown once.

    :raises PermissionDenied: the user may not, or not with this role.
    :raises InvalidInput, Duplicate: the login.
    """
    if not page_request.may(MAKE) or role not in {one.value for one in roles_of(page_request.caller)}:
        raise PermissionDenied(_("You may not change this: an admin of the account can permit it."))
    password = tokens.new_password()
    shown = {"employee_id": employee_id, "login": login, "role": role}
    async with logged(page_request, "console.create.login", shown):
        await Users(page_request.db).create(
            page_request.account_id,
            login.strip(),
            password,
            full_name=full_name,
            role=Role(role),
            employee_id=employee_id,
        )
    return password


async def new_password(page_request: PageRequest, employee_id: int) -> str:
    """Give the employee's login another password, shown once; its sessions end."""
    password = tokens.new_password()
    await _change(page_request, employee_id, "console.update.login_password", {"password": password})
    return password


async def switch(page_request: PageRequest, employee_id: int, *, is_on: bool) -> None:
    """Enable or disable the employee's login."""
    status = Status.ACTIVE if is_on else Status.DISABLED
    await _change(page_request, employee_id, f"console.update.login_{status}", {"status": status.value})


async def _change(page_request: PageRequest, employee_id: int, name: str, values: Mapping[str, Any]) -> None:
    if not page_request.may(CHANGE):
        raise PermissionDenied(_("You may not change this: an admin of the account can permit it."))
    async with logged(page_request, name, {"employee_id": employee_id}):
        await update_user(
            page_request.db,
            page_request.account_id,
            employee_id,
            UserPatch(log_in=values),
            partial(_check_may_change, page_request.caller),
        )
