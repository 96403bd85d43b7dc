"""Codes of an app in addition to the password."""

from __future__ import annotations

import re
import time

import pyotp
import pytest

from tests.console.browser import Browser
from tests.console.conftest import PASSWORD, Office
from trunkline.accounts.administration import Administration
from trunkline.accounts.login_throttle import FREE_FAILURES
from trunkline.accounts.model import Api
from trunkline.accounts.second_factor import STEP_SECONDS, step_of
from trunkline.accounts.service import Accounts
from trunkline.apis.request_share import SESSION_COOKIE
from trunkline.core.errors import AuthenticationFailed, NotFound

_SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
_ME = "/console/me"


def test_which_codes_are_good() -> None:
    now = 1_800_000_010.0
    codes = {shift: pyotp.TOTP(_SECRET).at(int(now) + shift * STEP_SECONDS) for shift in range(-3, 4)}
    steps = {shift: step_of(_SECRET, code, now) for shift, code in codes.items()}
    present = int(now) // STEP_SECONDS
    assert steps == {-3: None, -2: None, -1: present - 1, 0: present, 1: present + 1, 2: None, 3: None}
    assert step_of(_SECRET, f" {codes[0][:3]} {codes[0][3:]} ", now) == present
    for wrong in ("", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "-12345"):
        assert step_of(_SECRET, wrong, now) is None


async def _set_up(office: Office, browser: Browser) -> str:
    """Codes of the user of the browser; the secret."""
    page = await browser.send(await browser.get(_ME), f"{_ME}/codes")
    found = re.search(r'<code dir="ltr">(\w+)</code>', page.text)
    assert found, page.words
    assert 'src="data:image/svg+xml' in page.text
    secret = found[1]
    refused = await browser.send(page, f"{_ME}/codes/confirm", code="000000")
    assert refused.status == 403
    assert secret in refused.text  # the same one, that is in the app already
    before = pyotp.TOTP(secret).at(int(time.time()) - STEP_SECONDS)
    page = await browser.send(refused, f"{_ME}/codes/confirm", code=before)
    assert "You sign in with your password and a code" in page.words, page.words
    return secret


async def _try(office: Office, code: str, password: str = PASSWORD) -> tuple[int, bool]:
    browser = await office.browser()
    page = await browser.get("/console/sign-in")
    page = await browser.send(page, "/console/sign-in", login="captain", password=password, code=code)
    return page.status, browser.cookie(SESSION_COOKIE) is not None


async def test_the_password_alone_opens_nothing(office: Office) -> None:
    secret = await _set_up(office, await office.browser("captain"))
    assert await _try(office, "") == (403, False)
    assert await _try(office, "000000") == (403, False)
    code = pyotp.TOTP(secret).now()
    assert await _try(office, code, "wrong") == (403, False)
    assert await _try(office, code) == (200, True)
    assert await _try(office, code) == (403, False), "a code was good twice"
    [row] = await office.db.fetch_all("select secret_encrypted from second_factors")
    assert secret.encode() not in bytes(row["secret_encrypted"])


async def test_apis_refuse_the_password_of_such_a_user(office: Office) -> None:
    accounts = Accounts(office.db)
    await accounts.login("captain", PASSWORD, Api.DATA_API)
    await _set_up(office, await office.browser("captain"))
    texts = set()
    for password in (PASSWORD, "another password", "no user"):
        login = "nobody" if password == "no user" else "captain"
        with pytest.raises(AuthenticationFailed) as caught:
            await accounts.login(login, password, Api.DATA_API)
        texts.add(caught.value.message)
    assert texts == {"login or password is wrong"}, "nobody finds out that the password is right"
    for _ in range(FREE_FAILURES):
        with pytest.raises(AuthenticationFailed):
            await accounts.login("captain", PASSWORD, Api.DATA_API)
    with pytest.raises(AuthenticationFailed, match="too many"):
        await accounts.login("captain", PASSWORD, Api.DATA_API)


async def test_codes_cannot_be_guessed_to_turn_them_off(office: Office) -> None:
    browser = await office.browser("captain")
    secret = await _set_up(office, browser)
    page = await browser.get(_ME)
    for _ in range(FREE_FAILURES):
        page = await browser.send(page, f"{_ME}/codes/remove", code="000000")
        assert "not the present code" in page.words
    page = await browser.send(page, f"{_ME}/codes/remove", code=pyotp.TOTP(secret).now())
    assert "too many wrong codes" in page.words
    assert await _try(office, "") == (403, False), "the codes are still in use"


async def test_codes_are_turned_off_with_a_code_or_by_the_administrator(office: Office) -> None:
    browser = await office.browser("captain")
    secret = await _set_up(office, browser)
    page = await browser.send(await browser.get(_ME), f"{_ME}/codes/remove", code="000000")
    assert page.status == 403
    page = await browser.send(page, f"{_ME}/codes/remove", code=pyotp.TOTP(secret).now())
    assert "Set up codes" in page.words
    assert await _try(office, "") == (200, True)
    await _set_up(office, browser)
    users = Administration(office.db).users
    await users.remove_second_factor(office.account_id, office.users["captain"])
    assert await _try(office, "") == (200, True)
    with pytest.raises(NotFound):
        await users.remove_second_factor(office.account_id, office.users["captain"])


async def test_every_role_has_the_page_and_another_site_cannot_change_it(office: Office) -> None:
    for login in ("member", "operator", "supervisor"):
        browser = await office.browser(login)
        assert (await browser.get(_ME)).status == 200
        for action in ("codes", "codes/confirm", "codes/remove"):
            assert (await browser.post(f"{_ME}/{action}", {"code": "1"}, follow=False)).status == 403
    assert await office.db.fetch_all("select from second_factors") == []


async def test_a_secret_that_was_not_confirmed_ends_with_the_password(office: Office) -> None:
    async def shown() -> str:
        browser = await office.browser("captain")
        page = await browser.send(await browser.get(_ME), f"{_ME}/codes")
        found = re.search(r'<code dir="ltr">(\w+)</code>', page.text)
        assert found, page.words
        return found[1]

    first = await shown()
    assert await shown() == first
    users = Administration(office.db).users
    (captain,) = [one for one in await users.list_users(office.account_id) if one["login"] == "captain"]
    await users.set_password(office.account_id, captain["user_id"], PASSWORD)
    assert await shown() != first
