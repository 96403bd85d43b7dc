"""A called phone that redirects (302) reaches nothing: no other trunk, no extension, no command of the system."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast
from urllib.parse import quote

import pytest

from tests.patience import PATIENCE
from tests.telephony.conftest import Pbx, SignalLog
from tests.telephony.conftest import pbx as pbx  # the fixture
from trunkline.core.engine_values import CallTag, EndpointName
from trunkline.telephony.config import TrunkConfig, TrunkMode
from trunkline.telephony.config.dialplan import CONNECT
from trunkline.telephony.engine import AsteriskEngine
from trunkline.telephony.port import Answered, Channel, Ended, Endpoint, EndpointKind, Originate, Target

pytestmark = [pytest.mark.attack, pytest.mark.engine]

VICTIM_NUMBER = "442079460999"
CALLED = "12025550101"


class Carrier(asyncio.DatagramProtocol):
    """A SIP peer that gives each INVITE the same final response.

    :ivar invited: users of the INVITEs that came.
    :ivar requests: the INVITEs.
    """

    def __init__(self, response: str, contact: str = "") -> None:
        self.response = response
        self.contact = contact
        self.invited: list[str] = []
        self.requests: list[str] = []
        self.port = 0
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        text = data.decode()
        method, uri = text.split(" ")[:2]
        if method.startswith("SIP/2.0") or method == "ACK":
            return
        copied = re.findall(r"(?m)^((?:Via|From|Call-ID|CSeq|Record-Route):.*)\r$", text)
        to = re.findall(r"(?m)^(To:.*)\r$", text)[0]
        status = "200 OK"
        body = ""
        if method == "INVITE":
            self.requests.append(text)
            self.invited.append(uri.partition(":")[2].partition("@")[0])
            status = self.response
            to += ";tag=remote"
            if status.startswith("200"):
                body = (
                    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
                    "m=audio 40000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
                )
        contact = (
            f"<sip:{self.contact}@192.0.2.9>" if status.startswith("3") else f"<sip:c@127.0.0.1:{self.port}>"
        )
        kind = "Content-Type: application/sdp\r\n" if body else ""
        head = "\r\n".join([f"SIP/2.0 {status}", *copied, to, f"Contact: {contact}"])
        assert self._transport is not None
        self._transport.sendto(f"{head}\r\n{kind}Content-Length: {len(body)}\r\n\r\n{body}".encode(), address)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


@asynccontextmanager
async def carriers(
    pbx: Pbx, first: Carrier, victim: Carrier
) -> AsyncIterator[tuple[AsteriskEngine, SignalLog]]:
    loop = asyncio.get_running_loop()
    for one in (first, victim):
        await loop.create_datagram_endpoint(lambda one=one: one, local_addr=("127.0.0.1", 0))  # type: ignore[misc]
    try:
        trunks = [
            TrunkConfig.of(name, TrunkMode.ADDRESS, "127.0.0.1", one.port)
            for name, one in (("8", first), ("9", victim))
        ]
        pbx.directory = replace(pbx.directory, trunks=trunks)
        async with pbx.engine() as (engine, signals):
            yield engine, signals
    finally:
        first.close()
        victim.close()


def order(channel: str) -> Originate:
    trunk = Endpoint(EndpointKind.TRUNK, EndpointName("trunk-8"))
    return Originate(Channel(channel), Target.of(trunk, CALLED, "12025550100"), 20, CallTag("5"))


async def nothing_left(engine: AsteriskEngine) -> None:
    async with asyncio.timeout(PATIENCE):
        while await engine.channels():
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "target",
    [
        f"PJSIP/{VICTIM_NUMBER}@trunk-9",
        f"Local/p~20~5~trunk-9~@{CONNECT}",
        VICTIM_NUMBER,
    ],
)
async def test_a_redirect_ends_an_originated_call(pbx: Pbx, target: str) -> None:
    carrier, victim = Carrier("302 Moved Temporarily", quote(target, safe="~")), Carrier("200 OK")
    async with carriers(pbx, carrier, victim) as (engine, signals):
        await engine.originate(order("redirected"))
        await signals.wait(Ended, lambda one: one.channel == "redirected")
        await nothing_left(engine)
        assert carrier.invited == [f"+{CALLED}"]
        assert victim.invited == []
        assert not signals.of(Answered)


@pytest.fixture
def made() -> Iterator[Path]:
    """A file for a command to make. Its path is short, because an extension is."""
    with TemporaryDirectory(dir="/tmp", prefix="x") as folder:
        yield Path(folder) / "made"


async def test_a_redirect_executes_no_command(pbx: Pbx, made: Path) -> None:
    text = f"Local/r~5~x),touch {made};(~0~@{CONNECT}"
    carrier, victim = Carrier("302 Moved Temporarily", quote(text, safe="~")), Carrier("200 OK")
    async with carriers(pbx, carrier, victim) as (engine, signals):
        await engine.originate(order("redirected"))
        await signals.wait(Ended, lambda one: one.channel == "redirected")
        await nothing_left(engine)
    assert not made.exists()
    assert carrier.invited == [f"+{CALLED}"]


async def test_a_call_that_is_not_redirected_is_answered(pbx: Pbx) -> None:
    carrier, other = Carrier("200 OK"), Carrier("200 OK")
    async with carriers(pbx, carrier, other) as (engine, signals):
        await engine.originate(order("normal"))
        await signals.wait(Answered, lambda one: one.channel == "normal")
        await engine.hangup(Channel("normal"))
        await signals.wait(Ended, lambda one: one.channel == "normal")
        await nothing_left(engine)


async def test_a_local_channel_leads_to_no_step_of_the_switch(pbx: Pbx, made: Path) -> None:
    """Nothing here creates one."""
    carrier, victim = Carrier("200 OK"), Carrier("200 OK")
    async with carriers(pbx, carrier, victim) as (engine, _):
        for text in (f"r~5~x),touch {made};(~0~", "p~5~5~trunk-9~"):
            await engine._command(
                "POST", "/channels", {"endpoint": f"Local/{text}@{CONNECT}", "app": "other", "timeout": 2}
            )
        await nothing_left(engine)
    assert not made.exists()
    assert victim.invited == []
