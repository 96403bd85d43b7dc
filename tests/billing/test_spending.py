"""What was spent today, for limits: charges of today by account and line, and prices of what is not charged yet."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.billing.company import give_plan
from tests.calls import company as c
from tests.calls.company import company
from trunkline.accounts.administration import Administration
from trunkline.billing.spending import PERIOD_SECONDS, Spending, watching
from trunkline.calls.flows.outgoing_limits import OutgoingUsage
from trunkline.core.errors import NotFound
from trunkline.core.ids import IdGenerator
from trunkline.db.partitions import ensure_for
from trunkline.db.pool import Database
from trunkline.directory.model import Directory, OutgoingLimits

pytestmark = pytest.mark.attack

ACCOUNT, OTHER_ACCOUNT = c.ACCOUNT, 1002


async def charge(db: Database, call: int, account_id: int, login: str, money: str, at: datetime) -> None:
    async with db.connection() as connection:
        await ensure_for(connection, call)
        await connection.execute(
            "insert into call_legs (account_id, call_session_id, leg_id, start_time, direction,"
            " calling_phone_number, is_operator) values (%s, %s, 1, %s, 'in', %s, true)",
            (account_id, call, at, login),
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
    await charge(db, ids.next(), ACCOUNT, c.ANNA_LINE, "1.5", now)
    await charge(db, ids.next(), ACCOUNT, c.BORIS_LINE, "2.25", now)
    await charge(db, ids.next(), ACCOUNT, c.BORIS_LINE, "100", now - timedelta(days=2))
    await charge(db, ids.next(), OTHER_ACCOUNT, c.BORIS_LINE, "50", now)
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
