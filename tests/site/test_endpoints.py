"""The endpoints of websites over a real database: who may ask, how often, and how callbacks are started."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp.test_utils import TestServer
from cryptography.fernet import Fernet

from tests.apis.support import NotedSwitch
from tests.shared_database import SharedDatabase, shared_database
from trunkline.accounts.administration import AccountProfile, Administration
from trunkline.accounts.secrets import Cipher
from trunkline.accounts.service import Accounts
from trunkline.apis.service.request_context import Services
from trunkline.apis.web import build_app
from trunkline.calls.command_names import ANNOUNCE_CALL, CHECK, SITE_STATE, START_CALLBACK
from trunkline.core.clock import Instant
from trunkline.core.errors import (
    DatabaseUnavailable,
    InvalidInput,
    InvalidState,
    LimitExceeded,
    PermissionDenied,
    SwitchInterrupted,
    SwitchUnavailable,
    TrunklineError,
)
from trunkline.core.ids import first_id_at
from trunkline.core.settings import Settings
from trunkline.db.partitions import ensure_partitions
from trunkline.db.pool import Database
from trunkline.directory.sites.changes import create_site
from trunkline.events.catalogue import Event, EventType
from trunkline.runtime.postgres import EmbeddedPostgres
from trunkline.site import requests
from trunkline.site.application import Site
from trunkline.site.requests import CallbackStarter, prune
from trunkline.site.visit_limits import CALLS_OF_ADDRESS, CHANGES_OF_ADDRESS, VISITS_OF_ADDRESS

pytestmark = pytest.mark.shells

ORIGIN = "https://shop.example.com"
OPEN = {"is_open": True, "opens_at": None, "has_phone": True, "has_callback": True}
NUMBER = "971500000123"


@dataclass
class Shop:
    """A company's website, and the web process."""

    db: Database
    switch: NotedSwitch
    site: Site
    url: str
    account_id: int
    site_id: int
    key: str
    client: aiohttp.ClientSession

    async def send(
        self, what: str, body: dict[str, Any] | bytes, origin: str | None = ORIGIN, **headers: str
    ) -> aiohttp.ClientResponse:
        own = {} if origin is None else {"Origin": origin}
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        return await self.client.post(
            f"{self.url}/site/{self.key}/{what}",
            data=content,
            headers={"Content-Type": "text/plain", **own, **headers},
        )

    async def request_callback(self, phone: str = f"+{NUMBER}", **more: Any) -> tuple[int, str]:
        answer = await (await self.send("callback", {"phone": phone, **more})).json()
        return answer["result"]["status"], answer["result"]["code"]

    async def rows(self) -> list[Any]:
        return await self.db.fetch_all(
            "select * from site_calls where account_id = %s order by site_call_id", (self.account_id,)
        )

    async def pass_time(self, **units: int) -> None:
        """All times of the requests are so much longer ago."""
        by = timedelta(**units)
        await self.db.execute(
            """update site_calls set requested_at = requested_at - %s, due_at = due_at - %s, started_at = started_at - %s
               where account_id = %s""",
            (by, by, by, self.account_id),
        )

    def called(self) -> list[str]:
        """Numbers that the switch was asked to call back."""
        return [one[2]["contact"] for one in self.switch.commands if one[1] == START_CALLBACK]

    async def change(self, **columns: Any) -> None:
        for name, value in columns.items():
            statement = f"update sites set {name} = %s where account_id = %s and site_id = %s"
            await self.db.execute(statement.encode(), (value, self.account_id, self.site_id))


@pytest.fixture(autouse=True)
def quick(quick_passwords: None) -> None:
    """See ``quick_passwords``."""


@pytest.fixture(scope="module")
def shared_shops(postgres_server: EmbeddedPostgres, migrated_template: str) -> Iterator[SharedDatabase]:
    with shared_database(postgres_server, migrated_template, "shops") as shared:
        yield shared


