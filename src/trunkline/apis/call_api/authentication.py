"""``login.user`` and ``logout.user`` of the Call API."""

from __future__ import annotations

from trunkline.apis.authentication import LOGIN_PARAMS, end_session, identify_by_password, session_of
from trunkline.apis.call_api.components import BASE
from trunkline.apis.jsonrpc import (
    ACCESS_TOKEN,
    Api,
    Params,
    RequestContext,
    Result,
)
from trunkline.apis.jsonrpc.derive import contract_method, override


async def _login(request: RequestContext, _params: Params) -> Result:
    return Result(session_of(request))


async def _logout(request: RequestContext, _params: Params) -> Result:
    await end_session(request)
    return Result({"success": True})


METHODS = (
    contract_method(
        api=Api.CALL,
        name="login.user",
        summary="Opens a session of one hour.",
        params=LOGIN_PARAMS,
        result=(
            override("access_token", description="Session key."),
            override("expire_at", description="Unix time when the session ends."),
        ),
        components=(BASE,),
        identify=identify_by_password,
        complete=True,
        handler=_login,
    ),
    contract_method(
        api=Api.CALL,
        name="logout.user",
        summary="Closes the session.",
        params=(ACCESS_TOKEN,),
        components=(BASE,),
        complete=True,
        handler=_logout,
    ),
)
