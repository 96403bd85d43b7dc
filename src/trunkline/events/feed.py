"""Events of calls and of other streams for watchers, as they occur: one listener on the database for each process.

A watcher sees the events of its account's calls (or of one call, or of lines, agents and queues) from the moment it begins,
in the order of each stream. It never holds anybody up: one that does not keep up is ended (:class:`WatchEnded`), and so are
all when the database was unavailable, as events may have been missed. They begin again, with
:func:`trunkline.events.store.call_events` or :func:`~trunkline.events.store.stream_events` for the events between.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from enum import StrEnum

import psycopg

from trunkline.core.clock import to_instant
from trunkline.core.errors import DatabaseUnavailable
from trunkline.core.log import get_logger
from trunkline.core.tasks import core_task
from trunkline.db.pool import Database, Row, log_cause
from trunkline.events.catalogue import Event, EventType, call_stream
from trunkline.events.store import CALLS_CHANNEL, STREAMS_CHANNEL, Written, WrittenInStream, read_announcement

_log = get_logger("events.feed")

QUEUE_MAX = 1000
"""Events that wait for one watcher."""

CALLS = frozenset({"call"})

_FIRST_CONNECT = 5.0
"""Seconds that the start waits for the listener's connection; it comes later by itself."""

_READ = """
select c.account_id, c.call_session_id, c.seq, c.type, c.occurred_at, c.data
from unnest(%(account_ids)s::bigint[], %(sessions)s::bigint[], %(firsts)s::int[], %(lasts)s::int[])
    as w (account_id, call_session_id, first_seq, last_seq)
join call_events c on c.account_id = w.account_id and c.call_session_id = w.call_session_id
    and c.seq between w.first_seq and w.last_seq
where c.account_id = any(%(account_ids)s) and c.call_session_id = any(%(sessions)s)
order by c.call_session_id, c.seq
"""


_READ_STREAM = """
select account_id, seq, type, occurred_at, data from stream_events
where account_id = %s and stream = %s and seq between %s and %s order by seq
"""


class EndReason(StrEnum):
    TOO_SLOW = "too_slow"
    MISSED = "missed"


class WatchEnded(Exception):  # noqa: N818 - the end of a watch, not a failure
    """No more events follow: the watcher must start again."""

    def __init__(self, reason: EndReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Watch:
    """One watcher's events. Made by :meth:`CallFeed.watching`."""

    def __init__(self, call_session_id: int | None, kinds: frozenset[str], queue_max: int) -> None:
        self._call_session_id = call_session_id
        self._kinds = kinds
        self._queue: asyncio.Queue[Event] = asyncio.Queue(queue_max)
        self._ended: EndReason | None = None
        self._wake = asyncio.Event()

    def offer(self, event: Event) -> None:
        """Queue an event, or end the watch when the queue is full."""
        is_wanted = event.stream.partition(":")[0] in self._kinds
        if self._ended is None and is_wanted and self._call_session_id in (None, event.call_session_id):
            try:
                self._queue.put_nowait(event)
            except asyncio.QueueFull:
                self.end(EndReason.TOO_SLOW)
            self._wake.set()

    def end(self, reason: EndReason) -> None:
        """No more events after those that wait."""
        self._ended = self._ended or reason
        self._wake.set()

    async def next(self) -> Event:
        """The next event.

        :raises WatchEnded: there is none any more.
        """
        while self._queue.empty():
            if self._ended is not None:
                raise WatchEnded(self._ended)
            self._wake.clear()
            await self._wake.wait()
        return self._queue.get_nowait()


class CallFeed:
    """Listens for all watchers of a process; an async context manager.

    :param queue_max: events that may wait for one watcher.
    """

    def __init__(self, db: Database, *, queue_max: int = QUEUE_MAX) -> None:
        self._db = db
        self._queue_max = queue_max
        self._watches: defaultdict[int, set[Watch]] = defaultdict(set)
        self._listening = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> CallFeed:
        self._task = core_task(self._run(), name="call-feed")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._listening.wait(), _FIRST_CONNECT)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._end_all()

    def watchers(self, account_id: int) -> int:
        """How many watch this account's calls here."""
        return len(self._watches.get(account_id, ()))

    @contextlib.contextmanager
    def watching(
        self, account_id: int, call_session_id: int | None = None, *, kinds: frozenset[str] = CALLS
    ) -> Iterator[Watch]:
        """Watch an account's calls, or one of them, for the time of the block.

        :param kinds: of the streams that are watched: ``call``, ``line``, ``agent``, ``queue``, ``account``.
        """
        watch = Watch(call_session_id, kinds, self._queue_max)
        self._watches[account_id].add(watch)
        try:
            yield watch
        finally:
            watches = self._watches[account_id]
            watches.discard(watch)
            if not watches:
                del self._watches[account_id]

    async def _run(self) -> None:
        async with contextlib.aclosing(self._db.listen(CALLS_CHANNEL, STREAMS_CHANNEL)) as payloads:
            async for payload in payloads:
                if payload == "":
                    self._end_all()  # A new connection: what was announced before it is lost.
                    self._listening.set()
                    continue
                try:
                    async for event in self._read(payload):
                        for watch in tuple(self._watches.get(event.account_id, ())):
                            watch.offer(event)
                except (DatabaseUnavailable, psycopg.Error) as error:
                    _log.warning(
                        "watchers_missed_events",
                        cause=log_cause(error),
                        error=str(error),
                        consequence="the streams end, so that their clients connect again and read the present state",
                    )
                    self._end_all()

    async def _read(self, payload: str) -> AsyncIterator[Event]:
        in_stream = WrittenInStream.read(payload)
        if in_stream is None:
            async for call_event in self._read_calls(read_announcement(payload)):
                yield call_event
        elif in_stream.account_id in self._watches:
            span = (in_stream.account_id, in_stream.stream, in_stream.first_seq, in_stream.last_seq)
            for row in await self._db.fetch_all(_READ_STREAM, span):
                event = _event_of(row, in_stream.stream)
                if event is not None:
                    yield event

    async def _read_calls(self, written: Sequence[Written]) -> AsyncIterator[Event]:
        wanted = [one for one in written if one.account_id in self._watches]
        if not wanted:
            return
        parameters = {
            "account_ids": [one.account_id for one in wanted],
            "sessions": [one.call_session_id for one in wanted],
            "firsts": [one.first_seq for one in wanted],
            "lasts": [one.last_seq for one in wanted],
        }
        for row in await self._db.fetch_all(_READ, parameters):
            event = _event_of(row, call_stream(row["call_session_id"]))
            if event is not None:
                yield event

    def _end_all(self) -> None:
        for watches in self._watches.values():
            for watch in watches:
                watch.end(EndReason.MISSED)


def _event_of(row: Row, stream: str) -> Event | None:
    try:
        type_ = EventType(row["type"])
    except ValueError:
        return None  # Written by a newer version.
    return Event(row["account_id"], stream, row["seq"], type_, to_instant(row["occurred_at"]), row["data"])
