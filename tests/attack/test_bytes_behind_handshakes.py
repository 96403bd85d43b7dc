"""HTTPS clients without a token go on sending behind the handshake: few of their bytes are read, and others are answered."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.attack.web_role import Tenant, WebRole, web_role

pytestmark = [pytest.mark.attack, pytest.mark.long, pytest.mark.timeout(180)]

CONNECTIONS, SECONDS = 200, 4.0
READ_MAX = 1 << 20
"""Bytes that the process may read of one connection: what is in its buffers when the request is refused."""
MEMORY_MAX = 200 << 20
"""Bytes that the process may grow by."""

_FLOOD = """
import base64, os, socket, ssl, sys, threading, time
port, kind, addresses, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
frames = (b"\\x89\\x80" + bytes(4)) * 20_000
sent, connected = [0], [0]
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
                connected[0] += 1
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
    time.sleep(0.5)
    print(sent[0], connected[0], flush=True)
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
    return _figure(role, "status", "VmRSS:") << 10


def _read(role: WebRole) -> int:
    """Bytes that the process has read so far, of connections and files."""
    return _figure(role, "io", "rchar:")


def _figure(role: WebRole, file: str, name: str) -> int:
    for line in Path(f"/proc/{role.pid}/{file}").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise AssertionError("the process is gone")


async def _ask(tenant: Tenant, seconds: float) -> int:
    """Requests every 0.2 s, each answered with a result; their number."""

    async def one() -> None:
        answer = await tenant.ask("list.calls")
        assert "result" in answer, answer

    tasks = []
    for _ in range(int(seconds / 0.2)):
        tasks.append(asyncio.create_task(one()))
        await asyncio.sleep(0.2)
    return len(await asyncio.gather(*tasks))


@pytest.mark.parametrize("kind", ["upgrade", "junk"])
async def test_others_are_answered(database: str, tmp_path: Path, kind: str) -> None:
    async with web_role(database, tmp_path) as role:
        victim = await role.tenant("Victim")
        for addresses in (1, 200):
            resident, read = _resident(role), _read(role)
            async with _flood(role.settings.web.https_port, kind, addresses) as flood:
                assert flood.stdout is not None
                await flood.stdout.readline()
                await _ask(victim, SECONDS)
                grown, read = _resident(role) - resident, _read(role) - read
                flood.kill()
                sent, connected = map(int, (await flood.stdout.read()).split()[-2:])
            print(
                f"{kind} {addresses}: {read / 1e6:.0f} MB read of {sent / 1e6:.0f} MB sent on {connected} connections,"
                f" {read / connected / 1e3:.0f} kB on each; {grown / 1e6:.0f} MB more"
            )
            assert connected > CONNECTIONS / 2
            assert read < connected * READ_MAX
            assert grown < MEMORY_MAX
