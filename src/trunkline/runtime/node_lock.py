"""Proof that the former switch of this data folder has ended.

A switch holds a lock of a file of its data folder as long as it lives; the kernel releases it however the process ends. The
name of the installation belongs to the file, not to its copies: it is made of the file's content, its inode and the machine.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import secrets
from collections.abc import Iterator
from pathlib import Path

_MACHINE = Path("/etc/machine-id")


@contextlib.contextmanager
def node_lock(path: Path) -> Iterator[str | None]:
    """Hold the lock for the time of the block.

    :return: the name of the installation, the same for each switch of this folder; None: a former switch of the folder
        lives, or the file system has no locks.
    :raises OSError: the file cannot be created.
    """
    with path.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield None
            return
        file.seek(0)
        content = file.read()
        if not content:
            content = secrets.token_bytes(16)
            file.write(content)
            file.flush()
        inode = str(path.stat().st_ino).encode()
        yield hashlib.sha256(b"\0".join((content, inode, _machine()))).hexdigest()[:32]


def _machine() -> bytes:
    try:
        return _MACHINE.read_bytes().strip()
    except OSError:
        return b""
