"""Processes are killed at random moments while calls go on; afterwards every call is there, once, with its end."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.drills.kills_table import KillsTable
from tests.drills.rig import Rig
from trunkline.testing.foreign import ForeignPhones

RATE = 20.0
KILLS_OF_A_ROUND = 30
"""After so many, the calls under way end and all are counted: a fault stops the drill soon after the kill that caused it."""
SECONDS_OF_A_KILL = 60.0
"""At the most, on the average: until the process is ready again and until it is killed once more, on a busy machine too."""

Kill = Callable[[Rig, random.Random], Awaitable[None]]

pytestmark = [
    pytest.mark.drill,
    pytest.mark.engine,
    pytest.mark.phones,
    pytest.mark.long(200),
    pytest.mark.timeout(0),  # the test has a limit of its own, by the number of kills
]


async def kill_the_switch(rig: Rig, dice: random.Random) -> None:
    """Mostly when it is ready and catches up with what it missed, at times while it starts."""
    if dice.random() < 0.8:
        await rig.ready("switch")
        await asyncio.sleep(dice.uniform(0.0, 2.2))
    else:
        await asyncio.sleep(dice.uniform(0.2, 1.5))
    await rig.kill("switch")


async def kill_any(rig: Rig, dice: random.Random) -> None:
    """Any process but Asterisk, whatever state the others are in."""
    await asyncio.sleep(dice.uniform(0.2, 4.0))
    await rig.kill(dice.choice(("switch", "switch", "worker", "web", "postgres")))


async def kill_the_engine(rig: Rig, dice: random.Random) -> None:
    """Asterisk, with the calls it carries; the switch with it at times."""
    await rig.ready("asterisk")
    await rig.ready("switch")
    await asyncio.sleep(dice.uniform(0.5, 4.0))
    await rig.kill("asterisk")
    if dice.random() < 0.3:
        await asyncio.sleep(dice.uniform(0.0, 1.0))
        await rig.kill("switch")


KINDS: dict[str, tuple[Kill, float]] = {
    "switch": (kill_the_switch, 0.6),
    "any": (kill_any, 0.3),
    "asterisk": (kill_the_engine, 0.1),
}
"""What kills, and its share of the kills. Asterisk is last: calls that it cut are looked for among those of all kinds."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The long form has an installation for each kind. In the short form one has all kinds, in turn: its start takes longer
    than so few kills."""
    is_short = int(metafunc.config.getoption("--kills")) <= KILLS_OF_A_ROUND
    metafunc.parametrize("kinds", [tuple(KINDS)] if is_short else [(kind,) for kind in KINDS], ids="-".join)


async def test_no_call_is_lost_doubled_or_stuck(
    kinds: tuple[str, ...],
    kills: int,
    share_of_rate: float,
    drill_phones: ForeignPhones,
    tmp_path: Path,
    kills_table: KillsTable,
) -> None:
    seed = random.randrange(1_000_000)
    dice = random.Random(seed)
    counts = {kind: max(2, round(kills * KINDS[kind][1])) for kind in kinds}
    print(f"seed {seed}, kills {counts}")
    async with Rig(drill_phones, tmp_path) as rig:
        # Each round is counted by itself, after the last one all calls together.
        for kind, count in counts.items():
            left = count
            while left:
                of_this_round = min(left, KILLS_OF_A_ROUND)
                left -= of_this_round
                await _round(rig, KINDS[kind][0], of_this_round, dice, RATE * share_of_rate)
                account = await rig.count(engine_killed=kind == "asterisk", of_this_round=True)
                print(f"{time.strftime('%H:%M:%S')} {kind}: {rig.figures}; {account.figures}", flush=True)
                if account.faults:
                    break
            if account.faults:
                break
        if not account.faults:
            account = await rig.count(engine_killed="asterisk" in counts)
        kills_table.add(", ".join(kinds), seed, rig, account)
        assert len(rig.call_counts.completed) > sum(counts.values())  # calls went on at all
        assert account.faults == {}, f"seed {seed}"


async def _round(rig: Rig, kill: Kill, count: int, dice: random.Random, rate: float) -> None:
    """Calls with so many kills; afterwards nothing is left to do."""
    await rig.start_calls(rate)
    await asyncio.sleep(1.0)
    async with asyncio.timeout(count * SECONDS_OF_A_KILL + 300):
        # A process that is not there at its moment is not killed, and does not count.
        enough = sum(rig.kills.values()) + count
        while sum(rig.kills.values()) < enough:
            await kill(rig, dice)
    await asyncio.sleep(2.0)
    await rig.stop_calls()
    await rig.settle()  # ends when nothing moves any more
