"""Calls over TCP during a flood of other requests: Asterisk's queues are full, and an emergency call is not refused."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.attack.test_sip_connections import flood_of_one_call_id
from tests.patience import PATIENCE
from tests.telephony.conftest import Pbx
from tests.telephony.conftest import pbx as pbx  # the fixture
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.runtime.asterisk_correction import is_distributor_corrected

pytestmark = [pytest.mark.attack, pytest.mark.engine, pytest.mark.timeout(180)]

SECONDS = 8.0


def _invite(number: int, port: int) -> bytes:
    return (
        f"INVITE sip:999@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.46:{port};branch=z9hG4bKe{number};rport\r\n"
        "Max-Forwards: 70\r\nFrom: <sip:1001@127.0.0.1>;tag=e\r\nTo: <sip:999@127.0.0.1>\r\n"
        f"Call-ID: e{number}-{port}\r\nCSeq: 1 INVITE\r\nContact: <sip:1001@127.0.0.46:{port}>\r\nContent-Length: 0\r\n\r\n"
    ).encode()


@contextlib.contextmanager
def _connected(port: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as phone:
        phone.bind(("127.0.0.46", 0))
        phone.settimeout(20)
        phone.connect(("127.0.0.1", port))
        yield phone


def _responses(port: int, request: str, refused: threading.Event) -> Counter[int]:
    """What Asterisk says to requests over one connection while the flood runs, until one was refused.

    A busy machine reads a few requests in :data:`SECONDS`, and a queue may be full at none of them.
    """
    found: Counter[int] = Counter()
    with _connected(port) as phone:
        own, received = phone.getsockname()[1], b""
        began, number = time.monotonic(), 0
        while (passed := time.monotonic() - began) < SECONDS or (not refused.is_set() and passed < PATIENCE):
            number += 1
            phone.sendall(_invite(number, own).replace(b"INVITE", request.encode()))
            while b"\r\n\r\n" not in received:
                more = phone.recv(4000)
                assert more, "the connection was closed"
                received += more
            head, _, received = received.partition(b"\r\n\r\n")
            assert b"Content-Length:  0" in head or b"Content-Length: 0" in head
            found[code := int(head.split(b" ")[1])] += 1
            if code == 503:
                refused.set()
            time.sleep(0.02)
    return found


async def test_a_call_over_tcp_waits_while_a_queue_is_full(
    pbx: Pbx, asterisk_install: AsteriskInstall
) -> None:
    """Nothing ends the flood here, so a queue is full most of the time: another request is refused, a call is not."""
    if not is_distributor_corrected(asterisk_install.modules_dir):
        pytest.skip("this machine has an Asterisk without a correction")
    port = pbx.config.ports.tcp
    async with pbx.engine():
        with flood_of_one_call_id("REGISTER", port):
            await asyncio.sleep(1.0)
            refused = threading.Event()
            others, calls = await asyncio.gather(
                asyncio.to_thread(_responses, port, "OPTIONS", refused),
                asyncio.to_thread(_responses, port, "INVITE", refused),
            )
    print(f"OPTIONS {dict(others)}, INVITE {dict(calls)}")
    assert others[503], "the flood filled no queue"
    assert set(calls) == {401}
