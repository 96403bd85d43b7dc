"""A separate office for each test that changes data."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.apis.data_api.office import Office, open_office
from tests.shared_database import SharedDatabase, shared_database
from trunkline.db.pool import Database
from trunkline.runtime.postgres import EmbeddedPostgres


@pytest.fixture(scope="session")
def offices(postgres_server: EmbeddedPostgres, migrated_template: str) -> Iterator[SharedDatabase]:
    with shared_database(postgres_server, migrated_template, "offices") as shared:
        yield shared


@pytest.fixture
async def desk(offices: SharedDatabase) -> AsyncIterator[Office]:
    """The Data API over a database with two companies and nothing else."""
    await offices.empty()
    async with await Database.open(offices.dsn) as db:
        yield await open_office(db)
