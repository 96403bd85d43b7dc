"""The blacklist by the Data API, and what calls see of it."""

from __future__ import annotations

from tests.apis.data_api.client import DataApiClient
from tests.apis.data_api.seen import account_seen
from tests.reports.company import ACCOUNT

PHONE = "971500000010"


async def test_a_number_from_beginning_to_end(client: DataApiClient) -> None:
    await client.db.execute(
        "update users set full_name = 'Kate Brown' where account_id = %s and user_id = 2001", (ACCOUNT,)
    )
    made = (
        await client.do(
            "create.phone_number_to_blacklist", phone_number="+971 50 000-0010", add_comment="spam"
        )
    )["data"]
    assert made == {"id": made["id"], "phone_number": PHONE}
    row = await client.row("get.blacklist_phone_numbers", made["id"])
    assert len(row.pop("add_date_time")) == len("2026-01-01 00:00:00")
    assert row == {**made, "add_user_name": "Kate Brown", "add_comment": "spam"}
    assert PHONE in (await account_seen(client)).blacklist
    assert await client.do("delete.phone_number_from_blacklist", id=made["id"]) == {"data": {}}
    assert PHONE not in (await account_seen(client)).blacklist
    assert await client.fault("delete.phone_number_from_blacklist", id=made["id"]) == (
        "entity_not_found",
        "id",
    )


async def test_an_invalid_blacklist_entry_is_refused_with_mnemonic_and_field(client: DataApiClient) -> None:
    create = "create.phone_number_to_blacklist"
    await client.do(create, phone_number=PHONE)
    for same in (PHONE, f"+{PHONE}", "00971500000010"):
        assert await client.fault(create, phone_number=same) == ("duplicate_entity", "phone_number")
    for wrong in ("", "anonymous", "12"):
        assert await client.fault(create, phone_number=wrong) == ("invalid_parameter_value", "phone_number")
    assert await client.fault(create) == ("required_parameter_missed", "phone_number")
    assert await client.fault(create, phone_number=12025550110) == ("data_type_error", "phone_number")


async def test_a_blacklist_entry_of_another_account_is_not_found(client: DataApiClient) -> None:
    made = (await client.do("create.phone_number_to_blacklist", phone_number=PHONE))["data"]
    client.as_other_account()
    assert made["id"] not in [row["id"] for row in await client.rows("get.blacklist_phone_numbers")]
    assert await client.fault("delete.phone_number_from_blacklist", id=made["id"]) == (
        "entity_not_found",
        "id",
    )
    assert (await client.do("create.phone_number_to_blacklist", phone_number=PHONE))["data"][
        "phone_number"
    ] == (PHONE)


async def test_a_user_without_permission_is_refused(client: DataApiClient) -> None:
    methods = {
        "get.blacklist_phone_numbers": "select",
        "create.phone_number_to_blacklist": "insert",
        "delete.phone_number_from_blacklist": "delete",
    }
    for method, action in methods.items():
        client.as_member(f"calls_blocking:{action}")
        assert (await client.fault(method))[0] != "forbidden"
        client.as_member(*(f"calls_blocking:{a}" for a in methods.values() if a != action))
        assert await client.fault(method) == ("forbidden", None)
