"""Pages of the set-up: who may see and write what, problems beside their fields, and what is written."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.console.browser import Browser, Seen
from tests.console.calls import SCRIPT
from tests.console.conftest import Office
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
    "tags": {"name": "Complaint"},
    "blacklist": {"phone_number": "+971 50 000 0044", "add_comment": "Adverts"},
}
"""A form of each entity that can be sent."""

SEES: Mapping[Role, frozenset[str]] = {
    Role.ADMIN: frozenset(NEW),
    Role.SUPERVISOR: frozenset({"tags", "blacklist"}),
    Role.OPERATOR: frozenset({"tags"}),
    Role.INTEGRATOR: frozenset({"tags"}),
    Role.MEMBER: frozenset(),
}
MAKES: Mapping[Role, frozenset[str]] = {
    Role.ADMIN: frozenset(NEW),
    Role.SUPERVISOR: frozenset({"blacklist"}),
}
DELETES = MAKES
CHANGES: Mapping[Role, frozenset[str]] = {
    Role.ADMIN: frozenset(NEW) - {"blacklist"},
    Role.SUPERVISOR: frozenset({"tags"}),
}
"""Names of entities by role; a role that is missing has none."""

_NONE: frozenset[str] = frozenset()


async def make(browser: Browser, name: str, /, **fields: str) -> Seen:
    """Send the form of a new one."""
    page = await browser.get(f"{PATH}/{name}/new")
    return await browser.send(page, f"{PATH}/{name}/new", **{**NEW[name], **fields})


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
    for entity in ENTITIES:
        before = await ids(browser, entity)
        row_id = await make_one(browser, entity)
        path = f"{entity.path}/{row_id}"
        one = await browser.get(path)
        assert one.status == 200, (entity.name, one.words)
        if entity.name != "blacklist":  # which has nothing to change
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
