"""The event store: streams of numbered events, each with one sequencer.

An append has the version it expects, the number of the last event that its writer has read or written. In one
transaction it moves the stream's version and inserts the events and their outbox rows; with another version it raises
:class:`StreamConflict` and writes nothing. While a call's stream is open, its switch alone appends
to it. The event that closes it is ``session_finished``; after that any process may append (:func:`append_to_end`).

Streams of lines, agents, queues and accounts have their events in ``stream_events`` and their versions in
``stream_positions``. Each append is a statement of its own (:func:`append_to_stream`), so writing them never delays calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import orjson
import psycopg
from psycopg import AsyncConnection

from trunkline.core.clock import Instant, to_datetime, to_instant
from trunkline.core.errors import LeaseLost, StreamConflict, StreamOpen
from trunkline.events.catalogue import UNPUBLISHED, Event, EventType, call_stream

UNSTORABLE = (
    psycopg.DataError,
    psycopg.errors.NotNullViolation,
    psycopg.errors.CheckViolation,
    psycopg.errors.ForeignKeyViolation,
    psycopg.errors.ProgramLimitExceeded,
    psycopg.errors.StatementTooComplex,
    TypeError,
    ValueError,
    LookupError,
    ArithmeticError,
    AssertionError,
    AttributeError,
)
"""Errors that no retry resolves: a value that cannot be stored. After any other error (the database is unavailable, a table
or permission is missing, the disk is full, a deadlock) a writer waits and tries again until the write succeeds."""

OUTBOX_CHANNEL = "trunkline_outbox"
"""NOTIFY channel that wakes the relay."""

CALLS_CHANNEL = "trunkline_calls"
"""NOTIFY channel with the events that were written for each call, see :class:`Written`."""

STREAMS_CHANNEL = "trunkline_streams"
"""NOTIFY channel of :class:`WrittenInStream`: the events that were written to other streams."""

_WRITTEN_IN_ONE = 120
"""Calls in one payload, which PostgreSQL bounds at 8000 bytes."""

_UNPUBLISHED = [type_.value for type_ in UNPUBLISHED]

_ANNOUNCE = "select pg_notify(channel, payload) from unnest(%s::text[], %s::text[]) as said(channel, payload)"

_STREAM = "account_id bigint, call_session_id bigint, expected int, version int, is_open boolean"
_EVENT = "account_id bigint, call_session_id bigint, seq int, type text, occurred_at timestamptz, data jsonb"

_HOLDS_LEASE: LiteralString = """
    update switch_leases set position = greatest(position, %(position)s::timestamptz)
    where node = %(node)s and token = %(token)s returning node
"""
"""The row lock lasts until the commit: a takeover, which changes the token, waits for it."""

_NEEDS_NO_LEASE: LiteralString = "select 0 as node"

_APPEND: LiteralString = """
with holder as (__HOLDER__), wanted as materialized (
    select * from jsonb_to_recordset(%(streams)s::jsonb) as w(__STREAM__)
), moved as (
    update call_streams s set version = w.version, is_open = s.is_open and w.is_open
    from wanted w
    where w.expected > 0 and s.account_id = w.account_id and s.call_session_id = w.call_session_id
        and s.version = w.expected and s.call_session_id between %(first)s and %(last)s
    returning s.account_id, s.call_session_id
), begun as (
    insert into call_streams (account_id, call_session_id, version, is_open)
    select account_id, call_session_id, version, is_open from wanted where expected = 0
    returning account_id, call_session_id
), event as materialized (
    select * from jsonb_to_recordset(%(events)s::jsonb) as e(__EVENT__)
), written as (
    insert into call_events (account_id, call_session_id, seq, type, occurred_at, data)
    select account_id, call_session_id, seq, type, occurred_at, data from event
), published as (
    insert into outbox (account_id, stream, seq, type, occurred_at, data)
    select account_id, 'call:' || call_session_id, seq, type, occurred_at, data from event
    where type <> all(%(unpublished)s::text[]) order by call_session_id, seq
), announced as (
    select count(pg_notify(channel, payload)) as announced
    from unnest(%(channels)s::text[], %(payloads)s::text[]) as n(channel, payload)
)
select (select count(*) from holder) as holders, (select announced from announced) as announced,
    array(select row_to_json(w) from wanted w where not exists (select from moved m
            where m.account_id = w.account_id and m.call_session_id = w.call_session_id)
        and not exists (select from begun b
            where b.account_id = w.account_id and b.call_session_id = w.call_session_id)) as unmoved
