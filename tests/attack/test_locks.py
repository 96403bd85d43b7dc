"""No agent, limit or payment undoes a lock that the operator of the installation has set, and the other way round."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from tests.apis.data_api.test_agents import CUSTOMER, Agency, customer, plan
from tests.apis.data_api.test_agents import agency as agency  # fixture
from trunkline.accounts.customers import CustomerStatus, put_status
from trunkline.accounts.model import Status
from trunkline.db import migrate, migrations

pytestmark = pytest.mark.attack


async def _client(agency: Agency) -> int:
    made = await agency.do("create.customers", **CUSTOMER, tariff_plan_id=await plan(agency))
    await agency.do("update.customer_status", customer_id=made["id"], status="active")
    return int(made["id"])


async def _state(agency: Agency, client: int) -> str:
    return str((await agency.administration.account(client))["status"])


@pytest.mark.parametrize("first", ["agent", "operator"])
async def test_an_agent_does_not_undo_the_operators_lock(agency: Agency, first: str) -> None:
    client = await _client(agency)
    for who in (first, {"agent": "operator", "operator": "agent"}[first]):
        if who == "agent":
            await agency.answer("update.customer_status", customer_id=client, status="manual_lock")
        else:
            await agency.administration.set_status(client, Status.DISABLED)
    for status in ("active", "manual_lock", "archive", "active"):
        await agency.answer("update.customer_status", customer_id=client, status=status)
        assert await _state(agency, client) == "disabled", status
    await agency.answer(
        "update.customers", id=client, name="New", password="another one", monthly_base_limit=1
    )
    await agency.answer("update.customer_tariff_plans", customer_id=client, tariff_plan_id=await plan(agency))
    assert await _state(agency, client) == "disabled"


async def test_a_limit_that_is_over_does_not_undo_the_operators_lock(agency: Agency) -> None:
    client = await _client(agency)
    for status in (CustomerStatus.LIMIT_LOCK, CustomerStatus.DEBT_LOCK):
        async with agency.db.connection() as connection:
            await put_status(connection, agency.agent.account_id, client, status)
        await agency.administration.set_status(client, Status.DISABLED)
        async with agency.db.connection() as connection:
            await put_status(connection, agency.agent.account_id, client, CustomerStatus.ACTIVE)
        assert await _state(agency, client) == "disabled"
        await agency.administration.set_status(client, Status.ACTIVE)
        assert await _state(agency, client) == "active"


async def test_the_operator_removes_each_lock_by_itself(agency: Agency) -> None:
    client = await _client(agency)
    await agency.do("update.customer_status", customer_id=client, status="manual_lock")
    await agency.administration.set_status(client, Status.DISABLED)
    await agency.administration.set_status(client, Status.ACTIVE)
    assert await _state(agency, client) == "disabled", "the agent's lock stays"
    await agency.administration.lift_agent_lock(client)
    assert await _state(agency, client) == "active"
    assert (await customer(agency, client))["status"] == "active"


def test_an_upgrade_keeps_each_lock(empty_database: str) -> None:
    [file] = Path(migrations.__file__).parent.glob("*_account_locks.sql")
    migrate.upgrade(empty_database, f"{int(file.name[:4]) - 1:04d}")
    with psycopg.connect(empty_database) as connection:
        connection.execute("insert into accounts (account_id, name, is_agent) values (1, 'Agent', true)")
        connection.execute(
            "insert into accounts (account_id, name, status, parent_account_id) values"
            " (2, 'waits', 'disabled', 1), (3, 'operator', 'disabled', 1), (4, 'works', 'active', 1),"
            " (5, 'alone', 'disabled', null)"
        )
        connection.execute(
            "insert into customers (account_id, customer_id, status) values (1, 2, 'waiting'), (1, 3, 'active')"
        )
    migrate.upgrade(empty_database)
    with psycopg.connect(empty_database) as connection:
        found = connection.execute(
            "select account_id, locked_by_operator, locked_by_agent, status from accounts where account_id <= 5"
            " order by 1"
        ).fetchall()
    assert found == [
        (1, False, False, "active"),
        (2, False, True, "disabled"),
        (3, True, False, "disabled"),
        (4, False, False, "active"),
        (5, True, False, "disabled"),
    ]
