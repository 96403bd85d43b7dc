"""What was spent today, for limits: charges of today by account and line, and prices of what is not charged yet."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.billing.company import give_plan
from tests.calls import company as c
from tests.calls.company import company
from trunkline.accounts.administration import Administration
from trunkline.billing import spending as spending_module
from trunkline.billing.rating import BillingListener, Rater
from trunkline.billing.spending import PERIOD_SECONDS, Spending, watching
from trunkline.calls.flows.outgoing_limits import OutgoingUsage
from trunkline.core.errors import NotFound
from trunkline.core.ids import IdGenerator
from trunkline.db.partitions import ensure_for
from trunkline.db.pool import Database
from trunkline.directory.model import Directory, OutgoingLimits
from trunkline.events.relay import relay_batch

pytestmark = pytest.mark.attack

ACCOUNT, OTHER_ACCOUNT = c.ACCOUNT, 1002


async def charge(db: Database, call: int, account_id: int, line: int, money: str, at: datetime) -> None:
    async with db.connection() as connection:
        await ensure_for(connection, call)
        await connection.execute(
            "insert into call_legs (account_id, call_session_id, leg_id, start_time, direction,"
            " limited_line_id, is_operator) values (%s, %s, 2, %s, 'out', %s, false)",
            (account_id, call, at, line),
        )
        await connection.execute(
            "insert into leg_charges (account_id, call_session_id, leg_id, start_time, direction, source,"
            " duration, chargeable_duration, connection_fee, total_charge, currency)"
            " values (%s, %s, 2, %s, 'out', 'sip', 60, 60, 0, %s, 'USD')",
            (account_id, call, at, money),
        )


async def test_money_of_today(db: Database) -> None:
    for account_id in (ACCOUNT, OTHER_ACCOUNT):
        await db.execute(
            "insert into accounts (account_id, name, time_zone) values (%s, 'Harbour Tours', 'UTC')",
            (account_id,),
        )
    await give_plan(db, ACCOUNT)
    ids, now = IdGenerator(1, lambda: int(time.time() * 1000)), datetime.now(UTC)
    await charge(db, ids.next(), ACCOUNT, 1, "1.5", now)
    await charge(db, ids.next(), ACCOUNT, 2, "2.25", now)
    await charge(db, ids.next(), ACCOUNT, 2, "100", now - timedelta(days=2))
    await charge(db, ids.next(), OTHER_ACCOUNT, 2, "50", now)
    account = company()
    directory = Directory(
        {ACCOUNT: account, OTHER_ACCOUNT: replace(account, account_id=OTHER_ACCOUNT, lines={})}
    )
    spending = Spending(db, lambda: directory, lambda _: [ACCOUNT])
    await spending.refresh()
    assert spending.spent(ACCOUNT, None, []) == 3.75
    assert spending.spent(ACCOUNT, 2, []) == 2.25
    assert spending.spent(OTHER_ACCOUNT, None, []) == 0.0
    # Two minutes that are not charged yet cost as much more as the plan says.
    assert spending.spent(ACCOUNT, None, [(c.CUSTOMER, 120)]) > 3.75


async def _ended_call(db: Database, call: int, seconds: int) -> None:
    """A call of Boris to the customer, as the switch stores its end."""
    async with db.connection() as connection:
        await ensure_for(connection, call)
        await connection.execute(
            "insert into call_streams (account_id, call_session_id, version, is_open) values (%s, %s, 9, false)",
            (ACCOUNT, call),
        )
        await connection.execute(
            "insert into call_sessions (account_id, call_session_id, node, start_time, finish_time, direction, source)"
            " values (%s, %s, 1, now(), now(), 'out', 'sip')",
            (ACCOUNT, call),
        )
        await connection.execute(
            "insert into call_legs (account_id, call_session_id, leg_id, start_time, finish_time, direction,"
            " called_phone_number, trunk_id, limited_line_id, duration, is_operator)"
            " values (%s, %s, 2, now(), now(), 'out', %s, 1, 2, %s, false)",
            (ACCOUNT, call, c.CUSTOMER, seconds),
        )
        await connection.execute(
            "insert into outbox (account_id, stream, seq, type, occurred_at, data)"
            " values (%s, 'call:' || %s::bigint, 9, 'session_finished', now(), '{}')",
            (ACCOUNT, call),
        )


class _Failing:
    """A listener that fails on everything."""

    name = "billing"

    async def on_events(self, conn: object, events: object) -> None:
        raise RuntimeError("this event")


@pytest.mark.parametrize("is_failed", [False, True])
async def test_a_call_counts_once_however_late_it_is_charged(db: Database, is_failed: bool) -> None:
    """From its answer on: in the switch, in the outbox, as a failed event or a note, and in the charges."""
    directory = await _limited_account(db)
    call = IdGenerator(1, lambda: int(time.time() * 1000)).next()
    counted = [(ACCOUNT, call)]

    def stored(calls: Iterable[tuple[int, int]]) -> None:
        for one in calls:
            counted.remove(one)

    def spent() -> list[float]:
        calls = [(c.CUSTOMER, 120)] * len(counted)
        return [spending.spent(ACCOUNT, line, calls) for line in (None, 2)]

    spending = Spending(db, lambda: directory, lambda _: [ACCOUNT], lambda: counted, stored)
    await spending.refresh()
    price = spending.spent(ACCOUNT, None, [(c.CUSTOMER, 120)])
    assert price > 0
    assert counted  # its end is not stored
    await _ended_call(db, call, 120)
    await spending.refresh()
    assert not counted
    assert spent() == [price, price]
    async with db.connection() as connection:
        await relay_batch(connection, [_Failing() if is_failed else BillingListener()])
    await spending.refresh()
    assert spent() == [price, price]
    if not is_failed:
        assert await Rater(db).rate_waiting() == 1
        await spending.refresh()
        assert spent() == [price, price]


async def test_a_call_that_ends_during_a_reading_counts_once(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its end is stored before the moment that is read, and the switch counts it with the first statement at the latest."""
    directory = await _limited_account(db)
    call = IdGenerator(1, lambda: int(time.time() * 1000)).next()
    counted: list[tuple[int, int]] = []
    read = spending_module._read

    async def reading(*given: Any) -> Any:
        found = await read(*given)
        if not counted:
            counted.append((ACCOUNT, call))
        return found

    monkeypatch.setattr(spending_module, "_read", reading)
    included: list[tuple[int, int]] = []
    spending = Spending(db, lambda: directory, lambda _: [ACCOUNT], lambda: counted, included.extend)
    await _ended_call(db, call, 120)
    await spending.refresh()
    assert spending.spent(ACCOUNT, None, []) > 0
    assert included == [(ACCOUNT, call)]