""".replace("__STREAM__", _STREAM).replace("__EVENT__", _EVENT)

_APPEND_AS_HOLDER: LiteralString = _APPEND.replace("__HOLDER__", _HOLDS_LEASE)
_APPEND_AS_ANYBODY: LiteralString = _APPEND.replace("__HOLDER__", _NEEDS_NO_LEASE)

_ADVANCE_CLOSED = """
insert into call_streams as s (account_id, call_session_id, version, is_open)
select %(account_id)s, %(call_session_id)s, coalesce(max(seq), 0) + 1, false
from call_events where account_id = %(account_id)s and call_session_id = %(call_session_id)s
on conflict (account_id, call_session_id) do update set version = s.version + 1 where not s.is_open
returning version
"""
"""A call that is older than the table of streams has no row in it yet: its version is its last event's number."""

_OPEN = """
select account_id, call_session_id from call_streams
where is_open and (call_session_id >> 7) & 63 = %s and account_id in (select account_id from accounts)
order by call_session_id
"""

_KNOWN = """
select account_id, call_session_id
from unnest(%s::bigint[], %s::bigint[]) as wanted(account_id, call_session_id)
    join call_streams using (account_id, call_session_id)
where call_session_id between %s and %s
"""

_EVENTS_OF_CALLS = """
select account_id, call_session_id, seq, type, occurred_at, data
from unnest(%s::bigint[], %s::bigint[]) as wanted(account_id, call_session_id)
    join call_events using (account_id, call_session_id)
order by call_session_id, seq
"""

_NEXT_OF_STREAM = """
insert into stream_positions (account_id, stream, last_seq) values (%s, %s, 1)
on conflict (account_id, stream) do update set last_seq = stream_positions.last_seq + 1
returning last_seq
"""

_MOVE_STREAM = """
with moved as (
    update stream_positions set last_seq = %(last)s
    where account_id = %(account_id)s and stream = %(stream)s and last_seq = %(expected)s and %(expected)s > 0
    returning last_seq
), begun as (
    insert into stream_positions (account_id, stream, last_seq)
    select %(account_id)s, %(stream)s, %(last)s where %(expected)s = 0
    on conflict (account_id, stream) do nothing returning last_seq
)
select last_seq from moved union all select last_seq from begun
"""

_STORE_IN_STREAM: LiteralString = """
with event as materialized (
    select * from jsonb_to_recordset(%(events)s::jsonb) as e(seq int, type text, occurred_at timestamptz, data jsonb)
), written as (
    insert into stream_events (account_id, stream, seq, type, occurred_at, data)
    select %(account_id)s, %(stream)s, seq, type, occurred_at, data from event
), published as (
    insert into outbox (account_id, stream, seq, type, occurred_at, data)
    select %(account_id)s, %(stream)s, seq, type, occurred_at, data from event
    where type <> all(%(unpublished)s::text[]) order by seq
)
select pg_notify(%(outbox)s, ''), pg_notify(%(streams)s, %(payload)s)
"""

