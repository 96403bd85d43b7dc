"""What can be measured: each part by its name, one module each.

A part is an ``async def run(setting) -> Finding`` in a separate module, and a line in :data:`PARTS`. ``trunkline
bench`` runs all of them one after another, or those named with ``--part``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from trunkline.bench import calls, changes, commands, deliveries, idle, machines, pages, queues, reports
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
        "deliveries": Part(
            "notifications a second against a bare loop, and from event to arrival",
            deliveries.METHOD,
            deliveries.run,
        ),
        "idle": Part("CPU without calls, and restarts of the switch", idle.METHOD, idle.run),
        "machines": Part(
            "persons taken for answering machines and the reverse, against AMD() as it comes",
            machines.METHOD,
            machines.run,
        ),
        "pages": Part("open pages of the console: changes, processor, memory", pages.METHOD, pages.run),
        "queues": Part(
            "evaluation of queues, and calls through one against app_queue", queues.METHOD, queues.run
        ),
        "reports": Part(
            "reports over 1 and 10 million calls, against SQL by hand", reports.METHOD, reports.run
        ),
    }
)
"""In the order in which they run."""


async def run(names: tuple[str, ...], setting: Setting) -> dict[str, Finding]:
    """Measure the parts of these names, all when none is named, each in a separate folder."""
    findings: dict[str, Finding] = {}
    for name, part in PARTS.items():
        if not names or name in names:
            setting.say(f"{name}: {part.about}")
            findings[name] = await part.run(setting.within(name))
    return findings


def report(findings: Mapping[str, Finding]) -> dict[str, Any]:
    """``{name: {"ok", "method", "figures": {name: {"value", "aim", "met"}}, ...data}}``."""
    return {
        name: {
            "ok": found.ok,
            "method": PARTS[name].method,
            "figures": {figure: one.report() for figure, one in found.figures.items()},
            **found.data,
        }
        for name, found in findings.items()
    }


def missed(findings: Mapping[str, Finding]) -> list[str]:
    """A line for each figure that does not meet its aim."""
    return [
        f"{name}: {figure} is {one.value}, the aim is {'at least' if one.is_least else 'at most'} {one.aim}"
        for name, found in findings.items()
        for figure, one in found.figures.items()
        if not one.met
    ]


def tables(findings: Mapping[str, Finding]) -> str:
    """For a terminal: a table for each part, then the figures that do not meet their aims."""
    found = [f"{name}: {PARTS[name].about}\n{found.table}" for name, found in findings.items()]
    behind = missed(findings)
    if behind:
        found.append("\n".join(("aims that are not met:", *(f"  {line}" for line in behind))))
    return "\n\n".join(found)
