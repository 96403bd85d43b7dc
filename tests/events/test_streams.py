"""Streams of lines, agents and queues: appended with the expected version, and watched by the same feed as calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import psycopg
import pytest

from trunkline.calls.switch.queue_store import DatabaseQueueStore
from trunkline.core.clock import Instant
from trunkline.core.errors import LeaseLost, StreamConflict
from trunkline.core.ids import IdGenerator
from trunkline.db.pool import Database
from trunkline.events.catalogue import Event, EventType, agent_stream, call_stream, line_stream, queue_stream
from trunkline.events.feed import CallFeed
from trunkline.events.store import (
    Fence,
    WrittenInStream,
    append_to_end,
    append_to_stream,
    append_to_streams,
    prune_streams,
    stream_events,
    write_call_events,
)

ACCOUNT = 1001
AGENT = agent_stream(15)
PUBLISHED, UNPUBLISHED = EventType.LINE_LOST, EventType.TIMER_STARTED


@pytest.fixture
async def db(database: str) -> AsyncIterator[Database]:
    async with await Database.open(database) as opened:
        await opened.execute(
            "insert into accounts (account_id, name, country, time_zone) values (%s, 'Sample Ltd', 'AE', 'Asia/Dubai')",
            (ACCOUNT,),
        )
        yield opened


def event(seq: int, type_: EventType = PUBLISHED, stream: str = AGENT, at: float = 1000.5) -> Event:
    return Event(ACCOUNT, stream, seq, type_, Instant(at), {"n": seq})


async def put(db: Database, *events: Event) -> None:
    async with db.connection() as connection:
        await append_to_stream(connection, events)


async def stored(db: Database, stream: str = AGENT, after: int = 0) -> list[Event]:
    async with db.connection() as connection:
        return await stream_events(connection, ACCOUNT, stream, after=after)


async def test_events_are_appended_at_the_expected_version_and_read_again(db: Database) -> None:
    events = [event(1), event(2, UNPUBLISHED), event(3)]
    await put(db, *events[:2])
    await put(db, events[2])
    assert await stored(db) == events
    assert await stored(db, after=2) == events[2:]
    assert await stored(db, queue_stream(15)) == []
    rows = await db.fetch_all(
        "select stream, seq from outbox where account_id = %s order by outbox_id", (ACCOUNT,)
    )
    assert [(row["stream"], row["seq"]) for row in rows] == [(AGENT, 1), (AGENT, 3)]


@pytest.mark.parametrize("first", [1, 2, 5], ids=["another first", "another second", "a gap"])
async def test_another_version_is_a_conflict_and_writes_nothing(db: Database, first: int) -> None:
    await put(db, event(1), event(2))
    with pytest.raises(StreamConflict, match=AGENT):
        await put(db, event(first, UNPUBLISHED), event(first + 1))
    assert await stored(db) == [event(1), event(2)]


async def test_a_commit_whose_response_was_lost_may_be_repeated(db: Database) -> None:
    await put(db, event(1), event(2))
    await put(db, event(1), event(2))
    await put(db, event(2))
    await put(db, event(3))
    assert await stored(db) == [event(1), event(2), event(3)]


async def test_two_writers_of_one_version(db: Database) -> None:
    """Exactly one of them writes."""
    await put(db, event(1))
    outcomes = await asyncio.gather(
        put(db, event(2, at=2000.0)), put(db, event(2, at=3000.0)), return_exceptions=True
    )
    assert [type(one) for one in outcomes if one is not None] == [StreamConflict]
    assert len(await stored(db)) == 2


async def test_the_stream_of_a_call_is_refused(db: Database) -> None:
    with pytest.raises(ValueError, match="call"):
        await put(db, event(1, stream=call_stream(7)))
    with pytest.raises(ValueError, match="does not follow"):
        await put(db, event(1), event(3))


async def test_one_feed_has_calls_and_other_streams(db: Database) -> None:
    now = time.time()
    call = Event(ACCOUNT, call_stream(IdGenerator(0).next()), 1, EventType.SESSION_STARTED, Instant(now), {})
    async with CallFeed(db) as feed:
        with (
            feed.watching(ACCOUNT) as calls,
            feed.watching(ACCOUNT, kinds=frozenset({"agent", "line"})) as agents,
            feed.watching(ACCOUNT + 1, kinds=frozenset({"agent", "line"})) as stranger,
        ):
            await put(db, event(1), event(2, UNPUBLISHED))
            async with db.connection() as connection:
                data = {"sip_line_id": 4}
                await append_to_end(connection, ACCOUNT, line_stream(4), PUBLISHED, Instant(now), data)
                await write_call_events(connection, [call])
            async with asyncio.timeout(30):
                assert [await agents.next() for _ in range(2)] == [event(1), event(2, UNPUBLISHED)]
                assert (await agents.next()).stream == line_stream(4)
                assert (await calls.next()).stream == call.stream
            assert stranger._queue.empty()


async def test_old_events_of_lines_are_deleted_and_those_of_agents_are_kept(db: Database) -> None:
    await put(db, event(1))
    for at in (1000.5, time.time()):
        async with db.connection() as connection:
            await append_to_end(connection, ACCOUNT, line_stream(4), PUBLISHED, Instant(at), {})
    async with db.connection() as connection:
        assert await prune_streams(connection) == 1
    assert [one.seq for one in await stored(db, line_stream(4))] == [2]
    assert len(await stored(db)) == 1


def test_an_announcement_is_read_again() -> None:
    written = WrittenInStream(ACCOUNT, 4, 9, "row:sip_line:5:0a1b/2")
    assert WrittenInStream.read(written.payload) == written
    assert WrittenInStream.read("1001:5:1:3") is None


# --- many streams at once


async def put_all(db: Database, *events: Event, fence: Fence | None = None) -> None:
    async with db.connection() as connection:
        await append_to_streams(connection, events, fence)


QUEUE = queue_stream(7)


async def test_events_of_many_streams_are_appended_by_one_statement(db: Database) -> None:
    await put_all(db, event(1), event(1, stream=QUEUE), event(2))
    await put_all(db, event(2, stream=QUEUE), event(3))
    assert await stored(db) == [event(1), event(2), event(3)]
    assert await stored(db, QUEUE) == [event(1, stream=QUEUE), event(2, stream=QUEUE)]
    rows = await db.fetch_all("select stream, seq from outbox order by stream, seq")
    assert [(row["stream"], row["seq"]) for row in rows] == [
        (AGENT, 1), (AGENT, 2), (AGENT, 3), (QUEUE, 1), (QUEUE, 2),
    ]  # fmt: skip


@pytest.mark.parametrize("wrong", [event(1), event(3)])
async def test_a_wrong_version_of_one_stream_stores_nothing_of_all(db: Database, wrong: Event) -> None:
    await put_all(db, event(1))
    with pytest.raises((StreamConflict, psycopg.errors.UniqueViolation)):
        await put_all(db, event(1, stream=QUEUE), wrong)
    assert await stored(db, QUEUE) == []
    assert await stored(db) == [event(1)]


async def test_a_store_of_queues_accepts_what_is_stored_already(db: Database) -> None:
    store = DatabaseQueueStore(db, None)
    for _ in range(2):  # the response of the first was lost
        await store.append([event(1), event(1, stream=QUEUE)])
    assert await stored(db) == [event(1)]
    with pytest.raises(StreamConflict):
        await store.append([event(1, UNPUBLISHED), event(2, stream=QUEUE)])
    assert await stored(db, QUEUE) == [event(1, stream=QUEUE)]


async def test_calls_that_joined_a_queue_are_found(db: Database) -> None:
    joined = [
        Event(ACCOUNT, QUEUE, n, type_, Instant(1000.5), {"call_session_id": call})
        for n, (type_, call) in enumerate(
            [(EventType.CALLER_JOINED, 7), (EventType.CALLER_RESUMED, 8), (EventType.CALLER_LEFT, 9)], 1
        )
    ]
    await put_all(db, *joined)
    assert await DatabaseQueueStore(db, None).joined(ACCOUNT, [7, 8, 9, 10]) == {7, 8}
    assert await DatabaseQueueStore(db, None).joined(1002, [7, 8, 9]) == set()


async def test_a_former_switch_stores_nothing(db: Database) -> None:
    await db.execute(
        "insert into switch_leases (node, holder, control_url, expires_at, renewed_at, token)"
        " values (1, 'test', '', now(), now(), 2)"
    )
    await put_all(db, event(1), fence=Fence(1, 2))
    with pytest.raises(LeaseLost):
        await put_all(db, event(2), fence=Fence(1, 1))
    assert await stored(db) == [event(1)]


async def test_queues_are_read_from_their_last_snapshots(db: Database) -> None:
    await put_all(
        db,
        event(1, stream=QUEUE),
        event(2, EventType.QUEUE_SNAPSHOT, QUEUE),
        event(3, stream=QUEUE),
        event(4, EventType.QUEUE_SNAPSHOT, QUEUE),
        event(5, stream=QUEUE),
        event(1),
        event(1, stream=line_stream(3)),
    )
    found = await DatabaseQueueStore(db, None).read(ACCOUNT)
    assert [(one.stream, one.seq) for one in found] == [(AGENT, 1), (QUEUE, 4), (QUEUE, 5)]
    assert await DatabaseQueueStore(db, None).read(1002) == []
