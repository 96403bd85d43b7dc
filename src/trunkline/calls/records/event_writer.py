"""Events of live calls on their way into PostgreSQL: gathered into batches, in order.

A batch is fixed before it is written (:mod:`trunkline.calls.records.batch_writer`), so that a second attempt writes the same
events.

While the database cannot take events they wait in memory; the calls go on. This includes a missing table, a missing
permission and a full disk. The buffer is bounded: when it is full the switch takes no new calls
(:attr:`EventWriter.full`), so that nothing accepted is lost. Until they are written they are in a file, too, from which the
next switch writes them if this process is killed (:mod:`trunkline.calls.records.unwritten_events`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from trunkline.calls.records.batch_writer import BatchWriter, Portion
from trunkline.calls.records.unwritten_events import Decided, UnwrittenEvents
from trunkline.core.clock import Instant
from trunkline.core.errors import LeaseLost, first_line
from trunkline.core.log import get_logger
from trunkline.core.tasks import core_task
from trunkline.db.pool import Database, log_cause
from trunkline.events.catalogue import Event
from trunkline.events.store import Fence

GATHER_SECONDS = 0.02
"""Seconds from the first event of a batch to its write, unless :meth:`EventWriter.flush` is called; the interval between
writes can extend it. If the process is killed, the next switch writes them from the file."""
WRITE_INTERVAL_SECONDS = 0.05
"""Time between the beginnings of two writes, while no caller waits: the first event after a pause goes soon, a stream of
them in larger batches."""
BUSY_WRITE_INTERVAL_SECONDS = 0.15
"""The same while many calls come: the rows of a call are written once for each batch it is in."""
BUSY_EVENTS = 10
"""A batch of more means that many calls come: what sixteen calls a second make in the interval between writes."""
BATCH_MAX = 500
"""Events of a batch; the last decision in it may exceed this."""
RETRY_SECONDS_FIRST = 0.2
RETRY_SECONDS_MAX = 5.0
STOP_SECONDS = 5.0

_log = get_logger("calls")

_VERSIONS = """
select call_session_id, version, is_open from call_streams
where call_session_id = any(%(ids)s::bigint[]) and call_session_id between %(first)s and %(last)s
    and account_id in (select account_id from accounts)
