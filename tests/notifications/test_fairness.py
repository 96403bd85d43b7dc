"""What one account's failing receivers use of the worker, and that others get their share."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import web

from tests.notifications.receiver import Receiver, status
from tests.notifications.rig import LOOPBACK, Rig, call_events, open_rig, worker
from tests.patience import PATIENCE
from trunkline.core.lookups import Lookups
from trunkline.core.settings import NotificationSettings
from trunkline.db.pool import Database
from trunkline.notifications import deliveries, endpoint_states
from trunkline.notifications.deliveries import ACCOUNT_STREAMS, ACCOUNT_TRIALS, Attempt
from trunkline.notifications.sender import Request, Sender
from trunkline.notifications.turns import Turns, in_turns
from trunkline.outbound.guard import LOOKUPS_PER_ACCOUNT


@pytest.fixture
async def rig(database: str) -> AsyncIterator[Rig]:
    async with open_rig(database) as rig:
        yield rig


async def other_account(rig: Rig) -> Rig:
    row = await rig.db.fetch_one("insert into accounts (name) values ('Other Ltd') returning account_id")
    assert row is not None
    return Rig(rig.dsn, rig.db, row["account_id"])


@pytest.mark.parametrize(
    ("items", "most", "expected"),
    [
        ([], 3, []),
        ([(1, "a"), (1, "b"), (1, "c"), (2, "d")], 3, ["a", "d", "b"]),
        ([(1, "a"), (2, "b"), (3, "c")], 2, ["a", "b"]),
        ([(1, "a"), (1, "b")], 9, ["a", "b"]),
    ],
)
def test_items_are_chosen_in_turns(items: list[tuple[int, str]], most: int, expected: list[str]) -> None:
    assert [name for _, name in in_turns(items, lambda one: one[0], most)] == expected


async def test_places_are_given_in_turns_and_no_account_takes_all() -> None:
    turns = Turns(3, each=2, always=1)
    got: list[int] = []
    stop = asyncio.Event()

    async def hold(account_id: int) -> None:
        async with turns.place(account_id):
            got.append(account_id)
            await stop.wait()

    async with asyncio.TaskGroup() as group:
        first = [group.create_task(hold(1)) for _ in range(5)]
        for account_id in (2, 2, 3):
            group.create_task(hold(account_id))
        await asyncio.sleep(0)
        assert got == [1, 1, 2, 3]  # at most two of one account, three in all, one of each in any case
        first[4].cancel()  # one that waits
        stop.set()
    assert got == [1, 1, 2, 3, 1, 2, 1]
    async with turns.place(1), turns.place(1), turns.place(2):
        pass  # everything came back


async def test_states_of_many_failing_endpoints_leave_connections_to_others(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writing of each state takes its connection and does not end: the others' deliveries are sent and settled."""
    good, done = await other_account(rig), asyncio.Event()
    writing = 0

    async def note(db: Database, _attempts: Sequence[Attempt]) -> float:
        nonlocal writing
        async with db.connection():
            writing += 1
            await done.wait()
        return 0.0

    monkeypatch.setattr(endpoint_states, "note_endpoint", note)
    async with Receiver(answer=status(503)) as failing, Receiver() as receiver, worker(rig):
        for number in range(15):
            await rig.subscribe(f"{failing.url}/{number}", f"bad{number}", events=["call_start"])
        await good.subscribe(receiver.url, events=["call_start"])
        await rig.happened(*call_events(rig.account_id)[:1])
        await failing.wait_for(15)
        async with asyncio.timeout(PATIENCE):
            while not writing:
                await asyncio.sleep(0.01)
        try:
            for _ in range(2):
                await good.happened(*call_events(good.account_id)[:1])
            await receiver.wait_for(2)
            async with asyncio.timeout(PATIENCE):
                while {one["status"] for one in await good.deliveries()} != {"delivered"}:
                    await asyncio.sleep(0.01)
            assert writing == 1
        finally:
            done.set()


