"""Host names in session descriptions of phones and carriers are not resolved, so they do not delay the calls of others."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import re
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.attack.guesser import Guesser
from tests.telephony.conftest import Pbx
from trunkline.core.engine_values import CallTag, EndpointName
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.telephony.config import TrunkConfig, TrunkMode
from trunkline.telephony.port import (
    Answered,
    Arrived,
    Channel,
    Endpoint,
    EndpointKind,
    Originate,
    Target,
)

pytestmark = [pytest.mark.attack, pytest.mark.engine]

SENDER, OTHER, STRANGER = "127.0.0.78", "127.0.0.79", "127.0.0.80"
CALLS = 120
"""More than Asterisk has threads for SIP."""
DELAY_MAX = 5.0
"""Seconds; one name that the C library asks an unresponsive server for takes 10 at least."""
PATIENCE = 60.0


class SilentNameServer:
    """Never responds.

    :ivar address: a free one: the C library asks at port 53 only, which another program may have.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self.address = self._bound()

    def _bound(self) -> str:
        for last in random.sample(range(1, 255), 254):
            address = f"127.53.0.{last}"
            with contextlib.suppress(OSError):
                self._socket.bind((address, 53))
                return address
        raise OSError("port 53 is in use at every address")

    def __enter__(self) -> SilentNameServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def asked(self) -> list[str]:
        """Names of the queries since the last time."""
        names = []
        with contextlib.suppress(BlockingIOError):
            while True:
                query = self._socket.recv(2000)
                labels, at = [], 12
                while length := query[at]:
                    labels.append(query[at + 1 : at + 1 + length].decode())
                    at += 1 + length
                names.append(".".join(labels))
        return names


def may_mount() -> bool:
    return (
        os.geteuid() == 0
        and shutil.which("unshare") is not None
        and subprocess.run(["unshare", "-m", "true"], check=False).returncode == 0
    )


@pytest.fixture
def name_server() -> Iterator[SilentNameServer]:
    if not may_mount():
        pytest.skip("only root can give a process another resolv.conf")
    with SilentNameServer() as server:
        yield server


@pytest.fixture
async def pbx(
    asterisk_install: AsteriskInstall, tmp_path: Path, name_server: SilentNameServer
) -> AsyncIterator[Pbx]:
    """Its name server never responds."""
    file = tmp_path / "resolv.conf"
    file.write_text(f"nameserver {name_server.address}\n")
    script = f'mount --bind {file} /etc/resolv.conf && exec "$@"'
    install = replace(
        asterisk_install, prefix=("unshare", "-m", "sh", "-c", script, "sh", *asterisk_install.prefix)
    )
    pbx = Pbx(install, tmp_path)
    peers = [
        TrunkConfig.of(name, TrunkMode.ADDRESS, address, 5060, addresses=[address])
        for name, address in (("8", SENDER), ("9", OTHER))
    ]
    pbx.directory = replace(pbx.directory, trunks=[*pbx.directory.trunks, *peers])
    await pbx.start()
    try:
        yield pbx
    finally:
        await pbx.stop()


def description(host: str, *lines: str) -> str:
    every = [
        "v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0", "m=audio 40000 RTP/AVP 8",
        "a=rtpmap:8 PCMA/8000", *lines,
    ]  # fmt: skip
    return "".join(f"{line}\r\n" for line in every)


BROWSER = "".join(
    f"{line}\r\n"
    for line in (
        "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0", "m=audio 9 UDP/TLS/RTP/SAVPF 8",
        "c=IN IP4 0.0.0.0", "a=mid:0", "a=sendrecv", "a=rtcp-mux", "a=setup:actpass", "a=ice-ufrag:abcd",
        "a=ice-pwd:abcdefghijklmnopqrstuvwx", "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
        "a=rtpmap:8 PCMA/8000", "a=rtcp:9 IN IP4 rtcp.slow.example",
        "a=candidate:1 1 udp 2113937151 0b9d6a3c-1d2e-4f50-8a6b-7c8d9e0f1a2b.local 50000 typ host",
        "a=candidate:2 1 udp 2113937150 candidate.slow.example 50001 typ host",
        "a=candidate:3 1 udp 1677729535 relay.slow.example 50002 typ srflx raddr related.slow.example rport 50003",
    )
)  # fmt: skip
"""The offer of a browser that hides its addresses behind names of mDNS, and more names."""


