"""Deliveries of one tenant are settled whatever happens to another tenant's subscription, row or endpoint."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from aiohttp import web

from tests.notifications.receiver import Received, Receiver
from tests.notifications.rig import Rig, call_events, open_rig, worker
from tests.worker_processes import worker_process
from trunkline.core.errors import DatabaseUnavailable
from trunkline.notifications import deliveries
from trunkline.notifications.deliveries import Attempt, Settlement
from trunkline.notifications.sender import SendOutcome

pytestmark = pytest.mark.drill

PROCESS = "tests.notifications.worker_process"
CALLS = 20


@pytest.fixture
async def rig(database: str) -> AsyncIterator[Rig]:
    async with open_rig(database) as rig:
        yield rig


async def _second_account(rig: Rig) -> Rig:
    row = await rig.db.fetch_one("insert into accounts (name) values ('Other Ltd') returning account_id")
    assert row is not None
    return Rig(rig.dsn, rig.db, row["account_id"])


class _Gate:
    """A receiver that answers nobody before it is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()

    async def __call__(self, _request: web.Request) -> web.StreamResponse:
        await self.opened.wait()
        return web.Response(text="thanks")


def _doubled(received: list[Received]) -> list[str]:
    counts = Counter(one.headers["Trunkline-Delivery"] for one in received)
    return [delivery for delivery, count in counts.items() if count > 1]


async def test_a_deleted_subscription_resends_nothing_of_others(rig: Rig) -> None:
    other = await _second_account(rig)
    gate = _Gate()
    async with Receiver(answer=gate) as receiver, Receiver(answer=gate) as doomed, worker(rig):
        await rig.subscribe(receiver.url, events=["call_start"])
        gone = await other.subscribe(doomed.url, events=["call_start"])
        for _ in range(8):
            await other.happened(*call_events(other.account_id)[:1])
            await rig.happened(*call_events(rig.account_id)[:1])
        await receiver.wait_for(8)
        await doomed.wait_for(8)
        await other.subscriptions.remove(other.account_id, gone)
        gate.opened.set()
        settled = await rig.until_settled()
        await rig.happened(*call_events(rig.account_id)[:1])
        await receiver.wait_for(9)
    assert {one["status"] for one in settled} == {"delivered"}
    assert _doubled(receiver.received) == []
    assert [one["attempts"] for one in settled] == [1] * 8
    assert await other.deliveries() == []


async def test_a_subscription_that_is_being_deleted_delays_nobody(rig: Rig) -> None:
    """Its deletion has locked its deliveries and is not committed yet."""
    other = await _second_account(rig)
    gate = _Gate()
    async with Receiver(answer=gate) as receiver, Receiver(answer=gate) as doomed, worker(rig):
        await rig.subscribe(receiver.url, events=["call_start"])
        gone = await other.subscribe(doomed.url, events=["call_start"])
        await other.happened(*call_events(other.account_id)[:1])
        await rig.happened(*call_events(rig.account_id)[:1])
        await receiver.wait_for(1)
        await doomed.wait_for(1)
        async with await psycopg.AsyncConnection.connect(rig.dsn) as deleting:
            await deleting.execute(
                "delete from subscriptions where account_id = %s and subscription_id = %s",
                (other.account_id, gone),
            )
            await deleting.execute("delete from deliveries where account_id = %s", (other.account_id,))
            gate.opened.set()
            async with asyncio.timeout(15):
                while {one["status"] for one in await rig.deliveries()} != {"delivered"}:
                    await asyncio.sleep(0.02)
            await rig.happened(*call_events(rig.account_id)[:1])
            await receiver.wait_for(2, 15)
            assert [one["status"] for one in await other.deliveries()] == ["pending"]
            await deleting.rollback()
        async with asyncio.timeout(15):
            while {one["status"] for one in await other.deliveries()} != {"delivered"}:
                await asyncio.sleep(0.02)
    assert _doubled([*receiver.received, *doomed.received]) == []


async def test_a_subscription_in_deletion_does_not_stop_new_deliveries_of_others(rig: Rig) -> None:
    """The relay makes deliveries while a transaction that deletes a subscription stays open."""
    other = await _second_account(rig)
    async with Receiver() as receiver, worker(rig):
        await rig.subscribe(receiver.url, events=["call_start"])
        gone = await other.subscribe(receiver.url + "?other", events=["call_start"])
        async with await psycopg.AsyncConnection.connect(rig.dsn) as deleting:
            await deleting.execute(
                "delete from subscriptions where account_id = %s and subscription_id = %s",
                (other.account_id, gone),
            )
            await other.happened(*call_events(other.account_id)[:1])
            await rig.happened(*call_events(rig.account_id)[:1])
            async with asyncio.timeout(15):
                while not any(one.query == "" for one in receiver.received):
                    await asyncio.sleep(0.02)
            await deleting.commit()


