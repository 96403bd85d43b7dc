"""A separate office for each test that changes data."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.apis.data_api.client import DataApiClient, open_client
from tests.shared_database import SharedDatabase, shared_database
from trunkline.db.pool import Database
from trunkline.runtime.postgres import EmbeddedPostgres


@pytest.fixture(scope="session")
def shared_accounts(postgres_server: EmbeddedPostgres, migrated_template: str) -> Iterator[SharedDatabase]:
    with shared_database(postgres_server, migrated_template, "offices") as shared:
        yield shared


@pytest.fixture
async def client(shared_accounts: SharedDatabase) -> AsyncIterator[DataApiClient]:
    """The Data API over a database with two companies and nothing else."""
    await shared_accounts.empty()
    async with await Database.open(shared_accounts.dsn) as db:
        yield await open_client(db)
