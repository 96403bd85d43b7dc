"""What the user of a key may do: for itself, and for others."""

from __future__ import annotations

from trunkline.accounts.permissions import Permission
from trunkline.apis.service.request_context import RequestContext
from trunkline.core.errors import NotFound, PermissionDenied


def user_of(request: RequestContext, user_id: int | None, needed: Permission) -> int:
    """The id of the user; without ``user_id`` the one of the key, who needs no permission for it.

    :param needed: for another user.
    :raises NotFound: neither is given.
    :raises PermissionDenied: with the command that permits it.
    """
    own = request.caller.employee_id
    if not user_id and own is None:
        raise NotFound("The log-in of the key belongs to no user: send user_id.", field="user_id")
    if user_id and user_id != own:
        check_permission(request, needed, "may act for itself only")
        return user_id
    assert own is not None
    return own


def check_permission(request: RequestContext, needed: Permission, restriction: str) -> None:
    """:raises PermissionDenied: the user of the key does not have it."""
    if request.caller.may(*needed):
        return
    raise PermissionDenied(
        f"The user of the key {restriction}: trunkline user permit --user {request.caller.login}"
        f" {' '.join(needed)} --account {request.account_id}"
    )
