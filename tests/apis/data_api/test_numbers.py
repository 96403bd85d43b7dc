"""Virtual numbers by the Data API: taken from the inventory, given back, brought along; their rules."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.apis.data_api.client import CIPHER, DataApiClient
from tests.reports.company import ACCOUNT, OTHER_ACCOUNT

OURS, EVERYBODYS, THEIRS = "12025550110", "12025550111", "12025550112"
NUMBER = "virtual_phone_number"
PROVIDER = {
    "is_used_for_va": True,
    "login": "harbour",
    "password": "s3cret word",
    "port": "5070",
    "server_address": "sip.example.com",
}
PRIVATE = "442079460150"


@pytest.fixture
async def shelf(client: DataApiClient) -> DataApiClient:
    """Numbers in the inventory: of this account, of everybody, of another account."""
    await client.db.execute(
        "select setval(pg_get_serial_sequence('virtual_numbers', 'virtual_number_id'), 7100)"
    )
    for owner, phone, location in (
        (ACCOUNT, OURS, "US-DC"),
        (0, EVERYBODYS, "US"),
        (OTHER_ACCOUNT, THEIRS, ""),
    ):
        await client.db.execute(
            "insert into number_inventory (account_id, phone_number, category, location_mnemonic,"
            " location_name, monthly_charge) values (%s, %s, 'silver', %s, 'Washington', 2.50)",
            (owner, phone, location),
        )
    client.with_components("va", "call_tracking")
    return client


async def offered(client: DataApiClient) -> list[str]:
    return [row["phone_number"] for row in await client.rows("get.available_virtual_numbers")]


async def numbers(client: DataApiClient) -> dict[str, dict[str, Any]]:
    return {row[NUMBER]: row for row in await client.rows("get.virtual_numbers")}


async def test_what_may_be_enabled(shelf: DataApiClient) -> None:
    assert await offered(shelf) == [OURS, EVERYBODYS]
    [row] = await shelf.rows(
        "get.available_virtual_numbers", filter={"field": "location_mnemonic", "operator": "=", "value": "US"}
    )
    assert row == {
        "phone_number": EVERYBODYS,
        "category": "silver",
        "location_mnemonic": "US",
        "location_name": "Washington",
        "onetime_payment": 0,
        "monthly_charge": 2.5,
        "min_charge": 0,
    }


async def test_a_clients_shelf_is_also_its_agents(shelf: DataApiClient) -> None:
    await shelf.db.execute(
        "update accounts set parent_account_id = %s where account_id = %s", (OTHER_ACCOUNT, ACCOUNT)
    )
    assert await offered(shelf) == [OURS, EVERYBODYS, THEIRS]
    await shelf.do("enable.virtual_numbers", virtual_phone_number=THEIRS)
    shelf.as_other_account()
    assert await offered(shelf) == [EVERYBODYS]


async def test_a_number_comes_and_goes(shelf: DataApiClient) -> None:
    assert await shelf.do("enable.virtual_numbers", virtual_phone_number=f"+{OURS}") == {"success": True}
    row = (await numbers(shelf))[OURS]
    assert (row["status"], row["category"], row["type"]) == ("active", "silver", "va")
    assert await offered(shelf) == [EVERYBODYS]
    assert await shelf.fault("enable.virtual_numbers", virtual_phone_number=OURS) == (
        "virtual_phone_number_not_found",
        NUMBER,
    )
    assert await shelf.do("disable.virtual_numbers", number_capacity_ids=[row["id"]]) == {"success": True}
    assert OURS not in await numbers(shelf)
    assert await offered(shelf) == [OURS, EVERYBODYS]


async def test_numbers_by_id_keep_their_ids(shelf: DataApiClient) -> None:
    rows = await shelf.rows("get.available_virtual_numbers", fields=["id", "phone_number"])
    ids = [str(row["id"]) for row in rows]
    await shelf.do(
        "enable.virtual_numbers", number_capacity_ids=ids, number_capacity_component="call_tracking"
    )
    have = await numbers(shelf)
    assert [have[row["phone_number"]]["id"] for row in rows] == [row["id"] for row in rows]
    assert have[OURS]["type"] == "call_tracking"


async def test_all_numbers_or_none(shelf: DataApiClient) -> None:
    [first, *_] = await shelf.rows("get.available_virtual_numbers", fields=["id"])
    before = await numbers(shelf)
    answer = await shelf.answer(
        "enable.virtual_numbers", number_capacity_ids=[first["id"], 1], number_capacity_component="va"
    )
    assert answer["error"]["code"] == -32007
    assert answer["error"]["message"] == "Virtual phone number 1 was not found."
    assert await numbers(shelf) == before
    fault = await shelf.fault("disable.virtual_numbers", number_capacity_ids=[7002, 1])
    assert fault == ("virtual_phone_number_not_found", "number_capacity_ids")
    assert await numbers(shelf) == before


async def test_a_number_is_taken_once(shelf: DataApiClient) -> None:
    """Two companies at once: one gets it."""

    async def take(account: int) -> str:
        other = DataApiClient(shelf.db)
        if account == OTHER_ACCOUNT:
            other.as_other_account()
        return (await other.fault("enable.virtual_numbers", virtual_phone_number=EVERYBODYS))[0]

    outcomes = await asyncio.gather(*(take(account) for account in (ACCOUNT, OTHER_ACCOUNT) * 3))
    assert sorted(outcomes) == ["ok"] + ["virtual_phone_number_not_found"] * 5


FAULTS_OF_CHOOSING: list[tuple[dict[str, Any], tuple[str, str]]] = [
    ({}, ("required_parameter_missed", NUMBER)),
    ({"number_capacity_ids": []}, ("required_parameter_missed", NUMBER)),
    (
        {NUMBER: OURS, "number_capacity_ids": [1]},
        ("invalid_parameters_combination", "number_capacity_ids"),
    ),
    ({"number_capacity_ids": ["x"]}, ("invalid_parameter_value", "number_capacity_ids")),
    ({"number_capacity_ids": [True]}, ("invalid_parameter_value", "number_capacity_ids")),
    ({"number_capacity_ids": "1"}, ("data_type_error", "number_capacity_ids")),
    ({NUMBER: THEIRS}, ("virtual_phone_number_not_found", NUMBER)),
    ({NUMBER: "wings"}, ("virtual_phone_number_not_found", NUMBER)),
    ({NUMBER: 12}, ("data_type_error", NUMBER)),
]


@pytest.mark.parametrize("method", ["enable.virtual_numbers", "disable.virtual_numbers"])
async def test_faults_of_choosing(shelf: DataApiClient, method: str) -> None:
    for params, expected in FAULTS_OF_CHOOSING:
        assert await shelf.fault(method, **params) == expected, params


async def test_faults_of_enabling(shelf: DataApiClient) -> None:
    [row, *_] = await shelf.rows("get.available_virtual_numbers", fields=["id"])
    chosen = {"number_capacity_ids": [row["id"]]}
    component = "number_capacity_component"
    assert await shelf.fault("enable.virtual_numbers", **chosen) == ("required_parameter_missed", component)
    assert await shelf.fault("enable.virtual_numbers", **chosen, **{component: "fax"}) == (
        "invalid_parameter_value",
        component,
    )
    shelf.with_components("call_tracking")
    assert await shelf.fault("enable.virtual_numbers", **chosen, **{component: "va"}) == (
        "tariff_restrictions",
        component,
    )
    shelf.with_components()
    answer = await shelf.answer("enable.virtual_numbers", virtual_phone_number=OURS)
    assert answer["error"]["message"].startswith("This action is not available under your current plan.")


async def test_a_number_in_use_stays(shelf: DataApiClient) -> None:
    used = (await shelf.row("get.virtual_numbers", 7001))[NUMBER]
    answer = await shelf.answer("disable.virtual_numbers", virtual_phone_number=used)  # a line's caller id
    assert answer["error"]["data"]["mnemonic"] == "dependency_error"
    assert answer["error"]["message"] == "The virtual number is used by another entity."
    free = (await shelf.row("get.virtual_numbers", 7002))[NUMBER]
    await shelf.db.execute(
        "insert into call_processing_rules (account_id, call_processing_rule_id, virtual_number_id, scenario_id)"
        " values (1001, 8003, 7002, 5001)"
    )
    assert (await shelf.row("get.virtual_numbers", 7002))["scenarios"] != []
    await shelf.do("disable.virtual_numbers", virtual_phone_number=free)
    assert await shelf.one("select count(*) from call_processing_rules where virtual_number_id = 7002") == 0
    assert list(await numbers(shelf)) == [used]


async def test_a_campaigns_number_stays_and_is_reported(shelf: DataApiClient) -> None:
    for statement in (
        "insert into sites (account_id, site_id, domain_name, name, industry_id)"
        " values (1001, 16001, 'harbour.example', 'Harbour', 1)",
        "insert into site_blocks (account_id, site_block_id, site_id, name) values (1001, 20001, 16001, 'Head')",
        "insert into campaigns (account_id, campaign_id, site_id, name) values (1001, 17001, 16001, 'Spring')",
        "insert into campaign_blocks (account_id, campaign_id, site_block_id, virtual_number_id)"
        " values (1001, 17001, 20001, 7002)",
    ):
        await shelf.db.execute(statement.encode())
    row = await shelf.row("get.virtual_numbers", 7002)
    block = {"site_block_id": 20001, "site_block_name": "Head"}
    assert row["site_blocks"] == [block]
    assert row["campaigns"] == [
        {
            "campaign_id": 17001,
            "campaign_name": "Spring",
            "site_id": 16001,
            "site_domain_name": "harbour.example",
            "site_blocks": [block],
        }
    ]
    assert await shelf.fault("disable.virtual_numbers", number_capacity_ids=[7002]) == (
        "dependency_error",
        None,
    )
    found = await shelf.rows(
        "get.virtual_numbers", filter={"field": "campaigns", "operator": "=", "value": "Spring"}
    )
    assert [row["id"] for row in found] == [7002]


async def test_a_private_number(shelf: DataApiClient) -> None:
    asked = {NUMBER: f"+{PRIVATE}", **PROVIDER, "resolved_server_address": "192.0.2.15"}
    assert await shelf.do("enable.private_number", **asked) == {"success": True}
    number_id = (await numbers(shelf))[PRIVATE]["id"]
    shown = {
        "login": "harbour",
        "password": "s3cret word",
        "port": "5070",
        "server_address": "sip.example.com",
        "resolved_server_address": "192.0.2.15",
    }
    assert await shelf.do("getobj.private_number_params", phone_id=number_id) == {"data": shown}
    stored = await shelf.db.fetch_one(
        "select t.* from trunks t join virtual_numbers v using (account_id, trunk_id)"
        " where v.virtual_number_id = %s",
        (number_id,),
    )
    assert stored is not None
    assert (stored["mode"], stored["account_id"], stored["key"]) == ("register", ACCOUNT, "private-1")
    assert "s3cret" not in repr(stored)
    assert CIPHER.decrypt(stored["password_encrypted"]) == "s3cret word"
    shelf.as_member("number_management:select")
    found = await shelf.do("getobj.private_number_params", phone_id=number_id)
    assert found["data"] == {**shown, "password": None}


async def test_a_private_number_may_move_to_another_provider(shelf: DataApiClient) -> None:
    await shelf.do("enable.private_number", **PROVIDER, virtual_phone_number=PRIVATE)
    await shelf.do("enable.private_number", **PROVIDER, virtual_phone_number="442079460151")
    assert await shelf.one("select count(*) from trunks where account_id = 1001 and is_private") == 1
    await shelf.do("enable.private_number", **{**PROVIDER, "password": "new", NUMBER: PRIVATE})
    have = await numbers(shelf)
    for phone in (PRIVATE, "442079460151"):  # one login, one trunk
        found = await shelf.do("getobj.private_number_params", phone_id=have[phone]["id"])
        assert found["data"]["password"] == "new"
    await shelf.do("enable.private_number", **{**PROVIDER, "login": "other", NUMBER: PRIVATE})
    assert await shelf.one("select count(*) from trunks where account_id = 1001 and is_private") == 2
    for phone in (PRIVATE, "442079460151"):
        await shelf.do("disable.virtual_numbers", virtual_phone_number=phone)
    assert await shelf.one("select count(*) from trunks where account_id = 1001 and is_private") == 0


async def test_numbers_of_the_inventory_may_register_too(shelf: DataApiClient) -> None:
    [row, *_] = await shelf.rows("get.available_virtual_numbers", fields=["id"])
    await shelf.do("enable.private_number", **PROVIDER, number_capacity_ids=[row["id"], 7002])
    for number_id in (row["id"], 7002):
        found = await shelf.do("getobj.private_number_params", phone_id=number_id)
        assert found["data"]["login"] == "harbour"


FAULTS_OF_PRIVATE_NUMBERS: list[tuple[dict[str, Any], tuple[str, str]]] = [
    ({NUMBER: "123"}, ("invalid_parameter_value", NUMBER)),
    ({NUMBER: None}, ("required_parameter_missed", NUMBER)),
    (
        {NUMBER: None, "number_capacity_ids": [1]},
        ("virtual_phone_number_not_found", "number_capacity_ids"),
    ),
    ({"port": "0"}, ("invalid_parameter_value", "port")),
    ({"port": "sip"}, ("invalid_parameter_value", "port")),
    ({"port": 5060}, ("data_type_error", "port")),
    ({"login": "a b"}, ("invalid_parameter_value", "login")),
    ({"login": "a\n[evil]"}, ("invalid_parameter_value", "login")),
    ({"password": "a\nb"}, ("invalid_parameter_value", "password")),
    ({"password": "a\\;b"}, ("invalid_parameter_value", "password")),
    ({"login": 'a"b'}, ("invalid_parameter_value", "login")),
    ({"server_address": "a:b:c"}, ("invalid_parameter_value", "server_address")),
    ({"server_address": "-sip.example.com"}, ("invalid_parameter_value", "server_address")),
    ({"password": " "}, ("invalid_parameter_value", "password")),
    ({"server_address": "sip.example.com;transport"}, ("invalid_parameter_value", "server_address")),
    ({"resolved_server_address": "here"}, ("invalid_parameter_value", "resolved_server_address")),
    ({"is_used_for_va": None}, ("required_parameter_missed", "is_used_for_va")),
]


async def test_a_number_that_is_offered_to_others_is_no_private_one(shelf: DataApiClient) -> None:
    """Nobody takes a number off another's shelf by writing it; one of the own shelf is taken from there."""
    refused = await shelf.fault("enable.private_number", **PROVIDER, virtual_phone_number=THEIRS)
    assert refused == ("already_in_use", NUMBER)
    await shelf.do("enable.private_number", **PROVIDER, virtual_phone_number=OURS)
    have = (await numbers(shelf))[OURS]
    assert have["id"] == await shelf.one(
        "select number_capacity_id from number_inventory where phone_number = %(phone)s", {"phone": OURS}
    )


