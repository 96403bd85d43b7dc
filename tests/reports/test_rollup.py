"""Totals that are summed from counts by the hour against totals that are counted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.reports.company import ACCOUNT, OTHER_ACCOUNT
from tests.reports.directory_rows import store_directory
from tests.reports.lifelike import generate_calls, id_at, insert
from trunkline.db.partitions import ensure_for
from trunkline.db.pool import Database
from trunkline.db.query.rollup import whole_hours
from trunkline.reports import rollup
from trunkline.reports.calls import calls_report
from trunkline.reports.reader import Reader

KOLKATA = ZoneInfo("Asia/Kolkata")
"""Its days do not begin with an hour of UTC."""
FIRST = datetime(2026, 3, 2, tzinfo=UTC)
FILTERS: list[Any] = [
    None,
    {"field": "is_lost", "operator": "=", "value": True},
    {"field": "is_lost", "operator": "=null"},
    {
        "filters": [
            {"field": "is_lost", "operator": "!=", "value": True},
            {"field": "direction", "operator": "=", "value": "in"},
        ]
    },
    {"field": "talk_duration", "operator": ">", "value": 100},
]


@pytest.fixture
async def db(database: str) -> AsyncIterator[Database]:
    async with await Database.open(database) as opened:
        for account in (ACCOUNT, OTHER_ACCOUNT):
            await store_directory(opened, account)
        async with opened.connection() as connection:
            await ensure_for(connection, id_at(FIRST))
        yield opened


async def summed(db: Database, params: dict[str, Any]) -> tuple[int, int]:
    """The total of a full page, which is summed, and the length of the whole list."""
    reader = Reader(db, ACCOUNT, KOLKATA)
    total = (await calls_report(reader, {**params, "limit": 0})).total_items
    return total, (await calls_report(reader, {**params, "fields": ["id"]})).count


_moments = st.integers(0, 5 * 86400).map(lambda seconds: FIRST + timedelta(seconds=seconds))


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(
    seed=st.integers(0, 10**6),
    period=st.tuples(_moments, _moments).map(sorted),
    filter=st.sampled_from(FILTERS),
    ongoing=st.booleans(),
    folded=st.booleans(),
)
async def test_totals_are_exact(
    db: Database, seed: int, period: list[datetime], filter: Any, ongoing: bool, folded: bool
) -> None:
    """Whatever was added, changed and removed."""
    async with db.connection() as connection:
        await connection.execute("delete from call_sessions")
        for account, count in ((ACCOUNT, 40), (OTHER_ACCOUNT, 5)):
            reported = [
                generated.session
                for generated in generate_calls(account, FIRST, days=5, count=count, seed=seed)
            ]
            await insert(connection, "call_sessions", reported)
        ids = [row["call_session_id"] for row in reported]
        await connection.execute(
            "update call_sessions set finish_time = null, is_lost = null where call_session_id %% 5 = %s",
            (seed % 5,),
        )
        await connection.execute(
            "update call_sessions set start_time = start_time + interval '50 minutes' where call_session_id %% 3 = %s",
            (seed % 3,),
        )
        await connection.execute("delete from call_sessions where call_session_id = any(%s)", (ids[::4],))
    if folded:
        await rollup.compact(db)
    shown = [moment.astimezone(KOLKATA).strftime("%Y-%m-%d %H:%M:%S") for moment in period]
    params: dict[str, Any] = {"date_from": shown[0], "date_till": shown[1], "include_ongoing_calls": ongoing}
    if filter is not None:
        params["filter"] = filter
    total, listed = await summed(db, params)
    assert total == listed


async def test_folding_leaves_few_lines(db: Database) -> None:
    reported = [generated.session for generated in generate_calls(ACCOUNT, FIRST, days=1, count=300)]
    for row in reported:
        row["start_time"] = FIRST
    async with db.connection() as connection:
        await insert(connection, "call_sessions", reported)
    await rollup.compact(db)
    [lines] = await db.fetch_all("select count(*) as n, sum(sessions)::int as calls from call_counts")
    assert lines["calls"] == 300
    assert lines["n"] <= 4


@given(_moments, st.integers(0, 3 * 86400))
def test_whole_hours(start: datetime, seconds: int) -> None:
    end = start + timedelta(seconds=seconds)
    found = whole_hours(start, end)
    if found is None:
        assert seconds < 2 * 3600
        return
    first, last = found
    assert start <= first < last <= end
    assert first - start < timedelta(hours=1) > end - last
    assert {first.minute, first.second, last.minute, last.second} == {0}
