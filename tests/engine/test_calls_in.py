"""Calls in on a virtual number, through its scenario, on the real engine: each way one starts and ends."""

from __future__ import annotations

import asyncio

import pytest

from tests.engine.setup import Setup
from trunkline.demo.outside import Answer, Behaviour, busy, decline, no_such_number, unreachable

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("setup of reports"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),  # the first one sets the setup, maybe on a busy machine
]

ANNA, PAIR, GREETED, ONE_AT_A_TIME, MESSAGE, OFFLINE, MOBILE, NOTHING, CLARA, CHAIN = (
    f"9714000020{digit}" for digit in range(10)
)
NOTIFICATIONS_OF_A_TALK = (
    "in_call_session",
    "call_connected",
    "talk_finished",
    "call_session_finished",
    "call_record_completed",
)


@pytest.mark.parametrize("who_ends", ["customer", "employee"])
async def test_a_talk_is_heard_recorded_reported_and_reported(setup: Setup, who_ends: str) -> None:
    before = await setup.last_id()
    customer = await setup.customer()
    setup.anna.on_call(Answer(after=1.0))
    call = await customer.dial(ANNA)
    await call.ringing()
    phone = await setup.anna.next_call()
    await phone.answered()
    await asyncio.sleep(3)
    await (call if who_ends == "customer" else phone).hangup()
    await asyncio.gather(call.ended(), phone.ended())

    assert phone.number.lstrip("+") == call.party
    row = await setup.row(before, recorded=True)
    await setup.prove_talk(row, call, phone)
    await setup.prove_recording(row, call, phone)
    assert row["direction"] == "in"
    assert row["finish_reason"] == (
        "caller_disconnects" if who_ends == "customer" else "operator_disconnects"
    )
    assert row["contact_phone_number"] == call.party
    assert row["virtual_phone_number"] == ANNA
    assert row["wait_duration"] == pytest.approx(phone.at_answer - call.at_dial, abs=0.8)
    assert row["total_duration"] == pytest.approx(call.at_end - call.at_dial, abs=0.8)
    assert row["first_talked_employee_full_name"] == "Berg Anna"
    contact_leg, employee_leg = await setup.legs(row["id"])
    assert contact_leg["is_operator"] is False
    assert employee_leg["is_operator"] is True
    assert employee_leg["is_talked"] is True
    assert employee_leg["duration"] == pytest.approx(phone.at_end - phone.at_answer, abs=0.8)
    reported = await setup.reported(row["id"], NOTIFICATIONS_OF_A_TALK)
    assert (
        reported.index("call_connected")
        < reported.index("talk_finished")
        < reported.index("call_session_finished")
    )


async def test_a_greeting_comes_first_and_is_in_no_recording(setup: Setup) -> None:
    before = await setup.last_id()
    customer = await setup.customer()
    setup.anna.on_call(Answer())
    call = await customer.dial(GREETED)
    phone = await setup.anna.next_call()
    await phone.answered()
    await asyncio.sleep(2)
    await call.hangup()
    await asyncio.gather(call.ended(), phone.ended())
    row = await setup.row(before, recorded=True)
    assert phone.at_answer - call.at_answer > 0.8
    await setup.prove_talk(row, call, phone)
    await setup.prove_recording(row, call, phone)


async def test_the_first_of_a_group_to_answer_talks(setup: Setup) -> None:
    before = await setup.last_id()
    customer = await setup.customer()
    setup.boris.on_call(Answer(after=0.8))
    call = await customer.dial(PAIR)
    phone = await setup.boris.next_call()
    other = await setup.anna.next_call()
    await phone.answered()
    await other.ended()
    await asyncio.sleep(2)
    await phone.hangup()
    await call.ended()
    row = await setup.row(before, recorded=True)
    await setup.prove_talk(row, call, phone)
    assert not other.is_answered
    reasons = {leg["employee_full_name"]: leg["finish_reason"] for leg in await setup.legs(row["id"])}
    assert reasons["Berg Anna"] == "another_operator_answer"


async def test_in_turn_the_second_is_rung_after_the_first(setup: Setup) -> None:
    before = await setup.last_id()
    customer = await setup.customer()
    setup.boris.on_call(Answer())
    call = await customer.dial(CHAIN)
    first = await setup.anna.next_call()
    second = await setup.boris.next_call()
    await second.answered()
    await asyncio.sleep(2)
    await call.hangup()
    await second.ended()
    assert first.at_end <= second.at_dial + 0.2
    row = await setup.row(before, recorded=True)
    await setup.prove_talk(row, call, second)
    reasons = {leg["employee_full_name"]: leg["finish_reason"] for leg in await setup.legs(row["id"])}
    assert reasons["Berg Anna"] == "operator_not_responsive"


