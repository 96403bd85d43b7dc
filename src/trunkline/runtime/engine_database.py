"""Asterisk's own database (``astdb.sqlite3``) on a disk without a free block.

It has the registrations of phones. Asterisk answers REGISTER with 200 also when it cannot store it: the phone would be
unregistered until its next refresh. SQLite writes each change first to a file beside the database, which by default it
creates for each transaction. In its mode WAL, which is a property of the database file, it overwrites the same file, so
blocks that are reserved for it are enough. Asterisk needs no setting for that (decision 0073).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from trunkline.core.reserved_space import reserve_space

_FILE = "astdb.sqlite3"
_RESERVED = ((f"{_FILE}-wal", 8_000_000), (_FILE, 2_000_000))
"""Bytes behind the end of each file. SQLite begins the first one again after 1000 pages (4 MB); the second grows by new keys
only."""


def prepare(folder: Path) -> str | None:
    """Set the mode of the database, before Asterisk is started. Blocks.

    :param folder: of the database.
    :returns: why it was not set, to be logged; the database works all the same.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(folder / _FILE, timeout=5)) as connection:
            (mode,) = connection.execute("pragma journal_mode = wal").fetchone()
    except (sqlite3.Error, OSError) as error:
        return f"{folder / _FILE}: {error}; registrations are not stored while the disk is full"
    return None if mode == "wal" else f"{folder / _FILE} stays in the mode {mode}"


def reserve(folder: Path) -> None:
    """Reserve blocks for the files that are there and have none. Blocks; raises nothing: it is tried again later."""
    for name, size in _RESERVED:
        with contextlib.suppress(OSError):
            descriptor = os.open(folder / name, os.O_RDWR | os.O_CLOEXEC)
            try:
                reserve_space(descriptor, size)
            finally:
                os.close(descriptor)
