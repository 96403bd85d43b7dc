"""A client that goes on sending after its request was refused over HTTPS is cut off, and not read until it stops."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.attack.web_role import WebRole, web_role

pytestmark = pytest.mark.attack

LONGEST = 12.0
"""Seconds; a client that is not cut off sends for 30."""
UPGRADE = (
    b"GET /v4.0/stream?access_token=unknown HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@contextmanager
def _client(role: WebRole) -> Iterator[ssl.SSLSocket]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", role.settings.web.https_port), 10) as plain,
        context.wrap_socket(plain) as client,
    ):
        yield client


def _sent_for(role: WebRole) -> float:
    """Seconds for which a refused client could send."""
    with _client(role) as client:
        client.sendall(UPGRADE)
        begun = time.monotonic()
        try:
            while time.monotonic() < begun + 2 * LONGEST:
                client.send(bytes(1000))
                time.sleep(0.02)
        except OSError:
            pass
        return time.monotonic() - begun


async def test_a_refused_client_is_cut_off(database: str, tmp_path: Path) -> None:
    async with web_role(database, tmp_path) as role:
        assert await asyncio.to_thread(_sent_for, role) < LONGEST
