"""Space on a disk that a file has behind its end, so that it can grow when the disk is full."""

from __future__ import annotations

import ctypes
import errno
import os

_KEEP_SIZE = 1
"""``FALLOC_FL_KEEP_SIZE`` of fallocate(2): blocks are allocated and the size of the file stays."""
_BLOCK = 512
"""Unit of ``st_blocks``, in bytes."""
_NOT_SUPPORTED = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


def reserve_space(descriptor: int, size: int) -> bool:
    """Reserve space behind the end of an open file when less than half of ``size`` is left. Blocks.

    :param size: bytes.
    :returns: False when the file system cannot reserve space.
    :raises OSError: there is no space.
    """
    stat = os.fstat(descriptor)
    if stat.st_blocks * _BLOCK - stat.st_size >= size // 2:
        return True
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        allocate = libc.fallocate64  # glibc: offsets of 64 bits on each machine
    except AttributeError:
        allocate = libc.fallocate
    offset, length = ctypes.c_int64(stat.st_size), ctypes.c_int64(size)
    if allocate(descriptor, _KEEP_SIZE, offset, length) == 0:
        return True
    error = ctypes.get_errno()
    if error in _NOT_SUPPORTED:
        return False
    raise OSError(error, os.strerror(error))