class Sender:
    """A phone or carrier of one address over UDP."""

    def __init__(self, port: int, address: str, own: int = 0) -> None:
        self._server = ("127.0.0.1", port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((address, own))
        self.at = f"{address}:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def invite(
        self, id_: str, body: str, *, user: str = "12025550101", cseq: int = 1, more: str = ""
    ) -> None:
        self.request(
            "INVITE",
            f"<sip:{user}@{self.at}>;tag=t{id_}",
            "<sip:442079460100@127.0.0.1>",
            id_,
            cseq,
            body,
            more,
        )

    def request(
        self, method: str, from_: str, to: str, call: str, cseq: int, body: str = "", more: str = ""
    ) -> None:
        content = "Content-Type: application/sdp\r\n" if body else ""
        self.send(
            f"{method} sip:442079460100@127.0.0.1 SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {self.at};branch=z9hG4bK{method}{call}{cseq}\r\nMax-Forwards: 70\r\n"
            f"From: {from_}\r\nTo: {to}\r\nCall-ID: {call}\r\nCSeq: {cseq} {method}\r\n"
            f"Contact: <sip:1@{self.at}>\r\n{more}{content}Content-Length: {len(body)}\r\n\r\n{body}"
        )

    def send(self, text: str) -> None:
        self._socket.sendto(text.encode(), self._server)

    async def receive(self, start: str) -> str:
        """The next message that begins like this."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE):
            while True:
                text = (await loop.sock_recv(self._socket, 65_536)).decode()
                if re.match(start, text):
                    return text


def header(text: str, name: str) -> str:
    found = re.search(rf"(?mi)^{name}: (.*)\r$", text)
    assert found is not None, text
    return found[1]


def digest(challenge: str, user: str, password: str) -> str:
    """The Authorization header for an INVITE."""
    offered = header(challenge, "WWW-Authenticate")
    values: Mapping[str, str] = dict(re.findall(r'(\w+)="([^"]*)"', offered))
    first, second = (
        hashlib.md5(text.encode()).hexdigest()
        for text in (f"{user}:{values['realm']}:{password}", "INVITE:sip:442079460100@127.0.0.1")
    )
    proof = hashlib.md5(f"{first}:{values['nonce']}:00000001:0a:auth:{second}".encode()).hexdigest()
    return (
        f'Authorization: Digest username="{user}", realm="{values["realm"]}", nonce="{values["nonce"]}",'
        f' uri="sip:442079460100@127.0.0.1", response="{proof}", algorithm=MD5, qop=auth, nc=00000001, cnonce="0a",'
        f' opaque="{values.get("opaque", "")}"\r\n'
    )


async def test_names_in_session_descriptions_delay_no_call_of_others(
    pbx: Pbx, name_server: SilentNameServer
) -> None:
    port = pbx.config.ports.udp
    async with pbx.engine() as (_, heard):
        with Sender(port, SENDER) as sender, Sender(port, OTHER) as other:
            for number in range(CALLS):
                sender.invite(str(number), description(f"host{number}.slow.example"))
            await asyncio.sleep(0.5)
            begun = time.monotonic()
            other.invite("other", description(OTHER))
            await heard.wait(Arrived, lambda one: one.endpoint.name == "trunk-9-ip", timeout=PATIENCE)
            delay = time.monotonic() - begun
        async with Guesser(port, OTHER, patience=PATIENCE) as phone:
            begun = time.monotonic()
            assert await phone.send("1001", None) == 401
            challenge = time.monotonic() - begun
    assert max(delay, challenge) < DELAY_MAX, (delay, challenge)
    assert name_server.asked() == []


async def test_no_name_is_resolved_before_a_login(pbx: Pbx, name_server: SilentNameServer) -> None:
    async with pbx.engine():
        with Sender(pbx.config.ports.udp, STRANGER) as stranger:
            stranger.invite("line", description("host.slow.example"), user="1001")
            await stranger.receive(r"SIP/2\.0 401")
            stranger.invite("nobody", description("host.slow.example"))
            await stranger.receive(r"SIP/2\.0 401")
    assert name_server.asked() == []


async def test_a_browser_that_hides_its_addresses_is_answered_at_once(
    pbx: Pbx, name_server: SilentNameServer
) -> None:
    async with pbx.engine() as (engine, heard):
        with Sender(pbx.config.ports.udp, STRANGER) as browser:
            browser.invite("browser", BROWSER, user="web-1001")
            challenge = await browser.receive(r"SIP/2\.0 401")
            begun = time.monotonic()
            browser.invite(
                "browser", BROWSER, user="web-1001", cseq=2, more=digest(challenge, "1001", "secret")
            )
            arrived = await heard.wait(Arrived, lambda one: one.endpoint.name == "1001", timeout=PATIENCE)
            await engine.answer(arrived.channel)
            answer = await browser.receive(r"SIP/2\.0 200")
            assert time.monotonic() - begun < DELAY_MAX
            assert "a=candidate" in answer
    assert name_server.asked() == []


async def test_names_in_answers_and_later_offers_are_not_resolved(
    pbx: Pbx, name_server: SilentNameServer
) -> None:
    ports, trunk = pbx.world_ports, Endpoint(EndpointKind.TRUNK, EndpointName("trunk-7"))
    names = (
        "a=rtcp:40001 IN IP4 rtcp.slow.example",
        "a=candidate:1 1 udp 1 candidate.slow.example 4 typ host",
    )
    channel = Channel("outgoing")
    async with pbx.engine() as (engine, heard):
        with Sender(pbx.config.ports.udp, ports.carrier_address, ports.carrier) as carrier:
            await engine.originate(Originate(channel, Target.of(trunk, "12025550110"), 20, CallTag("1")))
            invite = await carrier.receive("INVITE")
            via, from_, to, call, cseq = (
                header(invite, name) for name in ("Via", "From", "To", "Call-ID", "CSeq")
            )
            begun, to = time.monotonic(), f"{to};tag=carrier"
            for status, host in (("183 Session Progress", "early"), ("200 OK", "answer")):
                body = description(f"{host}.slow.example", *names)
                carrier.send(
                    f"SIP/2.0 {status}\r\nVia: {via}\r\nFrom: {from_}\r\nTo: {to}\r\nCall-ID: {call}\r\nCSeq: {cseq}\r\n"
                    f"Contact: <sip:1@{carrier.at}>\r\nContent-Type: application/sdp\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n{body}"
                )
            await carrier.receive("ACK")
            await heard.wait(Answered, lambda one: one.channel == channel, timeout=PATIENCE)
            for number, method in enumerate(("INVITE", "UPDATE", "INVITE"), start=2):
                body = description(f"{method.lower()}{number}.slow.example", *names)
                carrier.request(method, to, from_, call, number, body)
                answer = await carrier.receive(r"SIP/2\.0 [2-6]")
                if method == "INVITE":
                    carrier.request("ACK", to, header(answer, "To"), call, number)
            assert time.monotonic() - begun < DELAY_MAX
            await engine.hangup(channel)
    assert name_server.asked() == []
