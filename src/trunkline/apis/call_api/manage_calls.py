"""``release.call`` and ``list.calls``: calls that live."""

from __future__ import annotations

import dataclasses

from trunkline.apis.call_api import common
from trunkline.apis.call_api.components import BASE, MANAGEMENT
from trunkline.apis.call_api.on_a_call import call_method
from trunkline.apis.jsonrpc import (
    ACCESS_TOKEN,
    Api,
    Envelope,
    Field,
    FieldType,
    Method,
    Params,
    RequestContext,
    Result,
)


async def _list_calls(request: RequestContext, params: Params) -> Result:
    """The switch writes the list as it goes out: exactly the fields declared below, times in the account's zone."""
    zone = request.caller.time_zone.key
    return Result(await common.command_json(request, "list_calls", {**params, "time_zone": zone}))


METHODS = (
    call_method("release.call", "Ends a call session.", components=(BASE,)),
    Method(
        api=Api.CALL,
        name="list.calls",
        summary="Lists the calls that live now, with their participants.",
        params=(
            ACCESS_TOKEN,
            dataclasses.replace(common.DIRECTION, default=None, description="Only these calls."),
            dataclasses.replace(
                common.VIRTUAL_PHONE_NUMBER, required=False, description="Only calls by this virtual number."
            ),
        ),
        result=(
            Field("call_session_id", FieldType.NUMBER),
            Field("direction", FieldType.STRING, enum=("in", "out")),
            Field("start_time", FieldType.STRING, description="YYYY-MM-DD hh:mm:ss in the account's zone."),
            Field("virtual_phone_number", FieldType.STRING),
            Field("contact_phone_number", FieldType.STRING),
            Field("external_id", FieldType.STRING),
            Field(
                "tags",
                FieldType.ARRAY,
                fields=(Field("tag_id", FieldType.NUMBER), Field("tag_name", FieldType.STRING)),
            ),
            Field(
                "legs",
                FieldType.ARRAY,
                fields=(
                    Field("leg_id", FieldType.NUMBER),
                    Field("calling_phone_number", FieldType.STRING),
                    Field("called_phone_number", FieldType.STRING),
                    Field("is_operator", FieldType.BOOLEAN),
                    Field("employee_id", FieldType.NUMBER),
                    Field("employee_full_name", FieldType.STRING),
                    Field("record_call_enabled", FieldType.BOOLEAN),
                    Field("state", FieldType.STRING),
                ),
            ),
        ),
        envelope=Envelope.DATA_ARRAY,
        components=(MANAGEMENT,),
        handler=_list_calls,
    ),
)
