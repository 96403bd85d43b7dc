"""Contacts, employees, lines; queues as they are now."""

from __future__ import annotations

import asyncio
import re
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from tests.apis.call_center.test_live import AGENTS, COUNTS, QUEUE
from tests.apis.support import NotedSwitch
from tests.console.calls import SCRIPT, add_employees
from tests.console.conftest import Office
from tests.reports.lifelike import insert
from trunkline.accounts.permissions import Role
from trunkline.apis.request_share import SESSION_COOKIE
from trunkline.apis.service.request_context import SwitchPort
from trunkline.calls.switch.queue_commands import LIST_LIVE
from trunkline.console import live_source, live_stream
from trunkline.console.live_source import LiveSource
from trunkline.core.errors import SwitchUnavailable


async def _add(office: Office) -> None:
    await add_employees(office)
    own, other = {"account_id": office.account_id}, {"account_id": office.other_id}
    async with office.db.connection() as connection:
        await insert(
            connection,
            "contacts",
            [
                {**own, "contact_id": 1, "key": "a", "last_name": "Haddad", "first_name": "Lena"},
                {**own, "contact_id": 2, "key": "b", "last_name": SCRIPT},
                {**other, "contact_id": 3, "key": "a", "last_name": "Hidden"},
            ],
        )
        await insert(
            connection,
            "contact_phones",
            [{**own, "contact_id": 1, "phone_number": "971500000010", "position": 1}],
        )
        digests = {"ha1_md5": "x", "ha1_sha256": "x"}
        await insert(
            connection,
            "sip_lines",
            [
                {**own, "sip_line_id": 9001, "phone_number": "100100", "employee_id": 4001, **digests},
                {**own, "sip_line_id": 9002, "phone_number": "100200", **digests},
                {**other, "sip_line_id": 9003, "phone_number": "100300", **digests},
            ],
        )
        await insert(
            connection,
            "registrations",
            [
                {
                    **own,
                    "sip_line_id": 9001,
                    "contact_uri": f"sip:{port}",
                    "ip": "192.0.2.7",
                    "port": port,
                    "registered_at": datetime.now(UTC),
                }
                for port in (5060, 5062)
            ],
        )


async def test_what_the_lists_show(office: Office) -> None:
    await _add(office)
    browser = await office.browser("captain")
    contacts = await browser.get("/console/contacts")
    assert "Haddad Lena" in contacts.words
    assert "+971 50 000 0010" in contacts.words
    assert "Hidden" not in contacts.words
    assert contacts.reader.scripts_inside == 0
    employees = await browser.get("/console/employees")
    assert "Okafor Ben" in employees.words
    lines = await browser.get("/console/lines")
    assert "Several devices are registered on this line." in lines.words
    assert "100300" not in lines.words
    offline = await browser.get("/console/lines?state=offline")
    assert "100200" in offline.words
    assert "100100" not in offline.words


@pytest.mark.parametrize(
    ("path", "words", "found"),
    [
        ("contacts", "hadd", 1),
        ("contacts", "LENA", 1),
        ("contacts", "+971 50 000", 1),
        ("contacts", "050 000 0010", 1),
        ("contacts", "00971500000010", 1),
        ("contacts", ".*", 0),
        ("contacts", "(", 1),
        ("contacts", "<script>", 1),
        ("employees", "stone", 1),
        ("employees", "o", 2),
        ("lines", "100200", 1),
        ("lines", "mira", 1),
    ],
)
async def test_search(office: Office, path: str, words: str, found: int) -> None:
    await _add(office)
    browser = await office.browser("captain")
    page = await browser.get(f"/console/{path}?words={words.replace('+', '%2B')}")
    assert page.status == 200, page.words
    assert f"Found: {found}" in page.words


