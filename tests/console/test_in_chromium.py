"""The pages in a real Chromium: nothing in its console, nothing wider than the screen, updates of an open page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from playwright.async_api import BrowserContext, Page

from tests.apis.call_center.test_live import as_json
from tests.chromium import Messages, browser
from tests.console.calls import SCRIPT, add_call, add_calls, add_employees, noon
from tests.console.conftest import PASSWORD, Office
from trunkline.calls.switch.queue_commands import LIST_LIVE
from trunkline.console import live_stream

pytestmark = [pytest.mark.phones, pytest.mark.timeout(300)]


@pytest.fixture
async def context() -> AsyncIterator[BrowserContext]:
    async with browser() as context:
        yield context


async def sign_in(page: Page, office: Office) -> None:
    """By the keyboard alone."""
    await page.goto(f"{office.origin}/")
    await page.locator("#login:focus").wait_for()
    await page.keyboard.type("captain")
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/console/")


_CUT = """() => [...document.querySelectorAll(".top a")].filter((one) => {
  const box = one.getBoundingClientRect();
  const middle = document.elementFromPoint((box.left + box.right) / 2, (box.top + box.bottom) / 2);
  return middle === null || !one.contains(middle);
}).map((one) => one.textContent)"""
"""Entries of the menu that cannot be clicked."""


_FILLED = """() => { const chart = document.querySelector(".chart"), box = chart.closest(".card");
  return chart.getBoundingClientRect().width / box.getBoundingClientRect().width; }"""
"""Share of its box that the chart of the overview has."""


async def test_every_page_in_every_form(office: Office, context: BrowserContext) -> None:
    await add_employees(office)
    await add_calls(office, noon(), count=60)
    hostile = [
        {"tag_id": 1, "tag_name": SCRIPT, "tag_type": "manual", "tag_change_time": "2026-01-01T00:00:00Z"}
    ]
    call_id = await add_call(
        office, noon() + timedelta(hours=9), contact_full_name=SCRIPT, scenario_name=SCRIPT, tags=hostile
    )
    office.switch.answers[LIST_LIVE] = as_json()
    page = await context.new_page()
    messages, dialogs = Messages(page), []
    page.on("dialog", lambda one: dialogs.append(one.message))
    await sign_in(page, office)
    paths = ("", "calls?when=yesterday&column=tags&column=contact&column=scenario", f"calls/{call_id}", "contacts",
             "employees", "lines", "queues", "live", "wallboard", "wallboard/links", "me", "search?words=haddad",
             "scenarios", "new-scenario", "setup", "setup/start", "setup/account", "setup/tags",
             "setup/employees/4001", "setup/lines/new", "setup/trunks/new", "setup/numbers/new",
             "setup/notifications", "setup/notifications/new", "setup/deliveries", "setup/api-access",
             "setup/schedules/new", "setup/queues", "setup/queues/new", "setup/campaigns/new",
             "setup/media/new")  # fmt: skip
    wide: list[str] = []
    for language, scheme, width in (
        ("en", "light", 1280),
        ("ru", "dark", 1280),
        ("ar", "light", 390),
        ("en", "dark", 390),
    ):
        await page.set_viewport_size({"width": width, "height": 844})
        await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        await page.click(f'footer button[value="{language}"]')
        for path in paths:
            response = await page.goto(f"{office.origin}/console/{path}")
            assert response is not None
            assert response.status == 200, path
            assert await page.evaluate("document.documentElement.lang") == language
            if await page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                wide.append(f"{path} in {language}, {width}")
            if width > 1000 and (cut := await page.evaluate(_CUT)):
                wide.append(f"{cut} on {path} in {language}, {width}")
        await page.goto(f"{office.origin}/console/")
        assert await page.evaluate(_FILLED) > 0.85, (language, width)
    assert not messages.errors
    assert not dialogs
    assert not wide


async def test_an_open_page_shows_what_changes_in_queues(
    office: Office, context: BrowserContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_stream, "STREAM_SECONDS", 3)
    first = as_json()
    office.switch.answers[LIST_LIVE] = first
    page = await context.new_page()
    messages = Messages(page)
    await sign_in(page, office)
    await page.goto(f"{office.origin}/console/queues")
    await page.get_by_role("heading", name="Support").wait_for()
    for name in ("Renamed", "Again"):  # the second one after the stream has ended and begun again
        office.switch.answers[LIST_LIVE] = {**first, "queues": [{**first["queues"][0], "name": name}]}
        await page.get_by_role("heading", name=name).wait_for()
        await page.wait_for_timeout(4000)
    assert not messages.errors


async def test_pages_without_scripts(office: Office) -> None:
    await add_calls(office, noon(), count=60)
    async with browser() as some:
        assert some.browser is not None
        context = await some.browser.new_context(java_script_enabled=False)
        page = await context.new_page()
        await sign_in(page, office)
        await page.goto(f"{office.origin}/console/calls?when=yesterday")
        await page.get_by_role("link", name="Older").click()
        await page.get_by_text("Page 2 of 2").wait_for()
        await page.locator("tbody th a").first.click()
        await page.get_by_role("heading", name="The call", exact=True).wait_for()