@pytest.fixture
async def shop(shared_shops: SharedDatabase, tmp_path: Path) -> AsyncIterator[Shop]:
    await shared_shops.empty()
    async with await Database.open(shared_shops.dsn) as db, AsyncExitStack() as stack:
        company = await Administration(db).create_account(
            AccountProfile("Sample Ltd", time_zone="Asia/Dubai"), login="captain", password="a long password"
        )
        account_id = company.account_id
        made = await create_site(db, account_id, {"domain_name": "shop.example.com", "industry_id": 19})
        row = await db.fetch_one(
            "insert into scenarios (account_id, key, name) values (%s, 's', 'S') returning scenario_id",
            (account_id,),
        )
        assert row is not None
        cipher, switch = Cipher(Fernet.generate_key()), NotedSwitch()
        switch.answers[SITE_STATE] = OPEN
        switch.answers[START_CALLBACK] = {"call_session_id": 7}
        switch.answers[ANNOUNCE_CALL] = {"ticket": "f" * 32, "seconds": 60}
        services = Services(
            Accounts(db, cipher=cipher), switch, Settings(data_dir=tmp_path), db, cipher=cipher
        )
        site = Site(services)
        server = await stack.enter_async_context(TestServer(build_app(services, routes=site.routes())))
        client = await stack.enter_async_context(aiohttp.ClientSession())
        url = str(server.make_url("")).rstrip("/")
        shop = Shop(db, switch, site, url, account_id, made.site_id, made.site_key, client)
        scenario_id = row["scenario_id"]
        await shop.change(
            calls_enabled=True,
            phone_scenario_id=scenario_id,
            callback_scenario_id=scenario_id,
            calls_per_address=100,
        )
        yield shop


async def test_only_pages_of_the_website_may_ask(shop: Shop) -> None:
    for origin in ("https://evil.example", "null", None):
        for what in ("visit", "call", "callback", "visitor", "property", "property/set", "property/delete"):
            response = await shop.send(what, {"phone": NUMBER, "name": "x"}, origin)
            assert response.status == 403, what
            assert "Access-Control-Allow-Origin" not in response.headers
    assert await shop.rows() == []
    assert shop.switch.commands == []
    response = await shop.send("visit", {})
    assert response.status == 200
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert "Set-Cookie" not in response.headers
    preflight = await shop.client.options(
        f"{shop.url}/site/{shop.key}/callback",
        headers={"Origin": ORIGIN, "Access-Control-Request-Method": "POST"},
    )
    assert preflight.status == 204
    unknown = await shop.client.post(
        f"{shop.url}/site/{'0' * 32}/visit", headers={"Origin": ORIGIN}, data=b"{}"
    )
    assert unknown.status == 404


async def test_bodies_have_a_limit_and_a_form(shop: Shop) -> None:
    assert (await shop.send("visit", b"x" * 20_000)).status == 400
    assert (await shop.send("visit", b"[]")).status == 400
    assert (await shop.send("property/set", {"name": "x"})).status == 400  # the visit has not begun
    assert await shop.request_callback("") == (3, "invalid_parameter_value")
    wrongs: tuple[dict[str, Any], ...] = (
        {"group_id": 0},
        {"group_id": "x"},
        {"delayed_call_time": -1},
        {"name": {}},
    )
    for wrong in wrongs:
        assert await shop.request_callback(**wrong) == (3, "invalid_parameter_value")
    # As pages send what they do not have.
    assert await shop.request_callback(group_id=None, delayed_call_time="", visit=None) == (0, "ok")


async def test_a_call_of_the_browser_gets_a_ticket_and_a_credential_that_changes(shop: Shop) -> None:
    visit = await (await shop.send("visit", {"url": f"{ORIGIN}/?utm_source=letter"})).json()
    page = f"{ORIGIN}/offer"
    line = await (await shop.send("call", {"visit": visit["visit"], "url": page, "name": "Mia"})).json()
    assert line["ticket"] == "f" * 32
    assert line["user"] == f"site-{shop.site_id}"
    assert line["wait_ms"] > 0
    [(account_id, _, params)] = [one for one in shop.switch.commands if one[1] == ANNOUNCE_CALL]
    assert (account_id, params["site_id"], params["visitor_name"]) == (shop.account_id, shop.site_id, "Mia")
    assert params["visit"]["utm_source"] == "letter"
    assert params["visit"]["communication_page_url"] == page
    assert params["visit"]["visitor_session_id"] == visit["session_id"]
    again = await (await shop.send("call", {})).json()
    assert (again["ha1"], again["wait_ms"]) == (line["ha1"], 0)
    await shop.change(phone_renewed_at=datetime.now(UTC) - timedelta(hours=13))
    renewed = await (await shop.send("call", {})).json()
    assert renewed["ha1"] != line["ha1"]
    await shop.change(calls_per_minute=3)
    shop.site._websites._kept.clear()
    assert (await shop.send("call", {})).status == 429


