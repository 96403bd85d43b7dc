"""Loopback addresses that one rig has for itself: whatever ports others open, on these addresses they are free."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

_NETWORKS = range(1, 255)


@contextmanager
def own_addresses() -> Iterator[tuple[str, str]]:
    """Two addresses of 127.20.0.0/16 that no other process on this machine gets here during the block.

    Each network is reserved by a socket in the abstract namespace, which the kernel closes with the process.

    :raises OSError: all are reserved.
    """
    for number in _NETWORKS:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as reservation:
            try:
                reservation.bind(f"\0trunkline-loopback-{number}")
            except OSError:
                continue
            yield f"127.20.{number}.2", f"127.20.{number}.3"
            return
    raise OSError(errno.EADDRINUSE, "other processes have reserved all loopback addresses")
