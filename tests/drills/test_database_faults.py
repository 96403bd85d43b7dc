"""PostgreSQL writes no events while calls go on: a permission is revoked, the disk is full, it is killed or out of reach.

Each time ``trunkline status`` shows why events wait, and after the fault every call is there, once, with all that follows.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.drills.own_server import fill, needs_root, own_server, small_disk
from tests.drills.rig import Rig
from trunkline.bench.product import Change
from trunkline.core.settings import Settings
from trunkline.runtime.ports import free_ports
from trunkline.testing.foreign import ForeignPhones
from trunkline.testing.proxy import FaultProxy

RATE = 8.0
PATIENCE = 180.0
"""Seconds to wait for each step, on a busy machine too."""
STALLED_SECONDS = 300.0
"""A job whose end the database did not store is run again after some minutes."""
WAITING_EVENTS = 50
"""So many events wait before the fault ends: those of several calls."""
RESETS = 30

pytestmark = [
    pytest.mark.drill,
    pytest.mark.long_drill,
    pytest.mark.engine,
    pytest.mark.phones,
    pytest.mark.timeout(1800),
]


@asynccontextmanager
async def calls(phones: ForeignPhones, folder: Path, change: Change) -> AsyncIterator[Rig]:
    """Calls that go on during the block; afterwards each of them is counted."""
    async with Rig(phones, folder, change) as rig:
        await rig.start_calls(RATE)
        await rig.more_completed(5)
        yield rig
        await rig.more_completed(10)
        await rig.stop_calls()
        await rig.settle(STALLED_SECONDS)
        account = await rig.count()
        print(f"{rig.figures}; {account.figures}", flush=True)
        assert account.faults == {}
        assert (await rig.product.switch_status())["events_alarm"] is None


async def events_wait(rig: Rig, *words: str) -> None:
    """Wait until events wait, and the alarm of the switch and ``trunkline status`` show why: by one of these words."""
    alarm = ""
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                status = await rig.product.switch_status()
                alarm = str(status["events_alarm"] or "")
                if status["unwritten_events"] >= WAITING_EVENTS and any(word in alarm for word in words):
                    break
                await asyncio.sleep(0.1)
    except TimeoutError:
        pytest.fail(f"no alarm with one of {words}: {alarm!r}")
    print(alarm, flush=True)
    try:
        shown = await rig.installation.run("status")
    except RuntimeError as error:  # exit code 3: a process is not ready
        shown = str(error)
    assert "events wait" in shown


async def all_written(rig: Rig) -> None:
    """Wait until the alarm is over and what waited is written."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                status = await rig.product.switch_status()
            except (aiohttp.ClientError, OSError):  # the switch starts again
                status = {"events_alarm": "the switch does not respond"}
            if status["events_alarm"] is None and status["unwritten_events"] < WAITING_EVENTS:
                return
            await asyncio.sleep(0.2)


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("table", "call_events", ("permission denied for table call_events",)),
        ("table", "outbox", ("permission denied for table outbox",)),
        ("table", "call_sessions", ("permission denied for table call_sessions",)),
        ("schema", "public", ("permission denied", "does not exist")),
    ],
)
async def test_events_wait_while_a_permission_is_revoked(
    drill_phones: ForeignPhones, tmp_path: Path, kind: str, name: str, words: tuple[str, ...]
) -> None:
    with own_server(tmp_path / "postgres") as server:
        async with calls(drill_phones, tmp_path, server.change) as rig:
            with server.revoked(kind, name):
                await events_wait(rig, *words)
            await all_written(rig)


@needs_root
async def test_events_wait_while_the_disk_of_postgresql_is_full(
    drill_phones: ForeignPhones, tmp_path: Path
) -> None:
    """Data and WAL on a file system without a free block: PostgreSQL refuses writes, or ends and cannot start."""
    with small_disk(tmp_path / "disk", 400) as disk, own_server(disk / "postgres") as server:
        async with calls(drill_phones, tmp_path, server.change) as rig, server.kept_running():
            ballast = fill(disk)
            try:
                await events_wait(rig, "No space left", "could not", "connection", "shut", "recovery")
            finally:
                ballast.unlink()
            await all_written(rig)


async def test_events_wait_while_postgresql_is_killed(drill_phones: ForeignPhones, tmp_path: Path) -> None:
    """By SIGKILL, several times; each time it is away until the alarm shows."""
    with own_server(tmp_path / "postgres") as server:
        async with calls(drill_phones, tmp_path, server.change) as rig:
            for _ in range(4):
                server.kill()
                await events_wait(rig, "connect")
                await server.start_again()
                await all_written(rig)
                await rig.more_completed(10)


async def test_no_call_is_lost_when_connections_to_postgresql_are_reset(
    drill_phones: ForeignPhones, tmp_path: Path
) -> None:
    """Statements and replies that are under way are lost, those of a commit too; at the end no connection for a while."""
    dice = random.Random(seed := random.randrange(1_000_000))
    print(f"seed {seed}")
    with own_server(tmp_path / "postgres") as server:
        [port] = free_ports(1)

        def change(settings: Settings) -> Settings:
            return settings.model_copy(update={"database_url": server.dsn_through(port)})

        async with FaultProxy(server.port, port) as proxy, calls(drill_phones, tmp_path, change) as rig:
            for _ in range(RESETS):
                await asyncio.sleep(dice.choice((0.05, 0.5, 2.0)) * dice.random())
                proxy.reset()
            proxy.down()
            await events_wait(rig, "connect")
            proxy.heal()
            await all_written(rig)
