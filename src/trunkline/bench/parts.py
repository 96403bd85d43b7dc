"""What can be measured: each part by its name, one module each.

A part is an ``async def run(setting) -> Finding`` in a module of its own, and a line in :data:`PARTS`. ``trunkline
bench`` runs all of them one after another, or those named with ``--part``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from trunkline.bench import calls, changes, commands, reports
from trunkline.bench.setting import Finding, Setting


@dataclass(frozen=True)
class Part:
    """One measurement.

    :ivar about: what it measures, in a line for ``--help`` and the head of its table.
    :ivar method: how, for the report.
    """

    about: str
    method: str
    run: Callable[[Setting], Awaitable[Finding]]


PARTS: Mapping[str, Part] = MappingProxyType(
    {
        "calls": Part("calls a second and ringing delay, against plain Dial()", calls.METHOD, calls.run),
        "commands": Part(
            "from API command to SIP message, and list.calls, against bare peers",
            commands.METHOD,
            commands.run,
        ),
        "changes": Part("from a change by the Data API until calls go by it", changes.METHOD, changes.run),
        "reports": Part(
            "reports over 1 and 10 million calls, against SQL by hand", reports.METHOD, reports.run
        ),
    }
)
"""In the order in which they run."""


async def run(names: tuple[str, ...], setting: Setting) -> dict[str, Finding]:
    """Measure the parts of these names, all when none is named, each in a folder of its own."""
    findings: dict[str, Finding] = {}
    for name, part in PARTS.items():
        if not names or name in names:
            setting.say(f"{name}: {part.about}")
            findings[name] = await part.run(setting.within(name))
    return findings


def report(findings: Mapping[str, Finding]) -> dict[str, Any]:
    """``{name: {"ok", "method", ...data}}``."""
    return {
        name: {"ok": found.ok, "method": PARTS[name].method, **found.data} for name, found in findings.items()
    }


def tables(findings: Mapping[str, Finding]) -> str:
    """For a terminal."""
    return "\n\n".join(f"{name}: {PARTS[name].about}\n{found.table}" for name, found in findings.items())
