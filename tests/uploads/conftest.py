"""An office with the components for uploads, and a customer's server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.apis.data_api.office import Office, open_office
from tests.uploads.customer import Customer
from trunkline.db.pool import Database

COMPONENTS = (
    "data_api_base",
    "va",
    "upload_calls",
    "upload_chats",
    "upload_offline_messages",
    "upload_sessions",
    "email_tracking",
    "speech_analytics",
    "call_tracking",
    "consultant",
)


@pytest.fixture
async def office(database: str) -> AsyncIterator[Office]:
    async with await Database.open(database) as db:
        desk = await open_office(db)
        desk.with_components(*COMPONENTS)
        yield desk


@pytest.fixture
async def customer(tmp_path: Path) -> AsyncIterator[Customer]:
    async with Customer(tmp_path) as server:
        yield server
