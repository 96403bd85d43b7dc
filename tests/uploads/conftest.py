"""An office with the components for uploads, and a customer's server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.apis.data_api.client import DataApiClient, open_client
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
async def client(database: str) -> AsyncIterator[DataApiClient]:
    async with await Database.open(database) as db:
        client = await open_client(db)
        client.with_components(*COMPONENTS)
        yield client


@pytest.fixture
async def customer(tmp_path: Path) -> AsyncIterator[Customer]:
    async with Customer(tmp_path) as server:
        yield server
