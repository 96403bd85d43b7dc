"""Events on their way into PostgreSQL: the call's own journal and the outbox, in one transaction.

Writing is idempotent: an event is identified by ``(account_id, stream, seq)``; a second write of the same event
changes nothing and puts nothing into the outbox.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from psycopg import AsyncConnection

from trunkline.core.clock import Instant, to_datetime, to_instant
from trunkline.events.catalogue import QUIET, Event, EventType, call_stream

OUTBOX_CHANNEL = "trunkline_outbox"
"""NOTIFY channel that wakes the relay."""

CALLS_CHANNEL = "trunkline_calls"
"""NOTIFY channel that tells which events of which calls were written, see :class:`Written`."""

_WRITTEN_IN_ONE = 120
"""Calls in one payload, which PostgreSQL bounds at 8000 bytes."""

_QUIET = [type_.value for type_ in QUIET]

_WRITE_CALL_EVENTS = """
with fresh as (
    insert into call_events (account_id, call_session_id, seq, type, occurred_at, data)
    select account_id, call_session_id, seq, type, occurred_at, data
    from jsonb_to_recordset(%(facts)s::jsonb) as fact(account_id bigint, call_session_id bigint, seq int, type text,
        occurred_at timestamptz, data jsonb)
    on conflict (account_id, call_session_id, seq) do nothing
    returning account_id, call_session_id, seq, type, occurred_at, data
)
insert into outbox (account_id, stream, seq, type, occurred_at, data)
select account_id, 'call:' || call_session_id, seq, type, occurred_at, data from fresh
where type <> all(%(quiet)s::text[]) order by call_session_id, seq
on conflict (account_id, stream, seq) do nothing
"""

_ANNOUNCE = "select pg_notify(channel, payload) from unnest(%s::text[], %s::text[]) as said(channel, payload)"

_LAST_SEQ_OF_CALL = """
select coalesce(max(seq), 0) as seq from call_events where account_id = %s and call_session_id = %s
"""

_EVENTS_OF_CALLS = """
select account_id, call_session_id, seq, type, occurred_at, data
from unnest(%s::bigint[], %s::bigint[]) as wanted(account_id, call_session_id)
    join call_events using (account_id, call_session_id)
order by call_session_id, seq
"""

_APPEND_TO_LINE = """
insert into stream_positions (account_id, stream, last_seq) values (%s, %s, 1)
on conflict (account_id, stream) do update set last_seq = stream_positions.last_seq + 1
returning last_seq
"""


async def write_call_events(connection: AsyncConnection[Any], events: Sequence[Event]) -> None:
    """Write numbered call events of any number of sessions and accounts, with their outbox rows.

    :raises psycopg.Error: nothing is written then; the caller's transaction decides.
    """
    if not events:
        return
    facts = [
        {
            "account_id": event.account_id,
            "call_session_id": event.call_session_id,
            "seq": event.seq,
            "type": event.type.value,
            "occurred_at": to_datetime(event.at),
            "data": event.data,
        }
        for event in events
    ]
    await connection.execute(_WRITE_CALL_EVENTS, {"facts": orjson.dumps(facts).decode(), "quiet": _QUIET})
    said = [(OUTBOX_CHANNEL, ""), *((CALLS_CHANNEL, payload) for payload in announcements(events))]
    await connection.execute(_ANNOUNCE, ([channel for channel, _ in said], [payload for _, payload in said]))


@dataclass(frozen=True, slots=True)
class Written:
    """Events ``first_seq`` to ``last_seq`` of one call are in the table now (or were before)."""

    account_id: int
    call_session_id: int
    first_seq: int
    last_seq: int


def announcements(events: Iterable[Event]) -> list[str]:
    """Payloads that tell of these events: ``account:session:first:last,...``."""
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
    """What a payload of :data:`CALLS_CHANNEL` tells."""
    return [Written(*(int(number) for number in part.split(":"))) for part in payload.split(",") if part]


async def append(
    connection: AsyncConnection[Any],
    account_id: int,
    stream: str,
    type_: EventType,
    at: Instant,
    data: Mapping[str, Any],
) -> int:
    """Add one event at the end of a stream and return its number.

    For those who do not own the stream's numbering: what happens to a call after its end, and lines. Waits for
    other writers of the same stream until the transaction ends.
    """
    await connection.execute(
        "select pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"{account_id}:{stream}",)
    )
    kind, _, key = stream.partition(":")
    if kind == "call":
        cursor = await connection.execute(_LAST_SEQ_OF_CALL, (account_id, int(key)))
        row = await cursor.fetchone()
        seq = int(_value(row, "seq")) + 1
        event = Event(account_id, stream, seq, type_, at, data)
        await write_call_events(connection, [event])
        return seq
    cursor = await connection.execute(_APPEND_TO_LINE, (account_id, stream))
    seq = int(_value(await cursor.fetchone(), "last_seq"))
    await connection.execute(
        "insert into outbox (account_id, stream, seq, type, occurred_at, data) values (%s, %s, %s, %s, %s, %s::jsonb)",
        (account_id, stream, seq, type_.value, to_datetime(at), orjson.dumps(data).decode()),
    )
    await connection.execute("select pg_notify(%s, '')", (OUTBOX_CHANNEL,))
    return seq


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
