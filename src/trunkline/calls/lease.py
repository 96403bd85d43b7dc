"""One switch a node: a lock in PostgreSQL that falls with its holder, and a row that tells where the switch is."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self

import psycopg

from trunkline.core.errors import DatabaseUnavailable
from trunkline.core.log import get_logger
from trunkline.core.tasks import core_task
from trunkline.db.pool import Database

LOCK_SPACE = 7_256_010
"""First key of the advisory lock; the second is the node."""

RENEW_SECONDS = 2.0

_log = get_logger("calls")


class Lease:
    """Held from ``async with`` on; waits for the node's former switch to go.

    The database's restart does not take the calls away: the lock is taken again as soon as it is back.
    """

    def __init__(self, db: Database, dsn: str, node: int, control_url: str) -> None:
        self._db = db
        self._dsn = dsn
        self._node = node
        self._control_url = control_url
        self._task: asyncio.Task[None] | None = None
        self._held = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._task = core_task(self._hold(), name="switch-lease")
        await self._held.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _hold(self) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self._dsn, autocommit=True, application_name="trunkline-switch-lease"
                ) as connection:
                    await self._lock(connection)
                    self._held.set()
                    while True:
                        await asyncio.sleep(RENEW_SECONDS)
                        await connection.execute("select 1")
                        await self.renew()
            except (psycopg.OperationalError, DatabaseUnavailable, OSError) as error:
                _log.warning("lease_without_database", error=str(error).splitlines()[0] if str(error) else "")
                await asyncio.sleep(0.5)

    async def _lock(self, connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        said = False
        while True:
            cursor = await connection.execute("select pg_try_advisory_lock(%s, %s)", (LOCK_SPACE, self._node))
            row = await cursor.fetchone()
            if row is not None and row[0]:
                return
            if not said:
                _log.warning(
                    "lease_taken", node=self._node, remedy="another switch of this node still runs: stop it"
                )
                said = True
            await asyncio.sleep(0.1)

    async def renew(self) -> None:
        """Say that we live, and where; call first when recovery is over, for it reads the former sign of life."""
        await self._db.execute(
            "insert into switch_leases (node, holder, control_url, expires_at, renewed_at)"
            " values (%s, %s, %s, now() + interval '10 seconds', now())"
            " on conflict (node) do update set holder = excluded.holder, control_url = excluded.control_url,"
            " expires_at = excluded.expires_at, renewed_at = excluded.renewed_at",
            (self._node, f"{id(self):x}", self._control_url),
        )
