"""What an idle worker costs: processor time without calls, deliveries or jobs."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from trunkline.core.settings import Settings
from trunkline.runtime import secrets
from trunkline.runtime.ports import free_ports

pytestmark = [pytest.mark.shells, pytest.mark.durability, pytest.mark.long, pytest.mark.timeout(180)]

SETTLED_AFTER, MEASURED = 12.0, 30.0
"""Seconds."""
SHARE_MAX = 0.003
"""Of one core."""


def _used(pid: int) -> float:
    """Seconds of processor time of all threads."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


async def test_an_idle_worker_takes_almost_no_processor_time(database: str, tmp_path: Path) -> None:
    log, settings = tmp_path / "worker.log", Settings(data_dir=tmp_path / "data", database_url=database)
    secrets.ensure(settings)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "trunkline.roles", "worker",
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("TRUNKLINE_")},
            "TRUNKLINE_DATA_DIR": str(tmp_path / "data"),
            "TRUNKLINE_DATABASE_URL": database,
            "TRUNKLINE_METRICS__WORKER_PORT": str(free_ports(1)[0]),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=log.open("wb"),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 90)
        assert b"ready" in line, log.read_text()
        await asyncio.sleep(SETTLED_AFTER)
        used, began = _used(process.pid), time.monotonic()
        await asyncio.sleep(MEASURED)
        share = (_used(process.pid) - used) / (time.monotonic() - began)
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()
    print(f"{100 * share:.2f} % of a core")
    assert share < SHARE_MAX
