"""The rig of each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.hubspot.rig import Rig, open_rig


@pytest.fixture
async def rig(database: str) -> AsyncIterator[Rig]:
    async with open_rig(database) as rig:
        yield rig
