"""Real calls through the engine: how they start, connect and end."""

from __future__ import annotations

import asyncio

import pytest

from tests.telephony.conftest import NUMBER, House
from trunkline.core.engine_values import CallTag, EndpointName
from trunkline.demo import outside
from trunkline.demo.tones import heard as heard_tones
from trunkline.demo.tones import read_raw
from trunkline.telephony.port import (
    Answered,
    Arrived,
    Channel,
    Connect,
    ConnectFinished,
    ConnectResult,
    Ended,
    Endpoint,
    EndpointKind,
    Joined,
    Originate,
    Registered,
    Ringing,
    Target,
    TargetStarted,
)

pytestmark = pytest.mark.engine

CUSTOMER = "12025550110"
LINE = Endpoint.line("1001")
TRUNK = Endpoint(EndpointKind.TRUNK, EndpointName("trunk-7"))
BY_ADDRESS = Endpoint(EndpointKind.TRUNK, EndpointName("trunk-7-ip"))


async def arrived(house: House) -> Arrived:
    return await house.heard.wait(Arrived)


async def test_customer_talks_with_a_line_and_both_are_recorded(house: House) -> None:
    phone = await house.world.phone("1001", "secret")
    customer = await house.world.customer(CUSTOMER)
    phone.on_call(outside.Answer(after=0.5))
    call = await customer.dial(NUMBER)

    arrival = await arrived(house)
    assert (arrival.endpoint, arrival.called, arrival.calling_number) == (BY_ADDRESS, NUMBER, CUSTOMER)
    target = Target.of(LINE, caller_number="971500000010", caller_name="Dana")
    await house.engine.connect(arrival.channel, Connect([target], 20, record=True, tag=CallTag("77")))

    started = await house.heard.wait(TargetStarted)
    assert (started.dialling, started.endpoint, started.number) == (arrival.channel, LINE, None)
    await house.heard.wait(Ringing, lambda one: one.channel == started.channel)
    await house.heard.wait(Answered, lambda one: one.channel == started.channel)
    await house.heard.wait(Answered, lambda one: one.channel == arrival.channel)
    await call.answered()
    taken = await phone.next_call()
    assert (taken.number, taken.name) == ("971500000010", "Dana")
    await call.hears(phone.tone)
    await taken.hears(customer.tone)
    await asyncio.sleep(1.5)
    await taken.hangup()

    finished = await house.heard.wait(ConnectFinished)
    assert finished.result is ConnectResult.ANSWERED
    ended = await house.heard.wait(Ended, lambda one: one.channel == started.channel)
    assert ended.by_party
    await house.engine.hangup(arrival.channel)
    ended = await house.heard.wait(Ended, lambda one: one.channel == arrival.channel)
    assert (ended.by_party, ended.cause) == (False, 16)
    await house.nobody_left()

    joined = await house.heard.wait(Joined, lambda one: one.channel == started.channel)
    talk = finished.at - joined.at
    spool = house.pbx.config.paths.spool / "77"
    tones = [customer.tone, phone.tone]
    for channel, own, other in [
        (arrival.channel, customer.tone, phone.tone),
        (started.channel, phone.tone, customer.tone),
    ]:
        sound = read_raw(spool / f"{channel}.sln")
        assert len(sound) / 8000 == pytest.approx(talk, abs=0.3)
        found = heard_tones(sound, tones)
        assert found[own]
        assert not found[other]


@pytest.mark.parametrize(
    ("behaviour", "result", "cause"),
    [
        (outside.busy(), ConnectResult.BUSY, 17),
        (outside.decline(), ConnectResult.DECLINED, 21),
        (outside.ring_then_give_up(0.3), ConnectResult.NO_ANSWER, 19),
        (outside.unreachable(), ConnectResult.UNREACHABLE, None),
        (outside.no_such_number(), ConnectResult.UNREACHABLE, 1),
        (outside.Ignore(), ConnectResult.NO_ANSWER, None),
    ],
    ids=["busy", "decline", "unavailable", "congestion", "unknown", "ignored"],
)
async def test_line_that_does_not_take_the_call(
    house: House, behaviour: outside.Behaviour, result: ConnectResult, cause: int | None
) -> None:
    phone = await house.world.phone("1001", "secret")
    customer = await house.world.customer(CUSTOMER)
    phone.on_call(behaviour)
    await customer.dial(NUMBER)
    arrival = await arrived(house)
    await house.engine.connect(arrival.channel, Connect([Target(LINE)], 2, tag=CallTag("1")))
    finished = await house.heard.wait(ConnectFinished)
    assert finished.result is result
    assert cause in (None, finished.cause)
    await house.engine.hangup(arrival.channel, 17)
    await house.nobody_left()


async def test_offline_line_is_unreachable(house: House) -> None:
    customer = await house.world.customer(CUSTOMER)
    await customer.dial(NUMBER)
    arrival = await arrived(house)
    await house.engine.connect(arrival.channel, Connect([Target(LINE)], 20, tag=CallTag("1")))
    finished = await house.heard.wait(ConnectFinished)
    assert finished.result is ConnectResult.UNREACHABLE
    await house.engine.hangup(arrival.channel)
    await house.nobody_left()


