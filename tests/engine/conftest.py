"""The stage is set once for all end-to-end tests of a process: starting the product takes seconds."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.engine.stage import Stage
from trunkline.runtime.asterisk import AsteriskInstall


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def whole_stage(
    asterisk_install: AsteriskInstall, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    async with Stage(asterisk_install, tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest_asyncio.fixture(loop_scope="session")
async def stage(whole_stage: Stage) -> AsyncIterator[Stage]:
    """The stage, cleared before and after."""
    await whole_stage.clear()
    yield whole_stage
    await whole_stage.clear()
