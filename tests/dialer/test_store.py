"""Campaigns in PostgreSQL: what is called, when, and what is recorded."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import psycopg
import pytest
import pytest_asyncio
from click.testing import CliRunner

from trunkline.cli.main import commands
from trunkline.core.clock import Instant, to_datetime, to_instant
from trunkline.core.errors import Duplicate, InvalidInput, InvalidState, NotFound, QuotaReached
from trunkline.db.pool import Database, Row
from trunkline.dialer import campaign_store, lead_store
from trunkline.dialer.campaigns import Action, CampaignState
from trunkline.dialer.outcomes import DialOutcome

NODE = 1
PHONES = [f"97150000{n:04}" for n in range(20)]
FAR = Instant(4e9)


def _fail(row: Row, error: Exception) -> None:
    raise AssertionError(row) from error


class Company:
    def __init__(self, db: Database, dsn: str) -> None:
        self.db, self.dsn = db, dsn
        with psycopg.connect(dsn, autocommit=True) as connection:
            row = connection.execute(
                "insert into accounts (name, time_zone) values ('Palm', 'Asia/Dubai') returning account_id"
            ).fetchone()
            assert row is not None
            self.account_id = int(row[0])
            row = connection.execute(
                "insert into queues (account_id, key, name) values (%s, 'sales', 'Sales') returning queue_id",
                (self.account_id,),
            ).fetchone()
            assert row is not None
            self.queue_id = int(row[0])
            row = connection.execute(
                "insert into phone_lists (account_id, name) values (%s, 'All') returning phone_list_id",
                (self.account_id,),
            ).fetchone()
            assert row is not None
            self.list_id = int(row[0])
            for number, phone in enumerate(PHONES):
                connection.execute(
                    "insert into leads (account_id, phone_list_id, phone, priority) values (%s, %s, %s, %s)",
                    (self.account_id, self.list_id, phone, number % 3),
                )

    async def campaign(self, name: str = "Spring", **settings: object) -> campaign_store.Campaign:
        campaign_id = await campaign_store.create_campaign(
            self.db,
            self.account_id,
            name=name,
            queue_id=self.queue_id,
            phone_list_ids=[self.list_id],
            settings=settings,
        )
        await campaign_store.change_state(self.db, self.account_id, campaign_id, Action.START)
        [one] = [
            one
            for one in await campaign_store.running_campaigns(self.db, NODE, _fail)
            if one.campaign_id == campaign_id
        ]
        await lead_store.sync_leads(self.db, one)
        return one

    async def call(
        self, one: campaign_store.Campaign, phone: str, outcome: DialOutcome, at: float = 1_772_427_600.0
    ) -> None:
        claimed = await lead_store.claim(self.db, one, phone, 1, NODE)
        assert claimed is not None
        await lead_store.finish(
            self.db, self.account_id, claimed.attempt_id, lead_store.Result(outcome, Instant(at))
        )


@pytest_asyncio.fixture
async def company(database: str) -> AsyncIterator[Company]:
    async with await Database.open(database, application_name="tests") as db:
        yield Company(db, database)


async def test_leads_come_by_priority_and_an_attempt_is_open_until_its_end(company: Company) -> None:
    one = await company.campaign()
    leads = await lead_store.due_leads(company.db, one, FAR, 100)
    assert [lead.priority for lead in leads] == sorted((lead.priority for lead in leads), reverse=True)
    assert leads[0].zones == ("Asia/Dubai",)
    phone = leads[0].phone
    claimed = await lead_store.claim(company.db, one, phone, 77, NODE)
    assert claimed is not None
    assert await lead_store.claim(company.db, one, phone, 78, NODE) is None, "no number has two calls"
    assert phone not in [lead.phone for lead in await lead_store.due_leads(company.db, one, FAR, 100)]
    [open_] = await lead_store.open_attempts(company.db, NODE)
    assert (open_["phone"], open_["call_session_id"]) == (phone, 77)
    result = lead_store.Result(DialOutcome.ANSWERED, Instant(1e9 + 60), Instant(1e9), Instant(1e9 + 1), 5)
    for _ in range(2):  # a second end changes nothing
        await lead_store.finish(company.db, company.account_id, claimed.attempt_id, result)
    assert await lead_store.open_attempts(company.db, NODE) == []
    assert await lead_store.claim(company.db, one, phone, 79, NODE) is None, "it was reached"
    found = await lead_store.results(company.db, company.account_id, one.campaign_id)
    assert found["outcomes"] == {"answered": 1}
    assert found["leads"] == {"new": 19, "reached": 1}
    assert found["talk_seconds"] == 59


async def test_when_a_running_campaign_goes_on(company: Company) -> None:
    one = await company.campaign(hours="mon-fri 08:00-20:00")
    monday = datetime(2026, 3, 2, 12, tzinfo=ZoneInfo("Asia/Dubai"))
    await company.db.execute(
        "update dial_leads set next_at = %s where account_id = %s", (monday, company.account_id)
    )

    async def after(**time: int) -> datetime | None:
        at = await lead_store.next_call(company.db, one, to_instant(monday.replace(**time)))  # type: ignore[arg-type]
        return None if at is None else to_datetime(at)

    assert await after(hour=13) is None, "now"
    assert await after(hour=11) == monday, "the interval of the leads"
    assert await after(hour=21) == monday.replace(day=3, hour=8), "the hours"
    assert await after(day=6, hour=21) == monday.replace(day=9, hour=8), "not at the weekend"
    stopped = replace(one, state=CampaignState.STOPPED)
    assert await lead_store.next_call(company.db, stopped, to_instant(monday.replace(hour=21))) is None


async def test_a_claim_has_the_variables_of_the_lead(company: Company) -> None:
    one = await company.campaign()
    await company.db.execute(
        "update leads set lead_id = '7', name = 'Ida', tags = 'a', ext_api_vars = '{\"plan\": \"gold\"}'"
        " where account_id = %s and phone = %s",
        (company.account_id, PHONES[0]),
    )
    claimed = await lead_store.claim(company.db, one, PHONES[0], 1, NODE)
    assert claimed is not None
    assert claimed == lead_store.Claimed(claimed.attempt_id, "7", "Ida", "a", {"plan": "gold"})


async def test_nothing_is_called_after_a_stop(company: Company) -> None:
    one = await company.campaign()
    await campaign_store.change_state(company.db, company.account_id, one.campaign_id, Action.STOP)
    assert await lead_store.claim(company.db, one, PHONES[0], 1, NODE) is None
    await campaign_store.change_state(company.db, company.account_id, one.campaign_id, Action.START)
    assert await lead_store.claim(company.db, one, PHONES[0], 1, NODE + 1) is None, "another node dials it"
    assert await lead_store.claim(company.db, one, PHONES[0], 1, NODE) is not None


async def test_a_number_that_is_forbidden_is_not_called_by_any_campaign(company: Company) -> None:
    one, other = await company.campaign(), await company.campaign("Summer")
    assert (
        await campaign_store.forbid_numbers(
            company.db, company.account_id, [f"+{PHONES[0]}", PHONES[1]], "asked"
        )
        == 2
    )
    for campaign in (one, other):
        assert await lead_store.claim(company.db, campaign, PHONES[0], 1, NODE) is None
        found = await lead_store.lead_results(company.db, company.account_id, campaign.campaign_id)
        assert [(row["phone"], row["last_outcome"], row["closed"]) for row in found] == [
            (PHONES[0], "do_not_call", "do_not_call")
        ]
    assert await campaign_store.allow_numbers(company.db, company.account_id, [PHONES[1]]) == 1
    assert await lead_store.claim(company.db, one, PHONES[1], 1, NODE) is not None
    assert [
        row["phone"] for row in await campaign_store.forbidden_numbers(company.db, company.account_id)
    ] == [PHONES[0]]


async def test_calls_to_a_number_are_counted_over_all_campaigns(company: Company) -> None:
    one, other = await company.campaign(max_per_day=2), await company.campaign("Summer", max_per_day=2)
    await company.call(one, PHONES[0], DialOutcome.BUSY)
    await company.call(other, PHONES[0], DialOutcome.BUSY)
    third = await company.campaign("Autumn", max_per_day=2)
    assert await lead_store.claim(company.db, third, PHONES[0], 1, NODE) is None
    now = await lead_store.due_leads(company.db, third, Instant(time.time()), 100)
    assert PHONES[0] not in [lead.phone for lead in now], "it is called the next day"


async def test_a_lead_that_left_the_list_is_not_called_and_a_new_one_is(company: Company) -> None:
    one = await company.campaign()
    await company.db.execute(
        "delete from leads where account_id = %s and phone = %s", (company.account_id, PHONES[0])
    )
    assert await lead_store.claim(company.db, one, PHONES[0], 1, NODE) is None
    await company.db.execute(
        "insert into leads (account_id, phone_list_id, phone) values (%s, %s, '971500009999')",
        (company.account_id, company.list_id),
    )
    assert await lead_store.sync_leads(company.db, one) == 1
    found = await lead_store.results(company.db, company.account_id, one.campaign_id)
    assert found["leads"] == {"new": 20, "removed": 1}


async def test_a_call_that_did_not_begin_leaves_the_lead_as_it_was(company: Company) -> None:
    one = await company.campaign()
    claimed = await lead_store.claim(company.db, one, PHONES[0], 1, NODE)
    assert claimed is not None
    await lead_store.forget_attempt(company.db, company.account_id, claimed.attempt_id)
    assert await lead_store.claim(company.db, one, PHONES[0], 2, NODE) is not None


async def test_counts_of_answered_calls_are_read_again(company: Company) -> None:
    one = await company.campaign()
    at = time.time()
    for phone, outcome in zip(
        PHONES, [DialOutcome.ANSWERED] * 3 + [DialOutcome.ABANDONED, DialOutcome.BUSY], strict=False
    ):
        at += 0.01
        await company.call(one, phone, outcome, at)
    counts = await lead_store.answered_counts(company.db, one)
    assert sum(one.answered for _, one in counts) == 4
    assert sum(one.abandoned for _, one in counts) == 1
    assert [row["outcome"] for row in await lead_store.last_attempts(company.db, one, 2)] == [
        "abandoned",
        "busy",
    ]
    found = await lead_store.results(company.db, company.account_id, one.campaign_id)
    assert found["abandoned"] == {"share_24_hours": 0.25, "share_30_days": 0.25}


async def test_an_agreed_time_opens_the_lead_again_and_comes_first(company: Company) -> None:
    one = await company.campaign()
    now = time.time()
    await company.call(one, PHONES[0], DialOutcome.ANSWERED, now - 60)
    with pytest.raises(NotFound):
        await lead_store.agree_callback(
            company.db, company.account_id, one.campaign_id, PHONES[1], Instant(now + 600)
        )
    await lead_store.agree_callback(
        company.db, company.account_id, one.campaign_id, f"+{PHONES[0]}", Instant(now + 600)
    )
    assert PHONES[0] not in [
        lead.phone for lead in await lead_store.due_leads(company.db, one, Instant(now), 100)
    ]
    first = (await lead_store.due_leads(company.db, one, Instant(now + 601), 100))[0]
    assert (first.phone, first.is_callback) == (PHONES[0], True)
    await company.call(one, PHONES[0], DialOutcome.ANSWERED, now + 700)
    found = await lead_store.results(company.db, company.account_id, one.campaign_id)
    assert (found["outcomes"], found["leads"]["reached"]) == ({"answered": 1, "callback": 1}, 1)
    assert found["abandoned"]["share_24_hours"] == 0


async def test_a_time_that_is_agreed_during_the_talk_is_kept_until_its_end(company: Company) -> None:
    one = await company.campaign()
    now = time.time()
    claimed = await lead_store.claim(company.db, one, PHONES[0], 1, NODE)
    assert claimed is not None
    for after in (500, 600):  # agreed again, the last counts
        await lead_store.agree_callback(
            company.db, company.account_id, one.campaign_id, PHONES[0], Instant(now + after)
        )
    assert [
        row["outcome"] for row in await lead_store.open_attempts(company.db, NODE) if row.get("outcome")
    ] == []
    for _ in range(2):
        result = lead_store.Result(
            DialOutcome.ANSWERED, Instant(now + 60), Instant(now + 1), Instant(now + 1)
        )
        await lead_store.finish(company.db, company.account_id, claimed.attempt_id, result)
    [last] = await lead_store.last_attempts(company.db, one, 1)
    assert last["outcome"] == "callback"
    assert PHONES[0] not in [
        lead.phone for lead in await lead_store.due_leads(company.db, one, Instant(now + 599), 100)
    ]
    first = (await lead_store.due_leads(company.db, one, Instant(now + 601), 100))[0]
    assert (first.phone, first.is_callback) == (PHONES[0], True)


async def test_leads_of_closed_hours_do_not_hide_the_others(company: Company) -> None:
    """Numbers of New York come first in the order, and would fill the limit."""
    one = await company.campaign()
    with psycopg.connect(company.dsn, autocommit=True) as connection:
        connection.execute(
            "update dial_leads set zones = '{America/New_York}' where account_id = %s and phone <> %s",
            (company.account_id, PHONES[0]),
        )
    noon = to_instant(datetime(2026, 3, 2, 12, tzinfo=ZoneInfo("Asia/Dubai")))
    leads = await lead_store.due_leads(company.db, one, noon, 5, open_at=noon)
    assert [lead.phone for lead in leads] == [PHONES[0]]
    evening = Instant(noon + 9 * 3600)  # noon in New York
    leads = await lead_store.due_leads(company.db, one, evening, 100, open_at=evening)
    assert sorted(lead.phone for lead in leads) == PHONES[1:]


async def test_a_number_that_was_called_often_waits_for_a_moment_in_the_future(company: Company) -> None:
    """Two calls of another campaign; the last is more than 22 hours old."""
    one, other = await company.campaign(max_per_day=2), await company.campaign("Summer", max_per_day=9)
    with psycopg.connect(company.dsn, autocommit=True) as connection:
        for minutes in (23 * 60, 22 * 60 + 30):
            connection.execute(
                "insert into dial_attempts (account_id, campaign_id, phone, call_session_id, node, started_at, ended_at,"
                " outcome) values (%(account)s, %(campaign)s, %(phone)s, 1, 1, %(at)s, %(at)s, 'busy')",
                {
                    "account": company.account_id,
                    "campaign": other.campaign_id,
                    "phone": PHONES[0],
                    "at": to_datetime(Instant(time.time() - minutes * 60)),
                },
            )
    assert await lead_store.claim(company.db, one, PHONES[0], 1, NODE) is None
    row = await company.db.fetch_one(
        "select next_at from dial_leads where account_id = %s and campaign_id = %s and phone = %s",
        (company.account_id, one.campaign_id, PHONES[0]),
    )
    assert row is not None
    assert row["next_at"].timestamp() == pytest.approx(time.time() + 3600, abs=60)


async def test_a_campaign_whose_settings_cannot_be_read_is_reported_and_the_others_run(
    company: Company,
) -> None:
    bad = await company.campaign("Bad")
    good = await company.campaign("Good")
    await company.db.execute(
        'update dial_campaigns set settings = \'{"mode": "of a later version"}\' where account_id = %s and campaign_id = %s',
        (company.account_id, bad.campaign_id),
    )
    failed: list[int] = []
    found = await campaign_store.running_campaigns(
        company.db, NODE, lambda row, _error: failed.append(row["campaign_id"])
    )
    assert [one for one in found if one.account_id == company.account_id] == [good]
    assert failed == [bad.campaign_id]


async def test_an_account_has_so_many_campaigns(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign_store, "MAX_RUNNING", 2)
    monkeypatch.setattr(campaign_store, "MAX_CAMPAIGNS", 3)
    one = await company.campaign()
    await company.campaign("Summer")
    with pytest.raises(QuotaReached, match="2 running"):
        await company.campaign("Autumn")
    await campaign_store.change_state(company.db, company.account_id, one.campaign_id, Action.STOP)
    [_, _, third] = await campaign_store.campaigns(company.db, company.account_id)
    await campaign_store.change_state(company.db, company.account_id, third.campaign_id, Action.START)
    with pytest.raises(QuotaReached):
        await company.campaign("Winter")


async def test_what_cannot_be_is_refused(company: Company) -> None:
    one = await company.campaign()
    create = campaign_store.create_campaign
    good = {"name": "X", "queue_id": company.queue_id, "phone_list_ids": [company.list_id]}
    for error, change in (
        (Duplicate, {"name": "Spring"}),
        (NotFound, {"queue_id": 1}),
        (NotFound, {"phone_list_ids": [1]}),
        (NotFound, {"virtual_phone_number": "97140000999"}),
        (NotFound, {"abandoned_scenario_id": 1}),
        (InvalidInput, {"phone_list_ids": []}),
        (InvalidInput, {"settings": {"mode": "fast"}}),
        (InvalidInput, {"name": " "}),
    ):
        with pytest.raises(error):
            await create(company.db, company.account_id, **{**good, **change})  # type: ignore[arg-type]
    with pytest.raises(InvalidState):
        await campaign_store.delete_campaign(company.db, company.account_id, one.campaign_id)
    with pytest.raises(NotFound):
        await campaign_store.change_state(company.db, company.account_id + 1, one.campaign_id, Action.STOP)
    assert [found.name for found in await campaign_store.campaigns(company.db, company.account_id)] == [
        "Spring"
    ]


async def test_two_tenants_do_not_meet(company: Company) -> None:
    one = await company.campaign()
    other = Company(company.db, company.dsn)
    assert await campaign_store.campaigns(company.db, other.account_id) == []
    for call in (
        campaign_store.campaign,
        lead_store.results,
        lead_store.lead_results,
        campaign_store.delete_campaign,
    ):
        with pytest.raises(NotFound):
            await call(company.db, other.account_id, one.campaign_id)
    await campaign_store.forbid_numbers(company.db, other.account_id, [PHONES[0]])
    assert await lead_store.claim(company.db, one, PHONES[0], 1, NODE) is not None
    theirs = await other.campaign()
    assert await lead_store.claim(company.db, theirs, PHONES[1], 2, NODE) is not None
    assert await lead_store.claim(company.db, one, PHONES[1], 3, NODE) is not None, (
        "the same number of another company"
    )


async def test_the_commands_do_what_they_say(
    company: Company, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("TRUNKLINE_DATABASE_URL", company.dsn)
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", f"{tmp_path}/data")

    async def run(*arguments: str) -> object:
        result = await asyncio.to_thread(
            CliRunner().invoke, commands, ["campaign", *arguments, "--json"], catch_exceptions=False
        )
        assert result.exit_code == 0, result.output
        return json.loads(result.output)

    made = await run(
        "create", "--name", "Spring", "--queue", "Sales", "--list", "All", "--mode", "predictive"
    )
    assert isinstance(made, dict)
    campaign_id = str(made["campaign_id"])
    assert await run("start", campaign_id) == {"campaign_id": int(campaign_id), "state": "running"}
    assert (
        await campaign_store.campaign(company.db, company.account_id, int(campaign_id))
    ).settings.abandon_limit == 0.03
    assert await run("stop", campaign_id) == {"campaign_id": int(campaign_id), "state": CampaignState.STOPPED}
    shown = await run("show", campaign_id)
    assert isinstance(shown, dict)
    assert (shown["mode"], shown["state"], shown["outcomes"]) == ("predictive", "stopped", {})
    assert await run("results", campaign_id) == []
    assert await run("forbid", PHONES[0]) == {"added": 1}
    listed = await run("forbidden")
    assert isinstance(listed, list)
    assert listed[0]["phone"] == PHONES[0]
    assert await run("allow", PHONES[0]) == {"removed": 1}
    assert await run("delete", campaign_id) == {"campaign_id": int(campaign_id), "deleted": True}
    assert await run("list") == []
