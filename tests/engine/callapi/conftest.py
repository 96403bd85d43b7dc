"""The desk of an integrator on the stage of the end-to-end tests."""

from __future__ import annotations

import pytest_asyncio

from tests.engine.callapi.client import CallApiClient, make_client
from tests.engine.stage import Stage


@pytest_asyncio.fixture(loop_scope="session")
async def client(stage: Stage) -> CallApiClient:
    return await make_client(stage)
