"""The bare peer of an API: a web server with the same library that returns a given response. A separate program.

``python -m trunkline.bench.bare_web`` reads the answer from its standard input, listens on a free port, and
prints the port.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from aiohttp import web


async def _serve(answer: bytes) -> None:
    async def respond(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=answer, content_type="application/json")

    app = web.Application()
    app.router.add_post("/", respond)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(sys.stdin.buffer.read()))
