"""The page of the phone: who gets it, and what it may connect to. Calls: tests/phones/test_browser_phone.py."""

from __future__ import annotations

from tests.console.conftest import Office


async def test_a_user_who_is_no_employee_has_no_phone(office: Office) -> None:
    browser = await office.browser("operator")
    page = await browser.get("/console/phone")
    assert page.status == 403
    assert "/console/phone" not in (await browser.get("/console/")).links
