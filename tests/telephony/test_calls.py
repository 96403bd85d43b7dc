"""Real calls through the engine: how they start, connect and end."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from tests.telephony.conftest import NUMBER, TelephonySetup
from trunkline.core.engine_values import CallTag, EndpointName
from trunkline.demo import outside
from trunkline.demo.tones import heard as heard_tones
from trunkline.demo.tones import read_raw
from trunkline.telephony.ari_events import Dialled
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
    Signal,
    Target,
    TargetStarted,
)
from trunkline.telephony.translate import Translator

pytestmark = pytest.mark.engine

CUSTOMER = "12025550110"
LINE = Endpoint.line("1001")
TRUNK = Endpoint(EndpointKind.TRUNK, EndpointName("trunk-7"))
BY_ADDRESS = Endpoint(EndpointKind.TRUNK, EndpointName("trunk-7-ip"))


async def arrived(setup: TelephonySetup) -> Arrived:
    return await setup.signals.wait(Arrived)


async def test_customer_talks_with_a_line_and_both_are_recorded(setup: TelephonySetup) -> None:
    phone = await setup.world.phone("1001", "secret")
    customer = await setup.world.customer(CUSTOMER)
    phone.on_call(outside.Answer(after=0.5))
    call = await customer.dial(NUMBER)

    arrival = await arrived(setup)
    assert (arrival.endpoint, arrival.called, arrival.calling_number) == (BY_ADDRESS, NUMBER, CUSTOMER)
    target = Target.of(LINE, caller_number="971500000010", caller_name="Dana")
    await setup.engine.connect(arrival.channel, Connect([target], 20, record=True, tag=CallTag("77")))

    started = await setup.signals.wait(TargetStarted)
    assert (started.dialling, started.endpoint, started.number) == (arrival.channel, LINE, None)
    await setup.signals.wait(Ringing, lambda one: one.channel == started.channel)
    await setup.signals.wait(Answered, lambda one: one.channel == started.channel)
    await setup.signals.wait(Answered, lambda one: one.channel == arrival.channel)
    await call.answered()
    taken = await phone.next_call()
    assert (taken.number, taken.name) == ("971500000010", "Dana")
    await call.hears(phone.tone)
    await taken.hears(customer.tone)
    await asyncio.sleep(1.5)
    await taken.hangup()

    finished = await setup.signals.wait(ConnectFinished)
    assert finished.result is ConnectResult.ANSWERED
    ended = await setup.signals.wait(Ended, lambda one: one.channel == started.channel)
    assert ended.by_party
    await setup.engine.hangup(arrival.channel)
    ended = await setup.signals.wait(Ended, lambda one: one.channel == arrival.channel)
    assert (ended.by_party, ended.cause) == (False, 16)
    await setup.nobody_left()

    joined = await setup.signals.wait(Joined, lambda one: one.channel == started.channel)
    talk = finished.at - joined.at
    spool = setup.pbx.config.paths.spool / "77"
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
    setup: TelephonySetup, behaviour: outside.Behaviour, result: ConnectResult, cause: int | None
) -> None:
    phone = await setup.world.phone("1001", "secret")
    customer = await setup.world.customer(CUSTOMER)
    phone.on_call(behaviour)
    await customer.dial(NUMBER)
    arrival = await arrived(setup)
    await setup.engine.connect(arrival.channel, Connect([Target(LINE)], 2, tag=CallTag("1")))
    finished = await setup.signals.wait(ConnectFinished)
    assert finished.result is result
    assert cause in (None, finished.cause)
    await setup.engine.hangup(arrival.channel, 17)
    await setup.nobody_left()


async def test_offline_line_is_unreachable(setup: TelephonySetup) -> None:
    customer = await setup.world.customer(CUSTOMER)
    await customer.dial(NUMBER)
    arrival = await arrived(setup)
    await setup.engine.connect(arrival.channel, Connect([Target(LINE)], 20, tag=CallTag("1")))
    finished = await setup.signals.wait(ConnectFinished)
    assert finished.result is ConnectResult.UNREACHABLE
    await setup.engine.hangup(arrival.channel)
    await setup.nobody_left()


async def test_caller_gives_up_while_it_rings(setup: TelephonySetup) -> None:
    phone = await setup.world.phone("1001", "secret")
    customer = await setup.world.customer(CUSTOMER)
    phone.on_call(outside.Ignore())
    call = await customer.dial(NUMBER)
    arrival = await arrived(setup)
    await setup.engine.connect(arrival.channel, Connect([Target(LINE)], 20, tag=CallTag("1")))
    await setup.signals.wait(Ringing)
    await call.hangup()
    ended = await setup.signals.wait(Ended, lambda one: one.channel == arrival.channel)
    assert ended.by_party
    started = await setup.signals.wait(TargetStarted)
    ended = await setup.signals.wait(Ended, lambda one: one.channel == started.channel)
    assert not ended.by_party
    assert not setup.signals.of(ConnectFinished)
    await setup.nobody_left()


async def test_line_calls_out_through_the_trunk_and_shows_our_number(setup: TelephonySetup) -> None:
    phone = await setup.world.phone("1001", "secret")
    customer = await setup.world.customer(CUSTOMER)
    customer.on_call(outside.Answer(after=0.3))
    call = await phone.dial(CUSTOMER)
    arrival = await arrived(setup)
    assert (arrival.endpoint, arrival.called) == (LINE, CUSTOMER)
    target = Target.of(TRUNK, CUSTOMER, caller_number=NUMBER)
    await setup.engine.connect(
        arrival.channel, Connect([target], 20, tag=CallTag("1"), return_after_talk=False)
    )
    taken = await customer.next_call()
    assert taken.number.removeprefix("+") == NUMBER
    await call.hears(customer.tone)
    started = await setup.signals.wait(TargetStarted)
    assert (started.endpoint, started.number) == (TRUNK, f"+{CUSTOMER}")
    await taken.hangup()
    await setup.signals.wait(Ended, lambda one: one.channel == arrival.channel)
    assert not setup.signals.of(ConnectFinished)
    await setup.nobody_left()


async def test_all_devices_of_a_line_ring_and_the_first_takes_it(setup: TelephonySetup) -> None:
    desk = await setup.world.phone("1001", "secret", name="desk")
    mobile = await setup.world.phone("1001", "secret", name="mobile")
    await setup.signals.wait(Registered, lambda _: len({c.uri for c in setup.engine.contacts()}) == 2)
    desk.on_call(outside.Ignore())
    mobile.on_call(outside.Answer(after=0.5))
    customer = await setup.world.customer(CUSTOMER)
    call = await customer.dial(NUMBER)
    arrival = await arrived(setup)
    await setup.engine.connect(arrival.channel, Connect([Target(LINE)], 20, tag=CallTag("1")))
    await call.hears(mobile.tone)
    assert len(setup.signals.of(TargetStarted)) == 2
    await call.hangup()
    await setup.nobody_left()


async def test_an_answer_whose_response_is_late_has_the_time_of_the_log(
    setup: TelephonySetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of this process runs for a while, as when it is stopped; the log has the answer then."""
    call = await (await setup.world.customer(CUSTOMER)).dial(NUMBER)
    arrival = await arrived(setup)
    command, done_at = setup.engine._command, 0.0

    async def late(*arguments: Any, **options: Any) -> Any:
        nonlocal done_at
        response, done_at = await command(*arguments, **options), time.time()
        time.sleep(0.4)
        return response

    monkeypatch.setattr(setup.engine, "_command", late)
    await setup.engine.answer(arrival.channel)
    monkeypatch.undo()
    answered = await setup.signals.wait(Answered)
    assert answered.answered_at_phone is not None
    assert answered.answered_at_phone <= done_at < answered.at
    await call.hangup()
    await setup.nobody_left()


