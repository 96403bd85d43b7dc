"""Ports for tests: a port is chosen seconds before a program listens on it, so nobody else may get it meanwhile."""

from __future__ import annotations

import subprocess
import sys

from trunkline.runtime.ports import free_ports

_OTHER = """
from trunkline.runtime.ports import free_ports
print(*free_ports(100), flush=True)
input()
"""


def test_a_process_gets_each_port_once() -> None:
    given = [port for _ in range(1000) for port in free_ports(1)]
    assert len(set(given)) == len(given)


def test_no_other_process_gets_them() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        try:
            assert other.stdout is not None
            theirs = {int(port) for port in other.stdout.readline().split()}
            assert len(theirs) == 100
            assert not theirs & set(free_ports(2000))
        finally:
            other.kill()
