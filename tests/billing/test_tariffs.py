"""Tariff files: what they may say, what applying them changes, and who has which plan."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.billing.company import TARIFFS, tariffs
from trunkline.accounts.administration import AccountProfile, Administration
from trunkline.billing.tariff_file import read_tariffs
from trunkline.billing.tariffs import apply_tariffs, assign_plan, list_plans, pending_changes
from trunkline.core.errors import DirectoryFileError, InvalidInput, NotFound
from trunkline.db.pool import Database


async def test_a_file_is_applied_once(db: Database) -> None:
    pending = await pending_changes(db, tariffs())
    assert "+ cheap name: cheap" in pending
    assert "+ standard USD from 2026-01-01 out 9715: 0.3 a minute, connection 0.05, 30/6" in pending
    assert "+ standard USD from 2026-01-01 out 44: 0.1 a minute, 1/1, 5 s free, national" in pending
    assert "+ standard USD from 2026-01-01 monthly: account 50, number 20, line 5.5" in pending
    assert not any(line.startswith("~") for line in pending), "the plan Standard is there from the start"
    assert await apply_tariffs(db, tariffs()) == pending
    rows = await db.fetch_all("select xmin::text, * from tariff_prices order by tariff_price_id")
    assert await pending_changes(db, tariffs()) == await apply_tariffs(db, tariffs()) == []
    assert await db.fetch_all("select xmin::text, * from tariff_prices order by tariff_price_id") == rows


async def test_what_changed_is_reported_and_the_rest_stays(db: Database, tmp_path: Path) -> None:
    await apply_tariffs(db, tariffs())
    text = TARIFFS.read_text().replace("971: 0.15", "972: 0.15").replace("any: 0.90", "any: 0.95")
    changed = tmp_path / "changed.yaml"
    changed.write_text(text[: text.index("      - from: 2026-03-10")])
    lines = await apply_tariffs(db, read_tariffs(changed))
    assert lines == [
        "- standard USD from 2026-01-01 out 971: 0.15 a minute, 60/60",
        "+ standard USD from 2026-01-01 out 972: 0.15 a minute, 60/60",
        "~ standard USD from 2026-01-01 out any: 0.9 a minute, 60/60 -> 0.95 a minute, 60/60",
    ]
    plans = {row["key"]: row for row in await list_plans(db)}
    assert plans["standard"]["prices"] == [
        "AED from 2026-01-01",
        "USD from 2026-01-01",
        "USD from 2026-03-10",
    ]
    revisions = await db.fetch_all("select revision from tariff_prices order by currency, valid_from")
    assert [row["revision"] for row in revisions][-2:] == [2, 1] or sorted(
        row["revision"] for row in revisions
    ) == [1, 1, 1, 2]


async def test_amounts_are_as_they_are_written(db: Database, tmp_path: Path) -> None:
    file = tmp_path / "exact.yaml"
    file.write_text("plans: {p: {prices: [{from: 2026-01-01, currency: USD, out: {any: 123456.7891}}]}}")
    await apply_tariffs(db, read_tariffs(file))
    [row] = await db.fetch_all("select cost_per_minute::text as cost from tariff_rates")
    assert row["cost"] == "123456.7891"


@pytest.mark.parametrize(
    ("written", "instead", "reported"),
    [
        ("currency: AED", "currency: dirham", "currency"),
        ("rounding: 30/6", "rounding: 0/6", "rounding"),
        ("rounding: 30/6", "rounding: often", "rounding"),
        ("9715:", "0971:", "prefix"),
        ("1800: 0.07", "1800: 0.00001", "decimal"),
        ("1800: 0.07", "1800: -1", "greater"),
        ("1800: 0.07", "1800: nan", "number"),
        ("type: national", "type: lunar", "type"),
        ("from: 2026-03-10", "from: 2026-01-01", "same"),
        ("from: 2026-03-10", "from: soon", "date"),
        ("free_seconds: 5", "free: 5", "free"),
    ],
)
def test_mistakes_are_reported(tmp_path: Path, written: str, instead: str, reported: str) -> None:
    file = tmp_path / "wrong.yaml"
    assert written in TARIFFS.read_text()
    file.write_text(TARIFFS.read_text().replace(written, instead, 1))
    with pytest.raises(DirectoryFileError, match=re.compile(reported, re.IGNORECASE)):
        read_tariffs(file)


async def test_plans_of_an_agent_are_its_own(db: Database) -> None:
    administration = Administration(db)
    agent = await administration.create_account(AccountProfile("Agent", is_agent=True), login="agent")
    client = await administration.create_account(
        AccountProfile("Client", parent_account_id=agent.account_id), login="client"
    )
    other = await administration.create_account(AccountProfile("Other"), login="other")
    with pytest.raises(NotFound):
        await pending_changes(db, tariffs(), other.account_id)
    await apply_tariffs(db, tariffs(), agent.account_id)
    with pytest.raises(NotFound):
        await assign_plan(db, other.account_id, "cheap")
    await assign_plan(db, other.account_id, "standard")
    await assign_plan(db, client.account_id, "cheap")
    rows = {(row["offered_to"], row["key"]): row["accounts"] for row in await list_plans(db)}
    assert rows == {(0, "standard"): 1, (agent.account_id, "cheap"): 1, (agent.account_id, "standard"): 0}
    with pytest.raises(InvalidInput):
        await assign_plan(db, client.account_id, None)
    await assign_plan(db, other.account_id, None)
    [plan] = await db.fetch_all(
        "select p.key from customers join tariff_plans p using (tariff_plan_id) where customer_id = %s",
        (client.account_id,),
    )
    assert plan == {"key": "cheap"}
    with pytest.raises(NotFound):
        await assign_plan(db, 999, "standard")
