"""Connections by the kernel's ``sock_diag``."""

from __future__ import annotations

import contextlib
import itertools
import socket
from collections import Counter
from collections.abc import Callable

import pytest

from trunkline.runtime import tcp_diag


@pytest.mark.parametrize("wanted", [0, 1, 2, 3, 4])
def test_the_kernel_reports_connections_to_the_ports_only(
    wanted: int, free_ports: Callable[[int], list[int]]
) -> None:
    """Ports that the kernel gives to nobody: another program may be connected from the same port of another address."""
    with contextlib.ExitStack() as stack:
        expected: dict[int, Counter[str]] = {}
        hosts = ("127.0.0.1", "127.0.0.1", "127.0.0.1", "::1")
        for number, (host, port) in enumerate(zip(hosts, free_ports(len(hosts)), strict=True), 1):
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            server = stack.enter_context(socket.create_server((host, port), family=family))
            expected[port] = Counter({host: number})
            for _ in range(number):
                stack.enter_context(socket.create_connection((host, port)))
                stack.enter_context(server.accept()[0])
        for ports in itertools.combinations(expected, wanted):
            found = tcp_diag.connections(ports)
            for port in expected:
                addresses = Counter(one.address for one in found if one.local_port == port)
                assert addresses == (expected[port] if port in ports else Counter())
