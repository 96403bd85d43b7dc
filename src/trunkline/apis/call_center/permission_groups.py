"""Groups of permissions (``/api/pgroup``) and the defaults of users (``/api/account_defaults``).

The source document has fields of users that refer to both, and no paths for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trunkline.accounts import permission_groups as groups
from trunkline.accounts.permissions import Permission, check_grantable
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
from trunkline.apis.call_center.user_fields import DEFAULT_FIELDS, grants, shown_permissions
from trunkline.apis.service.request_context import RequestContext
from trunkline.apis.service.workloads import Workload
from trunkline.directory.agents.defaults import change_defaults, read_defaults
from trunkline.notifications.call_center import CenterEvent
from trunkline.notifications.subscriptions import Draft, Subscriptions

_MODULE = "users"

EVENTS_KEY = "call_center_events"
"""Key of the subscription that sends all events of the API to one URL."""

_ACCOUNT_FIELDS = (
    *DEFAULT_FIELDS,
    text("event_push_url", "URL to which the events are sent; null: none are.", maximum=2000),
)

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


def _subscriptions(request: RequestContext) -> Subscriptions:
    return Subscriptions(request.services.db, None)


async def _defaults(request: RequestContext, _args: Arguments) -> Any:
    defaults = await read_defaults(request.services.db, request.account_id)
    kept = await _subscriptions(request).find(request.account_id, EVENTS_KEY)
    return {**defaults, "event_push_url": None if kept is None else kept.url}


async def _change_defaults(request: RequestContext, args: Arguments) -> Any:
    values = dict(args.body)
    if "event_push_url" in values:
        await _set_push_url(request, values.pop("event_push_url"))
    await change_defaults(request.services.db, request.account_id, values)
    return await _defaults(request, args)


async def _set_push_url(request: RequestContext, url: str | None) -> None:
    """All events go to this URL from now on; None: none do."""
    subscriptions = _subscriptions(request)
    kept = await subscriptions.find(request.account_id, EVENTS_KEY)
    if url:
        if kept is None or kept.url != url or not kept.is_active:
            draft = Draft(
                EVENTS_KEY, "Events of the Call Center API", url, [one.value for one in CenterEvent]
            )
            await subscriptions.save(request.account_id, draft)
    elif kept is not None:
        await subscriptions.remove(request.account_id, kept.subscription_id)


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
        answer=record(*_ACCOUNT_FIELDS),
    ),
    Operation(
        "PUT",
        "/api/account_defaults",
        "Changes these; what is left out stays, null is the default of the installation.",
        _change_defaults,
        (_MODULE, "update"),
        body=Body(_ACCOUNT_FIELDS, partial=True),
        answer=record(*_ACCOUNT_FIELDS),
        workload=Workload.CHANGE,
    ),
)
