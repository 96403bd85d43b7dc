"""A served API with two companies for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from tests.apis.call_center.rest import Rest, opened


@pytest.fixture
async def rest(database: str, free_ports: Callable[[int], list[int]]) -> AsyncIterator[Rest]:
    [port] = free_ports(1)
    async with opened(database, port) as made:
        yield made