_APPEND_TO_STREAMS: LiteralString = """
with holder as (__HOLDER__), wanted as materialized (
    select * from jsonb_to_recordset(%(streams)s::jsonb) as w(account_id bigint, stream text, expected int, last int)
), moved as (
    update stream_positions p set last_seq = w.last from wanted w
    where w.expected > 0 and p.account_id = w.account_id and p.stream = w.stream and p.last_seq = w.expected
    returning p.stream
), begun as (
    insert into stream_positions (account_id, stream, last_seq)
    select account_id, stream, last from wanted where expected = 0
    on conflict (account_id, stream) do nothing returning stream
), event as materialized (
    select * from jsonb_to_recordset(%(events)s::jsonb)
        as e(account_id bigint, stream text, seq int, type text, occurred_at timestamptz, data jsonb)
), written as (
    insert into stream_events (account_id, stream, seq, type, occurred_at, data)
    select account_id, stream, seq, type, occurred_at, data from event
), published as (
    insert into outbox (account_id, stream, seq, type, occurred_at, data)
    select account_id, stream, seq, type, occurred_at, data from event
    where type <> all(%(unpublished)s::text[]) order by stream, seq
), announced as (
    select count(pg_notify(channel, payload)) as announced
    from unnest(%(channels)s::text[], %(payloads)s::text[]) as n(channel, payload)
)
select (select count(*) from holder) as holders, (select announced from announced) as announced,
    (select count(*) from moved) + (select count(*) from begun) as advanced
"""

_APPEND_TO_STREAMS_AS_HOLDER: LiteralString = _APPEND_TO_STREAMS.replace("__HOLDER__", _HOLDS_LEASE)
_APPEND_TO_STREAMS_AS_ANYBODY: LiteralString = _APPEND_TO_STREAMS.replace("__HOLDER__", _NEEDS_NO_LEASE)

_STREAM_EVENTS = """
select seq, type, occurred_at, data from stream_events
where account_id = %s and stream = %s and seq > %s order by seq
"""

_EVENTS_OF_QUEUES = """
select e.stream, e.seq, e.type, e.occurred_at, e.data
from stream_positions p
left join lateral (
    select seq from stream_events s where s.account_id = p.account_id and s.stream = p.stream
        and s.type in ('queue_snapshot', 'agent_snapshot') order by seq desc limit 1
) last on true
join stream_events e on e.account_id = p.account_id and e.stream = p.stream and e.seq >= coalesce(last.seq, 0)
where p.account_id = %s and (p.stream like 'queue:%%' or p.stream like 'agent:%%')
order by e.stream, e.seq
"""

_PRUNE = """
delete from stream_events
where account_id in (select account_id from accounts) and occurred_at < now() - make_interval(days => %s)
    and split_part(stream, ':', 1) in ('line', 'account', 'row')
"""
"""The state of an agent or a queue is made from its events, so theirs stay."""

NOTICES_DAYS = 90
"""For how long events of lines and accounts are kept."""


@dataclass(frozen=True, slots=True)
class Fence:
    """The lease under which a switch writes.

    :ivar token: grows with each takeover of the node; a writer with an older one writes nothing.
    """

    node: int
    token: int


async def write_call_events(
    connection: AsyncConnection[Any],
    events: Sequence[Event],
    fence: Fence | None = None,
    position: Instant | None = None,
) -> None:
    """Append events to the streams of any number of calls and accounts, with their outbox rows. The expected version of a
    stream is the number before its first event here; the numbers have no gaps.

    :param fence: checked in the same statement; None for writers that hold no lease.
    :param position: of the engine's signals, kept with the lease (:mod:`trunkline.calls.switch.lease`).
    :raises StreamConflict: a stream has another version. The caller's transaction must be rolled back.
    :raises LeaseLost: another switch holds the node's lease. The same.
    :raises psycopg.Error: nothing is written then; the caller's transaction decides.
    """
    if not events:
        return
    streams = _advances(events)
    facts = [_fact(event) for event in events]
    notices = [(OUTBOX_CHANNEL, ""), *((CALLS_CHANNEL, payload) for payload in announcements(events))]
    ids = [stream["call_session_id"] for stream in streams]
    cursor = await connection.execute(
        _APPEND_AS_ANYBODY if fence is None else _APPEND_AS_HOLDER,
        {
            "streams": orjson.dumps(streams).decode(),
            "events": orjson.dumps(facts).decode(),
            "unpublished": _UNPUBLISHED,
            "channels": [channel for channel, _ in notices],
            "payloads": [payload for _, payload in notices],
            "first": min(ids),
            "last": max(ids),
            "node": fence.node if fence else None,
            "token": fence.token if fence else None,
            "position": to_datetime(position) if position is not None else None,
        },
    )
    row = await cursor.fetchone()
    if not _value(row, "holders"):
        raise _lease_lost()
    for unmoved in _value(row, "unmoved"):
        raise StreamConflict(
            f"the stream of call {unmoved['call_session_id']} is not at version {unmoved['expected']}:"
            " another process has written to it"
        )


