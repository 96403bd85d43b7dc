"""The first measurement: the same inbound-to-employee call through plain ``Dial()`` and through the product."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Self

from trunkline.bench.load import CARRIER, PHONES, Search, Side, Step
from trunkline.bench.plain import PlainAsterisk
from trunkline.bench.processes import cpu_seconds
from trunkline.bench.product import LINE_PASSWORD, LINES, NUMBERS, Product
from trunkline.bench.setting import Figure, Finding, Say, Setting, rows
from trunkline.bench.statistics import Spread, pooled
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.testing.foreign import ForeignPhones

METHOD = (
    "Plain Dial() in an Asterisk of its own and a whole Trunkline installation (recording, reports, webhooks on), the "
    "same program, the same machine, one run, measured in turn. SIPp is carrier and phone; calls of 0.2 s without "
    "media. Loss-free: no call failed and no INVITE was sent twice. Delay: from the carrier's INVITE to the phone's, "
    "on one clock. Ratios are plain to Trunkline for delays and Trunkline to plain for rates: 1 is equal, less is "
    "slower."
)

AIM_RATE_RATIO = 0.6
"""Of plain ``Dial()``: loss-free calls per second (decisions 0015 and 0016)."""

_RIGHT_END = "caller_disconnects"
"""Of a call that was answered: the carrier's side hangs up."""
_REST_SECONDS = 1.0
_IDLE_SECONDS = 5.0
_COST_RATE = 20.0
_FILES_SETTLE_SECONDS = 75.0
"""Idle connections between switch and engine are closed within a minute."""


@dataclass(frozen=True)
class Plan:
    """How thorough a run is.

    :ivar step_seconds: of each step of the search.
    :ivar searches: for the highest rate, per side; the median counts.
    :ivar precision: of the rate found, as a share.
    :ivar delay_rates: calls per second at which the delay is measured.
    """

    step_seconds: float
    searches: int
    precision: float
    delay_rounds: int
    delay_seconds: float
    delay_rates: tuple[float, ...]
    first_plain: float = 150
    first_product: float = 40


QUICK = Plan(4.0, 1, 0.15, 2, 5.0, (10.0,))
FULL = Plan(8.0, 3, 0.05, 3, 10.0, (10.0, 30.0))


class BothSides:
    """Both sides, up and warm, as an async context manager. Only one is under load at a time."""

    def __init__(self, install: AsteriskInstall, phones: ForeignPhones, folder: Path) -> None:
        self.plain = Side("plain", phones, folder, NUMBERS)
        self.ours = Side("trunkline", phones, folder, NUMBERS)
        self.asterisk = PlainAsterisk(
            install, folder / "asterisk", NUMBERS, f"{PHONES}:{self.plain.phone_port}", CARRIER
        )
        self.product = Product(folder, (CARRIER, self.ours.caller_port))
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            await self._set()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _set(self) -> None:
        await self._stack.enter_async_context(self.asterisk)
        await self._stack.enter_async_context(self.product)
        self._stack.push_async_callback(self.plain.stop)
        self._stack.push_async_callback(self.ours.stop)
        await self.plain.answer()
        # The directory reaches the engine a moment after it was applied.
        await asyncio.sleep(_REST_SECONDS)
        await self.ours.register(self.product.sip_port, LINES, LINE_PASSWORD)
        await self.ours.answer()
        await self.product.wait_registered()
        for side in (self.plain, self.ours):
            await self.call(side, 10, 2)

    def pbx(self, side: Side) -> int:
        """Port where this side takes SIP."""
        return self.asterisk.sip_port if side is self.plain else self.product.sip_port

    async def call(self, side: Side, rate: float, seconds: float) -> Step:
        """A step of load; nothing of it is under way any more when this returns."""
        step = await side.call(self.pbx(side), rate, seconds)
        await self.rest()
        return step

    async def delays(self, side: Side, rate: float, seconds: float) -> Spread:
        """See :meth:`Side.delays`."""
        found = await side.delays(self.pbx(side), rate, seconds)
        await self.rest()
        return found

    async def rest(self) -> None:
        """Let what the last step left to do be done, so that it does not burden the next."""
        await self.product.settle()
        await asyncio.sleep(_REST_SECONDS)

    def cpu(self) -> dict[str, float]:
        """CPU seconds used so far: ``plain``, and each process of the product."""
        return {**cpu_seconds({"plain": self.asterisk.pid}), **self.product.cpu()}