async def test_a_number_and_a_minute_have_limits(shop: Shop) -> None:
    assert await shop.request_callback() == (0, "ok")
    assert await shop.request_callback() == (0, "ok")  # the one that is open
    assert len(await shop.rows()) == 1
    for _ in range(2):
        await shop.site.callbacks.start_due()
        assert await shop.request_callback() == (0, "ok")
    await shop.site.callbacks.start_due()
    assert await shop.request_callback() == (4, "calls_per_number")
    for number in range(7):
        assert await shop.request_callback(f"+97150000020{number}") == (0, "ok")
    assert await shop.request_callback("+971500000300") == (4, "calls_per_minute")
    assert len([one for one in shop.switch.commands if one[1] == START_CALLBACK]) == 3


async def test_an_address_has_a_limit_over_all_websites(shop: Shop) -> None:
    await shop.change(calls_per_address=2)
    assert await shop.request_callback("+971500000301") == (0, "ok")
    assert await shop.request_callback("+971500000302") == (0, "ok")
    assert await shop.request_callback("+971500000303") == (4, "calls_per_address")


@pytest.mark.parametrize(
    ("refusal", "answer"),
    [
        (InvalidState("none", mnemonic="scenario_not_specified"), (2, "scenario_not_specified")),
        (PermissionDenied("no", mnemonic="contact_in_blacklist"), (3, "contact_in_blacklist")),
        (SwitchUnavailable("away"), (3, "internal_error")),
    ],
)
async def test_what_the_switch_refuses_is_not_kept(
    shop: Shop, refusal: Exception, answer: tuple[int, str]
) -> None:
    shop.switch.answers[CHECK] = refusal
    assert await shop.request_callback() == answer
    assert await shop.rows() == []


async def test_a_call_back_is_made_when_the_company_opens(shop: Shop) -> None:
    opens_at = datetime.now(UTC) + timedelta(hours=9)
    shop.switch.answers[SITE_STATE] = {**OPEN, "is_open": False, "opens_at": opens_at.isoformat()}
    assert await shop.request_callback() == (0, "ok")
    [row] = await shop.rows()
    assert (row["state"], row["due_at"]) == ("waiting", opens_at)
    assert await shop.site.callbacks.start_due() == 0
    # A process that was away for the agreed time looks at the hours again.
    await shop.db.execute("update site_calls set due_at = now() where account_id = %s", (shop.account_id,))
    assert await shop.site.callbacks.start_due() == 1
    [row] = await shop.rows()
    assert (row["state"], row["due_at"]) == ("waiting", opens_at)
    assert START_CALLBACK not in [one[1] for one in shop.switch.commands]


async def test_processes_start_a_call_back_once(shop: Shop) -> None:
    for number in range(5):
        assert await shop.request_callback(f"+97150000040{number}", name="Mia") == (0, "ok")
    processes = [CallbackStarter(shop.db, shop.switch) for _ in range(3)]
    await asyncio.gather(*(one.start_due() for one in processes))
    started = [one[2] for one in shop.switch.commands if one[1] == START_CALLBACK]
    assert sorted(one["contact"] for one in started) == [f"97150000040{number}" for number in range(5)]
    assert {one["visitor_name"] for one in started} == {"Mia"}
    assert {(one["state"], one["call_session_id"]) for one in await shop.rows()} == {("started", 7)}


