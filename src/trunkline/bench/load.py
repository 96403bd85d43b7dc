"""Load by SIPp: a carrier that calls, phones that answer; what rate goes without loss, how long an INVITE takes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trunkline.bench.statistics import Spread, spread
from trunkline.runtime.ports import free_ports
from trunkline.testing.foreign import ForeignPhones
from trunkline.testing.sipp import Sipp, SippOutcome

CARRIER = "127.0.0.2"
PHONES = "127.0.0.3"
_SCENARIOS = Path(__file__).with_name("scenarios")
_CALLER_BASE = 971_500_000_000
_CALLERS = 20_000
_ENDING_SECONDS = 45.0
"""SIPp gives a call up after some 32 s of retransmissions."""


@dataclass(frozen=True)
class Step:
    """One run at one rate."""

    rate: float
    seconds: float
    calls: int
    failed: int
    retransmitted_invites: int

    @property
    def clean(self) -> bool:
        """No call failed and no INVITE was sent twice."""
        return not self.failed and not self.retransmitted_invites


class Side:
    """One of the two that are compared: where it takes the carrier's calls, and the phone that answers them.

    :param name: for the table.
    :param numbers: what the carrier dials, in turn.
    """

    def __init__(self, name: str, phones: ForeignPhones, folder: Path, numbers: Sequence[str]) -> None:
        self.name = name
        self.caller_port, self.phone_port = free_ports(2)
        self._sipp = phones.sipp
        self._folder = folder / name
        self._numbers = numbers
        self._phone: Sipp | None = None
        self._from = itertools.count()
        self.attempted = 0
        self.answered = 0

    async def register(self, pbx: int, logins: Sequence[str], password: str) -> None:
        """Register the phone for each login, with digest."""
        words = [f"[authentication username={login} password={password}]" for login in logins]
        file = self._csv("lines", list(zip(logins, words, strict=True)))
        run = self._run("register", PHONES, self.phone_port, pbx, ["-inf", file, "-m", len(logins), "-r", 20])
        outcome = await run.run(20)
        if outcome.failed or outcome.successful != len(logins):
            raise RuntimeError(f"SIPp cannot register: {outcome.errors}")

    async def answer(self) -> None:
        """Start the phone; it answers until :meth:`stop`."""
        self._phone = self._run("callee", PHONES, self.phone_port, None, [])
        await self._phone.start()

    async def stop(self) -> None:
        if self._phone is not None:
            await self._phone.stop()

    async def call(self, pbx: int, rate: float, seconds: float) -> Step:
        """Call at this rate for so long."""
        step, _ = await self._call(pbx, rate, seconds)
        return step

    async def delays(self, pbx: int, rate: float, seconds: float) -> Spread:
        """From the carrier's INVITE to the phone's INVITE, in milliseconds, at this rate."""
        _, log = await self._call(pbx, rate, seconds)
        assert self._phone is not None
        came = _moments(self._phone.log)
        left = _moments(log)
        return spread([(came[caller] - at) * 1000 for caller, at in left.items() if caller in came])

    async def _call(self, pbx: int, rate: float, seconds: float) -> tuple[Step, Path]:
        calls = round(rate * seconds)
        file = self._csv("calls", self._callers(calls))
        run = self._run(
            "caller", CARRIER, self.caller_port, pbx,
            ["-inf", file, "-m", calls, "-r", f"{rate:.0f}", "-l", 100_000, "-timer_resol", 2],
        )  # fmt: skip
        outcome: SippOutcome = await run.run(seconds + _ENDING_SECONDS)
        self.attempted += calls
        self.answered += outcome.successful
        step = Step(rate, seconds, calls, outcome.failed, outcome.retransmitted.get("INVITE", 0))
        return step, run.log

    def _callers(self, calls: int) -> list[tuple[str, str]]:
        """Caller and called number of each call; a caller's number comes again only after many calls."""
        return [
            (str(_CALLER_BASE + n % _CALLERS), self._numbers[n % len(self._numbers)])
            for n in itertools.islice(self._from, calls)
        ]

    def _csv(self, name: str, rows: Sequence[tuple[str, str]]) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / f"{name}.csv"
        file.write_text("SEQUENTIAL\n" + "".join(f"{one};{other}\n" for one, other in rows))
        return file

    def _run(
        self, scenario: str, address: str, port: int, pbx: int | None, more: Sequence[str | int | Path]
    ) -> Sipp:
        arguments: list[str | int] = ["-i", address, "-p", port, *(str(one) for one in more)]
        if pbx is not None:
            arguments.insert(0, f"127.0.0.1:{pbx}")
        return Sipp(self._sipp, self._folder, _SCENARIOS / f"{scenario}.xml", arguments)


def _moments(log: Path) -> Mapping[str, float]:
    """Caller's number to Unix seconds, from the lines ``seconds microseconds number``; the last one of a number."""
    found: dict[str, float] = {}
    if log.exists():
        for line in log.read_text().splitlines():
            seconds, microseconds, number = line.split()
            found[number] = float(seconds) + float(microseconds) / 1_000_000
    return found


class Search:
    """Looks for the highest clean rate: up in wide steps while clean, then halves the gap. Pure.

    :param first: calls per second to begin with.
    :param precision: ends when the gap is below this share of the rate.
    """

    def __init__(self, first: float, precision: float) -> None:
        self.best = 0.0
        self.next = first
        self._worst: float | None = None
        self._precision = precision

    @property
    def over(self) -> bool:
        return self._worst is not None and self._worst - self.best <= max(1.0, self._precision * self._worst)

    def record(self, rate: float, clean: bool) -> None:
        """The outcome of a step at :attr:`next`."""
        if clean:
            self.best = max(self.best, rate)
        else:
            self._worst = rate if self._worst is None else min(self._worst, rate)
        if self._worst is None:
            self.next = max(rate + 1, round(rate * 1.3))
        elif self.best == 0.0:
            self.next = max(1, round(self._worst / 1.5))
        else:
            self.next = round((self.best + self._worst) / 2)