async def run(setting: Setting) -> Finding:
    """Compare both sides. Not ok when a call is missing in the report or ended there otherwise than it did, or
    when anything was left."""
    setting.say("starting both sides")
    async with BothSides(setting.install, setting.phones, setting.folder) as sides:
        data = await measure(sides, QUICK if setting.quick else FULL, setting.say)
    sessions = data["sessions"]
    ok = data["left_after_load"]["clean"] and sessions["all_reported"] and sessions["right_ends"]
    return Finding(ok, table(data), data, figures(data))


async def measure(sides: BothSides, plan: Plan, say: Say) -> dict[str, Any]:
    """Everything about calls; the report as data."""
    before = await sides.product.left()
    cost = await _cost(sides, plan)
    say(f"CPU per call: plain {cost['plain']:.1f} ms, Trunkline {cost['total']:.1f} ms {cost['by_process']}")
    delays = {f"{rate:.0f}": await _delays(sides, plan, rate, say) for rate in plan.delay_rates}
    rates = await _rates(sides, plan, say)
    published_after = await _wait_published(sides)
    left = await _left(sides, before)
    ends = await sides.product.ends()
    return {
        "calls_per_second": rates,
        "invite_delay_ms": delays,
        "cpu_ms_per_call": cost,
        "left_after_load": {"before": before, **left},
        "sessions": {
            "attempted": sides.ours.attempted,
            "answered": sides.ours.answered,
            "in_report": sum(ends.values()),
            "by_finish_reason": ends,
            "all_reported": sum(ends.values()) >= sides.ours.attempted,
            "right_ends": right_ends(ends, sides.ours.attempted, sides.ours.answered),
            "webhooks_received": len(sides.product.receiver.received),
            "all_published_after_seconds": published_after,
        },
    }


async def _cost(sides: BothSides, plan: Plan) -> dict[str, Any]:
    """Milliseconds of CPU per call, what is done after the call (recording, deliveries) included, less what the
    processes use without calls."""
    idle = await _used(sides, asyncio.sleep(_IDLE_SECONDS))
    ours = await _used(sides, _ours_to_the_end(sides, plan))
    plain = await _used(sides, sides.call(sides.plain, _COST_RATE, plan.delay_seconds))
    calls = _COST_RATE * plan.delay_seconds

    def per_call(used: _Used, name: str) -> float:
        own = used.cpu[name] - idle.cpu[name] / idle.seconds * used.seconds
        return round(max(0.0, own) * 1000 / calls, 1)

    by_process = {name: per_call(ours, name) for name in ours.cpu if name != "plain"}
    return {
        "plain": per_call(plain, "plain"),
        "total": round(sum(by_process.values()), 1),
        "by_process": by_process,
        "idle_cpu_percent": {name: round(idle.cpu[name] / idle.seconds * 100, 1) for name in idle.cpu},
    }


@dataclass(frozen=True)
class _Used:
    """CPU seconds by process during so many seconds."""

    cpu: Mapping[str, float]
    seconds: float


async def _used(sides: BothSides, work: Awaitable[object]) -> _Used:
    loop = asyncio.get_running_loop()
    began, before = loop.time(), sides.cpu()
    await work
    after = sides.cpu()
    return _Used({name: after[name] - before[name] for name in after}, loop.time() - began)


async def _ours_to_the_end(sides: BothSides, plan: Plan) -> None:
    await sides.call(sides.ours, _COST_RATE, plan.delay_seconds)
    await _wait_published(sides)


async def _delays(sides: BothSides, plan: Plan, rate: float, say: Say) -> dict[str, Any]:
    plain: list[Spread] = []
    ours: list[Spread] = []
    for _ in range(plan.delay_rounds):
        plain.append(await sides.delays(sides.plain, rate, plan.delay_seconds))
        ours.append(await sides.delays(sides.ours, rate, plan.delay_seconds))
    one, other = pooled(plain), pooled(ours)
    say(
        f"INVITE in to INVITE out at {rate:.0f} calls/s: plain {one.p50} / {one.p99} ms, "
        f"Trunkline {other.p50} / {other.p99} ms (p50 / p99)"
    )
    return {
        "plain": asdict(one),
        "trunkline": asdict(other),
        "ratio_p50": round(one.p50 / other.p50, 3),
        "ratio_p99": round(one.p99 / other.p99, 3),
        "rounds": {"plain": [asdict(s) for s in plain], "trunkline": [asdict(s) for s in ours]},
    }


