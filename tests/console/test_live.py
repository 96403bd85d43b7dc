"""Calls in progress: who sees which, and what may be done to them, by the page and by a request without it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.console.browser import Browser, Seen
from tests.console.calls import SCRIPT, add_employees
from tests.console.conftest import Office
from tests.reports.lifelike import EMPLOYEES, insert
from trunkline.console import live_source
from trunkline.core.errors import InvalidState, SwitchUnavailable

LIST = "list_calls_in_progress"
OWN, OTHER = 7001, 7002
MINE, HERS = list(EMPLOYEES)[:2]
LINE = "0100777"
LEG = 747_218_534_400_000
"""As long as ids of legs are."""


def call(call_id: int, employee_id: int, **changes: Any) -> dict[str, Any]:
    party = {
        "leg_id": 2,
        "employee_id": employee_id,
        "name": EMPLOYEES[employee_id],
        "number": "100",
        "state": "talking",
    }
    return {
        "call_session_id": call_id,
        "direction": "in",
        "is_internal": False,
        "progress": "talking",
        "since": 1_790_000_000.0,
        "talk_since": 1_790_000_010.5,
        "contact_number": f"97150000{call_id}",
        "contact_name": None,
        "contact_id": None,
        "virtual_number": "97142000001",
        "scenario_name": None,
        "queue_id": None,
        "queue_name": None,
        "lead_id": None,
        "external_id": None,
        "is_recorded": False,
        "parties": [party],
        "coaches": [],
        "employee_ids": [employee_id],
        **changes,
    }


@pytest.fixture
async def live(office: Office) -> Office:
    """Supervisor and operator are employees; each of two employees talks; the supervisor has a registered line."""
    await add_employees(office)
    coach = {
        **call(1, HERS)["parties"][0],
        "leg_id": LEG,
        "name": "Watcher",
        "mode": "listen",
        "is_in_talk": True,
    }
    office.switch.answers[LIST] = [
        call(OWN, MINE, coaches=[coach], progress="on_hold"),
        call(OTHER, HERS, contact_name=SCRIPT),
    ]
    async with office.db.connection() as connection:
        for login, employee_id in (("operator", MINE), ("supervisor", list(EMPLOYEES)[2])):
            await connection.execute(
                "update users set employee_id = %s where account_id = %s and user_id = %s",
                (employee_id, office.account_id, office.users[login]),
            )
        own = {"account_id": office.account_id, "sip_line_id": 9001}
        line = {
            "phone_number": LINE,
            "employee_id": list(EMPLOYEES)[2],
            "ha1_md5": "1" * 32,
            "ha1_sha256": "2" * 64,
        }
        await insert(connection, "sip_lines", [{**own, **line}])
        until = datetime.now(UTC) + timedelta(hours=1)
        registration = {
            "contact_uri": "sip:a@192.0.2.7",
            "ip": "192.0.2.7",
            "port": 5060,
            "registered_at": until,
            "expires_at": until,
        }
        await insert(connection, "registrations", [{**own, **registration}])
    return office


async def act(browser: Browser, page: Seen, action: str, **fields: str) -> Seen:
    """A button of the page; or the same request by somebody whose page does not have it."""
    token = {"form_token": page.form("/console/live/action").fields["form_token"]}
    return await browser.post("/console/live/action", {**token, "action": action, **fields})


async def test_a_supervisor_listens_with_the_own_phone(live: Office) -> None:
    browser = await live.browser("supervisor")
    page = await browser.get("/console/live")
    assert page.status == 200, page.words
    assert "Watcher listens" in page.words
    assert f'value="whisper:{OTHER}"' in page.text
    assert f'value="whisper:{OWN}"' not in page.text, "nobody talks, and there is a coach"
    assert "<img src=x" not in page.text
    for mode in ("listen", "whisper", "barge"):
        done = await act(browser, page, f"{mode}:{OTHER}", phone=LINE)
        assert done.status == 200, done.words
        [sent] = [params for _, name, params in live.switch.commands if name == "add_coach"][-1:]
        assert (sent["phone_number"], sent["mode"]) == (LINE, mode)
    own_leg = {
        **call(1, HERS)["parties"][0],
        "leg_id": LEG,
        "employee_id": list(EMPLOYEES)[2],
        "mode": "listen",
    }
    live.switch.answers[LIST] = [call(OTHER, HERS, coaches=[{**own_leg, "is_in_talk": True}])]
    await asyncio.sleep(live_source.STEP_SECONDS)
    page = await browser.get("/console/live")
    assert f'value="leave:{OTHER}:{LEG}"' in page.text
    assert (await act(browser, page, f"leave:{OTHER}:{LEG}")).status == 200
    [left] = [params for _, name, params in live.switch.commands if name == "disconnect_leg"]
    assert left["leg_id"] == LEG
    await act(browser, page, f"release:{OTHER}")
    names = [name for _, name, _ in live.switch.commands]
    assert "release_call" in names
    logged = [
        (one.method, one.user_login, one.call_session_id, one.error_mnemonic) for one in live.log.entries
    ]
    assert logged == [("add.coach", "supervisor", OTHER, None)] * 3 + [
        ("disconnect.leg", "supervisor", OTHER, None),
        ("release.call", "supervisor", OTHER, None),
    ]


@pytest.mark.parametrize("phone", ["0100999", "971500000099"])
async def test_only_an_own_phone_rings(live: Office, phone: str) -> None:
    browser = await live.browser("supervisor")
    page = await browser.get("/console/live")
    refused = await act(browser, page, f"whisper:{OTHER}", phone=phone)
    assert refused.status == 409
    assert "add_coach" not in [name for _, name, _ in live.switch.commands]


async def test_an_operator_sees_and_ends_only_own_calls(live: Office) -> None:
    browser = await live.browser("operator")
    page = await browser.get("/console/live")
    assert f"/console/calls/{OWN}" in page.links
    assert f"/console/calls/{OTHER}" not in page.links
    assert "Watcher" not in page.text, "a coach may listen without being noticed"
    assert "whisper:" not in page.text
    for action, status in (
        (f"release:{OTHER}", 404),
        (f"whisper:{OTHER}", 404),
        (f"whisper:{OWN}", 403),
        (f"leave:{OWN}:{LEG}", 403),
        ("release:x", 400),
        (f"release:{OWN}", 200),
    ):
        assert (await act(browser, page, action)).status == status, action
    assert [
        params["call_session_id"] for _, name, params in live.switch.commands if name == "release_call"
    ] == [OWN]


async def test_who_has_the_page(live: Office) -> None:
    captain = await live.browser("captain")
    page = await captain.get("/console/live")
    without_phone = await act(captain, page, f"listen:{OTHER}")
    assert without_phone.status == 409
    assert "registered" in without_phone.words
    for login in ("integrator", "member"):
        browser = await live.browser(login)
        home = await browser.get("/console/")
        assert "/console/live" not in home.links
        for path in ("/console/live", "/console/live/stream"):
            assert (await browser.get(path)).status == 403, (login, path)
        token = home.reader.forms[-1].fields["form_token"]
        done = await browser.post("/console/live/action", {"form_token": token, "action": f"release:{OTHER}"})
        assert done.status == 403, login
    forged = await captain.post("/console/live/action", {"form_token": "x", "action": f"release:{OTHER}"})
    assert forged.status == 403


async def test_what_the_switch_refuses_is_said(live: Office) -> None:
    browser = await live.browser("supervisor")
    page = await browser.get("/console/live")
    live.switch.answers["add_coach"] = InvalidState("A coach is on this call already")
    assert (await act(browser, page, f"whisper:{OTHER}")).status == 409
    assert live.log.entries[-1].error_mnemonic
    live.switch.answers[LIST] = SwitchUnavailable("no switch at 192.0.2.1")
    await asyncio.sleep(live_source.STEP_SECONDS)
    page = await browser.get("/console/live")
    assert 'role="alert"' in page.text
    assert "192.0.2.1" not in page.words
