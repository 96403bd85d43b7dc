"""Whether the database responds: checked on a separate connection, at most once per second for any number of callers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import psycopg

FRESH_SECONDS = 1.0
"""How long a result is returned again without asking."""

PROBE_TIMEOUT_SECONDS = 2.0
"""How long one question may take before the database counts as unavailable."""


class DatabaseProbe:
    """Asks one database. All who ask at the same time wait for the same question, so it takes one connection of the server
    and none of a pool.

    :param clock: seconds of a monotonic clock.
    """

    def __init__(self, dsn: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._dsn = dsn
        self._clock = clock
        self._connection: psycopg.AsyncConnection[tuple[object, ...]] | None = None
        self._asking: asyncio.Task[bool] | None = None
        self._answer: tuple[float, bool] | None = None
        self.questions = 0
        """How many times the database was asked."""

    async def responds(self) -> bool:
        """Whether the database responded, at most :data:`FRESH_SECONDS` ago."""
        if self._answer is not None and self._clock() - self._answer[0] < FRESH_SECONDS:
            return self._answer[1]
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(self._asked)
        # One client that goes away does not cancel the question of the others.
        return await asyncio.shield(self._asking)

    async def close(self) -> None:
        """Close the connection."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        await self._disconnect()

    def _asked(self, _task: asyncio.Task[bool]) -> None:
        self._asking = None

    async def _ask(self) -> bool:
        self.questions += 1
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
                await self._question()
            found = True
        except (psycopg.Error, TimeoutError):
            await self._disconnect()
            found = False
        self._answer = (self._clock(), found)
        return found

    async def _question(self) -> None:
        """One statement; on a new connection when the kept one is broken (the server restarted meanwhile)."""
        if self._connection is not None:
            try:
                await self._connection.execute("select 1")
                return
            except psycopg.OperationalError:
                await self._disconnect()
        self._connection = await psycopg.AsyncConnection.connect(
            self._dsn, autocommit=True, application_name="trunkline health"
        )
        await self._connection.execute("select 1")

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
