"""From an event in the database to the receiver's hands."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import structlog
from psycopg.types.json import Jsonb

from tests.notifications.receiver import Received, Receiver, break_off, ok, slow, status
from tests.notifications.rig import (
    ALL_OF_A_CALL,
    LOOPBACK,
    Rig,
    call_events,
    new_session_id,
    open_rig,
    worker,
)
from tests.patience import PATIENCE
from trunkline.core.settings import NotificationSettings
from trunkline.db.partitions import ensure_partitions
from trunkline.notifications import deliveries

pytestmark = pytest.mark.shells

QUICK = NotificationSettings(connect_timeout=1, total_timeout=1, allowed_private_networks=LOOPBACK)


@pytest.fixture
async def rig(database: str) -> AsyncIterator[Rig]:
    async with open_rig(database) as rig:
        yield rig


async def test_a_call_is_reported_in_order(rig: Rig) -> None:
    async with Receiver() as receiver, worker(rig):
        await rig.subscribe(receiver.url)
        await rig.happened(*call_events(rig.account_id))
        received = await receiver.wait_for(len(ALL_OF_A_CALL))
        settled = await rig.until_settled()
    assert [one.json["notification_mnemonic"] for one in received] == list(ALL_OF_A_CALL)
    last = received[-1].json
    assert last["notification_name"] == "The hook"
    assert last["contact_full_name"] == 'Lee "Sam"'
    assert last["employee_id"] == 4001
    assert last["talk_time_duration"] == 3
    assert last["leg_ids"] == [last["call_session_id"] * 2, last["call_session_id"] * 2 + 1]
    assert last["notification_time"].endswith("Z")
    assert {one["status"] for one in settled} == {"delivered"}
    assert {one["attempts"] for one in settled} == {1}


async def test_template_and_signature(rig: Rig) -> None:
    template = '{"who": {{contact_full_name}}, "text": "from {{contact_full_name}}", "tags": {{tag_names}}}'
    async with Receiver() as receiver, worker(rig):
        await rig.subscribe(
            receiver.url + "?id={{call_session_id}}&who={{contact_full_name}}",
            events=["call_start"],
            body_template=template,
            secret="0123456789abcdef",
            headers={"X-Mine": "1"},
        )
        events = call_events(rig.account_id)
        await rig.happened(*events)
        (one,) = await receiver.wait_for(1)
    assert one.json == {"who": 'Lee "Sam"', "text": 'from Lee "Sam"', "tags": []}
    assert one.query == f"id={events[0].call_session_id}&who=Lee%20%22Sam%22"
    assert one.headers["X-Mine"] == "1"
    assert one.headers["Content-Type"] == "application/json"
    stamp, signature = one.headers["Trunkline-Signature"].split(",")
    expected = hmac.new(b"0123456789abcdef", f"{stamp[2:]}.".encode() + one.body, hashlib.sha256).hexdigest()
    assert signature == f"v1={expected}"
    assert one.headers["Idempotency-Key"] == f"{rig.account_id}-{one.headers['Trunkline-Delivery']}"


async def test_refused_ones_are_tried_again_and_keep_their_order(rig: Rig) -> None:
    async with Receiver(answer=status(500)) as receiver, worker(rig, QUICK):
        subscription_id = await rig.subscribe(receiver.url)
        events = call_events(rig.account_id)
        with structlog.testing.capture_logs() as logged:
            await rig.happened(*events)
            await receiver.wait_for(2)
        failed = next(one for one in logged if one["event"] == "delivery_failed")
        assert failed["log_level"] == "warning"
        assert (failed["account_id"], failed["subscription_id"]) == (rig.account_id, subscription_id)
        assert failed["call_session_id"] == events[0].call_session_id
        receiver.answer = break_off
        await receiver.wait_for(3)
        receiver.answer = ok
        settled = await rig.until_settled()
    accepted = [one.json["notification_mnemonic"] for one in receiver.received[3:]]
    assert {one.json["notification_mnemonic"] for one in receiver.received[:3]} == {ALL_OF_A_CALL[0]}
    assert accepted == list(ALL_OF_A_CALL)
    log = await rig.subscriptions.log(rig.account_id)
    assert len(log) == len(ALL_OF_A_CALL)
    attempts = await rig.db.fetch_all(
        "select * from delivery_attempts where delivery_id = %s order by attempt",
        (settled[0]["delivery_id"],),
    )
    assert [(one["status_code"], one["error"] is None) for one in attempts] == [
        (500, False),
        (500, False),
        (None, False),
        (200, True),
    ]
    assert attempts[0]["response_excerpt"] == "no"


async def test_redirects_are_not_followed(rig: Rig) -> None:
    async with (
        Receiver() as elsewhere,
        Receiver(answer=status(302, Location=elsewhere.url)) as receiver,
        worker(rig, QUICK),
    ):
        await rig.subscribe(receiver.url, events=["call_start"])
        await rig.happened(*call_events(rig.account_id)[:1])
        await receiver.wait_for(1)
        await asyncio.sleep(0.2)
    assert elsewhere.received == []
    (entry,) = await rig.subscriptions.log(rig.account_id)
    assert entry["status"] == "pending"
    assert entry["status_code"] == 302


async def test_dead_and_slow_endpoints_delay_nobody(rig: Rig) -> None:
    async with Receiver(answer=slow(30)) as sluggish, Receiver() as receiver, worker(rig):
        await rig.subscribe("http://127.0.0.1:9/nobody", "dead")
        await rig.subscribe(sluggish.url, "sluggish")
        await rig.subscribe(receiver.url, "good")
        for _ in range(40):
            await rig.happened(*call_events(rig.account_id))
        received = await receiver.wait_for(40 * len(ALL_OF_A_CALL), 25)
    by_call: dict[int, list[str]] = {}
    for one in received:
        by_call.setdefault(one.json["call_session_id"], []).append(one.json["notification_mnemonic"])
    assert len(by_call) == 40
    assert all(mnemonics == list(ALL_OF_A_CALL) for mnemonics in by_call.values())
    assert len(sluggish.received) <= 8 * 2, "it never has more than eight at a time; each waits 15 s"


async def test_a_dead_endpoint_is_suspended_and_gets_all_when_it_is_back(rig: Rig) -> None:
    async with Receiver() as placeholder:
        port = placeholder.port
    # A connection to the dead endpoint is refused at once. A response that comes too late would be a second delivery.
    async with worker(rig):
        await rig.subscribe(f"http://127.0.0.1:{port}/hook")
        for _ in range(8):
            await rig.happened(*call_events(rig.account_id))
        async with asyncio.timeout(15):
            while not await rig.db.fetch_one(
                "select 1 from endpoint_states where suspended_until is not null"
            ):
                await asyncio.sleep(0.05)
        async with Receiver(port=port) as receiver:
            await receiver.wait_for(8 * len(ALL_OF_A_CALL), 40)
            await rig.until_settled()
    by_call: dict[int, list[str]] = {}
    for one in receiver.received:
        by_call.setdefault(one.json["call_session_id"], []).append(one.json["notification_mnemonic"])
    assert [mnemonics for mnemonics in by_call.values() if mnemonics != list(ALL_OF_A_CALL)] == []
    assert await rig.db.fetch_all("select * from endpoint_states") == []


async def test_a_restart_of_the_worker_does_not_end_a_suspension(rig: Rig) -> None:
    """Neither for what waits nor for what happens while the endpoint is suspended."""
    async with Receiver() as placeholder:
        port = placeholder.port
    async with worker(rig, QUICK):
        await rig.subscribe(f"http://127.0.0.1:{port}/hook")
        for _ in range(8):
            await rig.happened(*call_events(rig.account_id))
        async with asyncio.timeout(15):
            while not await rig.db.fetch_one(
                "select 1 from endpoint_states where suspended_until is not null"
            ):
                await asyncio.sleep(0.05)
    await rig.db.execute("update endpoint_states set suspended_until = now() + interval '1 hour'")
    async with Receiver(port=port) as receiver:
        for _ in range(2):
            async with worker(rig, QUICK):
                await rig.happened(*call_events(rig.account_id))
                await asyncio.sleep(2)
        assert receiver.received == []
        states = await rig.db.fetch_all("select suspended_until > now() as suspended from endpoint_states")
        assert states == [{"suspended": True}]
        await rig.db.execute("update endpoint_states set suspended_until = now()")
        async with worker(rig, QUICK):
            await receiver.wait_for(10 * len(ALL_OF_A_CALL), 40)


async def test_given_up_at_last_and_replayed(rig: Rig) -> None:
    from trunkline.notifications.deliveries import replay

    impatient = NotificationSettings(total_timeout=1, give_up_after=1, allowed_private_networks=LOOPBACK)
    async with Receiver(answer=status(400)) as receiver, worker(rig, impatient):
        await rig.subscribe(receiver.url, events=["call_start"])
        await rig.happened(*call_events(rig.account_id))
        (failed,) = await rig.until_settled()
        assert failed["status"] == "failed"
        receiver.answer = ok
        await replay(rig.db, rig.account_id, failed["delivery_id"])
        (sent,) = await rig.until_settled()
    assert sent["status"] == "delivered"
    assert sent["attempts"] == failed["attempts"] + 1


async def test_private_addresses_are_forbidden_by_default(rig: Rig) -> None:
    strict = NotificationSettings()
    async with Receiver() as receiver, worker(rig, strict):
        await rig.subscribe(receiver.url, "literal", events=["call_start"])
        await rig.subscribe(f"http://localhost:{receiver.port}/", "name", events=["call_start"])
        await rig.happened(*call_events(rig.account_id)[:1])
        async with asyncio.timeout(PATIENCE):
            while (
                len(log := [one for one in await rig.subscriptions.log(rig.account_id) if one["error"]]) < 2
            ):
                await asyncio.sleep(0.05)
    assert receiver.received == []
    assert all("allowed_private_networks" in one["error"] for one in log)


async def test_a_sample_can_be_sent(rig: Rig) -> None:
    async with Receiver() as receiver, worker(rig):
        subscription_id = await rig.subscribe(receiver.url)
        delivery_id = await rig.subscriptions.send_sample(rig.account_id, subscription_id, "call_finish")
        (one,) = await receiver.wait_for(1)
        (settled,) = await rig.until_settled()
    assert one.json["notification_mnemonic"] == "call_finish"
    assert settled["delivery_id"] == delivery_id


async def test_an_account_hears_of_its_own_calls_only(rig: Rig) -> None:
    other = await rig.db.fetch_one("insert into accounts (name) values ('Other Ltd') returning account_id")
    assert other is not None
    async with Receiver() as receiver, worker(rig):
        await rig.subscribe(receiver.url)
        await rig.happened(*call_events(other["account_id"]))
        await rig.happened(*call_events(rig.account_id))
        await receiver.wait_for(len(ALL_OF_A_CALL))
        await rig.until_settled()
    assert {one.json["app_id"] for one in receiver.received} == {rig.account_id}


async def test_old_deliveries_are_forgotten(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are over, with their attempts; in batches, and the oldest first."""
    monkeypatch.setattr(deliveries, "_PRUNE_BATCH", 2)
    hook = await rig.subscribe("http://127.0.0.1:9/", events=["call_finish"])
    ages = [
        (200, "failed"),
        (120, "pending"),
        (91, "delivered"),
        (91, "failed"),
        (91, "failed"),
        (89, "failed"),
        (0, "delivered"),
    ]
    for seq, (days, state) in enumerate(ages):
        await rig.db.execute(
            "with made as (insert into deliveries (account_id, subscription_id, stream, seq, mnemonic, status,"
            " occurred_at, created_at) values (%s, %s, 'call:1', %s, 'call_finish', %s, now(),"
            " now() - make_interval(days => %s)) returning account_id, delivery_id)"
            " insert into delivery_attempts (account_id, delivery_id, attempt, started_at, duration_ms)"
            " select account_id, delivery_id, 1, now(), 5 from made",
            (rig.account_id, hook, seq, state, days),
        )
    assert await deliveries.prune(rig.db, {rig.account_id: 90}) == 4
    assert [row["seq"] for row in await rig.deliveries()] == [1, 5, 6]
    assert await deliveries.prune(rig.db, {rig.account_id: 90}) == 0
    left = await rig.db.fetch_one(
        "select count(*) from delivery_attempts where account_id = %s", (rig.account_id,)
    )
    assert left == {"count": 3}


