"""Connections by the kernel's ``sock_diag``."""

from __future__ import annotations

import contextlib
import itertools
import socket
from collections import Counter

import pytest

from trunkline.runtime import tcp_diag


@pytest.mark.parametrize("wanted", [0, 1, 2, 3, 4])
def test_the_kernel_reports_connections_to_the_ports_only(wanted: int) -> None:
    with contextlib.ExitStack() as stack:
        expected: dict[int, Counter[str]] = {}
        for number, address in enumerate(("127.0.0.1", "127.0.0.1", "127.0.0.1", "::1"), 1):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            server = stack.enter_context(socket.create_server((address, 0), family=family))
            host, port = server.getsockname()[:2]
            expected[port] = Counter({address: number})
            for _ in range(number):
                stack.enter_context(socket.create_connection((host, port)))
                stack.enter_context(server.accept()[0])
        for ports in itertools.combinations(expected, wanted):
            found = tcp_diag.connections(ports)
            for port in expected:
                addresses = Counter(one.address for one in found if one.local_port == port)
                assert addresses == (expected[port] if port in ports else Counter())
