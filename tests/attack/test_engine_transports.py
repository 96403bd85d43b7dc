"""The engine's transports: versions of TLS, queues of new connections, and a log that cannot fill the disk."""

from __future__ import annotations

import asyncio
import re
import ssl
import subprocess

import pytest

from tests.attack.guesser import Guesser
from tests.telephony.conftest import Pbx
from trunkline.runtime import listen_queue

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
        async with asyncio.timeout(10):
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
        async with asyncio.timeout(10):
            while "Failed to authenticate" not in console.read_text(errors="replace"):
                await asyncio.sleep(0.05)
    assert not list((pbx.config.paths.root / "log").glob("messages*"))