async def test_a_call_back_whose_start_is_unknown_is_found_by_its_session(shop: Shop) -> None:
    shop.switch.answers[START_CALLBACK] = SwitchInterrupted("unknown")
    assert await shop.request_callback() == (0, "ok")
    await shop.site.callbacks.start_due()
    [row] = await shop.rows()
    assert row["state"] == "starting"
    assert await shop.site.callbacks.start_due() == 0
    shop.switch.commands.clear()
    stalled = "update site_calls set started_at = now() - interval '2 minutes' where account_id = %s"
    await shop.db.execute(stalled, (shop.account_id,))
    shop.switch.answers[START_CALLBACK] = {"call_session_id": 9}
    session_id = first_id_at(int(datetime.now(UTC).timestamp() * 1000))
    async with shop.db.connection() as connection:
        await ensure_partitions(connection, datetime.now(UTC))
    await shop.db.execute(
        """insert into call_sessions (account_id, call_session_id, start_time, direction, source, external_id, version, node)
           values (%s, %s, now(), 'in', 'sitephone', %s, 1, 0)""",
        (shop.account_id, session_id, f"site-call {row['site_call_id']}"),
    )
    assert await shop.site.callbacks.start_due() == 1
    [row] = await shop.rows()
    assert (row["state"], row["call_session_id"]) == ("started", session_id)
    assert shop.switch.commands == []


@pytest.mark.parametrize(
    ("reason", "answered", "state"),
    [
        ("internal_error", False, "waiting"),
        ("no_answer", False, "started"),
        ("internal_error", True, "started"),
    ],
)
async def test_a_callback_that_asterisk_did_not_carry_out_is_made_again(
    shop: Shop, reason: str, answered: bool, state: str
) -> None:
    session_id = first_id_at(int(datetime.now(UTC).timestamp() * 1000))
    shop.switch.answers[START_CALLBACK] = {"call_session_id": session_id}
    assert await shop.request_callback() == (0, "ok")
    assert await shop.site.callbacks.start_due() == 1
    [row] = await shop.rows()
    external = f"site-call {row['site_call_id']}"
    async with shop.db.connection() as connection:
        await ensure_partitions(connection, datetime.now(UTC))
        await connection.execute(
            """insert into call_sessions
                   (account_id, call_session_id, start_time, direction, source, external_id, version, node)
               values (%s, %s, now(), 'out', 'sitephone', %s, 1, 0)""",
            (shop.account_id, session_id, external),
        )
        await connection.execute(
            """insert into call_legs
                   (account_id, call_session_id, leg_id, start_time, direction, is_operator, finish_reason, answer_time)
               values (%s, %s, %s, now(), 'out', false, %s, %s)""",
            (shop.account_id, session_id, session_id, reason, datetime.now(UTC) if answered else None),
        )
        data = {"source": "sitephone", "external_id": external}
        over = Event(shop.account_id, f"call:{session_id}", 9, EventType.SESSION_FINISHED, Instant(0.0), data)
        for _ in range(2):
            await requests.LostCallbacks().on_events(connection, [over])
    [row] = await shop.rows()
    assert row["state"] == state
    if state == "waiting":
        assert await shop.site.callbacks.start_due() == 0
        await shop.pass_time(seconds=31)
        await shop.db.execute("update call_sessions set start_time = start_time - interval '31 seconds'")
        shop.switch.answers[START_CALLBACK] = SwitchInterrupted("stopped")
        assert await shop.site.callbacks.start_due() == 1
        shop.switch.commands.clear()
        await shop.pass_time(seconds=61)
        await shop.db.execute("update call_sessions set start_time = start_time - interval '61 seconds'")
        shop.switch.answers[START_CALLBACK] = {"call_session_id": 8}
        assert (
            await shop.site.callbacks.start_due() == 1
        )  # the session of the first attempt is not this one's
        assert len(shop.called()) == 1
        async with shop.db.connection() as connection:
            await requests.LostCallbacks().on_events(
                connection, [over]
            )  # the event of the first attempt, again
        [row] = await shop.rows()
        assert (row["state"], row["call_session_id"]) == ("started", 8)


