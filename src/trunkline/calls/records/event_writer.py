"""Events of live calls into PostgreSQL: in batches, in order, with outbox and history rows in one transaction.

The writer is the one sequencer of the streams of its node's open calls. It keeps a state of each call that is rebuilt from
exactly the events of the batches written so far and the one being written, so a row never contains more than its stream.
A batch is fixed before it is written: a second attempt writes the same events, or finds them written.

While the database cannot take events they wait in memory; the calls go on. This includes a missing table, a missing
permission and a full disk. The buffer is bounded: when it is full the switch takes no new calls
(:attr:`EventWriter.full`), so that nothing accepted is lost. Until they are written they are in a file, too, from which the
next switch writes them if this process is killed (:mod:`trunkline.calls.records.unwritten_events`). Only an event that no
attempt can store is put into ``dead_letters``, with the rest of its stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import psycopg

from trunkline.calls.evolution import begin, evolve, replay
from trunkline.calls.records import history
from trunkline.calls.records.unwritten_events import Decided, UnwrittenEvents
from trunkline.calls.session import Session
from trunkline.core.clock import Instant, to_datetime
from trunkline.core.errors import LeaseLost, StreamConflict, first_line
from trunkline.core.log import get_logger
from trunkline.core.tasks import core_task
from trunkline.db.partitions import ensure_for
from trunkline.db.pool import Database, log_cause
from trunkline.events.catalogue import Event, EventType
from trunkline.events.store import UNSTORABLE, Fence, call_events, check_lease, write_call_events

GATHER_SECONDS = 0.02
"""Seconds from the first event of a batch to its write, unless :meth:`EventWriter.flush` is called; the interval between
writes can extend it. If the process is killed, the next switch writes them from the file."""
WRITE_INTERVAL_SECONDS = 0.05
"""Time between the beginnings of two writes, while no caller waits: the first event after a pause goes soon, a stream of
them in larger batches."""
BUSY_WRITE_INTERVAL_SECONDS = 0.15
"""The same while many calls come: the rows of a call are written once for each batch it is in."""
BUSY_EVENTS = 50
"""A batch of more means that many calls come: what sixty calls a second make in the interval between writes."""
BATCH_MAX = 500
"""Events of a batch; the last decision in it may exceed this."""
RETRY_SECONDS_FIRST = 0.2
RETRY_SECONDS_MAX = 5.0
STOP_SECONDS = 5.0

_log = get_logger("calls")

_CONFLICT = (StreamConflict, psycopg.errors.UniqueViolation)

_DEAD_LETTER = """
insert into dead_letters (account_id, stream, seq, type, occurred_at, data, error)
values (%s, %s, %s, %s, %s, %s, %s)
"""

_COUNT_DEAD_LETTERS = """
select count(*) as count from dead_letters where account_id in (select account_id from accounts)
"""

_VERSIONS = """
select call_session_id, version, is_open from call_streams
where call_session_id = any(%(ids)s::bigint[]) and call_session_id between %(first)s and %(last)s
    and account_id in (select account_id from accounts)
