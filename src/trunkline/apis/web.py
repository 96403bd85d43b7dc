"""The web role: one application with all endpoints, on plain HTTP and on HTTPS.

``build_app`` composes the endpoints; ``serving`` listens. Endpoints of other packages
(recordings, the console) come as routes. Requests are not logged here: their tokens are in bodies and
links, and the report of requests is kept in the database.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from trunkline import __version__
from trunkline.apis.address import address_reader, country_reader, networks
from trunkline.apis.body import BodyNotStored
from trunkline.apis.call_api.stream import StreamEndpoint
from trunkline.apis.call_center.endpoint import CallCenterEndpoint
from trunkline.apis.call_center.event_stream import CenterEventStream
from trunkline.apis.call_center.operations import OPERATIONS
from trunkline.apis.call_center.processing import CallCenterRequests
from trunkline.apis.catalogue import CALL_API, SERVICE_SPECS
from trunkline.apis.cors import Cors, origins_of_accounts
from trunkline.apis.jsonrpc.dispatcher import Dispatcher
from trunkline.apis.jsonrpc.http import JsonRpcEndpoint
from trunkline.apis.listener import ConnectionLimits, Listener, Shares
from trunkline.apis.request_share import request_share
from trunkline.apis.service.body_allowance import AllowanceExceeded
from trunkline.apis.service.check_limit import CheckLimit
from trunkline.apis.service.request_context import Services
from trunkline.apis.service.request_log import REQUEST_LOG, DatabaseRequestLog, MemoryRequestLog, RequestLog
from trunkline.apis.sparse import Sparse
from trunkline.apis.stored_bytes import StoredBytes
from trunkline.apis.tls import ReloadedCertificate
from trunkline.core.errors import LimitExceeded
from trunkline.core.log import get_logger
from trunkline.core.settings import Settings, WebSettings
from trunkline.core.tasks import core_task
from trunkline.db.probe import DatabaseProbe
from trunkline.events.feed import CallFeed

_log = get_logger("apis.web")

_ENDED_BY_CLIENT = Sparse()
"""Answers that clients did not read to the end, in this process."""

_SHARES: web.AppKey[Shares] = web.AppKey("shares", Shares)

_PARTS = (r"call[-_]?api|/v?4", r"data[-_]?api|/v?2")
"""What a path that is meant for each of :data:`SERVICE_SPECS` may have in it."""

_STOP_TIMEOUT = 5.0
_BACKLOG = 1024
"""Connections that may wait to be accepted, so that a burst of clients (or of idle ones) does not cause refusals."""
_KEEP_ALIVE = 75.0
_LINGERING = 2.0
"""Seconds for which the rest of a refused body is read and dropped, so that the client reads the response."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """URLs of the application, None for a disabled one."""

    http: str | None
    https: str | None


def build_app(
    services: Services,
    *,
    request_log: RequestLog | None = None,
    feed: CallFeed | None = None,
    routes: Iterable[web.AbstractRouteDef] = (),
) -> web.Application:
    """The application: JSON-RPC APIs, the Call Center API,
    ``GET /health`` and ``GET /health/live``, and the routes of other endpoints.

    :param feed: of what happens to calls; without one there is no stream of it.
    :param request_log: storage of the request log; else the services' database, or memory without one.
    """
    of_accounts = None if services.database is None else origins_of_accounts(services.database)
    cors = Cors(services.settings.web.cors_origins, of_accounts)
    address_of = address_reader(services.settings)
    check_limit = CheckLimit(services.settings.web)
    stored = StoredBytes()
    share = request_share(check_limit, address_of, stored)
    app = web.Application(middlewares=[share, cors.middleware(), _guard])
    app[_SHARES] = Shares(check_limit.turns, stored)
    app.on_response_prepare.append(_set_headers)
    app.on_response_prepare.append(cors.set_headers)
    if request_log is None:
        request_log = _own_request_log(app, services)
    app[REQUEST_LOG] = request_log
    web_settings = services.settings.web
    for service_spec in SERVICE_SPECS:
        others = [one for one in SERVICE_SPECS if one is not service_spec]
        dispatcher = Dispatcher(service_spec, services, request_log, others=others)
        endpoint = JsonRpcEndpoint(
            dispatcher,
            body_max=web_settings.body_max,
            body_seconds=web_settings.body_timeout,
            address_of=address_of,
            check_limit=check_limit,
        )
        app.add_routes(endpoint.routes())
    call_center = CallCenterEndpoint(
        CallCenterRequests(services, request_log),
        OPERATIONS,
        body_max=web_settings.body_max,
        body_seconds=web_settings.body_timeout,
        address_of=address_of,
        country_of=country_reader(services.settings),
        check_limit=check_limit,
    )
    if feed is not None:
        stream = StreamEndpoint(CALL_API, services, feed, address_of, check_limit)
        country_of = country_reader(services.settings)
        events = CenterEventStream(services, feed, address_of, country_of, check_limit)
        for one in (stream, events):
            app.add_routes(one.routes())
            app.on_shutdown.append(one.close)
    app.add_routes(call_center.routes())  # last: it has the response to unknown paths
    app.add_routes([web.get("/health/live", _live), web.get("/health", _own_health(app, services)), *routes])
    return app


@asynccontextmanager
async def serving(app: web.Application, settings: Settings) -> AsyncIterator[Endpoints]:
    """Serve requests during the block; then finish the ones in progress, and close.

    :raises OSError: a port is taken, or the certificate of ``settings.certificates_dir`` cannot be read.
    """
    options: dict[str, Any] = {
        "access_log": None,
        "auto_decompress": False,
        "keepalive_timeout": _KEEP_ALIVE,
        "lingering_time": _LINGERING,
    }
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=_STOP_TIMEOUT, **options)
    await runner.setup()
    assert runner.server is not None
    listener = Listener(runner.server, _limits(settings.web), app[_SHARES], **options)
    watcher: asyncio.Task[None] | None = None
    http = https = None
    try:
        if settings.web.http_port:
            await listener.open(settings.web.http_bind, settings.web.http_port, None, _BACKLOG)
            http = f"http://{settings.web.http_bind}:{settings.web.http_port}"
        if settings.web.https_port:
            folder = settings.certificates_dir
            certificate = ReloadedCertificate(
                folder / "trunkline.crt", folder / "trunkline.key", settings.engine_certificate
            )
            watcher = core_task(certificate.watch(), name="certificate-watch")
            await listener.open(
                settings.web.https_bind, settings.web.https_port, certificate.context, _BACKLOG
            )
            https = f"https://{settings.web.https_bind}:{settings.web.https_port}"
        _log.info("web_open", http=http, https=https)
        yield Endpoints(http, https)
    finally:
        if watcher is not None:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
        await listener.close()
        await runner.cleanup()


def _limits(web_settings: WebSettings) -> ConnectionLimits:
    return ConnectionLimits(
        total=web_settings.connections,
        per_address=web_settings.connections_per_address,
        handshake_seconds=web_settings.handshake_timeout,
        head_seconds=web_settings.head_timeout,
        unlimited=networks(web_settings.trusted_proxies),
    )


async def serve(app: web.Application, settings: Settings) -> None:
    """Serve requests until cancelled."""
    async with serving(app, settings):
        await asyncio.Event().wait()


def _own_request_log(app: web.Application, services: Services) -> RequestLog:
    if services.database is None:
        return MemoryRequestLog()
    request_log = DatabaseRequestLog(services.database)

    async def keep(_app: web.Application) -> AsyncIterator[None]:
        async with request_log:
            yield

    app.cleanup_ctx.append(keep)
    return request_log


async def _live(_request: web.Request) -> web.Response:
    """200 while the event loop of this process runs. It asks nothing else: a restart brings no database back."""
    return web.json_response({"status": "ok", "version": __version__})


def _own_health(app: web.Application, services: Services) -> Callable[[web.Request], Awaitable[web.Response]]:
    probe = DatabaseProbe(services.database.dsn) if services.database is not None else None

    async def close(_app: web.Application) -> None:
        if probe is not None:
            await probe.close()

    app.on_cleanup.append(close)

    async def health(_request: web.Request) -> web.Response:
        """200 while requests can be served, 503 while the database is unavailable.

        Anybody may ask, so it uses no connection of the requests and asks the database at most once per second.
        """
        database = "none" if probe is None else "ok" if await probe.responds() else "unavailable"
        state = {
            "status": "ok" if database != "unavailable" else "degraded",
            "version": __version__,
            "database": database,
        }
        return web.json_response(state, status=200 if state["status"] == "ok" else 503)

    return health


@web.middleware
async def _guard(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """An unexpected error is logged with its route; the client gets no details."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if request.match_info.http_exception is None:
            raise  # by an endpoint
        return _no_endpoint(request, error)
    except (AllowanceExceeded, BodyNotStored, LimitExceeded):
        raise  # request_share has the answer
    except ConnectionError:
        if request.transport is not None and not request.transport.is_closing():
            return _unexpected(request)
        if _ENDED_BY_CLIENT.is_due():
            _log.info("connections_ended_by_clients", during="an answer", count=_ENDED_BY_CLIENT.count)
        raise
    except Exception:
        return _unexpected(request)