async def check_lease(connection: AsyncConnection[Any], fence: Fence | None) -> None:
    """Hold the lease until the transaction ends.

    :raises LeaseLost: another switch holds it.
    """
    if fence is None:
        return
    holder = {"node": fence.node, "token": fence.token, "position": None}
    cursor = await connection.execute(_HOLDS_LEASE, holder)
    if cursor.rowcount == 0:
        raise _lease_lost()


def _lease_lost() -> LeaseLost:
    return LeaseLost("another switch took over this node; this one must end")


def _advances(events: Sequence[Event]) -> list[dict[str, Any]]:
    """For each stream: the version that is expected, and that it has then."""
    streams: dict[tuple[int, int], dict[str, Any]] = {}
    for event in events:
        call_session_id = event.call_session_id
        if call_session_id is None:
            raise ValueError(f"{event.stream} is not a stream of a call")
        stream = streams.get((event.account_id, call_session_id))
        if stream is None:
            stream = streams[event.account_id, call_session_id] = {
                "account_id": event.account_id,
                "call_session_id": call_session_id,
                "expected": event.seq - 1,
                "version": event.seq - 1,
                "is_open": True,
            }
        if event.seq != stream["version"] + 1:
            raise ValueError(f"{event.stream}: event {event.seq} does not follow {stream['version']}")
        stream["version"] = event.seq
        if event.type is EventType.SESSION_FINISHED:
            stream["is_open"] = False
    return list(streams.values())


def _fact(event: Event) -> dict[str, Any]:
    return {
        "account_id": event.account_id,
        "call_session_id": event.call_session_id,
        "seq": event.seq,
        "type": event.type.value,
        "occurred_at": to_datetime(event.at),
        "data": event.data,
    }


async def open_calls(connection: AsyncConnection[Any], node: int) -> list[tuple[int, int]]:
    """Account and session ids of a node's calls whose ``session_finished`` is not written, oldest first."""
    cursor = await connection.execute(_OPEN, (node,))
    return [(_value(row, "account_id"), _value(row, "call_session_id")) for row in await cursor.fetchall()]


async def known_calls(
    connection: AsyncConnection[Any], calls: Iterable[tuple[int, int]]
) -> set[tuple[int, int]]:
    """Those of these calls (account and session ids) that have a stream, open or closed."""
    wanted = list(calls)
    if not wanted:
        return set()
    ids = [session for _, session in wanted]
    cursor = await connection.execute(_KNOWN, ([account for account, _ in wanted], ids, min(ids), max(ids)))
    return {(_value(row, "account_id"), _value(row, "call_session_id")) for row in await cursor.fetchall()}


@dataclass(frozen=True, slots=True)
class Written:
    """Events ``first_seq`` to ``last_seq`` of one call are in the table now (or were before)."""

    account_id: int
    call_session_id: int
    first_seq: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class WrittenInStream:
    """Events ``first_seq`` to ``last_seq`` of a stream that is not a call's are in the table now."""

    account_id: int
    first_seq: int
    last_seq: int
    stream: str

    @property
    def payload(self) -> str:
        """As it is announced on :data:`STREAMS_CHANNEL`."""
        return f"{self.account_id}/{self.first_seq}/{self.last_seq}/{self.stream}"

    @classmethod
    def read(cls, payload: str) -> WrittenInStream | None:
        """From a payload; None for one of :data:`CALLS_CHANNEL`."""
        account_id, found, rest = payload.partition("/")
        if not found:
            return None
        first, last, stream = rest.split("/", 2)
        return cls(int(account_id), int(first), int(last), stream)


