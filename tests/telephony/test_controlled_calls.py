"""The switch takes control of a call that the engine connected."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.telephony.conftest import NUMBER, TelephonySetup
from tests.telephony.test_calls import CUSTOMER, LINE
from tests.telephony.test_survival import talk
from trunkline.core.engine_values import CallTag, MediaPath
from trunkline.demo import outside
from trunkline.demo.tones import heard as heard_tones
from trunkline.demo.tones import read_raw, sine, write_wav
from trunkline.telephony.config import EndpointSet
from trunkline.telephony.port import (
    Answered,
    Arrived,
    Bridge,
    Channel,
    Connect,
    ConnectFinished,
    ControlTaken,
    Ended,
    Endpoint,
    Originate,
    Supervision,
    Target,
    TargetStarted,
)

pytestmark = pytest.mark.engine


async def test_taken_held_and_joined_again(setup: TelephonySetup, tmp_path: Path) -> None:
    music = tmp_path / "music"
    write_wav(music.with_suffix(".wav"), sine(3100, 2.0))
    directory = setup.pbx.directory
    await setup.engine.configure(
        EndpointSet(directory.lines, directory.trunks, directory.defaults, [MediaPath(str(music))])
    )
    call, taken, arrival = await talk(setup, "41", record=True)
    target = (await setup.signals.wait(TargetStarted)).channel
    bridge = Bridge("b-41")
    await setup.engine.take_control([arrival.channel, target])
    assert {one.channel for one in setup.signals.of(ControlTaken)} == {arrival.channel, target}
    await setup.engine.take_control([arrival.channel, target])
    await setup.engine.open_bridge(bridge)
    await setup.engine.join(bridge, arrival.channel)
    await setup.engine.join(bridge, target)
    phone_tone, customer_tone = (setup.world.tones[name] for name in ("1001", CUSTOMER))
    await call.hears(phone_tone)
    await taken.hears(customer_tone)

    await setup.engine.send_keys(arrival.channel, "7.8")
    await setup.engine.leave(bridge, arrival.channel)
    await setup.engine.start_music(arrival.channel, str(music))
    await call.hears(3100)
    await setup.engine.join(bridge, arrival.channel)
    await call.hears(phone_tone)
    assert call.keys == "78"

    for channel in (arrival.channel, target):
        sound = read_raw(setup.pbx.config.paths.spool / "41" / f"{channel}.sln")
        assert len(sound)
        assert not heard_tones(sound, [3100])[3100], "hold music is on a party's track"
    await taken.hangup()
    await setup.signals.wait(Ended, lambda one: one.channel == target)
    await setup.engine.hangup(arrival.channel)
    await setup.engine.close_bridge(bridge)
    await setup.nobody_left()


async def test_music_instead_of_ringing(setup: TelephonySetup, tmp_path: Path) -> None:
    music = tmp_path / "music"
    write_wav(music.with_suffix(".wav"), sine(3100, 2.0))
    directory = setup.pbx.directory
    await setup.engine.configure(
        EndpointSet(directory.lines, directory.trunks, directory.defaults, [MediaPath(str(music))])
    )
    phone = await setup.world.phone("1001", "secret")
    phone.on_call(outside.Ignore())
    customer = await setup.world.customer(CUSTOMER)
    call = await customer.dial(NUMBER)
    arrival = await setup.signals.wait(Arrived)
    await setup.engine.connect(
        arrival.channel,
        Connect([Target(LINE)], 20, answer_first=True, music=MediaPath(str(music)), tag=CallTag("42")),
    )
    await call.hears(3100)
    await call.hangup()
    await setup.nobody_left()


async def test_recording_begins_and_stops_when_reported(setup: TelephonySetup) -> None:
    call, taken, arrival = await talk(setup, "43")
    path = setup.pbx.config.paths.spool / "43" / f"{arrival.channel}.sln"
    assert not path.exists()
    began = time.monotonic()
    await setup.engine.start_recording(arrival.channel, "43")
    await asyncio.sleep(1.5)
    await setup.engine.stop_recording(arrival.channel)
    seconds = time.monotonic() - began
    await asyncio.sleep(1.0)
    await taken.hangup()
    await setup.engine.hangup(arrival.channel)
    await call.ended()
    assert 0.5 < len(read_raw(path)) / 8000 < seconds + 0.3


@pytest.mark.parametrize("mode", Supervision)
async def test_a_supervisor_hears_both_and_is_heard_as_allowed(
    setup: TelephonySetup, mode: Supervision
) -> None:
    call, taken, _ = await talk(setup, "44")
    target = (await setup.signals.wait(TargetStarted)).channel
    boss = await setup.world.phone("1002", "secret")
    boss.on_call(outside.Answer())
    supervisor = Channel("boss")
    line = Endpoint.line("1002")
    await setup.engine.originate(Originate(supervisor, Target(line), 20, CallTag("45")))
    await setup.signals.wait(Answered, lambda one: one.channel == supervisor)
    await setup.engine.supervise(supervisor, target, mode)
    listening = await boss.next_call()
    tones = setup.world.tones
    await listening.hears(tones["1001"])
    await listening.hears(tones[CUSTOMER])
    if mode is Supervision.WHISPER:
        await taken.hears(tones["1002"])
    for ear in {Supervision.LISTEN: (taken, call), Supervision.WHISPER: (call,)}[mode]:
        with pytest.raises(TimeoutError):
            await ear.hears(tones["1002"], 0.3, timeout=1.5)
    await listening.hangup()
    await call.hears(tones["1001"])
    await taken.hangup()
    await setup.signals.wait(ConnectFinished)
    await call.hangup()
    await setup.nobody_left()
    assert not await setup.engine._command("GET", "/bridges")


async def test_a_third_in_the_bridge_is_heard_by_both_and_is_on_no_track(setup: TelephonySetup) -> None:
    call, taken, arrival = await talk(setup, "46", record=True)
    target = (await setup.signals.wait(TargetStarted)).channel
    boss = await setup.world.phone("1002", "secret")
    third, bridge = Channel("boss"), Bridge("b-46")
    await setup.engine.originate(Originate(third, Target(Endpoint.line("1002")), 20, CallTag("46")))
    await setup.signals.wait(Answered, lambda one: one.channel == third)
    await setup.engine.take_control([arrival.channel, target])
    await setup.engine.open_bridge(bridge)
    for channel in (arrival.channel, target, third):
        await setup.engine.join(bridge, channel)
    coming = await boss.next_call()
    tones = setup.world.tones
    own = {call: tones[CUSTOMER], taken: tones["1001"], coming: tones["1002"]}
    for ear, voice in own.items():
        for tone in own.values():
            if tone != voice:
                await ear.hears(tone)
    await coming.hangup()
    await call.hears(tones["1001"])
    await taken.hears(tones[CUSTOMER])
    await setup.engine.hangup(arrival.channel)
    await setup.engine.hangup(target)
    await setup.engine.close_bridge(bridge)
    await setup.nobody_left()
    for channel, voice in ((arrival.channel, own[call]), (target, own[taken])):
        sound = read_raw(setup.pbx.config.paths.spool / "46" / f"{channel}.sln")
        found = heard_tones(sound, own.values())
        assert [tone for tone, spans in found.items() if spans] == [voice]
        assert max(span.seconds for span in found[voice]) > len(sound) / 8000 - 0.5, "the track has a gap"


async def test_who_talks_to_one_after_another_hears_each(setup: TelephonySetup) -> None:
    """Each partner's packets have numbers of their own, which may be before the last partner's."""
    _, taken, arrival = await talk(setup, "47")
    target = (await setup.signals.wait(TargetStarted)).channel
    boss = await setup.world.phone("1002", "secret", codecs=("opus",))
    await setup.engine.take_control([arrival.channel, target])

    async def consult(third: Channel, bridge: Bridge) -> None:
        await setup.engine.originate(Originate(third, Target(Endpoint.line("1002")), 20, CallTag("47")))
        await setup.signals.wait(Answered, lambda one: one.channel == third)
        coming = await boss.next_call()
        await setup.engine.open_bridge(bridge)
        await setup.engine.join(bridge, target)
        await setup.engine.join(bridge, third)
        await coming.hears(setup.world.tones["1001"])
        await taken.hears(setup.world.tones["1002"])
        await setup.engine.leave(bridge, target)
        await coming.hangup()
        await setup.engine.close_bridge(bridge)

    for number in range(6):
        await consult(Channel(f"boss-{number}"), Bridge(f"b-47-{number}"))
    await setup.engine.hangup(arrival.channel)
    await setup.engine.hangup(target)
    await setup.nobody_left()
