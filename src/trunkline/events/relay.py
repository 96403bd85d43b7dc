"""The relay: takes events out of the outbox, in order, and passes them to every listener.

Any number of workers may run a relay; one of them leads at a time. Who leads holds a session lock of PostgreSQL on the
connection it works on. The lock ends with the connection of a leader that is killed, and another worker leads within a
second. One transaction per batch: listeners write their rows and jobs, the outbox rows are deleted, both or neither. So
nothing is lost, and what a listener wrote is written once.

A listener that fails on one event does not stop others: its changes for this event are rolled back, the event is
stored for it in ``event_failures``, an error is logged, and it is retried later (:func:`retry_failures`). What is no
fault of an event (the database is unavailable, a table or permission is missing, a disk is full) stops the relay until it is
repaired: the events wait in the outbox, in their order.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, Protocol

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from trunkline.core.clock import to_instant
from trunkline.core.log import get_logger
from trunkline.core.retry import LISTENERS
from trunkline.db.leader import LeaderLock, lead_when_possible, woken_by
from trunkline.db.pool import Database, is_of_the_installation
from trunkline.events.catalogue import Event, EventType, call_of_stream
from trunkline.events.store import OUTBOX_CHANNEL

_log = get_logger("events.relay")

_POLL_PERIOD = 20.0
"""Seconds after which the outbox is read even without a notification."""

_REST_PERIOD = 0.2
"""Seconds of rest after a batch: the first event after a pause goes at once, a stream of them in larger batches."""

_BATCH = 200
"""Events a transaction."""

MAX_ATTEMPTS = LISTENERS.attempts or 0
"""Attempts of one listener at one event. Afterwards the event stays in ``event_failures`` until an administrator resets
``attempts`` of its row (docs/operations/work-queues.md)."""

_TAKE = """
with taken as (
    delete from outbox
    where outbox_id = any(array(select outbox_id from outbox order by outbox_id limit %s for update))
    returning outbox_id, account_id, stream, seq, type, occurred_at, data
)
select * from taken order by outbox_id
"""
"""The ids are an array, which is made once. The plan of ``in (select ... limit ...)`` may read the subquery again for each
row of the outbox, and then finds other rows each time, since those that are deleted already are skipped: batches without
a limit, and out of order."""

_STORE_FAILURE = """
insert into event_failures (account_id, listener, stream, seq, type, occurred_at, data, error)
values (%(account_id)s, %(listener)s, %(stream)s, %(seq)s, %(type)s, %(occurred_at)s, %(data)s, %(error)s)
on conflict (account_id, listener, stream, seq) do nothing
"""

_TAKE_FAILURES = """
select failure_id, account_id, listener, stream, seq, type, occurred_at, data, attempts from event_failures
where resolved_at is null and attempts < %s and next_attempt_at <= now() and listener = any(%s) and type = any(%s)
order by failure_id limit %s for update skip locked
"""

_FAILED_AGAIN = """
update event_failures set attempts = attempts + 1, error = %s,
    next_attempt_at = now() + make_interval(secs => %s)
where account_id = %s and failure_id = %s
"""


_UNKNOWN_TYPE = ValueError("unknown event type: written by a newer version, which will take it up")


class Listener(Protocol):
    """A consumer of events."""

    @property
    def name(self) -> str:
        """Stable: failed events are rows of ``event_failures`` under this name."""
        ...

    async def on_events(self, conn: AsyncConnection[Any], events: Sequence[Event]) -> None:
        """Write rows and jobs on ``conn`` (dict rows), nothing else: no network, no files.

        Events come in the order of their streams. May get an event twice, and singly after its batch failed.
        """
        ...


class Relay:
    """Empties the outbox.

    :param db: its connections have dict rows.
    :param listeners: called in this order; names must differ.
    """

    def __init__(self, db: Database, listeners: Sequence[Listener]) -> None:
        if len({listener.name for listener in listeners}) != len(listeners):
            raise ValueError("two listeners have the same name")
        self._db = db
        self._listeners = tuple(listeners)
        self._wake = asyncio.Event()
        self.is_leader = False
        """Whether this process empties the outbox now."""

    async def run(self) -> None:
        """Lead when possible, until cancelled; survives the database's restarts."""
        async with woken_by(self._db, OUTBOX_CHANNEL, self._wake):
            await lead_when_possible(self._db, LeaderLock.RELAY, self._lead, "relay")

    async def _lead(self, conn: AsyncConnection[Any]) -> None:
        self.is_leader = True
        _log.info("relay_leads")
        try:
            while True:
                self._wake.clear()
                while (taken := await relay_batch(conn, self._listeners)) > 0:
                    if taken < _BATCH:
                        await asyncio.sleep(_REST_PERIOD)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), _POLL_PERIOD)
        finally:
            self.is_leader = False


async def relay_batch(conn: AsyncConnection[Any], listeners: Sequence[Listener], limit: int = _BATCH) -> int:
    """Pass the oldest events to the listeners and delete them from the outbox, in one transaction.

    Without savepoints, which cost two statements for each listener, unless something fails: then all is undone and done
    again with them.

    :returns: how many events there were.
    :raises psycopg.Error: the database is unavailable, or a table or permission is missing; nothing happened.
    """
    try:
        async with conn.transaction():
            rows = await _take(conn, limit)
            events = [event for event in map(_event_of, rows) if event is not None]
            if len(events) < len(rows):
                raise _UNKNOWN_TYPE
            for listener in listeners if rows else ():
                await listener.on_events(conn, events)
    except Exception as error:
        if is_of_the_installation(error):
            raise
        rows = await _relay_separately(conn, listeners, limit)
    await conn.commit()
    return len(rows)


