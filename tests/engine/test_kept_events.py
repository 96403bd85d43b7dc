"""The switch is killed while PostgreSQL is down: what it had decided is there afterwards, and each talk continues."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from tests.engine.setup import Setup
from tests.engine.test_parking import talk
from tests.patience import PATIENCE
from trunkline.demo.outside import Answer, Ignore

pytestmark = [
    pytest.mark.engine,
    pytest.mark.durability,
    pytest.mark.xdist_group("setup"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]

SETTLE_SECONDS = 1.0
"""From a step that is done to the kill of the switch: its events wait for PostgreSQL meanwhile."""


@asynccontextmanager
async def without_postgres(setup: Setup) -> AsyncIterator[None]:
    """PostgreSQL is down; at the end the switch is killed, and then both are started again."""
    installation = setup.installation
    with installation.frozen_supervisor():
        postgres = installation.kill("postgres")
        await asyncio.sleep(0.3)
        yield
        await asyncio.sleep(SETTLE_SECONDS)
        switch = installation.kill("switch")
    await installation.wait_restarted("postgres", postgres, timeout=60)
    await installation.wait_restarted("switch", switch, timeout=60)
    await asyncio.sleep(1.5)


class Requests:
    """The transfers that the switch was asked for: from then on, and not from the 202 of Asterisk, they survive its kill."""

    def __init__(self, setup: Setup) -> None:
        self._folder = setup.installation.settings.unwritten_events_dir
        self._before = self._kept()

    def _kept(self) -> set[bytes]:
        """The lines, not their number: files of former switches are removed meanwhile."""
        found: set[bytes] = set()
        for file in self._folder.iterdir():
            with suppress(FileNotFoundError):
                found.update(line for line in file.read_bytes().split(b"\n") if b'"transfer_asked"' in line)
        return found

    async def next(self) -> None:
        """The next one is in the file."""
        async with asyncio.timeout(PATIENCE):
            while self._kept() <= self._before:
                await asyncio.sleep(0.001)


async def test_a_talk_after_a_transfer_by_a_phone_continues(setup: Setup) -> None:
    before = await setup.last_id()
    call, phone = await talk(setup)
    setup.boris.on_call(Answer())
    async with without_postgres(setup):
        await phone.transfer("202")
        third = await setup.boris.next_call()
        await phone.ended()
        await call.hears(third.tone)
    assert not call.is_ended
    await call.hears(third.tone)
    await third.hears(call.tone)
    await call.hangup()
    await third.ended()
    row = await setup.row(before, recorded=True)
    assert row["finish_reason"] == "caller_disconnects"
    assert row["is_transfer"] is True
    assert [one["employee_full_name"] for one in row["employees"]] == ["Berg Anna", "Lund Boris"]
    delivered = await setup.reported(row["id"], ["call_connected", "talk_finished", "call_session_finished"])
    assert delivered.count("talk_finished") == 2
    assert delivered.count("call_session_finished") == 1
    await setup.nobody_left()


async def test_a_contact_that_was_parked_stays_parked(setup: Setup) -> None:
    call, phone = await talk(setup)
    async with without_postgres(setup):
        await phone.transfer("*6821")
        await phone.ended()
        setup.anna.on_call(Ignore())  # it rings again
        await setup.gets_music(call)
    assert not call.is_ended
    await setup.gets_music(call)
    [living] = await setup.living()  # the phone that parked the contact may ring again already
    assert living["legs"][0]["state"] == "On hold", living
    taking = await setup.clara.dial("*6821")
    await call.hears(taking.tone)
    await taking.hears(call.tone)
    await call.hangup()
    await taking.ended()
    await setup.nobody_left()


async def test_a_call_that_began_and_ended_meanwhile_is_in_the_report(setup: Setup) -> None:
    """With its tag, its notifications and its recording."""
    before = await setup.last_id()
    async with without_postgres(setup):
        call, phone = await talk(setup)
        await phone.send_keys("1")
        await asyncio.sleep(1)
        await call.hangup()
        await phone.ended()
    row = await setup.row(before, recorded=True)
    assert await setup.tags(row["id"]) == ["Important"]
    delivered = await setup.reported(row["id"], ["call_connected", "talk_finished", "call_session_finished"])
    assert delivered.count("call_session_finished") == 1


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.15])
async def test_a_transfer_that_was_accepted_is_carried_out_by_the_next_switch(
    setup: Setup, delay: float
) -> None:
    """The switch is killed as soon as it has the request, and then the phone hangs up."""
    before = await setup.last_id()
    call, phone = await talk(setup)
    setup.boris.on_call(Answer())
    requests = Requests(setup)
    await phone.transfer("202")
    await requests.next()
    await asyncio.sleep(delay)
    switch = setup.installation.kill("switch")
    await asyncio.sleep(0.3)
    await phone.hangup()
    third = await setup.boris.next_call(30)
    await call.hears(third.tone)
    await third.hears(call.tone)
    await setup.installation.wait_restarted("switch", switch, timeout=60)
    await call.hangup()
    await third.ended()
    row = await setup.row(before, recorded=True)
    assert (row["finish_reason"], row["is_transfer"]) == ("caller_disconnects", True)
    await setup.nobody_left()


async def test_parking_that_was_accepted_is_carried_out_by_the_next_switch(setup: Setup) -> None:
    call, phone = await talk(setup)
    requests = Requests(setup)
    await phone.transfer("*6823")
    await requests.next()
    switch = setup.installation.kill("switch")
    await asyncio.sleep(0.3)
    await phone.hangup()
    setup.anna.on_call(Ignore())
    await setup.installation.wait_restarted("switch", switch, timeout=60)
    await setup.gets_music(call)
    taking = await setup.clara.dial("*6823")
    await call.hears(taking.tone)
    await call.hangup()
    await asyncio.gather(taking.ended(), *(one.ended() for one in setup.anna.calls))
    await setup.nobody_left()
