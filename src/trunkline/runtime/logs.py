"""Log files of child processes, rotated by size."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import BinaryIO


class RotatingLog:
    """Appends to ``path``; when it is full it becomes ``path.1``, that ``path.2``, and so on.

    Rotates between writes only, so write whole lines. Keeps the last line for messages.
    """

    def __init__(self, path: Path, *, most_bytes: int = 10_000_000, kept: int = 4) -> None:
        self.path = path
        self._most_bytes, self._kept = most_bytes, kept
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._open()
        self._size = path.stat().st_size
        self.last_line = ""

    def write(self, content: bytes) -> None:
        # A full disk must not take the processes down with it.
        with contextlib.suppress(
            OSError, ValueError
        ):  # the second one: the file was closed and could not be opened
            if self._size and self._size + len(content) > self._most_bytes:
                self._rotate()
            if self._file.closed:
                self._file = self._open()
            self._file.write(content)
            self._file.flush()
        self._size += len(content)
        lines = content.rstrip().rpartition(b"\n")[2]
        if lines:
            self.last_line = lines.decode(errors="replace")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()

    def _rotate(self) -> None:
        self.close()
        for number in range(self._kept, 0, -1):
            older = self._numbered(number)
            newer = self._numbered(number - 1) if number > 1 else self.path
            if newer.exists():
                newer.replace(older)
        self._file = self._open()
        self._size = 0

    def _open(self) -> BinaryIO:
        """For the owner alone, also a file of an older version."""
        file = self.path.open("ab")
        os.fchmod(file.fileno(), 0o600)
        return file

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")
