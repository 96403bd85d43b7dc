"""The fifth measurement: what an installation uses without calls, and the time until a killed switch is back.

Idle: CPU time and wake-ups of each process from the kernel's accounts, with registered lines and without calls. Restart:
from SIGKILL of the switch until the supervisor has its report of readiness, without calls and during 20 calls per second.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from trunkline.bench.load import CARRIER, Side
from trunkline.bench.processes import cpu_seconds, memory_mb, wakeups
from trunkline.bench.product import LINE_PASSWORD, LINES, NUMBERS, Product
from trunkline.bench.setting import Figure, Finding, Say, Setting, rows
from trunkline.bench.statistics import Spread, spread
from trunkline.runtime.processes import argv_of
from trunkline.runtime.supervisor import state_file

METHOD = (
    "A whole installation with 16 registered lines and no calls: CPU time of each process in percent of a core, its "
    "wake-ups (voluntary context switches) per second, and its memory (proportional set size). Then the switch is "
    "killed again and again, without calls and during 20 calls per second: milliseconds from SIGKILL until it is ready."
)
AIM_PERCENT = 0.3
AIM_RESTART_MS = 2000.0
_ROLES = ("switch", "web", "worker")
_SECONDS, _QUICK_SECONDS = 120.0, 40.0
_SETTLE_SECONDS = 10.0
_KILLS, _QUICK_KILLS = 10, 4
_RATE = 20.0
_BETWEEN_KILLS = 6.0
"""Seconds, in which the next standby loads its program."""
_TIMEOUT_SECONDS = 60.0
_POLL = 0.005


@asynccontextmanager
async def _staged(setting: Setting) -> AsyncIterator[tuple[Product, Side]]:
    """The product with registered phones that answer."""
    side = Side("trunkline", setting.phones, setting.folder, NUMBERS)
    async with Product(setting.folder, (CARRIER, side.caller_port)) as product:
        await asyncio.sleep(1.0)  # the directory reaches the engine a moment after it was applied
        await side.register(product.sip_port, LINES, LINE_PASSWORD)
        await side.answer()
        try:
            await product.wait_registered()
            yield product, side
        finally:
            await side.stop()


def standby_of(product: Product) -> int | None:
    """Process id of the switch's standby."""
    running = int(product.installation.process("switch")["pid"])
    supervisor = _parent(running)
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        if pid != running and _parent(pid) == supervisor and argv_of(pid)[-1:] == ["switch"]:
            return pid
    return None


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


async def measure_idle(product: Product, seconds: float) -> dict[str, dict[str, float]]:
    """Percent of a core, wake-ups per second and megabytes of each process."""
    pids = {
        name: int(product.installation.process(name)["pid"]) for name in (*_ROLES, "postgres", "asterisk")
    }
    standby = standby_of(product)
    if standby is not None:
        pids["switch standby"] = standby
    began, cpu, woken = time.monotonic(), cpu_seconds(pids), wakeups(pids)
    await asyncio.sleep(seconds)
    took = time.monotonic() - began
    cpu_after, woken_after = cpu_seconds(pids), wakeups(pids)
    memory = memory_mb(pids)
    return {
        name: {
            "cpu_percent": round((cpu_after[name] - cpu[name]) / took * 100, 2),
            "wakeups_per_second": round((woken_after[name] - woken[name]) / took, 1),
            "memory_mb": memory[name],
        }
        for name in pids
    }


async def measure_restarts(product: Product, kills: int) -> list[float]:
    """Milliseconds of each restart of the switch."""
    found = []
    for _ in range(kills):
        await asyncio.sleep(_BETWEEN_KILLS)
        before = int(_switch(product)["pid"])
        began = time.monotonic()
        os.kill(before, signal.SIGKILL)
        while not _is_back(product, before):
            if time.monotonic() - began > _TIMEOUT_SECONDS:
                raise TimeoutError("the switch is not ready again")
            await asyncio.sleep(_POLL)
        found.append(round((time.monotonic() - began) * 1000, 1))
    return found


def _is_back(product: Product, before: int) -> bool:
    switch = _switch(product)
    return switch["state"] == "ready" and switch["pid"] not in (None, before)


def _switch(product: Product) -> Mapping[str, Any]:
    """What the supervisor has noted of the switch. ``trunkline status`` would try the ports, too, which takes longer."""
    noted = json.loads(state_file(product.installation.settings.run_dir).read_text())
    return next(service for service in noted["services"] if service["name"] == "switch")


async def _restarts_under_load(product: Product, side: Side, kills: int) -> list[float]:
    calling = asyncio.create_task(side.call(product.sip_port, _RATE, kills * (_BETWEEN_KILLS + 2.0)))
    try:
        return await measure_restarts(product, kills)
    finally:
        await calling
        await product.settle()


async def measure(product: Product, side: Side, *, quick: bool, say: Say) -> dict[str, Any]:
    """The report as data."""
    await asyncio.sleep(_SETTLE_SECONDS)
    seconds, kills = (_QUICK_SECONDS, _QUICK_KILLS) if quick else (_SECONDS, _KILLS)
    idle = await measure_idle(product, seconds)
    say(
        f"idle for {seconds:.0f} s: "
        + ", ".join(f"{name} {one['cpu_percent']} %" for name, one in idle.items())
    )
    without = await measure_restarts(product, kills)
    say(f"restarts without calls, ms: {without}")
    during = await _restarts_under_load(product, side, kills)
    say(f"restarts during {_RATE:.0f} calls/s, ms: {during}")
    return {
        "idle_seconds": seconds,
        "idle": idle,
        "restart_ms": {"without_calls": without, "during_calls": during},
        "starts": started_lines(product),
    }


def started_lines(product: Product) -> list[str]:
    """What the switch logged of its starts: milliseconds of each phase."""
    log = product.installation.settings.logs_dir / "switch.log"
    return [line for line in log.read_text().splitlines() if '"event":"started"' in line]


def figures(data: Mapping[str, Any]) -> dict[str, Figure]:
    """The figures that have an aim."""
    found = {
        f"idle_{name}_percent": Figure(data["idle"][name]["cpu_percent"], AIM_PERCENT) for name in _ROLES
    }
    for name, values in data["restart_ms"].items():
        found[f"restart_{name}_worst_ms"] = Figure(max(values), AIM_RESTART_MS)
    return found


def table(data: Mapping[str, Any]) -> str:
    """For a terminal."""
    idle = [
        (
            f"idle: {name}",
            f"{one['cpu_percent']:.2f} %",
            f"{one['wakeups_per_second']:.1f}/s",
            f"{one['memory_mb']:.0f}",
        )
        for name, one in data["idle"].items()
    ]
    restarts: list[tuple[str, Spread, float]] = [
        (name.replace("_", " "), spread(values), max(values)) for name, values in data["restart_ms"].items()
    ]
    lines = [(f"restart {name}, ms", f"{one.p50:.0f}", f"{worst:.0f}", "") for name, one, worst in restarts]
    return "\n".join((rows(("", "CPU", "wake-ups", "MB"), idle), rows(("", "median", "worst", ""), lines)))


async def run(setting: Setting) -> Finding:
    """See :mod:`trunkline.bench.parts`."""
    setting.folder.mkdir(parents=True, exist_ok=True)
    async with _staged(setting) as (product, side):
        data = await measure(product, side, quick=setting.quick, say=setting.say)
        left = await product.switch_status()
    return Finding(not left["live_calls"], table(data), data, figures(data))
