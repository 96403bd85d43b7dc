"""A phone that holds a call (re-INVITE with ``sendonly``): the held party gets the hold music, in each kind of bridge."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.telephony.conftest import TelephonySetup
from tests.telephony.test_calls import CUSTOMER
from tests.telephony.test_survival import talk
from trunkline.core.engine_values import MediaPath
from trunkline.demo.tones import heard as heard_tones
from trunkline.demo.tones import read_raw, sine, write_wav
from trunkline.telephony.port import Bridge, TargetStarted

pytestmark = pytest.mark.engine

MUSIC = 3100


@pytest.mark.parametrize("is_controlled", [False, True], ids=["engine", "controlled"])
async def test_the_held_party_gets_music(setup: TelephonySetup, tmp_path: Path, is_controlled: bool) -> None:
    music = MediaPath(str(tmp_path / "music"))
    write_wav(Path(music).with_suffix(".wav"), sine(MUSIC, 2.0))
    await setup.engine.configure(replace(setup.pbx.directory, music=[music], hold_music=music))
    customer, phone, arrival = await talk(setup, "41", record=True)
    target = (await setup.signals.wait(TargetStarted)).channel
    if is_controlled:
        await setup.engine.take_control([arrival.channel, target])
        bridge = Bridge("b-41")
        await setup.engine.open_bridge(bridge)
        await setup.engine.join(bridge, arrival.channel)
        await setup.engine.join(bridge, target)
    phone_tone, customer_tone = (setup.world.tones[name] for name in ("1001", CUSTOMER))
    await customer.hears(phone_tone)
    for holds, held, tone in ((phone, customer, phone_tone), (customer, phone, customer_tone)):
        await holds.hold()
        await held.hears(MUSIC, 1.5)
        await holds.resume()
        await held.hears(tone)
    for channel in (arrival.channel, target):
        sound = read_raw(setup.pbx.config.paths.spool / "41" / f"{channel}.sln")
        assert len(sound)
        assert not heard_tones(sound, [MUSIC])[MUSIC], "hold music is on a party's track"
    await phone.hangup()
    await setup.engine.hangup(arrival.channel)
    await setup.nobody_left()


async def test_silence_without_hold_music(setup: TelephonySetup) -> None:
    """The held party gets packets of silence, so that no network device closes its path."""
    customer, phone, arrival = await talk(setup, "41")
    await phone.hold()
    await asyncio.sleep(2)
    before = len((await customer.ear()).sound)
    await asyncio.sleep(5)  # Asterisk writes blocks of 32 KiB: two seconds of sound
    assert len((await customer.ear()).sound) - before > 8000
    await phone.hangup()
    await setup.engine.hangup(arrival.channel)
    await setup.nobody_left()
    console = (setup.pbx.config.paths.root / "console").read_text(errors="replace")
    assert "silence" not in console
