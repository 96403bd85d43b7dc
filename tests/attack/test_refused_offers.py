"""Asterisk writes which calls it refuses because of their offer of media, once each, and nothing for the others."""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.attack.test_names_in_sdp import Sender
from tests.telephony.conftest import Pbx
from trunkline.calls.switch.refused_media import RefusedCall, RefusedCalls, RefusedFor
from trunkline.runtime.asterisk import AsteriskInstall, Origin
from trunkline.telephony.config import TrunkConfig, TrunkMode
from trunkline.telephony.port import Arrived

pytestmark = [pytest.mark.attack, pytest.mark.engine]

CARRIER = "127.0.0.91"
ENDPOINT = "trunk-8-ip"
WAIT = 20.0
"""Seconds."""


@pytest.fixture
async def pbx(asterisk_install: AsteriskInstall, tmp_path: Path) -> AsyncIterator[Pbx]:
    if asterisk_install.origin is not Origin.PRIVATE or platform.machine() != "x86_64":
        pytest.skip("this Asterisk writes nothing about such calls")
    pbx = Pbx(asterisk_install, tmp_path)
    peer = TrunkConfig.of("8", TrunkMode.ADDRESS, CARRIER, 5060, addresses=[CARRIER])
    pbx.directory = replace(pbx.directory, trunks=[*pbx.directory.trunks, peer])
    await pbx.start()
    try:
        yield pbx
    finally:
        await pbx.stop()


def _offer(*media: str) -> str:
    lines = ["v=0", f"o=- 1 1 IN IP4 {CARRIER}", "s=-", f"c=IN IP4 {CARRIER}", "t=0 0", *media]
    return "".join(f"{line}\r\n" for line in lines)


G729 = ("m=audio 40000 RTP/AVP 18", "a=rtpmap:18 G729/8000")
GOOD = ("m=audio 40000 RTP/AVP 8", "a=rtpmap:8 PCMA/8000")
REFUSED = {
    "G.729": (_offer(*G729), RefusedFor.CODEC),
    "of no audio": (_offer("m=video 40000 RTP/AVP 99", "a=rtpmap:99 H264/90000"), RefusedFor.CODEC),
    "of a fax": (_offer("m=image 40000 udptl t38"), RefusedFor.CODEC),
    "of a closed stream": (_offer("m=audio 0 RTP/AVP 8"), RefusedFor.CODEC),
    "SRTP": (_offer("m=audio 40000 RTP/SAVP 8", "a=rtpmap:8 PCMA/8000"), RefusedFor.SRTP),
}
TAKEN = {
    "G.711": _offer(*GOOD),
    "G.729 first": _offer("m=audio 40000 RTP/AVP 18 8", *G729[1:], *GOOD[1:]),
    "two streams": _offer(*G729, *GOOD),
    "with video": _offer(*GOOD, "m=video 40002 RTP/AVP 99", "a=rtpmap:99 H264/90000"),
}


async def _written(pbx: Pbx) -> list[RefusedCall]:
    text = await asyncio.to_thread((pbx.config.paths.root / "console").read_text)
    return RefusedCalls().of(text)


async def test_refused_offers_are_written(pbx: Pbx) -> None:
    async with pbx.engine():
        with Sender(pbx.config.ports.udp, CARRIER) as carrier:
            for number, (body, _) in enumerate(REFUSED.values()):
                carrier.invite(str(number), body)
                await carrier.receive(r"SIP/2\.0 488")
            # The parser of SIP refuses one without any stream, in a way of its own; the process goes on.
            carrier.invite("nothing", _offer())
            await carrier.receive(r"SIP/2\.0 [45]")
        end = time.monotonic() + WAIT
        while len(found := await _written(pbx)) < len(REFUSED) and time.monotonic() < end:
            await asyncio.sleep(0.1)
        assert found[: len(REFUSED)] == [RefusedCall(ENDPOINT, why) for _, why in REFUSED.values()]
        assert pbx.is_running


@pytest.mark.parametrize("name", TAKEN)
async def test_nothing_is_written_about_offers_that_are_taken(pbx: Pbx, name: str) -> None:
    async with pbx.engine() as (engine, heard):
        with Sender(pbx.config.ports.udp, CARRIER) as carrier:
            carrier.invite("taken", TAKEN[name])
            arrived = await heard.wait(Arrived, lambda one: one.endpoint.name == ENDPOINT, timeout=WAIT)
            await engine.answer(arrived.channel)
            await carrier.receive(r"SIP/2\.0 200")
        assert await _written(pbx) == []
