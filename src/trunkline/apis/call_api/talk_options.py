"""``list.talk_options`` and ``call.talk_option``: what the keys of a talking employee do."""

from __future__ import annotations

from trunkline.apis.call_api import common, errors
from trunkline.apis.call_api.components import MANAGEMENT
from trunkline.apis.call_api.on_a_call import call_method
from trunkline.apis.jsonrpc import (
    ACCESS_TOKEN,
    Api,
    Envelope,
    Field,
    FieldType,
    Method,
    Param,
    Params,
    ParamType,
    RequestContext,
    Result,
)


async def _list_talk_options(request: RequestContext, params: Params) -> Result:
    """The switch answers ``{"options": [...]}``: the fields of the result."""
    answer = await common.command(request, "list_talk_options", params)
    return Result(answer["options"])


METHODS = (
    Method(
        api=Api.CALL,
        name="list.talk_options",
        summary="Lists the talk options of the account.",
        params=(ACCESS_TOKEN,),
        result=(
            Field("button", FieldType.STRING, description="The key."),
            Field("mnemonic", FieldType.STRING, description="What the option does."),
            Field("name", FieldType.STRING),
            Field(
                "button_value",
                FieldType.OBJECT,
                fields=(Field("id", FieldType.NUMBER), Field("value", FieldType.STRING)),
                description="What it does it with (a tag, a scenario), if anything.",
            ),
        ),
        envelope=Envelope.DATA_ARRAY,
        components=(MANAGEMENT,),
        complete=True,
        handler=_list_talk_options,
    ),
    call_method(
        "call.talk_option",
        "Does what a key of the talking employee would do.",
        Param("button", ParamType.STRING, required=True, maximum=8, description="The key of the option."),
        errors=(
            errors.INVALID_STATE,
            errors.INTERNAL_ERROR,
            errors.CALL_SESSION_NOT_FOUND,
            errors.TALK_OPTION_NOT_FOUND,
            *errors.TALK_OPTION_ERRORS,
        ),
    ),
)
