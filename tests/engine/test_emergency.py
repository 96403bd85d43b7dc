"""A phone reaches an emergency number by the carrier, also when everything else of its account is closed."""

from __future__ import annotations

import asyncio

import pytest

from tests.engine.setup import Setup
from tests.patience import PATIENCE
from trunkline.demo.outside import Answer

pytestmark = [
    pytest.mark.engine,
    pytest.mark.attack,
    pytest.mark.xdist_group("setup of reports"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]

ANNAS_NUMBER = "97140000200"
SATELLITE = "+88213001234"


async def talk_to(setup: Setup, number: str) -> str:
    """Anna dials; the caller id that the carrier got once both talk."""
    answering = await setup.customer_with(number)
    answering.on_call(Answer(after=0.2))
    phone = await setup.anna.dial(number)
    call = await answering.next_call()
    await asyncio.gather(phone.answered(), call.answered())
    await phone.hangup()
    await asyncio.gather(phone.ended(), call.ended())
    return call.number.lstrip("+")


@pytest.mark.parametrize("number", ["112", "999"])
async def test_an_emergency_number(setup: Setup, number: str) -> None:
    before = await setup.last_id()
    assert await talk_to(setup, number) == ANNAS_NUMBER
    row = await setup.row(before)
    assert (row["direction"], row["contact_phone_number"]) == ("out", number)


async def test_a_locked_account(setup: Setup) -> None:
    account = str(setup.account.account_id)
    await setup.installation.run("account", "disable", account)
    try:
        await _until_calls(setup, are_permitted=False)
        assert await talk_to(setup, "112") == ANNAS_NUMBER
    finally:
        await setup.installation.run("account", "enable", account)
        await _until_calls(setup, are_permitted=True)
        await setup.settled()


async def _until_calls(setup: Setup, *, are_permitted: bool) -> None:
    """Wait until the switch has taken the change of the account."""
    async with asyncio.timeout(PATIENCE):
        while True:
            customer = await setup.customer()
            customer.on_call(Answer(after=0.2, hang_up_after=0.2))
            phone = await setup.anna.dial(customer.name)
            await phone.ended()
            if bool(customer.calls) == are_permitted:
                return


async def test_a_satellite_number_is_refused(setup: Setup) -> None:
    before = await setup.last_id()
    called = await setup.customer_with(SATELLITE.removeprefix("+"))
    phone = await setup.anna.dial(SATELLITE)
    await phone.ended()
    assert not called.calls
    assert (await setup.row(before))["finish_reason"] == "locked_numb"


async def test_every_limit_at_once_and_no_switch(setup: Setup) -> None:
    """The calls per minute, those at once and the money are used up, the line has its only call and is locked, then the
    account is disabled, then the switch is killed."""
    account = str(setup.account.account_id)
    lines = (await setup.installation.data_api(setup.account, "get.sip_lines"))["data"]
    [line] = [one["id"] for one in lines if one["phone_number"] == "0260001"]
    customer = await setup.customer()
    customer.on_call(Answer(after=0.2))
    running = await setup.anna.dial(customer.name)
    talking = await customer.next_call()
    await asyncio.gather(running.answered(), talking.answered())
    limits = ("--per-minute", "1", "--at-once", "1", "--money-per-day", "0.01")
    try:
        await setup.installation.run("account", "calls", "--account", account, *limits)
        await setup.installation.data_api(
            setup.account, "update.sip_lines", id=line, channels_count=1, billing_state="manual_lock"
        )
        await setup.installation.run("account", "disable", account)
        async with asyncio.timeout(20):
            while True:  # until the switch has taken the changes
                other = await setup.customer()
                refused = await setup.anna.dial(other.name)
                await refused.ended()
                if not other.calls:
                    break
        for number in ("112", "999", "911", "998"):
            assert await talk_to(setup, number) == ANNAS_NUMBER
        killed = setup.installation.kill("switch")
        assert await talk_to(setup, "112") == ANNAS_NUMBER
        await setup.installation.wait_restarted("switch", killed)
        await talking.hears(running.tone)
    finally:
        await setup.installation.run("account", "enable", account)
        await setup.installation.data_api(
            setup.account, "update.sip_lines", id=line, channels_count=3, billing_state="active"
        )
        await setup.installation.run("account", "calls", "--account", account, "--reset")
        await running.hangup()
        await talking.ended()
