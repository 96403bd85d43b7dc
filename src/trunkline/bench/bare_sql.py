"""The bare peer of the reports: a web server that runs given SQL and returns the rows. A separate program.

``python -m trunkline.bench.bare_sql DSN`` reads ``{name: {"rows", "count", "limit", "offset"}}`` from its standard input,
answers ``POST /{name}`` with ``{"data": [...], "total_items": n}``, listens on a free port, and prints the
port.

Each statement is planned for its request. The benchmark repeats one request, and the driver would keep its plan after the
fifth; requests of clients have periods of their own.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import orjson
import uvloop
from aiohttp import web
from psycopg_pool import AsyncConnectionPool


async def _serve(dsn: str, statements: dict[str, Any]) -> None:
    async with AsyncConnectionPool(
        dsn, min_size=1, max_size=4, kwargs={"autocommit": True}, open=False
    ) as pool:

        async def respond(request: web.Request) -> web.Response:
            await request.read()
            asked = statements[request.match_info["name"]]
            async with pool.connection() as connection:
                found = await (await connection.execute(asked["rows"], prepare=False)).fetchone()
                assert found is not None
                rows, count = found
                total = asked["offset"] + count
                if count == asked["limit"]:
                    counted = await (await connection.execute(asked["count"], prepare=False)).fetchone()
                    assert counted is not None
                    total = counted[0]
            body = b'{"data":[' + (rows or "").encode() + b'],"total_items":' + str(total).encode() + b"}"
            return web.Response(body=body, content_type="application/json")

        app = web.Application()
        app.router.add_post("/{name}", respond)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        sys.stdout.write(f"{runner.addresses[0][1]}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1], orjson.loads(sys.stdin.buffer.read())))
