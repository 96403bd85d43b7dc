"""Workers that run in processes of their own, to be killed."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]


@contextlib.asynccontextmanager
async def worker_process(module: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """``python -m module`` once it has said that it is ready; killed at the end if it lives still."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, cwd=_ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        while line and line != b"ready\n":
            line = await process.stdout.readline()
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        await process.wait()