async def test_faults_of_private_numbers(shelf: DataApiClient) -> None:
    for params, expected in FAULTS_OF_PRIVATE_NUMBERS:
        answer = await shelf.answer("enable.private_number", **{NUMBER: PRIVATE, **PROVIDER, **params})
        data = answer["error"]["data"]
        assert (data["mnemonic"], data["field"]) == expected, params
        if "password" in params:
            assert data["value"] is None
    assert PRIVATE not in await numbers(shelf)


async def test_somebody_elses_number_is_in_use(shelf: DataApiClient) -> None:
    shelf.as_other_account()
    theirs = (await shelf.row("get.virtual_numbers", 7001))[NUMBER]
    shelf.as_owner()
    assert await shelf.fault("enable.private_number", **PROVIDER, virtual_phone_number=theirs) == (
        "already_in_use",
        NUMBER,
    )
    shelf.with_components("va")
    assert await shelf.fault(
        "enable.private_number", **{**PROVIDER, "is_used_for_va": False, NUMBER: PRIVATE}
    ) == ("tariff_restrictions", "is_used_for_va")
    for number_id in (7001, 1):
        assert await shelf.fault("getobj.private_number_params", phone_id=number_id) == (
            "entity_not_found",
            "phone_id",
        )


async def test_rules_of_a_number(shelf: DataApiClient) -> None:
    found = await shelf.do("getobj.call_processing_rules", number_capacity_id=7001)
    rules = found["data"]["scenarios"]
    assert [set(rule) for rule in rules] == [
        {"scenario_id", "scenario_name", "call_processing_rule_id", "is_active"}
    ] * len(rules)
    rule = rules[0]
    asked = {"id": rule["call_processing_rule_id"], "type": "scenario"}
    assert await shelf.do("set.call_processing_rule_is_active", **asked, is_active=not rule["is_active"]) == {
        "data": {}
    }
    found = await shelf.do("getobj.call_processing_rules", number_capacity_id=7001)
    assert found["data"]["scenarios"][0]["is_active"] is not rule["is_active"]
    for params, expected in (
        ({**asked, "type": "wings"}, ("invalid_parameter_value", "type")),
        ({**asked, "id": 1}, ("entity_not_found", "id")),
    ):
        assert await shelf.fault("set.call_processing_rule_is_active", **params, is_active=True) == expected
    assert await shelf.fault("getobj.call_processing_rules", number_capacity_id=1) == (
        "entity_not_found",
        "number_capacity_id",
    )


