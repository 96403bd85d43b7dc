"""Calls out of a line, to the world and to colleagues, on the real engine."""

from __future__ import annotations

import asyncio

import pytest

from tests.engine.setup import Setup
from trunkline.demo.outside import Answer, Behaviour, Ignore, busy, decline, no_such_number, unreachable

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("setup of reports"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),  # the first one sets the setup, maybe on a busy machine
]

ANNAS_NUMBER, CLARAS_NUMBER = "97140000200", "97140000203"
BORIS, DORA, NOBODY = "202", "204", "299"


@pytest.mark.parametrize("who_ends", ["customer", "employee"])
async def test_a_talk_with_the_world(setup: Setup, who_ends: str) -> None:
    before = await setup.last_id()
    customer = await setup.customer()
    customer.on_call(Answer(after=1.0))
    phone = await setup.anna.dial(customer.name)
    call = await customer.next_call()
    await asyncio.gather(phone.answered(), call.answered())
    await asyncio.sleep(3)
    await (call if who_ends == "customer" else phone).hangup()
    await asyncio.gather(call.ended(), phone.ended())

    assert call.number.lstrip("+") == ANNAS_NUMBER
    row = await setup.row(before, recorded=True)
    await setup.prove_talk(row, call, phone)
    await setup.prove_recording(row, call, phone)
    assert (row["direction"], row["source"]) == ("out", "sip")
    assert row["finish_reason"] == (
        "caller_disconnects" if who_ends == "customer" else "operator_disconnects"
    )
    assert row["contact_phone_number"] == customer.name
    assert row["virtual_phone_number"] == ANNAS_NUMBER
    assert row["wait_duration"] == pytest.approx(call.at_answer - phone.at_dial, abs=0.8)


async def test_early_media_reaches_the_phone(setup: Setup) -> None:
    before = await setup.last_id()
    customer = await setup.customer()
    customer.on_call(Answer(after=1.5, early_media=True))
    phone = await setup.anna.dial(customer.name)
    await phone.answered()
    await asyncio.sleep(1.5)
    await phone.hangup()
    await phone.ended()
    [interval] = (await setup.world.hears([phone]))["Anna"][customer.name]
    assert interval.start < phone.at_answer - 1.0
    row = await setup.row(before, recorded=True)
    assert row["talk_duration"] == pytest.approx(phone.at_end - phone.at_answer, abs=0.8)


@pytest.mark.parametrize(
    ("behaviour", "reason", "cause"),
    [
        (busy(), "caller_busy", 17),
        (decline(0.3), "caller_disconnects", 21),
        (no_such_number(), "caller_number_problems", 1),
        (unreachable(), "caller_number_problems", 34),
    ],
)
async def test_a_customer_who_is_not_reached(
    setup: Setup, behaviour: Behaviour, reason: str, cause: int
) -> None:
    before = await setup.last_id()
    customer = await setup.customer()
    customer.on_call(behaviour)
    phone = await setup.anna.dial(customer.name)
    await phone.ended()
    assert not phone.is_answered
    assert phone.cause == cause
    row = await setup.row(before)
    assert (row["finish_reason"], row["is_lost"]) == (reason, True)


async def test_an_employee_gives_up(setup: Setup) -> None:
    before = await setup.last_id()
    customer = await setup.customer()
    customer.on_call(Ignore())
    phone = await setup.anna.dial(customer.name)
    call = await customer.next_call()
    await phone.ringing()
    await phone.hangup()
    await call.ended()
    row = await setup.row(before)
    assert row["finish_reason"] == "operator_disconnects"
    assert row["talk_duration"] == 0


async def test_colleagues_talk_by_short_number(setup: Setup) -> None:
    before = await setup.last_id()
    setup.boris.on_call(Answer(after=0.5))
    caller = await setup.anna.dial(BORIS)
    called = await setup.boris.next_call()
    await asyncio.gather(caller.answered(), called.answered())
    await asyncio.sleep(2)
    await called.hangup()
    await caller.ended()
    assert called.number == "201"
    assert called.name == "Berg Anna"
    row = await setup.row(before)
    await setup.prove_talk(row, called, caller)
    assert row["direction"] == "out"


async def test_a_colleague_who_is_offline(setup: Setup) -> None:
    before = await setup.last_id()
    phone = await setup.anna.dial(DORA)
    await phone.ended()
    assert (await setup.row(before))["finish_reason"] == "sip_offline"


async def test_a_short_number_nobody_has(setup: Setup) -> None:
    before = await setup.last_id()
    phone = await setup.anna.dial(NOBODY)
    await phone.ended()
    assert (await setup.row(before))["finish_reason"] == "incorrect_input"


async def test_no_more_calls_than_the_line_has_channels(setup: Setup) -> None:
    before = await setup.last_id()
    customer = await setup.customer()
    first = await setup.clara.dial(customer.name)
    await first.answered()
    second = await setup.clara.dial(customer.name)
    await second.ended()
    assert second.cause == 17
    assert (await setup.row(before))["finish_reason"] == "max_out_call_reached"
    await first.hangup()
    await setup.row(before, expected=2)