"""

_CLOSE = """
with closed as (
    update call_streams set is_open = false
    where account_id = %(account_id)s and call_session_id = %(call_session_id)s and is_open
)
update call_sessions set finish_time = %(at)s, finish_reason = %(finish_reason)s, is_lost = %(is_lost)s
where account_id = %(account_id)s and call_session_id = %(call_session_id)s and finish_time is null
"""
"""Closes a call whose last events could not be stored: recovery does not restore it, and reports show its end."""


@dataclass(slots=True)
class _Stream:
    """A call as far as it is written."""

    account_id: int
    call_session_id: int
    version: int
    """Number of the last event that is committed."""
    state: Session | None
    """State after the last event that was in a batch."""
    rows: history.Rows = field(default_factory=history.Rows)
    dead: str | None = None
    """Why the rest of this stream goes into ``dead_letters``."""
    row_refused: bool = False


@dataclass(slots=True)
class _Portion:
    """The events of one stream in one batch."""

    stream: _Stream
    events: list[Event]
    rest: list[Event] = field(default_factory=list)
    """Events that do not follow from those before them: ``dead_letters`` gets them once ``events`` are written."""
    fault: Exception | None = None
    """Why they do not."""

    @property
    def is_first(self) -> bool:
        return self.events[0].type is EventType.SESSION_STARTED

    @property
    def is_last(self) -> bool:
        return any(event.type is EventType.SESSION_FINISHED for event in self.events)


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
        self._node = node
        self._files = unwritten
        self._last_in_files = 0
        """Count of the last event that was given to the files."""
        self._fence = fence
        self._lost = lost
        self._buffer_max = buffer_max
        self._streams: dict[int, _Stream] = {}
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
        self.dead_letters = 0
        """Events that could not be stored."""
        self.unavailable_since: float | None = None
        """Loop time since which the database does not take events; None = it does."""
        self.is_fenced = False
        """Whether the lease is lost."""

    async def load_dead_letter_count(self) -> None:
        """Count events that former switches could not store: the alarm stays until an administrator deletes them."""
        row = await self._db.fetch_one(_COUNT_DEAD_LETTERS)
        self.dead_letters = int(row["count"]) if row is not None else 0

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

    def restore(self, events: Sequence[Event]) -> None:
        """Continue a stream that a former switch wrote.

        :param events: all of its stored events.
        """
        last = events[-1]
        call_session_id = last.call_session_id
        assert call_session_id is not None
        self._streams[call_session_id] = _Stream(last.account_id, call_session_id, last.seq, replay(events))

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

    async def write_former(self, decided: Sequence[Decided]) -> int:
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

    def begin_keep(self) -> Callable[[], Awaitable[None]] | None:
        """What to call to wait until all that was put before survives the end of this process.

        In the files if they can be written, else in PostgreSQL. None: neither is possible now.
        """
        if self._files is None or not self._files.is_usable:
            return self.begin_flush() if self.unavailable_since is None else None
        files, goal = self._files, self._last_in_files

        async def wait() -> None:
            if not await files.kept(goal) and self.unavailable_since is None:
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
        portions: list[_Portion] | None = None
        position = next((one.position for one in reversed(batch) if one.position is not None), None)
        while True:
            try:
                if portions is None:
                    portions = await self._portions(batch)
                await self._write(portions, position)
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

    async def _portions(self, batch: Sequence[_Pending]) -> list[_Portion]:
        """The batch by streams, whose states are those after the batch's last event."""
        found: dict[int, _Portion] = {}
        for event in (event for pending in batch for event in pending.events):
            call_session_id = event.call_session_id
            assert call_session_id is not None
            portion = found.get(call_session_id)
            if portion is None:
                stream = self._streams.get(call_session_id)
                if stream is None:
                    stream = await self._stream(event, call_session_id)
                portion = found[call_session_id] = _Portion(stream, [])
            portion.events.append(event)
        for portion in found.values():
            if portion.stream.dead is None:
                _evolve_to_end(portion)
        return list(found.values())

    async def _stream(self, event: Event, call_session_id: int) -> _Stream:
        stored: list[Event] = []
        if event.type is not EventType.SESSION_STARTED:
            async with self._db.connection() as connection:
                stored = await call_events(connection, event.account_id, call_session_id)
            stored = [one for one in stored if one.seq < event.seq]
        version = stored[-1].seq if stored else 0
        stream = _Stream(event.account_id, call_session_id, version, replay(stored))
        self._streams[call_session_id] = stream
        return stream

    # --- one batch

    async def _write(self, portions: list[_Portion], position: Instant | None) -> None:
        """Write portions that are not written yet; raises only errors that a retry may resolve."""
        partitions_made = False
        while True:
            todo = [one for one in portions if one.events and one.stream.dead is None]
            try:
                if todo:
                    await self._transaction(todo, position)
                break
            except psycopg.errors.CheckViolation as error:
                if partitions_made:
                    await self._write_separately(todo, position, error)
                    break
                await self._make_partitions(todo)
                partitions_made = True
            except _CONFLICT as error:
                await self._reconcile(todo, error)
            except UNSTORABLE as error:
                await self._write_separately(todo, position, error)
                break
        for portion in portions:
            await self._cut_off(portion)
            if portion.stream.dead is not None and portion.events:
                await self._dead_letter(portion)
            portion.events = []

    async def _cut_off(self, portion: _Portion) -> None:
        """The events of a portion are written (or dead-lettered below): its stream is dead from those that do not follow."""
        if portion.fault is None:
            return
        if portion.stream.dead is None:
            await self._write_row(portion, portion.fault)
            portion.stream.dead = f"{type(portion.fault).__name__}: {portion.fault}"
            portion.events = []
        portion.events, portion.rest, portion.fault = portion.events + portion.rest, [], None

    async def _transaction(
        self, portions: Sequence[_Portion], position: Instant | None, *, rows: bool = True
    ) -> None:
        with_rows = [one for one in portions if rows and not one.stream.row_refused]
        states = [one.stream.state for one in with_rows if one.stream.state is not None]
        begun = [one.stream.state for one in with_rows if one.is_first and one.stream.state is not None]
        legs = [
            (one.stream, one.stream.rows.changed_legs(one.stream.state))
            for one in with_rows
            if one.stream.state is not None
        ]
        events = [event for one in portions for event in one.events]
        async with self._db.connection() as connection:
            await write_call_events(connection, events, self._fence, position)
            await history.write_tags(connection, events)
            if states:
                await history.write(
                    connection, states, [row for _, changed in legs for row in changed], begun, self._node
                )
        for stream, changed in legs:
            stream.rows.keep(changed)
        for portion in portions:
            portion.stream.version = portion.events[-1].seq
            if portion.is_last:
                self._streams.pop(portion.stream.call_session_id, None)

    async def _make_partitions(self, portions: Sequence[_Portion]) -> None:
        """Make the partitions for the month of each call: the write may have failed because one was missing."""
        async with self._db.connection() as connection:
            for portion in portions:
                await ensure_for(connection, portion.stream.call_session_id)

    async def _reconcile(self, portions: Sequence[_Portion], error: Exception) -> None:
        """A stream has another version than expected. If it holds what was to be written, an earlier commit succeeded
        and its response was lost; else another process wrote to it, and the rest of the stream cannot be written."""
        settled = False
        for portion in portions:
            stream = portion.stream
            async with self._db.connection() as connection:
                stored = await call_events(
                    connection, stream.account_id, stream.call_session_id, after=portion.events[0].seq - 1
                )
            if not stored:
                continue
            settled = True
            ours = portion.events[: len(stored)]
            if len(ours) == len(stored) and all(map(_same, ours, stored)):
                stream.version = stored[-1].seq
                if portion.is_last and len(ours) == len(portion.events):
                    self._streams.pop(stream.call_session_id, None)
                portion.events = portion.events[len(stored) :]
            else:
                stream.dead = f"another writer has written event {stored[0].seq} of this stream"
                _log.error(
                    "stream_conflict",
                    account_id=stream.account_id,
                    call_session_id=stream.call_session_id,
                    expected=portion.events[0].seq - 1,
                    actual=stored[-1].seq,
                    consequence="the rest of this call is in dead_letters",
                    remedy="check that one switch runs for each switch.node",
                )
        if not settled:
            # The version differs, but there is no event: the tables were changed manually.
            await self._end_streams_of_wrong_version(portions, error)

    async def _end_streams_of_wrong_version(self, portions: Sequence[_Portion], error: Exception) -> None:
        """Find the streams whose stored version is not the expected one, by separate writes; the rest of their events goes
        into ``dead_letters``."""
        if len(portions) > 1:
            for portion in portions:
                await self._write_alone(portion, None)
            return
        stream = portions[0].stream
        stream.dead = f"the stream's version is not {stream.version}: {first_line(error)}"
        _log.error(
            "stream_conflict",
            account_id=stream.account_id,
            call_session_id=stream.call_session_id,
            expected=stream.version,
            error=first_line(error),
            consequence="the rest of this call is in dead_letters",
            remedy="check that one switch runs for each switch.node, and that no tables were changed manually",
        )

    async def _write_separately(
        self, portions: Sequence[_Portion], position: Instant | None, error: Exception
    ) -> None:
        """An event of the batch cannot be stored: write each stream separately, so that all others are stored."""
        if len(portions) == 1:
            await self._write_up_to_unstorable(portions[0], position, error)
            return
        for portion in portions:
            await self._write_alone(portion, position)

    async def _write_alone(self, portion: _Portion, position: Instant | None) -> None:
        await self._write([_Portion(portion.stream, list(portion.events))], position)
        portion.events = []

    async def _write_up_to_unstorable(
        self, portion: _Portion, position: Instant | None, error: Exception
    ) -> None:
        """Store the events before the one that cannot be stored; the stream is dead from there."""
        stream = portion.stream
        await self._make_partitions([portion])
        while portion.events:
            one = _Portion(stream, portion.events[:1])
            try:
                await self._transaction([one], position, rows=False)
            except _CONFLICT as conflict:
                await self._reconcile([one], conflict)
                if stream.dead is not None:
                    return
            except UNSTORABLE as refused:
                stream.dead = first_line(refused)
                _log.error(
                    "event_not_storable",
                    account_id=stream.account_id,
                    call_session_id=stream.call_session_id,
                    seq=one.events[0].seq,
                    type=one.events[0].type,
                    error=first_line(refused),
                    consequence="this event and the rest of its call are in dead_letters",
                    remedy="report this line",
                )
                break
            portion.events = portion.events[1:]
        await self._write_row(portion, error)

    async def _write_row(self, portion: _Portion, error: Exception) -> None:
        """The rows of a stream whose events were stored one by one."""
        stream = portion.stream
        async with self._db.connection() as connection:
            stored = await call_events(connection, stream.account_id, stream.call_session_id)
        state = replay(stored)
        if state is None:
            return
        try:
            async with self._db.connection() as connection:
                await check_lease(connection, self._fence)
                legs = [history.leg_row(state, leg) for leg in state.legs.values()]
                await history.write(connection, [state], legs, [state], self._node)
        except UNSTORABLE as refused:
            stream.row_refused = True
            _log.error(
                "history_refused",
                account_id=stream.account_id,
                call_session_id=stream.call_session_id,
                error=first_line(refused),
                first_error=first_line(error),
                consequence="the call's events are stored, its report row is not",
                remedy="report this line",
            )

    async def _dead_letter(self, portion: _Portion) -> None:
        """Insert the events that cannot be stored into ``dead_letters``."""
        stream = portion.stream
        async with self._db.connection() as connection:
            await check_lease(connection, self._fence)
            for event in portion.events:
                await connection.execute(
                    _DEAD_LETTER,
                    (
                        event.account_id,
                        event.stream,
                        event.seq,
                        event.type.value,
                        to_datetime(event.at),
                        repr(dict(event.data)).replace("\x00", "\\x00"),
                        (stream.dead or "").replace("\x00", "\\x00"),
                    ),
                )
            for event in portion.events:
                if event.type is EventType.SESSION_FINISHED:
                    end = {name: event.data.get(name) for name in ("finish_reason", "is_lost")}
                    call = {"account_id": stream.account_id, "call_session_id": stream.call_session_id}
                    await connection.execute(_CLOSE, {**call, "at": to_datetime(event.at), **end})
        self.dead_letters += len(portion.events)
        if portion.is_last:
            self._streams.pop(stream.call_session_id, None)

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


