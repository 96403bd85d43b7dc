"""Calls through a queue of the product and through ``app_queue`` of a bare Asterisk: how many are served in a second, and
how long a free agent waits for the next call.

More callers wait than there are agents, so each agent gets the next call as soon as it is free. An agent takes one call at a
time, answers at once and hangs up after a fifth of a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from trunkline.bench.load import CARRIER, PHONES, Side
from trunkline.bench.plain import PlainAsterisk
from trunkline.bench.product import LINE_PASSWORD, LINES, NUMBERS, Product, company
from trunkline.bench.setting import Say, Setting
from trunkline.bench.statistics import Spread, spread
from trunkline.runtime import secrets
from trunkline.testing.sipp import Sipp

CALLS = 400
QUICK_CALLS = 120
RATE = 80.0
"""Callers a second: more than the agents can serve."""
ROUNDS = 2
_SCENARIOS = Path(__file__).with_name("scenarios")
_QUEUE = "bench"
_LONGEST_RUN = 120.0


class QueueAsterisk(PlainAsterisk):
    """The bare peer: the same Asterisk with ``Queue()`` in the dialplan and nothing else."""

    def _files(self) -> dict[str, str]:
        files = super()._files()
        members = "".join(f"member => PJSIP/{line}\n" for line in LINES)
        files["modules.conf"] += "load = app_queue.so\n"
        files["queues.conf"] = (
            f"[general]\npersistentmembers = no\n\n[{_QUEUE}]\nstrategy = leastrecent\ntimeout = 30\nretry = 0\n"
            f"ringinuse = no\nwrapuptime = 0\n{members}"
        )
        files["extensions.conf"] = "[from-carrier]\n" + "".join(
            f"exten => {number},1,Answer()\nsame => n,Queue({_QUEUE})\n" for number in self._numbers
        )
        endpoint = (
            "type = endpoint\ndisallow = all\nallow = alaw\ndirect_media = no\ndevice_state_busy_at = 1\n"
        )
        files["pjsip.conf"] += "".join(
            f"\n[{line}]\n{endpoint}aors = {line}\n\n[{line}]\ntype = aor\ncontact = sip:{line}@{self._phone}\n"
            for line in LINES
        )
        return files


class QueueSide(Side):
    """One of the two: its callers, and the phone that stands for all agents."""

    async def answer(self) -> None:
        self._phone = self._run("agent", PHONES, self.phone_port, None, [])
        await self._phone.start()

    async def serve(self, pbx: int, calls: int) -> tuple[float, Spread, int]:
        """Send the callers; calls served in a second, milliseconds from the end of an agent's call to the next one,
        and how many calls failed."""
        assert self._phone is not None
        file = self._csv("calls", self._callers(calls))
        arguments: Sequence[str | int | Path] = [
            "-inf", file, "-m", calls, "-r", f"{RATE:.0f}", "-l", 100_000, "-timer_resol", 2,
        ]  # fmt: skip
        known = len(_lines(self._phone.log))
        run: Sipp = self._run("queue_caller", CARRIER, self.caller_port, pbx, arguments)
        outcome = await run.run(_LONGEST_RUN)
        lines = _lines(self._phone.log)[known:]
        ends = [at for at, what, _ in lines if what == "ended"]
        starts = [at for at, what, _ in lines if what == "called"]
        seconds = max(ends) - min(starts) if ends and starts else 0.0
        return (len(ends) / seconds if seconds else 0.0), spread(_idle(lines)), outcome.failed


def _lines(log: Path) -> list[tuple[float, str, str]]:
    """Unix seconds, ``called`` or ``ended``, and the agent, of each line that is complete."""
    found: list[tuple[float, str, str]] = []
    for line in log.read_text().splitlines() if log.exists() else ():
        parts = line.split()
        if len(parts) == 4:
            found.append((float(parts[0]) + float(parts[1]) / 1e6, parts[2], parts[3]))
    return found


def _idle(lines: Sequence[tuple[float, str, str]]) -> list[float]:
    """Milliseconds between the end of each agent's call and its next one."""
    free: dict[str, float] = {}
    found: list[float] = []
    for at, what, agent in sorted(lines):
        if what == "ended":
            free[agent] = at
        elif agent in free:
            found.append((at - free.pop(agent)) * 1000)
    return found