async def test_a_caller_who_gives_up_stops_the_ringing(setup: Setup) -> None:
    before = await setup.last_id()
    customer = await setup.customer()
    call = await customer.dial(ANNA)
    phone = await setup.anna.next_call()
    await call.ringing()
    await asyncio.sleep(1)
    await call.hangup()
    await phone.ended()
    row = await setup.row(before)
    assert row["is_lost"] is True
    assert row["finish_reason"] == "caller_disconnects"
    assert row["talk_duration"] == 0
    assert row["full_record_file_link"] in (None, "")
    assert row["wait_duration"] == pytest.approx(call.at_end - call.at_dial, abs=0.8)
    assert "lost_call" in await setup.reported(row["id"], ["lost_call", "call_session_finished"])


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [(busy(), "operator_busy"), (decline(0.3), "operator_disconnects"), (unreachable(), "locked_phone")],
)
async def test_a_phone_that_refuses(setup: Setup, behaviour: Behaviour, reason: str) -> None:
    before = await setup.last_id()
    customer = await setup.customer()
    setup.anna.on_call(behaviour)
    call = await customer.dial(ANNA)
    await call.ended()
    assert not call.is_answered
    row = await setup.row(before)
    assert (row["finish_reason"], row["is_lost"]) == (reason, True)
    legs = await setup.legs(row["id"])
    assert [leg["finish_reason"] for leg in legs if leg["is_operator"]] == [reason]


async def test_nobody_picks_up(setup: Setup) -> None:
    before = await setup.last_id()
    customer = await setup.customer()
    call = await customer.dial(ANNA)
    phone = await setup.anna.next_call()
    await phone.ended()
    await call.ended()
    row = await setup.row(before)
    assert (row["finish_reason"], row["is_lost"]) == ("operator_not_responsive", True)
    assert row["wait_duration"] == pytest.approx(4, abs=1)


async def test_an_offline_line(setup: Setup) -> None:
    before = await setup.last_id()
    call = await (await setup.customer()).dial(OFFLINE)
    await call.ended()
    row = await setup.row(before)
    assert (row["finish_reason"], row["is_lost"]) == ("sip_offline", True)


async def test_an_employee_is_reached_on_a_mobile(setup: Setup) -> None:
    before = await setup.last_id()
    mobile = await setup.mobile()
    mobile.on_call(Answer(after=0.3))
    call = await (await setup.customer()).dial(MOBILE)
    phone = await mobile.next_call()
    await phone.answered()
    await asyncio.sleep(2)
    await call.hangup()
    await phone.ended()
    assert phone.number.lstrip("+") == MOBILE
    row = await setup.row(before, recorded=True)
    await setup.prove_talk(row, call, phone)
    await setup.prove_recording(row, call, phone)


async def test_a_mobile_number_that_does_not_exist(setup: Setup) -> None:
    before = await setup.last_id()
    (await setup.mobile()).on_call(no_such_number())
    call = await (await setup.customer()).dial(MOBILE)
    await call.ended()
    row = await setup.row(before)
    assert (row["finish_reason"], row["is_lost"]) == ("operator_number_problems", True)


async def test_no_more_calls_than_the_number_takes(setup: Setup) -> None:
    before = await setup.last_id()
    setup.anna.on_call(Answer())
    first = await (await setup.customer()).dial(ONE_AT_A_TIME)
    phone = await setup.anna.next_call()
    await phone.answered()
    second = await (await setup.customer()).dial(ONE_AT_A_TIME)
    await second.ended()
    assert second.cause == 17
    refused = await setup.row(before)
    assert refused["finish_reason"] == "max_in_call_reached"
    await first.hangup()
    await phone.ended()
    await setup.row(before, expected=2)


async def test_a_busy_line_takes_no_second_call(setup: Setup) -> None:
    before = await setup.last_id()
    setup.clara.on_call(Answer())
    first = await (await setup.customer()).dial(CLARA)
    phone = await setup.clara.next_call()
    await phone.answered()
    second = await (await setup.customer()).dial(CLARA)
    await second.ended()
    assert len(setup.clara.incoming) == 1
    refused = await setup.row(before)
    assert refused["finish_reason"] == "operator_channels_busy"
    await first.hangup()
    await phone.ended()
    await setup.row(before, expected=2)


async def test_a_blacklisted_caller_is_turned_away(setup: Setup) -> None:
    before = await setup.last_id()
    call = await (await setup.prankster()).dial(ANNA)
    await call.ended()
    assert not call.is_ringing
    assert setup.anna.incoming == []
    row = await setup.row(before)
    assert (row["finish_reason"], row["is_lost"]) == ("numa_in_black_list", True)


async def test_a_number_without_a_scenario(setup: Setup) -> None:
    before = await setup.last_id()
    call = await (await setup.customer()).dial(NOTHING)
    await call.ended()
    assert (await setup.row(before))["finish_reason"] == "no_active_scenario"


async def test_a_voice_mail_is_kept(setup: Setup) -> None:
    before = await setup.last_id()
    customer = await setup.customer()
    call = await customer.dial(MESSAGE)
    await call.answered()
    await call.ended(timeout=20)
    row = await setup.row_with(before, "voice_mail_records")
    assert row["is_lost"] is True
    sound = await setup.voice_mail(row)
    assert list(sound) == [customer.tone]
    # Asterisk counts whole seconds: of the three allowed it may take nearly four.
    assert 1.5 < sound[customer.tone] < 4.2


async def test_nothing_is_left_behind(setup: Setup) -> None:
    await asyncio.sleep(0.5)
    assert await setup.living() == []
    assert await setup.world.living_channels() == 0
    await setup.nobody_left()
