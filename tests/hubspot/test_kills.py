"""The worker is killed again and again while calls go to HubSpot: each has exactly one engagement at the end."""

from __future__ import annotations

import asyncio
import random
import sys

import pytest

from tests.hubspot.rig import Rig
from tests.hubspot.server import Request
from tests.hubspot.test_misbehaviour import assert_exact
from tests.notifications.rig import MASTER_KEY

KILLS = 8


@pytest.mark.timeout(240)
async def test_a_worker_that_is_killed_makes_no_second_engagement_and_loses_none(
    rig: Rig, database: str
) -> None:
    account_id, portal = await rig.connected()
    await rig.connections.set(account_id, create_contacts=True, missed_call_tasks=True)

    def slowly(_: Request) -> object:
        return asyncio.sleep(random.uniform(0.0, 0.2))

    rig.hubspot.troubles.append(slowly)

    async def start() -> asyncio.subprocess.Process:
        words = [
            sys.executable,
            "-m",
            "tests.hubspot.worker_process",
            database,
            rig.hubspot.url,
            MASTER_KEY.decode(),
        ]
        return await asyncio.create_subprocess_exec(*words)

    calls: list[int] = []
    in_the_middle = 0
    for kill in range(KILLS):
        worker = await start()
        seen = len(rig.hubspot.requests)
        for number in range(5):
            contact = f"12025550{100 + (kill + number) % 7}"
            calls += [await rig.lost(account_id, contact_phone_number=contact)]
        async with asyncio.timeout(30):
            while len(rig.hubspot.requests) < seen + random.randint(2, 8):
                await asyncio.sleep(0.01)
        worker.kill()
        await worker.wait()
        row = await rig.db.fetch_one(
            "select count(*) as asked from hubspot_objects where hubspot_id is null and asked_at is not null"
        )
        assert row is not None
        in_the_middle += row["asked"]
    assert in_the_middle > 0, "no kill was between a request and its outcome"
    worker = await start()
    try:
        await rig.settled(120)
    finally:
        worker.kill()
        await worker.wait()
    assert_exact(portal, calls, None)
    numbers = [one.properties["phone"] for one in portal.of("contact")]
    assert len(numbers) == len(set(numbers)) == 7
    subjects = [one.properties["hs_task_subject"] for one in portal.of("task")]
    assert len(subjects) == len(set(subjects)) == len(calls)
    by_id = {one.object_id: one.properties["phone"] for one in portal.of("contact")}
    for call in portal.calls:
        assert [by_id[one] for one in call.contacts] == [call.properties["hs_call_from_number"]]
