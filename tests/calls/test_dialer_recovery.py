"""A dialer that starts: attempts of the former process are adopted, get the result of their events, or did not begin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from psycopg.types.json import Jsonb

from tests.calls import company as c
from tests.calls.test_lead_calls import LEAD, OTHER, SETTINGS, DialingNode, node
from tests.patience import PATIENCE
from trunkline.calls.switch import dialer as module
from trunkline.calls.switch.dialer import Dialer, LiveAttempt
from trunkline.core.clock import Instant, to_datetime
from trunkline.core.errors import (
    DatabaseUnavailable,
    InvalidInput,
    NotCarriedOut,
    PermissionDenied,
    TrunklineError,
)
from trunkline.db.partitions import ensure_partitions
from trunkline.db.pool import Database
from trunkline.dialer import lead_store
from trunkline.dialer.leads import Lead
from trunkline.dialer.outcomes import DialOutcome
from trunkline.dialer.settings import Mode
from trunkline.directory.model import Directory
from trunkline.events.catalogue import Event
from trunkline.queues.states import AgentState

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
    switch: Any = SimpleNamespace(
        node=NODE, sessions=one.switch.sessions, queues=None, stored=one.switch.stored
    )
    started = Dialer(switch, db, lambda: one.clock)
    for _ in range(2):  # a second look changes nothing
        await started._resolve()
        rows = await db.fetch_all(
            "select phone, outcome, cause from dial_attempts where account_id = %s order by phone",
            (c.ACCOUNT,),
        )
        assert [tuple(row.values()) for row in rows] == [
            ("971500000051", "busy", 17),
            ("971500000052", None, None),
        ]
    assert started.has(living)
    leads = await lead_store.lead_results(db, c.ACCOUNT, campaign_id)
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
    async with asyncio.timeout(PATIENCE):
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
    one.dialer._end(attempt, lead_store.Result(DialOutcome.BUSY, Instant(one.clock)))
    one.live.is_stopped = True
    await one.dialer._dial(one.live)
    found = await lead_store.results(db, c.ACCOUNT, campaign_id)
    assert (found["outcomes"], found["calls"]) == ({"busy": 1}, 0)


# --- starts that do not become calls


async def _callable(database: str, db: Database, mode: Mode) -> tuple[DialingNode, Lead]:
    """A node whose campaign has one lead, and the database that it has it in."""
    campaign_id = await _company(database)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "insert into phone_lists (account_id, phone_list_id, name) values (%s, 1, 'All')", (c.ACCOUNT,)
        )
        connection.execute(
            "insert into leads (account_id, phone_list_id, phone) values (%s, 1, %s)", (c.ACCOUNT, LEAD)
        )
        connection.execute(
            "insert into dial_campaign_lists (account_id, campaign_id, phone_list_id) values (%s, %s, 1)",
            (c.ACCOUNT, campaign_id),
        )
    made = await node(c.BORIS)
    made.live.campaign = replace(
        made.live.campaign, campaign_id=campaign_id, settings=replace(SETTINGS, mode=mode)
    )
    made.dialer._db = db
    made.dialer._campaigns = {(c.ACCOUNT, campaign_id): made.live}
    await lead_store.sync_leads(db, made.live.campaign)
    return made, Lead(LEAD, ("UTC",))


def _change(one: DialingNode, **changes: Any) -> None:
    one.directory = Directory({c.ACCOUNT: replace(one.directory.accounts[c.ACCOUNT], **changes)})


def _is_free(one: DialingNode) -> bool:
    return one.owner.state.agents[c.BORIS].state is AgentState.WAITING


async def _is_quiet(one: DialingNode, db: Database) -> bool:
    """No call, no agent and no number is held."""
    await one.settle()
    await one.dialer._store_results(None)
    return (
        not one.dialer._calls
        and not one.live.calls
        and not one.dialer._starting
        and _is_free(one)
        and await lead_store.open_attempts(db, NODE) == []
    )


async def test_a_call_that_no_trunk_takes_leaves_lead_and_agent_as_they_were(
    database: str, db: Database
) -> None:
    one, lead = await _callable(database, db, Mode.PROGRESSIVE)
    _change(one, trunks={})
    assert not await one.dialer._call(one.live, one.owner, lead)
    assert await _is_quiet(one, db)
    assert LEAD in one.live.pool
    assert one.live.refused_until > asyncio.get_running_loop().time()
    assert await lead_store.lead_results(db, c.ACCOUNT, one.live.campaign.campaign_id) == []


async def test_a_preview_whose_agent_has_no_phone_that_rings_ends_at_once(
    database: str, db: Database
) -> None:
    one, lead = await _callable(database, db, Mode.PREVIEW)
    boris = one.directory.accounts[c.ACCOUNT].employees[c.BORIS]
    phones = tuple(replace(phone, is_active=False) for phone in boris.phones)
    employees = {**one.directory.accounts[c.ACCOUNT].employees, c.BORIS: replace(boris, phones=phones)}
    _change(one, employees=employees)
    assert not await one.dialer._call(one.live, one.owner, lead)
    assert await _is_quiet(one, db)
    found = await lead_store.results(db, c.ACCOUNT, one.live.campaign.campaign_id)
    assert found["outcomes"] == {"agent_missed": 1}


@pytest.mark.parametrize(
    ("error", "outcome", "closed"),
    [
        (PermissionDenied("closed", mnemonic="forbidden", field="contact"), "not_allowed", None),
        (
            PermissionDenied("listed", mnemonic="contact_in_blacklist", field="contact"),
            "do_not_call",
            "do_not_call",
        ),
        (InvalidInput("no number", field="contact"), "invalid", "invalid"),
        (InvalidInput("a setting", field="queue_id"), None, None),
    ],
)
async def test_what_a_refused_start_means_for_its_lead(
    database: str,
    db: Database,
    monkeypatch: pytest.MonkeyPatch,
    error: TrunklineError,
    outcome: str | None,
    closed: str | None,
) -> None:
    one, lead = await _callable(database, db, Mode.PROGRESSIVE)

    async def refused(*_: object) -> None:
        raise error

    monkeypatch.setattr(one.switch.commands, "start_lead_call", refused)
    await one.dialer._call(one.live, one.owner, lead)
    assert await _is_quiet(one, db)
    found = await lead_store.lead_results(db, c.ACCOUNT, one.live.campaign.campaign_id)
    assert [(row["last_outcome"], row["closed"]) for row in found] == (
        [(outcome, closed)] if outcome is not None else []
    )
    assert (LEAD in one.live.pool) is (outcome is None)


async def test_a_start_in_an_outage_of_the_database_is_repaired_by_the_sweep(
    database: str, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call cannot be stored, and its attempt cannot be removed either."""
    one, lead = await _callable(database, db, Mode.PROGRESSIVE)

    async def not_stored(*_: object) -> None:
        raise NotCarriedOut("the database is away")

    async def away(*_: object) -> None:
        raise DatabaseUnavailable("the test stopped it")

    monkeypatch.setattr(one.switch.commands, "start_lead_call", not_stored)
    with monkeypatch.context() as outage:
        outage.setattr(lead_store, "forget_attempt", away)
        with pytest.raises(DatabaseUnavailable):
            await one.dialer._call(one.live, one.owner, lead)
    assert len(await lead_store.open_attempts(db, NODE)) == 1
    await one.dialer._resolve()
    assert await _is_quiet(one, db)