async def _relay_separately(
    conn: AsyncConnection[Any], listeners: Sequence[Listener], limit: int
) -> list[dict[str, Any]]:
    """The same with a savepoint for each listener, so that one that fails does not undo the others."""
    async with conn.transaction():
        rows = await _take(conn, limit)
        for listener in listeners if rows else ():
            await _pass_batch(conn, listener, rows)
    return rows


async def _take(conn: AsyncConnection[Any], limit: int) -> list[dict[str, Any]]:
    cursor = await conn.execute(_TAKE, (limit,))
    return await cursor.fetchall()


async def _pass_batch(conn: AsyncConnection[Any], listener: Listener, rows: list[dict[str, Any]]) -> None:
    """As a batch, which is faster; one by one if the batch fails, to find the event that fails."""
    known = [event for event in map(_event_of, rows) if event is not None]
    if len(known) == len(rows) and await _pass(conn, listener, known) is None:
        return
    for row in rows:
        event = _event_of(row)
        error = await _pass(conn, listener, [event]) if event else _UNKNOWN_TYPE
        if error is not None:
            _log.error(
                "listener_failed",
                listener=listener.name,
                stream=row["stream"],
                seq=row["seq"],
                account_id=row["account_id"],
                call_session_id=call_of_stream(row["stream"]),
                error=_describe(error),
                consequence="the event is in event_failures and is tried again",
                remedy="see listener_raised before this line",
            )
            await _store_failure(conn, listener.name, row, error)


async def retry_failures(db: Database, listeners: Sequence[Listener], limit: int = 50) -> int:
    """Retry failed listener events that are due; returns the number of settled ones. Call it every few
    seconds.

    Events of a listener or type that this version does not have wait for another version, and delay no others.
    """
    by_name = {listener.name: listener for listener in listeners}
    settled = 0
    async with db.connection() as conn:
        known = (list(by_name), [one.value for one in EventType])
        cursor = await conn.execute(_TAKE_FAILURES, (MAX_ATTEMPTS, *known, limit))
        for row in await cursor.fetchall():
            event, listener = _event_of(row), by_name[row["listener"]]
            assert event is not None
            error = await _pass(conn, listener, [event])
            key = (row["account_id"], row["failure_id"])
            if error is None:
                settled += 1
                await conn.execute(
                    "update event_failures set resolved_at = now() where account_id = %s and failure_id = %s",
                    key,
                )
            else:
                await conn.execute(
                    _FAILED_AGAIN, (_describe(error), LISTENERS.pause(row["attempts"] + 1), *key)
                )
                if row["attempts"] + 1 >= MAX_ATTEMPTS:
                    _log.error(
                        "event_given_up",
                        listener=listener.name,
                        stream=event.stream,
                        seq=event.seq,
                        account_id=event.account_id,
                        call_session_id=event.call_session_id,
                        error=_describe(error),
                        consequence="the event stays in event_failures and is not tried again",
                        remedy="report this line; after a repair see docs/operations/work-queues.md",
                    )
    return settled


async def backlog(db: Database) -> tuple[int, float]:
    """How many events wait in the outbox, and for how many seconds the oldest does."""
    row = await db.fetch_one(
        "select count(*) as waiting, coalesce(extract(epoch from now() - min(occurred_at)), 0)::float8 as lag"
        " from outbox"
    )
    assert row is not None
    return int(row["waiting"]), max(0.0, float(row["lag"]))


async def _pass(conn: AsyncConnection[Any], listener: Listener, events: Sequence[Event]) -> Exception | None:
    try:
        async with conn.transaction():
            await listener.on_events(conn, events)
    except Exception as error:
        if is_of_the_installation(error):
            raise
        _log.exception(
            "listener_raised",
            listener=listener.name,
            events=len(events),
            first=f"{events[0].stream} {events[0].seq}" if events else None,
            consequence="each event is passed separately; one that fails again is in event_failures",
            remedy="report this line with its traceback",
        )
        return error
    return None


async def _store_failure(
    conn: AsyncConnection[Any], listener: str, row: dict[str, Any], error: Exception
) -> None:
    await conn.execute(
        _STORE_FAILURE, {**row, "data": Jsonb(row["data"]), "listener": listener, "error": _describe(error)}
    )


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]


def _event_of(row: dict[str, Any]) -> Event | None:
    try:
        type_ = EventType(row["type"])
    except ValueError:
        _log.error(
            "unknown_event",
            account_id=row["account_id"],
            call_session_id=call_of_stream(row["stream"]),
            type=row["type"],
            stream=row["stream"],
            seq=row["seq"],
            consequence="the event is in event_failures",
            remedy="check that all processes have the same version; restart the instance after an upgrade",
        )
        return None
    return Event(
        row["account_id"], row["stream"], row["seq"], type_, to_instant(row["occurred_at"]), row["data"]
    )
