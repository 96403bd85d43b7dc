"""The desk of an integrator on the stage of the end-to-end tests."""

from __future__ import annotations

import pytest_asyncio

from tests.engine.callapi.desk import Desk, make_desk
from tests.engine.stage import Stage


@pytest_asyncio.fixture(loop_scope="session")
async def desk(stage: Stage) -> Desk:
    return await make_desk(stage)
