"""Atomic creation of files."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path
from typing import IO

PRIVATE = 0o077
"""The umask of all processes: what they make is for their own user alone."""


_NO_NAMELESS_FILES = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT})
"""Errors of ``O_TMPFILE`` on a file system or kernel that does not have it (ENOENT also when there is no such folder)."""


def write_atomically(path: Path, content: bytes, mode: int, *, durable: bool = True) -> None:
    """Replace a file: readers see the old or the new content, if ``durable`` also after a power cut."""
    new = _beside(path, content, mode, durable)
    try:
        os.replace(new, path)
    except BaseException:
        new.unlink()
        raise


def overwrite(path: Path, content: bytes) -> None:
    """Replace the content of a file in its place, with the blocks that it has: also on a full disk.

    A reader may see a part of each; for a content that shows this.

    :raises OSError: the file is shorter than the content, or the file system writes to other blocks and has none.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        if size < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        if os.pwrite(descriptor, content.ljust(size), 0) < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    finally:
        os.close(descriptor)


def create_once(path: Path, content: bytes, mode: int) -> bool:
    """Create a file unless it exists; False if it exists. Of two concurrent calls one succeeds; the file is complete.

    The file has no name until it is complete, so a killed process leaves nothing.
    """
    try:
        descriptor = os.open(path.parent, os.O_WRONLY | os.O_TMPFILE, mode)
    except OSError as error:
        if error.errno not in _NO_NAMELESS_FILES:
            raise
        return _create_beside(path, content, mode)
    with os.fdopen(descriptor, "wb") as file:
        _fill(file, content, durable=True)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            # With a folder, Python calls linkat(2), which follows the link to the file.
            os.link(f"/proc/self/fd/{descriptor}", path.name, dst_dir_fd=folder, follow_symlinks=True)
        except FileExistsError:
            return False
        finally:
            os.close(folder)
    return True


def _create_beside(path: Path, content: bytes, mode: int) -> bool:
    new = _beside(path, content, mode, durable=True)
    try:
        os.link(new, path)
    except FileExistsError:
        return False
    finally:
        new.unlink()
    return True


def private_folder(path: Path) -> None:
    """Make a folder that only its owner can enter, and close it if it was open."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.chmod(0o700)


def _beside(path: Path, content: bytes, mode: int, durable: bool) -> Path:
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            _fill(file, content, durable=durable)
    except BaseException:
        new.unlink()
        raise
    return new


def _fill(file: IO[bytes], content: bytes, *, durable: bool) -> None:
    file.write(content)
    file.flush()
    if durable:
        os.fsync(file.fileno())
