"""The relay: in order, once, by one leader, and not delayed by listeners that fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from psycopg import AsyncConnection
from psycopg.errors import InsufficientPrivilege, UndefinedTable

from tests.notifications.rig import Rig, call_events, open_rig, relayed
from tests.patience import PATIENCE
from trunkline.events.catalogue import Event, EventType
from trunkline.events.relay import Relay, backlog, relay_batch, retry_failures

pytestmark = pytest.mark.shells


@pytest.fixture
async def rig(database: str) -> AsyncIterator[Rig]:
    async with open_rig(database) as rig:
        await rig.db.execute("create table heard (id serial, stream text, seq int)")
        yield rig


class Notebook:
    """Records its events; raises for events of one type, ``failing_type``."""

    def __init__(self, name: str = "notebook", failing_type: EventType | None = None) -> None:
        self._name = name
        self.failing_type = failing_type

    @property
    def name(self) -> str:
        return self._name

    async def on_events(self, conn: AsyncConnection[Any], events: Sequence[Event]) -> None:
        for event in events:
            await conn.execute("insert into heard (stream, seq) values (%s, %s)", (event.stream, event.seq))
            if event.type is self.failing_type:
                raise ValueError(f"raises for {event.type}")


async def heard(rig: Rig) -> list[tuple[str, int]]:
    rows = await rig.db.fetch_all("select stream, seq from heard order by id")
    return [(row["stream"], row["seq"]) for row in rows]


async def test_all_events_in_order_and_once(rig: Rig) -> None:
    events = call_events(rig.account_id)
    await rig.happened(*events)
    events = relayed(events)
    assert (await backlog(rig.db))[0] == len(events)
    async with rig.db.connection() as conn:
        assert await relay_batch(conn, [Notebook()], limit=4) == 4
        assert await relay_batch(conn, [Notebook()], limit=100) == len(events) - 4
        assert await relay_batch(conn, [Notebook()]) == 0
    assert await heard(rig) == [(event.stream, event.seq) for event in events]
    assert await backlog(rig.db) == (0, 0.0)


@pytest.mark.parametrize("indexes", ["on", "off"])
async def test_a_batch_is_the_oldest_events_however_they_are_found(rig: Rig, indexes: str) -> None:
    """PostgreSQL plans by statistics, and by these the outbox is empty: it is, most of the time."""
    await rig.happened(*call_events(rig.account_id))
    events = await rig.db.fetch_all("select stream, seq from outbox order by outbox_id")
    # One event is in front of older ones on the disk, in space that became free.
    await rig.db.execute("create table kept as select * from outbox")
    await rig.db.execute("delete from outbox")
    await rig.db.execute(
        "insert into outbox overriding system value select * from kept order by seq <> 5, outbox_id"
    )
    await rig.db.execute("update pg_class set reltuples = 0, relpages = 1 where relname = 'outbox'")
    async with rig.db.connection() as conn:
        await conn.execute(f"set enable_indexscan = {indexes}".encode())
        await conn.execute(f"set enable_bitmapscan = {indexes}".encode())
        await conn.commit()
        assert await relay_batch(conn, [Notebook()], limit=3) == 3
        while await relay_batch(conn, [Notebook()], limit=3):
            pass
    assert await heard(rig) == [(event["stream"], event["seq"]) for event in events]


async def test_an_event_for_which_a_listener_raises_is_stored_for_it_alone(rig: Rig) -> None:
    events = call_events(rig.account_id)
    await rig.happened(*events)
    events = relayed(events)
    failing, working = Notebook("failing", EventType.TALK_STARTED), Notebook("working")
    async with rig.db.connection() as conn:
        await relay_batch(conn, [failing, working])
    assert len(await heard(rig)) == 2 * len(events) - 1
    (failure,) = await rig.db.fetch_all("select * from event_failures")
    assert (failure["listener"], failure["type"]) == ("failing", "talk_started")
    assert "raises for" in failure["error"]

    assert await retry_failures(rig.db, [failing, working]) == 0, "not due yet"
    await rig.db.execute("update event_failures set next_attempt_at = now()")
    assert await retry_failures(rig.db, [failing, working]) == 0
    (failure,) = await rig.db.fetch_all("select * from event_failures")
    assert failure["attempts"] == 2
    failing.failing_type = None
    await rig.db.execute("update event_failures set next_attempt_at = now()")
    assert await retry_failures(rig.db, [failing, working]) == 1
    assert await retry_failures(rig.db, [failing, working]) == 0
    assert len(await heard(rig)) == 2 * len(events)


async def test_failures_that_nobody_here_handles_delay_no_others(rig: Rig) -> None:
    """Of a listener that was removed, or a type of a newer version."""
    for number, (listener, kind) in enumerate(
        [("gone", "talk_started"), ("working", "of_a_newer_version"), ("working", "talk_started")]
    ):
        await rig.db.execute(
            """insert into event_failures
                   (account_id, listener, stream, seq, type, occurred_at, data, error, next_attempt_at)
               values (%s, %s, %s, 1, %s, now(), '{}', 'x', now())""",
            (rig.account_id, listener, f"call:{number + 1}", kind),
        )
    assert await retry_failures(rig.db, [Notebook("working")], limit=2) == 1
    assert [one[0] for one in await heard(rig)] == ["call:3"]


@pytest.mark.parametrize(
    "fault", ["alter table heard rename to mislaid", "set local role pg_monitor"], ids=["table", "permission"]
)
@pytest.mark.durability
async def test_while_a_table_or_permission_is_missing_events_wait_in_their_order(
    rig: Rig, fault: str
) -> None:
    """An operator's mistake is no fault of the events: none is stored as failed, none is passed over."""
    events = call_events(rig.account_id)
    await rig.happened(*events)
    events = relayed(events)

    class Hindered(Notebook):
        """Cannot write while the fault lasts."""

        hindered = True

        async def on_events(self, conn: AsyncConnection[Any], events: Sequence[Event]) -> None:
            if self.hindered:
                await conn.execute(fault.encode())
            await super().on_events(conn, events)

    listener = Hindered()
    with pytest.raises((UndefinedTable, InsufficientPrivilege)):
        async with rig.db.connection() as conn:
            await relay_batch(conn, [listener])
    assert (await backlog(rig.db))[0] == len(events)
    assert await rig.db.fetch_all("select * from event_failures") == []
    listener.hindered = False
    async with rig.db.connection() as conn:
        assert await relay_batch(conn, [listener]) == len(events)
    assert await heard(rig) == [(event.stream, event.seq) for event in events]


