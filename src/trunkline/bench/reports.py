"""The third measurement: reports over a million and ten million calls, against hand-written SQL.

A complete installation responds over HTTP; a bare web server with the same library runs the hand-written statements and
returns their rows. One client asks both in turn, and what they answer must be equal.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import orjson

from trunkline.bench import synthetic
from trunkline.bench.questions import Question, questions
from trunkline.bench.setting import Figure, Finding, Say, Setting
from trunkline.bench.uploads import upload
from trunkline.demo.installation import Account, Installation
from trunkline.runtime import postgres

METHOD = (
    "Made-up calls of 24 months in five accounts, all but a tenth of them in the one that is asked. Both sides over HTTP "
    "by one client in turn, medians: the Data API of a whole installation (key, address, points, request log, filters), and "
    "a bare web server with SQL written by hand for the same rows and total, planned for each request. ratio: ours to "
    "theirs. growth: ours at the "
    "larger size to ours at the smaller. The rows of both must be equal. Memory: peak of the web process after "
    "get.calls_report with limit 10000 and default fields. Upload: batches of 50 calls "
    "without recordings by four clients into the full table."
)
AIM_RATIO = 1.3
"""Times the bare peer's time (decision 0018)."""

SIZES = (1_000_000, 10_000_000)
QUICK_SIZES = (20_000, 200_000)
UPLOADED = 10_000
_ROUNDS, _QUICK_ROUNDS = 15, 5
_ZONE = "Asia/Dubai"


@dataclass(frozen=True)
class Timing:
    """Milliseconds, medians; ``rows`` in the answer, ``total`` in all; whether both responses are equal."""

    ours: float
    theirs: float
    rows: int
    total: int
    equal: bool


async def run(setting: Setting) -> Finding:
    """Fill, ask, fill ten times more, ask again; the data goes with the installation's folder."""
    sizes, rounds = (QUICK_SIZES, _QUICK_ROUNDS) if setting.quick else (SIZES, _ROUNDS)
    now = datetime.now(UTC)
    timings: dict[int, dict[str, Timing]] = {}
    filled: dict[int, float] = {}
    async with Installation(setting.folder / "pbx") as installation:
        accounts = [await _account(installation, number) for number in range(1 + len(synthetic.SMALL_SHARES))]
        dsn = postgres.dsn(installation.settings)
        for sessions in sizes:
            began = time.monotonic()
            setting.say(f"making {sessions} calls")
            await synthetic.fill(dsn, [account.account_id for account in accounts], sessions, now)
            filled[sessions] = round(time.monotonic() - began, 1)
            asked = questions(accounts[0].account_id, sessions, now)
            timings[sessions] = await _ask(installation, accounts[0], dsn, asked, rounds, setting.say)
        memory = await _memory(installation, accounts[0], asked[4])
        setting.say("uploading")
        hour = (now - timedelta(days=2)).replace(hour=6, minute=0, second=0)
        uploaded = await upload(
            installation, accounts[0], UPLOADED // 10 if setting.quick else UPLOADED, hour
        )
    await asyncio.to_thread(_drop, setting.folder)
    return Finding(
        all(timing.equal for found in timings.values() for timing in found.values())
        and uploaded.in_report == uploaded.rows,
        f"{_table(timings, memory)}\nupload.calls, rows a second: {uploaded.accepted:.0f} accepted,"
        f" {uploaded.reported:.0f} in the report ({uploaded.in_report} of {uploaded.rows})",
        {
            "sizes": list(sizes),
            "seconds_to_fill": filled,
            "milliseconds": {
                str(size): {name: asdict(timing) for name, timing in found.items()}
                for size, found in timings.items()
            },
            "memory_mb": memory,
            "upload": asdict(uploaded),
        },
        figures(timings),
    )


def figures(timings: Mapping[int, Mapping[str, Timing]]) -> dict[str, Figure]:
    """The figures that have an aim: by size and question, our time against the bare peer's."""
    return {
        f"{name.replace(' ', '_')}_at_{size}_ratio": Figure(round(one.ours / one.theirs, 2), AIM_RATIO)
        for size, found in timings.items()
        for name, one in found.items()
    }


async def _account(installation: Installation, number: int) -> Account:
    account = await installation.create_account(f"Bench {number}", _ZONE)
    limits = ("--day", "1000000", "--minute", "100000", "--account", str(account.account_id))
    await installation.run("account", "limit", "data_api", *limits)
    await installation.run("account", "component", "upload_calls", "on", "--account", str(account.account_id))
    return account


