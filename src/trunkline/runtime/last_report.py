"""When a process reported last, kept by the supervisor for ``trunkline status``.

The moment is in seconds of the system's monotonic clock, which all processes share and nobody sets. It is overwritten in
place, in a file of fixed size: many writes cost little, and a full disk does not refuse them.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

_WIDTH = 20


class LastReport:
    """The file of one service.

    :param run_dir: where it is made.
    """

    def __init__(self, run_dir: Path, service: str) -> None:
        self._path = _file(run_dir, service)
        self._descriptor: int | None = None

    def now(self) -> None:
        """The process has reported. A moment that cannot be written is left out: the supervisor has other work."""
        with contextlib.suppress(OSError):
            if self._descriptor is None:
                self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.pwrite(self._descriptor, f"{time.monotonic():{_WIDTH - 1}.3f}\n".encode(), 0)

    def close(self) -> None:
        """Nothing is known of the process any more."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


def report_age(run_dir: Path, service: str) -> float | None:
    """Seconds since a service reported last; None when it makes no reports or has made none."""
    try:
        reported = float(_file(run_dir, service).read_text())
    except (OSError, ValueError):
        return None
    return max(time.monotonic() - reported, 0.0)


def _file(run_dir: Path, service: str) -> Path:
    return run_dir / f"{service}.reported"
