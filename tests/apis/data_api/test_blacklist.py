"""The blacklist by the Data API, and what calls see of it."""

from __future__ import annotations

from tests.apis.data_api.office import Office
from tests.apis.data_api.seen import account_seen
from tests.reports.company import ACCOUNT

PHONE = "971500000010"


async def test_a_number_from_beginning_to_end(desk: Office) -> None:
    await desk.db.execute(
        "update users set full_name = 'Kate Brown' where account_id = %s and user_id = 2001", (ACCOUNT,)
    )
    made = (
        await desk.do("create.phone_number_to_blacklist", phone_number="+971 50 000-0010", add_comment="spam")
    )["data"]
    assert made == {"id": made["id"], "phone_number": PHONE}
    row = await desk.row("get.blacklist_phone_numbers", made["id"])
    assert len(row.pop("add_date_time")) == len("2026-01-01 00:00:00")
    assert row == {**made, "add_user_name": "Kate Brown", "add_comment": "spam"}
    assert PHONE in (await account_seen(desk)).blacklist
    assert await desk.do("delete.phone_number_from_blacklist", id=made["id"]) == {"data": {}}
    assert PHONE not in (await account_seen(desk)).blacklist
    assert await desk.fault("delete.phone_number_from_blacklist", id=made["id"]) == ("entity_not_found", "id")


async def test_faults(desk: Office) -> None:
    create = "create.phone_number_to_blacklist"
    await desk.do(create, phone_number=PHONE)
    for same in (PHONE, f"+{PHONE}", "00971500000010"):
        assert await desk.fault(create, phone_number=same) == ("duplicate_entity", "phone_number")
    for wrong in ("", "anonymous", "12"):
        assert await desk.fault(create, phone_number=wrong) == ("invalid_parameter_value", "phone_number")
    assert await desk.fault(create) == ("required_parameter_missed", "phone_number")
    assert await desk.fault(create, phone_number=12025550110) == ("data_type_error", "phone_number")


async def test_another_account(desk: Office) -> None:
    made = (await desk.do("create.phone_number_to_blacklist", phone_number=PHONE))["data"]
    desk.as_stranger()
    assert made["id"] not in [row["id"] for row in await desk.rows("get.blacklist_phone_numbers")]
    assert await desk.fault("delete.phone_number_from_blacklist", id=made["id"]) == ("entity_not_found", "id")
    assert (await desk.do("create.phone_number_to_blacklist", phone_number=PHONE))["data"][
        "phone_number"
    ] == (PHONE)


async def test_permissions(desk: Office) -> None:
    methods = {
        "get.blacklist_phone_numbers": "select",
        "create.phone_number_to_blacklist": "insert",
        "delete.phone_number_from_blacklist": "delete",
    }
    for method, action in methods.items():
        desk.as_member(f"calls_blocking:{action}")
        assert (await desk.fault(method))[0] != "forbidden"
        desk.as_member(*(f"calls_blocking:{a}" for a in methods.values() if a != action))
        assert await desk.fault(method) == ("forbidden", None)
