"""The setup is made once for all end-to-end tests of a process: starting the product takes seconds."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.engine.setup import Setup
from trunkline.runtime.asterisk import AsteriskInstall


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def whole_setup(
    asterisk_install: AsteriskInstall, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Setup]:
    async with Setup(asterisk_install, tmp_path_factory.mktemp("setup")) as setup:
        yield setup


@pytest_asyncio.fixture(loop_scope="session")
async def setup(whole_setup: Setup) -> AsyncIterator[Setup]:
    """The setup, without calls before and after."""
    await whole_setup.clear()
    yield whole_setup
    await whole_setup.clear()
