"""Whatever numbers the packets of the parties have, who is in a talk is heard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest

from tests.telephony.conftest import Pbx
from tests.telephony.rtp_phones import RtpCarrier, RtpPhone
from trunkline.core.engine_values import CallTag, EndpointName
from trunkline.demo.tones import read_raw, sounding
from trunkline.telephony.engine import AsteriskEngine
from trunkline.telephony.port import (
    Answered,
    Bridge,
    Channel,
    Connect,
    Endpoint,
    EndpointKind,
    Originate,
    Target,
    TargetStarted,
)

pytestmark = pytest.mark.engine
TRUNK = Endpoint(EndpointKind.TRUNK, EndpointName("trunk-7"))
TALK, CONSULT = Bridge("talk"), Bridge("consult")
TAG = CallTag("47")


# A G.722 phone is translated over linear sound of a higher rate, and back.
@pytest.mark.parametrize("first", [20_000, 40_000])
async def test_a_coach_that_leaves_silences_nobody(pbx: Pbx, first: int) -> None:
    contact, operator, coach = (
        RtpPhone("alaw", 1010, 1_000),
        RtpPhone("g722", 1230, first),
        RtpPhone("g722", 1450, 30_000),
    )
    async with talk(pbx, contact, operator, coach) as (engine, _, _, others):
        await engine.join(TALK, others)
        await contact.hears()
        await engine.leave(TALK, others)
        await contact.hears()
        await engine.join(TALK, others)
        await contact.hears()


@pytest.mark.parametrize("first", [20_000, 40_000])
async def test_who_is_asked_is_heard_after_who_talked(pbx: Pbx, first: int) -> None:
    contact, operator, third = (
        RtpPhone("g722", 1010, 30_000),
        RtpPhone("alaw", 1230, 1_000),
        RtpPhone("g722", 1450, first),
    )
    async with talk(pbx, contact, operator, third) as (engine, his, operators, others):
        await operator.hears()
        for _ in range(3):
            await engine.leave(TALK, his)
            await engine.leave(TALK, operators)
            await engine.start_music(operators)
            await engine.open_bridge(CONSULT)
            await engine.join(CONSULT, operators)
            await engine.join(CONSULT, others)
            await operator.hears()
            await engine.leave(CONSULT, operators)
            await engine.leave(CONSULT, others)
            await engine.join(TALK, his)
            await engine.join(TALK, operators)
            await operator.hears()


@pytest.mark.parametrize("codec", ["alaw", "g722"])
async def test_who_begins_its_packets_again_is_heard(pbx: Pbx, codec: str) -> None:
    """A carrier changes its media gateway in the middle of a talk: the new numbers may be higher or lower."""
    contact, operator, other = (
        RtpPhone(codec, 1010, 20_000),
        RtpPhone("alaw", 1230, 1_000),
        RtpPhone("alaw", 1450, 1),
    )
    async with talk(pbx, contact, operator, other) as (engine, his, _, _):
        await engine.start_recording(his, TAG)
        await operator.hears()
        for first in (500, 50_000, 30_000, 29_000, 60_000):
            await contact.restart(first)
            await operator.hears()
        await engine.stop_recording(his)
        track = read_raw(pbx.config.paths.spool / TAG / f"{his}.sln")
        [*_, last] = sounding(track)
        assert last.end == pytest.approx(len(track) / 8000, abs=0.3), "the track falls silent"


@asynccontextmanager
async def talk(
    pbx: Pbx, contact: RtpPhone, operator: RtpPhone, other: RtpPhone
) -> AsyncIterator[tuple[AsteriskEngine, Channel, Channel, Channel]]:
    """A talk that the engine connected and that was taken from it, and the channel of another party, in no bridge."""
    ports = pbx.world_ports
    phones = {"100": contact, "200": operator, "300": other}
    his, others = Channel("contact"), Channel("other")
    async with pbx.engine() as (engine, signals), RtpCarrier(ports.carrier_address, ports.carrier, phones):
        for channel, number in ((his, "100"), (others, "300")):
            await engine.originate(Originate(channel, Target.of(TRUNK, number), 20, TAG))
            await signals.wait(Answered, partial(_is_of, channel))
        await engine.connect(his, Connect([Target.of(TRUNK, "200")], 20, tag=TAG))
        operators = (await signals.wait(TargetStarted)).channel
        await signals.wait(Answered, partial(_is_of, operators))
        await engine.take_control([his, operators])
        await engine.open_bridge(TALK)
        await engine.join(TALK, his)
        await engine.join(TALK, operators)
        yield engine, his, operators, others
        for channel in (his, operators, others):
            await engine.hangup(channel)


def _is_of(channel: Channel, signal: Answered) -> bool:
    return signal.channel == channel