def _evolve_to_end(portion: _Portion) -> None:
    """Bring the writer's own state of the call to the last event of the portion, or to the first that does not follow."""
    stream = portion.stream
    for number, event in enumerate(portion.events):
        try:
            if stream.state is not None:
                evolve(stream.state, event)
            elif event.type is EventType.SESSION_STARTED:
                stream.state = begin(event)
        except UNSTORABLE as error:
            _log.exception(
                "events_not_consistent",
                account_id=stream.account_id,
                call_session_id=stream.call_session_id,
                seq=event.seq,
                type=event.type,
                consequence="this event and the rest of its call are in dead_letters",
                remedy="report this line with its traceback",
            )
            portion.events, portion.rest, portion.fault = (
                portion.events[:number],
                portion.events[number:],
                error,
            )
            stream.row_refused = (
                True  # the state may have a part of the event: the row is made from what is stored
            )
            return


def _follows(versions: dict[int, int | None], event: Event) -> bool:
    """Whether the event is the next one of its call, which has it then."""
    call_session_id = event.call_session_id
    assert call_session_id is not None
    version = versions.get(call_session_id, 0)
    if version is None or event.seq != version + 1:
        return False
    versions[call_session_id] = event.seq
    return True


def _same(ours: Event, stored: Event) -> bool:
    return (
        ours.seq == stored.seq
        and ours.type is stored.type
        and abs(ours.at - stored.at) < 0.000_01
        and _plain(ours.data) == _plain(stored.data)
    )


def _plain(data: Any) -> Any:
    return orjson.loads(orjson.dumps(data))