def standard_signatures(one: Received, key: bytes) -> bool:
    """Whether a receiver of Standard Webhooks accepts the request, with this key."""
    signed = f"{one.headers['webhook-id']}.{one.headers['webhook-timestamp']}.".encode() + one.body
    expected = "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    return expected in one.headers["webhook-signature"].split(" ")


async def test_requests_are_signed_as_standard_webhooks_say_also_while_the_secret_is_replaced(
    rig: Rig,
) -> None:
    async with Receiver() as receiver, worker(rig):
        first = "whsec_" + base64.b64encode(b"first key of 24 bytes...").decode()
        which = await rig.subscribe(receiver.url, events=["call_start"], secret=first)
        await rig.happened(*call_events(rig.account_id)[:1])
        (one,) = await receiver.wait_for(1)
        assert standard_signatures(one, b"first key of 24 bytes...")
        assert one.headers["webhook-id"] == one.headers["Idempotency-Key"]
        await rig.subscriptions.rotate(rig.account_id, which, "a second one of 24 bytes", seconds=3600)
        await rig.happened(*call_events(rig.account_id)[:1])
        _, two = await receiver.wait_for(2)
        assert standard_signatures(two, b"first key of 24 bytes...")
        assert standard_signatures(two, b"a second one of 24 bytes")
        assert two.headers["Trunkline-Signature"].count(",v1=") == 2
        await rig.db.execute(
            "update subscriptions set former_secret_until = now() where subscription_id = %s", (which,)
        )
        await rig.happened(*call_events(rig.account_id)[:1])
        *_, three = await receiver.wait_for(3)
        assert not standard_signatures(three, b"first key of 24 bytes...")
        assert standard_signatures(three, b"a second one of 24 bytes")