async def test_prefixes(client: DataApiClient) -> None:
    rows = await client.rows("get.country_phone_prefixes", sort=[{"field": "country", "order": "desc"}])
    assert {"prefix": "971", "country": "AE"} in rows
    assert {"prefix": "1", "country": "CA"} in rows
    assert all(len(row["country"]) == 2 for row in rows)
    assert len(rows) > 200
    in_one = await client.rows(
        "get.country_phone_prefixes", filter={"field": "prefix", "operator": "=", "value": "44"}
    )
    assert {row["country"] for row in in_one} == {"GB", "GG", "IM", "JE"}


async def test_lists_of_callers_and_categories(client: DataApiClient) -> None:
    await client.db.execute(
        "insert into contact_groups (account_id, key, name) values (1001, 'vip', 'Regulars')"
    )
    assert "Regulars" in [row["name"] for row in await client.rows("get.numa_lists")]
    assert await client.rows("get.number_capacity_categories", fields=["name"]) == [
        {"name": name} for name in ("usual", "bronze", "silver", "gold", "platinum")
    ]


PERMISSIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("get.available_virtual_numbers", "select", {}),
    ("enable.virtual_numbers", "insert", {NUMBER: OURS}),
    ("disable.virtual_numbers", "delete", {NUMBER: OURS}),
    ("enable.private_number", "insert", {NUMBER: PRIVATE, **PROVIDER}),
    ("getobj.private_number_params", "select", {"phone_id": 7001}),
    ("getobj.call_processing_rules", "select", {"number_capacity_id": 7001}),
    ("set.call_processing_rule_is_active", "update", {"id": 1, "type": "scenario", "is_active": True}),
]


