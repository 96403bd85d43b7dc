"""SIP lines: ``get``, ``create``, ``update``, ``delete.sip_lines``, new passwords, the numbers lines may show."""

from __future__ import annotations

from typing import Any

from trunkline.apis.data_api.change_methods import ID, change_method, delete_method, update_method
from trunkline.apis.data_api.lists import VIRTUAL_PBX, list_method
from trunkline.apis.jsonrpc import Params, RequestContext
from trunkline.apis.jsonrpc.derive import override
from trunkline.directory.lines import changes, rules
from trunkline.directory.lines.listing import LINE_NUMBERS, SIP_LINES
from trunkline.provisioning.server import sip_server

_EMPLOYEE = override("employee_id", description="Whose phone the line is.")
_SHOWN = override(
    "virtual_phone_number",
    nullable=True,
    maximum=20,
    description="Number shown in calls out; null: the line takes calls only.",
)
_UPDATE = (
    ID,
    _EMPLOYEE,
    _SHOWN,
    override("channels_count", minimum=rules.MIN_CHANNELS, maximum=rules.MAX_CHANNELS),
)
_CHANGEABLE = ("employee_id", "virtual_phone_number", "billing_state", "channels_count")


async def _create(request: RequestContext, params: Params) -> dict[str, Any]:
    line = await changes.create_line(
        request.services.db, request.account_id, params["employee_id"], params.get("virtual_phone_number")
    )
    return {
        "phone_number": line.phone_number,
        "password": line.password,
        "server": sip_server(request.services.settings),
        "id": line.sip_line_id,
    }


async def _update(request: RequestContext, params: Params) -> None:
    wanted = {name: params[name] for name in _CHANGEABLE if name in params}
    await changes.update_line(request.services.db, request.account_id, params["id"], wanted)


async def _new_password(request: RequestContext, params: Params) -> dict[str, Any]:
    password = await changes.change_password(request.services.db, request.account_id, params["id"])
    return {"password": password}


async def _delete(request: RequestContext, params: Params) -> None:
    await changes.delete_line(request.services.db, request.account_id, params["id"])


METHODS = (
    list_method(
        "get.sip_lines",
        "SIP lines and the devices registered on them.",
        SIP_LINES,
        components=(VIRTUAL_PBX,),
        permissions=(("va", "select"),),
    ),
    list_method(
        "get.sip_line_virtual_numbers",
        "Virtual numbers that a SIP line may show.",
        LINE_NUMBERS,
        components=(VIRTUAL_PBX,),
        permissions=(("va", "select"),),
    ),
    change_method(
        "create.sip_lines",
        "Adds a SIP line; the answer shows its password once.",
        _create,
        params=(_EMPLOYEE, _SHOWN),
        partial=("virtual_phone_number",),
        result=(
            override("phone_number", description="Login."),
            override("password", description="Shown here and never again."),
            override("server", description="host:port to register at."),
        ),
        components=(VIRTUAL_PBX,),
        permissions=(("va", "insert"),),
    ),
    update_method(
        "update.sip_lines",
        "Changes a SIP line; what is left out stays.",
        _update,
        params=_UPDATE,
        partial=("employee_id", "virtual_phone_number"),
        components=(VIRTUAL_PBX,),
        permissions=(("va", "update"),),
    ),
    change_method(
        "update.sip_line_password",
        "Gives a SIP line a new password; the answer shows it once.",
        _new_password,
        params=(ID,),
        result=(override("password", description="Shown here and never again."),),
        components=(VIRTUAL_PBX,),
        permissions=(("va", "update"),),
    ),
    delete_method(
        "delete.sip_lines",
        "Removes a SIP line, also from its employee's phones.",
        _delete,
        components=(VIRTUAL_PBX,),
        permissions=(("va", "delete"),),
    ),
)