async def test_an_error_of_no_rule_in_a_start_holds_nothing(
    database: str, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, lead = await _callable(database, db, Mode.PROGRESSIVE)

    async def fails(*_: object) -> None:
        raise psycopg.OperationalError("the connection is lost")

    monkeypatch.setattr(one.switch.commands, "start_lead_call", fails)
    with pytest.raises(psycopg.OperationalError):
        await one.dialer._call(one.live, one.owner, lead)
    await one.dialer._resolve()
    assert await _is_quiet(one, db)


async def test_a_start_that_goes_on_is_not_taken_for_a_lost_one(
    database: str, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep reads while a call is between its attempt and its first event; a stop waits for that start."""
    one, lead = await _callable(database, db, Mode.PROGRESSIVE)
    goes_on, begins = asyncio.Event(), one.switch.commands.start_lead_call

    async def slow(*given: Any) -> None:
        await goes_on.wait()
        await begins(*given)

    monkeypatch.setattr(one.switch.commands, "start_lead_call", slow)
    one.live.task = asyncio.create_task(one.dialer._call(one.live, one.owner, lead))  # type: ignore[arg-type]
    async with asyncio.timeout(PATIENCE):
        while not await lead_store.open_attempts(db, NODE):
            await asyncio.sleep(0.01)
    await one.dialer._resolve()
    stop = asyncio.create_task(one.dialer._end_campaign(one.live))
    await asyncio.sleep(0.05)
    assert not stop.done()
    goes_on.set()
    await stop
    await one.settle()
    assert one.rings() == [LEAD]
    assert len(await lead_store.open_attempts(db, NODE)) == 1
    one.engine.refuse(one.phone(LEAD), 17)
    await one.settle()
    assert await _is_quiet(one, db)


async def _open(dsn: str, campaign_id: int, phone: str, call: int, at: int = NODE) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "insert into dial_leads (account_id, campaign_id, phone, zones) values (%s, %s, %s, '{UTC}')"
            " on conflict do nothing",
            (c.ACCOUNT, campaign_id, phone),
        )
        connection.execute(
            "insert into dial_attempts (account_id, campaign_id, phone, call_session_id, node)"
            " values (%s, %s, %s, %s, %s)",
            (c.ACCOUNT, campaign_id, phone, call, at),
        )


async def _store_events(dsn: str, db: Database, one: DialingNode, events: Sequence[Event]) -> None:
    async with db.connection() as own:
        await ensure_partitions(own, to_datetime(one.clock))
    with psycopg.connect(dsn, autocommit=True) as connection:
        for event in events:
            connection.execute(
                "insert into call_events (account_id, call_session_id, seq, type, occurred_at, data)"
                " values (%s, %s, %s, %s, %s, %s)",
                (
                    c.ACCOUNT,
                    event.call_session_id,
                    event.seq,
                    event.type,
                    to_datetime(event.at),
                    Jsonb(dict(event.data)),
                ),
            )


async def _outcomes(db: Database) -> dict[str, str | None]:
    rows = await db.fetch_all(
        "select phone, outcome from dial_attempts where account_id = %s order by phone", (c.ACCOUNT,)
    )
    return {row["phone"]: row["outcome"] for row in rows}


async def test_the_result_waits_for_the_events_of_the_recovery(database: str, db: Database) -> None:
    """The end that a recovery made is not stored yet when the attempts are read."""
    one = await node(c.BORIS)
    call = await one.lead(LEAD)
    one.engine.refuse(one.phone(LEAD), 17)
    await one.settle()
    events = one.reported.events[call]
    campaign_id = await _company(database)
    await _open(database, campaign_id, LEAD, call)
    await _store_events(database, db, one, events[:-1])

    async def stored() -> None:
        await _store_events(database, db, one, events[-1:])

    switch: Any = SimpleNamespace(node=NODE, sessions={}, queues=None, stored=stored)
    await Dialer(switch, db, lambda: one.clock)._resolve()
    assert await _outcomes(db) == {LEAD: "busy"}


async def test_an_attempt_whose_call_has_no_end_stays_open(database: str, db: Database) -> None:
    """On its own node; that of a node which has had no switch for ten minutes ends, and its number is free again."""
    one = await node(c.BORIS)
    calls = [await one.lead(LEAD), await one.lead(OTHER, reserves=False)]
    campaign_id = await _company(database)
    with psycopg.connect(database, autocommit=True) as connection:
        for number, minutes in ((2, 11), (3, 9)):
            connection.execute(
                "insert into switch_leases (node, holder, control_url, expires_at)"
                " values (%s, 'h', 'u', now() - make_interval(mins => %s))",
                (number, minutes),
            )
    await _open(database, campaign_id, LEAD, calls[0])
    await _open(database, campaign_id, OTHER, calls[1], 2)
    await _open(database, campaign_id, "971500000053", calls[1] + 1, 2)
    await _open(database, campaign_id, "971500000054", calls[1] + 2, 3)
    await _store_events(database, db, one, [e for call in calls for e in one.reported.events[call]])
    switch: Any = SimpleNamespace(node=NODE, sessions={}, queues=None, stored=one.switch.stored)
    await Dialer(switch, db, lambda: one.clock)._resolve()
    assert await _outcomes(db) == {LEAD: None, OTHER: "interrupted", "971500000054": None}


@pytest.mark.parametrize("settings", ['{"mode": "of another version"}', "[]"])
async def test_a_row_of_one_campaign_does_not_stop_the_others(
    database: str, db: Database, settings: str
) -> None:
    one = await node(c.BORIS)
    calls = []
    for number in (LEAD, OTHER):
        calls.append(await one.lead(number))
        one.engine.refuse(one.phone(number), 17)
        await one.settle()
    bad = await _company(database)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "update dial_campaigns set settings = %s where account_id = %s", (settings, c.ACCOUNT)
        )
        row = connection.execute(
            "insert into dial_campaigns (account_id, name, queue_id, state, node) values (%s, 'Good', 1, 'running', %s)"
            " returning campaign_id",
            (c.ACCOUNT, NODE),
        ).fetchone()
    assert row is not None
    await _open(database, bad, LEAD, calls[0])
    await _open(database, row[0], OTHER, calls[1])
    await _store_events(database, db, one, [e for call in calls for e in one.reported.events[call]])
    switch: Any = SimpleNamespace(node=NODE, sessions={}, queues=None, stored=one.switch.stored)
    started = Dialer(switch, db, lambda: one.clock)
    started.recovered()
    task = asyncio.create_task(started.run())
    async with asyncio.timeout(PATIENCE):
        while (c.ACCOUNT, row[0]) not in started._campaigns:
            await asyncio.sleep(0.02)
            assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await _outcomes(db) == {LEAD: None, OTHER: "busy"}
