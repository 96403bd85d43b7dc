"""Notifications: how many are delivered in a second, against a bare loop with the same client, and how soon after its event
each arrives while some of a thousand endpoints hang.

The events are written to the database as a switch writes them; there are no calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

import aiohttp

from trunkline.accounts.secrets import Cipher
from trunkline.bench.load import CARRIER
from trunkline.bench.product import Product
from trunkline.bench.setting import Figure, Finding, Setting, rows
from trunkline.bench.statistics import Spread, spread
from trunkline.core.clock import Instant
from trunkline.core.ids import IdGenerator
from trunkline.db.pool import Database
from trunkline.events import store
from trunkline.events.catalogue import Event, EventType, call_stream
from trunkline.notifications import conditions
from trunkline.notifications.subscriptions import Draft, Subscriptions
from trunkline.runtime import postgres, secrets

METHOD = (
    "A whole installation without calls. Events of calls that begin are written to the database as a switch writes them."
    " First all for one endpoint that answers at once: deliveries a second, against a loop that posts the same body to the"
    " same receiver with the same client and as many requests at a time. Then 200 events a second for 1000 endpoints of 100"
    " accounts, of which 50 never answer: milliseconds from before the event is written until it arrives at the others."
)
AIM_RATIO = 0.5
AIM_MS = 100.0
RATE = 200
"""Events a second in the second measurement."""
ACCOUNTS, ENDPOINTS_OF_ACCOUNT = 100, 10
HANGING = 50
_AT_ONCE = 8
"""Requests to one endpoint at a time, as the settings of the product have it."""
_EVENTS, _QUICK_EVENTS = 4000, 1000
_ROUNDS, _QUICK_ROUNDS = 3, 1
_SECONDS, _QUICK_SECONDS = 60, 15
_BATCH_SECONDS = 0.02
"""How often the events of the second measurement are written: at this rate a switch writes one or few at a time."""
_LATE_SECONDS = 60.0
_EVENT = "in_call_session"
_NODE = 5
"""Of the ids of the calls; no switch of the benchmark has it."""


@dataclass(frozen=True)
class Receiver:
    """The receiver process.

    :ivar url: without a path.
    """

    url: str
    http: aiohttp.ClientSession

    async def arrivals(self) -> tuple[list[tuple[int, float]], str]:
        """What came since the last time: id of the call and Unix seconds; and the last body."""
        async with self.http.get(f"{self.url}/arrivals") as response:
            found = await response.json()
        return [(one[0], one[1]) for one in found["arrivals"]], found["body"]


@asynccontextmanager
async def _receiver() -> AsyncIterator[Receiver]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "trunkline.bench.webhook_sink", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        port = int(await asyncio.wait_for(process.stdout.readline(), 20))
        async with aiohttp.ClientSession() as http:
            yield Receiver(f"http://127.0.0.1:{port}", http)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


class Events:
    """Writes events of calls that begin."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._ids = IdGenerator(_NODE)

    async def write(self, endpoints: Sequence[tuple[int, str]]) -> list[int]:
        """One call for each account and number of the company; their ids."""
        ids, events = [], []
        for account_id, number in endpoints:
            ids.append(self._ids.next())
            data = {
                "direction": "in",
                "source": "va",
                "is_internal": False,
                "virtual_phone_number": number,
                "contact_phone_number": "12025550110",
            }
            events.append(
                Event(
                    account_id,
                    call_stream(ids[-1]),
                    1,
                    EventType.SESSION_STARTED,
                    Instant(time.time()),
                    data,
                )
            )
        async with self._db.connection() as connection:
            await store.write_call_events(connection, events)
        return ids


async def run(setting: Setting) -> Finding:
    """Both measurements. Not ok when a delivery to an endpoint that answers is missing or doubled."""
    count, rounds = (_QUICK_EVENTS, _QUICK_ROUNDS) if setting.quick else (_EVENTS, _ROUNDS)
    async with _receiver() as receiver, Product(setting.folder, (CARRIER, 5060)) as product:
        settings = product.installation.settings
        subscriptions_cipher = Cipher(secrets.load(settings).master_key)
        async with await Database.open(postgres.dsn(settings), application_name="bench") as db:
            subscriptions = Subscriptions(db, subscriptions_cipher)
            events = Events(db)
            ours, bare, wrong = await _throughput(
                setting, receiver, subscriptions, events, await _account(db, "fast"), count, rounds
            )
            delays, lost = await _latency(setting, receiver, subscriptions, events, db)
    ratio = round(max(ours) / max(bare), 2)
    data: dict[str, Any] = {
        "deliveries_per_second": {"trunkline": ours, "bare": bare},
        "ratio": ratio,
        "arrival_ms": asdict(delays),
        "missing_or_doubled": wrong + lost,
    }
    table = rows(
        ("", "bare loop", "Trunkline", "ratio"),
        [
            ("deliveries per second", f"{max(bare):.0f}", f"{max(ours):.0f}", f"{ratio:.2f}"),
            ("event to arrival, p50 in ms", "", f"{delays.p50:.0f}", ""),
            ("event to arrival, p99 in ms", "", f"{delays.p99:.0f}", ""),
            ("deliveries missing or doubled", "", str(wrong + lost), ""),
        ],
    )
    figures = {
        "deliveries_per_second_ratio": Figure(ratio, AIM_RATIO, is_least=True),
        "arrival_p99_ms": Figure(delays.p99, AIM_MS),
    }
    return Finding(wrong + lost == 0, table, data, figures)


