"""``kill -9`` of ``trunkline up``: none of its processes stays, and it starts again at once."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from trunkline.demo.installation import Installation
from trunkline.runtime import status
from trunkline.runtime.processes import is_alive

pytestmark = pytest.mark.drill


async def test_nothing_of_it_stays_and_it_starts_again_at_once(tmp_path: Path) -> None:
    async with Installation(tmp_path) as installation:
        pids = {one["name"]: int(one["pid"]) for one in status.processes(installation.settings)}
        assert {"worker", "switch", "web"} <= set(pids)
        await installation.kill_supervisor()
        roles = [pids[name] for name in ("worker", "switch", "web")]
        deadline = time.monotonic() + PATIENCE
        while any(is_alive(pid) for pid in roles):
            assert time.monotonic() < deadline, "a process outlives `trunkline up`"
            await asyncio.sleep(0.05)
        await installation.start()
        assert status.collect(installation.settings)["up"]