async def test_an_answer_that_asterisk_does_not_report_is_found(
    setup: TelephonySetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asterisk reports no answer of a channel that is answered before it is in the bridge in which it is dialled."""
    phone = await setup.world.phone("1001", "secret")
    phone.on_call(outside.Answer(after=0.1))
    progress = Translator._progress_of_originated

    def without_answer(self: Translator, public: Channel, event: Dialled) -> list[Signal]:
        return [] if event.status == "ANSWER" else progress(self, public, event)

    monkeypatch.setattr(Translator, "_progress_of_originated", without_answer)
    channel = Channel("leg-5")
    await setup.engine.originate(
        Originate(channel, Target.of(LINE, caller_number=CUSTOMER), 20, CallTag("5"))
    )

    await setup.signals.wait(Answered, lambda one: one.channel == channel)
    await setup.engine.hangup(channel)
    await setup.signals.wait(Ended, lambda one: one.channel == channel)
    await setup.nobody_left()


@pytest.mark.parametrize("devices", [1, 2])
async def test_originate_to_a_line_then_connect_it(setup: TelephonySetup, devices: int) -> None:
    phones = [await setup.world.phone("1001", "secret", name=f"phone{n}") for n in range(devices)]
    await setup.signals.wait(Registered, lambda _: len({c.uri for c in setup.engine.contacts()}) == devices)
    for phone in phones[1:]:
        phone.on_call(outside.Ignore())
    phones[0].on_call(outside.Answer(after=0.3))
    customer = await setup.world.customer(CUSTOMER)
    customer.on_call(outside.Answer(after=0.3))

    mine = Channel("first-leg-5")
    await setup.engine.originate(Originate(mine, Target.of(LINE, caller_number=CUSTOMER), 20, CallTag("5")))
    await setup.signals.wait(Ringing, lambda one: one.channel == mine)
    await setup.signals.wait(Answered, lambda one: one.channel == mine)
    target = Target.of(TRUNK, CUSTOMER, caller_number=NUMBER)
    await setup.engine.connect(mine, Connect([target], 20, tag=CallTag("5")))
    taken = await customer.next_call()
    await taken.hears(phones[0].tone)
    seen = (await setup.engine.survey(0)).channels  # type: ignore[arg-type]
    assert {one.tag for one in seen} == {"5"}
    assert mine in {one.channel for one in seen}
    assert len({one.linked for one in seen}) == 1
    await setup.engine.hangup(mine)
    await taken.ended()
    await setup.signals.wait(Ended, lambda one: one.channel == mine)
    assert len([one for one in setup.signals.of(Ended) if one.channel == mine]) == 1
    await setup.nobody_left()


@pytest.mark.parametrize("who", ["customer", "both"])
async def test_recording_keeps_time_while_parties_send_nothing(setup: TelephonySetup, who: str) -> None:
    phone = await setup.world.phone("1001", "secret")
    customer = await setup.world.customer(CUSTOMER)
    phone.on_call(outside.Answer())
    call = await customer.dial(NUMBER)
    arrival = await arrived(setup)
    await setup.engine.connect(arrival.channel, Connect([Target(LINE)], 20, record=True, tag=CallTag("9")))
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
    finished = await setup.signals.wait(ConnectFinished)
    await setup.engine.hangup(arrival.channel)
    await setup.nobody_left()
    started = await setup.signals.wait(TargetStarted)
    joined = await setup.signals.wait(Joined, lambda one: one.channel == started.channel)
    spool = setup.pbx.config.paths.spool / "9"
    lengths = [len(read_raw(spool / f"{one}.sln")) / 8000 for one in (arrival.channel, started.channel)]
    # While nobody sends anything, no time passes on either track: they stay in step with one another.
    missing = 2.0 if who == "both" else 0.0
    assert lengths[0] == pytest.approx(lengths[1], abs=0.1)
    assert lengths[0] == pytest.approx(finished.at - joined.at - missing, abs=0.4)
