"""``get.financial_call_legs_report``: who may ask, whose legs come, and what one costs."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.apis.data_api.client import DataApiClient
from tests.billing.company import give_plan, rate
from tests.reports.company import ACCOUNT
from tests.reports.lifelike import generate_calls, store

METHOD = "get.financial_call_legs_report"
MARCH = {"date_from": "2026-03-01 00:00:00", "date_till": "2026-03-31 23:59:59"}


@pytest.fixture
async def charged(client: DataApiClient) -> list[dict[str, Any]]:
    """Legs of a few calls."""
    await give_plan(client.db, ACCOUNT)
    calls = generate_calls(ACCOUNT, datetime(2026, 3, 2, tzinfo=UTC), 3, 12)
    await store(client.db, calls)
    await rate(client.db, calls)
    rows = await client.rows(METHOD, **MARCH)
    assert len(rows) == 2 * len(calls)
    return rows


async def test_a_leg_that_costs(client: DataApiClient, charged: list[dict[str, Any]]) -> None:
    row = next(row for row in charged if row["total_charge"])
    assert row["source"] in ("va", "callapi")
    assert row["cost_per_minute"] == 0.01
    exact = Decimal(row["chargeable_duration"]) * Decimal("0.01") / 60
    assert abs(Decimal(str(row["total_charge"])) - exact) <= Decimal("0.00005")
    assert row["bonuses_charge"] == 0
    same = {"field": "leg_id", "operator": "=", "value": row["leg_id"]}
    assert await client.rows(METHOD, **MARCH, filter=same) == [row]


async def test_dearest_first(client: DataApiClient, charged: list[dict[str, Any]]) -> None:
    asked = {"fields": ["total_charge"], "sort": [{"field": "total_charge", "order": "desc"}]}
    costs = [row["total_charge"] for row in await client.rows(METHOD, **MARCH, **asked)]
    assert costs == sorted((row["total_charge"] for row in charged), reverse=True)


@pytest.mark.usefixtures("charged")
async def test_who_may_ask(client: DataApiClient) -> None:
    client.as_member("va:select")
    assert (await client.fault(METHOD, **MARCH))[0] == "forbidden"
    client.as_member("account_access:select")
    assert await client.rows(METHOD, **MARCH)
    client.as_other_account()
    assert await client.rows(METHOD, **MARCH) == []
