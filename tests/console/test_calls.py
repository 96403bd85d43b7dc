"""Overview, list and page of calls: figures, filters, roles, hostile texts."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from psycopg.types.json import Jsonb

from tests.console.calls import SCRIPT, add_call, add_calls, add_employees, add_events, noon
from tests.console.conftest import Office
from tests.reports.lifelike import insert
from trunkline.accounts.permissions import Role
from trunkline.calls.switch.queue_commands import LIST_LIVE
from trunkline.console.call_page import is_for_supervisors
from trunkline.core.clock import Instant
from trunkline.events.catalogue import Event, EventType
from trunkline.reports.overview import read_overview
from trunkline.reports.story import Step, steps

_PERSON = [{"employee_id": 4001, "employee_full_name": "Stone Mira", "is_answered": True, "is_talked": True}]
_OTHER = [{"employee_id": 4002, "employee_full_name": "Okafor Ben", "is_answered": True, "is_talked": True}]
_STARTED = {
    "direction": "in",
    "contact_phone_number": "442079460950",
    "virtual_phone_number": "442079460100",
}
_BUSY = {"leg_id": 7, "is_failed": True, "finish_reason": "employee_busy", "sip_code": 486}
_MISSED = [
    {"employee_id": 4001, "employee_full_name": "Stone Mira", "is_answered": False, "is_talked": False}
]


def _found(words: str) -> int:
    counted = re.search(r"(\d+) calls?\b", words)
    assert counted, words
    return int(counted[1])


async def _add_day(office: Office) -> dict[str, int]:
    """Yesterday: two answered calls in, a lost one that was called back, a lost one that was not, one call out, one between
    employees."""
    day = noon()
    lost: dict[str, Any] = {
        "is_lost": True,
        "talk_duration": 0,
        "employees": _MISSED,
        "finish_reason": "operator_not_responsive",
    }
    return {
        "first": await add_call(
            office, day, direction="in", is_lost=False, wait_duration=10, employees=_PERSON, talk_duration=60,
            contact_phone_number="971500000010", contact_full_name="Haddad Lena", is_internal=False,
            last_talked_employee_id=4001,
        ),
        "second": await add_call(
            office, day, 1, direction="in", is_lost=False, wait_duration=30, employees=_OTHER, talk_duration=120,
            contact_phone_number="971500000011", last_talked_employee_id=4002,
        ),
        "returned": await add_call(
            office, day, 2, direction="in", contact_phone_number="12025550110", lost_call_processing_duration=300, **lost
        ),
        "lost": await add_call(
            office, day + timedelta(hours=1), direction="in", contact_phone_number="442079460950",
            lost_call_processing_duration=None, **{**lost, "finish_reason": "employee_busy"},
        ),
        "out": await add_call(
            office, day + timedelta(hours=2), direction="out", is_lost=False, employees=_PERSON, talk_duration=20,
            contact_phone_number="12025550111", last_talked_employee_id=4001,
        ),
        "internal": await add_call(
            office, day + timedelta(hours=3), direction="out", is_internal=True, is_lost=False, employees=_PERSON,
            contact_phone_number="101",
        ),
    }  # fmt: skip


async def test_the_overview_counts_what_its_links_show(office: Office) -> None:
    await _add_day(office)
    browser = await office.browser("supervisor")
    page = await browser.get(f"/console/?day={noon().date()}")
    assert page.status == 200
    figures = {
        title.strip(): (value, link.replace("&amp;", "&"))
        for title, link, value in re.findall(
            r'<dt>([^<]+)</dt>\s*<dd><a class="value[^"]*" href="([^"]+)">([^<]+)</a>', page.text
        )
    }
    assert {name: value for name, (value, _) in figures.items()} == {
        "Calls in": "4",
        "Lost": "2",
        "Lost and not called back": "1",
        "Calls out": "1",
        "Mean time to answer": "0:20",
    }
    for name, (value, link) in figures.items():
        if value.isdigit():
            assert _found((await browser.get(link)).words) == int(value), name
    assert "25%" in page.words  # answered within 20 seconds
    rows = re.findall(r'<tr>\s*<th scope="row">.*?</tr>', page.text, re.DOTALL)
    people = {re.findall(r"<bdi>([^<]+)</bdi>", row)[0]: row for row in rows if "<bdi>" in row}
    for number, link in (
        (int(value), link.replace("&amp;", "&"))
        for row in people.values()
        for link, value in re.findall(r'<td class="number"><a href="([^"]+)">(\d+)</a>', row)
    ):
        assert _found((await browser.get(link)).words) == number, link
    assert "The employee did not answer" in page.words
    assert "The employee was in another call" in page.words


async def test_each_employee_of_a_transferred_call_has_the_own_talk_time(office: Office) -> None:
    await _add_day(office)  # of which no call has the talks of each employee
    talks = Jsonb({"4001": 15, "4002": 70})
    await add_call(
        office, noon(), 5, direction="in", is_lost=False, is_internal=False, employees=_PERSON + _OTHER,
        talk_duration=100, last_talked_employee_id=4002, employee_talks=talks,
    )  # fmt: skip
    day = noon().replace(hour=0)
    found = await read_overview(office.db, office.account_id, day, day + timedelta(days=1), "Asia/Dubai")
    assert {one.employee_id: one.talk_seconds for one in found.people} == {4001: 60 + 20 + 15, 4002: 120 + 70}


async def test_a_call_with_a_message_has_its_mark_and_its_download(office: Office) -> None:
    call_id = await add_call(
        office, noon(), direction="in", is_lost=True, talk_duration=0, finish_reason="no_operation", employees=_MISSED
    )  # fmt: skip
    browser = await office.browser("captain")
    for is_message in (False, True):
        if is_message:
            async with office.db.connection() as connection:
                await insert(
                    connection,
                    "recordings",
                    [
                        {
                            "account_id": office.account_id,
                            "recording_id": "m" * 32,
                            "call_session_id": call_id,
                            "kind": "voice_mail",
                            "status": "ready",
                            "mp3_path": "m.mp3",
                        }
                    ],
                )
        listed = await browser.get("/console/calls?when=yesterday")
        page = await browser.get(f"/console/calls/{call_id}")
        for one in (listed, page):
            assert ("The contact left a message" in one.words) is is_message
        assert ("✉" in listed.text) is is_message
        assert (f"/voice_mail/{call_id}/{'m' * 32}/?download=1" in page.text) is is_message
    assert "The scenario had no further operation" not in listed.words


def test_a_recording_of_two_parties_begins_and_stops_once() -> None:
    types = [
        (EventType.RECORDING_STARTED, 1), (EventType.RECORDING_STARTED, 2), (EventType.RECORDING_STOPPED, 1),
        (EventType.RECORDING_STOPPED, 2), (EventType.RECORDING_STARTED, 1), (EventType.LEG_ENDED, 1),
        (EventType.RECORDING_STARTED, 3),
    ]  # fmt: skip
    events = [
        Event(1, "call:1", seq, kind, Instant(float(seq)), {"leg_id": leg_id})
        for seq, (kind, leg_id) in enumerate(types, 1)
    ]
    assert [(one.kind, one.at.second) for one in steps(events)] == [
        ("recording_started", 1), ("recording_stopped", 4), ("recording_started", 5), ("leg_ended", 6),
        ("recording_started", 7),
    ]  # fmt: skip


async def test_today_is_compared_with_the_same_hours_a_week_before(office: Office) -> None:
    browser = await office.browser("captain")
    await add_call(office, noon(7), direction="in", is_lost=False)
    page = await browser.get(f"/console/?day={noon(0).date()}")
    assert page.status == 200
    earlier = noon(7).replace(hour=23, minute=59, second=58)
    await add_call(office, earlier, direction="in", is_lost=False)
    after = await browser.get("/console/")
    assert "until now" in after.words


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", {"first", "second", "returned", "lost", "out", "internal"}),
        ("&direction=in", {"first", "second", "returned", "lost"}),
        ("&outcome=lost", {"returned", "lost"}),
        ("&outcome=not_called_back", {"lost"}),
        ("&outcome=talked&internal=0", {"first", "second", "out"}),
        ("&internal=1", {"internal"}),
        ("&employee=4001&internal=0", {"first", "returned", "lost", "out"}),
        ("&employee=4001&part=missed", {"returned", "lost"}),
        ("&employee=4001&part=answered&direction=in", {"first"}),
        ("&number=0000011", {"second"}),
        ("&number=00442079460950", {"lost"}),
        ("&number=%2B44 20 7946 0950", {"lost"}),
        ("&words=Haddad&direction=in", {"first"}),
        ("&words=%25%25x", set()),
        ("&longer=60&internal=0", {"first", "second"}),
        ("&hour=13", {"lost"}),
        ("&reason=employee_busy", {"lost"}),
        ("&tag=99", set()),
    ],
)
async def test_filters(office: Office, query: str, names: set[str]) -> None:
    made = await _add_day(office)
    await office.db.execute(
        "update call_sessions set tags = '[]', contact_full_name = case call_session_id when %s then 'Haddad Lena' end"
        " where account_id = %s",
        (made["first"], office.account_id),
    )
    browser = await office.browser("supervisor")
    day = noon().date()
    page = await browser.get(f"/console/calls?first={day}&last={day}{query}")
    assert page.status == 200, page.words
    shown = {int(one.rsplit("/", 1)[1]) for one in page.links if re.fullmatch(r"/console/calls/\d+", one)}
    assert shown == {made[name] for name in names}


@pytest.mark.parametrize(
    "query", ["first=x", "first=0001-01-01", "direction=up", "employee=1e3", "hour=24", "outcome=x", "reason=a'b",
              "first=2026-02-02&last=2026-02-01", "first=2025-01-01&last=2026-02-01", "longer=-1", "until=x"]
)  # fmt: skip
async def test_addresses_that_no_form_makes_are_refused(office: Office, query: str) -> None:
    browser = await office.browser("supervisor")
    page = await browser.get(f"/console/calls?{query}")
    assert page.status == 400
    assert "Traceback" not in page.text


async def test_named_periods_and_columns(office: Office) -> None:
    made = await _add_day(office)
    browser = await office.browser("captain")
    page = await browser.get("/console/calls?when=yesterday&column=time&column=scenario")
    assert _found(page.words) == len(made)
    assert re.findall(r'<th scope="col"[^>]*>([^<]+)</th>', page.text) == ["Time", "Scenario"]
    for when in ("today", "this_week", "last_week", "this_month"):
        assert (await browser.get(f"/console/calls?when={when}")).status == 200


async def test_pages_of_the_list(office: Office) -> None:
    await add_calls(office, noon().replace(hour=1), count=120)
    browser = await office.browser("captain")
    seen: list[str] = []
    path = "/console/calls?when=yesterday"
    while True:
        page = await browser.get(path)
        seen += [one for one in page.links if re.fullmatch(r"/console/calls/\d+", one)]
        found = re.search(r'rel="next" href="([^"]+)"', page.text)
        if found is None:
            break
        path = found[1].replace("&amp;", "&")
    assert len(seen) == len(set(seen)) == 120


async def test_the_export_has_all_rows_and_no_formulas(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trunkline.console import calls

    monkeypatch.setattr(calls, "EXPORT_STEP", 25)
    await add_calls(office, noon().replace(hour=1), count=80)
    await add_call(office, noon().replace(hour=20), contact_full_name="=1+2")
    browser = await office.browser("supervisor")
    page = await browser.get("/console/calls.csv?when=yesterday")
    assert page.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(page.text.removeprefix("\ufeff"))))
    assert len(rows) == 81
    assert len({row["id"] for row in rows}) == 81
    assert "'=1+2" in {row["contact_full_name"] for row in rows}
    assert (await browser.get("/console/calls.csv?when=last_week")).status == 200


async def test_the_page_of_a_call_says_what_happened(office: Office) -> None:
    made = await _add_day(office)
    at = noon() + timedelta(hours=1)
    legs = {"leg_id": 7, "role": "employee", "direction": "out", "employee_full_name": "Stone Mira"}
    await add_events(
        office,
        made["lost"],
        [
            (at, "session_started", _STARTED),
            (at, "queue_entered", {"leg_id": 1, "queue_name": "Sales"}),
            (at + timedelta(seconds=1), "leg_started", legs),
            (at + timedelta(seconds=2), "leg_ringing", {"leg_id": 7}),
            (at + timedelta(seconds=20), "leg_ended", _BUSY),
            (at + timedelta(seconds=21), "timer_started", {"key": "secret-timer"}),
            (at + timedelta(seconds=22), "session_finished", {"finish_reason": "employee_busy"}),
        ],
    )  # fmt: skip
    browser = await office.browser("supervisor")
    page = await browser.get(f"/console/calls/{made['lost']}")
    assert page.status == 200, page.words
    for words in (
        "Lost: The employee was in another call",
        "Nobody has talked to the contact since.",
        "Call from +44 20 7946 0950 to +44 20 7946 0100",
        "The contact waits in the queue Sales",
        "Stone Mira was not reached: The employee was in another call (SIP 486)",
    ):
        assert words in page.words.replace(" . ", ". "), words
    assert "secret-timer" not in page.text


async def test_tags_and_comments(office: Office) -> None:
    made = await _add_day(office)
    [tag] = await office.db.fetch_all(
        "insert into tags (account_id, name, key) values (%s, 'vip', 'vip') returning tag_id",
        (office.account_id,),
    )
    await office.db.execute(
        "update call_sessions set tags = '[]' where account_id = %s", (office.account_id,)
    )
    browser, path = await office.browser("supervisor"), f"/console/calls/{made['first']}"
    page = await browser.send(await browser.get(path), f"{path}/tag", tag=str(tag["tag_id"]))
    assert "vip" in page.words
    page = await browser.send(page, f"{path}/comment", comment=f"A note {SCRIPT}")
    assert f"A note {SCRIPT}" in page.words
    assert "<script>" not in page.text
    page = await browser.send(page, f"{path}/untag")
    assert "No tags" in page.words
    for action in ("tag", "untag", "comment"):
        refused = await browser.post(
            f"{path}/{action}", {"tag": str(tag["tag_id"]), "comment": "x"}, follow=False
        )
        assert refused.status == 403, action


async def test_hostile_names_stay_texts(office: Office) -> None:
    await add_employees(office)
    hostile = [{"employee_id": 4001, "employee_full_name": SCRIPT, "is_answered": True, "is_talked": True}]
    call_id = await add_call(
        office, noon(), direction="in", contact_full_name=SCRIPT, employees=hostile, is_lost=False, scenario_name=SCRIPT,
        tags=[{"tag_id": 1, "tag_name": SCRIPT, "tag_type": "manual", "tag_change_time": "2026-01-01T00:00:00Z"}],
        last_talked_employee_id=4001,
    )  # fmt: skip
    await add_events(
        office,
        call_id,
        [(noon(), "tag_set", {"tag_name": SCRIPT}), (noon(), "key_pressed", {"key": "%s%(who)s"})],
    )
    await office.db.execute(
        "update users set login = %s where user_id = %s", (SCRIPT[:90], office.users["captain"])
    )
    browser = await office.browser(SCRIPT[:90])
    day = noon().date()
    for path in (f"/console/?day={day}", "/console/calls?when=yesterday&column=scenario&column=contact&column=tags",
                 f"/console/calls/{call_id}", f"/console/calls?words={SCRIPT}"):  # fmt: skip
        page = await browser.get(path)
        assert page.status == 200, path
        assert page.reader.scripts_inside == 0
        assert "onerror" not in page.reader.attributes
        assert "<img src=x" not in page.text


async def test_what_each_role_sees(office: Office) -> None:
    made = await _add_day(office)
    day = noon().date()
    paths = (
        f"/console/calls?first={day}&last={day}",
        "/console/calls.csv?when=yesterday",
        f"/console/calls/{made['second']}",
    )
    expected = {
        "captain": (200, 200, 200),
        Role.ADMIN: (200, 200, 200),
        Role.SUPERVISOR: (200, 200, 200),
        Role.INTEGRATOR: (200, 200, 200),
        Role.OPERATOR: (403, 403, 403),
        Role.MEMBER: (403, 403, 403),
        "rival": (200, 200, 404),
    }
    for login, statuses in expected.items():
        browser = await office.browser(login)
        assert tuple([(await browser.get(path)).status for path in paths]) == statuses, login
        if login == "rival":
            assert _found((await browser.get(paths[0])).words) == 0
        home = await browser.get("/console/")
        assert home.status == 200
        assert ("/console/calls" in home.links) == (statuses[0] == 200)


async def test_an_operator_sees_the_own_calls_without_recordings(office: Office) -> None:
    made = await _add_day(office)
    await add_employees(office)
    await office.db.execute(
        "update users set employee_id = 4001 where account_id = %s and user_id = %s",
        (office.account_id, office.users["operator"]),
    )
    browser, day = await office.browser("operator"), noon().date()
    page = await browser.get(f"/console/calls?first={day}&last={day}")
    shown = {int(one.rsplit("/", 1)[1]) for one in page.links if re.fullmatch(r"/console/calls/\d+", one)}
    assert shown == {made[name] for name in ("first", "returned", "lost", "out", "internal")}
    for query in ("&employee=4002", "&outcome=talked&employee=4002&part=answered"):
        assert _found((await browser.get(f"/console/calls?first={day}&last={day}{query}")).words) == 0
    assert (await browser.get(f"/console/calls/{made['second']}")).status == 404
    own = await browser.get(f"/console/calls/{made['first']}")
    assert own.status == 200
    assert "<audio" not in own.text
    assert (await browser.get("/console/calls.csv?when=yesterday")).status == 403
    overview = await browser.get(f"/console/?day={day}")
    assert "Okafor" not in overview.words
    [recording] = await office.db.fetch_all(
        "select recording_id from recordings where call_session_id = %s and kind = 'talk' and status = 'ready'",
        (made["first"],),
    )
    path = f"/system/media/talk/{made['first']}/{recording['recording_id']}/"
    assert (await browser.get(path)).status == 404


async def test_a_member_who_is_an_employee_needs_the_permission_for_own_calls(office: Office) -> None:
    made = await _add_day(office)
    await add_employees(office)
    await office.db.execute(
        "update users set employee_id = 4001 where account_id = %s and user_id = %s",
        (office.account_id, office.users["member"]),
    )
    office.switch.answers |= {"list_calls_in_progress": [], LIST_LIVE: {"queues": [], "agents": []}}
    browser, own = await office.browser("member"), f"/console/calls/{made['first']}"
    for path in ("/console/calls", own):
        assert (await browser.get(path)).status == 403, path
    home = await browser.get("/console/")
    assert "You may not see calls" in home.words
    assert "/console/calls" not in home.links
    assert own not in (await browser.get("/console/search?words=9715")).links
    desk = await browser.get("/console/workspace")
    assert desk.status == 200
    assert [one for one in desk.links if one.startswith("/console/calls")] == []
    await office.db.execute(
        "insert into user_permissions (account_id, user_id, resource, action) values (%s, %s, %s, %s)",
        (office.account_id, office.users["member"], "call_control", "select"),
    )
    assert (await browser.get(own)).status == 200
    assert own in (await browser.get("/console/workspace")).links


async def test_notifications_that_arrived_are_listed_apart(office: Office) -> None:
    call_id = await add_call(office, noon())
    await add_events(office, call_id, [(noon(), "session_started", {"direction": "in"})])
    own = {"account_id": office.account_id, "subscription_id": 1}
    named = {"key": "a", "name": "call_start", "url": "https://me@crm.example:8443/x?y", "events": []}
    rows = [
        {
            **own, "delivery_id": number, "stream": f"call:{call_id}", "seq": number, "mnemonic": name,
            "status": status, "body": "{}", "occurred_at": noon(),
        }
        for number, (name, status) in enumerate((("call_start", "delivered"), ("call_finish", "failed")), 1)
    ]  # fmt: skip
    async with office.db.connection() as connection:
        await insert(connection, "subscriptions", [{**own, **named}])
        await insert(connection, "deliveries", rows)
    page = await (await office.browser("captain")).get(f"/console/calls/{call_id}")
    before, _, apart = page.text.partition("<details>")
    assert "Delivered notifications: 1" in apart
    assert "Notification call_start was delivered to crm.example:8443" in page.words
    assert "call_finish was not delivered to call_start" in before.replace("<bdi>", "").replace("</bdi>", "")


@pytest.mark.parametrize(
    ("step", "hidden"),
    [
        (Step(noon(), "notification", data={"target": "crm"}), True),
        (Step(noon(), "coach_joined", "Okafor", "coach"), True),
        (Step(noon(), "leg_started", "Okafor", "coach"), True),
        (Step(noon(), "leg_answered", "Ruiz", "employee"), False),
        (Step(noon(), "session_finished"), False),
    ],
)
def test_coaches_and_receivers_are_for_who_sees_all_calls(step: Step, hidden: bool) -> None:
    assert is_for_supervisors(step) is hidden


async def test_a_supervisor_may_listen(office: Office) -> None:
    made = await _add_day(office)
    browser = await office.browser("supervisor")
    page = await browser.get(f"/console/calls/{made['first']}")
    assert page.text.count("<audio") == 2  # the talk, and a message


async def test_the_export_of_today_has_the_calls_of_the_last_hours(office: Office) -> None:
    """East of UTC the present local time is later than that of UTC."""
    zone = "Pacific/Kiritimati"  # 14 hours ahead, so that a call of two minutes ago is later than the time in UTC
    await office.db.execute(
        "update accounts set time_zone = %s where account_id = %s", (zone, office.account_id)
    )
    made = await add_call(office, datetime.now(UTC) - timedelta(seconds=10))
    browser = await office.browser("captain")
    period = (datetime.now(ZoneInfo(zone)) - timedelta(seconds=10)).date()
    page = await browser.get(f"/console/calls.csv?first={period}&last={period}")
    assert str(made) in page.text
