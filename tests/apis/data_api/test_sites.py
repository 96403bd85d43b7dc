"""Sites and their blocks by the Data API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.apis.data_api.client import DataApiClient
from tests.reports.company import ACCOUNT

SITE: dict[str, Any] = {
    "domain_name": "Example.com",
    "default_phone_number": "+44 20 7946 0100",
    "industry_id": 9,
}
NEW_SITE = {"domain_name": "example.org", "industry_id": 1}


@pytest.fixture(autouse=True)
def component(client: DataApiClient) -> None:
    client.with_components("call_tracking")


async def make(client: DataApiClient, **changes: Any) -> int:
    return int((await client.do("create.sites", **{**SITE, **changes}))["data"]["id"])


async def test_a_site_from_beginning_to_end(client: DataApiClient) -> None:
    site = await make(client)
    row = await client.row("get.sites", site)
    [block] = row["site_blocks"]
    scenario = row["default_scenario"]["scenario_id"]
    assert len(row.pop("creation_date")) == 19
    assert len(row.pop("app_key")) == len(row.pop("site_key")) == 32
    assert row == {
        "id": site,
        "domain_name": "example.com",
        "name": "example.com",
        "default_phone_number": "442079460100",
        "default_scenario": {"scenario_id": scenario, "scenario_name": "Redirect to 442079460100"},
        "is_editable": True,
        "target_call_min_duration": 30,
        "track_subdomains": True,
        "cookie_lifetime": 90,
        "campaign_lifetime": 90,
        "sales_enabled": False,
        "second_communication_period": 1,
        "services_enabled": True,
        "replacement_dynamical_block_enabled": False,
        "is_support_web_directory": False,
        "widget_link": {},
        "state": "new",
        "industry_id": 9,
        "industry_name": "Healthcare",
        "child_customer_id": None,
        "show_visitor_id": {},
        "site_blocks": [{"site_block_id": block["site_block_id"], "site_block_name": "Main block"}],
        "connected_integrations": [],
        "parent_id": None,
    }
    assert await client.do("delete.sites", id=site) == {"data": {}}
    assert await client.rows("get.sites") == []
    assert await client.rows("get.site_blocks") == []
    assert await client.fault("delete.sites", id=site) == ("entity_not_found", "id")


SETTINGS: dict[str, tuple[Any, Any]] = {
    "name": ("Our shop", "example.com"),
    "default_scenario_id": (5001, None),
    "target_call_min_duration": (60, 30),
    "track_subdomains_enabled": (False, True),
    "cookie_lifetime": (30, 90),
    "campaign_lifetime": (10, 90),
    "sales_enabled": (True, False),
    "second_communication_period": (7, 1),
    "services_enabled": (False, True),
    "replacement_dynamical_block_enabled": (True, False),
    "widget_link": ({"enabled": True, "text": "Help", "url": "https://example.com/help"}, {}),
    "show_visitor_id": (
        {"enabled": True, "element_id_value": "visitor", "message": "Your number", "length_visitor_id": 4},
        {},
    ),
}
"""A value, and what null makes of it."""
MORE: dict[str, tuple[Any, Any]] = {"is_support_web_directory": (True, False)}


def shown(row: dict[str, Any], name: str) -> Any:
    if name == "default_scenario_id":
        return row["default_scenario"].get("scenario_id")
    return row["track_subdomains" if name == "track_subdomains_enabled" else name]


async def test_each_setting(client: DataApiClient) -> None:
    reported = {name: value for name, (value, _) in SETTINGS.items()}
    row = await client.row("get.sites", await make(client, domain_name="example.net", **reported))
    assert {name: shown(row, name) for name in SETTINGS} == reported
    assert row["state"] == "disable"
    site = await make(client)
    same = {"id": site}
    for name, (value, default) in {**SETTINGS, **MORE}.items():
        before = await client.row("get.sites", site)
        assert await client.do("update.sites", **same, **{name: value}) == {"data": {}}
        row = await client.row("get.sites", site)
        assert shown(row, name) == value
        await client.do("update.sites", **same, **{name: None})
        row = await client.row("get.sites", site)
        if name != "default_scenario_id":  # null: that of the default number again
            assert shown(row, name) == default
        assert row == before
    await client.do("update.sites", **same, default_phone_number="12025550110", industry_id=19)
    await client.do("update.sites", **same, industry_id=2, domain_name="example.org")
    row = await client.row("get.sites", site)
    assert (row["domain_name"], row["industry_id"], row["default_phone_number"]) == (
        "example.org",
        2,
        "12025550110",
    )
    by_scenario = {"field": "default_scenario.scenario_name", "operator": "like", "value": "Redirect%"}
    assert len(await client.rows("get.sites", filter=by_scenario)) == 1


FAULTS: list[tuple[dict[str, Any], tuple[str, str]]] = [
    ({"domain_name": "https://example.com"}, ("invalid_parameter_value", "domain_name")),
    ({"domain_name": "shop"}, ("invalid_parameter_value", "domain_name")),
    ({"default_phone_number": "12"}, ("invalid_parameter_value", "default_phone_number")),
    ({"industry_id": 20}, ("invalid_parameter_value", "industry_id")),
    ({"industry_id": 0}, ("invalid_parameter_value", "industry_id")),
    ({"default_scenario_id": 1}, ("entity_not_found", "default_scenario_id")),
    ({"target_call_min_duration": -1}, ("invalid_parameter_value", "target_call_min_duration")),
    ({"second_communication_period": 366}, ("invalid_parameter_value", "second_communication_period")),
    ({"sales_enabled": "yes"}, ("data_type_error", "sales_enabled")),
    ({"widget_link": {"enabled": True, "text": "x"}}, ("required_parameter_missed", "widget_link.url")),
    (
        {"widget_link": {"enabled": True, "text": "x" * 101, "url": "https://example.com"}},
        ("invalid_parameter_value", "widget_link.text"),
    ),
    (
        {"show_visitor_id": {"enabled": True, "element_id_value": "x", "length_visitor_id": 21}},
        ("invalid_parameter_value", "show_visitor_id.length_visitor_id"),
    ),
]


async def test_an_invalid_site_is_refused_with_mnemonic_and_field(client: DataApiClient) -> None:
    site = await make(client)
    before = await client.rows("get.sites")
    for wrong, reported in FAULTS:
        assert (
            await client.fault("create.sites", **{**SITE, "domain_name": "example.org", **wrong}) == reported
        ), wrong
        assert await client.fault("update.sites", id=site, **{**SITE, **wrong}) == reported, wrong
    for name in SITE:
        less = {key: value for key, value in SITE.items() if key != name}
        assert await client.fault("create.sites", **less) == ("required_parameter_missed", name)
    for name in ("default_phone_number", "industry_id"):
        assert await client.fault("update.sites", id=site, **{**SITE, name: None}) == (
            "required_parameter_missed",
            name,
        )
    assert await client.fault("create.sites", **SITE) == ("duplicate_entity", "domain_name")
    assert await client.fault("update.sites", id=1, **SITE) == ("entity_not_found", "id")
    assert await client.fault("update.sites", id=site, **SITE, child_customer_id=5) == (
        "entity_not_found",
        "child_customer_id",
    )
    assert await client.rows("get.sites") == before


async def test_the_new_family(client: DataApiClient) -> None:
    key = "Shop_" + "x" * 27
    made = (await client.do("create.site", **NEW_SITE, site_key=key, is_block_robot_traffic=True))["data"]
    assert made["site_key"] == key
    other = (await client.do("create.site", domain_name="example.net", industry_id=1))["data"]
    assert len(other["site_key"]) == 32
    [row] = await client.rows("getobj.site", site_id=made["id"])
    assert len(row.pop("creation_date")) == 10
    assert len(row.pop("app_key")) == 32
    assert row == {
        "id": made["id"],
        "name": "example.org",
        "domain_name": "example.org",
        "default_phone_number": None,
        "site_key": key,
        "language": "en",
        "services_enabled": True,
        "is_available_edit": True,
        "industry_id": 1,
        "target_call_min_duration": 30,
        "second_communication_period": 1,
        "child_customer_id": None,
        "is_support_web_directory": False,
        "cookie_lifetime": 90,
        "campaign_lifetime": 90,
        "is_block_robot_traffic": True,
    }
    assert [one["id"] for one in await client.rows("getobj.site", fields=["id"])] == [made["id"], other["id"]]
    assert await client.rows("getobj.site", site_id=1) == []
    assert await client.fault("create.site", **{**NEW_SITE, "domain_name": "example.edu"}, site_key=key) == (
        "already_in_use",
        "site_key",
    )
    assert await client.fault("create.site", **NEW_SITE, site_key="short") == (
        "invalid_parameter_value",
        "site_key",
    )
    assert (await client.fault("create.site", **NEW_SITE))[0] == "duplicate_entity"
    categories = await client.rows("get.site_categories")
    assert len(categories) == 19
    assert categories[1] == {"id": "2", "name": "Business and services"}
    assert await client.rows("get.site_categories", limit=1, offset=18, fields=["name"]) == [
        {"name": "E-commerce and retail"}
    ]


async def test_an_agents_client(client: DataApiClient) -> None:
    client_user = await client.one(
        f"insert into accounts (name, parent_account_id) values ('Client', {ACCOUNT}) returning account_id"
    )
    made = (await client.do("create.site", **NEW_SITE, child_customer_id=client_user))["data"]
    assert (await client.row("get.sites", made["id"]))["child_customer_id"] == client_user
    other = {"domain_name": "example.net", "industry_id": 1, "child_customer_id": ACCOUNT}
    assert await client.fault("create.site", **other) == ("entity_not_found", "child_customer_id")


async def test_blocks(client: DataApiClient) -> None:
    site = await make(client)
    made = (await client.do("create.site_blocks", site_id=site, name="Footer"))["data"]["id"]
    assert await client.row("get.site_blocks", made) == {
        "id": made,
        "name": "Footer",
        "site_id": site,
        "site_domain_name": "example.com",
        "templates": [],
        "phone_numbers": [],
    }
    assert len(await client.rows("get.site_blocks")) == 2
    assert await client.do("update.site_blocks", id=made) == {"data": {}}
    assert await client.do("update.site_blocks", id=made, name="Header") == {"data": {}}
    assert (await client.row("get.site_blocks", made))["name"] == "Header"
    assert (await client.fault("create.site_blocks", site_id=site, name="Header"))[0] == "duplicate_entity"
    assert await client.fault("update.site_blocks", id=made, name="Main block") == (
        "duplicate_entity",
        "name",
    )
    assert await client.fault("create.site_blocks", site_id=1, name="X") == ("entity_not_found", "site_id")
    assert await client.fault("create.site_blocks", site_id=site) == ("required_parameter_missed", "name")
    assert await client.fault("update.site_blocks", id=1, name="X") == ("entity_not_found", "id")
    assert await client.do("delete.site_blocks", id=made) == {"data": {}}
    assert await client.fault("delete.site_blocks", id=made) == ("entity_not_found", "id")


async def test_a_site_of_another_account_is_not_found(client: DataApiClient) -> None:
    site = await make(client)
    block = (await client.rows("get.site_blocks"))[0]["id"]
    client.as_other_account()
    assert await client.rows("get.sites") == []
    assert await client.rows("getobj.site", site_id=site) == []
    assert await client.rows("get.site_blocks") == []
    same = {"default_phone_number": "442079460100", "industry_id": 9}
    assert await client.fault("update.sites", id=site, **same) == ("entity_not_found", "id")
    assert await client.fault("delete.sites", id=site) == ("entity_not_found", "id")
    assert await client.fault("create.site_blocks", site_id=site, name="X") == ("entity_not_found", "site_id")
    assert await client.fault("update.site_blocks", id=block, name="X") == ("entity_not_found", "id")
    assert await client.fault("delete.site_blocks", id=block) == ("entity_not_found", "id")
    await make(client)


async def test_permissions_and_components(client: DataApiClient) -> None:
    methods = {
        "get.sites": "site_selected:select",
        "getobj.site": "site_selected:select",
        "create.sites": "site_new:insert",
        "create.site": "site_new:insert",
        "update.sites": "site_selected:update",
        "delete.sites": "site_selected:delete",
        "get.site_blocks": "site_settings:select",
        "create.site_blocks": "site_settings:insert",
        "update.site_blocks": "site_settings:update",
        "delete.site_blocks": "site_settings:delete",
    }
    for method, permission in methods.items():
        for component in ("call_tracking", "consultant", "lead", "sitephone"):
            client.with_components(component)
            client.as_member(permission)
            assert (await client.fault(method))[0] not in ("forbidden", "method_component_disabled")
        client.as_member(*(set(methods.values()) - {permission}))
        assert await client.fault(method) == ("forbidden", None)
        client.with_components("va")
        assert (await client.fault(method))[0] == "method_component_disabled"
        client.with_components("call_tracking")
    client.as_member("configuration:select")
    assert len(await client.rows("get.site_categories")) == 19


async def default_scenario(client: DataApiClient, site: int) -> tuple[int | None, str | None]:
    scenario = (await client.row("get.sites", site))["default_scenario"]
    return scenario.get("scenario_id"), scenario.get("scenario_name")


async def test_calls_of_a_site_go_to_its_default_number(client: DataApiClient) -> None:
    """A scenario is made for each number; it is the site's until another is chosen."""
    client.with_components("call_tracking", "va")
    site = await make(client)
    first, name = await default_scenario(client, site)
    assert first is not None
    assert name == "Redirect to 442079460100"
    scenario = await client.row("get.scenarios", first, fields=["id", "name", "operations"])
    [operation] = scenario["operations"]
    assert operation["name"] == name
    stored = await client.one(
        "select settings from scenario_operations where scenario_id = %(id)s", {"id": first}
    )
    assert (stored["number"], stored["next"]) == ("442079460100", None)
    other = await make(client, domain_name="example.org")
    assert (await default_scenario(client, other))[0] == first
    same = {"id": site, "industry_id": 9}
    await client.do("update.sites", **same, default_phone_number="12025550110")
    second, name = await default_scenario(client, site)
    assert (second != first, name) == (True, "Redirect to 12025550110")
    assert (await default_scenario(client, other))[0] == first
    await client.do("update.sites", **same, default_phone_number="12025550110", default_scenario_id=5001)
    await client.do("update.sites", **same, default_phone_number="12025550111")
    assert (await default_scenario(client, site))[0] == 5001
    await client.do("update.sites", id=site, default_scenario_id=None)
    assert (await default_scenario(client, site))[1] == "Redirect to 12025550111"
    chosen = await make(client, domain_name="example.edu", default_scenario_id=5001)
    assert (await default_scenario(client, chosen))[0] == 5001


async def test_the_default_number_may_be_one_of_ours(client: DataApiClient) -> None:
    """Calls follow its rules then: no scenario is made that would call ourselves."""
    ours = await client.one(
        "select phone_number from virtual_numbers where account_id = %(id)s limit 1", {"id": ACCOUNT}
    )
    site = await make(client, default_phone_number=ours)
    assert await default_scenario(client, site) == (None, None)
