"""A phone that hangs up at any moment of its transfer: the contact and the target talk, or the call has ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.engine.setup import LINE_PASSWORD, Setup
from tests.phones.test_foreign_phones import wait_reachable
from tests.phones.transferring_phone import TransferringPhone
from trunkline.demo.outside import Answer

pytestmark = [
    pytest.mark.engine,
    pytest.mark.phones,
    pytest.mark.xdist_group("phones"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]

LOGIN, NUMBER, BORIS_EXTENSION = "0260001", "97140000200", "202"
MOBILE = "00971500000090"
KEPT_SECONDS = 0.4
"""Less than Asterisk keeps a party whose other one hung up."""
SILENCE_SECONDS = 5.0
"""When nobody is heard after so long, nobody will be."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def device(whole_setup: Setup) -> AsyncIterator[TransferringPhone]:
    """A second device of Anna's line; the first one does not answer."""
    sip, began = whole_setup.installation.sip, time.time()
    async with TransferringPhone(sip.host, sip.port, LOGIN, LINE_PASSWORD) as phone:
        await wait_reachable(whole_setup, began, LOGIN)
        yield phone


@pytest.fixture
def phone(device: TransferringPhone) -> TransferringPhone:
    device.hang_up_after = None
    return device


async def talks(setup: Setup, count: int) -> None:
    """Wait until so many calls are talks for the switch."""
    async with asyncio.timeout(SILENCE_SECONDS):
        while [leg["state"] for call in await setup.living() for leg in call["legs"]].count(
            "Conversation"
        ) != 2 * count:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("after", [0.0, 0.005, 0.012, 0.05], ids=lambda one: f"{one * 1000:g} ms")
@pytest.mark.parametrize("how", ["attended", "blind"])
async def test_after_the_response(setup: Setup, phone: TransferringPhone, how: str, after: float) -> None:
    before = await setup.last_id()
    setup.boris.on_call(Answer())
    customer = await setup.customer()
    call = await customer.dial(NUMBER)
    dialog = await phone.taken()
    await talks(setup, 1)
    phone.hang_up_after = after
    if how == "attended":
        asking = await phone.dial(BORIS_EXTENSION)
        second = await setup.boris.next_call()
        await talks(setup, 2)
        phone.refer(dialog, asking)
    else:
        phone.refer(dialog, BORIS_EXTENSION)
        second = await setup.boris.next_call()
    assert dialog.transferred is not None
    assert "200" in await asyncio.wait_for(dialog.transferred, SILENCE_SECONDS)
    await call.hears(second.tone)
    await second.hears(call.tone)
    await setup.only_call(legs=2)
    await call.hangup()
    await second.ended()
    rows = await setup.row(before, recorded=True, expected=2 if how == "attended" else 1)
    assert rows
    [row] = [one for one in await setup._sessions(before) if one["direction"] == "in"]
    assert row["is_transfer"] is True
    assert row["finish_reason"] == "caller_disconnects"


@pytest.mark.parametrize("after", [0.0, 0.002, 0.01], ids=lambda one: f"{one * 1000:g} ms")
@pytest.mark.parametrize("how", ["attended", "blind", "of its own call"])
async def test_before_the_response(setup: Setup, phone: TransferringPhone, how: str, after: float) -> None:
    """The phone does not wait for the result: with 202 it hangs up each of its calls. The transfer goes on."""
    before = await setup.last_id()
    setup.boris.on_call(Answer())
    if how == "of its own call":
        mobile = await setup.mobile()
        mobile.on_call(Answer())
        dialog = await phone.dial(MOBILE)
        call = await mobile.next_call()
    else:
        call = await (await setup.customer()).dial(NUMBER)
        dialog = await phone.taken()
    await talks(setup, 1)
    dialogs = [dialog]
    if how == "attended":
        dialogs.append(await phone.dial(BORIS_EXTENSION))
        second = await setup.boris.next_call()
        await talks(setup, 2)
        phone.refer(dialog, dialogs[1])
    else:
        phone.refer(dialog, BORIS_EXTENSION)
    await asyncio.wait_for(dialog.referred.wait(), SILENCE_SECONDS)
    await asyncio.sleep(after)
    for one in dialogs:
        phone.hang_up(one)
    if how != "attended":
        second = await setup.boris.next_call()
    await call.hears(second.tone)
    await second.hears(call.tone)
    await asyncio.sleep(1)
    assert not call.is_ended
    await setup.only_call(legs=2)
    await call.hangup()
    await second.ended()
    await setup.row(before, recorded=True, expected=2 if how == "attended" else 1)
    direction = "out" if how == "of its own call" else "in"
    [row] = [one for one in await setup._sessions(before) if one["direction"] == direction]
    assert row["is_transfer"] is True
    async with asyncio.timeout(SILENCE_SECONDS):
        while await setup.living() or await setup.engine_channels():
            await asyncio.sleep(0.1)


async def test_who_hangs_up_without_a_transfer_ends_the_call_at_once(
    setup: Setup, phone: TransferringPhone
) -> None:
    """Asterisk keeps the other party for a moment, and the switch does not wait for that."""
    for _ in range(3):
        before = await setup.last_id()
        call = await (await setup.customer()).dial(NUMBER)
        dialog = await phone.taken()
        await talks(setup, 1)
        began = time.monotonic()
        phone.hang_up(dialog)
        await call.ended()
        assert time.monotonic() - began < KEPT_SECONDS
        row = await setup.row(before)
        assert row["finish_reason"] == "operator_disconnects"
        assert row["is_transfer"] is False
