"""One switch per node: an advisory lock in PostgreSQL that is released when the connection of its holder ends, and a row
with the address and the token of the holder.

The connection of a holder can outlive it by hours: its machine was switched off, or the network was cut, and the server
waits for a packet. So the next switch of the same installation, which has the proof that the former one has ended
(:mod:`trunkline.runtime.node_lock`), ends that connection at once; any other switch of the node does when the lease has not
been renewed for 15 seconds.

Each takeover adds one to the token. The event writer checks the token in the transaction of every write
(:class:`trunkline.events.store.Fence`), and the update of the token waits for a write that is under way. So a former
holder writes nothing after a takeover.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg.rows import dict_row

from trunkline.core.clock import Instant
from trunkline.core.errors import LeaseLost, first_line
from trunkline.core.log import get_logger
from trunkline.core.tasks import core_task
from trunkline.db.pool import log_cause
from trunkline.db.waiting import EventConnection
from trunkline.events.store import Fence

LOCK_SPACE = 7_256_010
"""First key of the advisory lock; the second is the node."""

RENEW_SECONDS = 2.0

LEASE_CHANNEL = "trunkline_leases"
"""NOTIFY channel with the number of a node that was taken over."""

_RETRY_SECONDS = 0.1

_LOG_PERIOD_SECONDS = 60.0
"""An outage is logged when it begins, then in this interval, not at each attempt."""

_FORMER = """
select extract(epoch from position)::float8 as position, extract(epoch from alive_at)::float8 as alive_at
from switch_leases where node = %s
"""

_TAKE_OVER = """
insert into switch_leases (node, holder, control_url, installation, expires_at, renewed_at, token)
values (%s, %s, %s, %s, now() + interval '10 seconds', now(), 1)
on conflict (node) do update set holder = excluded.holder, control_url = excluded.control_url,
    installation = excluded.installation,
    expires_at = excluded.expires_at, renewed_at = excluded.renewed_at, token = switch_leases.token + 1
returning token, pg_notify(%s, %s)
"""

_RENEW = """
update switch_leases set expires_at = now() + interval '10 seconds', renewed_at = now(),
    alive_at = greatest(alive_at, to_timestamp(%s))
where node = %s and token = %s
"""

_END_FORMER = """
select pg_terminate_backend(l.pid)
from pg_locks l join switch_leases n on n.node = %(node)s
where l.locktype = 'advisory' and l.classid = %(space)s and l.objid = %(node)s and l.granted
    and l.database = (select oid from pg_database where datname = current_database())
    and (n.installation = %(installation)s and %(installation)s <> '' or n.expires_at < now() - interval '5 seconds')
