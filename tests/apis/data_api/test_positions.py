"""Positions of employees by the Data API."""

from __future__ import annotations

from tests.apis.data_api.client import DataApiClient


async def test_a_position_from_beginning_to_end(client: DataApiClient) -> None:
    made = await client.do("create.employee_positions", name="Adviser")
    assert await client.rows("get.employee_positions") == [{"id": made["id"], "name": "Adviser"}]
    assert await client.do("update.employee_positions", id=made["id"], name="Senior adviser") == {}
    assert await client.rows("get.employee_positions") == [{"id": made["id"], "name": "Senior adviser"}]
    assert await client.do("delete.employee_positions", id=made["id"]) == {}
    assert await client.rows("get.employee_positions") == []


async def test_an_invalid_position_is_refused_with_mnemonic_and_field(client: DataApiClient) -> None:
    made = await client.do("create.employee_positions", name="Adviser")
    other = await client.do("create.employee_positions", name="Porter")
    assert (await client.fault("create.employee_positions", name="Adviser"))[0] == "duplicate_entity"
    assert (await client.fault("update.employee_positions", id=other["id"], name="Adviser"))[0] == (
        "duplicate_entity"
    )
    assert await client.fault("create.employee_positions", name=" ") == ("invalid_parameter_value", "name")
    assert await client.fault("update.employee_positions", id=made["id"]) == (
        "required_parameter_missed",
        "name",
    )
    for method, more in (("update.employee_positions", {"name": "X"}), ("delete.employee_positions", {})):
        assert await client.fault(method, id=1, **more) == ("entity_not_found", "id")


async def test_a_position_of_another_account_is_not_found(client: DataApiClient) -> None:
    made = await client.do("create.employee_positions", name="Adviser")
    client.as_other_account()
    assert await client.rows("get.employee_positions") == []
    assert await client.fault("delete.employee_positions", id=made["id"]) == ("entity_not_found", "id")
    assert await client.fault("update.employee_positions", id=made["id"], name="X") == (
        "entity_not_found",
        "id",
    )
    assert "id" in await client.do("create.employee_positions", name="Adviser")


async def test_a_user_without_permission_is_refused(client: DataApiClient) -> None:
    client.as_member("employees:select")
    assert await client.rows("get.employee_positions") == []
    assert await client.fault("create.employee_positions", name="X") == ("forbidden", None)
    assert await client.fault("update.employee_positions", id=1, name="X") == ("forbidden", None)
    assert await client.fault("delete.employee_positions", id=1) == ("forbidden", None)
    client.as_member()
    assert await client.fault("get.employee_positions") == ("forbidden", None)


async def test_the_id_of_what_was_created_is_in_both_places(client: DataApiClient) -> None:
    for method, more in (
        ("create.employee_positions", {"name": "Adviser"}),
        ("create.tags", {"name": "Adviser"}),
    ):
        made = await client.do(method, **more)
        assert made == {"id": made["id"], "data": {"id": made["id"]}}
