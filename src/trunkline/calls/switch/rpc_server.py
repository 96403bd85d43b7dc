"""The command server of the switch: commands from other processes, over HTTP on ``switch.control_bind``.

::

    POST /command   {"name": "release_call", "account_id": 1001, "params": {...}}
                    200 {"result": {...}} | 4xx/5xx {"error": {"kind", "mnemonic", "message", "field", "value", "params"}}
    GET  /status    200: figures for `trunkline status`
    GET  /directory/{account_id}
                    200 {"result": {"fingerprint": 64 hex digits, or null without such an account: whether a change
                    of the directory has reached the switch; "rows_left_out", "applied" and "error": of the engine's
                    configuration}}
    GET  /bans      200 {"result": [ban, ...]}, see :meth:`trunkline.calls.switch.login_guard.LoginGuard.listed`
    POST /bans/lift {"ip": str or null, "line": str or null}: lift the bans of an address, of a line, or all
                    200 {"result": [ban, ...]}: the lifted ones
    POST /sip_addresses
                    {"addresses": [ip, ...]}
                    200 {"result": {"banned": [ip, ...], "registered": [[ip, port], ...], "trunks": [ip, ...]}}, see
                    :meth:`trunkline.calls.switch.login_guard.LoginGuard.known_of`

Every request carries the instance's token. :mod:`trunkline.calls.switch.rpc_client` is the other end.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import orjson
from aiohttp import web

from trunkline.calls.switch.login_guard import LoginGuard
from trunkline.calls.switch.refused_media import RefusedMedia
from trunkline.calls.switch.switch import Switch
from trunkline.calls.switch.unlisted_carriers import UnlistedCarriers
from trunkline.core import errors
from trunkline.core.errors import TrunklineError
from trunkline.core.log import get_logger

_log = get_logger("calls")

STATUS_OF = {
    errors.NotFound: 404,
    errors.InvalidState: 409,
    errors.LimitExceeded: 429,
    errors.Unavailable: 503,
    errors.OwnershipLost: 503,
    errors.EngineError: 503,
    errors.Refused: 400,
}


TrunkStates = Callable[[], Awaitable[list[dict[str, Any]] | None]]
"""The state of each registration at a carrier, None while it cannot be known."""


class ConfigurationStatus(Protocol):
    """State of the engine's configuration."""

    def status(self) -> dict[str, Any]: ...
    def rows_left_out(self, account_id: int) -> list[dict[str, Any]]: ...


