"""What the keys of a phone do, on the whole product: hold."""

from __future__ import annotations

import asyncio

import pytest

from tests.engine.setup import Setup
from trunkline.demo import tones
from trunkline.demo.outside import Answer, Ignore, Redirect, busy

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("setup"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]

ANNA = "97140000200"
BORIS_EXTENSION = "202"


async def test_a_phone_holds_and_the_contact_gets_music(setup: Setup) -> None:
    before = await setup.last_id()
    customer = await setup.customer()
    setup.anna.on_call(Answer())
    call = await customer.dial(ANNA)
    phone = await setup.anna.next_call()
    await phone.answered()
    await call.hears(phone.tone)
    await phone.hold()
    await setup.gets_music(call)
    await phone.resume()
    await call.hears(phone.tone)
    await phone.hangup()
    await call.ended()
    row = await setup.row(before, recorded=True)
    assert row["finish_reason"] == "operator_disconnects"
    assert len(await setup.legs(row["id"])) == 2


async def test_a_blind_transfer_by_a_phone(setup: Setup) -> None:
    """As ``transfer.talk`` of the Call API: in reports, notifications and ``list.calls``."""
    before = await setup.last_id()
    customer = await setup.customer()
    setup.anna.on_call(Answer())
    setup.boris.on_call(Answer(after=1.5))
    call = await customer.dial(ANNA)
    first = await setup.anna.next_call()
    await call.hears(first.tone)
    await first.transfer(BORIS_EXTENSION)
    second = await setup.boris.next_call()
    await first.ended()
    assert second.number.lstrip("+") == call.party
    await setup.only_call(legs=2)
    await second.answered()
    await call.hears(second.tone)
    await second.hears(call.tone)
    await call.hangup()
    await second.ended()
    row = await setup.row(before, recorded=True)
    assert row["is_transfer"] is True
    assert row["finish_reason"] == "caller_disconnects"
    assert [one["employee_full_name"] for one in row["employees"]] == ["Berg Anna", "Lund Boris"]
    reasons = {leg["employee_full_name"]: leg["finish_reason"] for leg in await setup.legs(row["id"])}
    assert reasons["Berg Anna"] == "transfer_disconnects"


async def test_an_attended_transfer_by_a_phone(setup: Setup) -> None:
    before = await setup.last_id()
    customer = await setup.customer()
    setup.anna.on_call(Answer())
    setup.boris.on_call(Answer())
    call = await customer.dial(ANNA)
    first = await setup.anna.next_call()
    await call.hears(first.tone)
    await first.hold()
    asking = await setup.anna.dial(BORIS_EXTENSION)
    second = await setup.boris.next_call()
    await asking.hears(second.tone)
    await first.transfer_to(asking)
    await asyncio.gather(first.ended(), asking.ended())
    await call.hears(second.tone)
    await second.hears(call.tone)
    await setup.only_call(legs=2)
    await call.hangup()
    await second.ended()
    row = await setup.row(before, recorded=True, expected=2)
    rows = {one["direction"]: one for one in await setup._sessions(before)}
    assert rows["in"]["is_transfer"] is True
    assert rows["in"]["finish_reason"] == "caller_disconnects"
    assert [one["employee_full_name"] for one in rows["in"]["employees"]] == ["Berg Anna", "Lund Boris"]
    assert rows["out"]["finish_reason"] == "operator_disconnects"
    assert row
    await setup.nobody_left()


@pytest.mark.parametrize("target", ["000", "99", "nobody"])
async def test_a_transfer_to_nobody_leaves_the_talk(setup: Setup, target: str) -> None:
    before = await setup.last_id()
    customer = await setup.customer()
    setup.anna.on_call(Answer())
    call = await customer.dial(ANNA)
    first = await setup.anna.next_call()
    await call.hears(first.tone)
    await first.transfer(target)
    assert await first.transfer_status() == "FAILURE"
    await first.unmute()
    await call.hears(first.tone)
    await call.hangup()
    await first.ended()
    assert (await setup.row(before, recorded=True))["is_transfer"] is False


async def test_a_phone_forwards_its_calls(setup: Setup) -> None:
    """302: the switch dials the number, with the rights of the line; the engine dials nobody."""
    before = await setup.last_id()
    customer = await setup.customer()
    setup.anna.on_call(Redirect(BORIS_EXTENSION))
    setup.boris.on_call(Answer(after=0.5))
    call = await customer.dial(ANNA)
    phone = await setup.boris.next_call()
    await call.hears(phone.tone)
    await phone.hears(call.tone)
    await call.hangup()
    await phone.ended()
    row = await setup.row(before, recorded=True)
    assert row["first_talked_employee_full_name"] == "Lund Boris"


