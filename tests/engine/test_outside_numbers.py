"""Calls that a scenario forwards to an outside number, on the real engine: who hears whom, what is kept of it."""

from __future__ import annotations

import asyncio

import pytest

from tests.engine.setup import Setup
from trunkline.demo.outside import Answer, Behaviour, Ignore, busy, decline, no_such_number

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("setup of reports"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]

OUTSIDE, EXTENSION, ABROAD = "97140000215", "97140000216", "97140000217"
PARTNER, OFFICE, FOREIGN = "971500000080", "971500000081", "442079460080"


@pytest.mark.parametrize("who_ends", ["customer", "partner"])
async def test_a_talk_with_a_number_of_the_world(setup: Setup, who_ends: str) -> None:
    before = await setup.last_id()
    partner = await setup.customer_with(PARTNER)
    partner.on_call(Answer(after=1.0))
    call = await (await setup.customer()).dial(OUTSIDE)
    await call.ringing()
    phone = await partner.next_call()
    await phone.answered()
    await asyncio.sleep(3)
    await (call if who_ends == "customer" else phone).hangup()
    await asyncio.gather(call.ended(), phone.ended())
    assert phone.number.lstrip("+") == OUTSIDE
    row = await setup.row(before, recorded=True)
    await setup.prove_talk(row, call, phone)
    await setup.prove_recording(row, call, phone)
    assert row["finish_reason"] == (
        "caller_disconnects" if who_ends == "customer" else "operator_disconnects"
    )
    assert (row["employees"], row["operator_phone_number"], row["scenario_name"]) == ([], PARTNER, "Outside")
    _, leg = await setup.legs(row["id"])
    assert (leg["calling_phone_number"], leg["called_phone_number"]) == (OUTSIDE, PARTNER)
    assert (leg["is_operator"], leg["is_talked"], leg["is_failed"]) == (True, True, False)
    assert leg["employee_full_name"] is None
    assert leg["duration"] == pytest.approx(phone.at_end - phone.at_answer, abs=0.8)


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (busy(), "operator_busy"),
        (decline(0.3), "operator_disconnects"),
        (no_such_number(), "operator_number_problems"),
        (Ignore(), "operator_not_responsive"),
    ],
)
async def test_the_next_operation_takes_over(setup: Setup, behaviour: Behaviour, reason: str) -> None:
    before = await setup.last_id()
    partner = await setup.customer_with(PARTNER)
    partner.on_call(behaviour)
    setup.boris.on_call(Answer())
    call = await (await setup.customer()).dial(OUTSIDE)
    phone = await setup.boris.next_call()
    await phone.answered()
    await asyncio.sleep(2)
    await call.hangup()
    await phone.ended()
    row = await setup.row(before, recorded=True)
    await setup.prove_talk(row, call, phone)
    _, outside, employee = await setup.legs(row["id"])
    assert (outside["called_phone_number"], outside["finish_reason"], outside["is_failed"]) == (
        PARTNER,
        reason,
        True,
    )
    assert employee["employee_full_name"] == "Lund Boris"


async def test_a_number_with_one_channel_takes_one_call(setup: Setup) -> None:
    before = await setup.last_id()
    partner = await setup.customer_with(PARTNER)
    partner.on_call(Answer())
    setup.boris.on_call(Answer())
    first = await (await setup.customer()).dial(OUTSIDE)
    phone = await partner.next_call()
    await phone.answered()
    second = await (await setup.customer()).dial(OUTSIDE)
    other = await setup.boris.next_call()
    await other.answered()
    assert len(partner.incoming) == 1
    await asyncio.sleep(1)
    await asyncio.gather(first.hangup(), second.hangup())
    await asyncio.gather(phone.ended(), other.ended())
    talked = await setup.row(before, expected=2)
    newest = await setup.row(talked["id"])
    reasons = [
        leg["finish_reason"]
        for leg in await setup.legs(newest["id"])
        if leg["called_phone_number"] == PARTNER
    ]
    assert reasons == ["operator_channels_busy"]


async def test_a_closed_direction_is_not_called(setup: Setup) -> None:
    before = await setup.last_id()
    foreign = await setup.customer_with(FOREIGN)
    foreign.on_call(Answer())
    setup.boris.on_call(Answer())
    call = await (await setup.customer()).dial(ABROAD)
    phone = await setup.boris.next_call()
    await phone.answered()
    await asyncio.sleep(1)
    await call.hangup()
    await phone.ended()
    assert foreign.incoming == []
    row = await setup.row(before)
    _, refused, _ = await setup.legs(row["id"])
    assert (refused["called_phone_number"], refused["finish_reason"], refused["total_duration"]) == (
        FOREIGN,
        "external_call_not_allowed",
        0,
    )


async def test_an_extension_is_keyed_in_when_it_answers(setup: Setup) -> None:
    before = await setup.last_id()
    office = await setup.customer_with(OFFICE)
    office.on_call(Answer(after=0.3))
    call = await (await setup.customer()).dial(EXTENSION)
    phone = await office.next_call()
    await phone.answered()
    await asyncio.sleep(4)
    assert phone.keys == "17"
    await call.hears(phone.tone)
    await phone.hears(call.tone)
    await call.hangup()
    await phone.ended()
    row = await setup.row(before, recorded=True)
    assert (row["operator_phone_number"], row["is_lost"]) == (OFFICE, False)
    assert call.keys == ""
