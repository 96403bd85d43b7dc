"""A limit on concurrent deliveries to one endpoint, so that a slow endpoint does not use all connections of the worker."""

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
    """At most ``limit`` concurrent users of a key, and as many that wait; further ones are refused immediately."""

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
