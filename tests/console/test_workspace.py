"""The workspace of an operator: their own calls, state, notes and calls to make, and nothing of others."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tests.apis.call_center.test_live import AGENTS, as_json
from tests.console.browser import Browser, Seen
from tests.console.calls import SCRIPT, add_call
from tests.console.conftest import Office
from tests.console.test_live import HERS, LINE, LIST, MINE, OTHER, OWN, call, live
from tests.reports.lifelike import EMPLOYEES, insert
from trunkline.calls.switch.queue_commands import LIST_LIVE
from trunkline.core.errors import InvalidState
from trunkline.queues.overview import Activity
from trunkline.queues.states import AgentStatus

__all__ = ["live"]

PATH = "/console/workspace"


@pytest.fixture
async def desk(live: Office) -> Browser:
    """The operator, an agent in wrap-up, who talks with somebody of the address book."""
    own = replace(AGENTS[0], agent_id=MINE, activity=Activity.WRAP_UP)
    live.switch.answers[LIST_LIVE] = {**as_json(), "agents": [asdict(own)]}
    live.switch.answers[LIST] = [
        call(OWN, MINE, contact_id=71, contact_number="97150000001"),
        call(OTHER, HERS),
    ]
    for name in ("set_agent_status", "set_agent_wrap_up"):
        live.switch.answers[name] = asdict(own)
    async with live.db.connection() as connection:
        contact = {"account_id": live.account_id, "contact_id": 71, "key": "x", "last_name": SCRIPT}
        await insert(connection, "contacts", [contact])
    return await live.browser("operator")


def commands(office: Office, name: str) -> list[dict[str, Any]]:
    return [params for _, one, params in office.switch.commands if one == name]


async def test_what_is_on_the_desk(live: Office, desk: Browser) -> None:
    moment = datetime.now(UTC) - timedelta(minutes=20)
    before = await add_call(live, moment, contact_phone_number="97150000001")
    page = await desk.get(PATH)
    assert page.status == 200, page.words
    assert f"/console/calls/{before}" in page.links, "the history of the contact"
    assert f'data-call-id="{OWN}"' in page.text
    assert str(OTHER) not in page.text
    assert "<img src=x" not in page.text
    assert "End the wrap-up" in page.words
    assert page.form(f"{PATH}/note").fields["call"] == str(OWN)
    member = await live.browser("captain")
    assert (await member.get(PATH)).status == 403, "no employee"


async def add_internal_call(
    office: Office, moment: datetime, number: int, caller: int, called: int, dialled: str, shown: str
) -> int:
    """A call of one employee to another, as the switch writes it."""
    people = [
        {"employee_id": who, "employee_full_name": EMPLOYEES[who], "is_answered": True, "is_talked": True}
        for who in (caller, called)
    ]
    call_id = await add_call(
        office, moment, number, is_internal=True, direction="out", contact_phone_number=dialled,
        contact_full_name=None, virtual_phone_number=None, employees=people, is_lost=False,
    )  # fmt: skip
    async with office.db.connection() as connection:
        for direction, who, calling in (("in", caller, LINE), ("out", called, shown)):
            await connection.execute(
                "update call_legs set employee_id = %s, employee_full_name = %s, calling_phone_number = %s"
                " where account_id = %s and call_session_id = %s and direction = %s",
                (who, EMPLOYEES[who], calling, office.account_id, call_id, direction),
            )
    return call_id


async def test_a_colleague_is_shown_by_name_and_extension(live: Office, desk: Browser) -> None:
    """The extension that was dialled is the user's own when the colleague called."""
    moment = datetime.now(UTC) - timedelta(minutes=20)
    came = await add_internal_call(live, moment, 1, HERS, MINE, "104", "101")
    went = await add_internal_call(live, moment, 2, MINE, HERS, "101", "104")
    live.switch.answers[LIST] = [
        call(
            OWN, MINE, is_internal=True, direction="out", contact_number="104", employee_ids=[MINE, HERS],
            internal_caller={"employee_id": HERS, "full_name": EMPLOYEES[HERS], "number": "101"},
            internal_called={"employee_id": MINE, "full_name": EMPLOYEES[MINE]},
        )
    ]  # fmt: skip
    for path in (PATH, "/console/calls", f"/console/calls/{came}", f"/console/calls/{went}"):
        page = await desk.get(path)
        assert page.status == 200, page.words
        assert EMPLOYEES[HERS] in page.words, path
        assert 'data-dial="101"' in page.text, path
        assert 'data-dial="104"' not in page.text, path
    page = await desk.get(PATH)
    card = page.text.partition("call-card")[2].partition("</section>")[0]
    assert f'data-who="{EMPLOYEES[HERS]}"' in card
    assert f"/console/calls/{came}" in card
    assert f"/console/calls/{went}" in card, "both are calls with this colleague"
    assert EMPLOYEES[HERS] in (await desk.get("/console/live")).words
    captain = await (await live.browser("captain")).get("/console/calls")
    assert 'data-dial="104"' not in captain.text, "no employee: nothing to call with"
    assert f"{EMPLOYEES[MINE]} 104" in " ".join(captain.words.split()), "the called employee"


