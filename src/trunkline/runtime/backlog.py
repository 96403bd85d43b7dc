"""A longer queue of connections that wait to be accepted, for a program that has no setting for it.

Asterisk asks the kernel for 5 (SIP over TCP and TLS) or 10 (WSS, control interfaces), fixed when it was compiled: a few
connections that stall in their handshake make the kernel drop those of others. ``listen()`` may be called again on a
socket that listens, by any process that has it; the supervisor, as the parent, may copy its child's sockets.
"""

from __future__ import annotations

import ctypes
import os
import re
import socket
from pathlib import Path

LENGTH = 1024
"""The kernel takes at most ``net.core.somaxconn`` (4096)."""

_PIDFD_GETFD = 438
"""Number of the system call, the same on all architectures; Linux 5.6 or newer."""
_LISTENING = "0A"
_SOCKET = re.compile(r"socket:\[(\d+)\]\Z")


def lengthen(pid: int, length: int = LENGTH) -> int:
    """Make the queues of all listening TCP sockets of a child this long; how many there are.

    :raises OSError: the kernel is too old, or does not let this process reach the child's sockets.
    """
    listening = _listening_inodes(pid)
    pid_handle = os.pidfd_open(pid)
    done = 0
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                found = _SOCKET.match(os.readlink(entry))
            except FileNotFoundError:
                continue  # closed meanwhile
            if found is None or found[1] not in listening:
                continue
            with socket.socket(fileno=_copied(pid_handle, int(entry.name))) as copy:
                copy.listen(length)
            done += 1
    finally:
        os.close(pid_handle)
    return done


def _listening_inodes(pid: int) -> set[str]:
    inodes: set[str] = set()
    for table in ("tcp", "tcp6"):
        path = Path(f"/proc/{pid}/net/{table}")
        if not path.exists():
            continue
        for line in path.read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == _LISTENING:
                inodes.add(words[9])
    return inodes


def _copied(pid_handle: int, descriptor: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    copy = libc.syscall(ctypes.c_long(_PIDFD_GETFD), pid_handle, descriptor, 0)
    if copy < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return int(copy)
