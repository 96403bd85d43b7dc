"""Pages of the set-up: who may see and write what, problems beside their fields, and what is written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from tests.console.browser import Browser, Seen
from tests.console.calls import SCRIPT
from tests.console.conftest import Office
from tests.reports.lifelike import insert
from trunkline.accounts.permissions import Role
from trunkline.apis.jsonrpc.errors import rpc_error
from trunkline.apis.service.request_context import Api
from trunkline.console.forms import FIELD
from trunkline.console.setup.controls import Control, Kind, version
from trunkline.console.setup.entity import PATH, SetupEntity
from trunkline.console.setup.menu import ENTITIES
from trunkline.console.setup.problems import EMPTY, problem_of
from trunkline.console.setup.tags import TAGS
from trunkline.console.setup.writer import method
from trunkline.core.errors import Duplicate, InUse, InvalidInput

NEW: Mapping[str, dict[str, str]] = {
    "employees": {"last_name": "Stone", "first_name": "Mira", "extension": "101", "voice_mail": "on"},
    "groups": {"name": "Sales", "group_phone_number": "200"},
    "lines": {"virtual_phone_number": ""},
    "numbers": {"phone_number": "+12025550110", "name": "Office"},
    "trunks": {
        "name": "Carrier",
        "host": "203.0.113.9",
        "username": "u1",
        "password": "a long secret of tests",
    },
    "schedules": {"name": "Office", "sat": "10:00-14:00", "exceptions": "2026-12-31 09:00-13:00\n2027-01-01"},
    "media": {"name": "Welcome", "text": "Good morning.", "language": "en"},
    "queues": {"name": "Support", "extension": "600", "max_wait_time": "300"},
    "phone_lists": {"name": "Customers"},
    "campaigns": {"name": "Spring"},
    "do_not_call": {"phone": "+1 202 555 0144", "reason": "Asked for it"},
    "contacts": {"last_name": "Haddad", "phone_numbers": "+971 50 000 0010\n+971500000011"},
    "tags": {"name": "Complaint"},
    "blacklist": {"phone_number": "+971 50 000 0044", "add_comment": "Adverts"},
}
"""A form of each entity that can be sent."""

_UNCHANGEABLE = frozenset({"blacklist", "do_not_call"})

SEES: Mapping[Role, frozenset[str]] = {
    Role.ADMIN: frozenset(NEW),
    Role.SUPERVISOR: frozenset(
        {
            "tags",
            "blacklist",
            "employees",
            "groups",
            "lines",
            "numbers",
            "trunks",
            "schedules",
            "queues",
            "contacts",
            "media",
        }
    ),
    Role.OPERATOR: frozenset({"tags", "employees", "groups", "contacts"}),
    Role.INTEGRATOR: frozenset(
        {"tags", "employees", "groups", "numbers", "trunks", "schedules", "media", "contacts"}
    ),
    Role.MEMBER: frozenset(),
}
MAKES: Mapping[Role, frozenset[str]] = {
    Role.ADMIN: frozenset(NEW),
    Role.SUPERVISOR: frozenset({"blacklist", "contacts"}),
    Role.INTEGRATOR: frozenset({"contacts"}),
}
DELETES: Mapping[Role, frozenset[str]] = {
    Role.ADMIN: frozenset(NEW),
    Role.SUPERVISOR: frozenset({"blacklist"}),
    Role.INTEGRATOR: frozenset({"contacts"}),
}
CHANGES: Mapping[Role, frozenset[str]] = {
    Role.ADMIN: frozenset(NEW) - _UNCHANGEABLE,
    Role.SUPERVISOR: frozenset({"tags", "contacts"}),
    Role.INTEGRATOR: frozenset({"contacts"}),
}
"""Names of entities by role; a role that is missing has none."""

_NONE: frozenset[str] = frozenset()


async def make(browser: Browser, name: str, /, **fields: str) -> Seen:
    """Send the form of a new one."""
    page = await browser.get(f"{PATH}/{name}/new")
    assert page.status == 200, (name, page.words)
    return await browser.send(
        page, f"{PATH}/{name}/new", **{**NEW[name], **_first_choices(page, name), **fields}
    )


def _first_choices(page: Seen, name: str) -> dict[str, str]:
    """The queue and the list of a campaign: the first that the form offers."""
    if name != "campaigns":
        return {}
    queue = re.search(r'name="queue_id".*?<option value="(\d+)"', page.text, re.DOTALL)
    phone_list = re.search(r'name="phone_list_ids" value="(\d+)"', page.text)
    return {"queue_id": queue[1] if queue else "", "phone_list_ids": phone_list[1] if phone_list else ""}


async def make_needed(browser: Browser) -> None:
    """What forms refer to: the employee of a line, the queue and the list of a campaign."""
    await make(browser, "employees", last_name="Owner", extension="150")
    await make(browser, "queues", name="Sales", extension="601")
    await make(browser, "phone_lists", name="Leads")


async def ids(browser: Browser, entity: SetupEntity) -> set[int]:
    """The ids that a list shows."""
    page = await browser.get(entity.path)
    start = f"{entity.path}/"
    return {int(one.removeprefix(start)) for one in page.links if one.removeprefix(start).isdigit()}


async def make_one(browser: Browser, entity: SetupEntity, /, **fields: str) -> int:
    """The id of a new one."""
    before = await ids(browser, entity)
    page = await make(browser, entity.name, **fields)
    assert page.status == 200, (entity.name, page.words)
    assert "Saved." in page.words
    [row_id] = await ids(browser, entity) - before
    return row_id


def test_every_entity_is_tested() -> None:
    assert {one.name for one in ENTITIES} == set(NEW)


async def test_each_is_made_changed_and_deleted(office: Office) -> None:
    browser = await office.browser("captain")
    await make_needed(browser)
    for entity in ENTITIES:
        before = await ids(browser, entity)
        row_id = await make_one(browser, entity)
        path = f"{entity.path}/{row_id}"
        one = await browser.get(path)
        assert one.status == 200, (entity.name, one.words)
        if entity.name not in _UNCHANGEABLE:
            saved = await browser.send(one, path)
            assert "Saved." in saved.words, (entity.name, saved.words)
        asked = await browser.get(f"{path}/delete")
        assert await ids(browser, entity) == before | {row_id}
        deleted = await browser.send(asked, f"{path}/delete")
        assert "Deleted." in deleted.words, (entity.name, deleted.words)
        assert await ids(browser, entity) == before
        assert (await browser.get(path)).status == 404


async def test_by_role(office: Office) -> None:
    """By page and by direct request, with the token of another form of the same session."""
    captain = await office.browser("captain")
    await make_needed(captain)
    rows: dict[str, int] = {}
    for entity in ENTITIES:
        rows[entity.name] = await make_one(captain, entity)
    for role, sees in SEES.items():
        browser = await office.browser(role)
        home = await browser.get("/console/")
        token = {FIELD: home.form("/console/sign-out").fields[FIELD]}
        assert (PATH in home.links) == bool(MAKES.get(role, _NONE) | CHANGES.get(role, _NONE)), role
        for entity in ENTITIES:
            name, path = entity.name, f"{entity.path}/{rows[entity.name]}"
            place = f"{role}: {name}"
            makes, changes, deletes = (name in one.get(role, _NONE) for one in (MAKES, CHANGES, DELETES))
            listed = await browser.get(entity.path)
            assert listed.status == (200 if name in sees else 403), place
            assert (await browser.get(path)).status == listed.status, place
            assert (f"{entity.path}/new" in listed.links) == makes, place
            assert (await browser.get(f"{entity.path}/new")).status == (200 if makes else 403), place
            assert (await browser.get(f"{path}/delete")).status == (200 if deletes else 403), place
            # refused before anything is looked at: an empty form, an old state of the row
            made = await browser.post(f"{entity.path}/new", token)
            assert made.status == (422 if makes else 403), place
            changed = await browser.post(path, {**token, **NEW[name]})
            assert changed.status == (409 if changes else 403), place
            if not deletes:
                assert (await browser.post(f"{path}/delete", token)).status == 403, place
    rival = await office.browser("rival")
    token = {FIELD: (await rival.get("/console/")).form("/console/sign-out").fields[FIELD]}
    for entity in ENTITIES:
        path = f"{entity.path}/{rows[entity.name]}"
        assert (await rival.get(path)).status == 404, path
        assert (await rival.post(path, {**token, **NEW[entity.name]})).status in (403, 404), path
        assert (await rival.post(f"{path}/delete", token)).status == 404, path
        assert rows[entity.name] in await ids(captain, entity)


async def test_a_form_of_another_site_writes_nothing(office: Office) -> None:
    browser = await office.browser("captain")
    path = f"{PATH}/tags/new"
    fields = (await browser.get(path)).form(path).fields | NEW["tags"]
    for wrong in ({**fields, FIELD: "0" * 64}, {name: one for name, one in fields.items() if name != FIELD}):
        assert (await browser.post(path, wrong)).status == 403
    assert (await browser.post(path, fields, Origin="https://example.net")).status == 403
    assert (await browser.post(path, fields, Sec_Fetch_Site="cross-site")).status == 403
    assert "Complaint" not in (await browser.get(f"{PATH}/tags")).words


async def test_names_are_shown_as_text(office: Office) -> None:
    browser = await office.browser("captain")
    row_id = await make_one(browser, TAGS, name=SCRIPT)
    for path in ("", f"/{row_id}", f"/{row_id}/delete"):
        page = await browser.get(f"{PATH}/tags{path}")
        assert SCRIPT in page.words or SCRIPT in str(page.reader.controls), path
        assert page.reader.scripts_inside == 0
        assert "<img src=x" not in page.text


async def test_a_problem_is_beside_its_field_and_what_was_typed_stays(office: Office) -> None:
    browser = await office.browser("captain")
    await make(browser, "tags", name="Order")
    twice = await make(browser, "tags", name="Order")
    assert twice.status == 422
    assert "Another one has this already." in twice.words
    assert twice.form(f"{PATH}/tags/new").fields["name"] == "Order"
    assert 'aria-invalid="true"' in twice.text
    assert 'aria-describedby="f-name-problem"' in twice.text
    empty = await make(browser, "tags", name="  ")
    assert "Fill this in." in empty.words
    number = await make(browser, "blacklist", phone_number="12", add_comment="Kept")
    assert "Write the number in full" in number.words
    assert number.form(f"{PATH}/blacklist/new").fields["add_comment"] == "Kept"
    russian = await office.browser("captain", "ru")
    assert "Заполните это поле." in (await make(russian, "tags", name="")).words


async def test_a_change_that_somebody_made_meanwhile_is_not_overwritten(office: Office) -> None:
    browser = await office.browser("captain")
    path = f"{PATH}/tags/{await make_one(browser, TAGS, name='First')}"
    old = await browser.get(path)
    await browser.send(old, path, name="Second")
    refused = await browser.send(old, path, name="Third")
    assert refused.status == 409
    assert "Somebody has changed this meanwhile." in refused.words
    assert "Second" in (await browser.get(f"{PATH}/tags")).words
    assert (await browser.send(refused, path)).status == 200  # it has the present state now
    assert "Third" in (await browser.get(f"{PATH}/tags")).words


async def test_what_belongs_to_the_system_cannot_be_changed(office: Office) -> None:
    browser = await office.browser("captain")
    tag_id = min(await ids(browser, TAGS))
    page = await browser.get(f"{PATH}/tags/{tag_id}")
    assert page.status == 200
    assert f"{PATH}/tags/{tag_id}/delete" not in page.links
    assert "Save" not in page.words.replace("Saved", "")
    assert (await browser.send(page, f"{PATH}/tags/{tag_id}", name="Mine")).status == 403
    assert (await browser.get(f"{PATH}/tags/{tag_id}/delete")).status == 403


async def test_changes_are_in_the_request_log(office: Office) -> None:
    browser = await office.browser("captain")
    await make(browser, "tags")
    await make(browser, "tags")
    noted = [
        (one.api, one.method, one.user_login, one.error_mnemonic, one.request) for one in office.log.entries
    ]
    form = {"name": "Complaint"}
    assert noted == [
        ("console", "create.tags", "captain", None, form),
        ("console", "create.tags", "captain", "duplicate_entity", form),
    ]


@pytest.mark.parametrize(
    ("kind", "row", "shown", "fields", "sent", "value"),
    [
        (Kind.TEXT, {"x": None}, (), {"x": [" a "]}, ("a",), "a"),
        (Kind.TEXT, {"x": "b"}, ("b",), {"x": [" "]}, (), None),
        (Kind.TEXT, {"x": "b"}, ("b",), {}, (), None),
        (Kind.NUMBER, {"x": 5}, ("5",), {"x": ["6"]}, ("6",), "6"),
        (Kind.CHECKBOX, {"x": True}, ("on",), {}, (), False),
        (Kind.CHECKBOX, {"x": False}, (), {"x": ["on"]}, ("on",), True),
        (Kind.CHOICES, {"x": [3, 1]}, ("3", "1"), {"x": ["1", "3"]}, ("1", "3"), ["1", "3"]),
        (Kind.LINES, {"x": ["p", "q"]}, ("p", "q"), {"x": ["q\r\n\r\n p "]}, ("q", "p"), ["q", "p"]),
        (Kind.LINES, {"x": None}, (), {"x": [""]}, (), []),
        (Kind.PASSWORD, {"x": "secret"}, (), {"x": [" s "]}, (" s ",), " s "),
    ],
)
def test_controls(
    kind: Kind,
    row: dict[str, object],
    shown: tuple[str, ...],
    fields: dict[str, list[str]],
    sent: tuple[str, ...],
    value: object,
) -> None:
    control = Control("x", "X", kind)
    assert control.texts(row) == shown
    assert control.sent(fields) == sent
    assert control.value(sent) == value


def test_an_order_that_means_nothing_is_no_change() -> None:
    control = Control("x", "X", Kind.CHOICES)
    assert control.is_same(("3", "1"), ("1", "3"))
    assert version([control], {"x": [3, 1]}) == version([control], {"x": [1, 3]})
    lines = Control("x", "X", Kind.LINES)
    assert not lines.is_same(("b", "a"), ("a", "b"))
    assert version([lines], {"x": ["a", "b"]}) != version([lines], {"x": ["b", "a"]})


def test_problems() -> None:
    params = method("create.group_employees").params
    names = ("name", "channels_count", "members")

    def text(mnemonic: str, field: str, value: object) -> str:
        error = rpc_error(Api.DATA, mnemonic, field=field, value=value)
        problem = problem_of(error, names, params)
        return f"{problem.control}: {problem.text % problem.values}"

    assert text("required_parameter_missed", "name", None) == f"name: {EMPTY}"
    assert text("invalid_parameter_value", "name", " ") == "name: This cannot be used."
    assert text("invalid_parameter_value", "name", "x" * 1000).startswith("name: At most ")
    assert text("data_type_error", "channels_count", "x").startswith("channels_count: Write a whole number")
    inner = problem_of(InvalidInput("wrong", field="members.id"), names)
    assert (inner.control, inner.detail) == ("members", "wrong")
    assert problem_of(Duplicate("twice", field="name"), names).text == "Another one has this already."
    assert problem_of(InUse("used", field="id"), names).control == ""


async def _line(browser: Browser) -> str:
    """The path of a new line."""
    await make(browser, "employees")
    entity = next(one for one in ENTITIES if one.name == "lines")
    return f"{entity.path}/{await make_one(browser, entity)}"


async def test_the_password_of_a_line_is_shown_once(office: Office) -> None:
    browser = await office.browser("captain")
    await make(browser, "employees")
    made = await make(browser, "lines")
    [password] = re.findall(r'id="password">([^<]+)<', made.text)
    [line] = await ids(browser, next(one for one in ENTITIES if one.name == "lines"))
    path = f"{PATH}/lines/{line}"
    page = await browser.get(path)
    assert password not in page.text
    renewed = await browser.send(page, f"{path}/password")
    [other] = re.findall(r'id="password">([^<]+)<', renewed.text)
    assert other != password
    assert all(password not in str(one.request) for one in office.log.entries)
    supervisor = await office.browser("supervisor")
    token = {FIELD: (await supervisor.get(path)).form("/console/sign-out").fields[FIELD]}
    for action in ("password", "phones", "phones/1/delete"):
        assert (await supervisor.post(f"{path}/{action}", token)).status == 403, action


async def test_a_phone_that_fetches_its_settings(office: Office) -> None:
    browser = await office.browser("captain")
    path = await _line(browser)
    page = await browser.get(path)
    app = await browser.send(page, f"{path}/phones", kind="linphone")
    [link] = re.findall(r'id="link">([^<]+)<', app.text)
    assert link.endswith("/linphone.xml")
    assert "data:image/svg+xml" in app.text
    assert link not in (await browser.get(path)).text
    refused = await browser.send(page, f"{path}/phones", kind="yealink", mac="12")
    assert refused.status == 422
    assert "12 hexadecimal digits" in refused.words
    assert "Fill this in." in (await browser.send(page, f"{path}/phones", kind="snom")).words
    desk = await browser.send(page, f"{path}/phones", kind="yealink", mac="80:5E:C0:AA:BB:CC")
    assert "/805ec0aabbcc.cfg" in desk.text
    [removed] = [one for one in desk.reader.forms if one.action.endswith("/delete")][:1]
    after = await browser.send(desk, removed.action)
    assert after.text.count("/phones/") < desk.text.count("/phones/")


async def test_devices_that_share_a_line(office: Office) -> None:
    browser = await office.browser("captain")
    path = await _line(browser)
    assert "No device is registered now." in (await browser.get(path)).words
    async with office.db.connection() as connection:
        own = {"account_id": office.account_id, "sip_line_id": int(path.rpartition("/")[2])}
        now = datetime.now(UTC)
        await insert(
            connection,
            "registrations",
            [
                {**own, "contact_uri": f"sip:{port}", "ip": "192.0.2.7", "port": port, "transport": "udp",
                 "user_agent": SCRIPT, "registered_at": now - timedelta(hours=2)}
                for port in (5060, 5062)
            ],
        )  # fmt: skip
    page = await browser.get(path)
    assert "Several devices share this line" in page.words
    assert "192.0.2.7:5062" in page.words
    assert "2:00:0" in page.words
    assert "<img src=x" not in page.text


async def test_a_login_is_made_by_somebody_with_all_its_rights(office: Office) -> None:
    captain = await office.browser("captain")
    entity = next(one for one in ENTITIES if one.name == "employees")
    path = f"{entity.path}/{await make_one(captain, entity)}"
    page = await captain.get(path)
    made = await captain.send(page, f"{path}/login", login="mira", role="supervisor")
    [password] = re.findall(r'id="password">([^<]+)<', made.text)
    person = await office.browser()
    assert (await person.sign_in("mira", password)).url.path == "/console/"
    token = {FIELD: (await person.get("/console/")).form("/console/sign-out").fields[FIELD]}
    # a supervisor may neither make a login nor take one over
    for action in ("login", "login/password", "login/off"):
        sent = await person.post(f"{path}/{action}", {**token, "login": "other", "role": "admin"})
        assert sent.status == 403, action
    for action in ("insert", "update", "select"):
        await office.db.execute(
            "insert into user_permissions (account_id, user_id, resource, action)"
            " select account_id, user_id, 'users', %s from users where account_id = %s and login = 'mira'",
            (action, office.account_id),
        )
    other = f"{entity.path}/{await make_one(captain, entity, last_name='Second', extension='102')}"
    page = await person.get(other)
    assert "Admin: everything" not in page.words
    refused = await person.post(f"{other}/login", {**token, "login": "boss", "role": "admin"})
    assert refused.status == 403
    await captain.send(await captain.get(other), f"{other}/login", login="boss", role="admin")
    assert (await person.post(f"{other}/login/password", token)).status == 403
    third = f"{entity.path}/{await make_one(captain, entity, last_name='Third', extension='103')}"
    twice = await captain.send(await captain.get(third), f"{third}/login", login="mira", role="operator")
    assert twice.status == 422
    assert "mira" in twice.text
    off = await captain.send(await captain.get(path), f"{path}/login/off")
    assert "Switched off" in off.words
    assert (await person.get("/console/", follow=False)).status == 303


async def test_where_there_are_several_accounts_nobody_takes_an_address_or_a_number(office: Office) -> None:
    """The office has two accounts."""
    browser = await office.browser("captain")
    refused = await make(browser, "trunks", mode="address")
    assert refused.status == 422
    assert "The administrator of the installation adds trunks" in refused.words
    listed = await make(browser, "trunks", addresses="192.0.2.0/24")
    assert listed.status == 422
    await make(browser, "numbers")
    assert "Not verified" in (await browser.get(f"{PATH}/numbers")).words


async def test_a_trunk_with_its_state_and_a_test_call(office: Office) -> None:
    browser = await office.browser("captain")
    await make(browser, "employees", phone_numbers="+12025550120")
    entity = next(one for one in ENTITIES if one.name == "trunks")
    path = f"{entity.path}/{await make_one(browser, entity)}"
    assert all("a long secret of tests" not in str(one.request) for one in office.log.entries)
    kept = await browser.send(await browser.get(path), path, name="Renamed", host="203.0.113.10")
    assert "Saved." in kept.words  # without the password, which stays
    assert "a long secret" not in kept.text
    assert "A test call needs a number on this trunk." in kept.words
    trunk_id = int(path.rpartition("/")[2])
    state = {"trunk_id": trunk_id, "state": "refused", "code": 403, "reason": "wrong password", "server": ""}
    office.switch.answers["status"] = {"registrations_at_carriers": [state]}
    await make(browser, "numbers", trunk="carrier")
    page = await browser.get(path)
    assert "The carrier refuses the registration (SIP 403) wrong password" in page.words
    office.switch.answers["start_employee_call"] = {"call_session_id": 77}
    empty = await browser.send(page, f"{path}/test")
    assert "Fill this in." in empty.words
    token = page.form(f"{path}/test").fields
    started = await browser.post(f"{path}/test", {**token, "contact": "+12025550199"}, follow=False)
    assert started.status == 303, started.words
    assert started.headers["Location"] == "/console/calls/77"
    [(account_id, name, params)] = office.switch.commands
    assert (account_id, name) == (office.account_id, "start_employee_call")
    assert params["direction"] == "out", "no customer has called"
    other = await browser.post(f"{path}/test", {**token, "contact": "+1", "number": "12025550111"})
    assert other.status == 403


async def test_a_number_that_is_there_is_not_made_again(office: Office) -> None:
    """A new number with the digits of another one replaced its trunk, name and rules."""
    admin = await office.browser("captain")
    for name, host in (("one", "192.0.2.10"), ("two", "192.0.2.11")):
        await make(admin, "trunks", name=name, host=host)
    await make(admin, "numbers", trunk="one", name="Office")
    again = await make(admin, "numbers", trunk="two", name="Mistake")
    assert "Another one has this already." in again.words
    rows = await office.db.fetch_all("select name from virtual_numbers")
    assert rows == [{"name": "Office"}]
