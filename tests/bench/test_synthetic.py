"""The calls that the benchmark makes up agree with themselves, and both its sides answer alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from tests.apis.data_api.client import DataApiClient, open_client
from tests.reports.company import ACCOUNT
from trunkline.bench import synthetic
from trunkline.bench.questions import questions
from trunkline.db.pool import Database

SESSIONS = 3000
ALL = (ACCOUNT, 901, 902, 903, 904)


async def one(db: Database, query: str) -> Any:
    row = await db.fetch_one(query)
    assert row is not None
    return next(iter(row.values()))


def _wednesday() -> datetime:
    """The last one that is over: on Sundays there are hardly any calls, and questions about a day find none."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    return (yesterday - timedelta(days=(yesterday.weekday() - 2) % 7)).replace(hour=16)


@pytest.mark.timeout(300)
async def test_legs_and_charges_are_those_of_the_calls(database: str) -> None:
    now = _wednesday()
    async with await Database.open(database) as db:
        client = await open_client(db)
        await synthetic.fill(database, ALL, SESSIONS, now)
        assert await one(db, f"select count(*) from call_sessions where account_id = {ACCOUNT}") == SESSIONS
        assert await one(db, "select sum(sessions) from call_counts") == await one(
            db, "select count(*) from call_sessions"
        )
        legs = await one(db, "select count(*) from call_legs")
        assert legs > 2 * await one(db, "select count(*) from call_sessions")
        assert legs == await one(
            db, "select count(*) from call_legs join leg_charges using (account_id, call_session_id, leg_id)"
        )
        differing = """select count(*) from call_sessions s join (
            select account_id, call_session_id, sum(duration) filter (where is_operator) as talked,
                max(total_duration) as total, count(*) filter (where not is_operator) as contacts,
                count(*) filter (where is_operator and employee_id is null) as nobodies
            from call_legs group by 1, 2) l using (account_id, call_session_id)
            where talk_duration <> coalesce(talked, 0) or total_duration <> total or contacts <> 1 or nobodies > 0"""
        assert await one(db, differing) == 0
        unpaid = """select count(*) from leg_charges join call_legs using (account_id, call_session_id, leg_id)
            where (total_charge > 0) <> (not is_operator and coalesce(call_legs.duration, 0) > 0)"""
        assert await one(db, unpaid) == 0

        await check_both_sides(client, now)


async def check_both_sides(client: DataApiClient, now: datetime) -> None:
    """The Data API and the SQL written by hand say the same to every question, and not nothing."""
    found = 0
    for question in questions(ACCOUNT, SESSIONS, now):
        answer = (await client.answer(question.method, **question.params))["result"]
        row = await client.db.fetch_one(question.rows)
        assert row is not None
        text, count = row.values()
        assert answer["data"] == orjson.loads(f"[{text or ''}]"), question.name
        limit, offset = question.params.get("limit", 1000), question.params.get("offset", 0)
        total = offset + count
        if count == limit:
            total = await one(client.db, question.count)
        assert answer["metadata"]["total_items"] == total, question.name
        found += total > 0
    assert found > 8
