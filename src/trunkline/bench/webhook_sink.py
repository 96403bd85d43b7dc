"""The receiver of the deliveries that are measured. A separate program.

``python -m trunkline.bench.webhook_sink`` listens on a free port of loopback and prints the port. ``POST /fast/...`` is
answered at once, ``POST /hang/...`` never. ``GET /arrivals`` takes what came since the last time: ``{"arrivals": [[id of the
call, Unix seconds], ...], "body": the last body}``.
"""

from __future__ import annotations

import asyncio
import sys
import time

import orjson
import uvloop
from aiohttp import web


async def _serve() -> None:
    arrivals: list[tuple[int, float]] = []
    last = b"{}"

    async def fast(request: web.Request) -> web.Response:
        nonlocal last
        at = time.time()
        last = await request.read()
        arrivals.append((orjson.loads(last)["call_session_id"], at))
        return web.Response()

    async def hang(request: web.Request) -> web.Response:
        await request.read()
        await asyncio.Event().wait()
        raise AssertionError

    async def taken(_: web.Request) -> web.Response:
        body = orjson.dumps({"arrivals": arrivals, "body": last.decode()})
        arrivals.clear()
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_post("/fast/{path:.*}", fast)
    app.router.add_post("/hang/{path:.*}", hang)
    app.router.add_get("/arrivals", taken)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
    await site.start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve())