async def test_a_callback_that_is_lost_before_its_start_is_noted_waits(shop: Shop) -> None:
    """The end of the call comes before the web process has written that it began."""
    assert await shop.request_callback() == (0, "ok")
    command = shop.switch.command

    async def lost_meanwhile(account_id: int, name: str, params: dict[str, Any], **more: Any) -> Any:
        answer = await command(account_id, name, params, **more)
        if name == START_CALLBACK:
            lost = "update site_calls set state = 'waiting', started_at = now() + interval '1 second'"
            await shop.db.execute(lost)
        return answer

    shop.switch.command = lost_meanwhile  # type: ignore[method-assign]
    assert await shop.site.callbacks.start_due() == 1
    [row] = await shop.rows()
    assert row["state"] == "waiting"


async def test_without_a_switch_a_call_back_waits_and_one_that_is_late_is_not_made(shop: Shop) -> None:
    shop.switch.answers[START_CALLBACK] = SwitchUnavailable("away")
    assert await shop.request_callback() == (0, "ok")
    await shop.site.callbacks.start_due()
    [row] = await shop.rows()
    assert row["state"] == "waiting"
    assert await shop.site.callbacks.start_due() == 0
    for state in ("waiting", "refused"):
        await shop.pass_time(hours=7)
        assert await shop.site.callbacks.start_due() == 1
        [row] = await shop.rows()
        assert row["state"] == state
    assert row["reason"] == "too_late"
    old = "update site_calls set requested_at = now() - interval '31 days' where account_id = %s"
    await shop.db.execute(old, (shop.account_id,))
    await prune(shop.db)
    assert await shop.rows() == []


async def test_a_call_back_that_a_limit_of_calls_refuses_is_tried_again(shop: Shop) -> None:
    shop.switch.answers[START_CALLBACK] = LimitExceeded("Limit per calls has been exceeded")
    assert await shop.request_callback() == (0, "ok")
    await shop.site.callbacks.start_due()
    shop.switch.answers[START_CALLBACK] = {"call_session_id": 7}
    await shop.pass_time(minutes=1)
    await shop.site.callbacks.start_due()
    assert [one["state"] for one in await shop.rows()] == ["started"]


async def test_a_call_back_that_was_made_is_not_made_again_when_its_end_cannot_be_written(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: Any, **__: Any) -> None:
        raise DatabaseUnavailable("connection lost")

    assert await shop.request_callback() == (0, "ok")
    monkeypatch.setattr(requests, "finish", lost)
    with pytest.raises(DatabaseUnavailable):
        await shop.site.callbacks.start_due()
    assert [one["state"] for one in await shop.rows()] == ["starting"]  # its session decides
    assert await shop.site.callbacks.start_due() == 0
    assert shop.called() == [NUMBER]


@pytest.mark.parametrize("failure", [None, SwitchUnavailable("away"), InvalidState("no")])
async def test_a_slow_switch_does_not_lead_to_second_calls(shop: Shop, failure: Exception | None) -> None:
    """One process waits for the first answer of the switch for more than a minute, while another one looks."""
    numbers = [f"97150000040{number}" for number in range(3)]
    for number in numbers:
        assert await shop.request_callback(f"+{number}") == (0, "ok")
    asked, go_on = asyncio.Event(), asyncio.Event()

    class Slow:
        async def command(self, account_id: int, name: str, params: dict[str, Any], **_: Any) -> Any:
            asked.set()
            await go_on.wait()
            if failure is not None:
                raise failure
            return await shop.switch.command(account_id, name, params)

    slow = asyncio.create_task(CallbackStarter(shop.db, Slow()).start_due())  # type: ignore[arg-type]
    await asked.wait()
    await shop.pass_time(seconds=61)
    await shop.site.callbacks.start_due()
    go_on.set()
    await slow
    assert sorted(shop.called()) == numbers
    assert {one["state"] for one in await shop.rows()} == {"started"}