def announcements(events: Iterable[Event]) -> list[str]:
    """Payloads for these events: ``account:session:first:last,...``."""
    spans: dict[tuple[int, int], tuple[int, int]] = {}
    for event in events:
        call_session_id = event.call_session_id
        if call_session_id is not None:
            key = (event.account_id, call_session_id)
            first, last = spans.get(key, (event.seq, event.seq))
            spans[key] = (min(first, event.seq), max(last, event.seq))
    parts = [f"{account}:{session}:{first}:{last}" for (account, session), (first, last) in spans.items()]
    return [",".join(parts[at : at + _WRITTEN_IN_ONE]) for at in range(0, len(parts), _WRITTEN_IN_ONE)]


def read_announcement(payload: str) -> list[Written]:
    """The content of a payload of :data:`CALLS_CHANNEL`."""
    return [Written(*(int(number) for number in part.split(":"))) for part in payload.split(",") if part]


async def append_to_end(
    connection: AsyncConnection[Any],
    account_id: int,
    stream: str,
    type_: EventType,
    at: Instant,
    data: Mapping[str, Any],
) -> int:
    """Append one event without an expected version, and return its number: to the stream of a call that is over, or
    to one that is not of a call.

    For writers that do not need to know the events before theirs. The row of the stream stays locked until the transaction
    ends, so that other writers of the same stream wait.

    :raises StreamOpen: the call is not over; its switch alone appends.
    """
    kind, _, key = stream.partition(":")
    if kind == "call":
        call = {"account_id": account_id, "call_session_id": int(key)}
        row = await (await connection.execute(_ADVANCE_CLOSED, call)).fetchone()
        if row is None:
            raise StreamOpen(
                "The end of this call is not written yet. Try again in a few seconds.",
                field="call_session_id",
                value=int(key),
            )
        seq = int(_value(row, "version"))
        await _insert_event(connection, Event(account_id, stream, seq, type_, at, data))
        return seq
    cursor = await connection.execute(_NEXT_OF_STREAM, (account_id, stream))
    seq = int(_value(await cursor.fetchone(), "last_seq"))
    await _store_in_stream(connection, [Event(account_id, stream, seq, type_, at, data)])
    return seq


async def append_to_stream(connection: AsyncConnection[Any], events: Sequence[Event]) -> None:
    """Append events to one stream that is not of a call, with their outbox rows. The expected version is the number
    before the first event; the numbers have no gaps. Events that are stored already are accepted: an earlier commit
    succeeded and its response was lost.

    :raises StreamConflict: the stream has another version. The caller's transaction must be rolled back.
    """
    if not events:
        return
    first = events[0]
    if first.call_session_id is not None:
        raise ValueError(f"{first.stream} is the stream of a call")
    for number, event in enumerate(events):
        if (event.account_id, event.stream, event.seq) != (
            first.account_id,
            first.stream,
            first.seq + number,
        ):
            raise ValueError(f"{event.stream}: event {event.seq} does not follow")
    expected = first.seq - 1
    position = {"account_id": first.account_id, "stream": first.stream, "expected": expected}
    cursor = await connection.execute(_MOVE_STREAM, {**position, "last": events[-1].seq})
    if await cursor.fetchone() is not None:
        await _store_in_stream(connection, events)
        return
    stored = await stream_events(connection, first.account_id, first.stream, after=expected)
    if len(stored) < len(events) or not all(map(_is_stored, events, stored)):
        raise StreamConflict(
            f"{first.stream} is not at version {expected}: another process has written to it",
            value=expected,
        )


