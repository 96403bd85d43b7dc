"""Pages of notifications: who may see and change what, problems beside fields, test, log and replay."""

from __future__ import annotations

import re

import pytest

from tests.console.browser import Browser, Seen
from tests.console.calls import SCRIPT
from tests.console.conftest import Office
from trunkline.accounts.permissions import Role
from trunkline.console.forms import FIELD
from trunkline.console.setup.notifications import DELIVERIES, PATH, parse_conditions, parse_headers
from trunkline.core.errors import InvalidInput
from trunkline.notifications import conditions
from trunkline.notifications.presets import PRESETS
from trunkline.notifications.subscriptions import Draft, Subscriptions

URL = "https://example.com/calls?of={{call_session_id}}"


async def make(browser: Browser, **fields: str) -> Seen:
    page = await browser.get(f"{PATH}/new")
    assert page.status == 200, page.words
    return await browser.send(page, f"{PATH}/new", **{"url": URL, "events": "lost_call", **fields})


def place(page: Seen) -> str:
    """The path of the page of one."""
    assert page.status == 200, page.words
    assert re.fullmatch(rf"{PATH}/\d+", page.url.path), page.words
    return page.url.path


async def test_made_previewed_changed_signed_tested_replayed_and_deleted(office: Office) -> None:
    browser = await office.browser("captain")
    page = await make(
        browser, name=SCRIPT, body_template='{"n": {{contact_phone_number}}}', headers="X-Kind: calls",
        direction="in", talk_seconds_min="5", contact_phone_numbers="+971 50 000 0010",
    )  # fmt: skip
    path = place(page)
    form = page.form(path).fields
    assert (form["url"], form["headers"], form["direction"]) == (URL, "X-Kind: calls", "in")
    assert (form["talk_seconds_min"], form["contact_phone_numbers"]) == ("5", "971500000010")
    assert '{"n": "' in page.words  # the preview
    for where in (PATH, path, f"{path}/delete", DELIVERIES):
        seen = await browser.get(where)
        assert SCRIPT in seen.words or SCRIPT in str(seen.reader.forms), where
        assert "<img src=x" not in seen.text
        assert seen.reader.scripts_inside == 0
    # a change that was made of another state is not saved
    changed = await browser.send(page, path, name="Lost", body_template="")
    assert "Saved." in changed.words
    assert (await browser.send(page, path, name="Other")).status == 409
    signed = await browser.send(changed, f"{path}/sign")
    [secret] = re.findall(r'id="secret"[^>]*>([^<]+)<', signed.text)
    again = await browser.get(path)
    assert secret not in again.text
    assert "Deliveries are signed." in again.words
    unsigned = await browser.send(again, f"{path}/do-not-sign")
    assert "Deliveries are not signed." in unsigned.words
    sent = await browser.send(unsigned, f"{path}/test")
    assert "The sample is on its way" in sent.words
    assert "Waiting" in sent.words
    await office.db.execute(
        "update deliveries set status = 'failed', attempts = 9, body = %s where account_id = %s",
        (SCRIPT, office.account_id),
    )
    log = await browser.get(f"{DELIVERIES}?status=failed")
    assert SCRIPT in log.words
    assert "<img src=x" not in log.text
    [one] = [form.action for form in log.reader.forms if re.search(r"/\d+/replay$", form.action)]
    assert "Sent again: 1" in (await browser.send(log, one)).words
    assert "Sent again: 0" in (await browser.send(log, f"{DELIVERIES}/replay")).words  # it waits now
    wrong = await browser.send(log, f"{DELIVERIES}/replay", since="yesterday")
    assert wrong.status == 422
    assert "This is not a valid time" in wrong.words
    asked = await browser.get(f"{path}/delete")
    assert "Deleted." in (await browser.send(asked, f"{path}/delete")).words
    assert (await browser.get(path)).status == 404
    noted = [one.method.removeprefix("console.") for one in office.log.entries if one.api == "console"]
    assert noted == [
        "create.notification", "update.notification", "update.notification_secret",
        "delete.notification_secret", "create.notification_test", "create.notification_replay",
        "create.notification_replays", "delete.notification",
    ]  # fmt: skip
    assert all(secret not in str(one.request) for one in office.log.entries)


WRONG: tuple[tuple[dict[str, str], str], ...] = (
    ({"url": ""}, "url"),
    ({"url": "ftp://example.com"}, "url"),
    ({"body_template": "{{nothing}}"}, "body_template"),
    ({"headers": "X-Kind"}, "headers"),
    ({"contact_phone_numbers": "12"}, "contact_phone_numbers"),
    ({"talk_seconds_min": "x"}, "talk_seconds_min"),
    ({"talk_seconds_min": "9", "talk_seconds_max": "1"}, "talk_seconds_max"),
)
"""Fields of a form, and the control whose value is refused."""


async def test_a_problem_is_beside_its_field(office: Office) -> None:
    browser = await office.browser("captain")
    for fields, control in WRONG:
        page = await make(browser, name="Kept", **fields)
        assert page.status == 422, control
        assert f'id="f-{control}-problem"' in page.text, page.words
        assert page.form(f"{PATH}/new").fields["name"] == "Kept"
    assert (await make(browser, events="unknown")).status == 422


