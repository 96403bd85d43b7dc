"""Malformed SIP packets, which anybody may send: they write nothing to Asterisk's log, and phones are served on."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.attack.guesser import Guesser
from tests.telephony.conftest import Pbx

pytestmark = [pytest.mark.attack, pytest.mark.engine]

PACKETS = 3000
MOST_BYTES = 20_000
"""Growth of the log that the flood may cause."""

_REQUEST = (
    "{line}\r\nVia: SIP/2.0/UDP 127.0.0.1:5099;branch=z9hG4bK{n}\r\nFrom: <sip:a@127.0.0.1>;tag={n}\r\n"
    "To: <sip:b@127.0.0.1>\r\nCall-ID: {n}\r\n{headers}\r\n"
)


def malformed() -> Iterator[bytes]:
    filling = "x" * 1000
    shapes = (
        filling + "\r\n\r\n",
        "INVITE sip:1001@127.0.0.1 SIP/2.0\r\n\r\n",
        _REQUEST.format(line="INVITE sip:1001@127.0.0.1 SIP/2.0", n="{n}", headers=f"Subject: {filling}\r\n"),
        _REQUEST.format(line="INVITE <<<>>> SIP/2.0", n="{n}", headers="CSeq: 1 INVITE\r\n"),
        _REQUEST.format(line="INVITE sip:1001@127.0.0.1 SIP/2.0", n="{n}", headers="CSeq: banana INVITE\r\n"),
        _REQUEST.format(line="SIP/2.0 999999 What", n="{n}", headers=f"CSeq: 1 INVITE\r\nX: {filling}\r\n"),
        _REQUEST.format(line="SIP/2.0 200 OK", n="{n}", headers="CSeq: 1 INVITE\r\nContact: <sip:[::1\r\n"),
        _REQUEST.format(line="REGISTER sip:a SIP/2.0", n="{n}", headers='CSeq: 1 REGISTER\r\nContact: "\r\n'),
    )
    for number in range(PACKETS):
        yield shapes[number % len(shapes)].replace("{n}", str(number)).encode()


async def test_a_flood_of_malformed_packets_fills_no_log(pbx: Pbx) -> None:
    console = pbx.config.paths.root / "console"
    port = pbx.config.ports.udp
    async with pbx.engine(), Guesser(port, patience=20.0) as phone:
        assert await phone.guess("1001", "secret") == 200
        before = console.stat().st_size
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number, packet in enumerate(malformed()):
                sender.sendto(packet, ("127.0.0.1", port))
                if number % 100 == 99:  # the socket's buffer holds no more: the packets before are read now
                    assert await phone.send("1001", None) == 401
        assert await phone.guess("1001", "secret") == 200
        assert console.stat().st_size - before < MOST_BYTES