async def stream_events(
    connection: AsyncConnection[Any], account_id: int, stream: str, *, after: int = 0
) -> list[Event]:
    """The events of a stream that is not a call's, in order; those past number ``after``."""
    cursor = await connection.execute(_STREAM_EVENTS, (account_id, stream, after))
    return [
        Event(
            account_id,
            stream,
            _value(row, "seq"),
            EventType(_value(row, "type")),
            to_instant(_value(row, "occurred_at")),
            _value(row, "data"),
        )
        for row in await cursor.fetchall()
    ]


async def events_of_queues(connection: AsyncConnection[Any], account_id: int) -> list[Event]:
    """The events of the queues and agents of an account, each stream in order, from its last snapshot on."""
    cursor = await connection.execute(_EVENTS_OF_QUEUES, (account_id,))
    return [
        Event(
            account_id,
            _value(row, "stream"),
            _value(row, "seq"),
            EventType(_value(row, "type")),
            to_instant(_value(row, "occurred_at")),
            _value(row, "data"),
        )
        for row in await cursor.fetchall()
    ]


async def append_to_streams(
    connection: AsyncConnection[Any], events: Sequence[Event], fence: Fence | None = None
) -> None:
    """Append events to any number of streams that are not of calls, by one statement; see :func:`append_to_stream`.

    :param fence: held until the transaction ends.
    :raises StreamConflict: a stream has another version. The caller's transaction must be rolled back.
    :raises psycopg.errors.UniqueViolation: the same: an earlier commit may have succeeded and its response was lost, see
        :func:`append_again`.
    :raises LeaseLost: another switch holds the node's lease. The same.
    """
    by_stream = _by_stream(events)
    streams = [
        {"account_id": one[0].account_id, "stream": stream, "expected": one[0].seq - 1, "last": one[-1].seq}
        for (_, stream), one in by_stream.items()
    ]
    facts = [
        {
            "account_id": one.account_id,
            "stream": one.stream,
            "seq": one.seq,
            "type": one.type.value,
            "occurred_at": to_datetime(one.at),
            "data": one.data,
        }
        for one in events
    ]
    written = [
        WrittenInStream(one[0].account_id, one[0].seq, one[-1].seq, stream).payload
        for (_, stream), one in by_stream.items()
    ]
    cursor = await connection.execute(
        _APPEND_TO_STREAMS_AS_ANYBODY if fence is None else _APPEND_TO_STREAMS_AS_HOLDER,
        {
            "streams": orjson.dumps(streams).decode(),
            "events": orjson.dumps(facts).decode(),
            "unpublished": _UNPUBLISHED,
            "channels": [OUTBOX_CHANNEL, *(STREAMS_CHANNEL for _ in written)],
            "payloads": ["", *written],
            "node": fence.node if fence else None,
            "token": fence.token if fence else None,
            "position": None,
        },
    )
    row = await cursor.fetchone()
    if not _value(row, "holders"):
        raise _lease_lost()
    if _value(row, "advanced") != len(streams):
        raise StreamConflict(f"one of {len(streams)} streams has another version")


async def append_again(
    connection: AsyncConnection[Any], events: Sequence[Event], fence: Fence | None = None
) -> None:
    """As :func:`append_to_streams`, but events that are stored already are accepted.

    :raises StreamConflict, LeaseLost: as there.
    """
    await check_lease(connection, fence)
    by_stream = _by_stream(events)
    for key in sorted(by_stream):  # one order for all writers: they cannot lock each other
        await append_to_stream(connection, by_stream[key])


def _by_stream(events: Iterable[Event]) -> dict[tuple[int, str], list[Event]]:
    found: dict[tuple[int, str], list[Event]] = {}
    for event in events:
        found.setdefault((event.account_id, event.stream), []).append(event)
    return found


async def prune_streams(connection: AsyncConnection[Any]) -> int:
    """Delete events of lines and accounts that are older than :data:`NOTICES_DAYS`; returns how many."""
    return (await connection.execute(_PRUNE, (NOTICES_DAYS,))).rowcount


