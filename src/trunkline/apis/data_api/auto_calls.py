"""Campaigns of automatic calls."""

from __future__ import annotations

from trunkline.apis.data_api.change_methods import change_method
from trunkline.apis.data_api.lists import list_method
from trunkline.apis.data_api.numbers import SUCCESS
from trunkline.apis.jsonrpc import Params, ParamType, RequestContext
from trunkline.apis.jsonrpc.derive import override
from trunkline.directory.auto_calls import changes as auto_calls

_MOST = 10_000
"""Numbers of one request."""


async def _delete_numbers(request: RequestContext, params: Params) -> dict[str, bool]:
    await auto_calls.delete_numbers(
        request.services.db, request.account_id, params["campaign_id"], params["phone_numbers"]
    )
    return {"success": True}


METHODS = (
    list_method("get.auto_call_campaigns", "Campaigns and their numbers.", auto_calls.AUTO_CALL_CAMPAIGNS),
    change_method(
        "delete.auto_call_campaign_phone_numbers",
        "Takes numbers out of a campaign.",
        _delete_numbers,
        params=(
            override("campaign_id", description="Number of the campaign."),
            override(
                "phone_numbers", items=ParamType.STRING, maximum=_MOST, description="Numbers of the campaign."
            ),
        ),
        result=SUCCESS,
    ),
)
