"""The search from every page."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.console.calls import SCRIPT, add_call, add_employees, noon
from tests.console.conftest import Office
from tests.reports.lifelike import insert


async def _add(office: Office) -> None:
    await add_employees(office)
    async with office.db.connection() as connection:
        for account_id, name in (
            (office.account_id, "Haddad"),
            (office.account_id, SCRIPT),
            (office.other_id, "Haddad Hidden"),
        ):
            await insert(
                connection, "contacts", [{"account_id": account_id, "key": name[:20], "last_name": name}]
            )
    employees = [
        {"employee_id": 4001, "employee_full_name": "Stone Mira", "is_answered": True, "is_talked": True}
    ]
    await add_call(
        office,
        noon(),
        contact_full_name="Haddad Lena",
        contact_phone_number="971500000019",
        employees=employees,
    )
    await add_call(
        office,
        noon() + timedelta(hours=1),
        contact_full_name="Someone",
        contact_phone_number="12025550111",
        employees=[],
    )


@pytest.mark.parametrize(
    ("words", "found", "missing"),
    [
        ("haddad", ("Haddad", "Haddad Lena"), ("Hidden", "Someone")),
        ("mira", ("Stone Mira",), ("Okafor",)),
        ("50 000 0019", ("Haddad Lena",), ("Someone",)),
        ("050 000 0019", ("Haddad Lena",), ("Someone",)),
        ("<script>", (SCRIPT,), ("Haddad Lena",)),
        ("", ("Enter a name",), ("Haddad",)),
    ],
)
async def test_what_is_found(
    office: Office, words: str, found: tuple[str, ...], missing: tuple[str, ...]
) -> None:
    await _add(office)
    browser = await office.browser("supervisor")
    home = await browser.get("/console/contacts")
    assert home.form("/console/search").method == "get"
    page = await browser.get(f"/console/search?words={words.replace(' ', '+')}")
    assert page.status == 200
    assert page.reader.scripts_inside == 0
    assert [one for one in found if one not in page.words] == []
    assert [one for one in missing if one in page.words] == []


async def test_the_search_shows_only_what_the_pages_would(office: Office) -> None:
    await _add(office)
    member = await (await office.browser("member")).get("/console/search?words=haddad")
    assert member.status == 200
    assert "Haddad" not in member.words
    await office.db.execute(
        "update users set employee_id = 4002 where account_id = %s and user_id = %s",
        (office.account_id, office.users["operator"]),
    )
    operator = await (await office.browser("operator")).get("/console/search?words=971500000019")
    assert "Haddad Lena" not in operator.words
