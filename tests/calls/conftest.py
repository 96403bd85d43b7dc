"""The database as the switch uses it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.calls.company import ACCOUNT
from trunkline.db.pool import Database


@pytest.fixture
async def db(database: str) -> AsyncIterator[Database]:
    async with await Database.open(database, max_size=6) as db:
        await db.execute(
            "insert into accounts (account_id, name, time_zone) values (%s, 'Palm', 'Asia/Dubai')", (ACCOUNT,)
        )
        yield db
