"""Connections that cost nothing while nothing happens: a wait wakes the process only when the server sends something.

psycopg wakes each 0.1 s while it waits for the server, so that a signal can end the wait of a program without an event loop.
Our processes have one, and each connection that waits for notifications would wake them ten times a second.
"""

from __future__ import annotations

import select
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg_pool import AsyncConnectionPool

INTERVAL_SECONDS = 5.0
"""Seconds after which a wait checks the connection although nothing arrived: another task may have closed it."""

_Result = TypeVar("_Result")


class EventConnection(psycopg.AsyncConnection[Any]):
    """As its base, with fewer wake-ups."""

    async def wait(
        self, gen: PQGen[_Result], interval: float = INTERVAL_SECONDS, timeout: float | None = None
    ) -> _Result:
        """See the base; a shorter interval than ours is not used."""
        options: dict[str, Any] = {} if timeout is None else {"timeout": timeout}
        return await super().wait(gen, max(interval, INTERVAL_SECONDS), **options)


async def check_when_readable(connection: psycopg.AsyncConnection[Any]) -> None:
    """For a pool: ask the server whether it is still there only if its socket has something to read.

    A socket closed by the server is readable. A test query before each use would cost as much as most uses.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        await AsyncConnectionPool.check_connection(connection)