async def _store_in_stream(connection: AsyncConnection[Any], events: Sequence[Event]) -> None:
    """Events of one stream whose version was moved before."""
    first, last = events[0], events[-1]
    facts = [
        {"seq": one.seq, "type": one.type.value, "occurred_at": to_datetime(one.at), "data": one.data}
        for one in events
    ]
    await connection.execute(
        _STORE_IN_STREAM,
        {
            "account_id": first.account_id,
            "stream": first.stream,
            "events": orjson.dumps(facts).decode(),
            "unpublished": _UNPUBLISHED,
            "outbox": OUTBOX_CHANNEL,
            "streams": STREAMS_CHANNEL,
            "payload": WrittenInStream(first.account_id, first.seq, last.seq, first.stream).payload,
        },
    )


def _is_stored(event: Event, stored: Event) -> bool:
    same = (event.seq, event.type) == (stored.seq, stored.type) and abs(event.at - stored.at) < 0.000_01
    return same and orjson.loads(orjson.dumps(event.data)) == stored.data


async def _insert_event(connection: AsyncConnection[Any], event: Event) -> None:
    """One event whose stream's version was moved before."""
    fact = {**_fact(event), "data": orjson.dumps(event.data).decode(), "stream": event.stream}
    await connection.execute(
        "insert into call_events (account_id, call_session_id, seq, type, occurred_at, data)"
        " values (%(account_id)s, %(call_session_id)s, %(seq)s, %(type)s, %(occurred_at)s, %(data)s::jsonb)",
        fact,
    )
    if event.type not in UNPUBLISHED:
        await connection.execute(
            "insert into outbox (account_id, stream, seq, type, occurred_at, data)"
            " values (%(account_id)s, %(stream)s, %(seq)s, %(type)s, %(occurred_at)s, %(data)s::jsonb)",
            fact,
        )
    notices = [(OUTBOX_CHANNEL, ""), *((CALLS_CHANNEL, payload) for payload in announcements([event]))]
    await connection.execute(
        _ANNOUNCE, ([channel for channel, _ in notices], [payload for _, payload in notices])
    )


async def call_events(
    connection: AsyncConnection[Any], account_id: int, call_session_id: int, *, after: int = 0
) -> list[Event]:
    """The events of a call, in order; those past number ``after``."""
    cursor = await connection.execute(
        "select seq, type, occurred_at, data from call_events"
        " where account_id = %s and call_session_id = %s and seq > %s order by seq",
        (account_id, call_session_id, after),
    )
    stream = call_stream(call_session_id)
    return [
        Event(
            account_id,
            stream,
            _value(row, "seq"),
            EventType(_value(row, "type")),
            to_instant(_value(row, "occurred_at")),
            _value(row, "data"),
        )
        for row in await cursor.fetchall()
    ]


async def events_of_calls(
    connection: AsyncConnection[Any], calls: Iterable[tuple[int, int]]
) -> dict[str, list[Event]]:
    """The events of many calls, each in order, by stream.

    :param calls: account and session ids.
    """
    wanted = list(calls)
    cursor = await connection.execute(
        _EVENTS_OF_CALLS, ([account for account, _ in wanted], [session for _, session in wanted])
    )
    found: dict[str, list[Event]] = {call_stream(session): [] for _, session in wanted}
    for row in await cursor.fetchall():
        stream = call_stream(row["call_session_id"])
        at = to_instant(row["occurred_at"])
        found[stream].append(
            Event(row["account_id"], stream, row["seq"], EventType(row["type"]), at, row["data"])
        )
    return found


def _value(row: Any, name: str) -> Any:
    """A column of a row, whether the connection makes dict or tuple rows."""
    if isinstance(row, Mapping):
        return row[name]
    raise TypeError("event store needs a connection with dict rows (trunkline.db.pool.Database)")
