"""Groups of permissions (``/api/pgroup``) and the defaults of users (``/api/account_defaults``).

The source document has fields of users that refer to both, and no paths for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trunkline.accounts import permission_groups as groups
from trunkline.accounts.permissions import Permission
from trunkline.apis.call_center.declaration import (
    ACCOUNT_ID,
    ID,
    Arguments,
    Body,
    Field,
    Operation,
    Pages,
    json_object,
    record,
    text,
)
from trunkline.apis.call_center.record_operations import Handlers, by_id, record_operations
from trunkline.apis.call_center.rights import check_grantable
from trunkline.apis.call_center.user_fields import DEFAULT_FIELDS, grants, shown_permissions
from trunkline.apis.service.request_context import RequestContext
from trunkline.apis.service.workloads import Workload
from trunkline.directory.agents.defaults import change_defaults, read_defaults

_MODULE = "users"

GROUP_FIELDS: tuple[Field, ...] = (
    ID,
    ACCOUNT_ID,
    text("name", "Name, unique in the account.", required=True, minimum=1),
    json_object(
        "permissions",
        "Actions by resource, which all users of the group have.",
        check=lambda value: grants(value, with_switch=False),
        default={},
    ),
)


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "permissions": shown_permissions(row["permissions"])}


def _wanted(sent: Mapping[str, Any]) -> list[Permission]:
    return [(resource, action) for resource, actions in (sent or {}).items() for action in actions]


async def _groups(request: RequestContext, args: Arguments) -> Pages:
    async def read(**more: Any) -> list[Mapping[str, Any]]:
        words = args.query.get("q") or None
        rows = await groups.read_groups(request.services.db, request.account_id, words=words, **more)
        return [_shown(row) for row in rows]

    return by_id(args, read)


async def _group(request: RequestContext, args: Arguments) -> Any:
    return _shown(await groups.read_group(request.services.db, request.account_id, args.path["id"]))


async def _create(request: RequestContext, args: Arguments) -> Any:
    permissions = _wanted(args.body.get("permissions"))
    check_grantable(request.caller, permissions)
    db, account_id = request.services.db, request.account_id
    made = await groups.create_group(db, account_id, args.body["name"], permissions)
    return _shown(await groups.read_group(db, account_id, made))


async def _update(request: RequestContext, args: Arguments) -> Any:
    db, account_id, pgroup_id = request.services.db, request.account_id, args.path["id"]
    present = await groups.read_group(db, account_id, pgroup_id)
    permissions = None
    if "permissions" in args.body:
        permissions = _wanted(args.body["permissions"])
        check_grantable(request.caller, [*groups.permissions_of(present["permissions"]), *permissions])
    await groups.update_group(db, account_id, pgroup_id, name=args.body.get("name"), permissions=permissions)
    return _shown(await groups.read_group(db, account_id, pgroup_id))


async def _delete(request: RequestContext, args: Arguments) -> None:
    await groups.read_group(request.services.db, request.account_id, args.path["id"])
    await groups.delete_group(request.services.db, request.account_id, args.path["id"])


async def _defaults(request: RequestContext, _args: Arguments) -> Any:
    return await read_defaults(request.services.db, request.account_id)


async def _change_defaults(request: RequestContext, args: Arguments) -> Any:
    await change_defaults(request.services.db, request.account_id, args.body)
    return await read_defaults(request.services.db, request.account_id)


OPERATIONS = (
    *record_operations(
        "/api/pgroup",
        "permission group",
        GROUP_FIELDS,
        _MODULE,
        Handlers(_groups, _create, _group, _update, _delete),
        query=(text("q", "Part of the name."),),
    ),
    Operation(
        "GET",
        "/api/account_defaults",
        "What users have who have no setting of their own.",
        _defaults,
        (_MODULE, "select"),
        answer=record(*DEFAULT_FIELDS),
    ),
    Operation(
        "PUT",
        "/api/account_defaults",
        "Changes these; what is left out stays, null is the default of the installation.",
        _change_defaults,
        (_MODULE, "update"),
        body=Body(DEFAULT_FIELDS, partial=True),
        answer=record(*DEFAULT_FIELDS),
        workload=Workload.CHANGE,
    ),
)
