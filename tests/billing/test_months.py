"""Monthly fees, and limits that lock a client."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from tests.billing.company import give_plan, rate
from tests.reports.lifelike import generate_calls, store
from tests.shared_database import SharedDatabase
from trunkline.accounts import NewAccount
from trunkline.accounts.administration import AccountProfile, Administration
from trunkline.accounts.customers import CustomerStatus, set_customer_status
from trunkline.billing.fees import charge_fees
from trunkline.billing.limits import enforce_limits
from trunkline.billing.statement import statement
from trunkline.core.errors import InvalidState
from trunkline.db.jobs import Jobs
from trunkline.db.pool import Database

MID_MARCH = datetime(2026, 3, 5, 12, tzinfo=UTC)


@pytest.fixture
def jobs(purses: SharedDatabase) -> Jobs:
    return Jobs(purses.dsn)


@pytest.fixture
async def agent(db: Database) -> NewAccount:
    return await Administration(db).create_account(AccountProfile("Agent", is_agent=True), login="agent")


@pytest.fixture
async def client(db: Database, agent: NewAccount) -> int:
    """A client of the agent with the plan of the tests, one number of the inventory, one of its own, and a line."""
    profile = AccountProfile("Client", time_zone="Asia/Dubai", parent_account_id=agent.account_id)
    client_id = (await Administration(db).create_account(profile, login="client")).account_id
    await give_plan(db, client_id)
    await db.execute(
        "insert into virtual_numbers (account_id, virtual_number_id, phone_number, activation_date, is_verified)"
        " values (%s, 7001, '442079460100', '2026-03-02', true), (%s, 7002, '442079460101', '2026-02-02', true)",
        (client_id, client_id),
    )
    await db.execute(
        "insert into number_inventory (account_id, number_capacity_id, phone_number, onetime_payment, monthly_charge)"
        " values (0, 7001, '442079460100', 30, 12.5)"
    )
    await db.execute(
        "insert into sip_lines (account_id, phone_number, ha1_md5, ha1_sha256) values (%s, '500001', 'a', 'b')",
        (client_id,),
    )
    return client_id


async def status_of(db: Database, client_id: int) -> str:
    row = await db.fetch_one(
        "select c.status || ' ' || a.status as status from customers c"
        " join accounts a on a.account_id = c.customer_id where customer_id = %s",
        (client_id,),
    )
    return str(row["status"]) if row else "none"


async def test_a_month_is_charged_once(db: Database, client: int) -> None:
    assert await charge_fees(db, MID_MARCH) == 5
    assert await charge_fees(db, MID_MARCH) == 0
    month = await statement(db, client, date(2026, 3, 1))
    assert [(fee["kind"], fee["item"], str(fee["amount"])) for fee in month.fees] == [
        ("account", "", "50.0000"),
        ("line", "500001", "5.5000"),
        ("number", "442079460100", "12.5000"),
        ("number", "442079460101", "20.0000"),
        ("number_activation", "442079460100", "30.0000"),
    ]
    assert month.total == 118
    await db.execute("update virtual_numbers set activation_date = now() where virtual_number_id = 7002")
    await db.execute(
        "insert into sip_lines (account_id, phone_number, ha1_md5, ha1_sha256) values (%s, '500002', 'a', 'b')",
        (client,),
    )
    assert await charge_fees(db, MID_MARCH) == 1, "what came since costs, too"


async def test_a_month_begins_at_the_accounts_midnight(db: Database, client: int) -> None:
    await charge_fees(db, datetime(2026, 2, 28, 19, 59, 59, tzinfo=UTC))
    assert (await statement(db, client, date(2026, 3, 1))).fees == []
    await charge_fees(db, datetime(2026, 2, 28, 20, 0, 0, tzinfo=UTC))
    assert (await statement(db, client, date(2026, 3, 1))).fees != []


async def test_prices_of_later_in_the_month_do_not_change_what_was_charged(db: Database, client: int) -> None:
    await charge_fees(db, MID_MARCH)
    assert await charge_fees(db, datetime(2026, 3, 20, tzinfo=UTC)) == 0
    april = datetime(2026, 4, 2, tzinfo=UTC)
    await charge_fees(db, april)
    kinds = {fee["kind"] for fee in (await statement(db, client, april.date())).fees}
    assert kinds == {"number"}, "the newer price list has no fees: the inventory's number alone costs"


async def test_a_client_that_spent_its_limit_is_locked_until_the_month_is_over(
    db: Database, jobs: Jobs, agent: NewAccount, client: int
) -> None:
    await db.execute(
        "insert into customers (account_id, customer_id, status, monthly_base_limit) values (%s, %s, 'active', 118.1)",
        (agent.account_id, client),
    )
    await charge_fees(db, MID_MARCH)
    assert await enforce_limits(db, jobs, MID_MARCH) == 0
    calls = generate_calls(client, datetime(2026, 3, 2, tzinfo=UTC), days=2, count=40)
    await store(db, calls)
    await rate(db, calls)
    assert await enforce_limits(db, jobs, MID_MARCH) == 1
    assert await status_of(db, client) == "limit_lock disabled"
    assert await enforce_limits(db, jobs, MID_MARCH) == 0
    with pytest.raises(InvalidState):
        await set_customer_status(db, agent.account_id, client, CustomerStatus.ACTIVE)
    assert await enforce_limits(db, jobs, datetime(2026, 4, 1, tzinfo=UTC)) == 1
    assert await status_of(db, client) == "active active"


async def test_limits_of_calls(db: Database, jobs: Jobs, agent: NewAccount, client: int) -> None:
    await store(db, generate_calls(client, datetime(2026, 3, 5, tzinfo=UTC), days=1, count=10, seed=3))
    await db.execute(
        "insert into customers (account_id, customer_id, status, monthly_calls_limit, daily_calls_limit)"
        " values (%s, %s, 'active', 11, 10)",
        (agent.account_id, client),
    )
    midnight = datetime(2026, 3, 5, 20, tzinfo=UTC)
    await db.execute("update call_sessions set start_time = '2026-03-05 10:00+00'")
    assert await enforce_limits(db, jobs, datetime(2026, 3, 5, 19, 59, tzinfo=UTC)) == 1
    assert await status_of(db, client) == "limit_lock disabled"
    assert await enforce_limits(db, jobs, midnight) == 1, "the next day has calls of its own"
    assert await status_of(db, client) == "active active"
    await db.execute("update customers set monthly_calls_limit = 10")
    assert await enforce_limits(db, jobs, midnight) == 1
    await db.execute("update customers set monthly_calls_limit = null")
    assert await enforce_limits(db, jobs, midnight) == 1


async def test_who_is_locked_for_another_reason_stays_so(
    db: Database, jobs: Jobs, agent: NewAccount, client: int
) -> None:
    await db.execute(
        "insert into customers (account_id, customer_id, status, monthly_base_limit) values (%s, %s, 'active', 0)",
        (agent.account_id, client),
    )
    await set_customer_status(db, agent.account_id, client, CustomerStatus.MANUAL_LOCK)
    assert await enforce_limits(db, jobs, MID_MARCH) == 0
    assert await status_of(db, client) == "manual_lock disabled"
