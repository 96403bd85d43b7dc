"""Connections that cost nothing while nothing happens: a wait wakes the process only when the server sends something.

psycopg wakes each 0.1 s while it waits for the server, so that a signal can end the wait of a program without an event loop.
Our processes have one, and each connection that waits for notifications would wake them ten times a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import time
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg_pool import AsyncConnectionPool

from trunkline.core.tasks import item_task

INTERVAL_SECONDS = 5.0
"""Seconds after which a wait checks the connection although nothing arrived: another task may have closed it."""

_READS_MAX = 100
"""Reads of what the server sent on a connection that is not in use: notices, and why it closes the connection."""

_Result = TypeVar("_Result")
_Connection = TypeVar("_Connection", bound=psycopg.AsyncConnection[Any])


class EventConnection(psycopg.AsyncConnection[Any]):
    """As its base, with fewer wake-ups."""

    async def wait(
        self, gen: PQGen[_Result], interval: float = INTERVAL_SECONDS, timeout: float | None = None
    ) -> _Result:
        """See the base; a shorter interval than ours is not used."""
        options: dict[str, Any] = {} if timeout is None else {"timeout": timeout}
        return await super().wait(gen, max(interval, INTERVAL_SECONDS), **options)


class LivePool(AsyncConnectionPool[_Connection]):
    """A pool that gives no connection that the server has closed.

    The ``check`` of psycopg's pool pauses after each closed connection, longer each time. After a restart of the server all
    are closed, so the first requests failed although it was back.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._ending: set[asyncio.Task[None]] = set()

    def end_and_return(self, connection: _Connection) -> None:
        """End a transaction that has only read, and put its connection back; the caller does not wait for that."""
        item_task(self._end_and_return(connection), name="end-of-reading", among=self._ending)

    async def _end_and_return(self, connection: _Connection) -> None:
        try:
            await asyncio.sleep(0)  # what was read goes first
            with contextlib.suppress(psycopg.OperationalError):  # a broken connection is replaced
                if connection.info.transaction_status == TransactionStatus.INTRANS:
                    await (
                        connection.commit()
                    )  # after a rollback the driver would close all prepared statements
                else:
                    await connection.rollback()
        finally:
            await self.putconn(connection)

    async def close(self, timeout: float = 5.0) -> None:
        """See the base; transactions end before."""
        await asyncio.gather(*self._ending, return_exceptions=True)
        await super().close(timeout)

    async def getconn(self, timeout: float | None = None) -> _Connection:
        """See the base; ``timeout`` in seconds, default: the pool's."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            connection = await super().getconn(max(deadline - time.monotonic(), 0.0))
            if not is_closed(connection):
                return connection
            await connection.close()
            await self.putconn(connection)


def is_closed(connection: psycopg.AsyncConnection[Any]) -> bool:
    """Whether the server has closed a connection that is not in use.

    Its socket is readable then. Nothing is asked: a query before each use would cost as much as most uses.
    """
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    try:
        for _ in range(_READS_MAX):
            if not poll.poll(0):
                return False
            connection.pgconn.consume_input()
    except psycopg.OperationalError:
        pass
    return True
