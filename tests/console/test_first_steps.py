"""From an empty account to the first call: the steps, and whose state they show."""

from __future__ import annotations

import dataclasses

import pytest

from tests.console.conftest import Office
from tests.console.test_setup import make
from trunkline.accounts.first import FIRST_NAME
from trunkline.accounts.permissions import Role
from trunkline.console.setup.first_steps import ACCOUNT, ANSWER, START, steps_of
from trunkline.reports.first_steps import FirstSteps

EMPTY = FirstSteps(FIRST_NAME, False, True, False, False, None)


@pytest.mark.parametrize(
    ("changes", "done"),
    [
        ({}, []),
        ({"company": "Sample Ltd"}, [0]),
        ({"has_number": True, "all_numbers_answered": False}, [1]),
        ({"has_number": True}, [1, 4]),
        ({"has_employee": True, "has_phone": True}, [2, 3]),
        ({"call_session_id": 7}, [5]),
    ],
)
def test_which_steps_are_done(changes: dict[str, object], done: list[int]) -> None:
    steps = steps_of(dataclasses.replace(EMPTY, **changes))  # type: ignore[arg-type]
    assert [at for at, one in enumerate(steps) if one.is_done] == done


async def test_the_steps_write_the_company_and_what_answers(office: Office) -> None:
    browser = await office.browser("captain")
    assert START in (await browser.get("/console/")).links
    page = await browser.get(ACCOUNT)
    refused = await browser.send(page, ACCOUNT, name=" ")
    assert refused.status == 422
    assert "Fill this in." in refused.words
    saved = await browser.send(page, ACCOUNT, name="Palm Office", country="GB", security="mobile")
    assert "Saved." in saved.words
    row = await office.db.fetch_one(
        "select name, country, time_zone from accounts where account_id = %s", (office.account_id,)
    )
    assert row == {"name": "Palm Office", "country": "GB", "time_zone": "Asia/Dubai"}
    await make(browser, "employees")
    assert START not in (await browser.get("/console/")).links
    await make(browser, "trunks")
    await make(browser, "numbers")
    page = await browser.get(START)
    answered = await browser.send(page, ANSWER)
    assert "Saved." in answered.words
    numbers = await browser.get("/console/setup/numbers")
    assert "Mira Stone" in numbers.words
    assert "Nothing answers" not in numbers.words
    again = await browser.post(ANSWER, page.form(ANSWER).fields)
    assert again.status == 422  # the number has a scenario, which is not replaced


async def test_only_who_may_set_up_sees_the_steps(office: Office) -> None:
    for role in (Role.SUPERVISOR, Role.OPERATOR, Role.INTEGRATOR, Role.MEMBER):
        browser = await office.browser(role)
        page = await browser.get("/console/")
        assert START not in page.links
        token = page.form("/console/sign-out").fields
        for path in (START, ACCOUNT):
            assert (await browser.get(path)).status == 403, role
        for path in (ANSWER, ACCOUNT):
            assert (await browser.post(path, {**token, "name": "Mine"})).status == 403, role