async def test_lists_by_role(office: Office) -> None:
    await _add(office)
    paths = ("/console/contacts", "/console/employees", "/console/lines", "/console/queues")
    office.switch.answers[LIST_LIVE] = {"agents": [], "queues": []}
    expected = {
        Role.ADMIN: (200, 200, 200, 200),
        Role.SUPERVISOR: (200, 200, 200, 200),
        Role.OPERATOR: (200, 200, 403, 403),
        Role.INTEGRATOR: (200, 200, 403, 403),
        Role.MEMBER: (403, 403, 403, 403),
    }
    for login, statuses in expected.items():
        browser = await office.browser(login)
        assert tuple([(await browser.get(path)).status for path in paths]) == statuses, login
        links = (await browser.get("/console/")).links
        assert tuple(200 if path in links else 403 for path in paths) == statuses, login


def _live(name: str = "Sales", waiting: int = 1) -> dict[str, Any]:
    caller = {
        "position": 1, "call_session_id": 7, "number": "971500000010", "state": "Waiting", "score": 5, "waited": 65,
        "caller_id": 1,
    }  # fmt: skip
    queue = {
        "queue_id": QUEUE, "name": name, "waiting": waiting, "longest_wait": 65, "talking": 1, "callbacks": 0,
        "agents": {}, "on_break": 0, "callers": [caller] * waiting,
        "service": {**asdict(COUNTS), "level": 0.75, "since": 0, "answer_time": 20, "formula": "x", "offered": 5},
    }  # fmt: skip
    return {"agents": [asdict(one) for one in AGENTS], "queues": [queue]}


async def test_queues_now(office: Office) -> None:
    office.switch.answers[LIST_LIVE] = _live(SCRIPT)
    browser = await office.browser("admin")
    page = await browser.get("/console/queues")
    assert page.status == 200, page.words
    assert "+971 50 000 0010" in page.words
    assert re.search(r"\b1:(0[5-9]|[1-5][0-9])\b", page.words), page.words
    assert "75%" in page.words
    assert "Agent 12 Talks" in page.words
    assert page.reader.scripts_inside == 0
    assert "<img src=x" not in page.text


async def test_a_switch_that_does_not_answer_is_said(office: Office) -> None:
    office.switch.answers[LIST_LIVE] = SwitchUnavailable("no switch at 192.0.2.1")
    browser = await office.browser("admin")
    page = await browser.get("/console/queues")
    assert page.status == 200
    assert "192.0.2.1" not in page.words
    assert 'role="alert"' in page.text


async def test_changes_of_queues_are_sent_to_open_pages(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_source, "STEP_SECONDS", 0.05)
    monkeypatch.setattr(live_stream, "STREAM_SECONDS", 2)
    office.switch.answers[LIST_LIVE] = _live("Sales")
    browser = await office.browser("admin")

    async def read(response: aiohttp.ClientResponse, words: str) -> None:
        text = ""
        async with asyncio.timeout(2):
            while words not in text:
                text += (await response.content.readuntil(b"\n\n")).decode()

    async with browser.client.get(f"{office.origin}/console/queues/stream") as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        await read(response, "Sales")
        office.switch.answers[LIST_LIVE] = _live("Service")
        await read(response, "Service")
    stranger = await office.browser()
    refused = await stranger.get("/console/queues/stream", follow=False)
    assert refused.status == 303
    stranger.set_cookie(SESSION_COOKIE, "guess")
    assert (await stranger.get("/console/queues/stream", follow=False)).status == 303
    integrator = await office.browser("integrator")
    assert (await integrator.get("/console/queues/stream")).status == 403


async def test_many_pages_ask_the_switch_once() -> None:
    asked: list[int] = []

    async def ask(_switch: SwitchPort, account_id: int, _last: int | None) -> int:
        await asyncio.sleep(0.01)
        asked.append(account_id)
        return len(asked)

    now = 0.0
    source = LiveSource(ask, lambda: now)
    switch = NotedSwitch()
    await asyncio.gather(*(source.now(1, switch) for _ in range(300)))
    assert len(asked) == 1
    now += live_source.STEP_SECONDS
    assert (await source.now(1, switch)).value == 2
    await source.now(2, switch)
    assert asked == [1, 1, 2]