async def test_many_of_one_address_are_a_group(office: Office) -> None:
    browser = await office.browser("captain")
    page = await browser.send(await browser.get(PATH), f"{PATH}/preset", preset="calls", url=URL)
    assert "<details" not in page.text
    other = URL.replace("https://", "https://all.")
    page = await browser.send(await browser.get(PATH), f"{PATH}/preset", preset="everything", url=other)
    assert page.text.count("<details>") == 1
    before, _, group = page.text.partition("<details>")
    assert before.count(f'href="{PATH}/') == len(PRESETS["calls"]) + 1, "and the one for new ones"
    assert group.count(f'href="{PATH}/') == len(PRESETS["everything"])
    await office.db.execute(
        "update subscriptions set is_active = false, switched_off_reason = 'gone' where account_id = %s and url = %s",
        (office.account_id, other),
    )
    assert (await browser.get(PATH)).text.count("<details open>") == 1, "a failure is not hidden"


async def test_presets(office: Office) -> None:
    browser = await office.browser("captain")
    for _again in range(2):  # the second time replaces them
        page = await browser.send(await browser.get(PATH), f"{PATH}/preset", preset="calls", url=URL)
        assert "Found: 6" in page.words, page.words
    wrong = await browser.send(page, f"{PATH}/preset", preset="everything", url="nowhere")
    assert wrong.status == 422
    assert "Found: 6" in wrong.words  # none of them was made


async def test_by_role(office: Office) -> None:
    path = place(await make(await office.browser("captain")))
    await office.db.execute(
        "insert into user_permissions (account_id, user_id, resource, action) values (%s, %s, %s, 'select')",
        (office.account_id, office.users[Role.MEMBER], "administration"),
    )
    posts = (
        f"{PATH}/new", f"{PATH}/preset", path, f"{path}/sign", f"{path}/do-not-sign", f"{path}/test",
        f"{path}/delete", f"{DELIVERIES}/replay", f"{DELIVERIES}/1/replay",
    )  # fmt: skip
    for login, sees in ((Role.ADMIN, True), (Role.MEMBER, True), (Role.OPERATOR, False)):
        browser = await office.browser(login)
        token = {FIELD: (await browser.get("/console/")).form("/console/sign-out").fields[FIELD]}
        for where in (PATH, path, DELIVERIES):
            page = await browser.get(where)
            assert page.status == (200 if sees else 403), (login, where)
            shown = {one.action for one in page.reader.forms} & set(posts) - {path}
            assert bool(shown) == (login == Role.ADMIN), (login, where)
            assert "Save" not in page.words or login == Role.ADMIN, (login, where)
        if login == Role.ADMIN:
            assert (await browser.post(f"{PATH}/new", {FIELD: "0" * 64})).status == 403
            continue
        for where in posts:
            assert (await browser.post(where, token)).status == 403, (login, where)
        assert (await browser.get(f"{PATH}/new")).status == 403
    rival = await office.browser("rival")
    token = {FIELD: (await rival.get("/console/")).form("/console/sign-out").fields[FIELD]}
    assert (await rival.get(path)).status == 404
    for action in ("", "/sign", "/test", "/delete"):
        assert (await rival.post(f"{path}{action}", token)).status == 404, action


def test_values_of_a_form() -> None:
    assert parse_headers(["A: b:c", " D :e"]) == {"A": "b:c", "D": "e"}
    found = parse_conditions({"employee_ids": ("3", "4"), "direction": ("out",), "talk_seconds_max": ("9",)})
    assert found.as_json() == {"direction": "out", "employee_ids": (3, 4), "talk_seconds_max": 9}
    with pytest.raises(InvalidInput) as caught:
        parse_conditions({"virtual_phone_numbers": ("12",)})
    assert caught.value.field == "virtual_phone_numbers"


async def test_a_choice_that_is_not_offered_is_kept(office: Office) -> None:
    """A user who may not read employees renames a notification that is for one of them."""
    await office.db.execute(
        "insert into employees (account_id, employee_id, key, last_name) values (%s, 4001, 'a', 'Berg')",
        (office.account_id,),
    )
    draft = Draft(
        key="k", name="K", url="https://example.com/x", events=["lost_call"],
        conditions=conditions.parse({"employee_ids": [4001]}),
    )  # fmt: skip
    made = await Subscriptions(office.db, None).save(office.account_id, draft)
    for action in ("select", "update"):
        await office.db.execute(
            "insert into user_permissions (account_id, user_id, resource, action) values (%s, %s, 'administration', %s)",
            (office.account_id, office.users[Role.MEMBER], action),
        )
    browser = await office.browser(Role.MEMBER)
    saved = await browser.send(await browser.get(f"{PATH}/{made}"), f"{PATH}/{made}", name="Renamed")
    assert "Saved." in saved.words
    [row] = await office.db.fetch_all("select name, conditions from subscriptions")
    assert (row["name"], row["conditions"]["employee_ids"]) == ("Renamed", [4001])
