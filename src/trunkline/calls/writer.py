"""Events of live calls into PostgreSQL: in batches, in order, with outbox and history rows in one transaction.

While the database is away events wait in memory; the calls go on. The buffer is bounded: when it is full the switch
takes no new calls (:attr:`EventWriter.full`), so that nothing accepted is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence

import psycopg

from trunkline.calls import history
from trunkline.calls.session import Session
from trunkline.core.log import get_logger
from trunkline.core.tasks import core_task
from trunkline.db.partitions import ensure_for
from trunkline.db.pool import Database
from trunkline.events.catalogue import Event, EventType
from trunkline.events.store import write_call_events

GATHER_SECONDS = 0.02
"""How long a first event waits for others: bounds both the delay of a notification and what kill -9 may take. Whoever
waits for the writing (a command of a door) cuts it short."""
REST_SECONDS = 0.05
"""Time between the beginnings of two writings, while nobody waits: the first event after a pause goes soon, a stream of
them in larger batches."""
BUSY_REST_SECONDS = 0.15
"""The same while many calls come: the rows of a call are written once for each batch it is in."""
BUSY_EVENTS = 50
"""A batch of more tells that many calls come: what sixty calls a second make in a rest."""
BATCH_MAX = 500
RETRY_SECONDS_FIRST = 0.2
RETRY_SECONDS_MAX = 5.0

_log = get_logger("calls")

Pending = tuple[Event, Session]

HOPELESS = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.ProgrammingError,
    psycopg.NotSupportedError,
    psycopg.errors.ProgramLimitExceeded,
    psycopg.errors.StatementTooComplex,
    TypeError,
    ValueError,
    LookupError,
)
"""What no second attempt mends: a value that cannot be written. All else (the database is away, out of space, a
deadlock) is tried again until it works, so that nothing is lost."""


class EventWriter:
    """Takes events from the rules, keeps them until PostgreSQL has them.

    :param written: called after each batch with the sessions in it.
    """

    def __init__(
        self,
        db: Database,
        node: int,
        *,
        buffer_max: int,
        written: Callable[[Sequence[Session]], None] = lambda _: None,
    ) -> None:
        self._db = db
        self._node = node
        self._buffer_max = buffer_max
        self._written = written
        self._pending: deque[Pending] = deque()
        self._put = 0
        self._done = 0
        self._goal = 0
        self._began = 0.0
        self._rest = REST_SECONDS
        self._hurry = asyncio.Event()
        self._wake = asyncio.Event()
        self._progress = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self.away_since: float | None = None
        """Loop time since which the database does not take our events; None = it does."""

    def start(self) -> None:
        self._task = core_task(self._run(), name="event-writer")

    async def stop(self) -> None:
        """Write what is left (as long as the database takes it) and end."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.flush(), 5)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    @property
    def lag(self) -> int:
        """Events not yet written."""
        return len(self._pending)

    @property
    def full(self) -> bool:
        return len(self._pending) >= self._buffer_max

    def put(self, session: Session, events: Sequence[Event]) -> None:
        """Queue events of one session; never waits."""
        if not events:
            return
        self._pending.extend((event, session) for event in events)
        self._put += len(events)
        self._wake.set()

    async def flush(self) -> None:
        """Wait until all that was put before is written (or was refused by the database, and logged)."""
        goal = self._put
        if self._done < goal:
            self._goal = goal
            self._hurry.set()
        async with self._progress:
            await self._progress.wait_for(lambda: self._done >= goal)

    async def _run(self) -> None:
        delay = RETRY_SECONDS_FIRST
        while True:
            await self._wake.wait()
            if len(self._pending) < BATCH_MAX:
                await self._gather()
            if not self._pending:
                self._wake.clear()
                continue
            batch = [self._pending[i] for i in range(min(len(self._pending), BATCH_MAX))]
            self._rest = BUSY_REST_SECONDS if len(batch) > BUSY_EVENTS else REST_SECONDS
            try:
                await self._write(batch)
            except Exception as error:
                self._away(error)
                await asyncio.sleep(delay)
                delay = min(delay * 2, RETRY_SECONDS_MAX)
                continue
            delay = RETRY_SECONDS_FIRST
            self._back()
            for _ in batch:
                self._pending.popleft()
            self._done += len(batch)
            if self._done >= self._goal:
                self._hurry.clear()
            self._written(_sessions(batch))
            async with self._progress:
                self._progress.notify_all()
            if not self._pending:
                self._wake.clear()

    async def _gather(self) -> None:
        """Wait for more events, unless somebody waits for those that are here."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(max(loop.time() + GATHER_SECONDS, self._began + self._rest)):
                await self._hurry.wait()
        self._began = loop.time()

    async def _write(self, batch: Sequence[Pending]) -> None:
        """Write a batch; raises only what trying again may mend."""
        try:
            await self._transaction(batch)
        except psycopg.errors.CheckViolation:
            await self._make_partitions(batch)
            try:
                await self._transaction(batch)
            except HOPELESS as error:
                await self._one_by_one(batch, error)
        except HOPELESS as error:
            await self._one_by_one(batch, error)

    async def _make_partitions(self, batch: Sequence[Pending]) -> None:
        """For the month of each call: the writing failed for want of it."""
        async with self._db.connection() as connection:
            for session in _sessions(batch):
                await ensure_for(connection, session.call_session_id)

    async def _one_by_one(self, batch: Sequence[Pending], error: Exception) -> None:
        """Something in the batch cannot be written: save all else, and say what was lost."""
        sessions = _sessions(batch)
        if len(sessions) > 1:
            for session in sessions:
                await self._write([item for item in batch if item[1] is session])
            return
        for item in batch:
            try:
                await self._events_only([item])
            except HOPELESS as refused:
                self._refused(item, refused)
        try:
            await self._rows_only(sessions)
        except HOPELESS as refused:
            _log.error(
                "history_refused",
                call_session_id=sessions[0].call_session_id,
                error=_first_line(refused),
                remedy="the call's events are kept, its report row is not: this is a bug, please report it",
            )
        _log.warning(
            "batch_taken_apart", call_session_id=sessions[0].call_session_id, error=_first_line(error)
        )

    def _refused(self, item: Pending, error: Exception) -> None:
        event, session = item
        _log.error(
            "event_refused",
            call_session_id=session.call_session_id,
            seq=event.seq,
            type=event.type,
            data=repr(dict(event.data)),
            error=_first_line(error),
        )

    async def _transaction(self, batch: Sequence[Pending]) -> None:
        begun = [session for event, session in batch if event.type is EventType.SESSION_STARTED]
        async with self._db.connection() as connection:
            events = [event for event, _ in batch]
            await write_call_events(connection, events)
            await history.write_tags(connection, events)
            await history.write(connection, _sessions(batch), begun, self._node)

    async def _events_only(self, batch: Sequence[Pending]) -> None:
        async with self._db.connection() as connection:
            events = [event for event, _ in batch]
            await write_call_events(connection, events)
            await history.write_tags(connection, events)

    async def _rows_only(self, sessions: Sequence[Session]) -> None:
        async with self._db.connection() as connection:
            await history.write(connection, sessions, sessions, self._node)

    def _away(self, error: Exception) -> None:
        if self.away_since is None:
            self.away_since = asyncio.get_running_loop().time()
            _log.error(
                "database_away",
                error=_first_line(error),
                remedy="calls go on; events wait in memory until PostgreSQL answers again",
            )
        if self.full:
            _log.error(
                "event_buffer_full", events=self.lag, remedy="new calls are refused until PostgreSQL answers"
            )

    def _back(self) -> None:
        if self.away_since is not None:
            _log.info("database_back", waited_events=self.lag)
            self.away_since = None


def _sessions(batch: Sequence[Pending]) -> list[Session]:
    return list({id(session): session for _, session in batch}.values())


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
