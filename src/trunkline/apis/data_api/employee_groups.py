"""Groups of employees: ``get``, ``create``, ``update``, ``delete.group_employees`` and the order of their phones."""

from __future__ import annotations

from typing import Any

from trunkline.apis.data_api.change_methods import (
    ID,
    create_method,
    delete_method,
    require_component,
    update_method,
)
from trunkline.apis.data_api.lists import VIRTUAL_PBX, list_method
from trunkline.apis.jsonrpc import ErrorSpec, Params, ParamType, RequestContext
from trunkline.apis.jsonrpc.derive import override
from trunkline.directory.groups import changes as groups
from trunkline.directory.groups import rules
from trunkline.directory.groups.listing import GROUPS
from trunkline.directory.model.limits import MAX_EXTENSION

_NAME = override("name", maximum=rules.MAX_NAME)
_MEMBERS = override("members", items=ParamType.NUMBER, description="Ids of employees.")
_EXTENSION = override("group_phone_number", maximum=MAX_EXTENSION, description="Short number.")
_QUEUE = override("queue_enabled")
_CHANNELS = override("channels_count", minimum=rules.MIN_CHANNELS, maximum=rules.MAX_CHANNELS)
_USUAL_CHANNELS = 1


async def _create(request: RequestContext, params: Params) -> int:
    _check_components(request, params)
    columns = {"channels_count": _USUAL_CHANNELS, **_columns(params)}
    return await groups.create_group(
        request.services.db, request.account_id, columns, params.get("members", ())
    )


async def _update(request: RequestContext, params: Params) -> None:
    _check_components(request, params)
    members = params["members"] or () if "members" in params else None
    await groups.update_group(
        request.services.db, request.account_id, params["id"], _columns(params), members
    )


async def _delete(request: RequestContext, params: Params) -> None:
    await groups.delete_group(request.services.db, request.account_id, params["id"])


async def _order(request: RequestContext, params: Params) -> None:
    phones = [(one["employee_phone_number_id"], one["available"]) for one in params["phone_numbers"]]
    await groups.order_phones(request.services.db, request.account_id, params["id"], phones)


def _check_components(request: RequestContext, params: Params) -> None:
    require_component(request, params, VIRTUAL_PBX, "group_phone_number", "queue_enabled", "channels_count")


def _columns(params: Params) -> dict[str, Any]:
    columns = {name: params[name] for name in ("name", "channels_count") if name in params}
    if "group_phone_number" in params:
        columns["extension"] = params["group_phone_number"]
    if "queue_enabled" in params:
        columns["queue_enabled"] = bool(params["queue_enabled"])
    return columns


METHODS = (
    list_method(
        "get.group_employees",
        "Groups of employees, with their phones in the order they ring.",
        GROUPS,
        permissions=(("employees", "select"),),
    ),
    create_method(
        "create.group_employees",
        "Adds a group.",
        _create,
        params=(_NAME, _MEMBERS, _EXTENSION, _QUEUE, _CHANNELS),
        permissions=(("employees", "insert"),),
    ),
    update_method(
        "update.group_employees",
        "Changes a group; what is left out stays, the members are replaced whole.",
        _update,
        params=(
            ID,
            _NAME,
            *(param.changed(nullable=True) for param in (_MEMBERS, _EXTENSION, _QUEUE)),
            _CHANNELS,
        ),
        partial=("name", "channels_count"),
        permissions=(("employees", "update"),),
    ),
    delete_method(
        "delete.group_employees",
        "Removes a group that nothing calls any more.",
        _delete,
        permissions=(("employees", "delete"),),
    ),
    update_method(
        "update.group_employees_numbers",
        "Says for each phone of a group its place and whether it rings.",
        _order,
        params=(
            ID,
            override(
                "phone_numbers",
                description="All phones of the group, the first to ring first.",
            ),
        ),
        permissions=(("employees", "update"),),
        errors=(ErrorSpec(-32602, "invalid_parameter_value", "Invalid parameter value"),),
    ),
)
