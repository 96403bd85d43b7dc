"""``login.user`` and ``logout.user`` of the Data API."""

from __future__ import annotations

from trunkline.apis.authentication import LOGIN_PARAMS, end_session, identify_by_password, session_of
from trunkline.apis.jsonrpc import (
    ACCESS_TOKEN,
    Api,
    Params,
    RequestContext,
    Result,
)
from trunkline.apis.jsonrpc.derive import contract_method, override


async def _login(request: RequestContext, _params: Params) -> Result:
    return Result({**session_of(request), "app_id": request.account_id})


async def _logout(request: RequestContext, _params: Params) -> Result:
    await end_session(request)
    return Result()


METHODS = (
    contract_method(
        api=Api.DATA,
        name="login.user",
        summary="Opens a session of one hour.",
        params=LOGIN_PARAMS,
        result=(
            override("access_token", description="Session key."),
            override("expire_at", description="Unix time when the session ends."),
            override("app_id", description="Number of the account."),
        ),
        identify=identify_by_password,
        complete=True,
        handler=_login,
    ),
    contract_method(
        api=Api.DATA,
        name="logout.user",
        summary="Closes the session.",
        params=(ACCESS_TOKEN,),
        handler=_logout,
    ),
)