async def test_colleagues_are_redirected_too_and_circles_end(setup: Setup) -> None:
    setup.anna.on_call(Redirect("203"))
    setup.clara.on_call(Answer())
    before = await setup.last_id()
    call = await setup.boris.dial("201")
    phone = await setup.clara.next_call()
    await call.hears(phone.tone)
    await call.hangup()
    await phone.ended()
    await setup.row(before)
    setup.clara.on_call(Redirect("201"))
    before = await setup.last_id()
    call = await setup.boris.dial("201")
    await call.ended()
    assert not call.is_answered
    assert (await setup.row(before))["is_lost"] is True


@pytest.mark.parametrize("to", ["112", "trunk-1", "PJSIP%2f12025550101@trunk-1"])
async def test_a_redirect_that_the_line_may_not_dial_is_ignored(setup: Setup, to: str) -> None:
    before = await setup.last_id()
    customer = await setup.customer()
    setup.anna.on_call(Redirect(to))
    call = await customer.dial(ANNA)
    await setup.anna.next_call()
    await call.ended()
    assert not call.is_answered
    row = await setup.row(before)
    assert len(await setup.legs(row["id"])) == 2


async def test_the_cause_of_a_busy_colleague_is_in_the_report(setup: Setup) -> None:
    setup.boris.on_call(busy())
    before = await setup.last_id()
    call = await setup.anna.dial(BORIS_EXTENSION)
    await call.ended()
    assert call.cause == 17
    row = await setup.row(before)
    causes = [leg["release_cause_code"] for leg in await setup.legs(row["id"])]
    assert causes == [17, 17]


@pytest.mark.parametrize("rings", ["a phone", "phones of a group", "a customer", "a colleague"])
async def test_the_cause_of_a_caller_who_gives_up_is_in_the_report(setup: Setup, rings: str) -> None:
    """Q.850 as the page says: who hangs up clears normally (16), and nobody who rang counts as not responding."""
    before = await setup.last_id()
    customer = await setup.customer()
    customer.on_call(Ignore())
    if rings in ("a phone", "phones of a group"):
        call = await customer.dial(ANNA if rings == "a phone" else "97140000201")
        ringing = [await setup.anna.next_call()]
        ringing += [await setup.boris.next_call()] if rings != "a phone" else []
    elif rings == "a customer":
        call = await setup.anna.dial(customer.name)
        ringing = [await customer.next_call()]
    else:
        call = await setup.anna.dial(BORIS_EXTENSION)
        ringing = [await setup.boris.next_call()]
    await asyncio.gather(*(one.ringing() for one in ringing))
    await asyncio.sleep(1)
    await call.hangup()
    await asyncio.gather(*(one.ended() for one in ringing))
    row = await setup.row(before)
    by_us = rings in ("a customer", "a colleague")
    assert row["finish_reason"] == ("operator_disconnects" if by_us else "caller_disconnects")
    legs = await setup.legs(row["id"])
    assert [leg["release_cause_code"] for leg in legs] == [16] * len(legs), legs
    assert {leg["finish_reason"] for leg in legs} == {row["finish_reason"]}, legs


# --- codes


async def code(setup: Setup, dialled: str) -> None:
    """Anna dials a code and hears the confirmation; the switch has read the change then."""
    call = await setup.anna.dial(dialled)
    await call.answered()
    await call.ended()
    assert tones.total(tones.sounding((await call.ear()).sound)) > 0.5, "no confirmation"


async def test_do_not_disturb_by_a_code(setup: Setup) -> None:
    await code(setup, "*78")
    try:
        before = await setup.last_id()
        call = await setup.boris.dial("201")
        await call.ended()
        row = await setup.row(before)
        assert row["finish_reason"] == "employee_status_do_not_disturb"
        assert len(setup.anna.calls) == 1, "her own call to the code"
    finally:
        await code(setup, "*79")
    setup.anna.on_call(Answer())
    call = await setup.boris.dial("201")
    phone = await setup.anna.next_call()
    await call.hears(phone.tone)
    await call.hangup()
    await phone.ended()