def _unexpected(request: web.Request) -> web.Response:
    resource = request.match_info.route.resource
    _log.exception(
        "unexpected_error",
        route=resource.canonical if resource else None,
        remedy="report this line with its traceback",
    )
    return web.json_response({"error": "internal error"}, status=500)


def _no_endpoint(request: web.Request, error: web.HTTPException) -> web.Response:
    """JSON in the form of the JSON-RPC APIs for a path or an HTTP method without an endpoint."""
    if error.status == 405:
        remedy = f"{request.path} takes {', '.join(sorted(error.headers.get('Allow', '').split(',')))}"
        if any(request.path.rstrip("/") == spec.path for spec in SERVICE_SPECS):
            remedy = f"Send JSON-RPC requests to {request.path} with POST"
        message = f"{request.method} is not possible here"
    else:
        words = request.path.lower()
        likely = [spec for spec, part in zip(SERVICE_SPECS, _PARTS, strict=True) if re.search(part, words)]
        chosen = likely if len(likely) == 1 else SERVICE_SPECS
        remedy = "; ".join(f"send requests of the {spec.title} to {spec.path}" for spec in chosen)
        message = "There is nothing at this path"
    data: dict[str, Any] = {
        "mnemonic": "endpoint_not_found" if error.status == 404 else "http_method_not_allowed",
        "field": None,
        "value": None,
        "params": {},
        "extended_helper": remedy,
        "metadata": {},
    }
    body = {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": -32601, "message": f"{message}: {remedy}", "data": data},
    }
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
    return web.json_response(body, status=error.status, headers=headers)


async def _set_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "trunkline"
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
