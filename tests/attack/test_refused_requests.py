"""Requests that are refused, by a tenant or by somebody without a token, take little from other tenants: neither the
processor time of the web process nor its connections to the database."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import statistics
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.attack import api_flood
from tests.attack.web_role import Tenant, WebRole, web_role

pytestmark = [pytest.mark.attack, pytest.mark.long]

ASKED = 25
"""Requests of the neighbour during an attack."""

USUAL = 40
"""The web process's processor time between a request of the neighbour and its answer, in the median, divided by that without
an attack: seconds would measure the other programs of the machine, which make each instruction of a busy one slower. 200
bodies of 160 KB that arrive at once are some 20."""

LONGEST = 160
"""The same, of each request: the first ones of an attack come all at once."""


@pytest.fixture
async def role(database: str, tmp_path: Path) -> AsyncIterator[WebRole]:
    async with web_role(database, tmp_path) as opened:
        yield opened


def _message(token: str, method: str, **params: Any) -> bytes:
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"access_token": token, **params}}
    return orjson.dumps(message)


def _names(count: int) -> list[str]:
    return [f"x{number}" for number in range(count)]


def _bodies(own: str) -> dict[str, tuple[bytes, int, str]]:
    """Body, connections and address by the name of the attack.

    :param own: a valid token of the attacker.
    """
    unknown = "x" * 43
    tree = {
        "filters": [
            {"field": "last_name", "operator": "like", "value": "a", **dict.fromkeys(_names(9000), 1)}
        ]
    }
    return {
        "parameters": (_message(own, "get.employees", **dict.fromkeys(_names(9900), 1)), 100, "127.0.0.1"),
        "fields": (_message(own, "get.employees", fields=_names(19_000)), 200, "127.0.0.1"),
        "members of filters": (_message(own, "get.employees", filter=tree), 100, "127.0.0.1"),
        "unknown token": (
            _message(unknown, "get.employees", **dict.fromkeys(_names(2600), 1)),
            200,
            "127.0.0.205",
        ),
        "unknown method": (_message(own, "g" * 30_000), 100, "127.0.0.205"),
        "unknown token, small": (_message(unknown, "get.employees"), 200, "127.0.0.205"),
    }


@contextlib.asynccontextmanager
async def _flood(role: WebRole, body: bytes, connections: int, source: str) -> AsyncIterator[None]:
    head = f"POST /v2.0 HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        api_flood.__file__,
        str(role.settings.web.http_port),
        str(connections),
        source,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(head + body)
        process.stdin.write_eof()
        await process.stdout.readline()
        yield
        print(f"answers: {(await process.stdout.readline()).decode().strip()}")
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()


def _processor_time(pid: int) -> float:
    """Seconds of all threads of the process."""
    return time.clock_gettime(~pid << 3 | 2)  # CPUCLOCK_SCHED of the process, see clock_getcpuclockid(3)


async def _asked(role: WebRole, neighbour: Tenant) -> list[float]:
    """Processor time of the web process during each of the neighbour's requests."""
    times, walls = [], []
    for _ in range(ASKED):
        began, at = _processor_time(role.pid), time.monotonic()
        assert await neighbour.outcome("list.calls") == "ok"
        times.append(_processor_time(role.pid) - began)
        walls.append(time.monotonic() - at)
        await asyncio.sleep(0.02)
    print(
        f"processor: median {statistics.median(times) * 1e3:.1f} ms, longest {max(times) * 1e3:.1f} ms;"
        f" clock: median {statistics.median(walls) * 1e3:.1f} ms, longest {max(walls) * 1e3:.1f} ms"
    )
    return times


@pytest.mark.parametrize("name", _bodies(""))
async def test_requests_that_are_refused_delay_no_other_tenant(role: WebRole, name: str) -> None:
    attacker, neighbour = await role.tenant("Attacker"), await role.tenant("Neighbour")
    body, connections, source = _bodies(attacker.account.keys["data_api"])[name]
    quiet = statistics.median(await _asked(role, neighbour))
    async with _flood(role, body, connections, source):
        times = await _asked(role, neighbour)
    assert statistics.median(times) < USUAL * quiet
    assert max(times) < LONGEST * quiet
    assert await attacker.outcome("get.employees") == "ok"
