"""A channel that no call contains is ended; those of calls, and those that the dialplan connects by itself, are not."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.telephony.conftest import NUMBER, Pbx, TelephonySetup
from trunkline.calls.switch.switch import Switch
from trunkline.calls.switch.unknown_channels import UNKNOWN_SECONDS, UnknownChannels, end_unknown
from trunkline.core.clock import Instant
from trunkline.core.errors import ChannelGone
from trunkline.demo.outside import Answer, OutsideWorld, Registrar
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.telephony.engine import AsteriskEngine
from trunkline.telephony.port import Arrived, Channel, Participant

pytestmark = pytest.mark.attack

NOW = 1_772_366_400.0


def switch_with(*channels: str, sessions: tuple[int, ...] = ()) -> Switch:
    stub: Any = SimpleNamespace(
        sessions=dict.fromkeys(sessions), channels=dict.fromkeys(channels), unknown_channels=0
    )
    return cast(Switch, stub)


class Engine:
    def __init__(self, *participants: Participant) -> None:
        self.there = {one.channel: one for one in participants}
        self.refuses = False

    async def participants(self) -> list[Participant]:
        return list(self.there.values())

    async def hangup(self, channel: Channel) -> None:
        if self.refuses:
            raise ChannelGone("gone")
        del self.there[channel]


def participant(name: str, *, tag: str = "", by_dialplan: bool = False) -> Participant:
    return Participant(Channel(name), "1001", tag, Instant(NOW), by_dialplan)


async def check(engine: Engine, switch: Switch, *moments: float) -> list[list[Channel]]:
    unknown = UnknownChannels()
    return [await end_unknown(engine, switch, unknown, partial(float, NOW + at)) for at in moments]


async def test_a_channel_without_a_call_is_ended_after_a_minute_and_counted() -> None:
    engine, switch = Engine(participant("a"), participant("b")), switch_with("b")
    assert await check(engine, switch, 0, 30, UNKNOWN_SECONDS, 90) == [[], [], ["a"], []]
    assert list(engine.there) == ["b"]
    assert switch.unknown_channels == 1


async def test_channels_of_calls_and_of_the_dialplan_are_not_ended() -> None:
    """By the call's own channels, by its tag, as a default or emergency call, and as the called side of a ``Dial()``."""
    engine = Engine(
        participant("known"), participant("tagged", tag="4711"), participant("emergency", by_dialplan=True)
    )
    assert await check(engine, switch_with("known", sessions=(4711,)), 0, 100, 200) == [[], [], []]


async def test_the_minute_begins_again_with_each_call() -> None:
    engine, unknown = Engine(participant("a")), UnknownChannels()
    known, empty = switch_with("a"), switch_with()
    for at, switch in ((0, empty), (50, known), (70, empty), (129, empty)):
        clock = partial(float, NOW + at)
        assert await end_unknown(engine, switch, unknown, clock) == []
    unknown.forget()
    assert await end_unknown(engine, empty, unknown, lambda: NOW + 131) == []
    assert await end_unknown(engine, empty, unknown, lambda: NOW + 191) == ["a"]


async def test_a_channel_that_is_gone_is_not_counted() -> None:
    engine, switch = Engine(participant("a")), switch_with()
    engine.refuses = True
    assert await check(engine, switch, 0, 100) == [[], []]
    assert switch.unknown_channels == 0


@pytest.mark.engine
async def test_a_call_that_the_switch_does_not_know_ends(setup: TelephonySetup) -> None:
    phone, other = await setup.world.phone("1002", "secret"), await setup.world.phone("1003", "secret")
    call = await phone.dial("1001")
    known = await other.dial("1001")
    first = await setup.signals.wait(Arrived, lambda one: one.endpoint.name == "1002")
    second = await setup.signals.wait(Arrived, lambda one: one.endpoint.name == "1003")
    switch, unknown = switch_with(second.channel), UnknownChannels(0.2)
    assert await end_unknown(setup.engine, switch, unknown, time.time) == []
    await asyncio.sleep(0.3)
    assert await end_unknown(setup.engine, switch, unknown, time.time) == [first.channel]
    await call.ended()
    assert len(await setup.engine.participants()) == 1
    await known.hangup()
    await setup.nobody_left()


@pytest.mark.engine
async def test_a_call_that_the_dialplan_connected_without_a_switch_goes_on(
    pbx: Pbx, asterisk_install: AsteriskInstall, tmp_path: Path
) -> None:
    ports = pbx.config.ports
    sip, tls = Registrar("127.0.0.1", ports.udp), Registrar("127.0.0.1", ports.tls)
    async with OutsideWorld(asterisk_install, tmp_path / "w", sip, tls, pbx.world_ports) as world:
        phone = await world.phone("1001", "secret")
        phone.on_call(Answer(after=0.1))
        customer = await world.customer("12025550111")
        async with AsteriskEngine(pbx.config) as engine, asyncio.timeout(30):
            while not engine.contacts():  # from then on the dialplan finds the phone
                await asyncio.sleep(0.1)
        call = await customer.dial(NUMBER)
        await call.answered()
        async with AsteriskEngine(pbx.config) as engine:
            await engine.wait_up()
            unknown = UnknownChannels(0)
            for _ in range(3):
                assert len(await engine.participants()) == 2
                assert await end_unknown(engine, switch_with(), unknown, time.time) == []
            await call.hangup()
            await call.ended()
