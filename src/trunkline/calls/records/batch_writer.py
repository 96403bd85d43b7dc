"""Writes one batch of events: with outbox and history rows in one transaction, each stream with the expected version.

The writer is the one sequencer of the streams of its node's open calls. It keeps a state of each call that is rebuilt from
exactly the events of the batches written so far and the one being written, so a row never contains more than its stream.
A second attempt writes the same events, or finds them written. Only an event that no attempt can store is put into
``dead_letters``, with the rest of its stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import psycopg

from trunkline.calls.evolution import begin, evolve, replay
from trunkline.calls.records import history
from trunkline.calls.session import Session
from trunkline.core.clock import Instant, to_datetime
from trunkline.core.errors import StreamConflict, first_line
from trunkline.core.log import get_logger
from trunkline.db.partitions import ensure_for
from trunkline.db.pool import Database
from trunkline.events.catalogue import Event, EventType
from trunkline.events.store import UNSTORABLE, Fence, call_events, check_lease, write_call_events

_log = get_logger("calls")

_CONFLICT = (StreamConflict, psycopg.errors.UniqueViolation)

_DEAD_LETTER = """
insert into dead_letters (account_id, stream, seq, type, occurred_at, data, error)
values (%s, %s, %s, %s, %s, %s, %s)
"""

_COUNT_DEAD_LETTERS = """
select count(*) as count from dead_letters where account_id in (select account_id from accounts)
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
class Portion:
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


class BatchWriter:
    """Writes batches, one after another.

    :param fence: the lease under which this switch writes; None in tests.
    """

    def __init__(self, db: Database, node: int, fence: Fence | None = None) -> None:
        self._db = db
        self._node = node
        self._fence = fence
        self._streams: dict[int, _Stream] = {}
        self.dead_letters = 0
        """Events that could not be stored."""

    async def load_dead_letter_count(self) -> None:
        """Count events that former switches could not store: the alarm stays until an administrator deletes them."""
        row = await self._db.fetch_one(_COUNT_DEAD_LETTERS)
        self.dead_letters = int(row["count"]) if row is not None else 0

    def restore(self, events: Sequence[Event]) -> None:
        """Continue a stream that a former switch wrote.

        :param events: all of its stored events.
        """
        last = events[-1]
        call_session_id = last.call_session_id
        assert call_session_id is not None
        self._streams[call_session_id] = _Stream(last.account_id, call_session_id, last.seq, replay(events))

    async def portions(self, events: Iterable[Event]) -> list[Portion]:
        """A batch by streams, whose states are those after its last event."""
        found: dict[int, Portion] = {}
        for event in events:
            call_session_id = event.call_session_id
            assert call_session_id is not None
            portion = found.get(call_session_id)
            if portion is None:
                stream = self._streams.get(call_session_id)
                if stream is None:
                    stream = await self._stream(event, call_session_id)
                portion = found[call_session_id] = Portion(stream, [])
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

    async def write(self, portions: list[Portion], position: Instant | None) -> None:
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

    async def _cut_off(self, portion: Portion) -> None:
        """The events of a portion are written (or dead-lettered below): its stream is dead from those that do not follow."""
        if portion.fault is None:
            return
        if portion.stream.dead is None:
            await self._write_row(portion, portion.fault)
            portion.stream.dead = f"{type(portion.fault).__name__}: {portion.fault}"
            portion.events = []
        portion.events, portion.rest, portion.fault = portion.events + portion.rest, [], None

    async def _transaction(
        self, portions: Sequence[Portion], position: Instant | None, *, rows: bool = True
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

    async def _make_partitions(self, portions: Sequence[Portion]) -> None:
        """Make the partitions for the month of each call: the write may have failed because one was missing."""
        async with self._db.connection() as connection:
            for portion in portions:
                await ensure_for(connection, portion.stream.call_session_id)

    async def _reconcile(self, portions: Sequence[Portion], error: Exception) -> None:
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

    async def _end_streams_of_wrong_version(self, portions: Sequence[Portion], error: Exception) -> None:
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
        self, portions: Sequence[Portion], position: Instant | None, error: Exception
    ) -> None:
        """An event of the batch cannot be stored: write each stream separately, so that all others are stored."""
        if len(portions) == 1:
            await self._write_up_to_unstorable(portions[0], position, error)
            return
        for portion in portions:
            await self._write_alone(portion, position)

    async def _write_alone(self, portion: Portion, position: Instant | None) -> None:
        await self.write([Portion(portion.stream, list(portion.events))], position)
        portion.events = []

    async def _write_up_to_unstorable(
        self, portion: Portion, position: Instant | None, error: Exception
    ) -> None:
        """Store the events before the one that cannot be stored; the stream is dead from there."""
        stream = portion.stream
        await self._make_partitions([portion])
        while portion.events:
            one = Portion(stream, portion.events[:1])
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

    async def _write_row(self, portion: Portion, error: Exception) -> None:
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

    async def _dead_letter(self, portion: Portion) -> None:
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


def _evolve_to_end(portion: Portion) -> None:
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


def _same(ours: Event, stored: Event) -> bool:
    return (
        ours.seq == stored.seq
        and ours.type is stored.type
        and abs(ours.at - stored.at) < 0.000_01
        and _plain(ours.data) == _plain(stored.data)
    )


def _plain(data: Any) -> Any:
    return orjson.loads(orjson.dumps(data))
