"""The second measurement: from an API command to the SIP message on the wire, against the same command by bare ARI.

Both go to the product's own Asterisk, in turn, one at a time::

    start.simple_call -> INVITE       against  POST /channels -> INVITE
    release.call      -> BYE          against  DELETE /channels/{id} -> BYE

A SIP party of the benchmark receives the calls and reports the kernel's time of each message. ``list.calls`` with many live
calls is measured against a bare web server that returns the same bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from trunkline.bench.product import NUMBERS, Product
from trunkline.bench.setting import Figure, Finding, Say, Setting, rows
from trunkline.bench.sink import Answered, SipSink
from trunkline.bench.statistics import spread
from trunkline.runtime import secrets
from trunkline.runtime.ports import free_ports
from trunkline.telephony.ari import AriAddress, AriClient

METHOD = (
    "The Call API and a bare ARI client command the product's own Asterisk in turn, one command at a time; a SIP party "
    "shows when the kernel received the message that follows. list.calls: one request at a time in turn, then four "
    "clients at full speed in turn, against a web server of the same make that returns the same bytes. The last column is "
    "how much more Trunkline takes, in ms, or for rates Trunkline to bare."
)
AIM_MORE_MS = 5.0
"""More than the bare command, at p99."""

CARRIER = "127.0.0.2"
_BARE = "bare"
"""The bare client's application in the engine, and what its channels are called."""
_FIRST_NUMBER = 971_500_000_000
_TALK_SECONDS = 0.1
_REST_SECONDS = 0.05
_CLIENTS = 4
_START_RATE = 20.0


@dataclass(frozen=True)
class Plan:
    """How thorough a run is.

    :ivar calls: of each side.
    :ivar living: number of live calls while ``list.calls`` is measured.
    :ivar lists: single requests of each side.
    :ivar rounds: of requests at full speed, of ``seconds`` each, per side.
    """

    calls: int
    living: int
    lists: int
    rounds: int
    seconds: float


QUICK = Plan(60, 200, 60, 1, 3.0)
FULL = Plan(400, 200, 300, 3, 5.0)


class CommandSetup:
    """The product with a carrier that takes every call, and a bare client of its engine."""

    def __init__(self, product: Product, sink: SipSink, ari: AriClient, http: aiohttp.ClientSession) -> None:
        self.product = product
        self.sink = sink
        self.http = http
        self.url = f"{product.installation.url}/v4.0"
        self._ari = ari
        self._numbers: Iterator[int] = itertools.count(_FIRST_NUMBER)
        self._trunk = ""

    async def api(self, method: str, **params: Any) -> Any:
        """``result.data`` of a request of the Call API."""
        async with self.http.post(self.url, data=self.request(method, **params)) as response:
            answer = orjson.loads(await response.read())
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]["data"]

    def request(self, method: str, **params: Any) -> bytes:
        token = self.product.account.keys["call_api"]
        return orjson.dumps(
            {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"access_token": token, **params}}
        )

    async def start(self) -> tuple[int, Answered, float]:
        """Have two called and connected: the session, the call to the first, and when the command left."""
        operator, contact = self.number(), self.number()
        left = time.time()
        made = await self.api(
            "start.simple_call",
            first_call="operator",
            operator=operator,
            contact=contact,
            virtual_phone_number=NUMBERS[0],
        )
        call = await self.sink.call_to(operator)
        await self.sink.call_to(contact)
        return int(made["call_session_id"]), call, left

    async def bare_start(self) -> tuple[str, Answered, float]:
        """As our engine calls a first party: the channel, the call, and when the command left."""
        number = self.number()
        channel = f"{_BARE}-{number}"
        left = time.time()
        await self._ari.post(
            "/channels",
            {"variables": {"CHANNEL(accountcode)": channel, "CHANNEL(peeraccount)": channel}},
            endpoint=f"PJSIP/{number}@{self._trunk}",
            app=_BARE,
            appArgs="originated",
            channelId=channel,
            timeout=30,
            callerId=f'"" <{NUMBERS[0]}>',
        )
        return channel, await self.sink.call_to(number), left

    async def bare_release(self, channel: str) -> None:
        await self._ari.delete(f"/channels/{channel}", reason_code=16)

    def number(self) -> str:
        """A number that was not called before."""
        return str(next(self._numbers))

    async def wait_trunk(self, timeout: float = 20.0) -> None:
        """Wait until the engine has loaded the carrier, shortly after the directory was applied."""
        async with asyncio.timeout(timeout):
            while not self._trunk:
                endpoints = await self._ari.get("/endpoints")  # there may be none of PJSIP yet
                names = (str(one["resource"]) for one in endpoints if one["technology"] == "PJSIP")
                trunks = (name for name in names if name.startswith("trunk-") and not name.endswith("-ip"))
                self._trunk = next(trunks, "")
                await asyncio.sleep(0.1)


