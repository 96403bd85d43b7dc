"""A deadline for the first bytes of TLS connections to a program that has no setting for it.

Asterisk keeps a connection to its TLS ports (SIP, WSS) without a time limit while the handshake has not
begun, each with a descriptor, and for WSS with a thread. The supervisor checks the child's connections every few
seconds and ends those that are older than the deadline and have sent less than the smallest handshake has.

A client may also begin the handshake and stop. From outside this looks like a connection in use;
:mod:`trunkline.runtime.sip_connections` limits the number of connections.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from trunkline.runtime.child_sockets import ESTABLISHED, TcpSocket, copies, tcp_sockets

SECONDS = 15.0
"""From when a connection is first seen."""

CHECK_PERIOD_SECONDS = 5.0
"""Seconds."""

SMALLEST_HANDSHAKE = 150
"""Bytes that a client sends at least until its handshake is complete."""

_BYTES_RECEIVED = 128
"""Offset of ``tcpi_bytes_received`` in the kernel's ``tcp_info`` (Linux 4.1 or newer)."""


@dataclass
class Deadlines:
    """Which connections are due to be looked at, each once. Pure; times are of one monotonic clock, in seconds."""

    ports: Collection[int]
    seconds: float = SECONDS
    _first_seen: dict[str, float] = field(default_factory=dict)
    _judged: set[str] = field(default_factory=set)

    def due(self, sockets: Iterable[TcpSocket], now: float) -> set[str]:
        """Inodes of connections that have reached the deadline since the last check."""
        present = {one.inode for one in sockets if one.state == ESTABLISHED and one.local_port in self.ports}
        self._first_seen = {inode: self._first_seen.get(inode, now) for inode in present}
        self._judged &= present
        due = {
            inode
            for inode, seen in self._first_seen.items()
            if now - seen >= self.seconds and inode not in self._judged
        }
        self._judged |= due
        return due


def end_silent(pid: int, inodes: Collection[str]) -> int:
    """End those of the child's connections that have sent too little; how many.

    :raises OSError: the child's sockets cannot be reached.
    """
    ended = 0
    for _, connection in copies(pid, inodes):
        if bytes_received(connection) < SMALLEST_HANDSHAKE:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            ended += 1
    return ended


def bytes_received(connection: socket.socket) -> int:
    """Bytes of data that the other side has sent since the connection began."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    if len(info) < _BYTES_RECEIVED + 8:
        return SMALLEST_HANDSHAKE  # an old kernel: nothing is known
    (received,) = struct.unpack_from("Q", info, _BYTES_RECEIVED)
    return int(received)


def watch(
    pid: int,
    ports: Collection[int],
    *,
    seconds: float = SECONDS,
    check_period: float = CHECK_PERIOD_SECONDS,
) -> threading.Thread:
    """Keep the deadline for a child in a thread that ends with the child.

    :raises OSError: the child is gone, or the kernel is too old.
    """
    handle = os.pidfd_open(pid)

    def run() -> None:
        deadlines = Deadlines(frozenset(ports), seconds)
        ends = select.poll()
        ends.register(handle, select.POLLIN)
        try:
            while not ends.poll(check_period * 1000):
                with contextlib.suppress(OSError):  # the child ends just now
                    sockets = list(tcp_sockets(pid))
                    if due := deadlines.due(sockets, time.monotonic()):
                        end_silent(pid, due)
        finally:
            os.close(handle)

    thread = threading.Thread(target=run, name=f"handshakes-{pid}", daemon=True)
    thread.start()
    return thread