async def test_an_endpoint_is_left_alone_for_as_long_as_it_asks(rig: Rig) -> None:
    async with (
        Receiver(answer=status(429, **{"Retry-After": "2"})) as receiver,
        Receiver() as other,
        worker(rig, QUICK),
    ):
        which = await rig.subscribe(receiver.url, "busy", events=["call_start"])
        await rig.subscribe(other.url, "other", events=["call_start"])
        await rig.happened(*call_events(rig.account_id)[:1])
        await receiver.wait_for(1)
        async with asyncio.timeout(PATIENCE):  # until the worker has its answer
            while not await rig.db.fetch_all(
                "select from endpoint_states where account_id = %s and subscription_id = %s and suspended_until > now()",
                (rig.account_id, which),
            ):
                await asyncio.sleep(0.02)
        receiver.answer = ok
        await rig.happened(*call_events(rig.account_id)[:1])
        await other.wait_for(2)
        received = await receiver.wait_for(3)
        pauses = [one.at - received[0].at for one in received[1:]]
    assert min(pauses) >= 1.9, "neither the delivery nor any other one comes before"


async def test_an_endpoint_that_is_gone_is_switched_off_and_can_be_switched_on(rig: Rig) -> None:
    async with Receiver(answer=status(410)) as receiver, worker(rig, QUICK):
        which = await rig.subscribe(receiver.url, events=["call_start"])
        await rig.happened(*call_events(rig.account_id)[:1])
        await receiver.wait_for(1)
        async with asyncio.timeout(PATIENCE):
            while (await rig.subscriptions.all(rig.account_id))[0].is_active:
                await asyncio.sleep(0.02)
        (one,) = await rig.subscriptions.all(rig.account_id)
        assert one.switched_off_reason == "gone"
        events = await rig.db.fetch_all(
            "select type, data from installation_events where type = 'subscription_off'"
        )
        (noted,) = [event["data"] for event in events if event["data"]["subscription_id"] == which]
        assert noted["reason"] == "gone"
        assert noted["account_id"] == rig.account_id
        receiver.answer = ok
        await asyncio.sleep(1.5)
        assert len(receiver.received) == 1, "nothing is sent to it"
        await rig.subscriptions.switch(rig.account_id, which, on=True)
        await receiver.wait_for(2)
        await rig.until_settled()
        (one,) = await rig.subscriptions.all(rig.account_id)
        assert (one.is_active, one.switched_off_reason) == (True, None)


