"""A scenario is made, changed and compared in a real Chromium."""

from __future__ import annotations

import pytest

from tests.chromium import Messages, browser
from tests.console.calls import SCRIPT
from tests.console.conftest import Office
from tests.console.test_in_chromium import sign_in
from tests.console.test_scenarios import PAGE, add_items

pytestmark = [pytest.mark.phones, pytest.mark.timeout(300)]


async def test_a_scenario_is_edited(office: Office) -> None:
    await add_items(office)
    async with browser() as context:
        page = await context.new_page()
        messages, dialogs = Messages(page), []
        page.on("dialog", lambda one: dialogs.append(one.message))
        await sign_in(page, office)
        await page.get_by_role("link", name="Set-up").click()
        await page.get_by_role("link", name="Scenarios").first.click()
        await page.get_by_role("link", name="New scenario").click()
        await page.get_by_label("Name", exact=True).fill(SCRIPT)
        await page.get_by_label("Key in directory files").fill("office")
        await page.get_by_label("What happens here?").select_option(label="By schedule")
        await page.get_by_role("button", name="Continue").click()
        await page.get_by_label("Schedule").select_option(label="Office hours")
        await page.get_by_role("button", name="Take over").click()
        for kind, control in (("Call an employee", "#f-employee"), ("Set tags", "#f-tags-0-item")):
            await page.get_by_role("button", name="Add an operation here").first.click()
            await page.get_by_label("What happens here?").select_option(label=kind)
            await page.get_by_role("button", name="Continue").click()
            await page.locator(control).select_option(index=1)
            await page.get_by_label("Name", exact=True).last.press("Enter")  # takes the form over
            await page.get_by_role("button", name="Take over").wait_for(state="hidden")
        await page.get_by_role("button", name="Save").click()
        await page.get_by_role("status").wait_for()
        assert f"{PAGE}?saved=1" in page.url
        await page.get_by_role("button", name="Change tag").click()
        await page.get_by_role("button", name="Delete it", exact=True).click()
        await page.get_by_role("button", name="Save").click()
        await page.get_by_role("status").wait_for()
        await page.get_by_role("link", name="Versions").click()
        await page.get_by_role("button", name="Compare").click()
        await page.get_by_text("deleted").wait_for()
        sizes = "document.documentElement.scrollWidth > window.innerWidth"
        await page.set_viewport_size({"width": 390, "height": 844})
        for path in ("/console/scenarios", PAGE, f"{PAGE}/versions"):
            await page.goto(f"{office.origin}{path}")
            assert not await page.evaluate(sizes), path
        assert not messages.errors
        assert not dialogs
