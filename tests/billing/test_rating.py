"""Calls that are over are charged once, as the plan was then; reports and statements agree."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from psycopg.errors import UndefinedTable

from tests.billing.company import give_plan, rate, tariffs, wait_for_rating
from tests.reports.lifelike import GeneratedCall, generate_calls, store
from trunkline.billing.financial_legs import FINANCIAL_LEGS, financial_legs_report
from trunkline.billing.rating import BillingListener, Rater
from trunkline.billing.statement import statement
from trunkline.billing.tariffs import apply_tariffs
from trunkline.core.clock import Instant
from trunkline.core.errors import NotFound
from trunkline.db.pool import Database
from trunkline.events.catalogue import Event, EventType, call_stream
from trunkline.reports.legs import call_legs_report
from trunkline.reports.reader import Reader

ACCOUNT = 1001
OTHER_ACCOUNT = 1002
MARCH = {"date_from": "2026-03-01 00:00:00", "date_till": "2026-03-31 23:59:59", "limit": 1000}


@pytest.fixture
async def reader(db: Database) -> Reader:
    for account_id in (ACCOUNT, OTHER_ACCOUNT):
        await db.execute(
            "insert into accounts (account_id, name, time_zone) values (%s, 'Harbour Tours', 'Asia/Dubai')",
            (account_id,),
        )
    await give_plan(db, ACCOUNT)
    return Reader(db, ACCOUNT, ZoneInfo("Asia/Dubai"))


def reported(day: int = 2, days: int = 5, count: int = 40, account_id: int = ACCOUNT) -> list[GeneratedCall]:
    return generate_calls(account_id, datetime(2026, 3, day, tzinfo=UTC), days, count, seed=day)


async def charged(reader: Reader, **params: Any) -> list[dict[str, Any]]:
    page = await financial_legs_report(reader, {**MARCH, **params})
    rows: list[dict[str, Any]] = json.loads(page.rows, parse_float=Decimal)
    return rows


def one_call_out(reported: Sequence[GeneratedCall], called: str, duration: int) -> GeneratedCall:
    generated = next(generated for generated in reported if not generated.session["is_lost"])
    generated.legs[0] |= {"direction": "out", "called_phone_number": called, "duration": duration}
    return generated


async def test_each_leg_is_listed_with_the_duration_it_has(reader: Reader) -> None:
    calls = reported()
    await store(reader.database, calls)
    assert await charged(reader) == []
    await rate(reader.database, calls)
    fields = ["id", "call_session_id", "duration", "direction", "calling_phone_number", "called_phone_number"]
    page = await call_legs_report(reader, {**MARCH, "fields": fields})
    legs = {row["id"]: row for row in json.loads(page.rows)}
    rows = await charged(reader)
    assert {row["leg_id"] for row in rows} == set(legs)
    for row in rows:
        assert set(row) == set(FINANCIAL_LEGS.by_name)
        assert {name: row[name] for name in fields[1:]} == {
            name: legs[row["leg_id"]][name] for name in fields[1:]
        }
    by_trunk = [row for row in rows if row["direction"] == "in"]
    assert all(row["chargeable_duration"] == row["duration"] for row in by_trunk)
    assert all(row["total_charge"] == 0 for row in rows if row["direction"] == "out")
    assert sum(row["total_charge"] for row in by_trunk) > 0


async def test_sums_agree(reader: Reader) -> None:
    calls = reported()
    await store(reader.database, calls)
    await rate(reader.database, calls)
    rows = await charged(reader)
    sessions: dict[int, Decimal] = {}
    for row in rows:
        sessions[row["call_session_id"]] = (
            sessions.get(row["call_session_id"], Decimal(0)) + row["total_charge"]
        )
    kept = await reader.database.fetch_all(
        "select call_session_id, sum(total_charge) as total from leg_charges group by call_session_id"
    )
    assert {row["call_session_id"]: row["total"] for row in kept} == sessions
    month = await statement(reader.database, ACCOUNT, date(2026, 3, 17))
    assert month.calls_total == month.total == sum(sessions.values())
    assert month.plan == "Standard"
    assert sum(row["chargeable_duration"] for row in month.calls) == sum(
        row["chargeable_duration"] for row in rows
    )
    assert (await statement(reader.database, ACCOUNT, date(2026, 4, 1))).total == 0
    with pytest.raises(NotFound):
        await statement(reader.database, 999, date(2026, 4, 1))


async def test_what_was_charged_stays_whatever_changes(reader: Reader) -> None:
    calls = reported()
    await store(reader.database, calls)
    await rate(reader.database, calls)
    before = await charged(reader)
    form = tariffs().model_copy(deep=True)
    form.plans["standard"].prices[0].inbound[""] = form.plans["standard"].prices[1].outbound[""]
    await apply_tariffs(reader.database, form)
    await rate(reader.database, calls)
    assert await charged(reader) == before
    later = reported(day=8, days=1, count=10)
    rater = Rater(reader.database)
    await store(reader.database, later)
    await wait_for_rating(reader.database, later)
    await rater.rate_waiting()
    costs = {row["cost_per_minute"] for row in await charged(reader) if row not in before}
    assert costs == {Decimal(2), None}
    await apply_tariffs(reader.database, tariffs())
    last = reported(day=9, days=1, count=10)[:1]
    await store(reader.database, last)
    await wait_for_rating(reader.database, last)
    await rater.rate_waiting()
    [row] = await charged(
        reader,
        filter={
            "filters": [
                {"field": "call_session_id", "operator": "=", "value": last[0].session["call_session_id"]},
                {"field": "direction", "operator": "=", "value": "in"},
            ],
            "condition": "and",
        },
    )
    assert row["cost_per_minute"] == Decimal("0.01"), "a rater reads anew what changed"


@pytest.mark.parametrize(
    ("called", "duration", "charge"),
    [
        ("971500000010", 61, ("0.38", 66, "0.3", "mobile")),
        ("97142000200", 61, ("0.3", 120, "0.15", "international")),
        ("442079460950", 5, ("0", 0, "0.1", "national")),
        ("442079460950", 7, ("0.0117", 7, "0.1", "national")),
        ("12025550110", 0, ("0", 0, "0.9", "international")),
    ],
)
async def test_a_call_out(reader: Reader, called: str, duration: int, charge: tuple[Any, ...]) -> None:
    country = "AE" if charge[3] == "mobile" else "DE"
    await reader.database.execute(
        "update accounts set country = %s where account_id = %s", (country, ACCOUNT)
    )
    generated = one_call_out(reported(), called, duration)
    await store(reader.database, [generated])
    await rate(reader.database, [generated])
    total, seconds, cost, kind = charge
    [row] = [row for row in await charged(reader) if row["leg_id"] == generated.legs[0]["leg_id"]]
    assert (row["chargeable_duration"], row["direction_type"]) == (seconds, kind)
    assert Decimal(row["total_charge"]) == Decimal(total)
    assert Decimal(row["cost_per_minute"]) == Decimal(cost)
    assert row["bonuses_charge"] == 0


async def test_prices_hold_from_the_accounts_midnight(reader: Reader) -> None:
    calls = reported()[:2]
    for generated, start in zip(calls, ("2026-03-09T19:59:59", "2026-03-09T20:00:00"), strict=True):
        generated.legs[0]["start_time"] = datetime.fromisoformat(start).replace(tzinfo=UTC)
    await store(reader.database, calls)
    await rate(reader.database, calls)
    costs = [
        row["cost_per_minute"]
        for row in await charged(reader, sort=[{"field": "start_time"}])
        if row["direction"] == "in"
    ]
    assert costs == [Decimal("0.01"), Decimal("0.02")]


async def test_without_a_plan_or_prices_in_its_currency_nothing_is_charged(reader: Reader) -> None:
    await reader.database.execute("update accounts set currency = 'EUR' where account_id = %s", (ACCOUNT,))
    for day, account_id in ((2, ACCOUNT), (3, OTHER_ACCOUNT)):
        calls = reported(day, account_id=account_id, count=5)
        await store(reader.database, calls)
        await rate(reader.database, calls)
    rows = await charged(reader)
    assert len(rows) == 10, "of another account nothing is seen"
    assert {(row["total_charge"], row["cost_per_minute"]) for row in rows} == {(0, None)}


async def test_uploaded_and_living_calls_are_not_charged(reader: Reader) -> None:
    uploaded, living = reported()[:2]
    uploaded.session["source"] = "upload_calls"
    living.session["finish_time"] = None
    await store(reader.database, [uploaded, living])
    await rate(reader.database, [uploaded, living])
    assert await charged(reader) == []
    waiting = await reader.database.fetch_all("select call_session_id from unrated_calls")
    assert waiting == [{"call_session_id": living.session["call_session_id"]}]
    await reader.database.execute(
        "update unrated_calls set try_at = now(), ended_at = now() - interval '2 days'"
    )
    await Rater(reader.database).rate_waiting()
    assert await reader.database.fetch_all("select from unrated_calls") == []


async def test_a_call_that_cannot_be_charged_stops_no_other(reader: Reader) -> None:
    calls = reported(count=4)
    calls[1].legs[0]["direction"] = "out"
    await store(reader.database, calls)
    await reader.database.execute(
        "alter table leg_charges add constraint spoilt check (call_session_id <> %s)".replace(
            "%s", str(calls[1].session["call_session_id"])
        ).encode()
    )
    try:
        await rate(reader.database, calls)
        rated = {row["call_session_id"] for row in await charged(reader)}
        assert rated == {generated.session["call_session_id"] for generated in calls} - {
            calls[1].session["call_session_id"]
        }
        assert len(await reader.database.fetch_all("select from unrated_calls where try_at > now()")) == 1
    finally:
        await reader.database.execute("alter table leg_charges drop constraint spoilt")


@pytest.mark.durability
async def test_a_missing_table_postpones_no_call(reader: Reader) -> None:
    """It is no fault of the calls: they are charged at the next attempt, not five minutes later."""
    calls = reported(count=1)
    await store(reader.database, calls)
    await reader.database.execute("alter table leg_charges rename to mislaid")
    try:
        with pytest.raises(UndefinedTable):
            await rate(reader.database, calls)
    finally:
        await reader.database.execute("alter table mislaid rename to leg_charges")
    await Rater(reader.database).rate_waiting()
    assert {row["call_session_id"] for row in await charged(reader)} == {calls[0].session["call_session_id"]}


async def test_the_relay_notes_what_is_over(reader: Reader) -> None:
    generated = reported()[0]
    await store(reader.database, [generated])
    number = generated.session["call_session_id"]
    events = [
        Event(ACCOUNT, call_stream(number), seq, kind, Instant(1_772_400_000.0))
        for seq, kind in enumerate((EventType.LEG_ENDED, EventType.SESSION_FINISHED))
    ]
    for _ in range(2):
        async with reader.database.connection() as connection:
            await BillingListener().on_events(connection, events)
    assert len(await reader.database.fetch_all("select from unrated_calls")) == 1
    await Rater(reader.database).rate_waiting()
    assert len(await charged(reader)) == 2