async def test_caller_gives_up_while_it_rings(house: House) -> None:
    phone = await house.world.phone("1001", "secret")
    customer = await house.world.customer(CUSTOMER)
    phone.on_call(outside.Ignore())
    call = await customer.dial(NUMBER)
    arrival = await arrived(house)
    await house.engine.connect(arrival.channel, Connect([Target(LINE)], 20, tag=CallTag("1")))
    await house.heard.wait(Ringing)
    await call.hangup()
    ended = await house.heard.wait(Ended, lambda one: one.channel == arrival.channel)
    assert ended.by_party
    started = await house.heard.wait(TargetStarted)
    ended = await house.heard.wait(Ended, lambda one: one.channel == started.channel)
    assert not ended.by_party
    assert not house.heard.of(ConnectFinished)
    await house.nobody_left()


async def test_line_calls_out_through_the_trunk_and_shows_our_number(house: House) -> None:
    phone = await house.world.phone("1001", "secret")
    customer = await house.world.customer(CUSTOMER)
    customer.on_call(outside.Answer(after=0.3))
    call = await phone.dial(CUSTOMER)
    arrival = await arrived(house)
    assert (arrival.endpoint, arrival.called) == (LINE, CUSTOMER)
    target = Target.of(TRUNK, CUSTOMER, caller_number=NUMBER)
    await house.engine.connect(
        arrival.channel, Connect([target], 20, tag=CallTag("1"), return_after_talk=False)
    )
    taken = await customer.next_call()
    assert taken.number.removeprefix("+") == NUMBER
    await call.hears(customer.tone)
    started = await house.heard.wait(TargetStarted)
    assert (started.endpoint, started.number) == (TRUNK, f"+{CUSTOMER}")
    await taken.hangup()
    await house.heard.wait(Ended, lambda one: one.channel == arrival.channel)
    assert not house.heard.of(ConnectFinished)
    await house.nobody_left()


async def test_all_devices_of_a_line_ring_and_the_first_takes_it(house: House) -> None:
    desk = await house.world.phone("1001", "secret", name="desk")
    mobile = await house.world.phone("1001", "secret", name="mobile")
    await house.heard.wait(Registered, lambda _: len({c.uri for c in house.engine.contacts()}) == 2)
    desk.on_call(outside.Ignore())
    mobile.on_call(outside.Answer(after=0.5))
    customer = await house.world.customer(CUSTOMER)
    call = await customer.dial(NUMBER)
    arrival = await arrived(house)
    await house.engine.connect(arrival.channel, Connect([Target(LINE)], 20, tag=CallTag("1")))
    await call.hears(mobile.tone)
    assert len(house.heard.of(TargetStarted)) == 2
    await call.hangup()
    await house.nobody_left()


@pytest.mark.parametrize("devices", [1, 2])
async def test_originate_to_a_line_then_connect_it(house: House, devices: int) -> None:
    phones = [await house.world.phone("1001", "secret", name=f"phone{n}") for n in range(devices)]
    await house.heard.wait(Registered, lambda _: len({c.uri for c in house.engine.contacts()}) == devices)
    for phone in phones[1:]:
        phone.on_call(outside.Ignore())
    phones[0].on_call(outside.Answer(after=0.3))
    customer = await house.world.customer(CUSTOMER)
    customer.on_call(outside.Answer(after=0.3))

    mine = Channel("first-leg-5")
    await house.engine.originate(Originate(mine, Target.of(LINE, caller_number=CUSTOMER), 20, CallTag("5")))
    await house.heard.wait(Ringing, lambda one: one.channel == mine)
    await house.heard.wait(Answered, lambda one: one.channel == mine)
    target = Target.of(TRUNK, CUSTOMER, caller_number=NUMBER)
    await house.engine.connect(mine, Connect([target], 20, tag=CallTag("5")))
    taken = await customer.next_call()
    await taken.hears(phones[0].tone)
    seen = (await house.engine.survey(0)).channels  # type: ignore[arg-type]
    assert {one.tag for one in seen} == {"5"}
    assert mine in {one.channel for one in seen}
    assert len({one.linked for one in seen}) == 1
    await house.engine.hangup(mine)
    await taken.ended()
    await house.heard.wait(Ended, lambda one: one.channel == mine)
    assert len([one for one in house.heard.of(Ended) if one.channel == mine]) == 1
    await house.nobody_left()


@pytest.mark.parametrize("who", ["customer", "both"])
async def test_recording_keeps_time_while_parties_send_nothing(house: House, who: str) -> None:
    phone = await house.world.phone("1001", "secret")
    customer = await house.world.customer(CUSTOMER)
    phone.on_call(outside.Answer())
    call = await customer.dial(NUMBER)
    arrival = await arrived(house)
    await house.engine.connect(arrival.channel, Connect([Target(LINE)], 20, record=True, tag=CallTag("9")))
    await call.hears(phone.tone)
    taken = await phone.next_call()
    silent = [call] if who == "customer" else [call, taken]
    for one in silent:
        await one.mute()
    await asyncio.sleep(2.0)
    for one in silent:
        await one.unmute()
    await taken.hears(customer.tone)
    await taken.hangup()
    finished = await house.heard.wait(ConnectFinished)
    await house.engine.hangup(arrival.channel)
    await house.nobody_left()
    started = await house.heard.wait(TargetStarted)
    joined = await house.heard.wait(Joined, lambda one: one.channel == started.channel)
    spool = house.pbx.config.paths.spool / "9"
    lengths = [len(read_raw(spool / f"{one}.sln")) / 8000 for one in (arrival.channel, started.channel)]
    # While nobody sends anything, no time passes on either track: they stay in step with one another.
    missing = 2.0 if who == "both" else 0.0
    assert lengths[0] == pytest.approx(lengths[1], abs=0.1)
    assert lengths[0] == pytest.approx(finished.at - joined.at - missing, abs=0.4)