@asynccontextmanager
async def set_up(folder: Path) -> AsyncIterator[CommandSetup]:
    """Everything up for the time of the block."""
    [port] = free_ports(1)
    async with contextlib.AsyncExitStack() as stack:
        sink = await stack.enter_async_context(SipSink(CARRIER, port))
        product = await stack.enter_async_context(Product(folder, (CARRIER, port)))
        settings = product.installation.settings
        login = secrets.load(settings).ari
        address = AriAddress(settings.engine.ari_port, login.user, login.password)
        ari = await stack.enter_async_context(AriClient(address, _BARE, only=("StasisStart",)))
        await ari.wait_up()
        http = await stack.enter_async_context(aiohttp.ClientSession())
        setup = CommandSetup(product, sink, ari, http)
        await setup.wait_trunk()
        yield setup


async def measure(setup: CommandSetup, plan: Plan, say: Say) -> dict[str, Any]:
    """Everything about commands; the report as data."""
    await _commands(setup, 10)  # warm
    before = await setup.product.left()
    starts, releases = await _commands(setup, plan.calls)
    say(_summary("start.simple_call to INVITE", starts))
    say(_summary("release.call to BYE", releases))
    await setup.product.settle()
    listing = await _listing(setup, plan, say)
    await setup.product.settle()
    after = await setup.product.left()
    more = {
        name: after[name] - before[name]
        for name in ("channels", "bridges", "live_calls", "live_legs", "busy_sessions", "unwritten_events")
        if after[name] > before[name]
    }
    return {
        "start_to_invite_ms": starts,
        "release_to_bye_ms": releases,
        "list_calls": listing,
        "left": more,
    }


# --- commands to SIP messages


async def _commands(setup: CommandSetup, calls: int) -> tuple[dict[str, Any], dict[str, Any]]:
    found: dict[str, list[float]] = {name: [] for name in ("start", "bare_start", "release", "bare_release")}
    for _ in range(calls):
        session, call, left = await setup.start()
        found["start"].append((call.invited_at - left) * 1000)
        await asyncio.sleep(_TALK_SECONDS)
        left = time.time()
        await setup.api("release.call", call_session_id=session)
        await asyncio.wait_for(call.over.wait(), 10)
        found["release"].append((call.ended_at - left) * 1000)
        await asyncio.sleep(_REST_SECONDS)

        channel, call, left = await setup.bare_start()
        found["bare_start"].append((call.invited_at - left) * 1000)
        await asyncio.sleep(_TALK_SECONDS)
        left = time.time()
        await setup.bare_release(channel)
        await asyncio.wait_for(call.over.wait(), 10)
        found["bare_release"].append((call.ended_at - left) * 1000)
        await asyncio.sleep(_REST_SECONDS)
    return (
        _compared(found["start"], found["bare_start"]),
        _compared(found["release"], found["bare_release"]),
    )


def _compared(ours: list[float], bare: list[float]) -> dict[str, Any]:
    one, other = spread(bare), spread(ours)
    return {
        "bare": asdict(one),
        "trunkline": asdict(other),
        "more_p50": round(other.p50 - one.p50, 3),
        "more_p99": round(other.p99 - one.p99, 3),
    }


def _summary(name: str, found: dict[str, Any]) -> str:
    bare, ours = found["bare"], found["trunkline"]
    return (
        f"{name}: bare {bare['p50']:.1f} / {bare['p99']:.1f} ms, "
        f"Trunkline {ours['p50']:.1f} / {ours['p99']:.1f} ms (p50 / p99)"
    )


# --- list.calls


async def _listing(setup: CommandSetup, plan: Plan, say: Say) -> dict[str, Any]:
    sessions = []
    for _ in range(plan.living):
        session, _, _ = await setup.start()
        sessions.append(session)
        await asyncio.sleep(1 / _START_RATE)
    try:
        return await _listed(setup, plan, say)
    finally:
        for session in sessions:
            await setup.api("release.call", call_session_id=session)


