"""Limits of stored recordings that accounts have reached: in status, and as events."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.accounts.administration import Administration
from trunkline.db.pool import Database
from trunkline.roles.installation_alarms import wording
from trunkline.uploads.limit_states import publish_limits, reached, reached_limits
from trunkline.uploads.storage import Quota

_ROW = {
    "account_id": 1,
    "account_name": "Sample Ltd",
    "name": "bytes",
    "own_limit": None,
    "used": 90,
    "refused_limit": None,
    "refused_bytes": None,
    "is_current": True,
}


@pytest.mark.parametrize(
    ("row", "is_reached"),
    [
        ({}, False),
        ({"used": 100}, True),
        ({"used": 100, "own_limit": 0}, False),
        ({"own_limit": 90}, True),
        ({"refused_limit": 100, "refused_bytes": 90}, True),
        ({"refused_limit": 100, "refused_bytes": 90, "own_limit": 200}, False),
        ({"refused_limit": 100, "refused_bytes": 91}, False),
        ({"name": "bytes_per_day", "refused_limit": 100, "refused_bytes": 90, "is_current": False}, False),
    ],
)
def test_a_limit_is_reached_while_it_leaves_no_space(row: dict[str, Any], is_reached: bool) -> None:
    assert (reached(_ROW | row, Quota(100, 100)) is not None) == is_reached


async def test_a_limit_is_published_when_it_is_reached_and_when_it_is_not_any_more(database: str) -> None:
    quota = Quota(bytes=1000, day_bytes=5000)
    async with await Database.open(database) as db:
        await db.execute("insert into accounts (account_id, name) values (1, 'Sample Ltd')")
        await db.execute("insert into upload_totals (account_id, bytes, day) values (1, 1000, '2026-03-03')")
        [limit] = await reached_limits(db, quota)
        for _ in range(2):
            await publish_limits(db, quota)
        await Administration(db).set_upload_limits(1, total=2000, per_day=None)
        for _ in range(2):
            await publish_limits(db, quota)
        noted = await db.fetch_all("select * from installation_events order by installation_event_id")
        [event] = await db.fetch_all("select stream, type, data from outbox where account_id = 1")
    assert [(one["type"], one["data"]["state"], one["data"]["limit"]) for one in noted] == [
        ("uploads_limit", "reached", "bytes"),
        ("uploads_limit", "below", "bytes"),
    ]
    assert [one["mailed_at"] is None for one in noted] == [True, False]
    assert "account 1 has reached its limit" in wording(noted[0])[0]
    data = {"limit": "uploads_bytes", "limit_max_value": 1000, "stored_bytes": 1000}
    assert event == {"stream": "account:1", "type": "uploads_limit_reached", "data": data}
    assert (limit.account_name, limit.limit, limit.stored_bytes) == ("Sample Ltd", "bytes", 1000)
