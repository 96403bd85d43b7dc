"""A filled database that many tests only read: made once, kept for a test module."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg

from tests.billing.company import give_plan, rate
from tests.reports.directory_rows import store_directory
from tests.reports.lifelike import generate_calls, store
from trunkline.db.pool import Database
from trunkline.runtime.postgres import EmbeddedPostgres

ACCOUNT = 1001
OTHER_ACCOUNT = 1002
"""Another account with rows of the same kinds."""

FIRST_DAY = datetime(2026, 3, 2, tzinfo=UTC)
CALLS = 80


@contextmanager
def filled_database(server: EmbeddedPostgres, template: str, name: str) -> Iterator[str]:
    """Connection URI of a database with two companies; dropped at the end."""
    with psycopg.connect(server.dsn_of("postgres"), autocommit=True) as administrator:
        administrator.execute(f"create database {name} template {template}".encode())
        try:
            asyncio.run(_fill(server.dsn_of(name)))
            yield server.dsn_of(name)
        finally:
            administrator.execute(f"drop database {name} with (force)".encode())


async def _fill(dsn: str) -> None:
    async with await Database.open(dsn) as db:
        await store_directory(db, ACCOUNT)
        await store_directory(db, OTHER_ACCOUNT)
        await give_plan(db, ACCOUNT)
        for reported in (
            generate_calls(ACCOUNT, FIRST_DAY, days=20, count=CALLS),
            generate_calls(OTHER_ACCOUNT, FIRST_DAY, days=5, count=20, seed=2),
        ):
            await store(db, reported)
            await rate(db, reported)
