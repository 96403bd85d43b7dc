"""``list.talk_options`` and ``call.talk_option``: what the keys of a talking employee do."""

from __future__ import annotations

from trunkline.apis.call_api import common, errors
from trunkline.apis.call_api.components import MANAGEMENT
from trunkline.apis.call_api.on_a_call import call_method
from trunkline.apis.jsonrpc import (
    ACCESS_TOKEN,
    Api,
    Params,
    RequestContext,
    Result,
)
from trunkline.apis.jsonrpc.derive import contract_method, override


async def _list_talk_options(request: RequestContext, params: Params) -> Result:
    """The switch answers ``{"options": [...]}``: the fields of the result."""
    answer = await common.command(request, "list_talk_options", params)
    return Result(answer["options"])


METHODS = (
    contract_method(
        api=Api.CALL,
        name="list.talk_options",
        summary="Lists the talk options of the account.",
        params=(ACCESS_TOKEN,),
        result=(
            override("button", description="The key."),
            override("mnemonic", description="What the option does."),
            override("button_value", description="What it does it with (a tag, a scenario), if anything."),
        ),
        components=(MANAGEMENT,),
        complete=True,
        handler=_list_talk_options,
    ),
    call_method(
        "call.talk_option",
        "Does what a key of the talking employee would do.",
        override("button", maximum=8, description="The key of the option."),
        errors=(
            errors.INVALID_STATE,
            errors.INTERNAL_ERROR,
            errors.CALL_SESSION_NOT_FOUND,
            errors.TALK_OPTION_NOT_FOUND,
            *errors.TALK_OPTION_ERRORS,
        ),
    ),
)
