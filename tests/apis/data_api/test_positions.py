"""Positions of employees by the Data API."""

from __future__ import annotations

from tests.apis.data_api.office import Office


async def test_a_position_from_beginning_to_end(desk: Office) -> None:
    made = await desk.do("create.employee_positions", name="Adviser")
    assert await desk.rows("get.employee_positions") == [{"id": made["id"], "name": "Adviser"}]
    assert await desk.do("update.employee_positions", id=made["id"], name="Senior adviser") == {}
    assert await desk.rows("get.employee_positions") == [{"id": made["id"], "name": "Senior adviser"}]
    assert await desk.do("delete.employee_positions", id=made["id"]) == {}
    assert await desk.rows("get.employee_positions") == []


async def test_faults(desk: Office) -> None:
    made = await desk.do("create.employee_positions", name="Adviser")
    other = await desk.do("create.employee_positions", name="Porter")
    assert (await desk.fault("create.employee_positions", name="Adviser"))[0] == "duplicate_entity"
    assert (await desk.fault("update.employee_positions", id=other["id"], name="Adviser"))[0] == (
        "duplicate_entity"
    )
    assert await desk.fault("create.employee_positions", name=" ") == ("invalid_parameter_value", "name")
    assert await desk.fault("update.employee_positions", id=made["id"]) == (
        "required_parameter_missed",
        "name",
    )
    for method, more in (("update.employee_positions", {"name": "X"}), ("delete.employee_positions", {})):
        assert await desk.fault(method, id=1, **more) == ("entity_not_found", "id")


async def test_another_account(desk: Office) -> None:
    made = await desk.do("create.employee_positions", name="Adviser")
    desk.as_stranger()
    assert await desk.rows("get.employee_positions") == []
    assert await desk.fault("delete.employee_positions", id=made["id"]) == ("entity_not_found", "id")
    assert await desk.fault("update.employee_positions", id=made["id"], name="X") == (
        "entity_not_found",
        "id",
    )
    assert "id" in await desk.do("create.employee_positions", name="Adviser")


async def test_permissions(desk: Office) -> None:
    desk.as_member("employees:select")
    assert await desk.rows("get.employee_positions") == []
    assert await desk.fault("create.employee_positions", name="X") == ("forbidden", None)
    assert await desk.fault("update.employee_positions", id=1, name="X") == ("forbidden", None)
    assert await desk.fault("delete.employee_positions", id=1) == ("forbidden", None)
    desk.as_member()
    assert await desk.fault("get.employee_positions") == ("forbidden", None)


async def test_the_id_of_what_was_created_is_in_both_places(desk: Office) -> None:
    for method, more in (
        ("create.employee_positions", {"name": "Adviser"}),
        ("create.tags", {"name": "Adviser"}),
    ):
        made = await desk.do(method, **more)
        assert made == {"id": made["id"], "data": {"id": made["id"]}}