class CommandServer:
    """Translates commands; the switch does them."""

    def __init__(
        self,
        switch: Switch,
        token: str,
        configuration: ConfigurationStatus | None = None,
        login_guard: LoginGuard | None = None,
        trunks: TrunkStates | None = None,
        refused_media: RefusedMedia | None = None,
        unlisted: UnlistedCarriers | None = None,
    ) -> None:
        self._refused_media = refused_media
        self._unlisted = unlisted
        self._trunks = trunks
        self._switch = switch
        self._configuration = configuration
        self._login_guard = login_guard
        self._token = f"Bearer {token}".encode()

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._guard])
        app.add_routes(
            [
                web.post("/command", self._command),
                web.get("/status", self._status),
                web.get("/bans", self._bans),
                web.post("/bans/lift", self._lift_bans),
                web.post("/sip_addresses", self._sip_addresses),
                web.get(r"/directory/{account_id:\d{1,18}}", self._directory),
            ]
        )
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode()
        if not hmac.compare_digest(given, self._token):
            message = (
                "The token is not that of this switch: use the settings (TRUNKLINE_CONFIG, data_dir) of the instance whose"
                " switch listens here (switch.control_port)"
            )
            return web.json_response({"error": {"message": message}}, status=401)
        response: web.StreamResponse = await handler(request)
        return response

    async def _status(self, _request: web.Request) -> web.Response:
        logins = {} if self._login_guard is None else {"login_bans": self._login_guard.status()}
        configuration = {} if self._configuration is None else {"configuration": self._configuration.status()}
        trunks = {} if self._trunks is None else {"registrations_at_carriers": await self._trunks()}
        refused = (
            {} if self._refused_media is None else {"calls_with_refused_media": self._refused_media.status()}
        )
        unlisted = (
            {}
            if self._unlisted is None
            else {
                "requests_not_identified": self._unlisted.status(),
                "unknown_senders": self._unlisted.unknown_senders(),
            }
        )
        return _json(
            {
                "result": {
                    **self._switch.status(),
                    **refused,
                    **unlisted,
                    **configuration,
                    **logins,
                    **trunks,
                    "tasks": len(asyncio.all_tasks()),
                }
            }
        )

    async def _bans(self, _request: web.Request) -> web.Response:
        return _json({"result": [] if self._login_guard is None else self._login_guard.listed()})

    async def _lift_bans(self, request: web.Request) -> web.Response:
        wanted = orjson.loads(await request.read())
        guard = self._login_guard
        return _json({"result": [] if guard is None else guard.lift(wanted["ip"], wanted["line"])})

    async def _sip_addresses(self, request: web.Request) -> web.Response:
        asked = orjson.loads(await request.read())["addresses"]
        guard = self._login_guard
        return _json({"result": LoginGuard.NOTHING_KNOWN if guard is None else guard.known_of(asked)})

    async def _directory(self, request: web.Request) -> web.Response:
        account_id = int(request.match_info["account_id"])
        configuration = self._configuration
        state = {"applied": True, "error": ""} if configuration is None else configuration.status()
        return _json(
            {
                "result": {
                    "fingerprint": self._switch.directory_fingerprint(account_id),
                    "rows_left_out": [] if configuration is None else configuration.rows_left_out(account_id),
                    "applied": state["applied"],
                    "error": state["error"],
                }
            }
        )

    async def _command(self, request: web.Request) -> web.Response:
        try:
            command = orjson.loads(await request.read())
            name, account_id, params = command["name"], command["account_id"], command["params"]
        except (ValueError, KeyError, TypeError):
            refusal = errors.InvalidInput("send a JSON object with name, account_id and params")
            return _json({"error": _error_body(refusal)}, _status_of(refusal))
        try:
            result = await self._switch.command(account_id, name, params)
        except TrunklineError as error:
            return _json({"error": _error_body(error)}, _status_of(error))
        except Exception:
            _log.exception(
                "command_failed",
                command=name,
                account_id=account_id,
                call_session_id=params.get("call_session_id") if isinstance(params, dict) else None,
                consequence="the API responds with internal_error",
                remedy="report this line with its traceback",
            )
            return _json({"error": {"kind": "TrunklineError", "mnemonic": "internal_error"}}, 500)
        return _json({"result": result})


@asynccontextmanager
async def serving_commands(
    switch: Switch,
    token: str,
    port: int,
    configuration: ConfigurationStatus | None = None,
    host: str = "127.0.0.1",
    login_guard: LoginGuard | None = None,
    trunks: TrunkStates | None = None,
    refused_media: RefusedMedia | None = None,
    unlisted: UnlistedCarriers | None = None,
) -> AsyncIterator[None]:
    """Serve commands during the block. :class:`OSError` when the port is in use."""
    runner = web.AppRunner(
        CommandServer(switch, token, configuration, login_guard, trunks, refused_media, unlisted).app(),
        access_log=None,
        shutdown_timeout=2.0,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()


def _error_body(error: TrunklineError) -> dict[str, Any]:
    return {
        "kind": type(error).__name__,
        "mnemonic": error.mnemonic,
        "message": error.message,
        "field": error.field,
        "value": error.value,
        "params": error.params,
    }


def _status_of(error: TrunklineError) -> int:
    return next((status for kind, status in STATUS_OF.items() if isinstance(error, kind)), 500)


def _json(body: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
