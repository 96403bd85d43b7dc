"""CRM accounts by the Data API."""

from __future__ import annotations

from typing import Any

from tests.apis.data_api.client import DataApiClient

ASKED: dict[str, Any] = {
    "name": "Sales",
    "url": "https://crm.example.com",
    "deal_conversion_model": "last_before_deal",
}


async def test_a_crm_account_from_beginning_to_end(client: DataApiClient) -> None:
    made = await client.do("create.crm_account", **ASKED, description="Ours", is_ignore_outgoing_calls=True)
    row = {
        "id": made["id"],
        "name": "Sales",
        "description": "Ours",
        "type": "custom",
        "url": "https://crm.example.com",
        "deal_conversion_model": "last_before_deal",
        "is_ignore_outgoing_calls": True,
        "is_ignore_outgoing_chats": False,
        "last_deals_load_time": None,
        "deals_load_state": "not_loaded",
        "last_leads_load_time": None,
        "leads_load_state": "not_loaded",
    }
    assert await client.rows("get.crm_accounts") == [row]
    [errors] = await client.rows("get.crm_accounts", fields=["deals_load_error"])
    assert errors == {"deals_load_error": {}}
    changes = {**ASKED, "name": "Deals", "type": "bitrix"}
    assert await client.do("update.crm_account", id=made["id"], **changes) == {"id": made["id"]}
    assert await client.rows("get.crm_accounts") == [{**row, "name": "Deals", "type": "bitrix"}]
    nothing = {"description": None, "type": None, "is_ignore_outgoing_calls": None}
    await client.do("update.crm_account", id=made["id"], **ASKED, **nothing)
    assert await client.rows("get.crm_accounts") == [
        {**row, "description": None, "is_ignore_outgoing_calls": False}
    ]
    assert await client.do("delete.crm_account", id=str(made["id"])) == {}
    assert await client.rows("get.crm_accounts") == []


async def test_an_invalid_crm_account_is_refused_with_mnemonic_and_field(client: DataApiClient) -> None:
    made = await client.do("create.crm_account", **ASKED)
    await client.do("create.crm_account", **{**ASKED, "name": "Other"})
    faults: list[tuple[dict[str, Any], tuple[str, str | None]]] = [
        ({}, ("duplicate_entity", "name")),
        ({"name": None}, ("required_parameter_missed", "name")),
        ({"url": None}, ("required_parameter_missed", "url")),
        ({"url": "crm.example.com"}, ("invalid_parameter_value", "url")),
        ({"url": "ftp://crm.example.com"}, ("invalid_parameter_value", "url")),
        ({"url": "http://[crm"}, ("invalid_parameter_value", "url")),
        ({"type": "wings"}, ("invalid_parameter_value", "type")),
        ({"deal_conversion_model": "first"}, ("invalid_parameter_value", "deal_conversion_model")),
        ({"is_ignore_outgoing_calls": "yes"}, ("data_type_error", "is_ignore_outgoing_calls")),
    ]
    for changed, expected in faults:
        assert await client.fault("create.crm_account", **{**ASKED, **changed}) == expected, changed
    taken = {**ASKED, "name": "Other"}
    assert (await client.fault("update.crm_account", id=made["id"], **taken))[0] == "duplicate_entity"
    assert await client.fault("update.crm_account", id=made["id"], name="X") == (
        "required_parameter_missed",
        "url",
    )
    assert await client.fault("update.crm_account", id=1, **ASKED) == ("entity_not_found", "id")
    assert await client.fault("delete.crm_account", id=1) == ("entity_not_found", "id")
    client.as_other_account()
    assert await client.rows("get.crm_accounts") == []
    assert await client.fault("update.crm_account", id=made["id"], **ASKED) == ("entity_not_found", "id")
    assert await client.fault("delete.crm_account", id=made["id"]) == ("entity_not_found", "id")
    await client.do("create.crm_account", **ASKED)  # a name is taken in one's own account only
