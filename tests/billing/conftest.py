from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.shared_database import SharedDatabase, shared_database
from trunkline.db.pool import Database
from trunkline.runtime.postgres import EmbeddedPostgres


@pytest.fixture(scope="session")
def purses(postgres_server: EmbeddedPostgres, migrated_template: str) -> Iterator[SharedDatabase]:
    with shared_database(postgres_server, migrated_template, "purses") as shared:
        yield shared


@pytest.fixture
async def db(purses: SharedDatabase) -> AsyncIterator[Database]:
    """An empty database with the system's one plan."""
    await purses.empty()
    async with await Database.open(purses.dsn) as db:
        await db.execute("delete from tariff_plans where key <> 'standard'")
        await db.execute("update tariff_plans set name = 'Standard'")
        yield db
