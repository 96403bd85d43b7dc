"""What counts as a running process."""

from __future__ import annotations

import asyncio
import sys

from trunkline.runtime.processes import is_alive, state_of, wait_gone

_THREAD_AFTER_THE_FIRST = """
import ctypes, socket, sys, threading, time
opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
opened.bind(("127.0.0.1", 0))
def stay():
    print(opened.getsockname()[1], flush=True)
    sys.stdin.readline()
    import os
    os._exit(0)
threading.Thread(target=stay).start()
time.sleep(0.1)
ctypes.CDLL(None).pthread_exit(None)
"""


async def test_a_process_whose_first_thread_has_ended_is_not_gone() -> None:
    """As Asterisk is while it ends: its ports are in use until the last thread has ended, so ``up`` has to wait for that."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _THREAD_AFTER_THE_FIRST,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        await process.stdout.readline()
        async with asyncio.timeout(20):
            while state_of(process.pid) != "Z":
                await asyncio.sleep(0.02)
        assert is_alive(process.pid)
        process.stdin.write(b"\n")
        assert await asyncio.to_thread(wait_gone, process.pid, 20)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
