"""A role that starts while PostgreSQL is not there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import ModuleType

import psycopg
import pytest

from trunkline.core.errors import DatabaseUnavailable
from trunkline.core.settings import Settings
from trunkline.roles import common
from trunkline.roles.health import Health, StartPhases
from trunkline.roles.process import _run
from trunkline.runtime.postgres import EmbeddedPostgres

pytestmark = pytest.mark.shells


async def test_a_start_waits_for_postgresql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends instead is started again and again, and callers wait for the switch."""
    monkeypatch.setattr(common, "CONNECT_SECONDS", 0.2)
    server = EmbeddedPostgres(tmp_path / "pg", durable=False)
    server.cluster.prepare()

    async def start() -> int:
        async with common.database(server.dsn, "trunkline-test") as db:
            row = await db.fetch_one("select 42 as answer")
            assert row is not None
            return int(row["answer"])

    starting = asyncio.create_task(start())
    await asyncio.wait({starting}, timeout=1.0)
    assert not starting.done()
    async with server:
        assert await asyncio.wait_for(starting, 20) == 42


async def test_a_start_that_waits_for_postgresql_can_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(common, "CONNECT_SECONDS", 0.2)
    stopped = asyncio.Event()

    async def start() -> None:
        async with common.database(f"host={tmp_path} dbname=x", "trunkline-test", stopped=stopped):
            raise AssertionError("there is no server")

    starting = asyncio.create_task(start())
    await asyncio.wait({starting}, timeout=0.5)
    assert not starting.done()
    stopped.set()
    with pytest.raises(common.StoppedAtStart):
        await asyncio.wait_for(starting, 20)


class _Role(ModuleType):
    """A role whose starts end with these errors, the last one without."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__("role")
        self.errors, self.starts = list(errors), 0
        self.is_ready_first = False

    async def run(self, settings: Settings, health: Health, stopped: asyncio.Event) -> None:
        self.starts += 1
        if self.is_ready_first:
            health.was_ready = True
        if self.errors:
            raise self.errors.pop(0)


def _health() -> Health:
    return Health("switch", is_watched=False, phases=StartPhases(0.0), was_standby=False)


async def test_a_start_that_loses_postgresql_begins_again() -> None:
    """A process that ended instead would be started after pauses of up to 10 s."""
    role = _Role(DatabaseUnavailable("away"), psycopg.errors.CannotConnectNow("starting up"))
    await _run(role, Settings(), _health(), asyncio.Event())
    assert role.starts == 3


async def test_a_role_that_was_ready_or_is_to_stop_or_has_another_error_ends() -> None:
    role = _Role(DatabaseUnavailable("away"))
    role.is_ready_first = True
    with pytest.raises(DatabaseUnavailable):
        await _run(role, Settings(), _health(), asyncio.Event())
    stopped = asyncio.Event()
    stopped.set()
    with pytest.raises(DatabaseUnavailable):
        await _run(_Role(DatabaseUnavailable("away")), Settings(), _health(), stopped)
    with pytest.raises(psycopg.errors.UndefinedTable):
        await _run(_Role(psycopg.errors.UndefinedTable("x")), Settings(), _health(), asyncio.Event())
