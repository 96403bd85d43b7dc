"""The address that a phone registers with is an arbitrary text; it never makes Asterisk dial another party."""

from __future__ import annotations

import asyncio
import hashlib
import re
import socket

import pytest

from tests.telephony.conftest import NUMBER, Pbx, TelephonySetup
from trunkline.telephony.ami import AmiAddress, AmiClient

pytestmark = [pytest.mark.attack, pytest.mark.engine]

HOSTILE = "x&PJSIP/1002/sip:y"
"""As the user part of the address: valid by RFC 3261, and for ``Dial()`` a second target, another line."""


def register(pbx: Pbx, login: str, user: str, password: str = "secret") -> socket.socket:
    """Register a device over UDP under a chosen user part of its address; it answers nothing afterwards."""
    device = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    device.bind(("127.0.0.1", 0))
    device.settimeout(5)
    port, server = device.getsockname()[1], f"127.0.0.1:{pbx.config.ports.udp}"
    authorization = ""
    for sequence in (1, 2):
        device.sendto(
            (
                f"REGISTER sip:{server} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{port}x{sequence};rport\r\nMax-Forwards: 70\r\n"
                f"From: <sip:{login}@{server}>;tag=a\r\nTo: <sip:{login}@{server}>\r\n"
                f"Call-ID: device-{port}\r\nCSeq: {sequence} REGISTER\r\n"
                f"Contact: <sip:{user}@127.0.0.1:{port}>\r\nExpires: 600\r\n{authorization}Content-Length: 0\r\n\r\n"
            ).encode(),
            ("127.0.0.1", pbx.config.ports.udp),
        )
        response = ""
        while not response.startswith("SIP/2.0 "):  # what the registrar asks of the device in between
            response = device.recv(65536).decode()
        if response.startswith("SIP/2.0 200"):
            return device
        nonce = re.search(r'nonce="([^"]+)"', response)
        assert nonce, response
        first = hashlib.md5(f"{login}:trunkline:{password}".encode()).hexdigest()
        second = hashlib.md5(f"REGISTER:sip:{server}".encode()).hexdigest()
        proof = hashlib.md5(f"{first}:{nonce[1]}:00000001:b:auth:{second}".encode()).hexdigest()
        opaque = re.search(r'opaque="([^"]*)"', response)
        authorization = (
            f'Authorization: Digest username="{login}", realm="trunkline", nonce="{nonce[1]}", uri="sip:{server}",'
            f' response="{proof}", algorithm=MD5, cnonce="b", qop=auth, nc=00000001'
            + (f', opaque="{opaque[1]}"' if opaque else "")
            + "\r\n"
        )
    raise AssertionError(f"not registered: {response}")


async def test_a_call_to_a_line_with_such_a_device_rings_nobody(setup: TelephonySetup) -> None:
    """By the default route, while no switch runs, which leaves the dialling to Asterisk."""
    await setup.engine.__aexit__(None, None, None)
    device = await asyncio.to_thread(register, setup.pbx, "1001", HOSTILE)
    other = await asyncio.to_thread(register, setup.pbx, "1002", "honest")
    ami = AmiAddress(setup.pbx.config.ports.ami, "trunkline", "ami-secret")
    try:
        customer = await setup.world.customer("12025550110")
        call = await customer.dial(NUMBER)
        async with AmiClient(ami) as client, asyncio.timeout(20):
            await client.wait_up()
            while not call.is_ended:
                channels = await client.command("core show channels concise")
                assert "PJSIP/100" not in channels, channels
                await asyncio.sleep(0.05)
        assert not call.is_answered
    finally:
        device.close()
        other.close()
