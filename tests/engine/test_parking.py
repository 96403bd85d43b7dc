"""Parking by phones, on the whole product: each party sends its own tone, and the tests detect who is heard."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.engine.setup import LINE_PASSWORD, PARKING_SECONDS, Setup, wait_known
from trunkline.demo import tones
from trunkline.demo.outside import Answer, Call, Ignore

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("setup"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]

ANNA = "97140000200"


async def talk(setup: Setup) -> tuple[Call, Call]:
    """A customer talks with Anna."""
    setup.anna.on_call(Answer())
    call = await (await setup.customer()).dial(ANNA)
    phone = await setup.anna.next_call()
    await call.hears(phone.tone)
    return call, phone


async def sounds(call: Call, seconds: float) -> None:
    """The phone has played something that is no tone of a party, for so long at least."""
    assert tones.total(tones.sounding((await call.ear()).sound)) >= seconds, "no announcement"


async def parked_call(setup: Setup) -> dict[str, Any]:
    """The only live call, whose contact is on hold."""
    living = await setup.only_call(legs=1)
    assert [leg["state"] for leg in living["legs"]] == ["On hold"], living
    return living


def _ringing(setup: Setup) -> list[Call]:
    """The calls that ring at Anna's phone now."""
    calls = setup.anna.calls
    return [one for one in calls if one.is_ringing and not one.is_answered and not one.is_ended]


async def rows_of(setup: Setup, before: int, expected: int) -> dict[str, dict[str, Any]]:
    await setup.row(before, expected=expected)
    return {one["direction"]: one for one in await setup._sessions(before)}


async def test_a_blind_transfer_parks_and_a_colleague_takes(setup: Setup) -> None:
    before = await setup.last_id()
    call, phone = await talk(setup)
    await phone.transfer("*68")
    await phone.ended()
    await setup.gets_music(call)
    await parked_call(setup)
    said = tones.total(tones.sounding((await phone.ear()).sound)) - tones.total(
        tones.heard((await phone.ear()).sound, [call.tone])[call.tone]
    )
    assert said > 1.0, "the phone that parked it did not play the slot"
    taking = await setup.boris.dial("*6801")
    await call.hears(taking.tone)
    await taking.hears(call.tone)
    await setup.only_call(legs=2)
    await taking.hangup()
    await call.ended()
    rows = await rows_of(setup, before, 2)
    assert rows["in"]["is_transfer"] is True
    assert rows["in"]["finish_reason"] == "operator_disconnects"
    assert [one["employee_full_name"] for one in rows["in"]["employees"]] == ["Berg Anna", "Lund Boris"]
    assert (rows["out"]["finish_reason"], rows["out"]["is_lost"]) == ("success_finish", False)
    reasons = {leg["employee_full_name"]: leg["finish_reason"] for leg in await setup.legs(rows["in"]["id"])}
    assert reasons["Berg Anna"] == "transfer_disconnects"
    events = ["call_connected", "talk_finished", "call_session_finished"]
    delivered = await setup.reported(rows["in"]["id"], events)
    assert delivered.count("talk_finished") == 2, "one talk with each of them"
    await setup.nobody_left()


async def test_the_code_parks_whom_the_phone_has_on_hold(setup: Setup) -> None:
    """The line of Boris has one channel: the code is dialled nevertheless."""
    setup.boris.on_call(Answer())
    call = await (await setup.customer()).dial("97140000210")
    phone = await setup.boris.next_call()
    await call.hears(phone.tone)
    await phone.hold()
    code = await setup.boris.dial("*68")
    await asyncio.gather(phone.ended(), code.ended())
    await sounds(code, 1.0)
    await setup.gets_music(call)
    taking = await setup.boris.dial("*6801")
    await call.hears(taking.tone)
    await taking.hears(call.tone)
    await call.hangup()
    await taking.ended()
    await setup.nobody_left()


async def test_nobody_takes_it_and_the_phone_that_parked_it_rings(setup: Setup) -> None:
    before = await setup.last_id()
    call, phone = await talk(setup)
    await phone.transfer("*6842")
    await phone.ended()
    back = await setup.anna.next_call(PARKING_SECONDS + 15)
    assert back.number.lstrip("+") == call.party
    await call.hears(back.tone)
    await back.hears(call.tone)
    await back.hangup()
    await call.ended()
    row = await setup.row(before, recorded=True)
    assert row["is_transfer"] is False
    await setup.nobody_left()


async def test_a_killed_switch_keeps_who_is_parked(setup: Setup) -> None:
    """They hear music all the time; one is taken after the restart, the other comes back by the timer that was running."""
    call, phone = await talk(setup)
    other, second = await talk(setup)
    await phone.transfer("*6811")
    await second.transfer("*6812")
    await asyncio.gather(phone.ended(), second.ended())
    setup.anna.on_call(Ignore())
    killed = setup.installation.kill("switch")
    await setup.installation.wait_restarted("switch", killed)
    await setup.gets_music(call)
    await setup.gets_music(other)
    taking = await setup.clara.dial("*6811")
    await call.hears(taking.tone)
    await taking.hears(call.tone)
    async with asyncio.timeout(PARKING_SECONDS + 30):
        while not (ringing := _ringing(setup)):
            await asyncio.sleep(0.2)
    setup.anna.on_call(Answer())
    await ringing[0].hangup()  # it rings again after the same time
    await other.hears(second.tone)
    assert not call.is_ended
    await asyncio.gather(call.hangup(), other.hangup())
    await taking.ended()
    await asyncio.gather(*(one.ended() for one in setup.anna.calls))
    await setup.nobody_left()


async def test_a_slot_is_of_one_account(setup: Setup) -> None:
    """Who dials the slot on a line of another account gets a refusal, and the contact stays."""
    account = await setup.installation.create_account("Neighbour", "Asia/Dubai")
    file = setup.folder / "neighbour.yaml"
    file.write_text(
        f"sip_lines: {{'0260091': {{password: '{LINE_PASSWORD}'}}}}\n"
        "employees: {nora: {first_name: Nora, last_name: Voss, phones: [{line: '0260091'}]}}\n",
        encoding="utf-8",
    )
    await setup.installation.apply(account, file, setup.environment)
    neighbour = await setup.world.phone("0260091", LINE_PASSWORD, name="Nora", register=False)
    await wait_known(setup.installation, account, neighbour)
    call, phone = await talk(setup)
    await phone.transfer("*6801")
    await phone.ended()
    taking = await neighbour.dial("*6801")
    await taking.ended()
    assert not taking.is_answered
    await setup.gets_music(call)
    await parked_call(setup)
    await call.hangup()


@pytest.mark.parametrize("code", ["*68", "*6850"])
async def test_nothing_to_park_and_an_empty_slot_are_refused(setup: Setup, code: str) -> None:
    before = await setup.last_id()
    call = await setup.anna.dial(code)
    await call.ended()
    assert not call.is_answered
    await setup.row(before)
