"""What processes have used and hold, from the kernel."""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def open_files(pid: int) -> int:
    """Open file handles of a process."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def cpu_seconds(roots: Mapping[str, int]) -> dict[str, float]:
    """CPU time used so far by each of these processes, all their descendants (also ended ones) included."""
    children: dict[int, list[int]] = defaultdict(list)
    used: dict[int, float] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        pid = int(stat.parent.name)
        children[int(fields[1])].append(pid)
        # user, system, and the same of children that ended and were waited for
        used[pid] = sum(int(one) for one in fields[11:15]) / _TICKS

    def total(pid: int) -> float:
        return used.get(pid, 0.0) + sum(total(child) for child in children[pid])

    return {name: total(pid) for name, pid in roots.items()}


def wakeups(roots: Mapping[str, int]) -> dict[str, int]:
    """Voluntary context switches so far of all threads of each of these processes and of its descendants that live."""
    return {
        name: sum(_switches(task) for one in _family(pid) for task in Path(f"/proc/{one}/task").glob("*"))
        for name, pid in roots.items()
    }


def _switches(task: Path) -> int:
    try:
        lines = (task / "status").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


def memory_mb(roots: Mapping[str, int]) -> dict[str, float]:
    """Megabytes of memory of each of these processes and its descendants, shared pages divided among their users (PSS)."""
    return {name: round(sum(_pss(one) for one in _family(pid)), 1) for name, pid in roots.items()}


def _pss(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _family(pid: int) -> list[int]:
    """The process and its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [one for child in task.read_text().split() for one in _family(int(child))]
    return found
