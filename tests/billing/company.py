"""A plan for the tests, and calls that wait to be charged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from tests.reports.lifelike import GeneratedCall
from trunkline.billing.rating import Rater
from trunkline.billing.tariff_file import TariffForm, read_tariffs
from trunkline.billing.tariffs import apply_tariffs
from trunkline.db.pool import Database

TARIFFS = Path(__file__).with_name("tariffs.yaml")
START = datetime.fromisoformat("2026-01-01T00:00:00+00:00")


def tariffs() -> TariffForm:
    return read_tariffs(TARIFFS)


async def give_plan(db: Database, account_id: int, key: str = "standard") -> None:
    """The account has the plan since :data:`START`, with the prices of the file next to this module."""
    await apply_tariffs(db, tariffs())
    await db.execute(
        "insert into account_tariff_plans (account_id, since, tariff_plan_id)"
        " select %s, %s, tariff_plan_id from tariff_plans where account_id = 0 and key = %s",
        (account_id, START, key),
    )


async def wait_for_rating(db: Database, reported: Sequence[GeneratedCall]) -> None:
    """As the relay notes calls that are over."""
    for generated in reported:
        await db.execute(
            "insert into unrated_calls (account_id, call_session_id, ended_at) values (%s, %s, now())"
            " on conflict do nothing",
            (generated.session["account_id"], generated.session["call_session_id"]),
        )


async def rate(db: Database, reported: Sequence[GeneratedCall]) -> None:
    """Charge these calls."""
    await wait_for_rating(db, reported)
    await Rater(db).rate_waiting()