async def test_an_endpoint_that_has_failed_for_five_days_is_switched_off(rig: Rig) -> None:
    async with Receiver(answer=status(500)) as receiver, worker(rig, QUICK):
        which = await rig.subscribe(receiver.url, events=["call_start"])
        await rig.happened(*call_events(rig.account_id)[:1])
        await receiver.wait_for(1)
        async with asyncio.timeout(PATIENCE):
            while not await rig.db.execute(
                "update endpoint_states set failing_since = now() - interval '121 hours' where subscription_id = %s",
                (which,),
            ):
                await asyncio.sleep(0.02)
        await receiver.wait_for(3)
        assert (await rig.subscriptions.all(rig.account_id))[0].is_active, "it has not failed often enough"
        async with asyncio.timeout(20):
            while (await rig.subscriptions.all(rig.account_id))[0].is_active:
                await asyncio.sleep(0.05)
        (one,) = await rig.subscriptions.all(rig.account_id)
        assert one.switched_off_reason == "failing"
        await rig.subscribe(receiver.url, events=["call_start"])
        await receiver.wait_for(len(receiver.received) + 1)
        await asyncio.sleep(0.5)
        assert (await rig.subscriptions.all(rig.account_id))[0].is_active, (
            "after a correction the time begins anew"
        )


