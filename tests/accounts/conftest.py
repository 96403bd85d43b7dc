"""An account on the real database, and a clock that tests turn."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

from tests.shared_database import SharedDatabase, shared_database
from trunkline.accounts import Accounts, NewAccount
from trunkline.accounts.administration import AccountProfile, Administration
from trunkline.db.pool import Database
from trunkline.runtime.postgres import EmbeddedPostgres


@dataclass
class Clock:
    """Unix seconds; noon of 2026-03-01 UTC at first."""

    now: float = 1_772_366_400.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="session")
def companies(postgres_server: EmbeddedPostgres, migrated_template: str) -> Iterator[SharedDatabase]:
    with shared_database(postgres_server, migrated_template, "companies") as shared:
        yield shared


@pytest.fixture
async def db(companies: SharedDatabase, quick_passwords: None) -> AsyncIterator[Database]:
    await companies.empty()
    async with await Database.open(companies.dsn, max_size=8) as db:
        yield db


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(db: Database, clock: Clock) -> Accounts:
    return Accounts(db, clock)


@pytest.fixture
def administration(db: Database) -> Administration:
    return Administration(db)


@pytest.fixture
async def company(administration: Administration) -> NewAccount:
    return await administration.create_account(
        AccountProfile("Example", time_zone="Asia/Dubai"), login="owner", password="correct horse"
    )