async def test_unanswered_names_of_one_account_delay_no_other(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100 receivers whose name server never responds. The other account's name is one of this account's, too."""
    good, end, asked = await other_account(rig), threading.Event(), list[str]()
    system = socket.getaddrinfo

    def look_up(host: Any, *more: Any, **options: Any) -> Any:
        if str(host).endswith("silent.example"):
            asked.append(host)
            end.wait()
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return system("127.0.0.1" if host == "good.example" else host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    try:
        async with Receiver() as receiver, worker(rig):
            for number in range(100):
                await rig.subscribe(
                    f"http://n{number}.silent.example/", f"bad{number}", events=["call_start"]
                )
            place = receiver.url.replace("127.0.0.1", "good.example")
            await rig.subscribe(place, "late", events=["call_start"])
            await good.subscribe(f"{place}/good", events=["call_start"])
            await rig.happened(*call_events(rig.account_id)[:1])
            async with asyncio.timeout(PATIENCE):
                while len(asked) < LOOKUPS_PER_ACCOUNT:
                    await asyncio.sleep(0.01)
            await good.happened(*call_events(good.account_id)[:1])
            async with asyncio.timeout(PATIENCE):
                while not any(one.path.endswith("/good") for one in receiver.received):
                    await asyncio.sleep(0.01)
            assert len(asked) == len(set(asked)) == LOOKUPS_PER_ACCOUNT
    finally:
        end.set()


def test_an_account_begins_one_look_up_whatever_others_have_under_way() -> None:
    end, lookups = threading.Event(), Lookups[int](2, 3, name="test")
    try:
        first = [lookups.submit(account, lambda: end.wait() and 0) for account in (1, 1, 1, 2, 2)]
        assert lookups.submit(3, lambda: 3).result(PATIENCE) == 3
        assert [one.running() for one in first].count(True) <= 3
    finally:
        end.set()
    assert [one.result(PATIENCE) for one in first] == [0, 0, 0, 0, 0]


async def test_hanging_receivers_of_one_account_take_its_places_only(rig: Rig) -> None:
    good, release = await other_account(rig), asyncio.Event()

    async def hang(_request: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.Response()

    few = NotificationSettings(allowed_private_networks=LOOPBACK, per_endpoint=2, per_account=3, concurrent=3)
    async with Receiver(answer=hang) as hanging, Receiver() as receiver, worker(rig, few):
        for number in range(10):
            await rig.subscribe(f"{hanging.url}/{number}", f"bad{number}", events=["call_start"])
        await good.subscribe(receiver.url, events=["call_start"])
        await rig.happened(*call_events(rig.account_id)[:1])
        await hanging.wait_for(3)
        for _ in range(3):
            await good.happened(*call_events(good.account_id)[:1])
        await receiver.wait_for(3)
        assert len(hanging.received) == 3
        release.set()
        await hanging.wait_for(10)
        await rig.until_settled()


async def _backlog(rig: Rig, subscription_id: int, streams: int) -> None:
    await rig.db.execute(
        "insert into deliveries (account_id, subscription_id, stream, seq, mnemonic, occurred_at, next_attempt_at,"
        " variables) select %s, %s, 'call:' || n, 1, 'call_start', now(), now() - interval '1 hour', '{}'"
        " from generate_series(1, %s) n",
        (rig.account_id, subscription_id, streams),
    )


async def test_a_read_takes_of_each_account_its_share_of_each_endpoint_in_turns(rig: Rig) -> None:
    good = await other_account(rig)
    bad = [await rig.subscribe(f"http://127.0.0.1:9/{n}", f"bad{n}") for n in range(6)]
    mine = await good.subscribe("http://127.0.0.1:9/")
    for which in bad:
        await _backlog(rig, which, 100)
    await _backlog(good, mine, 2)
    async with rig.db.connection() as conn:
        streams = await deliveries.take(conn, [], {bad[0]: 99}, 200)
    of = [stream.subscription_id for stream in streams]
    assert of.count(mine) == 2
    assert len(of) == ACCOUNT_STREAMS + 2
    assert of.count(bad[0]) == 0  # it has enough at work, the others are before it
    assert [of.count(which) for which in bad[1:]] == [ACCOUNT_STREAMS // 5] * 5


async def test_a_read_tests_some_suspended_endpoints_of_each_account(rig: Rig) -> None:
    good = await other_account(rig)
    bad = [await rig.subscribe(f"http://127.0.0.1:9/{n}", f"bad{n}") for n in range(ACCOUNT_TRIALS + 3)]
    mine = await good.subscribe("http://127.0.0.1:9/")
    for owner, which in [*((rig, one) for one in bad), (good, mine)]:
        await _backlog(owner, which, 2)
        await rig.db.execute(
            "insert into endpoint_states (account_id, subscription_id, failures, suspended_until)"
            " values (%s, %s, 5, now() - interval '1 second')",
            (owner.account_id, which),
        )
    taken: list[int] = []
    for _ in range(2):
        async with rig.db.connection() as conn:
            streams = await deliveries.take(conn, [], {}, 200)
        assert all(stream.is_trial for stream in streams)
        taken.append(len(streams))
        assert sum(stream.subscription_id == mine for stream in streams) == (len(taken) == 1)
    assert taken == [ACCOUNT_TRIALS + 1, 3]


async def test_compressed_answers_are_neither_asked_for_nor_decompressed() -> None:
    async def bomb(_request: web.Request) -> web.StreamResponse:
        body = gzip.compress(b"A" * 1_000_000)
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    sender = Sender(NotificationSettings(allowed_private_networks=LOOPBACK))
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(Receiver(answer=bomb))
        stack.push_async_callback(sender.close)
        headers = {"accept-encoding": "gzip"}  # of the subscription
        outcome = await sender.send(Request("POST", receiver.url, "{}", "application/json", headers))
    assert outcome.delivered
    assert outcome.response_excerpt == ""
    assert [v for k, v in receiver.received[0].headers.items() if k.lower() == "accept-encoding"] == [
        "identity"
    ]
