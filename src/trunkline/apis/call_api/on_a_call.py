"""Declarations of the methods that act on a live call; they differ only in parameters and errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from trunkline.apis.call_api import common, messages
from trunkline.apis.call_api.components import MANAGEMENT
from trunkline.apis.jsonrpc import (
    ACCESS_TOKEN,
    Api,
    Component,
    ErrorSpec,
    Form,
    Method,
    Param,
    Params,
    RequestContext,
    Result,
)
from trunkline.apis.jsonrpc.derive import Override, contract_method

ON_A_CALL = (ACCESS_TOKEN, common.CALL_SESSION_ID)
"""What names the call."""


def call_method(
    name: str,
    summary: str,
    *params: Param | Override,
    errors: tuple[ErrorSpec, ...] = (),
    components: tuple[Component, ...] = (MANAGEMENT,),
    forms: tuple[Form, ...] = (),
    do: Callable[[RequestContext, Params], Awaitable[None]] | None = None,
) -> Method:
    """Declare a method that acts on the call ``call_session_id`` and returns success.

    :param params: in addition to ``access_token`` and ``call_session_id``.
    :param do: None: checks and synthesizes the messages and sends the command of that name to the switch.
    """
    command = name.replace(".", "_")

    async def handler(request: RequestContext, asked: Params) -> Result:
        if do is not None:
            await do(request, asked)
        else:
            await messages.check(request, asked)
            await common.command(request, command, await messages.speak(request, command, asked))
        return common.DONE

    return contract_method(
        api=Api.CALL,
        name=name,
        summary=summary,
        params=(*ON_A_CALL, *params),
        result=(common.SUCCESS,),
        components=components,
        errors=errors,
        forms=forms,
        complete=True,
        handler=handler,
    )
