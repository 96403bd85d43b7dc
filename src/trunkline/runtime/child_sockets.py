"""TCP sockets of a child process: which it has, and copies of them, for what it has no setting for.

The parent of a process may copy its descriptors (``pidfd_getfd``, Linux 5.6 or newer), without further rights.
"""

from __future__ import annotations

import ctypes
import os
import re
import socket
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

LISTENING, ESTABLISHED = "0A", "01"

_PIDFD_GETFD = 438
"""Number of the system call, the same on all architectures."""
_SOCKET = re.compile(r"socket:\[(\d+)\]\Z")


@dataclass(frozen=True, slots=True)
class TcpSocket:
    """A line of the kernel's table. ``inode`` names the socket as long as it exists."""

    inode: str
    state: str
    local_port: int


def tcp_sockets(pid: int) -> Iterator[TcpSocket]:
    """TCP sockets of the child's network, its own among them.

    :raises OSError: the process is gone.
    """
    for table in ("tcp", "tcp6"):
        path = Path(f"/proc/{pid}/net/{table}")
        if not path.exists():
            continue
        for line in path.read_text().splitlines()[1:]:
            words = line.split()
            yield TcpSocket(words[9], words[3], int(words[1].rpartition(":")[2], 16))


def copies(pid: int, inodes: Collection[str]) -> Iterator[tuple[str, socket.socket]]:
    """Copies of those of the child's own sockets, each with its inode; closed when the next one is asked for.

    :raises OSError: the kernel is too old, or does not let this process reach the child's sockets.
    """
    pid_handle = os.pidfd_open(pid)
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                found = _SOCKET.match(os.readlink(entry))
            except FileNotFoundError:
                continue  # closed meanwhile
            if found is None or found[1] not in inodes:
                continue
            with socket.socket(fileno=_copied(pid_handle, int(entry.name))) as copy:
                yield found[1], copy
    finally:
        os.close(pid_handle)


def _copied(pid_handle: int, descriptor: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    copy = libc.syscall(ctypes.c_long(_PIDFD_GETFD), pid_handle, descriptor, 0)
    if copy < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return int(copy)
