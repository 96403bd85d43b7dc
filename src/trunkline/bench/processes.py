"""What processes have used and hold, from the kernel."""

from __future__ import annotations

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


def wakeups(pids: Mapping[str, int]) -> dict[str, int]:
    """Voluntary context switches so far of all threads of these processes; 0 for one that has ended."""
    return {
        name: sum(_switches(task) for task in Path(f"/proc/{pid}/task").glob("*"))
        for name, pid in pids.items()
    }


def _switches(task: Path) -> int:
    try:
        lines = (task / "status").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


def memory_mb(pids: Mapping[str, int]) -> dict[str, float]:
    """Megabytes of memory of these processes, pages that several share divided among them (PSS)."""
    return {name: _pss(pid) for name, pid in pids.items()}


def _pss(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return round(next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024, 1)
