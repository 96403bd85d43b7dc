"""What became of the calls of the drills with kills: a table for a report, and the same as JSON."""

from __future__ import annotations

import json
import os
import statistics
from pathlib import Path
from typing import Any

from tests.drills.rig import NO_FAULTS, Account, Rig

FAULTS = ("lost", "duplicated", "stuck", "unpublished", "unrecorded", "uncharged")
_COLUMNS = ("drill", "kills", "calls", "completed", *FAULTS, *NO_FAULTS, "ready p50 s", "ready max s", "load")


class KillsTable:
    """One row a drill.

    :param report: JSON is written there after each row; None = nowhere.
    """

    def __init__(self, report: Path | None) -> None:
        self.rows: list[dict[str, Any]] = []
        self._report = report

    def add(self, drill: str, seed: int, rig: Rig, account: Account) -> None:
        """Add what became of the calls of a drill, and print it."""
        call_counts, ready = rig.call_counts, rig.times_to_ready
        self.rows.append(
            {
                "drill": drill,
                "seed": seed,
                "kills": dict(rig.kills),
                "calls": len(call_counts.dialled),
                "answered": len(call_counts.answered),
                "completed": len(call_counts.completed),
                **account.figures,
                "ready_p50_seconds": round(statistics.median(ready), 1) if ready else None,
                "ready_max_seconds": round(max(ready), 1) if ready else None,
                "load_average": round(os.getloadavg()[0], 1),
                "faults": account.faults,
            }
        )
        if self._report is not None:
            self._report.write_text(json.dumps({"drills": self.rows, "total": self.total}, indent=2) + "\n")
        print(self.text)

    @property
    def total(self) -> dict[str, int]:
        """Sums of all drills."""
        names = ("calls", "answered", "completed", *FAULTS, *NO_FAULTS)
        sums = {name: sum(row[name] for row in self.rows) for name in names}
        return {"kills": sum(sum(row["kills"].values()) for row in self.rows), **sums}

    @property
    def text(self) -> str:
        """The table in Markdown."""
        lines = ["| " + " | ".join(_COLUMNS) + " |", "|" + " --- |" * len(_COLUMNS)]
        for row in self.rows:
            kills = ", ".join(f"{count} {name}" for name, count in sorted(row["kills"].items()))
            cells = [
                row["drill"],
                kills,
                row["calls"],
                row["completed"],
                *(row[name] for name in (*FAULTS, *NO_FAULTS)),
            ]
            cells += [row["ready_p50_seconds"], row["ready_max_seconds"], row["load_average"]]
            lines.append("| " + " | ".join(str(one) for one in cells) + " |")
        total = self.total
        sums = [total[name] for name in ("kills", "calls", "completed", *FAULTS, *NO_FAULTS)]
        lines.append("| all | " + " | ".join(str(one) for one in sums) + " | | | |")
        return "\n".join(lines)
