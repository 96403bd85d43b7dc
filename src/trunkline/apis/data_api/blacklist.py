"""The blacklist: numbers whose calls are refused."""

from __future__ import annotations

from trunkline.apis.data_api.change_methods import change_method, delete_method
from trunkline.apis.data_api.lists import list_method
from trunkline.apis.jsonrpc import Params, RequestContext
from trunkline.apis.jsonrpc.derive import override
from trunkline.directory.blacklist import changes as blacklist


async def _block(request: RequestContext, params: Params) -> dict[str, object]:
    blocked = await blacklist.block(
        request.services.db,
        request.account_id,
        request.caller.user_id,
        params["phone_number"],
        params.get("add_comment", ""),
    )
    return {"id": blocked.blacklist_id, "phone_number": blocked.phone_number}


async def _unblock(request: RequestContext, params: Params) -> None:
    await blacklist.unblock(request.services.db, request.account_id, params["id"])


METHODS = (
    list_method(
        "get.blacklist_phone_numbers",
        "Numbers whose calls are refused.",
        blacklist.BLACKLIST,
        permissions=(("calls_blocking", "select"),),
    ),
    change_method(
        "create.phone_number_to_blacklist",
        "Refuses calls of a number.",
        _block,
        params=(
            override("phone_number", description="Number, E.164."),
            override("add_comment", description="Why."),
        ),
        result=(
            override("id", description="Number of the entry."),
            override("phone_number", description="Digits as they are kept."),
        ),
        permissions=(("calls_blocking", "insert"),),
    ),
    delete_method(
        "delete.phone_number_from_blacklist",
        "Lets calls of a number in again.",
        _unblock,
        permissions=(("calls_blocking", "delete"),),
    ),
)
