"""Queues on the pages of the set-up: agents and ways out as rows, and what the form does not show."""

from __future__ import annotations

import pytest

from tests.console.browser import Browser
from tests.console.calls import SCRIPT
from tests.console.conftest import Office
from tests.console.test_setup import make, make_one
from trunkline.console.setup.controls import Control, Kind, version
from trunkline.console.setup.queues import QUEUES, merged
from trunkline.core.errors import InvalidInput

TABLE = Control(
    "x", "X", Kind.TABLE, shown=lambda row: row["x"], cells=(Control("a", "A"), Control("b", "B"))
)


def test_a_table_of_a_form() -> None:
    shown = TABLE.texts({"x": [("p", 1), ("q", None)]})
    sent = TABLE.sent({"x.a": [" p ", "q", "", ""], "x.b": ["1", "", " "]})
    assert shown == sent
    assert TABLE.value(sent) == [{"a": "p", "b": "1"}, {"a": "q", "b": ""}]
    assert TABLE.rows(sent, 1) == [["p", "1"], ["q", ""], ["", ""]]
    assert TABLE.value(TABLE.sent({"x.b": ["1"]})) == [{"a": "", "b": "1"}]
    assert version([TABLE], {"x": [("p", 1)]}) != version([TABLE], {"x": [("p", 2)]})


def test_an_item_keeps_what_the_form_does_not_show() -> None:
    agents = [{"employee": "anna", "level": 1, "mode": 7, "schedule": "night"}, {"employee": "left"}]
    item = {"name": "Support", "labels": [3], "agents": agents, "exits": {"1": "hangup"}}
    rows = [
        {"employee": "anna", "level": "2", "position": ""},
        {"employee": "omar", "level": "", "position": "3"},
    ]
    ways = [{"key": "timeout", "destination": "number", "number": "+12025550110"}]
    assert merged(item, {"record": True, "agents": rows, "exits": ways}) == {
        "name": "Support",
        "labels": [3],
        "record": 1,
        "agents": [
            {"employee": "anna", "level": "2", "mode": 7, "schedule": "night"},
            {"employee": "omar", "position": "3"},
        ],
        "exits": {"timeout": "number:+12025550110"},
    }
    assert merged(item, {"name": "Other"}) == {**item, "name": "Other"}
    twice = {"key": "1", "destination": "hangup", "number": ""}
    with pytest.raises(InvalidInput) as error:
        merged(item, {"exits": [twice, twice]})
    assert error.value.field == "exits"


async def _employee(office: Office, browser: Browser) -> str:
    """The key of a new one."""
    await make(browser, "employees", last_name=SCRIPT)
    row = await office.db.fetch_one("select key from employees where account_id = %s", (office.account_id,))
    assert row is not None
    return str(row["key"])


async def test_the_page_of_a_queue(office: Office) -> None:
    browser = await office.browser("captain")
    anna = await _employee(office, browser)
    path = f"{QUEUES.path}/{await make_one(browser, QUEUES)}"
    page = await browser.get(path)
    fields = page.form(path).fields
    assert "record" not in fields  # a new queue does not record its talks
    assert (fields["sla_answer_time"], fields["tier_rule_no_agent_no_wait"]) == (
        "20",
        "on",
    )  # the usual values
    for wrong in (
        {"agents.level": "2"},
        {"agents.employee": "nobody"},
        {"agents.employee": anna, "agents.level": "x"},
    ):
        refused = await browser.send(page, path, **wrong)
        assert refused.status == 422, wrong
        assert 'id="f-agents-problem"' in refused.text, refused.words
        assert set(wrong.values()) <= {one for values in refused.form(path).lists.values() for one in values}
    saved = await browser.send(
        page,
        path,
        **{
            "agents.employee": anna,
            "agents.level": "2",
            "exits.key": "1",
            "exits.destination": f"voicemail:{anna}",
        },
    )
    assert "Saved." in saved.words
    assert saved.reader.scripts_inside == 0
    assert "<img src=x" not in saved.text
    lists = saved.form(path).lists
    rows = zip(lists["agents.employee"], lists["agents.level"], lists["agents.position"], strict=True)
    assert next(iter(rows)) == (anna, "2", "1")
    assert (lists["exits.key"][0], lists["exits.destination"][0]) == ("1", f"voicemail:{anna}")
    renamed = await browser.send(saved, path, name="Renamed")
    assert renamed.form(path).lists["agents.employee"][0] == anna
    assert SCRIPT in (await browser.get(QUEUES.path)).words
    wrong_time = await browser.send(renamed, path, max_wait_time="90000")
    assert wrong_time.status == 422
    assert 'id="f-max_wait_time-problem"' in wrong_time.text, wrong_time.words
    twice = await make(browser, "queues", name="Renamed", extension="601")
    assert twice.status == 422, twice.words
    other = await make_one(browser, QUEUES, name="Second", extension="602")
    await office.db.execute(
        "update queues set exits = jsonb_build_object('1', 'queue:' || %s) where account_id = %s and queue_id = %s",
        (path.rpartition("/")[2], office.account_id, other),
    )
    kept = await browser.send(await browser.get(f"{path}/delete"), f"{path}/delete")
    assert kept.status == 409  # a way out of the other queue leads to it
