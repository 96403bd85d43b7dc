"""Campaigns by the Data API: numbers, conditions, weights, costs; and what calls see of them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from tests.apis.data_api.client import DataApiClient
from tests.apis.data_api.seen import account_seen
from tests.reports.company import ACCOUNT

VA, OTHER_VA = 7001, 7002
"""Numbers of the PBX that the company has."""
TRACKING = {"count_virtual_numbers": 2, "count_visits": 50}


@dataclass
class Shop:
    """A company with a site of two blocks and two call tracking numbers."""

    client: DataApiClient
    site: int
    blocks: list[int]
    tracked: list[int]

    async def campaign(self, **changes: Any) -> int:
        made = await self.client.do("create.campaigns", **{"name": "Spring", "site_id": self.site, **changes})
        return int(made["data"]["id"])

    async def fault(self, verb: str, **changes: Any) -> tuple[str, str | None]:
        return await self.client.fault(f"{verb}.campaigns", **{"site_id": self.site, **changes})

    async def shows(self, campaign: int) -> list[tuple[int, int]]:
        row = await self.client.row("get.campaigns", campaign)
        return [(one["site_block_id"], one["phone_number_id"]) for one in row["site_blocks"]]

    def block(self, number: int, block: int = 0, **more: Any) -> dict[str, Any]:
        return {"site_block_id": self.blocks[block], "phone_number_id": number, **more}


@pytest.fixture
async def shop(client: DataApiClient) -> Shop:
    client.with_components("call_tracking", "dynamic_call_tracking", "va")
    site = await client.do(
        "create.sites", domain_name="example.com", default_phone_number="442079460100", industry_id=1
    )
    site_id = site["data"]["id"]
    await client.do("create.site_blocks", site_id=site_id, name="Footer")
    blocks = [row["id"] for row in await client.rows("get.site_blocks")]
    rows = await client.db.fetch_all(
        """insert into virtual_numbers (account_id, phone_number, type)
           values (%s, '442079460190', 'call_tracking'), (%s, '12025550190', 'call_tracking')
           returning virtual_number_id as id""",
        (ACCOUNT, ACCOUNT),
    )
    return Shop(client, site_id, blocks, [row["id"] for row in rows])


CONDITION = {"type": "include", "campaign_parameter": "utm_source", "operator": "=", "value": "newsletter"}


def conditions(*given: dict[str, Any]) -> dict[str, Any]:
    return {"group_conditions": [{"conditions": list(given)}]}


async def test_a_campaign_from_beginning_to_end(shop: Shop) -> None:
    campaign = await shop.campaign(
        description="Flowers",
        campaign_conditions=conditions(CONDITION),
        site_blocks=[
            shop.block(shop.tracked[0], redirection_phone_number_id=VA, dynamic_call_tracking_enabled=True),
            shop.block(OTHER_VA, 1),
        ],
        dynamic_call_tracking=TRACKING,
    )
    row = await shop.client.row("get.campaigns", campaign)
    assert len(row.pop("creation_time")) == 19
    numbers = {
        row["id"]: row["virtual_phone_number"] for row in await shop.client.rows("get.virtual_numbers")
    }
    assert row == {
        "id": campaign,
        "name": "Spring",
        "description": "Flowers",
        "status": "active",
        "campaign_conditions": conditions(CONDITION),
        "engine": None,
        "type": "basic",
        "costs": 0,
        "cost_ratio": 1,
        "cost_ratio_operator": "wo_changes",
        "site_id": shop.site,
        "site_domain_name": "example.com",
        "site_blocks": [
            {
                "site_block_id": shop.blocks[0],
                "site_block_name": "Main block",
                "phone_number_type": "call_tracking",
                "phone_number_id": shop.tracked[0],
                "phone_number": "442079460190",
                "redirection_phone_number_id": VA,
                "redirection_phone_number": numbers[VA],
                "dynamic_call_tracking_enabled": True,
            },
            {
                "site_block_id": shop.blocks[1],
                "site_block_name": "Footer",
                "phone_number_type": "va",
                "phone_number_id": OTHER_VA,
                "phone_number": numbers[OTHER_VA],
                "redirection_phone_number_id": None,
                "redirection_phone_number": None,
                "dynamic_call_tracking_enabled": False,
            },
        ],
        "dynamic_call_tracking": {"reservation_time": "15m", **TRACKING, "coverage_visitors": None},
    }
    assert await shop.client.row("get.campaigns", campaign, fields=["static_utm_term"]) == {
        "static_utm_term": None
    }
    [shown] = (await shop.client.row("get.site_blocks", shop.blocks[1]))["phone_numbers"]
    assert (shown["phone_number_id"], shown["campaign_id"], shown["campaign_name"]) == (
        OTHER_VA,
        campaign,
        "Spring",
    )
    assert (await shop.client.row("get.sites", shop.site))["state"] == "work"
    assert (await shop.client.fault("delete.sites", id=shop.site))[0] == "dependency_error"
    assert (await shop.client.fault("delete.site_blocks", id=shop.blocks[0]))[0] == "dependency_error"
    assert await shop.client.do("delete.campaigns", id=campaign) == {"data": {}}
    assert await shop.client.fault("delete.campaigns", id=campaign) == ("entity_not_found", "id")
    assert await shop.client.do("delete.sites", id=shop.site) == {"data": {}}


async def test_a_partial_change(shop: Shop) -> None:
    campaign = await shop.campaign(description="Flowers", campaign_conditions=conditions(CONDITION))
    same = {"id": campaign, "site_id": shop.site}
    before = await shop.client.row("get.campaigns", campaign)
    assert await shop.client.do("update.campaigns", **same) == {"data": {}}
    assert await shop.client.row("get.campaigns", campaign) == before
    await shop.client.do(
        "update.campaigns", id=campaign, name="Summer", cost_ratio=1.5, cost_ratio_operator="divide"
    )
    after = {**before, "name": "Summer", "cost_ratio": 1.5, "cost_ratio_operator": "divide"}
    assert await shop.client.row("get.campaigns", campaign) == after
    names = ("description", "campaign_conditions", "cost_ratio", "cost_ratio_operator")
    await shop.client.do("update.campaigns", **same, **dict.fromkeys(names))
    row = await shop.client.row("get.campaigns", campaign)
    assert [row[name] for name in names] == [None, {"group_conditions": []}, 1, "wo_changes"]


async def test_numbers_are_replaced_whole_and_go_with_the_status(shop: Shop) -> None:
    campaign = await shop.campaign(site_blocks=[shop.block(VA), shop.block(VA, 1)])
    same = {"id": campaign, "site_id": shop.site}
    await shop.client.do("update.campaigns", **same, site_blocks=[shop.block(OTHER_VA)])
    assert await shop.shows(campaign) == [(shop.blocks[0], OTHER_VA)]
    assert await shop.fault("update", **same, status="inactive", site_blocks=[]) == (
        "invalid_parameters_combination",
        "site_blocks",
    )
    await shop.client.do("update.campaigns", **same, status="inactive")
    assert await shop.shows(campaign) == []
    blocks = [shop.block(VA)]
    assert await shop.fault("update", **same, site_blocks=blocks) == (
        "invalid_parameters_combination",
        "site_blocks",
    )
    assert await shop.fault("create", name="X", status="inactive", site_blocks=blocks) == (
        "invalid_parameters_combination",
        "site_blocks",
    )
    await shop.client.do("update.campaigns", **same, status="active", site_blocks=blocks)
    await shop.client.do("update.campaigns", **same, site_blocks=None)
    assert await shop.shows(campaign) == []


async def test_faults_of_numbers(shop: Shop) -> None:
    first, second = shop.tracked
    await shop.campaign(site_blocks=[shop.block(first, redirection_phone_number_id=VA)])
    redirected = {"redirection_phone_number_id": VA}
    place = "site_blocks.phone_number_id"
    redirection = "site_blocks.redirection_phone_number_id"
    faults: list[tuple[list[dict[str, Any]], tuple[str, str]]] = [
        ([shop.block(1)], ("entity_not_found", place)),
        ([shop.block(first, **redirected)], ("already_in_use", place)),
        ([shop.block(second)], ("required_parameter_missed", redirection)),
        (
            [shop.block(second, redirection_phone_number_id=second)],
            ("invalid_parameter_value", redirection),
        ),
        ([shop.block(OTHER_VA, **redirected)], ("invalid_parameters_combination", redirection)),
        (
            [{"site_block_id": 1, "phone_number_id": VA}],
            ("entity_not_found", "site_blocks.site_block_id"),
        ),
        (
            [shop.block(VA), shop.block(OTHER_VA)],
            ("invalid_parameters_combination", "site_blocks.site_block_id"),
        ),
        (
            [shop.block(VA, dynamic_call_tracking_enabled=True)],
            ("required_parameter_missed", "dynamic_call_tracking"),
        ),
        ([{"phone_number_id": VA}], ("required_parameter_missed", "site_blocks.site_block_id")),
    ]
    other = await shop.campaign(name="Other")
    for blocks, reported in faults:
        assert await shop.fault("create", name="X", site_blocks=blocks) == reported, blocks
        assert await shop.fault("update", id=other, site_blocks=blocks) == reported, blocks
    assert await shop.shows(other) == []
    assert len(await shop.client.rows("get.campaigns")) == 3


async def test_components_of_parameters(shop: Shop) -> None:
    tracked = shop.block(shop.tracked[0], redirection_phone_number_id=VA)
    dynamic = shop.block(VA, dynamic_call_tracking_enabled=True)
    shop.client.with_components("call_tracking", "dynamic_call_tracking")
    assert await shop.fault("create", name="X", site_blocks=[tracked]) == (
        "parameter_component_disabled",
        "site_blocks.redirection_phone_number_id",
    )
    shop.client.with_components("call_tracking", "va")
    assert await shop.fault("create", name="X", dynamic_call_tracking=TRACKING) == (
        "parameter_component_disabled",
        "dynamic_call_tracking",
    )
    assert await shop.fault("create", name="X", site_blocks=[dynamic]) == (
        "parameter_component_disabled",
        "site_blocks.dynamic_call_tracking_enabled",
    )


async def test_an_invalid_campaign_is_refused_with_mnemonic_and_field(shop: Shop) -> None:
    campaign = await shop.campaign()
    inner = "campaign_conditions.group_conditions.conditions"
    faults: list[tuple[dict[str, Any], tuple[str, str]]] = [
        ({"description": "x" * 256}, ("invalid_parameter_value", "description")),
        ({"status": "new"}, ("invalid_parameter_value", "status")),
        ({"site_id": 1}, ("entity_not_found", "site_id")),
        ({"campaign_conditions": {}}, ("required_parameter_missed", inner.removesuffix(".conditions"))),
        (
            {"campaign_conditions": conditions({**CONDITION, "campaign_parameter": "moon"})},
            ("invalid_parameter_value", f"{inner}.campaign_parameter"),
        ),
        (
            {"campaign_conditions": conditions({**CONDITION, "campaign_parameter": "channel"})},
            ("invalid_parameter_value", f"{inner}.value"),
        ),
        (
            {
                "campaign_conditions": conditions(
                    {**CONDITION, "campaign_parameter": "engine", "operator": "sub", "value": "2"}
                )
            },
            ("invalid_parameter_value", f"{inner}.operator"),
        ),
        (
            {"campaign_conditions": conditions({**CONDITION, "operator": "~", "value": "("})},
            ("invalid_parameter_value", f"{inner}.value"),
        ),
        (
            {"campaign_conditions": conditions(*[CONDITION] * 51)},
            ("invalid_parameter_value", inner),
        ),
        (
            {"campaign_conditions": {"group_conditions": [{"conditions": []}] * 31}},
            ("invalid_parameter_value", inner.removesuffix(".conditions")),
        ),
        (
            {"dynamic_call_tracking": {**TRACKING, "reservation_time": "2m"}},
            ("invalid_parameter_value", "dynamic_call_tracking.reservation_time"),
        ),
        (
            {"dynamic_call_tracking": {"count_visits": 1}},
            ("required_parameter_missed", "dynamic_call_tracking.count_virtual_numbers"),
        ),
    ]
    for wrong, reported in faults:
        assert await shop.fault("create", **{"name": "X", **wrong}) == reported, wrong
        assert await shop.fault("update", **{"id": campaign, **wrong}) == reported, wrong
    assert await shop.fault("update", id=campaign, cost_ratio=0.5) == (
        "invalid_parameter_value",
        "cost_ratio",
    )
    assert await shop.fault("update", id=1) == ("entity_not_found", "id")
    assert (await shop.fault("create", name="Spring"))[0] == "duplicate_entity"
    other = await shop.client.do(
        "create.sites", domain_name="example.org", default_phone_number="442079460100", industry_id=1
    )
    assert await shop.fault("update", id=campaign, site_id=other["data"]["id"]) == (
        "invalid_parameter_value",
        "site_id",
    )


async def test_the_systems_campaign(shop: Shop) -> None:
    row = await shop.client.row("get.campaigns", -1)
    assert (row["type"], row["site_id"], row["campaign_conditions"]) == ("system", None, {})
    same = {"id": -1, "site_id": shop.site}
    assert await shop.fault("update", **same, name="X") == ("forbidden", "name")
    await shop.client.do("update.campaigns", **same, site_blocks=[shop.block(VA)])
    assert await shop.shows(-1) == [(shop.blocks[0], VA)]
    assert await shop.client.fault("update.campaigns", id=-1, site_blocks=[]) == (
        "required_parameter_missed",
        "site_id",
    )
    answer = await shop.client.answer("delete.campaigns", id=-1)
    assert (answer["error"]["code"], answer["error"]["data"]["mnemonic"]) == (-32602, "forbidden")
    await shop.client.db.execute(
        "insert into campaigns (account_id, campaign_id, site_id, name, type) values (%s, 5, %s, 'I', 'integrated')",
        (ACCOUNT, shop.site),
    )
    assert await shop.fault("update", id=5, status="inactive") == ("forbidden", "status")
    assert await shop.client.fault("delete.campaigns", id=5) == ("forbidden", "id")


async def test_available_numbers(shop: Shop) -> None:
    method = "get.campaign_available_phone_numbers"
    tracked = {
        "id": shop.tracked[0],
        "prefix": "4420",
        "phone_number": "442079460190",
        "type": "call_tracking",
    }
    assert await shop.client.row(method, shop.tracked[0]) == tracked
    by_prefix = {"field": "prefix", "operator": "=", "value": "1202"}
    assert [row["id"] for row in await shop.client.rows(method, filter=by_prefix)] == [shop.tracked[1]]
    await shop.campaign(site_blocks=[shop.block(shop.tracked[0], redirection_phone_number_id=VA)])
    left = {row["id"] for row in await shop.client.rows(method)}
    assert left == {VA, OTHER_VA, shop.tracked[1]}
    redirections = await shop.client.rows("get.campaign_available_redirection_phone_numbers")
    assert [row["id"] for row in redirections] == [VA, OTHER_VA]
    await shop.client.db.execute(
        "update virtual_numbers set status = 'limit_lock' where account_id = %s", (ACCOUNT,)
    )
    assert await shop.client.rows(method) == []


async def test_weights(shop: Shop) -> None:
    method = "update.campaign_parameter_weights"
    [before] = await shop.client.rows("get.campaign_parameter_weights")
    assert (before["site_id"], before["site_domain_name"]) == (shop.site, "example.com")
    assert (before["entrance_page"], before["location"], before["other_tags"]) == (10, 5, 60)
    assert await shop.client.do(method, site_id=shop.site, location=100, channel=0) == {"data": {}}
    [row] = await shop.client.rows("get.campaign_parameter_weights")
    assert row == {**before, "location": 100, "channel": 0}
    await shop.client.do(method, site_id=shop.site, location=None)
    [row] = await shop.client.rows("get.campaign_parameter_weights")
    assert row == {**before, "channel": 0}
    assert await shop.client.fault(method, site_id=shop.site, engine=101) == (
        "invalid_parameter_value",
        "engine",
    )
    assert await shop.client.fault(method, site_id=1, engine=1) == ("entity_not_found", "site_id")
    assert await shop.client.fault(method) == ("required_parameter_missed", "site_id")


async def test_costs(shop: Shop) -> None:
    campaign = await shop.campaign()
    method = "upload.campaign_costs"

    def cost(value: Any, **changes: Any) -> dict[str, Any]:
        days = {"date_from": "2026-03-01 00:00:00", "date_till": "2026-03-07 23:59:59"}
        return {"campaign_id": campaign, "site_id": shop.site, "cost": value, **days, **changes}

    async def total() -> Any:
        return (await shop.client.row("get.campaigns", campaign))["costs"]

    march = {"date_from": "2026-03-08 00:00:00", "date_till": "2026-03-08 00:00:00"}
    assert await shop.client.do(method, costs=[cost(100.1), cost("50.25", **march)]) == {"success": True}
    assert await total() == 150.35
    assert await shop.client.one("select sum(cost) from campaign_costs") == Decimal("150.3500")
    await shop.client.do(method, costs=[cost(99.75)])
    assert await total() == 150
    same = {"id": campaign, "site_id": shop.site}
    await shop.client.do("update.campaigns", **same, cost_ratio=1.2, cost_ratio_operator="multiply")
    assert await total() == 180
    await shop.client.do("update.campaigns", **same, cost_ratio=4, cost_ratio_operator="divide")
    assert await total() == 37.5
    await shop.client.do(method, costs=[cost(0)])
    assert await shop.client.one("select count(*) from campaign_costs") == 1
    backwards = {"date_from": "2026-03-02 00:00:00", "date_till": "2026-03-01 00:00:00"}
    faults: list[tuple[list[dict[str, Any]], tuple[str, str]]] = [
        ([cost(1, **backwards)], ("invalid_date_time", "costs.date_till")),
        ([cost(1, campaign_id=1)], ("entity_not_found", "costs.campaign_id")),
        ([cost(1, campaign_id=-1)], ("entity_not_found", "costs.campaign_id")),
        ([cost(1, site_id=1)], ("entity_not_found", "costs.site_id")),
        ([cost(-1)], ("invalid_parameter_value", "costs.cost")),
        ([cost(1, date_from="March")], ("invalid_parameter_value", "costs.date_from")),
        ([cost(1)] * 501, ("data_limit_exceeded", "costs")),
        ([cost(1), {}], ("required_parameter_missed", "costs.date_from")),
    ]
    for wrong, reported in faults:
        assert await shop.client.fault(method, costs=wrong) == reported
    assert await shop.client.one("select count(*) from campaign_costs") == 1


async def test_calls_know_the_campaign_of_a_number(shop: Shop) -> None:
    assert all(number.campaign is None for number in (await account_seen(shop.client)).numbers.values())
    await shop.client.do("update.campaigns", id=-1, site_id=shop.site, site_blocks=[shop.block(VA)])
    campaign = await shop.campaign(
        site_blocks=[shop.block(VA), shop.block(shop.tracked[0], 1, redirection_phone_number_id=OTHER_VA)]
    )
    same = {"default_phone_number": "442079460100", "industry_id": 1}
    await shop.client.do("update.sites", id=shop.site, **same, default_scenario_id=5001)
    numbers = (await account_seen(shop.client)).numbers
    seen = numbers[VA].campaign
    assert seen is not None
    assert (seen.campaign_id, seen.campaign_name) == (campaign, "Spring")
    assert (seen.site_id, seen.site_domain_name) == (shop.site, "example.com")
    assert (seen.default_scenario_id, seen.redirection_virtual_number_id) == (5001, None)
    tracked = numbers[shop.tracked[0]].campaign
    assert tracked is not None
    assert tracked.redirection_virtual_number_id == OTHER_VA
    assert seen.default_virtual_number_id is None
    ours = await shop.client.one(
        "select phone_number from virtual_numbers where account_id = %(account)s and virtual_number_id = %(id)s",
        {"account": ACCOUNT, "id": OTHER_VA},
    )
    await shop.client.do("update.sites", id=shop.site, industry_id=1, default_phone_number=ours)
    seen = (await account_seen(shop.client)).numbers[VA].campaign
    assert seen is not None
    assert seen.default_virtual_number_id == OTHER_VA
    await shop.client.do("update.campaigns", id=campaign, site_id=shop.site, status="inactive")
    left = (await account_seen(shop.client)).numbers[VA].campaign
    assert left is not None
    assert left.campaign_id == -1


async def test_a_campaign_of_another_account_is_not_found(shop: Shop) -> None:
    campaign = await shop.campaign(site_blocks=[shop.block(VA)])
    shop.client.as_other_account()
    assert [row["id"] for row in await shop.client.rows("get.campaigns")] == [-1]
    assert await shop.client.rows("get.campaign_parameter_weights") == []
    assert await shop.fault("create", name="X") == ("entity_not_found", "site_id")
    assert await shop.fault("update", id=campaign) == ("entity_not_found", "id")
    assert await shop.client.fault("delete.campaigns", id=campaign) == ("entity_not_found", "id")
    assert await shop.client.fault("update.campaign_parameter_weights", site_id=shop.site) == (
        "entity_not_found",
        "site_id",
    )
    days = {"date_from": "2026-03-01 00:00:00", "date_till": "2026-03-01 00:00:00"}
    cost = {"campaign_id": campaign, "site_id": shop.site, "cost": 1, **days}
    assert await shop.client.fault("upload.campaign_costs", costs=[cost]) == (
        "entity_not_found",
        "costs.site_id",
    )


async def test_permissions_and_components(client: DataApiClient) -> None:
    select = tuple(f"{name}:select" for name in ("ac_undefined", "ac", "ac_ext"))
    update = tuple(f"{name}:update" for name in ("ac_undefined", "ac", "ac_ext"))
    methods: dict[str, tuple[str, ...]] = {
        "create.campaigns": ("ac_new:insert",),
        "update.campaigns": update,
        "delete.campaigns": ("ac_new:delete",),
        "get.campaign_parameter_weights": select,
        "update.campaign_parameter_weights": ("site_settings:update",),
        "get.campaign_available_phone_numbers": ("configuration:select",),
        "get.campaign_available_redirection_phone_numbers": ("configuration:select",),
    }
    for method, permissions in methods.items():
        client.with_components("lead")
        client.as_member(*permissions)
        assert (await client.fault(method))[0] not in ("forbidden", "method_component_disabled")
        for one in permissions:
            client.as_member(*(set(permissions) - {one}))
            assert await client.fault(method) == ("forbidden", None)
        client.with_components("va")
        assert (await client.fault(method))[0] == "method_component_disabled"