async def test_limits_are_set_by_the_operator(db: Database) -> None:
    await db.execute(
        "insert into accounts (account_id, name, time_zone) values (%s, 'Harbour Tours', 'UTC')", (ACCOUNT,)
    )
    administration = Administration(db)
    await administration.set_outgoing_limits(
        ACCOUNT, None, calls_per_minute=5, concurrent_calls=None, money_per_day=12.5
    )
    await administration.set_outgoing_limits(
        ACCOUNT, None, calls_per_minute=0, concurrent_calls=7, money_per_day=None
    )
    assert await administration.outgoing_limits(ACCOUNT) == [
        {"line": None, "calls_per_minute": 0, "concurrent_calls": 7, "money_per_day": None}
    ]
    for account_id, line in ((ACCOUNT, "0999999"), (9, None)):
        with pytest.raises(NotFound):
            await administration.set_outgoing_limits(
                account_id, line, calls_per_minute=1, concurrent_calls=None, money_per_day=None
            )


async def _limited_account(db: Database) -> Directory:
    await db.execute(
        "insert into accounts (account_id, name, time_zone) values (%s, 'Harbour Tours', 'UTC')", (ACCOUNT,)
    )
    await give_plan(db, ACCOUNT)
    limit = {0: OutgoingLimits(money_per_day=1.0)}
    return Directory({ACCOUNT: replace(company(), outgoing_limits=limit)})


async def test_a_new_limit_is_in_effect_with_the_prices(db: Database) -> None:
    """The directory waits for them: else twenty calls in the seconds after the command cost nothing."""
    with_limit, current = await _limited_account(db), Directory({ACCOUNT: company()})
    spending = Spending(db, lambda: current, OutgoingUsage().limited_by_money)
    async with watching(spending):
        assert spending.spent(ACCOUNT, None, [(c.CUSTOMER, 120)]) == 0.0
        await spending.prepare(with_limit)
        assert spending.spent(ACCOUNT, None, []) == 0.0  # the account is unknown to the directory in effect
        await spending.refresh()
        current = with_limit
        assert spending.spent(ACCOUNT, None, [(c.CUSTOMER, 120)]) > 0.0


async def test_prices_are_known_from_the_start(db: Database) -> None:
    directory = await _limited_account(db)
    spending = Spending(db, lambda: directory, OutgoingUsage().limited_by_money)
    async with watching(spending):
        assert spending.spent(ACCOUNT, None, [(c.CUSTOMER, 120)]) > 0.0


async def test_other_prices_are_in_effect_within_a_moment(db: Database) -> None:
    directory = await _limited_account(db)
    spending = Spending(db, lambda: directory, OutgoingUsage().limited_by_money)
    async with watching(spending):
        await asyncio.sleep(0.5)  # LISTEN
        before = spending.spent(ACCOUNT, None, [(c.CUSTOMER, 120)])
        await db.execute("update tariff_rates set cost_per_minute = cost_per_minute + 5")
        async with asyncio.timeout(PERIOD_SECONDS / 4):
            while spending.spent(ACCOUNT, None, [(c.CUSTOMER, 120)]) < before + 5:
                await asyncio.sleep(0.02)
