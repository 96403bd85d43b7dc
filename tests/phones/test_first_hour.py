"""The first hour in real Chromium: from an empty data folder to the first answered call, by pages alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.chromium import Messages, browser
from tests.engine.test_first_time import first_account
from trunkline.demo.installation import Installation, settings_on_free_ports
from trunkline.demo.outside import OutsideWorld, choose_ports
from trunkline.runtime.asterisk import AsteriskInstall

pytestmark = [pytest.mark.phones, pytest.mark.timeout(300)]


async def sign_in(page: Page, url: str, login: str, password: str) -> None:
    await page.goto(f"{url}/console/sign-in")
    await page.fill("[name=login]", login)
    await page.fill("[name=password]", password)
    await page.click("main button")
    await page.wait_for_url("**/console/")


async def add_employee(page: Page, name: str, extension: str) -> None:
    """Its page is shown then."""
    await page.get_by_label("Last name").fill(name)
    await page.get_by_label("Extension").fill(extension)
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(name)


async def test_from_an_empty_folder_to_the_first_answered_call(
    asterisk_install: AsteriskInstall, tmp_path: Path
) -> None:
    settings = settings_on_free_ports(tmp_path / "one" / "data")
    async with Installation(tmp_path / "one", settings) as pbx, browser() as admin, browser() as employee:
        account = await first_account(pbx)
        page = await admin.new_page()
        messages = Messages(page)
        await sign_in(page, pbx.url, account.login, account.password)
        await page.get_by_role("link", name="Begin with the first steps").click()
        done = page.locator("[data-done]")
        await expect(done).to_have_count(0)

        await page.get_by_role("link", name="Company").click()
        await page.get_by_label("Name of the company").fill("Palm Office")
        await page.get_by_role("button", name="Save").click()
        await expect(done).to_have_count(1)

        await page.get_by_role("link", name="New number").click()
        await page.get_by_label("Number", exact=True).fill("+97140000100")
        await page.get_by_role("button", name="Save").click()
        await page.goto(f"{pbx.url}/console/setup/start")
        await page.get_by_role("link", name="New employee").click()
        await add_employee(page, "Haddad", "101")
        await page.get_by_label("Login", exact=True).fill("haddad")
        await page.get_by_role("button", name="Create the login").click()
        password = await page.locator("#password").inner_text()

        operator = await employee.new_page()
        notes = Messages(operator)
        await sign_in(operator, pbx.url, "haddad", password)
        await operator.get_by_role("link", name="Phone").click()
        await expect(operator.locator("#phone")).to_have_attribute("data-state", "registered", timeout=60_000)

        await page.goto(f"{pbx.url}/console/setup/employees/new")
        await add_employee(page, "Rahmani", "102")
        await page.get_by_role("link", name="New SIP line for a phone or an app").click()
        await page.get_by_label("Shows the number").select_option("97140000100")
        await page.get_by_role("button", name="Save").click()
        secret = await page.locator("#password").inner_text()
        login = (await page.locator("dd code").nth(1).inner_text()).strip()
        outside = OutsideWorld(asterisk_install, tmp_path / "outside", pbx.sip, pbx.sip_tls, choose_ports())
        async with outside as world:
            phone = await world.phone(login, secret)
            calling = await phone.dial("101")
            ringing = operator.locator("[data-call]").first
            await expect(ringing).to_have_attribute("data-state", "ringing", timeout=30_000)
            await ringing.locator("[data-own=answer]").click()
            await expect(ringing).to_have_attribute("data-state", "talking", timeout=30_000)
            await calling.answered()
            await operator.wait_for_timeout(2000)  # a talk of at least a second
            await calling.hangup()
            await expect(operator.locator("[data-call]")).to_have_count(0)
        await page.goto(f"{pbx.url}/console/setup/start")
        await expect(done).to_have_count(5)  # all but what answers the number
        await page.get_by_role("link", name="The call").click()
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert messages.errors == []
        assert notes.errors == []
