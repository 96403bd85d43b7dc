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
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
import pytest_asyncio

from tests.attack import api_flood
from tests.attack.web_role import Tenant, WebRole, web_role
from tests.shared_database import Databases

pytestmark = [pytest.mark.attack, pytest.mark.long, pytest.mark.asyncio(loop_scope="module")]

ASKED = 25
"""Requests of the neighbour during an attack."""

USUAL = 40
"""The web process's processor time between a request of the neighbour and its answer, in the median, divided by that without
an attack: seconds would measure the other programs of the machine, which make each instruction of a busy one slower. 200
bodies of 160 KB that arrive at once are some 20."""

LONGEST = 320
"""The same, of each request: the first ones of an attack come all at once. 150 to 210 with 200 bodies of ``fields``."""


@dataclass
class Attacked:
    """A web process, the tenant that is not to be delayed, and what its requests take while there is no attack."""

    role: WebRole
    neighbour: Tenant
    quiet: float


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def attacked(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Attacked]:
    with databases.lend() as dsn:
        async with web_role(dsn, tmp_path_factory.mktemp("web")) as role:
            neighbour = await role.tenant("Neighbour")
            yield Attacked(role, neighbour, statistics.median(await _asked(role, neighbour)))


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
        "unknown method": (_message(own, "g" * 30_000), 100, "127.0.0.206"),
        "unknown token, small": (_message(unknown, "get.employees"), 200, "127.0.0.207"),
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
async def test_requests_that_are_refused_delay_no_other_tenant(attacked: Attacked, name: str) -> None:
    """Each attack is by a tenant, or from an address, that was not refused anything before."""
    role = attacked.role
    attacker = await role.tenant("Attacker-with-" + name.replace(", ", "-").replace(" ", "-"))
    body, connections, source = _bodies(attacker.account.keys["data_api"])[name]
    async with _flood(role, body, connections, source):
        times = await _asked(role, attacked.neighbour)
    assert statistics.median(times) < USUAL * attacked.quiet
    assert max(times) < LONGEST * attacked.quiet
    assert await attacker.outcome("get.employees") == "ok"
