"""Data on processes from the kernel (``/proc``)."""

from __future__ import annotations

import os
import time
from pathlib import Path


def is_alive(pid: int) -> bool:
    """Whether a process runs. A zombie does not, unless it has threads that are ending still: its ports and files are open
    until the last of them has ended.
    """
    state = state_of(pid)
    if state not in ("Z", "X"):
        return state is not None
    try:
        return any(thread != str(pid) for thread in os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return False


def state_of(pid: int) -> str | None:
    """One letter (``R``, ``S``, ``Z``, ...), None when there is no such process."""
    fields = _stat(pid)
    return fields[0] if fields else None


def started_at(pid: int) -> int | None:
    """Clock ticks from boot to the start of the process: with the pid, who it is."""
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def uptime(pid: int) -> float | None:
    """Seconds since the process was started."""
    ticks = started_at(pid)
    if ticks is None:
        return None
    since_boot = float(Path("/proc/uptime").read_text().split()[0])
    return max(since_boot - ticks / os.sysconf("SC_CLK_TCK"), 0.0)


def argv_of(pid: int) -> list[str]:
    """Its command line, empty when there is no such process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def wait_gone(pid: int, seconds: float) -> bool:
    """Wait until a process that need not be our child is gone; False when it is still there."""
    deadline = time.monotonic() + seconds
    while is_alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name is in brackets and may contain any characters, including brackets.
    return text.rpartition(")")[2].split()