async def test_a_call_has_its_visit_and_the_groups_of_its_contact(rig: Rig) -> None:
    session = new_session_id()
    async with rig.db.connection() as connection:
        await ensure_partitions(connection, datetime.now(UTC))
        await connection.execute(
            "insert into contacts (account_id, contact_id, key, first_name) values (%s, 13001, 'lee', 'Lee')",
            (rig.account_id,),
        )
        await connection.execute(
            "insert into contact_groups (account_id, contact_group_id, key, name) values (%s, 15900, 'vip', 'VIP')",
            (rig.account_id,),
        )
        await connection.execute(
            "insert into contact_group_members (account_id, contact_group_id, contact_id) values (%s, 15900, 13001)",
            (rig.account_id,),
        )
        visit = {
            "utm_source": "search",
            "campaign_name": "Spring",
            "communication_page_url": "https://shop.example/a",
            "cpn_region_id": 7,
            "visitor_city": 5,
        }
        await connection.execute(
            "insert into call_sessions (account_id, call_session_id, node, start_time, direction, source, contact_id,"
            " region_name, extra) values (%s, %s, 0, now(), 'in', 'va', 13001, 'North', %s)",
            (rig.account_id, session, Jsonb(visit)),
        )
    async with Receiver() as receiver:
        await rig.subscribe(receiver.url, events=["call_finish", "call_start"])
        async with worker(rig):
            await rig.happened(*call_events(rig.account_id, session))
            await rig.until_settled()
    assert len(receiver.received) == 2
    for one in receiver.received:
        assert one.json["contact_group_ids"] == [15900]
        assert (one.json["utm_source"], one.json["campaign_name"]) == ("search", "Spring")
        assert (one.json["cpn_region_id"], one.json["cpn_region_name"]) == (7, "North")
        assert one.json["page_url"] == "https://shop.example/a"
        assert one.json["visitor_city"] is None, "not a text"
