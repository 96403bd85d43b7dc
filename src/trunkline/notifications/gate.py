"""How many deliveries may be under way to one endpoint: so that a slow one does not take all the worker's
hands."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Hashable
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Door:
    free: asyncio.Semaphore
    users: int = field(default=0)


class Gate:
    """At most ``limit`` inside for each key, and as many waiting; who comes on top is turned away at once."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._doors: dict[Hashable, _Door] = {}

    @contextlib.asynccontextmanager
    async def enter(self, key: Hashable) -> AsyncIterator[bool]:
        """Wait for a place; yields False when there are too many already."""
        door = self._doors.setdefault(key, _Door(asyncio.Semaphore(self._limit)))
        if door.users >= 2 * self._limit:
            yield False
            return
        door.users += 1
        try:
            async with door.free:
                yield True
        finally:
            door.users -= 1
            if door.users == 0:
                del self._doors[key]