async def _account(db: Database, name: str) -> int:
    row = await db.fetch_one("insert into accounts (name) values (%s) returning account_id", (name,))
    assert row is not None
    return int(row["account_id"])


async def _throughput(
    setting: Setting,
    receiver: Receiver,
    subscriptions: Subscriptions,
    events: Events,
    account_id: int,
    count: int,
    rounds: int,
) -> tuple[list[float], list[float], int]:
    """Deliveries a second of the product and of the bare loop in each round, and how many were wrong."""
    draft = Draft(key="fast", name="Fast", url=f"{receiver.url}/fast/one", events=[_EVENT])
    await subscriptions.save(account_id, draft)
    await events.write([(account_id, "97140000700")] * 100)
    await _arrived(receiver, 100)
    ours: list[float] = []
    bare: list[float] = []
    wrong = 0
    for _ in range(rounds):
        begun = time.time()
        expected: list[int] = []
        for part in range(0, count, 100):
            expected += await events.write([(account_id, "97140000700")] * min(100, count - part))
        came, body = await _arrived(receiver, count)
        wrong += _wrong(expected, came)
        ours.append(round(len(came) / (max(at for _, at in came) - begun), 1))
        bare.append(await _bare(f"{receiver.url}/fast/one", body, count))
        await receiver.arrivals()
        setting.say(f"  trunkline {ours[-1]:.0f}, bare loop {bare[-1]:.0f} deliveries/s")
    return ours, bare, wrong


async def _arrived(receiver: Receiver, count: int) -> tuple[list[tuple[int, float]], str]:
    """What came, once it is so many or nothing more comes."""
    came: list[tuple[int, float]] = []
    deadline = time.monotonic() + _LATE_SECONDS
    while True:
        more, body = await receiver.arrivals()
        came += more
        if len(came) >= count or time.monotonic() > deadline:
            return came, body
        await asyncio.sleep(0.1)


def _wrong(expected: Sequence[int], came: Sequence[tuple[int, float]]) -> int:
    got = [one for one, _ in came]
    return len(set(expected) - set(got)) + len(got) - len(set(got))


async def _bare(url: str, body: str, count: int) -> float:
    """Requests a second of a loop with the client of the product."""
    left = itertools.count()
    begun = time.time()
    async with aiohttp.ClientSession() as http:

        async def post() -> None:
            while next(left) < count:
                async with http.post(url, data=body.encode()) as response:
                    await response.read()

        await asyncio.gather(*(post() for _ in range(_AT_ONCE)))
    return round(count / (time.time() - begun), 1)


async def _latency(
    setting: Setting, receiver: Receiver, subscriptions: Subscriptions, events: Events, db: Database
) -> tuple[Spread, int]:
    """Milliseconds until deliveries arrive at the endpoints that answer, and how many are missing or doubled."""
    random = Random(1)
    endpoints: list[tuple[int, str]] = []
    for _ in range(ACCOUNTS):
        account_id = await _account(db, "shared")
        endpoints += [(account_id, f"9714000{number:04}") for number in range(ENDPOINTS_OF_ACCOUNT)]
    hanging = set(random.sample(endpoints, HANGING))
    for account_id, number in endpoints:
        kind = "hang" if (account_id, number) in hanging else "fast"
        await subscriptions.save(
            account_id,
            Draft(
                key=number,
                name=number,
                url=f"{receiver.url}/{kind}/{account_id}/{number}",
                events=[_EVENT],
                conditions=conditions.parse({"virtual_phone_numbers": [number]}),
            ),
        )
    setting.say(f"  {len(endpoints)} endpoints, {len(hanging)} hang")
    written: dict[int, float] = {}
    seconds = _QUICK_SECONDS if setting.quick else _SECONDS
    begun = time.time()
    total = 0
    while (passed := time.time() - begun) < seconds:
        due = round(passed * RATE) - total
        total += due
        chosen = [random.choice(endpoints) for _ in range(due)]
        at = time.time()
        if chosen:
            for call, endpoint in zip(await events.write(chosen), chosen, strict=True):
                if endpoint not in hanging:
                    written[call] = at
        await asyncio.sleep(_BATCH_SECONDS)
    came, _ = await _arrived(receiver, len(written))
    delays = [(at - written[call]) * 1000 for call, at in came if call in written]
    return spread(delays), _wrong(list(written), came)
