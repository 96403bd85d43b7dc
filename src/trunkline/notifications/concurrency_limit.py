"""How many deliveries may be under way to one endpoint: so that a slow one does not take all the worker's
hands."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Hashable
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Slots:
    free: asyncio.Semaphore
    users: int = field(default=0)


class KeyedConcurrencyLimit:
    """At most ``limit`` inside for each key, and as many waiting; who comes on top is turned away at once."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._slots: dict[Hashable, _Slots] = {}

    @contextlib.asynccontextmanager
    async def enter(self, key: Hashable) -> AsyncIterator[bool]:
        """Wait for a place; yields False when there are too many already."""
        slots = self._slots.setdefault(key, _Slots(asyncio.Semaphore(self._limit)))
        if slots.users >= 2 * self._limit:
            yield False
            return
        slots.users += 1
        try:
            async with slots.free:
                yield True
        finally:
            slots.users -= 1
            if slots.users == 0:
                del self._slots[key]
