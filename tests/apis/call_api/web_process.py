"""A separate web process, to be killed while it dials: ``python -m ... DSN ACCOUNT_ID PORT NOTE``.

Its switch writes the number of each request that dials into the file NOTE and never answers.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.apis.support import CALLER, TOKEN, ApisOnFakes, NotedSwitch
from trunkline.apis.web import build_app
from trunkline.db.pool import Database


class _SilentSwitch(NotedSwitch):
    def __init__(self, note: Path) -> None:
        super().__init__()
        self._note = note

    async def command(
        self, account_id: int, name: str, params: dict[str, Any], *, request_id: str = ""
    ) -> dict[str, Any]:
        self._note.write_text(request_id)
        await asyncio.Event().wait()
        return {}


async def main(dsn: str, account_id: int, port: int, note: Path) -> None:
    fakes = ApisOnFakes(database=await Database.open(dsn))
    fakes.switch = _SilentSwitch(note)
    fakes.accounts.callers[TOKEN] = replace(CALLER, account_id=account_id)
    fakes.accounts.networks[account_id] = ["127.0.0.0/8"]
    runner = web.AppRunner(build_app(fakes.services, request_log=fakes.request_log))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])))
