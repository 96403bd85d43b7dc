"""Working hours: as people write them, and on the pages of schedules."""

from __future__ import annotations

import pytest

from tests.console.calls import SCRIPT
from tests.console.conftest import Office
from tests.console.test_setup import make, make_one
from trunkline.console.setup.hours import exceptions_of, hours_of, merged, ranges, shown
from trunkline.console.setup.schedules import SCHEDULES
from trunkline.core.errors import InvalidInput


def test_hours_to_an_item_and_back() -> None:
    values = {"mon": "14:00-18:00, 9:00–13:00", "tue": "09:00-13:00,14:00 - 18:00", "fri": None}
    item = merged({"rules": ["kept"]}, {**values, "exceptions": ["2026-12-31 9:00-13:00", "2027-01-01"]})
    assert item == {
        "rules": ["kept"],
        "open": [
            {"days": ["mon", "tue"], "from": "09:00", "till": "13:00"},
            {"days": ["mon", "tue"], "from": "14:00", "till": "18:00"},
        ],
        "exceptions": [
            {"date": "2026-12-31", "from": "09:00", "till": "13:00"},
            {"date": "2027-01-01", "closed": True},
        ],
    }
    changed = merged(item, {"tue": ""})
    assert [one["days"] for one in changed["open"]] == [["mon"], ["mon"]]
    assert changed["exceptions"] == item["exceptions"]
    row = {
        "hours": "1 09:00 13:00\n1 14:00 18:00\n7 22:00 06:00",
        "exceptions": "2026-12-31 09:00 13:00\n2027-01-01",
    }
    assert {day: shown(times) for day, times in hours_of(row).items()} == {
        "mon": "09:00-13:00, 14:00-18:00",
        "sun": "22:00-06:00",
    }
    assert exceptions_of(row) == ["2026-12-31 09:00-13:00", "2027-01-01"]


@pytest.mark.parametrize("text", ["9-18", "09:00", "09:00-25:00", "09:00-18:00 14:00-15:00", SCRIPT])
def test_what_are_no_hours(text: str) -> None:
    with pytest.raises(InvalidInput) as error:
        ranges(text, "mon")
    assert error.value.field == "mon"


async def test_the_page_of_a_schedule(office: Office) -> None:
    browser = await office.browser("captain")
    path = f"{SCHEDULES.path}/{await make_one(browser, SCHEDULES, name=SCRIPT)}"
    page = await browser.get(path)
    assert page.reader.scripts_inside == 0
    assert "<img src=x" not in page.text
    fields = page.form(path).fields
    assert (fields["fri"], fields["sat"], fields["sun"]) == ("09:00-18:00", "10:00-14:00", "")
    assert fields["exceptions"] == "2026-12-31 09:00-13:00\n2027-01-01"
    saved = await browser.send(page, path, sat="", exceptions="2027-01-02")
    fields = saved.form(path).fields
    assert (fields["fri"], fields["sat"], fields["exceptions"]) == ("09:00-18:00", "", "2027-01-02")
    for name, typed in (("mon", "9 to 5"), ("tue", "09:00-25:00"), ("exceptions", "New Year")):
        refused = await browser.send(saved, path, **{name: typed})
        assert refused.status == 422, name
        assert refused.form(path).fields[name] == typed
        assert "This cannot be used." in refused.words
        assert f'id="f-{name}-problem"' in refused.text, (name, refused.words)
    twice = await make(browser, "schedules", name=SCRIPT)
    assert twice.status == 422
    employee = await make(browser, "employees", schedule=path.rpartition("/")[2])
    assert employee.status == 200


async def test_hours_of_the_data_api_stay(office: Office) -> None:
    browser = await office.browser("captain")
    path = f"{SCHEDULES.path}/{await make_one(browser, SCHEDULES)}"
    rule = '[{"type": "days_of_week", "days": [0], "times": [], "first": null, "last": null, "anchor": null}]'
    await office.db.execute(
        "update schedules set rules = %s where account_id = %s and schedule_id = %s",
        (rule, office.account_id, int(path.rpartition("/")[2])),
    )
    page = await browser.get(path)
    assert "rules of the Data API" in page.words
    saved = await browser.send(page, path, mon="10:00-11:00")
    assert saved.form(path).fields["mon"] == "10:00-11:00"
    assert "rules of the Data API" in saved.words


async def test_a_schedule_in_use_stays(office: Office) -> None:
    browser = await office.browser("captain")
    path = f"{SCHEDULES.path}/{await make_one(browser, SCHEDULES)}"
    await office.db.execute(
        "insert into employee_groups (account_id, key, name, schedule_id) values (%s, 'sales', 'Sales', %s)",
        (office.account_id, int(path.rpartition("/")[2])),
    )
    refused = await browser.send(await browser.get(f"{path}/delete"), f"{path}/delete")
    assert refused.status == 409
    assert (await browser.get(path)).status == 200