async def test_one_callback_is_taken_at_a_time_whatever_the_plan(shop: Shop) -> None:
    """With the statistics of one row, a join executes a subquery again for each row, which then finds another one."""
    for number in range(4):
        assert await shop.request_callback(f"+97150000040{number}") == (0, "ok")
        if number == 0:
            await shop.db.execute("analyze site_calls")
    params = {"stalled": 60, "retry": 30, "late": requests.LATE_HOURS}
    assert len(await shop.db.fetch_all(requests._DUE, params)) == 1
    assert [one["state"] for one in await shop.rows()].count("starting") == 1


async def test_what_cannot_be_stored_is_taken_out_of_the_address_after_decoding(shop: Shop) -> None:
    page = {"url": f"{ORIGIN}/?utm_source=%00", "referrer": "https://www.google.com/search?q=%00"}
    assert (await shop.send("visit", page)).status == 200
    assert (await shop.send("call", page)).status == 200
    [params] = [one[2] for one in shop.switch.commands if one[1] == ANNOUNCE_CALL]
    assert params["visit"]["utm_source"] == "\ufffd"


async def test_visits_have_a_limit_and_need_no_switch(shop: Shop) -> None:
    shop.switch.answers[SITE_STATE] = SwitchUnavailable("away")
    first = await (await shop.send("visit", {})).json()
    assert first["state"]["is_open"] is False
    for _ in range(VISITS_OF_ADDRESS.burst - 1):
        shop.site._limits.visit(shop.site_id, "127.0.0.1")
    response = await shop.send("visit", {})
    assert (response.status, (await response.json())["code"]) == (429, "visits_per_address")
    # Further pages of a visit are not visits.
    assert (await shop.send("visit", {"visit": first["visit"]})).status == 200
    [row] = await shop.db.fetch_all(
        "select visitor_id from visitor_sessions where account_id = %s", (shop.account_id,)
    )
    assert row["visitor_id"] == first["visitor_id"]


async def test_a_call_that_the_switch_refuses_is_refused_and_not_counted_for_the_address(shop: Shop) -> None:
    await shop.change(calls_per_address=1)
    refusals: tuple[tuple[TrunklineError, int], ...] = (
        (InvalidState("closed", mnemonic="outside_working_hours"), 409),
        (SwitchUnavailable("away"), 503),
    )
    for refusal, status in refusals:
        shop.switch.answers[ANNOUNCE_CALL] = refusal
        assert (await shop.send("call", {})).status == status
    reasons = [(one["state"], one["reason"]) for one in await shop.rows()]
    assert reasons == [("refused", "outside_working_hours"), ("refused", "internal_error")]


async def test_requests_that_are_refused_have_a_limit(shop: Shop) -> None:
    """They leave no row, and each asks the switch."""
    shop.switch.answers[SITE_STATE] = {**OPEN, "is_open": False}
    for _ in range(CALLS_OF_ADDRESS.burst):
        assert await shop.request_callback() == (3, "outside_working_hours")
    asked = len(shop.switch.commands)
    assert await shop.request_callback() == (4, "calls_per_address")
    assert (await shop.send("call", {})).status == 429
    assert len(shop.switch.commands) == asked
    visit = (await (await shop.send("visit", {})).json())["visit"]
    for _ in range(CHANGES_OF_ADDRESS.burst):
        shop.site._limits.change(shop.site_id, "127.0.0.1")
    for what in ("property/set", "property", "property/delete", "visitor"):
        body = {"visit": visit, "name": "a", "value": "b"}
        assert (await shop.send(what, body)).status == 429, what


async def test_the_second_request_of_a_number_has_the_time_of_the_first(shop: Shop) -> None:
    times = [datetime.now(UTC) + timedelta(hours=hours) for hours in (2, 5)]
    answers = []
    for at in times:
        body = {"phone": f"+{NUMBER}", "delayed_call_time": int(at.timestamp() * 1000)}
        answers.append((await (await shop.send("callback", body)).json())["result"]["call_time"])
    assert answers[0] == answers[1]
    assert datetime.fromisoformat(answers[0]) == pytest.approx(times[0], abs=timedelta(milliseconds=1))


