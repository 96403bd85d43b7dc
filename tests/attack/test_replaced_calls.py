"""INVITE with Replaces or Join takes no call over; REFER moves none."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace
from socket import AF_INET, SOCK_DGRAM, socket

import pytest

from tests.patience import PATIENCE
from tests.telephony.conftest import Pbx
from tests.telephony.conftest import pbx as pbx  # the fixture
from trunkline.telephony.config import TrunkConfig, TrunkMode
from trunkline.telephony.port import Answered, Arrived, Ended

pytestmark = [pytest.mark.attack, pytest.mark.engine]

ADDRESS = "127.0.0.77"


class Peer:
    """A SIP peer over UDP, known by its address."""

    def __init__(self, port: int) -> None:
        self._engine = ("127.0.0.1", port)
        self._socket = socket(AF_INET, SOCK_DGRAM)
        self._socket.bind((ADDRESS, 0))
        self._socket.settimeout(PATIENCE)
        self.port = self._socket.getsockname()[1]

    def send(
        self,
        method: str,
        call_id: str,
        extra: str = "",
        *,
        to_tag: str = "",
        branch: str,
        cseq: int = 1,
        name: str = "",
    ) -> None:
        body = ""
        if method == "INVITE":
            body = (
                f"v=0\r\no=- 1 1 IN IP4 {ADDRESS}\r\ns=-\r\nc=IN IP4 {ADDRESS}\r\nt=0 0\r\n"
                "m=audio 40000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
            )
        tag = f";tag={to_tag}" if to_tag else ""
        kind = "Content-Type: application/sdp\r\n" if body else ""
        self._socket.sendto(
            (
                f"{method} sip:442079460100@127.0.0.1 SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP {ADDRESS}:{self.port};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n"
                f"From: {name} <sip:12025550101@{ADDRESS}>;tag=mine\r\nTo: <sip:442079460100@127.0.0.1>{tag}\r\n"
                f"Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nContact: <sip:1@{ADDRESS}:{self.port}>\r\n"
                f"{extra}{kind}Content-Length: {len(body)}\r\n\r\n{body}"
            ).encode(),
            self._engine,
        )

    def final(self, call_id: str, method: str = "INVITE") -> str:
        """The next final response to a request of this call."""
        while True:
            text = str(self._socket.recv(65535), "utf-8")
            if (
                f"Call-ID: {call_id}\r" in text
                and re.match(r"SIP/2.0 [2-6]", text)
                and f" {method}\r" in text
            ):
                return text

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def peer(pbx: Pbx) -> Iterator[Peer]:
    peer = Peer(pbx.config.ports.udp)
    try:
        yield peer
    finally:
        peer.close()


def tag_of(response: str) -> str:
    return str(re.findall(r"(?m)^To:.*;tag=([^;\r]+)", response)[0])


async def test_no_call_is_taken_over(pbx: Pbx, peer: Peer) -> None:
    pbx.directory = replace(
        pbx.directory,
        trunks=[TrunkConfig.of("7", TrunkMode.ADDRESS, ADDRESS, peer.port, addresses=[ADDRESS])],
    )
    async with pbx.engine() as (engine, signals):
        peer.send("INVITE", "talk", branch="talk")
        arrived = await signals.wait(Arrived)
        await engine.answer(arrived.channel)
        await signals.wait(Answered)
        answer = await asyncio.to_thread(peer.final, "talk")
        tag = tag_of(answer)
        peer.send("ACK", "talk", to_tag=tag, branch="ack")

        dialog = f"talk;to-tag={tag};from-tag=mine"
        for name in ("Replaces", "Join"):
            required = f"{name}: {dialog}\r\nRequire: {name.lower()}\r\n"
            peer.send("INVITE", name, required, branch=name)
            refused = await asyncio.to_thread(peer.final, name)
            assert refused.startswith("SIP/2.0 420"), refused
            peer.send("ACK", name, to_tag=tag_of(refused), branch=name)

            # A header of an extension that is not supported is ignored (RFC 3261, section 8.2.2): a call like any other.
            peer.send("INVITE", f"{name}-2", f"{name}: {dialog}\r\n", branch=f"{name}-2")
            count = 2 if name == "Replaces" else 3
            async with asyncio.timeout(PATIENCE):
                while len(signals.of(Arrived)) < count:
                    await asyncio.sleep(0.05)

        refer = "Refer-To: <sip:442079460999@127.0.0.1>\r\n"
        peer.send("REFER", "talk", refer, to_tag=tag, branch="refer", cseq=2)
        assert arrived.channel in await engine.channels()
        assert not signals.of(Ended)
        peer.send("BYE", "talk", to_tag=tag, branch="bye", cseq=3)
        await asyncio.to_thread(peer.final, "talk", "BYE")
        ended = await signals.wait(Ended)
        assert (ended.channel, ended.by_party) == (arrived.channel, True)
        assert len(signals.of(Arrived)) == 3
