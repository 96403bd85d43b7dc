"""PostgreSQL takes no events while calls go on: a permission is lost, its disk is full, it is killed.

Each time ``trunkline status`` shows why events wait, and after the repair every call is there, once, with all that follows.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.drills.own_server import OWNER, OwnServer, fill, needs_root, own_server, small_disk
from tests.drills.rig import Rig
from trunkline.testing.foreign import ForeignPhones

RATE = 8.0
PATIENCE = 180.0
WAITING_EVENTS = 200
"""So many events wait before the repair: those of a dozen calls."""

pytestmark = [
    pytest.mark.drill,
    pytest.mark.engine,
    pytest.mark.phones,
    pytest.mark.timeout(1800),
]


@asynccontextmanager
async def calls(phones: ForeignPhones, folder: Path, server: OwnServer) -> AsyncIterator[Rig]:
    """Calls that go on; afterwards each of them is counted."""
    async with Rig(phones, folder, server.change) as rig:
        await rig.start_calls(RATE)
        await completed(rig, 5)
        yield rig
        await completed(rig, len(rig.tally.completed) + 10)
        await rig.stop_calls()
        await rig.settle()
        account = await rig.count()
        print(f"{len(rig.tally.completed)} completed; {account.figures}")
        assert account.faults == {}
        assert (await rig.product.switch_status())["events_alarm"] is None


async def completed(rig: Rig, count: int) -> None:
    """Wait until the carrier has completed so many calls."""
    async with asyncio.timeout(PATIENCE):
        while len(rig.tally.completed) < count:
            await asyncio.sleep(0.2)


async def alarmed(rig: Rig, *words: str, waiting: int = WAITING_EVENTS) -> str:
    """Wait until so many events wait and ``trunkline status`` shows why: with one of these words."""
    async with asyncio.timeout(PATIENCE):
        while True:
            status = await rig.product.switch_status()
            alarm = str(status["events_alarm"] or "")
            if status["unwritten_events"] >= waiting and any(word in alarm for word in words):
                break
            await asyncio.sleep(0.1)
    try:
        shown = await rig.installation.run("status")
    except RuntimeError as error:  # exit code 3: a process is not ready
        shown = str(error)
    assert "events wait" in shown
    return alarm


async def repaired(rig: Rig) -> None:
    """Wait until the alarm is over and all that waited is written."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                status = await rig.product.switch_status()
            except (aiohttp.ClientError, OSError):
                status = {"events_alarm": "the switch does not respond", "unwritten_events": 0}
            if status["events_alarm"] is None and status["unwritten_events"] < WAITING_EVENTS:
                return
            await asyncio.sleep(0.2)


async def test_events_wait_while_a_permission_is_lost(drill_phones: ForeignPhones, tmp_path: Path) -> None:
    """Of the table of events, of a table of what follows, and of the schema with all tables. A permission on a partition is
    not needed: PostgreSQL checks that of the table which a statement names, and the product names no partition."""
    with own_server(tmp_path / "postgres") as server:
        async with calls(drill_phones, tmp_path, server) as rig:
            for table in ("call_events", "outbox"):
                server.run(f"revoke all on {table} from {OWNER}")
                print(await alarmed(rig, f"permission denied for table {table}"))
                server.run(f"grant all on {table} to {OWNER}")
                await repaired(rig)
            partitions = server.value(
                "select string_agg(inhrelid::regclass::text, ', ') from pg_inherits"
                " where inhparent in ('call_events'::regclass, 'call_streams'::regclass, 'call_sessions'::regclass)"
            )
            server.run(f"revoke all on {partitions} from {OWNER}")
            before = int(server.value("select count(*) from call_events"))
            await completed(rig, len(rig.tally.completed) + 10)
            await repaired(rig)
            assert int(server.value("select count(*) from call_events")) > before
            server.run(f"revoke all on schema public from public, pg_database_owner, {OWNER}")
            print(await alarmed(rig, "permission denied", "does not exist"))
            server.run("grant all on schema public to pg_database_owner")
            server.run("grant usage on schema public to public")
            await repaired(rig)


@needs_root
async def test_events_wait_while_the_disk_of_postgresql_is_full(
    drill_phones: ForeignPhones, tmp_path: Path
) -> None:
    """Data and WAL on a file system without a free block: PostgreSQL refuses writes, and perhaps ends itself."""
    with small_disk(tmp_path / "disk", 400) as disk, own_server(disk / "postgres") as server:
        async with calls(drill_phones, tmp_path, server) as rig, server.kept_running():
            ballast = fill(disk)
            try:
                print(await alarmed(rig, "No space left", "could not", "connection", "shut", "recovery"))
            finally:
                ballast.unlink()
            await repaired(rig)


async def test_events_wait_while_postgresql_is_killed(drill_phones: ForeignPhones, tmp_path: Path) -> None:
    """Several times, by SIGKILL; each time it stays away until the alarm shows."""
    with own_server(tmp_path / "postgres") as server:
        async with calls(drill_phones, tmp_path, server) as rig:
            for _ in range(4):
                server.kill()
                print(await alarmed(rig, "", waiting=50))
                await server.start_again()
                await repaired(rig)
                await completed(rig, len(rig.tally.completed) + 10)
