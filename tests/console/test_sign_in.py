"""Sign in and out: sessions, forms, headers."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.attack.web_role import web_role
from tests.console.browser import Browser
from tests.console.conftest import PASSWORD, Office
from trunkline.accounts.administration import Administration
from trunkline.accounts.model import Status
from trunkline.apis.request_share import SESSION_COOKIE

_SIGN_IN = "/console/sign-in"


async def test_the_first_address_leads_to_the_form_and_the_form_to_the_first_page(office: Office) -> None:
    browser = await office.browser()
    page = await browser.get("/")
    assert (page.status, page.url.path) == (200, _SIGN_IN)
    page = await browser.send(page, _SIGN_IN, login="captain", password=PASSWORD)
    assert (page.status, page.url.path) == (200, "/console/")
    assert "captain" in page.words


async def test_a_wrong_password_opens_nothing_and_names_no_reason(office: Office) -> None:
    browser = await office.browser()
    for login in ("captain", "nobody"):
        page = await browser.sign_in(login, "not the password")
        assert page.status == 403
        assert "login, password or code is wrong" in page.words
        assert browser.cookie(SESSION_COOKIE) is None
    assert (await browser.get("/console/", follow=False)).status == 303


async def test_the_database_has_the_hash_of_the_session_and_the_cookie_is_closed_to_scripts(
    office: Office,
) -> None:
    browser = await office.browser()
    page = await browser.get(_SIGN_IN)
    form = page.form(_SIGN_IN)
    answer = await browser.post(
        _SIGN_IN, {**form.fields, "login": "captain", "password": PASSWORD}, follow=False
    )
    [cookie] = [one for one in answer.headers.getall("Set-Cookie") if one.startswith(SESSION_COOKIE)]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    token = browser.cookie(SESSION_COOKIE)
    assert token is not None
    rows = await office.db.fetch_all("select token_hash, expires_at - created_at as ttl from login_sessions")
    assert [bytes(row["token_hash"]) for row in rows] == [hashlib.sha256(token.encode()).digest()]
    assert rows[0]["ttl"].total_seconds() == 12 * 3600


async def test_each_sign_in_has_a_new_session_and_ends_the_one_before(office: Office) -> None:
    """A token that was planted before is not the one that is signed in."""
    browser = await office.browser()
    browser.set_cookie(SESSION_COOKIE, "planted")
    await browser.sign_in("captain")
    first = browser.cookie(SESSION_COOKIE)
    assert first != "planted"
    page = await browser.get(_SIGN_IN, follow=False)
    assert page.status == 303  # who is signed in needs no form
    other = await office.browser()
    page = await other.get(_SIGN_IN)
    other.set_cookie(SESSION_COOKIE, str(first))
    await other.send(page, _SIGN_IN, login="admin", password=PASSWORD)
    second = other.cookie(SESSION_COOKIE)
    assert second != first
    assert (await browser.get("/console/", follow=False)).status == 303, "the planted session goes on"


async def test_who_signs_out_is_out_everywhere_with_that_token(office: Office) -> None:
    browser = await office.browser("captain")
    token = browser.cookie(SESSION_COOKIE)
    page = await browser.send(await browser.get("/console/"), "/console/sign-out")
    assert page.url.path == _SIGN_IN
    browser.set_cookie(SESSION_COOKIE, str(token))
    assert (await browser.get("/console/", follow=False)).status == 303


async def test_a_session_ends_with_its_time_its_user_and_its_account(office: Office) -> None:
    for change in (
        "update login_sessions set expires_at = now() where account_id = %s",
        "update users set status = 'disabled' where account_id = %s",
    ):
        browser = await office.browser("supervisor")
        await office.db.execute(change, (office.account_id,))
        assert (await browser.get("/console/", follow=False)).status == 303
        await office.db.execute(
            "update users set status = 'active' where account_id = %s", (office.account_id,)
        )
    browser = await office.browser("supervisor")
    await Administration(office.db).set_status(office.account_id, Status.DISABLED)
    assert (await browser.get("/console/", follow=False)).status == 403


async def test_the_key_of_an_api_is_no_session(office: Office) -> None:
    key = await Administration(office.db).users.create_key(office.account_id, office.users["captain"], "k")
    browser = await office.browser()
    browser.set_cookie(SESSION_COOKIE, key.token)
    assert (await browser.get("/console/", follow=False)).status == 303


async def test_an_address_that_is_not_allowed_gets_no_session(office: Office) -> None:
    await office.db.execute(
        "delete from allowed_addresses where account_id = %s and api = 'console'", (office.account_id,)
    )
    browser = await office.browser()
    page = await browser.sign_in("captain")
    assert page.status == 403
    assert "allow-list" in page.words
    assert await office.db.fetch_all("select from login_sessions") == []


async def test_many_failures_delay_the_next_ones(office: Office) -> None:
    browser = await office.browser()
    for _ in range(6):
        page = await browser.sign_in("captain", "wrong")
    assert "too many failed log-ins" in page.words


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/console/",
        "//evil.example",
        "/console/../system/media",
        "/\\evil.example",
        "/console/\\evil",
        "/media/x",
        "javascript:alert(1)",
        "/console/x\r\nSet-Cookie: a=b",
        "/console/sign-in",
    ],
)
async def test_nobody_is_sent_away_after_the_sign_in(office: Office, target: str) -> None:
    browser = await office.browser()
    page = await browser.get(_SIGN_IN)
    fields = {**page.form(_SIGN_IN).fields, "login": "captain", "password": PASSWORD, "next": target}
    answer = await browser.post(_SIGN_IN, fields, follow=False)
    assert answer.status == 303
    assert answer.headers["Location"].startswith("/console/")
    assert "evil" not in answer.headers["Location"] or target.startswith("/console/")


async def test_a_form_of_another_site_is_refused(office: Office) -> None:
    browser = await office.browser("captain")
    page = await browser.get("/console/")
    own = page.form("/console/sign-out").fields
    for fields, headers in (
        ({}, {}),
        ({"form_token": "0" * 64}, {}),
        (own, {"Origin": "https://evil.example"}),
        (own, {"Sec-Fetch-Site": "cross-site"}),
        (own, {"Sec-Fetch-Site": "same-site"}),
    ):
        answer = await browser.post("/console/sign-out", fields, follow=False, **headers)
        assert answer.status == 403, (fields, headers)
    other = await office.browser("admin")
    stolen = (await other.get("/console/")).form("/console/sign-out").fields
    assert (await browser.post("/console/sign-out", stolen, follow=False)).status == 403
    assert (await browser.get("/console/", follow=False)).status == 200


async def test_the_form_of_the_sign_in_belongs_to_the_browser(office: Office) -> None:
    page = await (await office.browser()).get(_SIGN_IN)
    browser = await office.browser()
    fields = {**page.form(_SIGN_IN).fields, "login": "captain", "password": PASSWORD}
    assert (await browser.post(_SIGN_IN, fields)).status == 403
    assert browser.cookie(SESSION_COOKIE) is None


async def test_headers_of_every_page(office: Office) -> None:
    browser = await office.browser("captain")
    for path in ("/console/", "/console/nothing", "/console/sign-out"):
        page = await browser.get(path)
        policy = dict(part.split(" ", 1) for part in page.headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == "'self'"
        assert policy["style-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert policy["form-action"] == "'self'"
        assert policy["base-uri"] == "'none'"
        assert page.headers["X-Frame-Options"] == "DENY"
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.reader.scripts_inside == 0
        assert not {one for one in page.reader.attributes if one.startswith("on") or one == "style"}


async def test_pages_have_the_language_of_the_browser_until_another_is_chosen(office: Office) -> None:
    browser = await office.browser(None, "ar-AE,ar;q=0.9,en;q=0.5")
    page = await browser.get(_SIGN_IN)
    assert '<html lang="ar" dir="rtl">' in page.text
    page = await browser.send(page, "/console/language", language="ru", next="/console/")
    assert '<html lang="ru" dir="ltr">' in page.text


async def test_the_language_can_be_chosen_after_a_session_has_ended(office: Office) -> None:
    browser = await office.browser("captain")
    await office.db.execute("update login_sessions set expires_at = now() - interval '1 minute'")
    page = await browser.get(_SIGN_IN)
    page = await browser.send(page, "/console/language", language="ru", next="/console/")
    assert '<html lang="ru" dir="ltr">' in page.text


async def test_the_style_sheet_may_be_kept_for_as_long_as_it_does_not_change(office: Office) -> None:
    browser = await office.browser()
    page = await browser.get(_SIGN_IN)
    path = page.text.split('rel="stylesheet" href="')[1].split('"')[0]
    sheet = await browser.get(path)
    assert (sheet.status, sheet.headers["Content-Type"]) == (200, "text/css; charset=utf-8")
    assert "immutable" in sheet.headers["Cache-Control"]
    assert (await browser.get("/console/static/..%2Fframe.py")).status == 404


@pytest.mark.shells
async def test_the_real_process_serves_the_console_over_https(database: str, tmp_path: Path) -> None:
    async with web_role(database, tmp_path) as role:
        await role.tenant("Sample")
        async with Browser(f"https://127.0.0.1:{role.settings.web.https_port}") as browser:
            page = await browser.get("/")
            form = page.form(_SIGN_IN)
            answer = await browser.post(
                _SIGN_IN, {**form.fields, "login": "sample", "password": PASSWORD}, follow=False
            )
            cookies = answer.headers.getall("Set-Cookie")
            assert any("Secure" in one for one in cookies if one.startswith(SESSION_COOKIE))
