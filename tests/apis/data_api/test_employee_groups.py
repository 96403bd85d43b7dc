"""Groups of employees by the Data API, and the order of their phones."""

from __future__ import annotations

from typing import Any

from tests.apis.data_api.client import DataApiClient


async def test_a_group_from_beginning_to_end(client: DataApiClient) -> None:
    made = await client.do("create.group_employees", name="Night", members=[4002, 4001])
    row = await client.row("get.group_employees", made["id"])
    assert row["members"] == [
        {"employee_id": 4002, "employee_full_name": "Okafor Ben"},
        {"employee_id": 4001, "employee_full_name": "Stone Mira Ann"},
    ]
    assert (row["group_phone_number"], row["queue_enabled"], row["channels_count"]) == (None, False, 1)
    assert row["phone_numbers"][0]["employee_phone_number"] == "100100"
    await client.do(
        "update.group_employees",
        id=made["id"],
        name="Late",
        channels_count=5,
        group_phone_number="300",
        queue_enabled=True,
        members=[4001],
    )
    row = await client.row("get.group_employees", made["id"])
    assert (row["name"], row["group_phone_number"]) == ("Late", "300")
    assert (row["queue_enabled"], row["channels_count"]) == (True, 5)
    assert [member["employee_id"] for member in row["members"]] == [4001]
    await client.do("update.group_employees", id=made["id"], group_phone_number=None)
    row = await client.row("get.group_employees", made["id"])
    assert (row["name"], row["group_phone_number"], row["channels_count"]) == ("Late", None, 5)
    assert await client.do("delete.group_employees", id=made["id"]) == {}
    assert [row["id"] for row in await client.rows("get.group_employees")] == [11001]


async def test_order_and_availability_of_phones(client: DataApiClient) -> None:
    first, second = (await client.row("get.group_employees", 11001))["phone_numbers"]
    assert (first["available"], second["available"]) == (True, True)
    chosen = [
        {"employee_phone_number_id": second["employee_phone_number_id"], "available": True},
        {"employee_phone_number_id": first["employee_phone_number_id"], "available": False},
    ]
    await client.do("update.group_employees_numbers", id=11001, phone_numbers=chosen)
    assert (await client.row("get.group_employees", 11001))["phone_numbers"] == [
        second,
        {**first, "available": False},
    ]
    await client.do("update.group_employees", id=11001, members=[4002, 4001])
    shown = (await client.row("get.group_employees", 11001))["phone_numbers"]
    assert [phone["available"] for phone in shown] == [True, False]
    await client.do("update.group_employees", id=11001, members=[4002])
    await client.do("update.group_employees", id=11001, members=[4001])
    assert (await client.row("get.group_employees", 11001))["phone_numbers"] == [first, second]
    for wrong in (chosen[:1], [*chosen, chosen[0]], [{**chosen[0], "employee_phone_number_id": 1}]):
        assert await client.fault("update.group_employees_numbers", id=11001, phone_numbers=wrong) == (
            "invalid_parameter_value",
            "phone_numbers",
        )
    assert await client.fault("update.group_employees_numbers", id=1, phone_numbers=[]) == (
        "entity_not_found",
        "id",
    )


FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"name": "Front desk"}, "duplicate_entity", "name"),
    ({"members": [4001, 1]}, "entity_not_found", "members"),
    ({"group_phone_number": "101"}, "already_in_use", "group_phone_number"),
    ({"group_phone_number": "123456"}, "invalid_parameter_value", "group_phone_number"),
    ({"group_phone_number": "x1"}, "invalid_parameter_value", "group_phone_number"),
    ({"channels_count": 200}, "invalid_parameter_value", "channels_count"),
    ({"queue_enabled": "yes"}, "data_type_error", "queue_enabled"),
]


async def test_an_invalid_group_is_refused_with_mnemonic_and_field(client: DataApiClient) -> None:
    other = (await client.do("create.group_employees", name="Other"))["id"]
    before = await client.rows("get.group_employees")
    for reported, mnemonic, field in FAULTS:
        assert await client.fault("create.group_employees", **{"name": "New", **reported}) == (
            mnemonic,
            field,
        )
        assert await client.fault("update.group_employees", id=other, **reported) == (mnemonic, field)
    assert await client.rows("get.group_employees") == before


async def test_a_group_that_is_called_stays(client: DataApiClient) -> None:
    await client.one(
        """update scenario_operations set settings = '{"group_id": 11001}'
           where account_id = 1001 and operation_id = 6002 returning 1"""
    )
    assert await client.fault("delete.group_employees", id=11001) == ("dependency_error", "id")
    assert await client.fault("delete.group_employees", id=1) == ("entity_not_found", "id")


async def test_components_and_permissions_are_required(client: DataApiClient) -> None:
    made = (await client.do("create.group_employees", name="Ours"))["id"]
    client.with_components("recording")
    for field, value in (("group_phone_number", "300"), ("queue_enabled", True), ("channels_count", 2)):
        assert await client.fault("create.group_employees", name="X", **{field: value}) == (
            "parameter_component_disabled",
            field,
        )
    client.as_member("employees:select")
    for method, more in (
        ("create.group_employees", {"name": "X"}),
        ("update.group_employees", {"id": made}),
        ("update.group_employees_numbers", {"id": made, "phone_numbers": []}),
        ("delete.group_employees", {"id": made}),
    ):
        assert await client.fault(method, **more) == ("forbidden", None)
    client.as_other_account()
    client.accounts.allow(role="owner")
    for method, more in (
        ("update.group_employees", {"name": "X"}),
        ("update.group_employees_numbers", {"phone_numbers": []}),
        ("delete.group_employees", {}),
    ):
        assert await client.fault(method, id=made, **more) == ("entity_not_found", "id")