async def test_the_own_state(live: Office, desk: Browser) -> None:
    page = await desk.get(PATH)

    async def choose(state: str) -> Seen:
        token = page.form(f"{PATH}/state").fields["form_token"]
        return await desk.post(f"{PATH}/state", {"form_token": token, "state": state})

    for state in ("2", "available", "end_wrap_up", "logged_out"):
        assert (await choose(state)).status == 200, state
    assert [
        (one["employee_id"], one["status"], one.get("reason")) for one in commands(live, "set_agent_status")
    ] == [
        (MINE, "On Break", "2"),
        (MINE, "Available", None),
        (MINE, "Logged Out", None),
    ]
    available = commands(live, "set_agent_status")[1]
    assert not available.get("ends_break"), "it also checks in an agent who is logged out"
    row = await live.db.fetch_one(
        "select status from employees where account_id = %s and employee_id = %s", (live.account_id, MINE)
    )
    assert row == {"status": "available"}
    assert commands(live, "set_agent_wrap_up") == [{"employee_id": MINE, "seconds": 0}]
    assert [one.method for one in live.log.entries] == [
        "cc_agent/setPause",
        "cc_agent/setPause",
        "cc_agent/wrapup",
        "cc_agent/checkOut",
    ]
    for state in ("7", "99", "", "x"):
        assert (await choose(state)).status == 400, "not to be chosen"


async def test_a_missed_call_of_a_colleague_is_shown_until_the_two_have_talked(
    live: Office, desk: Browser
) -> None:
    moment = datetime.now(UTC) - timedelta(minutes=40)
    missed = await add_internal_call(live, moment, 1, HERS, MINE, "104", "101")
    await live.db.execute(
        "update call_sessions set is_lost = true, lost_call_processing_duration = null, employees = %s"
        " where account_id = %s and call_session_id = %s",
        (
            Jsonb(
                [{"employee_id": who, "is_answered": who == HERS, "is_talked": False} for who in (HERS, MINE)]
            ),
            live.account_id,
            missed,
        ),
    )

    async def to_call_back() -> str:
        return (await desk.get(PATH)).text.partition('id="desk-missed"')[2].partition("</section>")[0]

    await add_internal_call(live, moment - timedelta(minutes=9), 2, MINE, HERS, "101", "104")
    assert f"/console/calls/{missed}" in await to_call_back(), "that talk was before"
    await add_internal_call(live, moment + timedelta(minutes=9), 3, MINE, HERS, "101", "104")
    assert f"/console/calls/{missed}" not in await to_call_back()


