"""The engine's transports: versions of TLS, queues of new connections, and a log that cannot fill the disk."""

from __future__ import annotations

import asyncio
import platform
import re
import shutil
import socket
import ssl
import subprocess

import pytest

from tests.attack.guesser import Guesser
from tests.patience import PATIENCE
from tests.telephony.conftest import Pbx
from trunkline.runtime import listen_queue
from trunkline.runtime.asterisk import AsteriskInstall, Origin

pytestmark = [pytest.mark.attack, pytest.mark.engine]

OLD = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
NEW = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


async def negotiated(port: int, version: ssl.TLSVersion) -> bool:
    """Whether the engine talks this version of TLS, and no other is offered."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    except (ssl.SSLError, ConnectionError):
        return False
    writer.close()
    return True


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_tls_1_2_and_1_3_and_none_older(pbx: Pbx) -> None:
    async with pbx.engine():
        for port in (pbx.config.ports.tls, pbx.config.ports.wss):
            assert [await negotiated(port, version) for version in NEW] == [True, True]
            assert [await negotiated(port, version) for version in OLD] == [False, False]


async def test_many_connections_may_wait_to_be_accepted(pbx: Pbx) -> None:
    ports = pbx.config.ports
    async with pbx.engine():
        assert listen_queue.lengthen(pbx.pid) >= 4
        listed = subprocess.run(["ss", "-ltnH"], capture_output=True, text=True, check=True).stdout
    queues = {
        int(port): int(length) for length, port in re.findall(r"LISTEN\s+\d+\s+(\d+)\s+\S+:(\d+)", listed)
    }
    assert {queues[port] for port in (ports.tcp, ports.tls, ports.wss, ports.ari)} == {listen_queue.LENGTH}


async def test_the_engine_logs_to_its_supervisor_which_bounds_the_size(pbx: Pbx) -> None:
    """Notices come on standard error, where the log of the process rotates; no separate file grows."""
    async with pbx.engine(), Guesser(pbx.config.ports.udp) as guesser:
        assert await guesser.guess("4711", "wrong") == 401
        console = pbx.config.paths.root / "console"
        async with asyncio.timeout(PATIENCE):
            while "Failed to authenticate" not in console.read_text(errors="replace"):
                await asyncio.sleep(0.05)
    assert not list((pbx.config.paths.root / "log").glob("messages*"))


def _renegotiates(port: int, version: str) -> bool:
    """Whether the engine accepts another handshake on a connection, which costs it much more than the client."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", f"-{version}"],
        input=b"R\n",
        capture_output=True,
        timeout=20,
        check=False,
    )
    text = (done.stdout + done.stderr).decode(errors="replace")
    assert "Cipher is" in text, text  # connected
    assert "RENEGOTIATING" in text, text
    return "no renegotiation" not in text and "handshake failure" not in text


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the program openssl")
async def test_a_client_cannot_renegotiate(pbx: Pbx) -> None:
    async with pbx.engine():
        for port in (pbx.config.ports.tls, pbx.config.ports.wss):
            assert not await asyncio.to_thread(_renegotiates, port, "tls1_2")


def _responses(port: int, parameters: str) -> tuple[bool, bool]:
    """Whether a request over UDP is answered to its sender, and to the address that its ``Via`` names."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as third,
    ):
        sender.bind(("127.0.0.90", 0))
        third.bind(("127.0.0.91", 0))
        sender.settimeout(5)
        third.settimeout(1)
        via = parameters.format(sender=sender.getsockname()[1], third=third.getsockname()[1])
        request = (
            f"OPTIONS sip:1@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bK{hash(via)}\r\n"
            "Max-Forwards: 70\r\nFrom: <sip:nobody@127.0.0.1>;tag=a\r\nTo: <sip:1@127.0.0.1>\r\n"
            f"Call-ID: {hash(via)}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        )
        sender.sendto(request.encode(), ("127.0.0.1", port))
        got = []
        for one in (sender, third):
            try:
                got.append(bool(one.recv(4000)))
            except TimeoutError:
                got.append(False)
    return got[0], got[1]


@pytest.mark.parametrize(
    "via",
    [
        "127.0.0.90:{third};rport;maddr=127.0.0.91",
        "127.0.0.90:{third};MADDR=127.0.0.91;rport",
        "127.0.0.91:{third};received=127.0.0.91;rport={third}",
    ],
)
async def test_the_via_of_a_request_names_no_receiver_of_its_response(
    pbx: Pbx, asterisk_install: AsteriskInstall, via: str
) -> None:
    """Else the PBX sends to any address what a stranger wants, from the port that phones and carriers trust."""
    if "maddr" in via.lower() and (
        asterisk_install.origin is not Origin.PRIVATE or platform.machine() != "x86_64"
    ):
        pytest.skip("this machine has an Asterisk without the correction")
    async with pbx.engine():
        assert await asyncio.to_thread(_responses, pbx.config.ports.udp, via) == (True, False)
