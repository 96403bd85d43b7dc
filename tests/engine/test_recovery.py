"""Killed processes: nobody on the phone notices, and afterwards nothing is missing."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from tests.engine.setup import AWAY_WAIT, Setup
from tests.engine.test_calls_in import ANNA, NOTIFICATIONS_OF_A_TALK
from tests.engine.test_parking import talk
from trunkline.demo.installation import ApiError
from trunkline.demo.outside import Answer

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("setup"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),  # the first one sets the setup, maybe on a busy machine
]

PROCESSES = ["switch", "web", "worker", "postgres"]


@pytest.mark.parametrize("process", PROCESSES)
async def test_killed_during_a_talk(setup: Setup, process: str) -> None:
    before = await setup.last_id()
    customer = await setup.customer()
    setup.anna.on_call(Answer())
    call = await customer.dial(ANNA)
    phone = await setup.anna.next_call()
    await asyncio.gather(call.answered(), phone.answered())
    await asyncio.sleep(1)
    killed = setup.installation.kill(process)
    await setup.installation.wait_restarted(process, killed)
    await asyncio.sleep(1.5)
    await call.hangup()
    await phone.ended()

    row = await setup.row(before, recorded=True, timeout=40)
    await setup.prove_talk(row, call, phone)
    await setup.prove_recording(row, call, phone)
    assert row["finish_reason"] == "caller_disconnects"
    assert set(NOTIFICATIONS_OF_A_TALK) <= set(
        await setup.reported(row["id"], NOTIFICATIONS_OF_A_TALK, timeout=40)
    )
    assert await setup.living() == []


@pytest.mark.parametrize("process", PROCESSES)
async def test_killed_while_it_rings(setup: Setup, process: str) -> None:
    before = await setup.last_id()
    customer = await setup.customer()
    setup.anna.on_call(Answer(after=1.0))
    call = await customer.dial(ANNA)
    phone = await setup.anna.next_call()
    await phone.ringing()
    killed = setup.installation.kill(process)
    await asyncio.gather(call.answered(), phone.answered())
    await asyncio.sleep(2)
    await phone.hangup()
    await call.ended()
    await setup.installation.wait_restarted(process, killed)

    row = await setup.row(before, recorded=True, timeout=40)
    await setup.prove_talk(row, call, phone)
    await setup.prove_recording(row, call, phone)
    assert row["finish_reason"] == "operator_disconnects"
    assert set(NOTIFICATIONS_OF_A_TALK) <= set(
        await setup.reported(row["id"], NOTIFICATIONS_OF_A_TALK, timeout=40)
    )


async def test_a_call_that_ends_while_no_switch_runs(setup: Setup) -> None:
    before = await setup.last_id()
    customer = await setup.customer()
    setup.anna.on_call(Answer())
    call = await customer.dial(ANNA)
    phone = await setup.anna.next_call()
    await asyncio.gather(call.answered(), phone.answered())
    await asyncio.sleep(2)
    killed = setup.installation.kill("switch")
    await call.hangup()
    await phone.ended()
    await setup.installation.wait_restarted("switch", killed)
    row = await setup.row(before, recorded=True, timeout=40)
    await setup.prove_talk(row, call, phone)
    await setup.prove_recording(row, call, phone)
    assert row["finish_reason"] == "caller_disconnects"
    await setup.reported(row["id"], NOTIFICATIONS_OF_A_TALK)


@pytest.mark.durability
async def test_a_talk_after_a_transfer_ends_with_its_contact_while_no_switch_runs(setup: Setup) -> None:
    before = await setup.last_id()
    call, phone = await talk(setup)
    setup.boris.on_call(Answer())
    await phone.transfer("202")
    third = await setup.boris.next_call()
    await phone.ended()
    await call.hears(third.tone)
    async with _no_switch(setup):
        await call.hangup()
        await third.ended()
    await _until_switch_answers(setup)
    row = await setup.row(before, recorded=True, timeout=40)
    assert row["finish_reason"] == "caller_disconnects"
    assert [one["employee_full_name"] for one in row["employees"]] == ["Berg Anna", "Lund Boris"]
    await setup.nobody_left()


async def test_a_call_that_comes_while_no_switch_runs(setup: Setup) -> None:
    before = await setup.last_id()
    customer = await setup.customer()
    # The standby may take the call at once, and an immediate answer has no ringing.
    setup.anna.on_call(Answer(after=1.0))
    killed = setup.installation.kill("switch")
    # The engine needs a moment to notice (25 to 50 ms on a busy machine); who comes in it waits in silence for the next
    # switch: to ring before asking would ring for calls that are refused, too.
    await asyncio.sleep(0.3)
    call = await customer.dial(ANNA)
    await call.ringing()
    await setup.installation.wait_restarted("switch", killed)
    phone = await setup.anna.next_call()
    await asyncio.gather(call.answered(), phone.answered())
    await asyncio.sleep(2)
    await call.hangup()
    await phone.ended()
    row = await setup.row(before, recorded=True, timeout=40)
    await setup.prove_talk(row, call, phone)
    assert row["wait_duration"] == pytest.approx(phone.at_answer - call.at_dial, abs=0.8)


async def test_the_default_line_rings_when_the_switch_stays_away(setup: Setup) -> None:
    """Who calls hears ring-back at once, and after ``switch.away_wait`` talks with the number's default line."""
    customer = await setup.customer()
    setup.anna.on_call(Answer())
    async with _no_switch(setup):
        call = await customer.dial(ANNA)
        await call.ringing()
        phone = await setup.anna.next_call()
        assert phone.at_dial - call.at_dial > AWAY_WAIT - 2.0
        await asyncio.gather(call.answered(), phone.answered())
        await call.hears(phone.tone)
        await phone.hears(call.tone)
        await phone.hangup()
        await call.ended()
    await _until_switch_answers(setup)
    # The switch got it from the engine's CEL log, and has no remaining state of it.
    assert await setup.living() == []
    await setup.nobody_left()


@contextlib.asynccontextmanager
async def _no_switch(setup: Setup) -> AsyncIterator[None]:
    """The switch is killed, and nobody starts it again: the supervisor is stopped, so its standby waits, too."""
    with setup.installation.frozen_supervisor():
        setup.installation.kill("switch")
        await asyncio.sleep(0.3)  # Asterisk needs a moment to notice
        yield


async def _until_switch_answers(setup: Setup) -> None:
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(ApiError):
            await setup.living()
            return
        assert time.monotonic() < deadline, setup.installation.log_tail()
        await asyncio.sleep(0.3)
