"""A client of the Call API on the setup of the end-to-end tests."""

from __future__ import annotations

import pytest_asyncio

from tests.engine.callapi.client import CallApiClient, make_client
from tests.engine.setup import Setup


@pytest_asyncio.fixture(loop_scope="session")
async def client(setup: Setup) -> CallApiClient:
    return await make_client(setup)