async def test_each_outcome_is_settled_by_itself(rig: Rig) -> None:
    """A deleted row, a locked row and values that cannot be stored, in one batch with good ones."""
    await rig.subscribe("http://127.0.0.1:9/", events=["call_start"])
    subscription = (await rig.subscriptions.all(rig.account_id))[0].subscription_id
    async with rig.db.connection() as conn:
        made = await deliveries.make(
            conn,
            [
                {
                    "account_id": rig.account_id,
                    "subscription_id": subscription,
                    "stream": f"s:{number}",
                    "seq": 1,
                    "mnemonic": "call_start",
                    "occurred_at": "2026-01-01T00:00:00Z",
                    "variables": {},
                }
                for number in range(3)
            ],
        )
    rows = await rig.db.fetch_all(
        "select *, extract(epoch from round_started_at)::float8 as round_started, 0 as failures,"
        " false as is_suspended from deliveries where account_id = %s order by delivery_id",
        (rig.account_id,),
    )
    good, locked, gone = (_attempt(row) for row in rows)
    async with await psycopg.AsyncConnection.connect(rig.dsn) as holding:
        await holding.execute("delete from deliveries where account_id = %s and delivery_id = %s", gone.key)
        await holding.commit()
        await holding.execute(
            "select 1 from deliveries where account_id = %s and delivery_id = %s for update", locked.key
        )
        async with rig.db.connection() as conn:
            settled = await deliveries.settle(conn, [gone, locked, good])
    assert settled == {
        gone.key: Settlement.GONE,
        locked.key: Settlement.LOCKED,
        good.key: Settlement.WRITTEN,
    }
    async with rig.db.connection() as conn:
        assert await deliveries.settle(conn, [locked, good]) == {
            locked.key: Settlement.WRITTEN,
            good.key: Settlement.WRITTEN,
        }
    assert [(one["delivery_id"], one["status"], one["attempts"]) for one in await rig.deliveries()] == [
        (made[0], "delivered", 1),
        (made[1], "delivered", 1),
    ]


def _attempt(row: dict[str, Any]) -> Attempt:
    return Attempt(row, SendOutcome(200, None, "thanks", 5, endpoint_failed=False), "{}", "delivered", 1.0)


async def test_a_value_that_cannot_be_stored_breaks_no_other_outcome(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL refuses one outcome of a batch; the others and the delivery itself are settled."""
    other = await _second_account(rig)
    real = deliveries.settle

    async def refuses(conn: Any, attempts: Any, *, without_texts: bool = False) -> Any:
        if not without_texts and any(one.key[0] == other.account_id for one in attempts):
            await conn.execute("select '\\ud800'::json ->> 0, '\"\\ud800\"'::jsonb")
        return await real(conn, attempts, without_texts=without_texts)

    monkeypatch.setattr(deliveries, "settle", refuses)
    gate = _Gate()
    async with Receiver(answer=gate) as receiver, worker(rig):
        await rig.subscribe(receiver.url, events=["call_start"])
        await other.subscribe(receiver.url, events=["call_start"])
        await other.happened(*call_events(other.account_id)[:1])
        await rig.happened(*call_events(rig.account_id)[:1])
        await receiver.wait_for(2)
        gate.opened.set()
        await rig.until_settled()
    assert len(receiver.received) == 2
    assert {one["status"] for one in [*await rig.deliveries(), *await other.deliveries()]} == {"delivered"}


async def test_outcomes_survive_an_absent_database(rig: Rig) -> None:
    """Answers that arrive while the database is unavailable are written when it is back; nothing is sent twice."""
    gate = _Gate()
    async with Receiver(answer=gate) as receiver, worker(rig):
        await rig.subscribe(receiver.url, events=["call_start"])
        for _ in range(6):
            await rig.happened(*call_events(rig.account_id)[:1])
        await receiver.wait_for(6)
        async with await psycopg.AsyncConnection.connect(rig.dsn, autocommit=True) as own:
            await own.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )
        gate.opened.set()
        settled = None
        while settled is None:
            with contextlib.suppress(
                DatabaseUnavailable
            ):  # the pool may still hold a connection that was ended
                settled = await rig.until_settled()
    assert {one["status"] for one in settled} == {"delivered"}
    assert _doubled(receiver.received) == []


async def test_a_killed_worker_repeats_only_what_was_not_settled_with_the_same_id(rig: Rig) -> None:
    async with Receiver() as receiver:
        await rig.subscribe(receiver.url, events=["call_start"])
        async with worker_process(PROCESS, rig.dsn) as first:
            for _ in range(CALLS):
                await rig.happened(*call_events(rig.account_id)[:1])
            await receiver.wait_for(5)
            first.kill()
            await first.wait()
        killed_at = time.time()
        settled = {one["delivery_id"] for one in await rig.deliveries() if one["status"] == "delivered"}
        async with worker_process(PROCESS, rig.dsn):
            await rig.until_settled(60)
    again = {int(one.headers["Trunkline-Delivery"]) for one in receiver.received if one.at > killed_at}
    assert not again & settled
    assert {int(one.headers["Trunkline-Delivery"]) for one in receiver.received} == {
        one["delivery_id"] for one in await rig.deliveries()
    }
