"""HTTPS clients without a token that go on sending behind the handshake: others wait for few of their bytes."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.attack.web_role import Tenant, WebRole, web_role

pytestmark = [pytest.mark.attack, pytest.mark.timeout(180)]

CONNECTIONS, SECONDS = 200, 8.0
MEMORY_MAX = 200 << 20
"""Bytes that the process may grow by."""

_FLOOD = """
import base64, os, socket, ssl, sys, threading, time
port, kind, addresses, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
frames = (b"\\x89\\x80" + bytes(4)) * 20_000
sent = [0]
def upgrade():
    key = base64.b64encode(os.urandom(16)).decode()
    return (f"GET /v4.0/stream?access_token={'x' * 43} HTTP/1.1\\r\\nHost: x\\r\\nUpgrade: websocket\\r\\n"
            f"Connection: Upgrade\\r\\nSec-WebSocket-Key: {key}\\r\\nSec-WebSocket-Version: 13\\r\\n\\r\\n").encode()
def flood(number):
    while True:
        try:
            with socket.socket() as plain:
                plain.bind((f"127.92.{number % addresses // 200}.{1 + number % addresses % 200}", 0))
                plain.settimeout(10)
                plain.connect(("127.0.0.1", port))
                with context.wrap_socket(plain) as secure:
                    if kind == "upgrade":
                        secure.sendall(upgrade())
                    while True:
                        sent[0] += secure.send(frames)
        except OSError:
            time.sleep(0.02)
for number in range(count):
    threading.Thread(target=flood, args=(number,), daemon=True).start()
while True:
    time.sleep(1)
    print(sent[0], flush=True)
"""


@contextlib.asynccontextmanager
async def _flood(port: int, kind: str, addresses: int) -> AsyncIterator[asyncio.subprocess.Process]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _FLOOD, str(port), kind, str(addresses), str(CONNECTIONS),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


def _resident(role: WebRole) -> int:
    """Bytes of memory of the process."""
    for line in Path(f"/proc/{role.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise AssertionError("the process is gone")


async def _waits(tenant: Tenant, seconds: float) -> list[float]:
    """Seconds that requests took that were begun every 0.2 s."""

    async def one() -> float:
        began = time.monotonic()
        answer = await tenant.ask("list.calls")
        assert "result" in answer, (answer, time.monotonic() - began)
        return time.monotonic() - began

    tasks = []
    for _ in range(int(seconds / 0.2)):
        tasks.append(asyncio.create_task(one()))
        await asyncio.sleep(0.2)
    return await asyncio.gather(*tasks)


@pytest.mark.parametrize("kind", ["upgrade", "junk"])
@pytest.mark.parametrize("addresses", [1, 200])
async def test_others_are_answered(database: str, tmp_path: Path, kind: str, addresses: int) -> None:
    async with web_role(database, tmp_path) as role:
        victim = await role.tenant("Victim")
        before = sorted(await _waits(victim, 3.0))
        resident = _resident(role)
        async with _flood(role.settings.web.https_port, kind, addresses) as flood:
            assert flood.stdout is not None
            await flood.stdout.readline()
            during = sorted(await _waits(victim, SECONDS))
            grown = _resident(role) - resident
            flood.kill()
            sent = int((await flood.stdout.read()).split()[-1])
    print(
        f"{kind} {addresses}: longest {before[-1]:.2f} s before, {during[-1]:.2f} s (median"
        f" {during[len(during) // 2]:.2f} s) with {sent / 1e6:.0f} MB sent; {grown / 1e6:.0f} MB more"
    )
    assert during[-1] < 4.0 + 10 * before[-1], "6 s and more, when what they send is read"
    assert grown < MEMORY_MAX
