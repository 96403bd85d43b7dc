"""Anybody may ask ``GET /health``: it takes no connection that requests need, however often it is asked."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.attack.web_role import web_role
from trunkline.db.pool import Database
from trunkline.db.probe import FRESH_SECONDS, DatabaseProbe

pytestmark = pytest.mark.attack

CONNECTIONS = 10
REQUESTS = 40


async def test_a_flood_takes_no_connection_of_the_requests(database: str, tmp_path: Path) -> None:
    async with web_role(database, tmp_path, command_connections=CONNECTIONS) as role:

        async def ask(path: str) -> int:
            async with role.client.get(role.http + path) as response:
                return response.status

        before = await connections(role.db)
        assert set(await asyncio.gather(*(ask("/health") for _ in range(REQUESTS)))) == {200}
        after = await connections(role.db)
        assert after["trunkline-web"] == before["trunkline-web"], "the pool of commands has not grown"
        assert after["trunkline health"] == 1
        assert await ask("/health/live") == 200


async def connections(db: Database) -> dict[str, int]:
    """How many connections each application has."""
    rows = await db.fetch_all(
        "select application_name as name, count(*) as count from pg_stat_activity"
        " where datname = current_database() group by 1"
    )
    return {row["name"]: row["count"] for row in rows}


async def test_one_question_answers_all_who_ask_within_a_second(database: str) -> None:
    now = 1000.0
    probe = DatabaseProbe(database, lambda: now)
    try:
        assert set(await asyncio.gather(*(probe.responds() for _ in range(REQUESTS)))) == {True}
        assert await probe.responds()
        assert probe.questions == 1
        now += FRESH_SECONDS
        assert await probe.responds()
        assert probe.questions == 2
    finally:
        await probe.close()


async def test_a_database_that_is_away_and_comes_back(database: str) -> None:
    now = 1000.0
    probe = DatabaseProbe(database, lambda: now)
    try:
        assert await probe.responds()
        async with await Database.open(database) as db:
            await db.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'trunkline health'"
            )
        now += FRESH_SECONDS
        assert await probe.responds(), "a broken connection is replaced"
    finally:
        await probe.close()
    lost = DatabaseProbe(database.replace("/lent_", "/nothing_"), lambda: now)
    assert not await lost.responds()
    await lost.close()


async def test_metrics_are_not_on_the_port_of_the_apis(database: str, tmp_path: Path) -> None:
    async with web_role(database, tmp_path) as role:
        async with role.client.get(f"{role.http}/metrics") as response:
            assert response.status == 404
        own = f"http://127.0.0.1:{role.settings.metrics.web_port}"
        async with role.client.get(f"{own}/metrics") as response:
            assert 'trunkline_database_connections{pool="trunkline-web"}' in await response.text()
        async with role.client.get(f"{own}/health/ready") as response:
            assert response.status == 200
