"""The worker is killed again and again while calls go to HubSpot: each has exactly one engagement at the end."""

from __future__ import annotations

import asyncio
import random
import sys
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from tests.hubspot.rig import Rig
from tests.hubspot.server import Request
from tests.hubspot.test_misbehaviour import assert_exact
from tests.notifications.rig import MASTER_KEY
from tests.patience import PATIENCE

pytestmark = pytest.mark.shells

KILLS = 8


@dataclass
class Between:
    """The next create of an object: HubSpot has it when the worker is killed, and carries it out afterwards, or never."""

    carried_out: bool
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    killed: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, request: Request) -> object:
        """See :data:`tests.hubspot.server.Trouble`."""
        if not request.is_create or self.arrived.is_set():
            return None
        self.arrived.set()
        return self._after_the_kill()

    async def _after_the_kill(self) -> web.Response | None:
        await self.killed.wait()
        return None if self.carried_out else web.Response(status=503)


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
    for kill in range(KILLS):
        # Each second kill at any moment; the others between a create and its response.
        between = Between(carried_out=kill % 4 == 1) if kill % 2 else None
        if between is not None:
            rig.hubspot.troubles.append(between)
        worker = await start()
        seen = len(rig.hubspot.requests)
        for number in range(5):
            contact = f"12025550{100 + (kill + number) % 7}"
            calls += [await rig.lost(account_id, contact_phone_number=contact)]
        async with asyncio.timeout(PATIENCE):
            if between is not None:
                await between.arrived.wait()
            wanted = seen + random.randint(2, 8)
            while between is None and len(rig.hubspot.requests) < wanted:
                await asyncio.sleep(0.01)
        worker.kill()
        await worker.wait()
        if between is not None:
            row = await rig.db.fetch_one(
                "select count(*) as asked from hubspot_objects where hubspot_id is null and asked_at is not null"
            )
            assert row is not None
            assert row["asked"] >= 1, "a create without a note of it"
            between.killed.set()
            rig.hubspot.troubles.remove(between)
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
