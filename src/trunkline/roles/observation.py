"""Metrics and health of a role's process over HTTP, on a port of its own.

::

    GET /metrics        the metrics of this process, for Prometheus
    GET /health/live    200 while the event loop runs (liveness); a process manager may restart what does not respond
    GET /health/ready   200 while the process can do its work, else 503 with the reason (readiness)

The port is not that of the APIs: behind a proxy on the same machine each client has a loopback address. It listens on
loopback; on another address only with ``metrics.token``.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from aiohttp import web
from prometheus_client import generate_latest

from trunkline import __version__
from trunkline.core import metrics
from trunkline.core.errors import ConfigurationError
from trunkline.core.settings import Settings
from trunkline.core.tasks import core_task
from trunkline.roles.health import Health
from trunkline.runtime.supervisor import state_file

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def observation_app(role: str, health: Health, token: str | None) -> web.Application:
    """The three resources.

    :param token: required as ``Authorization: Bearer ...``; None: not required.
    """
    registry = metrics.registry_of(role)
    expected = None if token is None else f"Bearer {token}".encode()

    @web.middleware
    async def guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if expected is not None and not hmac.compare_digest(given, expected):
            return web.json_response({"error": "send the token of the setting metrics.token"}, status=401)
        return await handler(request)

    async def scrape(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE})

    async def live(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "role": role, "version": __version__})

    async def ready(_request: web.Request) -> web.Response:
        state = {
            "status": "ok" if health.is_ready else "not_ready",
            "role": role,
            "reason": None if health.is_ready else health.reason,
        }
        return web.json_response(state, status=200 if health.is_ready else 503)

    app = web.Application(middlewares=[guard])
    app.add_routes(
        [web.get("/metrics", scrape), web.get("/health/live", live), web.get("/health/ready", ready)]
    )
    return app


@contextlib.asynccontextmanager
async def observed(role: str, settings: Settings, health: Health) -> AsyncIterator[None]:
    """Serve metrics and health during the block.

    :raises ConfigurationError: the port cannot be opened.
    """
    metrics.READY.set_function(lambda: float(health.is_ready))
    metrics.FROM_STANDBY.set(float(health.was_standby))
    if role == metrics.SWITCH:
        metrics.STANDBY_READY.set_function(lambda: float(_has_standby(state_file(settings.run_dir), role)))
    port = settings.metrics.port_of(role)
    lag = core_task(metrics.measure_loop_lag(), name="loop-lag")
    secret = settings.metrics.token
    token = None if secret is None else secret.get_secret_value()
    runner = web.AppRunner(observation_app(role, health, token), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        if port:
            try:
                await web.TCPSite(runner, settings.metrics.bind, port).start()
            except OSError as error:
                raise ConfigurationError(
                    f"metrics.{role}_port: {settings.metrics.bind}:{port} cannot be opened ({error.strerror});"
                    " set another port, or 0 to have no metrics",
                    field=f"metrics.{role}_port",
                    value=port,
                ) from error
        yield
    finally:
        lag.cancel()
        await asyncio.gather(lag, return_exceptions=True)
        await runner.cleanup()


def _has_standby(file: Path, role: str) -> bool:
    try:
        services = json.loads(file.read_text())["services"]
    except (OSError, ValueError, KeyError):
        return False  # not under a supervisor
    return any(one["name"] == role and one.get("standby", False) for one in services)