async def test_a_user_without_permission_is_refused(shelf: DataApiClient) -> None:
    for method, permission, params in PERMISSIONS:
        shelf.as_member()
        assert await shelf.fault(method, **params) == ("forbidden", None), method
        shelf.as_member(f"number_management:{permission}")
        assert (await shelf.fault(method, **params))[0] != "forbidden", method


async def test_a_number_of_another_account_is_not_found(shelf: DataApiClient) -> None:
    rule = 8001
    await shelf.do("enable.private_number", **PROVIDER, virtual_phone_number=PRIVATE)
    private_id = (await numbers(shelf))[PRIVATE]["id"]
    shelf.as_other_account()
    assert await shelf.fault("disable.virtual_numbers", virtual_phone_number=PRIVATE) == (
        "virtual_phone_number_not_found",
        NUMBER,
    )
    assert (await shelf.fault("getobj.private_number_params", phone_id=private_id))[0] == "entity_not_found"
    asked = {"type": "scenario", "is_active": False}
    await shelf.db.execute(
        "delete from call_processing_rules where account_id = %s and call_processing_rule_id = %s",
        (OTHER_ACCOUNT, rule),
    )
    assert (await shelf.fault("set.call_processing_rule_is_active", id=rule, **asked))[
        0
    ] == "entity_not_found"
    shelf.as_owner()
    assert (await shelf.row("get.virtual_numbers", 7001))["scenarios"][0]["is_active"]
