"""The pages of scenarios: editing a draft, saving it, versions; who may do it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.console.browser import Browser, Seen
from tests.console.calls import SCRIPT, add_employees
from tests.console.conftest import Office
from tests.reports.lifelike import insert
from trunkline.accounts.permissions import Role
from trunkline.console.scenario_fields import Control, Declared, declared_fields, of_item, sent_item
from trunkline.console.scenario_texts import FIELDS, KINDS
from trunkline.directory.model import OperationKind
from trunkline.directory.scenarios.form import form_of_kind

PAGE = "/console/scenarios/office"
NEW = "/console/new-scenario"


async def add_items(office: Office) -> None:
    """What scenarios name."""
    await add_employees(office)
    own = {"account_id": office.account_id}
    async with office.db.connection() as connection:
        await insert(connection, "schedules", [{**own, "key": "office", "name": "Office hours"}])
        await insert(connection, "tags", [{**own, "key": "vip", "name": SCRIPT}])


def fields_of(page: Seen, **more: str) -> dict[str, str]:
    """The hidden fields of the editor, and what is filled in."""
    names = (
        "form_token", "draft", "base", "opened", "place", "chosen_kind", "is_changed", "scenario_name", "key",
    )  # fmt: skip
    form = next(one for one in page.reader.forms if one.action.endswith("#opened"))
    kept = {name: form.fields[name] for name in names if name in form.fields}
    return {**kept, **{name.replace("__", "."): value for name, value in more.items()}}


async def press(browser: Browser, page: Seen, do: str, **more: str) -> Seen:
    form = next((one for one in page.reader.forms if one.action.endswith("#opened")), None)
    assert form is not None, page.words
    return await browser.post(form.action.removesuffix("#opened"), {**fields_of(page, **more), "do": do})


def draft_of(page: Seen) -> dict[str, Any]:
    draft: dict[str, Any] = orjson.loads(fields_of(page)["draft"])
    return draft


async def make(office: Office, browser: Browser) -> Seen:
    """A scenario of three operations, made as a person does."""
    page = await browser.get(NEW)
    page = await press(browser, page, "kind", kind="schedule", scenario_name=SCRIPT)
    page = await press(browser, page, "apply", f__schedule="office", f__name="Hours")
    page = await press(browser, page, "add schedule open")
    page = await press(browser, page, "kind", kind="forward_employee")
    page = await press(browser, page, "apply", f__employee="4001", f__name=SCRIPT)
    page = await press(browser, page, "add schedule closed")
    page = await press(browser, page, "kind", kind="tag")
    page = await press(browser, page, "apply", **{"f__tags.0.item": "vip"})
    return await press(browser, page, "save", key="office")


async def test_a_scenario_is_made_changed_and_restored(office: Office) -> None:
    await add_items(office)
    browser = await office.browser("admin")
    page = await make(office, browser)
    assert page.url.path == PAGE, page.words
    assert "The scenario is saved" in page.words
    assert "<script>alert" not in page.text
    assert "<img src=x" not in page.text
    rows = await office.db.fetch_all(
        "select key, kind, settings from scenario_operations where account_id = %s order by position",
        (office.account_id,),
    )
    assert [(row["key"], row["kind"]) for row in rows] == [
        ("schedule", "schedule"), ("forward_employee", "forward_employee"), ("tag", "tag"),
    ]  # fmt: skip
    assert rows[0]["settings"]["open"] == "forward_employee"
    listed = await browser.get("/console/scenarios")
    assert PAGE in listed.links

    page = await press(browser, page, "open schedule")
    wrong = await press(browser, page, "apply", f__schedule="")
    assert wrong.status == 400
    assert "field required" in wrong.words
    page = await press(browser, wrong, "delete tag")
    page = await press(browser, page, "cancel")
    assert "There are changes that are not saved." in page.words
    assert len(draft_of(page)["operations"]) == 2
    page = await press(browser, page, "save")
    assert page.status == 200, page.words
    shown = await browser.get(f"{PAGE}/versions")
    assert shown.words.count("admin") >= 2
    numbers = [
        row["version_id"]
        for row in await office.db.fetch_all(
            "select version_id from scenario_versions where account_id = %s order by version_id",
            (office.account_id,),
        )
    ]
    assert len(numbers) == 2
    compared = await browser.get(f"{PAGE}/versions?old={numbers[0]}&new={numbers[1]}")
    assert "deleted" in compared.words
    form = next(one for one in shown.reader.forms if one.action.endswith("/restore"))
    page = await browser.post(f"{PAGE}/restore", {**form.fields, "version": str(numbers[0])})
    assert "The scenario is saved" in page.words
    assert len(draft_of(page)["operations"]) == 3


async def test_what_is_wrong_is_shown_at_the_operation_and_nothing_is_written(office: Office) -> None:
    await add_items(office)
    browser = await office.browser("admin")
    page = await make(office, browser)
    stale = page
    draft = draft_of(page)
    draft["operations"]["forward_employee"]["employee"] = "nobody"
    draft["operations"]["tag"]["next"] = "tag"
    refused = await browser.post(
        PAGE, {**fields_of(page), "draft": orjson.dumps(draft).decode(), "do": "save"}
    )
    assert refused.status == 400
    assert "Employee: no such employee: nobody" in refused.words
    assert "would never leave tag -> tag" in refused.words
    page = await press(browser, page, "save", scenario_name="Renamed")
    assert "The scenario is saved" in page.words
    late = await press(browser, stale, "save", scenario_name="Other")
    assert late.status == 400
    assert "somebody has changed it meanwhile" in late.words
    for broken in ("", "[]", '{"name": 1, "operations": {}}', '{"operations": {"a": {"kind": "x"}}}'):
        assert (await browser.post(PAGE, {**fields_of(page), "draft": broken, "do": "save"})).status == 400
    bad_key = await browser.post(NEW, {**fields_of(page), "key": "../x", "do": "save"})
    assert bad_key.status == 400


TRY = {"try_caller": "+1 202 555 0142", "try_at": "2026-03-06T19:05", "try_queue": "agent"}


async def test_a_call_is_tried_with_what_is_not_saved(office: Office) -> None:
    await add_items(office)
    browser = await office.browser("admin")
    page = await make(office, browser)
    page = await press(browser, page, "delete tag")
    empty = {
        one["name"]: one.get("value")
        for one in page.reader.controls
        if one.get("name", "").startswith("try_")
    }
    assert empty["try_keys"] == empty["try_caller"] == empty["try_number"] == empty["try_code"] == ""
    tried = await press(browser, page, "try", **TRY)
    assert tried.status == 200, tried.words
    assert "The schedule Office hours is closed." in tried.words
    assert "The call ends" in tried.words
    assert 'class="operation passed" id="at-schedule"' in tried.text
    assert 'class="operation passed" id="at-forward_employee"' not in tried.text
    assert "<script>alert" not in tried.text
    assert "There are changes that are not saved." in tried.words
    unknown = await press(browser, page, "try", **{**TRY, "try_number": "+971500000099"})
    assert "The call ends" in unknown.words
    for name, wrong in (("at", "Friday"), ("caller", "x"), ("queue", "y"), ("answered", "-")):
        refused = await press(browser, page, "try", **{**TRY, f"try_{name}": wrong})
        assert refused.status == 400, name
        assert "day and time" in refused.words


ROLES = {
    Role.ADMIN: (200, 200),
    Role.SUPERVISOR: (200, 403),
    Role.INTEGRATOR: (200, 403),
    Role.OPERATOR: (403, 403),
    Role.MEMBER: (403, 403),
}
"""Status of reading and of changing."""


async def test_scenarios_by_role(office: Office) -> None:
    await add_items(office)
    page = await make(office, await office.browser("admin"))
    for login, (reads, changes) in ROLES.items():
        browser = await office.browser(login)
        own = await browser.get("/console/me")
        token = own.form("/console/sign-out").fields["form_token"]
        for path in ("/console/scenarios", PAGE, f"{PAGE}/versions"):
            assert (await browser.get(path)).status == reads, (login, path)
        assert (await browser.get(NEW)).status == changes, login
        sent = {**fields_of(page), "form_token": token}
        for path in (PAGE, NEW):
            answer = await browser.post(path, {**sent, "key": "office", "do": "apply"})
            assert answer.status == changes, (login, path)
        restored = await browser.post(f"{PAGE}/restore", {"form_token": token, "version": "0"})
        assert restored.status == (404 if changes == 200 else 403), login
        if (reads, changes) == (200, 403):
            assert 'name="do"' not in (await browser.get(PAGE)).text
            assert NEW not in (await browser.get("/console/scenarios")).links
    # of another account, without the token of the page, and from another site
    assert (await (await office.browser("rival")).get(PAGE)).status == 404
    admin = await office.browser("admin")
    assert (await admin.post(PAGE, {**sent, "form_token": "x", "do": "save"})).status == 403
    outside = await admin.post(PAGE, {**sent, "do": "save"}, Origin="https://evil.example")
    assert outside.status == 403


def _all(fields: tuple[Declared, ...]) -> list[Declared]:
    return [*fields, *(inner for one in fields for inner in _all(one.fields))]


def test_each_operation_has_words_and_controls() -> None:
    assert set(KINDS) == set(OperationKind)
    for kind in OperationKind:
        for one in _all(declared_fields(form_of_kind(kind))):
            assert one.name in FIELDS, (kind, one.name)


MENU = {
    "kind": "menu", "name": "Choose", "media": ["hello", "more"], "keys": {"1": "a", "#": None, "12": "b"},
    "digits": {"min": 2, "max": 6, "next": "c"}, "extensions": True, "timeout_seconds": 7, "timeout": "d",
    "invalid_message": {"text": "No.\nReally."}, "show_number": "virtual",
}  # fmt: skip


@pytest.mark.parametrize(
    "item",
    [
        MENU,
        {"kind": "split", "branches": [{"percent": 0, "next": "a"}, {"percent": 100}]},
        {
            "kind": "region",
            "branches": [{"places": ["AE", "+44"], "next": "a"}, {"places": ["+1"]}],
            "otherwise": "b",
        },
        {"kind": "caller_list", "numbers": ["97150*", "12025550110"], "listed": "a"},
        {
            "kind": "voicemail",
            "emails": ["a@example.com", "b@example.com"],
            "mail_employee": True,
            "employee": "anna",
        },
        {
            "kind": "external_decision",
            "url": "https://crm.example.com",
            "codes": {"x.y [0]": "a"},
            "parameters": ["numa"],
        },
        {"kind": "queue", "queue": "desk", "exits": {"*": "a"}},
    ],
)
def test_a_form_that_is_sent_as_it_was_shown_changes_nothing(item: dict[str, Any]) -> None:
    form = form_of_kind(OperationKind(item["kind"]))
    operation = form.model_validate(item)
    sent: dict[str, str] = {}

    def fill(fields: Any) -> None:
        for one in fields:
            for row in one.rows:
                fill(row)
            match one.declared.control:
                case Control.CHOICES:
                    sent.update({f"{one.path}.{value}": "on" for value in one.chosen})
                case Control.PART | Control.PARTS | Control.ITEMS | Control.BRANCHES:
                    pass
                case Control.FLAG:
                    sent.update({one.path: "on"} if one.value else {})
                case _:
                    sent[one.path] = one.value

    fill(of_item(form, operation.model_dump(mode="json")))
    back = sent_item(form, sent, "twice")
    assert back.problems == {}
    assert form.model_validate({"kind": item["kind"], **back.values}) == operation


def test_a_key_that_is_there_twice_is_a_problem() -> None:
    sent = {"keys.0.key": "1", "keys.0.next": "a", "keys.7.key": "1", "keys.7.next": "b", "keys.x.key": "2"}
    assert sent_item(form_of_kind(OperationKind.MENU), sent, "twice").problems == {"keys": ["twice"]}
