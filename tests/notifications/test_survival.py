"""Killed workers and a restarting database: nothing is lost, the order holds."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.notifications.receiver import Receiver
from tests.notifications.rig import ALL_OF_A_CALL, Rig, call_events, open_rig, worker
from tests.worker_processes import worker_process

pytestmark = pytest.mark.shells

PROCESS = "tests.notifications.worker_process"


@pytest.fixture
async def rig(database: str) -> AsyncIterator[Rig]:
    async with open_rig(database) as rig:
        yield rig


async def hesitate(_request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(random.uniform(0, 0.2))
    return web.Response(text="thanks")


async def test_killed_workers_lose_nothing_and_keep_the_order(rig: Rig) -> None:
    calls = 30
    async with Receiver(answer=hesitate) as receiver:
        await rig.subscribe(receiver.url)
        async with worker_process(PROCESS, rig.dsn) as first:
            for _ in range(calls):
                await rig.happened(*call_events(rig.account_id))
            await receiver.wait_for(20)
            first.send_signal(signal.SIGKILL)
            await first.wait()
        async with worker_process(PROCESS, rig.dsn) as second:
            await receiver.wait_for(len(receiver.received) + 20, 30)
            second.send_signal(signal.SIGKILL)
            await second.wait()
        async with worker_process(PROCESS, rig.dsn):
            settled = await rig.until_settled(60)
    assert len(settled) == calls * len(ALL_OF_A_CALL)
    assert {one["status"] for one in settled} == {"delivered"}
    by_call: dict[int, list[str]] = {}
    for one in receiver.received:
        by_call.setdefault(one.json["call_session_id"], []).append(one.json["notification_mnemonic"])
    assert len(by_call) == calls
    for reported in by_call.values():
        assert list(dict.fromkeys(reported)) == list(ALL_OF_A_CALL), (
            "the first notifications are complete and in order"
        )
        # What was under way at a kill may come twice, and nothing older may come after it.
        places = [ALL_OF_A_CALL.index(mnemonic) for mnemonic in reported]
        assert places == sorted(places)


async def test_a_broken_database_connection_is_survived(rig: Rig) -> None:
    async with Receiver() as receiver, worker(rig):
        await rig.subscribe(receiver.url)
        await rig.happened(*call_events(rig.account_id))
        await receiver.wait_for(len(ALL_OF_A_CALL))
        broken = await rig.db.fetch_all(
            "select pg_terminate_backend(pid) as is_broken, pid from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        assert sum(row["is_broken"] for row in broken) >= 2, (
            "the worker has connections, and they were broken"
        )
        for _ in range(50):
            with contextlib.suppress(Exception):
                await rig.happened(*call_events(rig.account_id))
                break
            await asyncio.sleep(0.1)
        await receiver.wait_for(2 * len(ALL_OF_A_CALL), 30)
