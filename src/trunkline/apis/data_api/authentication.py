"""``login.user`` and ``logout.user`` of the Data API."""

from __future__ import annotations

from trunkline.apis.authentication import LOGIN_PARAMS, end_session, identify_by_password, session_of
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


async def _login(request: RequestContext, _params: Params) -> Result:
    return Result({**session_of(request), "app_id": request.account_id})


async def _logout(request: RequestContext, _params: Params) -> Result:
    await end_session(request)
    return Result()


METHODS = (
    Method(
        api=Api.DATA,
        name="login.user",
        summary="Opens a session of one hour.",
        params=LOGIN_PARAMS,
        result=(
            Field("access_token", FieldType.STRING, description="Session key."),
            Field("expire_at", FieldType.NUMBER, description="Unix time when the session ends."),
            Field("app_id", FieldType.NUMBER, description="Number of the account."),
        ),
        envelope=Envelope.DATA_OBJECT,
        identify=identify_by_password,
        complete=True,
        handler=_login,
    ),
    Method(
        api=Api.DATA,
        name="logout.user",
        summary="Closes the session.",
        params=(ACCESS_TOKEN,),
        result=(),
        envelope=Envelope.DATA_OBJECT,
        handler=_logout,
    ),
)
