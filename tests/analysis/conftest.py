"""A customer's server with recordings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.uploads.customer import Customer


@pytest.fixture
async def customer(tmp_path: Path) -> AsyncIterator[Customer]:
    async with Customer(tmp_path) as server:
        yield server
