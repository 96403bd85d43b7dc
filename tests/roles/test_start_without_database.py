"""A role that starts while PostgreSQL is not there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from trunkline.roles import common
from trunkline.runtime.postgres import EmbeddedPostgres


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
