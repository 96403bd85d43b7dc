"""Calls that go on while processes are killed, and the account of what became of each: by public interfaces only.

SIPp is the carrier and the phones. Every call has a caller's number of its own, so that SIPp's log, the reports, the
webhooks, the recordings and the charges can be compared call by call.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import itertools
import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from tests.drills.addresses import own_addresses
from trunkline.bench.product import EMPLOYEES, LINE_PASSWORD, LINES, NUMBERS, ZONE, Change, Product
from trunkline.demo.installation import Installation
from trunkline.runtime import status
from trunkline.runtime.ports import free_ports
from trunkline.testing.foreign import ForeignPhones
from trunkline.testing.sipp import Sipp

HERE = Path(__file__).parent
REGISTER = Path(__file__).parents[2] / "src/trunkline/bench/scenarios/register.xml"
FIRST_CALLER = 971_500_000_000
MOST_CALLS = 1_000_000
"""Numbers of the range for fiction that callers take in turn."""
STALLED_SECONDS = 45.0
"""Something is left to do, and for so long nothing moved: it never will."""
READY_SECONDS = 300.0
"""After which a killed process that is not ready never will be."""
ANSWER_MS = 60_000
"""How long either side waits for the other: a killed Asterisk leaves calls without an answer."""
MEDIA_PORT = 61_000
"""SIPp opens this port, or ends; calls have the ports above it in turn. The kernel gives none of them to clients."""
_NO_WATCHDOG = ("-watchdog_interval", 0)
"""SIPp would end itself after some seconds without a processor, and with it the drill."""
_QUIET_SECONDS = 4.0
_PAGE = 5000


@dataclass
class CallCounts:
    """What SIPp's carrier logged, by caller's number."""

    dialled: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)
    completed: set[str] = field(default_factory=set)

    def read(self, log: Path) -> None:
        """Add the steps in a log of ``caller.xml``; a line that is being written is left out."""
        if log.exists():
            for line in log.read_text().splitlines():
                step, _, number = line.strip().partition(" ")
                if step in ("dialled", "answered", "completed") and number:
                    getattr(self, step).add(number)


NO_FAULTS = ("cut", "repeated")
"""What an :class:`Account` counts besides faults."""


@dataclass(frozen=True)
class Account:
    """What became of the calls, each entry a list of what is wrong; empty lists are right.

    :ivar lost: completed calls without a finished row of the right reason in the report.
    :ivar cut: no fault: completed calls that were up when Asterisk was killed, and whose end or sound went with it. Asterisk
        confirms a BYE before it reports the end, and writes sound by blocks. Their rows are there, once, with an end. Also
        calls without a recording that were up while there was no space for sound.
    :ivar repeated: no fault: calls that were up when Asterisk was killed and whose caller had no response yet. It sends its
        INVITE again, to the next Asterisk: for that it is a new call, with a row of its own.
    :ivar duplicated: numbers with more than one row, events or recordings that came twice under different ids.
    :ivar stuck: rows without an end, recordings that are not ready, live calls, channels.
    :ivar unpublished: finished calls without their webhooks.
    :ivar uncharged: legs without exactly one charge.
    """

    lost: list[str]
    duplicated: list[str]
    stuck: list[str]
    unpublished: list[str]
    unrecorded: list[str]
    uncharged: list[str]
    cut: list[str]
    repeated: list[str]

    @property
    def faults(self) -> dict[str, list[str]]:
        """The first ones of each kind."""
        return {name: found[:12] for name, found in vars(self).items() if found and name not in NO_FAULTS}

    @property
    def figures(self) -> dict[str, int]:
        """How many of each kind."""
        return {name: len(found) for name, found in vars(self).items()}


class Rig:
    """The product with its company, a carrier that calls and phones that answer, as an async context manager."""

    def __init__(self, phones: ForeignPhones, folder: Path, settings: Change | None = None) -> None:
        """``settings``: what an installation of its own has otherwise."""
        self.kills: Counter[str] = Counter()
        self.engine_killed_at: list[float] = []
        """Unix seconds."""
        self.without_space: list[tuple[float, float]] = []
        """From when to when (Unix seconds) there was no space for sound."""
        self.times_to_ready: list[float] = []
        """Seconds from each kill (the first of those that came before the process was ready again) until it was ready."""
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._stack = AsyncExitStack()
        self._sipp = phones.sipp
        self._folder = folder / "sipp"
        self._carrier_address, self._phones_address = self._stack.enter_context(own_addresses())
        self._caller_port, self._phone_port = free_ports(2)
        self.product = Product(folder, (self._carrier_address, self._caller_port), settings)
        self._logs: list[Path] = []
        self._round_began: datetime | None = None
        self._numbers = itertools.count()
        self._carrier: Sipp | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._set_up()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for watch in self._watches.values():
            watch.cancel()
        await asyncio.gather(*self._watches.values(), return_exceptions=True)
        await self._stack.aclose()

    @property
    def installation(self) -> Installation:
        return self.product.installation

    async def _set_up(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "tone.alaw").write_bytes(tone())
        await self._stack.enter_async_context(self.product)
        words = [f"[authentication username={login} password={LINE_PASSWORD}]" for login in LINES]
        lines = self._csv("lines", zip(LINES, words, strict=True))
        await self._lines_applied()
        registering = self._run(
            REGISTER, self._phones_address, self._phone_port, ["-inf", lines, "-m", EMPLOYEES, "-r", 20]
        )
        outcome = await registering.run(30)
        assert outcome.successful == EMPLOYEES, outcome.errors
        phone = self._run(
            HERE / "callee.xml",
            self._phones_address,
            self._phone_port,
            ["-recv_timeout", ANSWER_MS],
            remote=False,
        )
        await phone.start()
        self._stack.push_async_callback(phone.stop)
        await self.product.wait_registered()

    async def _lines_applied(self, timeout: float = 60.0) -> None:
        """Wait until Asterisk has the lines that were applied."""
        async with asyncio.timeout(timeout):
            while len(await self.product.engine("endpoints/PJSIP")) < EMPLOYEES:
                await asyncio.sleep(0.2)

    # --- calls

    async def start_calls(self, rate: float, most: int = 50_000) -> None:
        """Let the carrier call at this rate until :meth:`stop_calls`."""
        # Reports have whole seconds. The calls before have ended: each round begins after settle().
        self._round_began = datetime.now(ZONE) - timedelta(seconds=1)
        first = next(self._numbers) * most
        assert first + most <= MOST_CALLS
        calls = self._csv(
            f"calls{first}",
            ((str(FIRST_CALLER + n), NUMBERS[n % len(NUMBERS)]) for n in range(first, first + most)),
        )
        arguments = [
            "-inf",
            calls,
            "-m",
            most,
            "-r",
            f"{rate:.0f}",
            "-l",
            5000,
            "-recv_timeout",
            ANSWER_MS,
        ]
        self._carrier = self._run(HERE / "caller.xml", self._carrier_address, self._caller_port, arguments)
        await self._carrier.start()
        self._stack.push_async_callback(self._carrier.stop)
        self._logs.append(self._carrier.log)

    async def stop_calls(self, timeout: float = 90.0) -> None:
        """Start no more calls and wait until those under way are over."""
        assert self._carrier is not None
        self._carrier.finish()
        await self._carrier.wait(timeout)
        self._carrier = None

    async def more_completed(self, count: int, timeout: float = 180.0) -> None:
        """Wait until the carrier has completed so many calls more."""
        enough = len(self.call_counts.completed) + count
        async with asyncio.timeout(timeout):
            while len(self.call_counts.completed) < enough:
                await asyncio.sleep(0.2)

    @property
    def call_counts(self) -> CallCounts:
        return self._counts_of(self._logs)

    def _counts_of(self, logs: Iterable[Path]) -> CallCounts:
        found = CallCounts()
        for log in logs:
            found.read(log)
        return found

    @property
    def figures(self) -> str:
        """How many kills and calls there were so far."""
        found = self.call_counts
        return f"{dict(self.kills)}, {len(found.dialled)} calls, {len(found.completed)} completed"

    # --- kills

    async def kill(self, name: str) -> None:
        """SIGKILL one process, if it runs at this moment."""
        with contextlib.suppress(ProcessLookupError, TypeError, KeyError):
            killed = self.installation.kill(name)
            self.kills[name] += 1
            if name == "asterisk":
                self.engine_killed_at.append(time.time())
            watch = self._watches.get(name)
            if watch is None or watch.done():
                self._watches[name] = asyncio.create_task(self._watch(name, killed))

    async def _watch(self, name: str, killed: int) -> None:
        """Measure how long a process is away."""
        began = time.monotonic()
        while True:
            await asyncio.sleep(0.1)
            found = self.installation.process(name)
            if found["state"] == "ready" and found["pid"] not in (None, killed):
                self.times_to_ready.append(time.monotonic() - began)
                return

    async def ready(self, name: str, timeout: float = READY_SECONDS) -> None:
        """Wait until a process is ready."""
        async with asyncio.timeout(timeout):
            while self.installation.process(name)["state"] != "ready":
                await asyncio.sleep(0.05)

    # --- the account

    async def settle(self, stalled: float = STALLED_SECONDS) -> None:
        """Wait until nothing is left to do, or nothing moved for so many seconds."""
        loop = asyncio.get_running_loop()
        names = [one["name"] for one in status.processes(self.installation.settings)]
        for name in names:
            await self.ready(name)
        seen, since, pause = (-1, -1), loop.time(), 1.0
        while True:
            await asyncio.sleep(pause)
            began = loop.time()
            left = await self._left_to_do()
            # The report of many calls is work; the product needs the machine for what is left to do.
            pause = max(1.0, 3 * (loop.time() - began))
            now = (left, len(self.product.receiver.received))
            if now != seen:
                seen, since = now, loop.time()
            quiet = loop.time() - since
            if quiet > max(stalled if left else _QUIET_SECONDS, 3 * pause):
                return

    async def _left_to_do(self) -> int:
        """Calls that live, events that are not written, and calls of the report without their end or recording."""
        status = await self.product.switch_status()
        fields = ["id", "talk_duration", "call_records", "finish_time"]
        rows = await self.report("get.calls_report", fields, self._round_began)
        waiting = sum(
            not row["finish_time"] or bool(row["talk_duration"] and not row["call_records"]) for row in rows
        )
        return waiting + sum(
            int(status[name]) for name in ("live_calls", "unwritten_events", "busy_sessions")
        )

    async def report(
        self, method: str, fields: Iterable[str], since: datetime | None = None
    ) -> list[Mapping[str, Any]]:
        """All rows of a report since a time; None = over the last hours."""
        now = datetime.now(ZONE)
        since = now - timedelta(hours=6) if since is None else since
        rows: list[Mapping[str, Any]] = []
        while True:
            result = await self.installation.data_api(
                self.product.account,
                method,
                date_from=f"{since:%Y-%m-%d %H:%M:%S}",
                date_till=f"{now + timedelta(hours=1):%Y-%m-%d %H:%M:%S}",
                fields=list(fields),
                limit=_PAGE,
                offset=len(rows),
            )
            rows += result["data"]
            if len(result["data"]) < _PAGE:
                return rows

    async def count(self, *, engine_killed: bool = False, of_this_round: bool = False) -> Account:
        """Compare what SIPp saw with what the product says.

        :param engine_killed: whether talks were cut by a killed Asterisk: those end otherwise.
        :param of_this_round: only the calls since the last :meth:`start_calls`.
        """
        since = self._round_began if of_this_round else None
        call_counts = self._counts_of(self._logs[-1:] if of_this_round else self._logs)
        fields = [
            "id",
            "contact_phone_number",
            "start_time",
            "finish_reason",
            "finish_time",
            "talk_duration",
            "call_records",
        ]
        rows = await self.report("get.calls_report", fields, since)
        by_number: dict[str, list[Mapping[str, Any]]] = {}
        for row in rows:
            by_number.setdefault(row["contact_phone_number"], []).append(row)
        by_number, repeated = self._last_of_repeated(by_number)
        lost, cut = [], []
        for number in sorted(call_counts.completed):
            found = by_number.get(number, [])
            if len(found) == 1 and self._was_up_at_a_kill_of_asterisk(found[0]):
                if found[0]["finish_reason"] != "caller_disconnects":
                    cut.append(f"{found[0]['id']}: {found[0]['finish_reason']}")
                continue
            if not any(row["finish_time"] and row["finish_reason"] == "caller_disconnects" for row in found):
                lost.append(
                    f"{number}: {[(row['id'], row['finish_reason'], row['finish_time']) for row in found]}"
                )
        if not engine_killed:
            lost += [
                f"{number}: answered, no row" for number in call_counts.answered if number not in by_number
            ]
        duplicated = [f"{number}: {len(found)} rows" for number, found in by_number.items() if len(found) > 1]
        duplicated += [
            f"{number}: nobody called" for number in by_number if number not in call_counts.dialled
        ]
        stuck = [f"{row['id']}: no end" for row in rows if not row["finish_time"]]
        left = await self.product.left()
        stuck += [
            f"{left[name]} {name}"
            for name in ("channels", "bridges", "live_calls", "live_legs", "unwritten_events")
            if left[name]
        ]
        completed = {row["id"] for number in call_counts.completed for row in by_number.get(number, [])}
        unrecorded: list[str] = []
        for row in rows:
            if row["id"] in completed and row["talk_duration"] and len(row["call_records"] or ()) != 1:
                what = f"{row['id']}: {row['talk_duration']} s, records {row['call_records']}"
                is_cut = not row["call_records"] and (
                    self._was_up_at_a_kill_of_asterisk(row) or self._had_no_space(row)
                )
                (cut if is_cut else unrecorded).append(what)
        unpublished = self._webhooks({row["id"] for row in rows if row["finish_time"]}, completed, duplicated)
        return Account(
            lost, duplicated, stuck, unpublished, unrecorded, await self._charges(since), cut, repeated
        )

    def _last_of_repeated(
        self, by_number: Mapping[str, list[Mapping[str, Any]]]
    ) -> tuple[dict[str, list[Mapping[str, Any]]], list[str]]:
        """Of a number whose rows are separated by kills of Asterisk only the last row; and these numbers."""
        rows, repeated = {}, []
        for number, found in by_number.items():
            found.sort(key=lambda row: str(row["start_time"]))
            if len(found) > 1 and all(
                any(
                    _unix(one["start_time"]) <= at <= _unix(other["start_time"]) + 1.0
                    for at in self.engine_killed_at
                )
                for one, other in itertools.pairwise(found)
            ):
                repeated.append(f"{number}: {len(found)} rows")
                found = found[-1:]
            rows[number] = found
        return rows, repeated

    def _was_up_at_a_kill_of_asterisk(self, row: Mapping[str, Any]) -> bool:
        """Whether a finished call began before a kill and did not end before it."""
        return any(_was_up(row, at, at) for at in self.engine_killed_at)

    def _had_no_space(self, row: Mapping[str, Any]) -> bool:
        """Whether a finished call was up while there was no space for its sound."""
        return any(_was_up(row, *window) for window in self.without_space)

    def _webhooks(self, finished: set[int], completed: set[int], duplicated: list[str]) -> list[str]:
        """What webhooks are missing; adds to ``duplicated`` those that came under two delivery ids."""
        deliveries: dict[tuple[str, int], set[str]] = {}
        for request in self.product.receiver.accepted:
            body = request.json()
            key = (str(body["event"]), int(body["call"]))
            deliveries.setdefault(key, set()).add(request.headers["Idempotency-Key"])
        once = ("in_call_session", "call_session_finished", "call_record_completed")
        duplicated += [
            f"{call}: {event} under {len(ids)} ids"
            for (event, call), ids in deliveries.items()
            if event in once and len(ids) > 1
        ]
        missing = [
            f"{call}: no {event}"
            for call in finished
            for event in once[:2]
            if (event, call) not in deliveries
        ]
        return missing + [
            f"{call}: no {event}"
            for call in completed
            for event in ("call_connected", "talk_finished")
            if (event, call) not in deliveries
        ]

    async def _charges(self, since: datetime | None) -> list[str]:
        """Legs that have not exactly one charge."""
        legs = Counter(row["id"] for row in await self.report("get.call_legs_report", ["id"], since))
        charges = Counter(
            row["leg_id"] for row in await self.report("get.financial_call_legs_report", ["leg_id"], since)
        )
        wrong = [leg for leg in {*legs, *charges} if legs[leg] != 1 or charges[leg] != 1]
        return [f"leg {leg}: {legs[leg]} times in the report, {charges[leg]} charges" for leg in wrong]

    # --- SIPp

    def _csv(self, name: str, rows: Iterable[tuple[str, str]]) -> Path:
        file = self._folder / f"{name}.csv"
        file.write_text("SEQUENTIAL\n" + "".join(f"{one};{other}\n" for one, other in rows))
        return file

    def _run(
        self, scenario: Path, address: str, port: int, more: Iterable[object], *, remote: bool = True
    ) -> Sipp:
        arguments = ["-i", address, "-p", port, "-mp", MEDIA_PORT, *_NO_WATCHDOG, *more]
        if remote:
            arguments.insert(0, f"127.0.0.1:{self.product.sip_port}")
        return Sipp(self._sipp, self._folder, scenario, [str(one) for one in arguments])


def _was_up(row: Mapping[str, Any], first: float, last: float) -> bool:
    """Whether a finished call of the report was up in a period (Unix seconds); reports have whole seconds."""
    if not row["finish_time"]:
        return False
    return _unix(row["start_time"]) <= last and first <= _unix(row["finish_time"]) + 1.0


def _unix(time_of_report: str) -> float:
    return datetime.strptime(time_of_report, "%Y-%m-%d %H:%M:%S").replace(tzinfo=ZONE).timestamp()


def tone(seconds: float = 4.0, hertz: float = 440.0) -> bytes:
    """A tone as raw A-law at 8000 samples a second."""
    samples = array.array(
        "h", (round(8000 * math.sin(2 * math.pi * hertz * n / 8000)) for n in range(round(8000 * seconds)))
    )
    return bytes(_alaw(sample) for sample in samples)


def _alaw(sample: int) -> int:
    """One 16-bit sample as A-law (ITU-T G.711)."""
    magnitude = abs(sample) >> 3
    segment = max(magnitude.bit_length() - 5, 0)
    mantissa = magnitude >> max(segment, 1) & 0x0F
    return (segment << 4 | mantissa) ^ (0xD5 if sample >= 0 else 0x55)
