"""Limits on outgoing calls hold for calls of one line that begin within the same moment, on the real engine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

from tests.engine.setup import COMPANY, Setup
from trunkline.cli.switch import switch_client
from trunkline.demo.outside import Answer, Phone
from trunkline.runtime import postgres

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("setup"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),  # the first one sets the setup, maybe on a busy machine
]

CALLS, LIMIT = 20, 5
DEAR = "97150888"
"""The first digits of numbers with a price, for which no other test has spent anything."""


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def many_channels(whole_setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Setup]:
    """The lines of Anna and Boris may have twenty calls each."""
    setup = whole_setup
    await _apply(setup, tmp_path_factory.mktemp("company"))
    yield setup
    await setup.installation.apply(setup.account, COMPANY, setup.environment)


async def _apply(setup: Setup, folder: Path, trunk: str = "") -> None:
    """Returns when calls use it."""
    text = COMPANY.read_text()
    for line in ("0260001", "0260002"):
        begin, _, rest = text.partition(f'  "{line}": {{')
        fields, _, rest = rest.partition("}\n")
        fields = ", ".join(one for one in fields.split(", ") if not one.startswith("channels"))
        text = f'{begin}  "{line}": {{{fields.rstrip()}, channels: {CALLS}}}\n{rest}'
    text = text.replace("    name: Carrier\n", f"    name: Carrier\n{trunk}", 1)
    file = folder / "company.yaml"
    file.write_text(text)
    applied = await setup.installation.apply(setup.account, file, setup.environment)
    assert applied["in_effect"] is not False, applied


@contextlib.asynccontextmanager
async def _limited(setup: Setup, line: str | None, *limit: str) -> AsyncIterator[None]:
    """A limit of a line, or the account (None), that the switch has taken; without it and without calls afterwards."""
    account = setup.account.account_id
    words = ("account", "calls", "--account", str(account), *(() if line is None else ("--line", line)))
    async with switch_client(setup.installation.settings) as switch:
        before = await switch.directory_fingerprint(account)

        async def taken(other_than: str | None) -> None:
            async with asyncio.timeout(30):
                while await switch.directory_fingerprint(account) == other_than:
                    await asyncio.sleep(0.05)

        try:
            await setup.installation.run(*words, *limit)
            await taken(before)
            yield
        finally:
            await setup.world.hang_up_all()
            limited = await switch.directory_fingerprint(account)
            await setup.installation.run(*words, "--reset")
            await taken(limited)


async def _calls_at_carrier(setup: Setup, phone: Phone, prefix: str = "97150000") -> int:
    """How many of the calls that a phone begins at once come to the carrier."""
    customer = await setup.customer_with(f"{prefix}7001")
    customer.on_call(Answer())
    calls = await asyncio.gather(*(phone.dial(customer.name) for _ in range(CALLS)))
    async with asyncio.timeout(40):
        while not all(one.is_answered or one.is_ended for one in calls):
            await asyncio.sleep(0.05)
    answered = sum(one.is_answered and not one.is_ended for one in calls)
    assert answered == len(customer.incoming), "each call at the carrier is one of a phone"
    return answered


async def _minute_without_calls(setup: Setup) -> None:
    """Until no call of the last minute counts."""
    async with await psycopg.AsyncConnection.connect(postgres.dsn(setup.installation.settings)) as connection:
        found = await connection.execute(
            "select extract(epoch from max(start_time) + interval '61 s' - now()) from call_legs"
            " where account_id = %s and direction = 'out'",
            (setup.account.account_id,),
        )
        [seconds] = await found.fetchone() or (None,)
    await asyncio.sleep(max(0.0, float(seconds or 0)))


@pytest.mark.long(360)  # so its module is the first one of a process
async def test_calls_of_an_account_per_minute(setup: Setup) -> None:
    """The first test of this module: it waits only where others have called before."""
    await _minute_without_calls(setup)
    async with _limited(setup, None, "--per-minute", str(LIMIT)):
        assert await _calls_at_carrier(setup, setup.anna) == LIMIT


async def test_calls_of_a_line_per_minute(setup: Setup) -> None:
    async with _limited(setup, "0260002", "--per-minute", str(LIMIT)):
        assert await _calls_at_carrier(setup, setup.boris) == LIMIT


@pytest.mark.parametrize("line", [None, "0260001"])
async def test_calls_at_once(setup: Setup, line: str | None) -> None:
    async with _limited(setup, line, "--at-once", str(LIMIT)):
        assert await _calls_at_carrier(setup, setup.anna) == LIMIT


async def test_money(setup: Setup, tmp_path: Path) -> None:
    """Calls of two a minute, twenty of them at once: no more than the money of the day is enough for."""
    account = str(setup.account.account_id)
    file = tmp_path / "tariffs.yaml"
    prices = f"{{from: 2026-01-01, currency: USD, out: {{{DEAR}: 2.00}}}}"
    file.write_text(f"plans: {{limits: {{name: Limits, prices: [{prices}]}}}}")
    await setup.installation.run("tariff", "apply", str(file), "--yes")
    await setup.installation.run("tariff", "assign", "limits", "--account", account)
    try:
        # The account had no limit of money before, and no price.
        async with _limited(setup, None, "--money-per-day", "7"):
            assert await _calls_at_carrier(setup, setup.anna, DEAR) == 3
    finally:
        await setup.installation.run("tariff", "assign", "--account", account)


async def test_channels_of_a_trunk(setup: Setup, tmp_path: Path) -> None:
    """The last test of this module, which sets the company again afterwards."""
    await _apply(setup, tmp_path, f"    max_channels: {LIMIT}\n")
    assert await _calls_at_carrier(setup, setup.anna) == LIMIT
