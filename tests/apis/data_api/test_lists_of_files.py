"""Auto call campaigns, segments, events and places: brought by files or by us, listed by the Data API."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.apis.data_api.client import DataApiClient
from tests.reports.company import ACCOUNT, OTHER_ACCOUNT
from trunkline.core.errors import DirectoryFileError, NotFound
from trunkline.directory.files.lists_file import ListsForm, apply_lists, read_lists
from trunkline.directory.numbers.geography import place_name, region_id

FILE = """
auto_calls:
  spring:
    name: Spring offer
    status: planned
    begins: 2026-12-01T09:00:00+04:00
    numbers: ["+12025550110", 12025550111, 12025550112]
  autumn: {name: Autumn offer}
segments:
  buyers:
    name: Buyers
    site: harbour.example
    conditions: [[{segment_parameter: page, operator: sub, value: /buy}]]
events:
  thanks: {name: Thanks, type: link, site: harbour.example, url: /thanks, is_goal: true, goal_name: Order}
  entry: {name: Entry, type: segment, segment: buyers}
"""
FIRST, SECOND, THIRD = "12025550110", "12025550111", "12025550112"


def lists_of(folder: Path, text: str = FILE) -> ListsForm:
    path = folder / "lists.yaml"
    path.write_text(text)
    return read_lists(path)


@pytest.fixture
async def filled(client: DataApiClient, tmp_path: Path) -> DataApiClient:
    await client.db.execute(
        "insert into sites (account_id, site_id, domain_name, name, industry_id)"
        " values (1001, 16001, 'harbour.example', 'Harbour', 1)"
    )
    assert await apply_lists(client.db, ACCOUNT, lists_of(tmp_path)) == 5
    return client


async def campaign_ids(client: DataApiClient) -> dict[str, int]:
    return {row["name"]: row["id"] for row in await client.rows("get.auto_call_campaigns")}


async def test_campaigns(filled: DataApiClient) -> None:
    spring, autumn = await filled.rows("get.auto_call_campaigns", sort=[{"field": "name", "order": "desc"}])
    assert spring["begin_date"] == "2026-12-01 09:00:00"
    assert (spring["status"], spring["end_date"]) == ("planned", None)
    assert spring["phone_numbers"] == [
        {"phone_number": phone, "status": "not_processed"} for phone in (FIRST, SECOND, THIRD)
    ]
    assert (autumn["status"], autumn["phone_numbers"]) == ("draft", [])
    for field, value in (("phone_number", SECOND), ("status", "not_processed")):
        by_number = {"field": f"phone_numbers.{field}", "operator": "=", "value": value}
        assert await filled.rows("get.auto_call_campaigns", filter=by_number) == [spring]
    none = {"field": "phone_numbers.status", "operator": "=", "value": "deleted"}
    assert await filled.rows("get.auto_call_campaigns", filter=none) == []


async def test_numbers_leave_a_campaign(filled: DataApiClient) -> None:
    spring = (await campaign_ids(filled))["Spring offer"]
    asked = {"campaign_id": spring, "phone_numbers": [f"+{FIRST}", SECOND]}
    method = "delete.auto_call_campaign_phone_numbers"
    assert await filled.do(method, **asked) == {"success": True}
    row = await filled.row("get.auto_call_campaigns", spring)
    states = {one["phone_number"]: one["status"] for one in row["phone_numbers"]}
    assert states == {FIRST: "deleted", SECOND: "deleted", THIRD: "not_processed"}
    for status in ("deleted", "successfully_processed", "processed_outside_campaign"):
        await filled.db.execute(
            "update auto_call_campaign_numbers set status = %s where phone_number = %s", (status, FIRST)
        )
        answer = await filled.answer(method, campaign_id=spring, phone_numbers=[THIRD, FIRST])
        assert answer["error"]["code"] == -32602
        assert (answer["error"]["data"]["mnemonic"], answer["error"]["data"]["value"]) == (
            "forbidden",
            FIRST,
        )
    await filled.db.execute(
        "update auto_call_campaign_numbers set status = 'unsuccessfully_processed' where phone_number = %s",
        (FIRST,),
    )
    await filled.do(method, campaign_id=spring, phone_numbers=[FIRST])
    assert await filled.fault(method, campaign_id=spring, phone_numbers=[THIRD, "12025550119"]) == (
        "entity_not_found",
        "phone_numbers",
    )
    assert await filled.fault(method, campaign_id=1, phone_numbers=[THIRD]) == (
        "entity_not_found",
        "campaign_id",
    )
    assert await filled.fault(method, campaign_id=spring) == ("required_parameter_missed", "phone_numbers")
    assert await filled.fault(method, campaign_id=spring, phone_numbers=[1]) == (
        "data_type_error",
        "phone_numbers",
    )
    filled.as_other_account()
    assert await filled.fault(method, campaign_id=spring, phone_numbers=[THIRD]) == (
        "entity_not_found",
        "campaign_id",
    )
    assert await filled.rows("get.auto_call_campaigns") == []
    filled.as_owner()
    row = await filled.row("get.auto_call_campaigns", spring)
    assert row["phone_numbers"][2] == {"phone_number": THIRD, "status": "not_processed"}


async def test_segments_and_events(filled: DataApiClient) -> None:
    conditions = {
        "group_conditions": [
            {
                "conditions": [
                    {"type": "include", "segment_parameter": "page", "operator": "sub", "value": "/buy"}
                ]
            }
        ]
    }
    [segment] = await filled.rows("get.segments")
    assert segment == {
        "id": segment["id"],
        "name": "Buyers",
        "description": None,
        "site_id": 16001,
        "site_domain_name": "harbour.example",
        "segments_conditions": conditions,
        "segment_conditions": conditions,
    }
    thanks, entry = await filled.rows("get.events", sort=[{"field": "name", "order": "desc"}])
    assert (thanks["type"], thanks["url"], thanks["is_goal"], thanks["goal_name"]) == (
        "link",
        "/thanks",
        True,
        "Order",
    )
    assert (entry["segment_id"], entry["site_id"], entry["value"]) == (segment["id"], None, None)
    goals = {"field": "is_goal", "operator": "=", "value": True}
    assert [row["name"] for row in await filled.rows("get.events", filter=goals)] == ["Thanks"]
    filled.as_other_account()
    assert await filled.rows("get.segments") == await filled.rows("get.events") == []


async def test_a_file_may_be_applied_again(filled: DataApiClient, tmp_path: Path) -> None:
    ids = await campaign_ids(filled)
    await filled.db.execute(
        "update auto_call_campaign_numbers set status = 'successfully_processed' where phone_number = %s",
        (FIRST,),
    )
    again = lists_of(tmp_path, FILE.replace("planned", "paused").replace("Buyers", "Customers"))
    await apply_lists(filled.db, ACCOUNT, again)
    assert await campaign_ids(filled) == ids
    row = await filled.row("get.auto_call_campaigns", ids["Spring offer"])
    assert (row["status"], row["phone_numbers"][0]["status"]) == ("paused", "successfully_processed")
    assert [one["name"] for one in await filled.rows("get.segments")] == ["Customers"]
    with pytest.raises(NotFound, match="no site harbour"):
        await apply_lists(filled.db, OTHER_ACCOUNT, again)
    for wrong in ("events: {x: {name: X}}", "wings: {}", "auto_calls: {x: {name: X, begins: soon}}"):
        with pytest.raises(DirectoryFileError):
            lists_of(tmp_path, wrong)


async def test_places(client: DataApiClient) -> None:
    emirates = 784
    [country] = await client.rows("get.geolocations", ids=[emirates])
    assert country == {"id": emirates, "parent_id": None, "name": "United Arab Emirates"}
    dubai = region_id(emirates, "DU")
    rows = await client.rows(
        "get.geolocations",
        ids=[emirates, dubai],
        filter={"field": "parent_id", "operator": "=", "value": emirates},
    )
    assert rows == [{"id": dubai, "parent_id": emirates, "name": place_name("AE-DU")}]
    everything = await client.rows("get.geolocations", limit=10_000)
    ids = {row["id"] for row in everything}
    assert len(ids) == len(everything) > 5000
    assert {row["parent_id"] for row in everything} - {None} <= ids
    assert await client.rows("get.geolocations", ids=[]) == []
    assert await client.fault("get.geolocations", ids=["x"]) == ("data_type_error", "ids")


def test_ids_of_places_never_change() -> None:
    assert region_id(784, "DU") == 78_400_000 + 14 * 37 + 31
    assert len({region_id(826, letters) for letters in ("1", "01", "001", "A", "0A")}) == 5
    assert region_id(894, "ZZZ") < 2**53