"""


@dataclass(slots=True)
class _Pending:
    """The events of one decision: never split between batches, so that what is written is a state that the rules made."""

    events: Sequence[Event]
    position: Instant | None
    put_at: float
    """Seconds of ``time.monotonic()``."""


class EventWriter:
    """Takes events from the rules, keeps them until PostgreSQL has them.

    :param fence: the lease under which this switch writes; None in tests.
    :param lost: called once when another switch holds the lease: nothing is written any more.
    :param unwritten: keeps events until they are written; None: they are lost when the process is killed.
    """

    def __init__(
        self,
        db: Database,
        node: int,
        *,
        buffer_max: int,
        fence: Fence | None = None,
        lost: Callable[[], None] = lambda: None,
        unwritten: UnwrittenEvents | None = None,
    ) -> None:
        self._db = db
        self._files = unwritten
        self._last_in_files = 0
        """Count of the last event that was given to the files."""
        self._batches = BatchWriter(db, node, fence)
        self._lost = lost
        self._buffer_max = buffer_max
        self._pending: deque[_Pending] = deque()
        self._count_put = 0
        """Events that were put since the start."""
        self._count_written = 0
        """Those of them that are written, or are in ``dead_letters``."""
        self._unwritten = 0
        self._flush_until = 0
        """The count of written events for which a flush waits."""
        self._write_began = 0.0
        self._write_interval = WRITE_INTERVAL_SECONDS
        self._flush_requested = asyncio.Event()
        self._wake = asyncio.Event()
        self._progress = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._alarm: str | None = None
        self.unavailable_since: float | None = None
        """Loop time since which the database does not take events; None = it does."""
        self.is_fenced = False
        """Whether the lease is lost."""

    def start(self) -> None:
        if self._files is not None:
            self._files.start()
        self._task = core_task(self._run(), name="event-writer")

    async def stop(self) -> None:
        """Write what is left (as long as the database takes it) and end."""
        if not self.is_fenced:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.flush(), STOP_SECONDS)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._files is not None:
            await self._files.stop()

    async def load_dead_letter_count(self) -> None:
        """Count events that former switches could not store: the alarm stays until an administrator deletes them."""
        await self._batches.load_dead_letter_count()

    def restore(self, events: Sequence[Event]) -> None:
        """Continue a stream that a former switch wrote.

        :param events: all of its stored events.
        """
        self._batches.restore(events)

    @property
    def dead_letters(self) -> int:
        """Events that could not be stored."""
        return self._batches.dead_letters

    @property
    def unwritten(self) -> int:
        """Events not yet written."""
        return self._unwritten

    @property
    def oldest_age(self) -> float:
        """Seconds for which the oldest of them has waited; 0 when none waits."""
        return time.monotonic() - self._pending[0].put_at if self._pending else 0.0

    @property
    def full(self) -> bool:
        """Whether new calls are refused: as many events wait as the buffer may have."""
        return self._unwritten >= self._buffer_max

    @property
    def waiting_reason(self) -> str | None:
        """Why PostgreSQL does not accept events; None when it does."""
        return self._alarm

    @property
    def alarm(self) -> str | None:
        """Why events wait or were not stored; None when there are none of either."""
        if self._alarm is not None:
            return f"{self.unwritten} events wait: {self._alarm}"
        if self.dead_letters:
            return f"{self.dead_letters} events could not be stored: see table dead_letters"
        return None

    def put(self, events: Sequence[Event], position: Instant | None = None) -> None:
        """Queue the events of one decision about one session; never waits.

        :param position: all of the engine's signals before this time are handled, and their events were put.
        """
        if not events:
            return
        decided = tuple(events)
        self._pending.append(_Pending(decided, position, time.monotonic()))
        self._count_put += len(events)
        self._unwritten += len(events)
        if self._files is not None:
            self._files.put(decided, position, self._count_put)
            self._last_in_files = self._count_put
        self._wake.set()

    async def write_loaded(self, decided: Sequence[Decided]) -> int:
        """Write what former switches of this node left in their files, and wait until it is written.

        What PostgreSQL has is left out, by the numbers of the events. So a file may be read more than once.

        :param decided: in the order of their decisions.
        :returns: how many events were written.
        """
        versions = await self._versions({one.events[0].call_session_id for one in decided})
        count = 0
        for one in decided:
            events = [event for event in one.events if _follows(versions, event)]
            if events:
                # Not given to the files of this process: they are in those of the former one.
                self._pending.append(_Pending(tuple(events), one.position, time.monotonic()))
                self._count_put += len(events)
                self._unwritten += len(events)
                count += len(events)
        if count:
            self._wake.set()
            await self.flush()
            _log.warning(
                "kept_events_written",
                events=count,
                calls=len({event.stream for one in decided for event in one.events}),
                consequence="the former switch was killed before it had stored them; they are stored now",
            )
        return count

    async def _versions(self, calls: set[int | None]) -> dict[int, int | None]:
        """By call: the number of its last stored event; None for a call whose end is stored."""
        ids = [one for one in calls if one is not None]
        rows = await self._db.fetch_all(
            _VERSIONS, {"ids": ids, "first": min(ids, default=0), "last": max(ids, default=0)}
        )
        return {row["call_session_id"]: row["version"] if row["is_open"] else None for row in rows}

    def kept_waiter(self) -> Callable[[], Awaitable[None]] | None:
        """What to call to wait until all that was put before survives the end of this process.

        In the files if they can be written, else in PostgreSQL. None: neither is possible now.
        """
        if self._files is None or not self._files.is_usable:
            return self.begin_flush() if self.unavailable_since is None else None
        files, goal = self._files, self._last_in_files

        async def wait() -> None:
            if not await files.wait_until_in_file(goal) and self.unavailable_since is None:
                await self.begin_flush()()

        return wait

    async def flush(self) -> None:
        """Wait until all that was put before is written (or is in ``dead_letters``)."""
        await self.begin_flush()()

    def begin_flush(self) -> Callable[[], Awaitable[None]]:
        """Begin to write all that was put before; what to call to wait until it is written (or is in ``dead_letters``)."""
        goal = self._count_put
        if self._count_written < goal:
            self._flush_until = goal
            self._flush_requested.set()

        async def wait() -> None:
            async with self._progress:
                await self._progress.wait_for(lambda: self._count_written >= goal)

        return wait

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            if self._unwritten < BATCH_MAX:
                await self._gather()
            if not self._pending:
                self._wake.clear()
                continue
            batch: list[_Pending] = []
            count = 0
            for pending in self._pending:
                batch.append(pending)
                count += len(pending.events)
                if count >= BATCH_MAX:
                    break
            self._write_interval = (
                BUSY_WRITE_INTERVAL_SECONDS if count > BUSY_EVENTS else WRITE_INTERVAL_SECONDS
            )
            await self._write_until_done(batch)
            for _ in batch:
                self._pending.popleft()
            self._count_written += count
            self._unwritten -= count
            if self._files is not None:
                self._files.written(self._count_written)
            if self._count_written >= self._flush_until:
                self._flush_requested.clear()
            async with self._progress:
                self._progress.notify_all()
            if not self._pending:
                self._wake.clear()

    async def _gather(self) -> None:
        """Wait for more events until the next write is due, or a flush is requested."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(
                max(loop.time() + GATHER_SECONDS, self._write_began + self._write_interval)
            ):
                await self._flush_requested.wait()
        self._write_began = loop.time()

    async def _write_until_done(self, batch: Sequence[_Pending]) -> None:
        """Write a batch, however long it takes.

        :raises LeaseLost: which ends the process.
        """
        delay = RETRY_SECONDS_FIRST
        portions: list[Portion] | None = None
        position = next((one.position for one in reversed(batch) if one.position is not None), None)
        while True:
            try:
                if portions is None:
                    portions = await self._batches.portions(event for one in batch for event in one.events)
                await self._batches.write(portions, position)
            except LeaseLost as error:
                self.is_fenced = True
                _log.error(
                    "lease_lost",
                    error=error.message,
                    unwritten_events=self.unwritten,
                    consequence="this process writes nothing more and exits",
                    remedy="check that one switch runs for each switch.node",
                )
                self._lost()
                raise
            except Exception as error:
                self._writes_failed(error)
                await asyncio.sleep(delay)
                delay = min(delay * 2, RETRY_SECONDS_MAX)
                continue
            self._writes_succeed()
            return

    # --- alarms

    def _writes_failed(self, error: Exception) -> None:
        self._alarm = first_line(error)
        if self.unavailable_since is None:
            self.unavailable_since = asyncio.get_running_loop().time()
            _log.error(
                "events_wait",
                cause=log_cause(error),
                error=first_line(error),
                consequence="calls continue; events wait in memory until PostgreSQL accepts them",
                remedy="see logs/postgres.log, and check the disk of PostgreSQL",
            )
        if self.full:
            _log.error(
                "event_buffer_full",
                events=self.unwritten,
                consequence="new calls are refused until PostgreSQL accepts events",
                remedy="see logs/postgres.log, and check the disk of PostgreSQL",
            )

    def _writes_succeed(self) -> None:
        if self.unavailable_since is not None:
            _log.info("events_written_again", waited_events=self.unwritten)
            self.unavailable_since = None
            self._alarm = None


def _follows(versions: dict[int, int | None], event: Event) -> bool:
    """Whether the event is the next one of its call, which has it then."""
    call_session_id = event.call_session_id
    assert call_session_id is not None
    version = versions.get(call_session_id, 0)
    if version is None or event.seq != version + 1:
        return False
    versions[call_session_id] = event.seq
    return True
