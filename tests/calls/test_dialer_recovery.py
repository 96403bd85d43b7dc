"""A dialer that starts: attempts of the former process are adopted, get the result of their events, or did not begin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from psycopg.types.json import Jsonb

from tests.calls import company as c
from tests.calls.test_lead_calls import LEAD, OTHER, node
from trunkline.calls.switch import dialer as module
from trunkline.calls.switch.dialer import Dialer, LiveAttempt
from trunkline.core.clock import Instant, to_datetime
from trunkline.core.errors import InvalidInput
from trunkline.db.partitions import ensure_partitions
from trunkline.db.pool import Database
from trunkline.dialer import store
from trunkline.dialer.outcomes import Outcome

NODE = 1


@pytest_asyncio.fixture
async def db(database: str) -> AsyncIterator[Database]:
    async with await Database.open(database, application_name="tests") as opened:
        yield opened


async def _company(dsn: str) -> int:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("insert into accounts (account_id, name) values (%s, 'Palm')", (c.ACCOUNT,))
        connection.execute(
            "insert into queues (account_id, queue_id, key, name) values (%s, 1, 'q', 'Q')", (c.ACCOUNT,)
        )
        row = connection.execute(
            "insert into dial_campaigns (account_id, name, queue_id, state, node) values (%s, 'Spring', 1, 'running', %s)"
            " returning campaign_id",
            (c.ACCOUNT, NODE),
        ).fetchone()
    assert row is not None
    return int(row[0])


async def test_attempts_of_a_former_process_end_once(database: str, db: Database) -> None:
    """Three attempts are open: of a call that lives, of one that has ended, and of one that was never begun."""
    one = await node(c.BORIS)
    ended = await one.lead(LEAD)
    one.engine.refuse(one.phone(LEAD), 17)
    await one.settle()
    living = await one.lead(OTHER)
    campaign_id = await _company(database)
    async with db.connection() as own:
        await ensure_partitions(own, to_datetime(one.clock))
    calls = {"971500000051": ended, "971500000052": living, "971500000053": living + 1}
    with psycopg.connect(database, autocommit=True) as connection:
        for phone, call in calls.items():
            connection.execute(
                "insert into dial_leads (account_id, campaign_id, phone, zones) values (%s, %s, %s, '{UTC}')",
                (c.ACCOUNT, campaign_id, phone),
            )
            connection.execute(
                "insert into dial_attempts (account_id, campaign_id, phone, call_session_id, node)"
                " values (%s, %s, %s, %s, %s)",
                (c.ACCOUNT, campaign_id, phone, call, NODE),
            )
        for event in one.reported.events[ended]:
            connection.execute(
                "insert into call_events (account_id, call_session_id, seq, type, occurred_at, data)"
                " values (%s, %s, %s, %s, %s, %s)",
                (c.ACCOUNT, ended, event.seq, event.type, to_datetime(event.at), Jsonb(dict(event.data))),
            )
    switch: Any = SimpleNamespace(node=NODE, sessions=one.switch.sessions, queues=None)
    started = Dialer(switch, db, lambda: one.clock)
    for _ in range(2):  # a second look changes nothing
        await started._adopt()
        rows = await db.fetch_all(
            "select phone, outcome, cause from dial_attempts where account_id = %s order by phone",
            (c.ACCOUNT,),
        )
        assert [tuple(row.values()) for row in rows] == [
            ("971500000051", "busy", 17),
            ("971500000052", None, None),
        ]
    assert started.has(living)
    leads = await store.lead_results(db, c.ACCOUNT, campaign_id)
    assert [(row["phone"], row["last_outcome"]) for row in leads] == [("971500000051", "busy")]


async def test_an_error_does_not_end_the_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A core task that fails ends its process: what a campaign has in the database must not be such a failure."""
    monkeypatch.setattr(module, "PERIOD_SECONDS", 0.001)
    tries = 0

    async def fails() -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise InvalidInput("a setting of another version")

    work: Callable[[], Awaitable[None]] = fails
    async with asyncio.timeout(5):
        await Dialer(SimpleNamespace(), None, lambda: 0.0)._repeated(work, "a test")  # type: ignore[arg-type]
    assert tries == 3


async def test_a_result_of_the_moment_of_the_stop_is_stored(database: str, db: Database) -> None:
    campaign_id = await _company(database)
    one = await node(c.BORIS)
    one.live.campaign = replace(one.live.campaign, campaign_id=campaign_id)
    one.dialer._db = db
    one.dialer._campaigns = {(c.ACCOUNT, campaign_id): one.live}
    with psycopg.connect(database, autocommit=True) as connection:
        row = connection.execute(
            "insert into dial_attempts (account_id, campaign_id, phone, call_session_id, node)"
            " values (%s, %s, %s, 5, %s) returning attempt_id",
            (c.ACCOUNT, campaign_id, LEAD, NODE),
        ).fetchone()
    assert row is not None
    attempt = LiveAttempt(row[0], c.ACCOUNT, campaign_id, LEAD, 5, Instant(one.clock), is_started=True)
    one.dialer._end(attempt, store.Result(Outcome.BUSY, Instant(one.clock)))
    one.live.is_stopped = True
    await one.dialer._dial(one.live)
    found = await store.results(db, c.ACCOUNT, campaign_id)
    assert (found["outcomes"], found["calls"]) == ({"busy": 1}, 0)