"""
"""Ends the connection that has the lock when its process has ended, or has not renewed the lease for 15 seconds."""

_log = get_logger("calls")

_Connection = psycopg.AsyncConnection[dict[str, Any]]


class Lease:
    """Held from ``async with`` on; waits for the node's former switch to go.

    A restart of the database does not end the lease: the lock is taken again as soon as the database is back, unless another
    switch has taken the node over meanwhile. Then ``lost`` is called, and the core task of the lease fails with
    :class:`LeaseLost`, which ends the process.

    :param holder: of the process, for people.
    :param installation: whose former switch has certainly ended; None: that is not known.
    """

    def __init__(
        self,
        dsn: str,
        node: int,
        control_url: str,
        *,
        holder: str,
        installation: str | None = None,
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        self._dsn = dsn
        self._node = node
        self._control_url = control_url
        self._holder = holder
        self._installation = installation or ""
        self._lost = lost
        self._task: asyncio.Task[None] | None = None
        self._held = asyncio.Event()
        self._token: int | None = None
        self.position: Instant | None = None
        """Up to which the former switch handled the engine's signals and wrote their events; None = there was none."""
        self.alive_at: Instant | None = None
        """When the former switch was connected to the engine for the last time, as far as it is stored."""
        self.engine_alive: Callable[[], Instant | None] = lambda: None
        """When the engine was connected for the last time, for the next switch; the role sets it."""

    async def __aenter__(self) -> Self:
        self._task = core_task(self._hold(), name="switch-lease")
        await self._held.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def fence(self) -> Fence:
        """What the event writer checks."""
        if self._token is None:
            raise LeaseLost("the lease is not held yet")
        return Fence(self._node, self._token)

    async def _hold(self) -> None:
        logged_at: float | None = None
        while True:
            try:
                async with await EventConnection.connect(
                    self._dsn,
                    autocommit=True,
                    application_name="trunkline-switch-lease",
                    row_factory=dict_row,
                ) as connection:
                    await connection.execute("listen trunkline_leases")
                    await self._lock(connection)
                    await self._take(connection)
                    self._held.set()
                    logged_at = None
                    while True:
                        # Returns early at a notification, and raises at once when the connection breaks.
                        async for _ in connection.notifies(timeout=RENEW_SECONDS, stop_after=1):
                            pass
                        await self._renew(connection)
            except (psycopg.Error, OSError) as error:
                # PostgreSQL is unavailable, or a table or permission is missing: calls continue, and no other switch can
                # take over the node either.
                now = time.monotonic()
                if logged_at is None or now - logged_at >= _LOG_PERIOD_SECONDS:
                    logged_at = now
                    _log.warning(
                        "lease_without_database",
                        cause=log_cause(error),
                        error=first_line(error),
                        consequence="calls continue; no other switch can take over the node; it is tried again",
                        remedy="see logs/postgres.log, and the permissions of the table switch_leases",
                    )
                await asyncio.sleep(_RETRY_SECONDS)
            except LeaseLost as error:
                _log.error(
                    "lease_lost",
                    node=self._node,
                    error=error.message,
                    consequence="this process writes nothing more and exits",
                    remedy="check that one switch runs for each switch.node",
                )
                self._lost()
                raise

    async def _lock(self, connection: _Connection) -> None:
        is_logged = False
        while True:
            cursor = await connection.execute(
                "select pg_try_advisory_lock(%s, %s) as is_ours", (LOCK_SPACE, self._node)
            )
            row = await cursor.fetchone()
            if row is not None and row["is_ours"]:
                return
            if self._token is not None:
                # Perhaps the server has not noticed yet that our former connection is gone.
                await self._renew(connection)
            else:
                await self._end_former(connection)
                if not is_logged:
                    _log.warning(
                        "lease_taken",
                        node=self._node,
                        remedy="stop the other switch of this node, or wait until it ends",
                    )
                    is_logged = True
            await asyncio.sleep(_RETRY_SECONDS)

    async def _end_former(self, connection: _Connection) -> None:
        """End the connection of a holder that has ended.

        The takeover adds to the token, so if the holder lives all the same, it can write nothing, and ends itself.
        """
        wanted = {"space": LOCK_SPACE, "node": self._node, "installation": self._installation}
        try:
            ended = await (await connection.execute(_END_FORMER, wanted)).fetchall()
        except psycopg.errors.InsufficientPrivilege:
            return  # the connection is of another user of the database: wait until the server ends it
        if ended:
            _log.warning(
                "lease_of_ended_switch",
                node=self._node,
                consequence="its connection to PostgreSQL was still open, and is ended; this switch takes the node over",
            )

    async def _take(self, connection: _Connection) -> None:
        """Take over the node; after a break of the connection, check that no other switch has."""
        if self._token is not None:
            await self._renew(connection)
            return
        former = await (await connection.execute(_FORMER, (self._node,))).fetchone()
        if former is not None and former["position"] is not None:
            self.position = Instant(former["position"])
        if former is not None:
            known = [former[name] for name in ("position", "alive_at") if former[name] is not None]
            self.alive_at = Instant(max(known)) if known else None
        cursor = await connection.execute(
            _TAKE_OVER,
            (self._node, self._holder, self._control_url, self._installation, LEASE_CHANNEL, str(self._node)),
        )
        row = await cursor.fetchone()
        assert row is not None
        self._token = int(row["token"])
        _log.info("lease_held", node=self._node, token=self._token)

    async def _renew(self, connection: _Connection) -> None:
        try:
            cursor = await connection.execute(_RENEW, (self.engine_alive(), self._node, self._token))
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            # The lock is still held. The event writer has the alarm: it cannot write either.
            _log.warning(
                "lease_not_renewed",
                cause=log_cause(error),
                error=first_line(error),
                consequence="this switch keeps the node, because it has the lock; it is tried again",
            )
            return
        if cursor.rowcount == 0:
            raise LeaseLost("another switch took over this node; this one must end")