@pytest.mark.parametrize(
    ("key", "origin", "status"),
    [("0" * 32, ORIGIN, 404), (None, "https://evil.example", 403), (None, None, 403)],
)
async def test_a_preflight_that_is_refused(
    shop: Shop, key: str | None, origin: str | None, status: int
) -> None:
    headers = {} if origin is None else {"Origin": origin}
    response = await shop.client.options(f"{shop.url}/site/{key or shop.key}/call", headers=headers)
    assert response.status == status
    assert "Access-Control-Allow-Origin" not in response.headers


async def test_another_account_cannot_take_the_key_of_a_website(shop: Shop) -> None:
    """The key is on its pages."""
    other = await Administration(shop.db).create_account(
        AccountProfile("Other Ltd", time_zone="Asia/Dubai"), login="other", password="a long password"
    )
    row = {"domain_name": "other.example.com", "industry_id": 19}
    victim = await create_site(shop.db, other.account_id, row)
    with pytest.raises(InvalidInput, match="has this key"):
        await create_site(
            shop.db.for_account(shop.account_id), shop.account_id, row, site_key=victim.site_key
        )


async def test_visits_and_properties_of_visitors(shop: Shop) -> None:
    first = await (await shop.send("visit", {"url": f"{ORIGIN}/a?utm_source=letter"})).json()
    token = {"visit": first["visit"]}
    second = await (await shop.send("visit", {**token, "url": f"{ORIGIN}/b"})).json()
    assert (second["visitor_id"], second["session_id"]) == (first["visitor_id"], first["session_id"])
    await shop.db.execute(
        "update visitor_sessions set date_time = now() - interval '2 hours', duration = 0 where account_id = %s",
        (shop.account_id,),
    )
    third = await (await shop.send("visit", {**token, "url": f"{ORIGIN}/c"})).json()
    assert third["visitor_id"] == first["visitor_id"]
    assert third["session_id"] != first["session_id"]
    rows = await shop.db.fetch_all(
        "select * from visitor_sessions where account_id = %s order by visitor_session_id", (shop.account_id,)
    )
    assert [[hit["hit_url"] for hit in one["hits"]] for one in rows] == [
        [f"{ORIGIN}/a?utm_source=letter", f"{ORIGIN}/b"],
        [f"{ORIGIN}/c"],
    ]
    assert [one["is_visitor_new"] for one in rows] == [True, False]
    assert rows[0]["extra"]["utm_source"] == "letter"

    async def of(name: str) -> tuple[bool, str | None]:
        found = await (await shop.send("property", {**token, "name": name})).json()
        return found["has"], found["value"]

    assert await of("Customer") == (False, None)
    await shop.send("property/set", {**token, "name": "Customer", "value": "new"})
    await shop.send("property/set", {**token, "name": "Seen"})
    assert (await of("Customer"), await of("Seen")) == ((True, "new"), (True, None))
    await shop.send("property/delete", {**token, "name": "Seen"})
    assert await of("Seen") == (False, None)
    kept = await shop.send("visitor", {**token, "name": "Mia", "phone": f"+{NUMBER}"})
    assert await kept.json() == {"success": True}
    await shop.send("call", token)
    [params] = [one[2] for one in shop.switch.commands if one[1] == ANNOUNCE_CALL]
    assert params["visitor_name"] == "Mia"
    assert params["visit"]["visitor_custom_properties"] == [
        {"property_name": "Customer", "property_value": "new"}
    ]


async def test_scripts_are_kept_by_their_content(shop: Shop) -> None:
    loader = await shop.client.get(f"{shop.url}/site/loader.js")
    path = shop.site._scripts.path("widget.js")
    assert path in await loader.text()
    widget = await shop.client.get(shop.url + path, headers={"Accept-Encoding": "gzip"})
    assert widget.headers["Cache-Control"].endswith("immutable")
    assert widget.headers["Access-Control-Allow-Origin"] == "*"
    assert int(widget.headers["Content-Length"]) < 15_000
    other = await shop.client.get(f"{shop.url}/site/static/widget.js?v=0")
    assert "immutable" not in other.headers["Cache-Control"]