async def test_a_call_that_was_only_listened_to_is_no_own_call(live: Office, desk: Browser) -> None:
    moment = datetime.now(UTC) - timedelta(minutes=9)
    people = [
        {"employee_id": HERS, "employee_full_name": "Her", "is_talked": True, "is_answered": True},
        {"employee_id": MINE, "employee_full_name": "Me", "is_talked": False, "is_answered": False},
    ]
    call_id = await add_call(live, moment, 1, employees=people, contact_phone_number="97150000008")
    link = f"/console/calls/{call_id}"
    assert link in (await desk.get(PATH)).links
    await live.db.execute(
        "update call_legs set is_coach = true, employee_id = %s"
        " where account_id = %s and call_session_id = %s and direction = 'out'",
        (MINE, live.account_id, call_id),
    )
    assert link not in (await desk.get(PATH)).links


@pytest.mark.parametrize(
    ("status", "reason", "state"),
    [
        (AgentStatus.AVAILABLE, None, "available"),
        (AgentStatus.ON_BREAK, "3", "3"),
        (AgentStatus.LOGGED_OUT, None, "logged_out"),
    ],
)
async def test_the_present_state_is_named(
    live: Office, desk: Browser, status: AgentStatus, reason: str | None, state: str
) -> None:
    """The script of the page marks its button."""
    own = replace(AGENTS[0], agent_id=MINE, status=status, status_reason=reason)
    live.switch.answers[LIST_LIVE] = {**as_json(), "agents": [asdict(own)]}
    page = await desk.get(PATH)
    assert f'data-state="{state}"' in page.text
    assert f'<button name="state" value="{state}">' in page.text


async def test_a_note_on_an_own_call_only(live: Office, desk: Browser) -> None:
    moment = datetime.now(UTC) - timedelta(minutes=20)
    me = [{"employee_id": MINE, "employee_full_name": "Me", "is_talked": True, "is_answered": True}]
    her = [{**me[0], "employee_id": HERS}]
    own = await add_call(live, moment, 1, employees=me, contact_phone_number="97150000009")
    other = await add_call(live, moment, 2, employees=her)
    async with live.db.connection() as connection:
        tag = {"account_id": live.account_id, "tag_id": 5, "name": "Order", "key": "order"}
        await insert(connection, "tags", [tag])
    page = await desk.get(PATH)

    async def note(call_id: int, **fields: str) -> int:
        sent = {"form_token": page.form(f"{PATH}/note").fields["form_token"], "call": str(call_id), **fields}
        return (await desk.post(f"{PATH}/note", sent)).status

    assert await note(own, comment="Wants the new list", tag="5") == 200
    assert await note(other, comment="x") == 404
    assert await note(OTHER, comment="x") == 404
    soon = f"{datetime.now(UTC) + timedelta(hours=9):%Y-%m-%dT%H:%M}"
    assert await note(own, at=soon, comment="Not stored") == 400, "of no campaign"
    assert await note(own, at="tomorrow", comment="Not stored") == 400
    shown = await (await live.browser("captain")).get(f"/console/calls/{own}")
    assert "Wants the new list" in shown.words
    assert "Not stored" not in shown.words, "it is sent again with the corrected time"
    assert "Order" in shown.words


async def test_click_to_call_rings_the_own_phones(live: Office, desk: Browser) -> None:
    page = await desk.get(PATH)
    token = page.form(f"{PATH}/state").fields["form_token"]
    assert (
        await desk.post("/console/call", {"form_token": token, "number": "+971 50 000 0002"})
    ).status == 200
    [sent] = commands(live, "start_agent_call")
    assert (sent["employee_id"], sent["contact"], sent["login"]) == (MINE, "+971 50 000 0002", "operator")
    live.switch.answers["start_agent_call"] = InvalidState("none", mnemonic="facility_not_subscribed")
    refused = await desk.post("/console/call", {"form_token": token, "number": "1"})
    assert refused.status == 409
    assert "registered" in refused.text
    assert (await desk.post("/console/call", {"form_token": "x", "number": "1"})).status == 403
    captain = await live.browser("captain")
    own = (await captain.get("/console/")).reader.forms[-1].fields["form_token"]
    assert (await captain.post("/console/call", {"form_token": own, "number": "1"})).status == 403