async def test_call_forwarding_by_a_code_outlives_the_switch(setup: Setup) -> None:
    await code(setup, "*72202")
    try:
        killed = setup.installation.kill("switch")
        await setup.installation.wait_restarted("switch", killed)
        setup.boris.on_call(Answer())
        before = await setup.last_id()
        call = await (await setup.customer()).dial(ANNA)
        phone = await setup.boris.next_call()
        await call.hears(phone.tone)
        await call.hangup()
        await phone.ended()
        row = await setup.row(before, recorded=True)
        assert row["first_talked_employee_full_name"] == "Lund Boris"
        assert len(await setup.legs(row["id"])) == 2
    finally:
        await code(setup, "*73")


async def test_a_call_that_is_not_answered_goes_to_the_world(setup: Setup) -> None:
    mobile = await setup.mobile()
    await code(setup, "*9200971500000090")
    try:
        mobile.on_call(Answer())
        before = await setup.last_id()
        call = await setup.boris.dial("201")
        await (await setup.anna.next_call()).ended()
        phone = await mobile.next_call()
        await call.hears(phone.tone)
        await phone.hears(call.tone)
        await call.hangup()
        await phone.ended()
        assert (await setup.row(before, recorded=True))["is_lost"] is False
    finally:
        await code(setup, "*93")


@pytest.mark.parametrize("dialled", ["*72112", "*72201", "*7297140000200", "*77"])
async def test_a_code_with_a_target_that_may_not_be_is_refused(setup: Setup, dialled: str) -> None:
    before = await setup.last_id()
    call = await setup.anna.dial(dialled)
    await call.ended()
    assert not call.is_answered
    assert (await setup.row(before))["finish_reason"] in ("incorrect_input", "incorrect_config")


@pytest.mark.parametrize("code", ["*8201", "*8"])
async def test_a_call_that_rings_for_a_colleague_is_picked_up(setup: Setup, code: str) -> None:
    before = await setup.last_id()
    call = await (await setup.customer()).dial(ANNA)
    ringing = await setup.anna.next_call()
    await ringing.ringing()
    taking = await setup.boris.dial(code)
    await call.hears(taking.tone)
    await taking.hears(call.tone)
    await ringing.ended()
    assert not ringing.is_answered
    await setup.only_call(legs=2)
    await taking.hangup()
    await call.ended()
    await setup.row(before, expected=2)
    rows = {one["direction"]: one for one in await setup._sessions(before)}
    assert rows["in"]["finish_reason"] == "operator_disconnects"
    assert rows["in"]["first_talked_employee_full_name"] == "Lund Boris"
    assert rows["out"]["finish_reason"] == "success_finish"
    legs = await setup.legs(rows["in"]["id"])
    reasons = {leg["employee_full_name"]: leg["finish_reason"] for leg in legs}
    assert reasons["Berg Anna"] == "another_operator_answer"
    assert reasons["Lund Boris"] == "operator_disconnects"
    async with asyncio.timeout(30):
        while not rows["in"]["full_record_file_link"]:
            await asyncio.sleep(0.2)
            rows = {one["direction"]: one for one in await setup._sessions(before)}
    await setup.prove_talk(rows["in"], call, taking)
    await setup.prove_recording(rows["in"], call, taking)
    await setup.nobody_left()


async def test_a_call_of_a_colleague_is_picked_up_and_nothing_else(setup: Setup) -> None:
    call = await setup.boris.dial("201")
    ringing = await setup.anna.next_call()
    await ringing.ringing()
    nobody = await setup.clara.dial("*8202")
    await nobody.ended()
    assert not nobody.is_answered
    assert not ringing.is_ended
    taking = await setup.clara.dial("*8201")
    await call.hears(taking.tone)
    await taking.hears(call.tone)
    await call.hangup()
    await taking.ended()
    await setup.nobody_left()


async def test_a_call_that_rings_at_two_devices_is_picked_up_once(setup: Setup) -> None:
    """The phone that dialled has the call, and no device rings on; nothing of it lives after the parties have gone."""
    tablet = await setup.phone("0260001", "Anna's tablet")
    try:
        tablet.on_call(Ignore())
        before = await setup.last_id()
        call = await setup.clara.dial("201")
        devices = [await setup.anna.next_call(), await tablet.next_call()]
        for ringing in devices:
            await ringing.ringing()
        taking = await setup.boris.dial("*8201")
        await call.hears(taking.tone)
        await taking.hears(call.tone)
        for ringing in devices:
            await ringing.ended()
            assert not ringing.is_answered
        await asyncio.sleep(2)
        assert not taking.is_ended
        assert not call.is_ended
        await call.hangup()
        await taking.ended()
        await setup.row(before, expected=2)
        assert not await setup.living()
        await setup.nobody_left()
    finally:
        await tablet.unregister()
