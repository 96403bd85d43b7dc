"""Sessions by login and password: what ``login.user`` and ``logout.user`` of all JSON-RPC APIs share."""

from __future__ import annotations

from typing import Any

from trunkline.apis.jsonrpc.declare import Param, Params, ParamType
from trunkline.apis.service.request_context import Api, Identity, RequestContext, Services

LOGIN_PARAMS = (
    Param("login", ParamType.STRING, required=True, maximum=255, description="Login of a user."),
    Param("password", ParamType.STRING, required=True, maximum=1024, secret=True, description="Password."),
)


async def identify_by_password(services: Services, api: Api, params: Params, client_ip: str) -> Identity:
    """Open a session of one hour.

    :raises AuthenticationFailed: ``auth_error``.
    """
    session = await services.accounts.login(params["login"], params["password"], api, client_ip)
    caller = await services.accounts.authenticate(session.access_token, api)
    return Identity(caller, session.access_token, session.expires_at)


def session_of(request: RequestContext) -> dict[str, Any]:
    """``access_token`` and ``expire_at`` (Unix seconds) of the session just opened."""
    assert request.identity is not None, "login.user is declared with identify_by_password"
    return {"access_token": request.identity.token, "expire_at": int(request.identity.expires_at.timestamp())}


async def end_session(request: RequestContext) -> None:
    """Close the session the request came with."""
    await request.services.accounts.logout(request.token)