async def test_the_relay_goes_on_once_a_missing_table_is_back(rig: Rig) -> None:
    await rig.db.execute("alter table heard rename to mislaid")
    relay = asyncio.create_task(Relay(rig.db, [Notebook()]).run())
    try:
        events = call_events(rig.account_id)
        await rig.happened(*events)
        await asyncio.sleep(1.0)
        assert not relay.done()
        await rig.db.execute("alter table mislaid rename to heard")
        async with asyncio.timeout(20):
            while len(await heard(rig)) < len(relayed(events)):
                await asyncio.sleep(0.05)
        assert await rig.db.fetch_all("select * from event_failures") == []
    finally:
        relay.cancel()
        await asyncio.gather(relay, return_exceptions=True)


async def test_an_unknown_type_waits_for_a_version_that_knows_it(rig: Rig) -> None:
    await rig.happened(*call_events(rig.account_id)[:5])
    await rig.db.execute("update outbox set type = 'from_the_future' where seq = 1")
    async with rig.db.connection() as conn:
        await relay_batch(conn, [Notebook()])
    assert [seq for _, seq in await heard(rig)] == [5]
    (failure,) = await rig.db.fetch_all("select type from event_failures")
    assert failure["type"] == "from_the_future"


async def test_one_leads_and_another_takes_over(rig: Rig) -> None:
    first, second = Relay(rig.db, [Notebook()]), Relay(rig.db, [Notebook()])
    reported = len(relayed(call_events(rig.account_id)))
    first_run = asyncio.create_task(first.run())
    try:
        async with asyncio.timeout(PATIENCE):
            while not first.is_leader:
                await asyncio.sleep(0.01)
        second_run = asyncio.create_task(second.run())
        try:
            await rig.happened(*call_events(rig.account_id))
            async with asyncio.timeout(PATIENCE):
                while len(await heard(rig)) < reported:
                    await asyncio.sleep(0.01)
            assert not second.is_leader
            first_run.cancel()
            await asyncio.gather(first_run, return_exceptions=True)
            await rig.happened(*call_events(rig.account_id))
            async with asyncio.timeout(PATIENCE):
                while len(await heard(rig)) < 2 * reported:
                    await asyncio.sleep(0.01)
            assert second.is_leader
        finally:
            second_run.cancel()
            await asyncio.gather(second_run, return_exceptions=True)
    finally:
        first_run.cancel()
        await asyncio.gather(first_run, return_exceptions=True)


def test_listeners_need_names_of_their_own(rig: Rig) -> None:
    with pytest.raises(ValueError, match="same name"):
        Relay(rig.db, [Notebook(), Notebook()])
