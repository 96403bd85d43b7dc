"""``release.call`` and ``list.calls``: calls that live."""

from __future__ import annotations

from trunkline.apis.call_api import common
from trunkline.apis.call_api.components import BASE, MANAGEMENT
from trunkline.apis.call_api.on_a_call import call_method
from trunkline.apis.jsonrpc import (
    ACCESS_TOKEN,
    Api,
    Params,
    RequestContext,
    Result,
)
from trunkline.apis.jsonrpc.derive import contract_method, override


async def _list_calls(request: RequestContext, params: Params) -> Result:
    """The switch writes the list as it goes out: exactly the fields declared below, times in the account's zone."""
    zone = request.caller.time_zone.key
    return Result(await common.command_json(request, "list_calls", {**params, "time_zone": zone}))


METHODS = (
    call_method("release.call", "Ends a call session.", components=(BASE,)),
    contract_method(
        api=Api.CALL,
        name="list.calls",
        summary="Lists the calls that live now, with their participants.",
        params=(
            ACCESS_TOKEN,
            override("direction", description="Only these calls."),
            override(
                "virtual_phone_number",
                convert=common.number_or_line,
                description="Only calls by this virtual number.",
            ),
        ),
        result=(override("start_time", description="YYYY-MM-DD hh:mm:ss in the account's zone."),),
        components=(MANAGEMENT,),
        handler=_list_calls,
    ),
)