async def _rates(sides: BothSides, plan: Plan, say: Say) -> dict[str, Any]:
    """Highest clean rates: the searches of both sides go step by step in turn."""
    steps: dict[str, list[dict[str, Any]]] = {"plain": [], "trunkline": []}
    found: dict[str, list[float]] = {"plain": [], "trunkline": []}
    for _ in range(plan.searches):
        searches = {
            sides.plain: Search(plan.first_plain, plan.precision),
            sides.ours: Search(plan.first_product, plan.precision),
        }
        while not all(search.over for search in searches.values()):
            for side, search in searches.items():
                if search.over:
                    continue
                step = await sides.call(side, search.next, plan.step_seconds)
                search.record(step.rate, step.clean)
                steps[side.name].append({**asdict(step), "clean": step.clean})
                say(
                    f"  {side.name:<9} {step.rate:4.0f} calls/s: {step.failed} failed, "
                    f"{step.retransmitted_invites} INVITEs again of {step.calls}"
                )
        for side, search in searches.items():
            found[side.name].append(search.best)
    plain, ours = median(found["plain"]), median(found["trunkline"])
    pairs = zip(found["trunkline"], found["plain"], strict=True)
    ratio = median(one / other for one, other in pairs if other)
    say(f"loss-free: plain {plain:.0f} calls/s, Trunkline {ours:.0f} calls/s, ratio {ratio:.2f}")
    return {"plain": plain, "trunkline": ours, "ratio": round(ratio, 3), "searches": found, "steps": steps}


async def _wait_published(sides: BothSides, timeout: float = 300.0) -> float | None:
    """Seconds until the receiver got no new request for three seconds; None after the time limit."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    received = sides.product.receiver.received
    count, since = len(received), loop.time()
    while loop.time() - began < timeout:
        await asyncio.sleep(0.25)
        if len(received) != count:
            count, since = len(received), loop.time()
        elif loop.time() - since > 3.0:
            return round(since - began, 1)
    return None


async def _left(sides: BothSides, before: Mapping[str, int]) -> dict[str, Any]:
    """What is there now, and what of it is more than before, once idle connections had time to close."""
    deadline = asyncio.get_running_loop().time() + _FILES_SETTLE_SECONDS
    while True:
        after = await sides.product.left()
        more = {name: after[name] - before[name] for name in after if after[name] > before[name]}
        if not more or asyncio.get_running_loop().time() > deadline:
            return {"after": after, "more": more, "clean": not more}
        await asyncio.sleep(1.0)


def right_ends(ends: Mapping[str, int], attempted: int, answered: int) -> bool:
    """Whether the report has each answered call as ended by its caller, and no others but those that failed
    otherwise. Pure."""
    right = ends.get(_RIGHT_END, 0)
    return right >= answered and sum(ends.values()) - right <= attempted - answered


def figures(data: Mapping[str, Any]) -> dict[str, Figure]:
    """The figures that have an aim."""
    return {"loss_free_rate_ratio": Figure(data["calls_per_second"]["ratio"], AIM_RATE_RATIO, is_least=True)}


def table(data: Mapping[str, Any]) -> str:
    """The figures for a terminal."""
    rates, cost = data["calls_per_second"], data["cpu_ms_per_call"]
    lines = [
        ("loss-free calls/s", f"{rates['plain']:.0f}", f"{rates['trunkline']:.0f}", f"{rates['ratio']:.2f}")
    ]
    for rate, delay in data["invite_delay_ms"].items():
        lines += [
            (
                f"INVITE to INVITE, {figure}, {rate} calls/s, ms",
                f"{delay['plain'][figure]:.1f}",
                f"{delay['trunkline'][figure]:.1f}",
                f"{delay[f'ratio_{figure}']:.2f}",
            )
            for figure in ("p50", "p99")
        ]
    ratio = cost["plain"] / cost["total"] if cost["total"] else 0.0
    lines.append(("CPU per call, ms", f"{cost['plain']:.1f}", f"{cost['total']:.1f}", f"{ratio:.2f}"))
    sessions, left = data["sessions"], data["left_after_load"]
    ends = ", ".join(f"{count} {reason}" for reason, count in sessions["by_finish_reason"].items())
    return "\n".join(
        (
            rows(("", "plain", "Trunkline", "ratio"), lines),
            f"calls made {sessions['attempted']}, answered {sessions['answered']}, in the report "
            f"{sessions['in_report']}: {ends}{'' if sessions['right_ends'] else ' (NOT the ends they had)'}",
            "nothing is left after the load" if left["clean"] else f"LEFT after the load: {left['more']}",
        )
    )