async def measure(setting: Setting) -> dict[str, Any]:
    """Both sides in turn, in the same run."""
    folder, calls = setting.folder, QUICK_CALLS if setting.quick else CALLS
    async with AsyncExitStack() as stack:
        plain = QueueSide("app_queue", setting.phones, folder, NUMBERS)
        ours = QueueSide("trunkline", setting.phones, folder, NUMBERS)
        phone = f"{PHONES}:{plain.phone_port}"
        asterisk = await stack.enter_async_context(
            QueueAsterisk(setting.install, folder / "asterisk", NUMBERS, phone, CARRIER)
        )
        product = await stack.enter_async_context(Product(folder, (CARRIER, ours.caller_port)))
        await ours.register(product.sip_port, LINES, LINE_PASSWORD)
        for side in (plain, ours):
            stack.push_async_callback(side.stop)
            await side.answer()
        await product.wait_registered()
        await _queue(product, folder, ours.caller_port)
        pbx = {plain: asterisk.sip_port, ours: product.sip_port}
        found: dict[str, list[tuple[float, Spread, int]]] = {plain.name: [], ours.name: []}
        for side in (plain, ours):
            await side.serve(pbx[side], 20)
        for _ in range(1 if setting.quick else ROUNDS):
            for side in (plain, ours):
                found[side.name].append(await side.serve(pbx[side], calls))
                await product.settle()
                _show(setting.say, side.name, found[side.name][-1])
    return {name: _summary(rounds) for name, rounds in found.items()}


def _summary(rounds: Sequence[tuple[float, Spread, int]]) -> dict[str, Any]:
    best = max(rounds, key=lambda one: one[0])
    return {
        "calls_per_second": round(best[0], 1),
        "dispatch_ms": asdict(best[1]),
        "failed": sum(failed for _, _, failed in rounds),
        "rounds": [round(rate, 1) for rate, _, _ in rounds],
    }


def _show(say: Say, name: str, found: tuple[float, Spread, int]) -> None:
    rate, delay, failed = found
    say(
        f"  {name:<9} {rate:5.1f} calls/s served by {len(LINES)} agents, free to ringing {delay.p50} / {delay.p99} ms"
        f" (p50 / p99), {failed} failed"
    )


async def _queue(product: Product, folder: Path, caller_port: int) -> None:
    """All numbers lead to one queue of all employees, who are checked in."""
    more: Mapping[str, Any] = company(CARRIER, caller_port, product.receiver.url)
    agents = [{"employee": name} for name in more["employees"]]
    file = folder / "queue.yaml"
    file.write_text(
        yaml.safe_dump(
            {
                "queues": {_QUEUE: {"name": "Bench", "strategy": "longest-idle-agent", "agents": agents}},
                "scenarios": {
                    name: {**one, "operations": {"wait": {"kind": "queue", "queue": _QUEUE}}}
                    for name, one in more["scenarios"].items()
                },
            }
        )
    )
    await product.installation.apply(product.account, file)
    listed = await product.installation.data_api(product.account, "get.employees", fields=["id"])
    settings = product.installation.settings
    headers = {"Authorization": f"Bearer {secrets.load(settings).control_token}"}
    url = f"http://127.0.0.1:{settings.switch.control_port}/command"
    async with aiohttp.ClientSession(headers=headers) as http:
        for employee in listed["data"]:
            body = {
                "name": "set_agent_status",
                "account_id": product.account.account_id,
                "params": {"employee_id": employee["id"], "status": "Available"},
            }
            async with http.post(url, json=body) as response:
                response.raise_for_status()
    await asyncio.sleep(1.0)
