"""A longer queue of connections that wait to be accepted, for a program that has no setting for it.

Asterisk asks the kernel for 5 (SIP over TCP and TLS) or 10 (WSS, control interfaces), fixed when it was compiled: a few
connections that stall in their handshake make the kernel drop those of other clients. ``listen()`` may be called again on a
socket that listens, by any process that has it; the supervisor, as the parent, may copy its child's sockets.
"""

from __future__ import annotations

from trunkline.runtime.child_sockets import LISTENING, copies, tcp_sockets

LENGTH = 1024
"""The kernel takes at most ``net.core.somaxconn`` (4096)."""


def lengthen(pid: int, length: int = LENGTH) -> int:
    """Make the queues of all listening TCP sockets of a child this long; how many there are.

    :raises OSError: the kernel is too old, or does not let this process reach the child's sockets.
    """
    listening = {one.inode for one in tcp_sockets(pid) if one.state == LISTENING}
    done = 0
    for _, copy in copies(pid, listening):
        copy.listen(length)
        done += 1
    return done