async def _listed(setup: CommandSetup, plan: Plan, say: Say) -> dict[str, Any]:
    request = setup.request("list.calls")
    async with setup.http.post(setup.url, data=request) as response:
        answer = await response.read()
    living = len(orjson.loads(answer)["result"]["data"])
    async with _bare_server(answer) as bare_url:
        urls = {"trunkline": setup.url, "bare": bare_url}
        delays: dict[str, list[float]] = {name: [] for name in urls}
        for _ in range(plan.lists):
            for name, url in urls.items():
                began = time.perf_counter()
                await _post(setup.http, url, request)
                delays[name].append((time.perf_counter() - began) * 1000)
        rates: dict[str, list[float]] = {name: [] for name in urls}
        for _ in range(plan.rounds):
            for name, url in urls.items():
                rates[name].append(await _at_full_speed(setup.http, url, request, plan.seconds))
    found = _compared(delays["trunkline"], delays["bare"])
    per_second = {name: round(sorted(each)[len(each) // 2], 1) for name, each in rates.items()}
    say(
        f"list.calls of {living} calls ({len(answer) // 1000} kB): {_summary('one', found)}; "
        f"{per_second['bare']:.0f} / {per_second['trunkline']:.0f} requests/s (bare / Trunkline)"
    )
    return {
        "living": living,
        "bytes": len(answer),
        "one_ms": found,
        "requests_per_second": {
            **per_second,
            "ratio": round(per_second["trunkline"] / per_second["bare"], 3),
            "rounds": rates,
        },
    }


async def _at_full_speed(http: aiohttp.ClientSession, url: str, request: bytes, seconds: float) -> float:
    """Requests per second that a few clients get answered."""
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def ask() -> int:
        answered = 0
        while loop.time() - began < seconds:
            await _post(http, url, request)
            answered += 1
        return answered

    answered = sum(await asyncio.gather(*(ask() for _ in range(_CLIENTS))))
    return answered / (loop.time() - began)


async def _post(http: aiohttp.ClientSession, url: str, request: bytes) -> None:
    async with http.post(url, data=request) as response:
        answer = await response.read()
    if response.status != 200 or b'"error"' in answer[:100]:
        raise RuntimeError(f"{url}: {answer[:300]!r}")


@asynccontextmanager
async def _bare_server(answer: bytes) -> AsyncIterator[str]:
    """A process that returns these bytes to every request; its URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "trunkline.bench.bare_web",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(answer)
        process.stdin.write_eof()
        port = int(await asyncio.wait_for(process.stdout.readline(), 20))
        yield f"http://127.0.0.1:{port}/"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _lines(report: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """The figures for a terminal: what, bare, Trunkline, the difference or ratio."""
    found = []
    for name, figures in (
        ("start.simple_call to INVITE", report["start_to_invite_ms"]),
        ("release.call to BYE", report["release_to_bye_ms"]),
        ("list.calls, one", report["list_calls"]["one_ms"]),
    ):
        found += [
            (
                f"{name}, {figure}, ms",
                f"{figures['bare'][figure]:.1f}",
                f"{figures['trunkline'][figure]:.1f}",
                f"{figures[f'more_{figure}']:+.1f}",
            )
            for figure in ("p50", "p99")
        ]
    rate = report["list_calls"]["requests_per_second"]
    found.append(
        ("list.calls, requests/s", f"{rate['bare']:.0f}", f"{rate['trunkline']:.0f}", f"{rate['ratio']:.2f}")
    )
    return found


def figures(report: Mapping[str, Any]) -> dict[str, Figure]:
    """The figures that have an aim."""
    return {
        "start_to_invite_p99_more_ms": Figure(report["start_to_invite_ms"]["more_p99"], AIM_MORE_MS),
        "release_to_bye_p99_more_ms": Figure(report["release_to_bye_ms"]["more_p99"], AIM_MORE_MS),
    }


async def run(setting: Setting) -> Finding:
    """See :mod:`trunkline.bench.parts`."""
    async with set_up(setting.folder) as setup:
        report = await measure(setup, QUICK if setting.quick else FULL, setting.say)
    table = rows(("", "bare", "Trunkline", ""), _lines(report))
    return Finding(not report["left"], table, report, figures(report))
