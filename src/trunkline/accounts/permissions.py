"""Roles of users, the permissions that each role has, and the resources that permissions name.

A permission is a resource and an action. The reference names permissions for some methods; for all others this
installation defines the permissions of :data:`GROUPS`. An owner or admin has every permission. Every other user has those
of the role and those granted one by one (``trunkline user permit``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Protocol

from trunkline.core.errors import PermissionDenied

Permission = tuple[str, str]
"""Resource and action (:class:`~trunkline.accounts.model.Action`)."""


class Role(StrEnum):
    """The rights of a user without further permissions; :data:`ROLE_PERMISSIONS`."""

    OWNER = "owner"
    ADMIN = "admin"
    SUPERVISOR = "supervisor"
    OPERATOR = "operator"
    INTEGRATOR = "integrator"
    MEMBER = "member"


UNRESTRICTED = frozenset({Role.OWNER, Role.ADMIN})
"""Roles that have every permission."""

READ_REPORTS: Permission = ("reports", "select")
CHANGE_REPORTS: Permission = ("reports", "update")
READ_CONFIGURATION: Permission = ("configuration", "select")
CHANGE_CONFIGURATION: Permission = ("configuration", "update")
READ_UPLOADS: Permission = ("uploads", "select")
UPLOAD: Permission = ("uploads", "insert")
DELETE_UPLOADS: Permission = ("uploads", "delete")
WATCH_CALLS: Permission = ("call_control", "select")
CONTROL_CALLS: Permission = ("call_control", "update")
READ_ADMINISTRATION: Permission = ("administration", "select")
CHANGE_ADMINISTRATION: Permission = ("administration", "update")

GROUPS: Mapping[Permission, str] = {
    READ_REPORTS: "read reports: calls, conversations, visits, recordings, transcripts",
    CHANGE_REPORTS: "add to reports: comments, requests for transcripts",
    READ_CONFIGURATION: "read configuration for which the reference names no permission",
    CHANGE_CONFIGURATION: "change configuration for which the reference names no permission",
    READ_UPLOADS: "read the state of uploads",
    UPLOAD: "upload calls, chats, messages, sessions, costs",
    DELETE_UPLOADS: "delete uploaded chats and messages",
    WATCH_CALLS: "list live calls and read their stream; in the console also the ended calls of the user's own employee",
    CONTROL_CALLS: "start, hold, transfer, record, tag and end calls",
    READ_ADMINISTRATION: "read the request log, notifications with their log, and contact persons",
    CHANGE_ADMINISTRATION: "change, test and repeat notifications, and write to support",
}
"""Permissions of this installation, for methods for which the reference names none, and what each allows."""

MODULES: Mapping[str, str] = {
    "phone_lists": "phone lists and their leads, dialing campaigns, numbers that are not called",
    "users": "users: employees with their log-in, their password and their rights",
    "queues": "queues and the agents in them",
    "agents": "agents at work: their calls, devices and status",
}
"""Modules of the Call Center API; each has the actions select, insert, update and delete."""

CALL_CENTER: tuple[Permission, ...] = tuple(
    (module, action) for module in MODULES for action in ("select", "insert", "update", "delete")
)

REFERENCE_RESOURCES = (
    "ac",
    "ac_ext",
    "ac_new",
    "ac_undefined",
    "account_access",
    "address_book",
    "calls_blocking",
    "client_selected",
    "client_user",
    "client_user_new",
    "employees",
    "number_management",
    "site_new",
    "site_selected",
    "site_settings",
    "tag_management",
    "va",
)
"""The resources that the reference names ("Permissions and components")."""

RESOURCES = (*REFERENCE_RESOURCES, *dict.fromkeys(resource for resource, _ in GROUPS), *MODULES)
"""All resources that a permission of a method may name."""


def _granted(*permissions: Permission, read: Iterable[str] = ()) -> frozenset[str]:
    return frozenset(
        f"{resource}:{action}"
        for resource, action in (*permissions, *((resource, "select") for resource in read))
    )


_OPERATOR = _granted(WATCH_CALLS, CONTROL_CALLS, read=("address_book", "employees", "tag_management"))

_SUPERVISOR = _OPERATOR | _granted(
    READ_REPORTS,
    CHANGE_REPORTS,
    READ_CONFIGURATION,
    READ_UPLOADS,
    ("address_book", "insert"),
    ("address_book", "update"),
    ("calls_blocking", "insert"),
    ("calls_blocking", "delete"),
    ("tag_management", "update"),
    read=(
        "ac",
        "ac_ext",
        "ac_undefined",
        "calls_blocking",
        "number_management",
        "site_selected",
        "site_settings",
        "va",
        "queues",
        "agents",
    ),
)

_INTEGRATOR = _granted(
    READ_REPORTS,
    READ_CONFIGURATION,
    READ_UPLOADS,
    UPLOAD,
    DELETE_UPLOADS,
    ("address_book", "insert"),
    ("address_book", "update"),
    ("address_book", "delete"),
    read=("address_book", "employees", "number_management", "site_selected", "tag_management"),
)

ROLE_PERMISSIONS: Mapping[Role, frozenset[str]] = {
    Role.OWNER: frozenset(),
    Role.ADMIN: frozenset(),
    Role.SUPERVISOR: _SUPERVISOR,
    Role.OPERATOR: _OPERATOR,
    Role.INTEGRATOR: _INTEGRATOR,
    Role.MEMBER: frozenset(),
}
"""``"resource:action"`` that each role has. :data:`UNRESTRICTED` roles have all, a member none."""


def role_permits(role: Role, resource: str, action: str) -> bool:
    """Whether the role alone gives the permission."""
    return role in UNRESTRICTED or f"{resource}:{action}" in ROLE_PERMISSIONS[role]


class Grantor(Protocol):
    """A user whose permissions limit those that it may give."""

    @property
    def user_id(self) -> int: ...

    def may(self, resource: str, action: str) -> bool: ...


def check_grantable(caller: Grantor, permissions: Iterable[Permission]) -> None:
    """Nobody grants a permission that they do not have themselves, or changes a user who has one.

    :raises PermissionDenied: one is missing.
    """
    missing = [one for one in permissions if not caller.may(*one)]
    if missing:
        shown = ", ".join(f"{resource} {action}" for resource, action in sorted(missing)[:5])
        raise PermissionDenied(
            f"The user of the key does not have these permissions itself ({shown}), so it may neither grant them nor"
            " change a user who has them: use the key of a user who has them."
        )


def check_may_change_log_in(caller: Grantor, user_id: int, rights: Iterable[Permission]) -> None:
    """Nobody changes the log-in of a user with more rights, whose password or key would give these rights.

    :param user_id: whose log-in is changed; everybody may change their own.
    :param rights: all permissions of that user.
    :raises PermissionDenied: the user has a permission that the caller does not have.
    """
    if user_id != caller.user_id:
        check_grantable(caller, sorted(rights))