async def _ask(
    installation: Installation, account: Account, dsn: str, asked: Sequence[Question], rounds: int, say: Say
) -> dict[str, Timing]:
    timings = {}
    async with _bare(dsn, asked) as bare, aiohttp.ClientSession() as client:
        for number, question in enumerate(asked):
            message = orjson.dumps(
                {
                    "jsonrpc": "2.0",
                    "id": 1,
                    "method": question.method,
                    "params": {"access_token": account.keys["data_api"], **question.params},
                }
            )
            sides: dict[str, list[float]] = {"ours": [], "theirs": []}
            bodies: dict[str, bytes] = {}
            for _ in range(rounds):
                for side, url in (("ours", f"{installation.url}/v2.0"), ("theirs", f"{bare}/{number}")):
                    began = time.perf_counter()
                    async with client.post(url, data=message) as response:
                        bodies[side] = await response.read()
                    sides[side].append((time.perf_counter() - began) * 1000)
            result = orjson.loads(bodies["ours"])["result"]
            other = orjson.loads(bodies["theirs"])
            total = result["metadata"]["total_items"]
            equal = result["data"] == other["data"] and total == other["total_items"]
            ours, theirs = (round(median(values[1:]), 2) for values in sides.values())
            timings[question.name] = Timing(ours, theirs, len(result["data"]), total, equal)
            say(
                f"  {question.name}: {ours:.1f} ms against {theirs:.1f}{'' if equal else ', and NOT THE SAME ROWS'}"
            )
    return timings


@asynccontextmanager
async def _bare(dsn: str, asked: Sequence[Question]) -> AsyncIterator[str]:
    """URL of the peer."""
    statements = {
        str(number): {
            "rows": question.rows,
            "count": question.count,
            "limit": question.params.get("limit", 1000),
            "offset": question.params.get("offset", 0),
        }
        for number, question in enumerate(asked)
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "trunkline.bench.bare_sql", dsn,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(orjson.dumps(statements))
        process.stdin.close()
        yield f"http://127.0.0.1:{int(await process.stdout.readline())}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _memory(installation: Installation, account: Account, question: Question) -> dict[str, float]:
    """Megabytes of the web process: before, and at its peak while it answers with 10 000 rows, and with four such
    answers at a time."""
    pid = int(installation.process("web")["pid"])
    _forget_peak(pid)
    figures = {"before": _status(pid, "VmRSS")}
    params: Mapping[str, Any] = {
        **{name: value for name, value in question.params.items() if name != "fields"},
        "limit": 10_000,
    }
    for name, at_once in (("peak", 1), ("peak_of_four", 4)):
        await asyncio.gather(
            *(installation.data_api(account, question.method, **params) for _ in range(at_once))
        )
        figures[name] = _status(pid, "VmHWM")
    return figures


def _forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _status(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024, 1)


def _drop(folder: Path) -> None:
    """Remove what the installation stored: the calls take some 15 GB."""
    shutil.rmtree(folder / "pbx" / "data", ignore_errors=True)


def _table(timings: Mapping[int, Mapping[str, Timing]], memory: Mapping[str, float]) -> str:
    sizes = list(timings)
    head = "".join(f"{f'{size / 1e6:g}M ms':>10}{'by hand':>9}{'ratio':>7}" for size in sizes)
    lines = [f"{'':<32}{head}{'growth':>8}"]
    for name, first in timings[sizes[0]].items():
        figures = "".join(
            f"{timing.ours:>10.1f}{timing.theirs:>9.1f}{timing.ours / timing.theirs:>7.2f}"
            for timing in (timings[size][name] for size in sizes)
        )
        lines.append(f"{name:<32}{figures}{timings[sizes[-1]][name].ours / first.ours:>8.2f}")
    unequal = [name for found in timings.values() for name, timing in found.items() if not timing.equal]
    lines.append(
        f"web process, MB: {memory['before']:.0f} before, {memory['peak']:.0f} with 10 000 rows,"
        f" {memory['peak_of_four']:.0f} with four such answers"
    )
    if unequal:
        lines.append(f"NOT THE SAME ROWS: {', '.join(dict.fromkeys(unequal))}")
    return "\n".join(lines)
