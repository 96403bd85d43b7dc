"""The address book by the Data API: contacts, groups, organisations; and what calls see of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.apis.data_api.client import DataApiClient
from tests.apis.data_api.seen import account_seen
from tests.reports.company import ACCOUNT

PHONE = "971500000010"
ANNA: dict[str, Any] = {"last_name": "Ivanova", "phone_numbers": [PHONE]}


async def employee(client: DataApiClient) -> int:
    return int((await client.rows("get.employees", limit=1))[0]["id"])


async def test_a_contact_from_beginning_to_end(client: DataApiClient) -> None:
    manager = await employee(client)
    firm = (await client.do("create.contact_organizations", name="Example Trading"))["id"]
    group = (await client.do("create.group_contacts", name="Partners"))["id"]
    made = await client.do(
        "create.contacts",
        last_name="Ivanova",
        first_name="Anna",
        patronymic="Petrovna",
        emails=["anna@example.com", "a.ivanova@example.org"],
        phone_numbers=["+44 20 7946 0107", PHONE],
        personal_manager_id=manager,
        organization_id=firm,
        groups=[group],
    )
    row = await client.row("get.contacts", made["id"])
    assert row == {
        "id": made["id"],
        "first_name": "Anna",
        "last_name": "Ivanova",
        "patronymic": "Petrovna",
        "full_name": "Ivanova Anna Petrovna",
        "emails": ["anna@example.com", "a.ivanova@example.org"],
        "phone_numbers": ["442079460107", PHONE],
        "personal_manager_id": manager,
        "personal_manager_full_name": (await client.row("get.employees", manager))["full_name"],
        "organization_id": firm,
        "organization_name": "Example Trading",
        "groups": [{"group_id": group, "group_name": "Partners"}],
    }
    assert await client.do("update.contacts", id=made["id"], first_name="Maria") == {}
    assert await client.row("get.contacts", made["id"]) == {
        **row,
        "first_name": "Maria",
        "full_name": "Ivanova Maria Petrovna",
    }
    assert await client.do("delete.contacts", id=made["id"]) == {}
    assert await client.fault("delete.contacts", id=made["id"]) == ("entity_not_found", "id")
    assert (await client.row("get.group_contacts", group))["members"] == []


async def test_lists_are_replaced_whole_and_null_takes_away(client: DataApiClient) -> None:
    manager = await employee(client)
    firm = (await client.do("create.contact_organizations", name="Example Trading"))["id"]
    group = (await client.do("create.group_contacts", name="Partners"))["id"]
    more = {"first_name": "Anna", "patronymic": "P", "emails": ["a@example.com"], "groups": [group]}
    made = await client.do(
        "create.contacts", **ANNA, **more, personal_manager_id=manager, organization_id=firm
    )
    await client.do("update.contacts", id=made["id"], phone_numbers=["12025550111", "12025550110"])
    row = await client.row("get.contacts", made["id"])
    assert row["phone_numbers"] == ["12025550111", "12025550110"]
    nothing: dict[str, Any] = dict.fromkeys((*more, "personal_manager_id", "organization_id"))
    await client.do("update.contacts", id=made["id"], **nothing)
    row = await client.row("get.contacts", made["id"])
    assert (row["first_name"], row["patronymic"], row["emails"], row["groups"]) == (None, None, [], [])
    assert (row["personal_manager_id"], row["organization_id"], row["organization_name"]) == (None,) * 3
    assert row["full_name"] == "Ivanova"


FAULTS: list[tuple[dict[str, Any], tuple[str, str]]] = [
    ({"last_name": " "}, ("invalid_parameter_value", "last_name")),
    ({"last_name": None}, ("invalid_parameter_value", "last_name")),
    ({"phone_numbers": []}, ("invalid_parameter_value", "phone_numbers")),
    ({"phone_numbers": ["123"]}, ("invalid_parameter_value", "phone_numbers")),
    ({"phone_numbers": [PHONE, f"+{PHONE}"]}, ("invalid_parameter_value", "phone_numbers")),
    (
        {"phone_numbers": [f"1202555{n:04}" for n in range(100, 111)]},
        ("invalid_parameter_value", "phone_numbers"),
    ),
    ({"phone_numbers": [5]}, ("data_type_error", "phone_numbers")),
    ({"phone_numbers": PHONE}, ("data_type_error", "phone_numbers")),
    ({"emails": ["nobody"]}, ("invalid_parameter_value", "emails")),
    ({"emails": ["A@example.com", "a@example.com"]}, ("invalid_parameter_value", "emails")),
    ({"emails": [f"a{n}@example.com" for n in range(11)]}, ("invalid_parameter_value", "emails")),
    ({"personal_manager_id": 1}, ("entity_not_found", "personal_manager_id")),
    ({"organization_id": 1}, ("entity_not_found", "organization_id")),
    ({"groups": [1]}, ("entity_not_found", "groups")),
    ({"groups": ["x"]}, ("data_type_error", "groups")),
    ({"name": "x"}, ("unexpected_parameters", "name")),
]


@pytest.fixture
async def anna(client: DataApiClient) -> int:
    return int((await client.do("create.contacts", **ANNA))["id"])


async def test_the_wrong_one_of_many_is_reported(client: DataApiClient) -> None:
    numbers = [PHONE, "+44 20 7946 0107", "123"]
    for wrong, value in (
        ({"phone_numbers": numbers}, "123"),
        ({"emails": ["a@example.com", "nobody"]}, "nobody"),
        ({"groups": [1]}, 1),
        ({"phone_numbers": [PHONE, f"+{PHONE}"]}, PHONE),
    ):
        reported = (await client.answer("create.contacts", **{**ANNA, **wrong}))["error"]["data"]
        assert reported["value"] == value


async def test_an_invalid_contact_is_refused_with_mnemonic_and_field(
    client: DataApiClient, anna: int
) -> None:
    before = await client.rows("get.contacts")
    for wrong, reported in FAULTS:
        assert await client.fault("update.contacts", id=anna, **wrong) == reported, wrong
        if wrong != {"last_name": None}:
            assert await client.fault("create.contacts", **{**ANNA, **wrong}) == reported, wrong
    for name in ANNA:
        less = {key: value for key, value in ANNA.items() if key != name}
        assert await client.fault("create.contacts", **less) == ("required_parameter_missed", name)
    assert await client.fault("update.contacts", id=1, first_name="X") == ("entity_not_found", "id")
    assert await client.fault("update.contacts", first_name="X") == ("required_parameter_missed", "id")
    assert await client.rows("get.contacts") == before


async def test_several_are_deleted_together_or_not_at_all(client: DataApiClient, anna: int) -> None:
    boris = (await client.do("create.contacts", last_name="Petrov", phone_numbers=["12025550110"]))["id"]
    clara = (await client.do("create.contacts", last_name="Meier", phone_numbers=["12025550111"]))["id"]
    count = len(await client.rows("get.contacts"))
    assert await client.fault("delete.contacts", ids=[anna, 1]) == ("entity_not_found", "ids")
    assert await client.fault("delete.contacts") == ("required_parameter_missed", "id")
    assert await client.fault("delete.contacts", ids=["x"]) == ("data_type_error", "ids")
    assert len(await client.rows("get.contacts")) == count
    assert await client.do("delete.contacts", ids=[anna, boris]) == {}
    assert await client.do("delete.contacts", id=clara, ids=[]) == {}
    assert len(await client.rows("get.contacts")) == count - 3


async def test_groups(client: DataApiClient, anna: int) -> None:
    group = (await client.do("create.group_contacts", name="Partners", members=[anna]))["id"]
    row = await client.row("get.group_contacts", group)
    members = [{"contact_id": anna, "contact_full_name": "Ivanova"}]
    assert row == {"id": group, "name": "Partners", "is_system": False, "members": members}
    await client.do("update.group_contacts", id=group, name="Friends")
    assert (await client.row("get.group_contacts", group))["members"] == members
    await client.do("update.group_contacts", id=group, name="Friends", members=None)
    assert await client.row("get.group_contacts", group) == {**row, "name": "Friends", "members": []}
    assert await client.fault("create.group_contacts", name="Friends") == ("duplicate_entity", "name")
    assert await client.fault("create.group_contacts", name="X", members=[1]) == (
        "entity_not_found",
        "members",
    )
    assert await client.fault("update.group_contacts", id=1, name="X") == ("entity_not_found", "id")
    assert await client.do("update.group_contacts", id=group, members=[anna]) == {}
    assert await client.row("get.group_contacts", group) == {**row, "name": "Friends"}
    assert await client.fault("update.group_contacts", id=group, name=None) == (
        "required_parameter_missed",
        "name",
    )
    assert await client.do("delete.group_contacts", id=group) == {}
    assert await client.fault("delete.group_contacts", id=group) == ("entity_not_found", "id")


async def test_a_group_that_a_talk_option_uses_stays(client: DataApiClient) -> None:
    group = (await client.do("create.group_contacts", name="Partners"))["id"]
    await client.db.execute(
        """insert into talk_options (account_id, button, mnemonic, name, settings)
           values (%s, '77', 'save_numa', 'Save', jsonb_build_object('contact_group_id', %s::bigint))""",
        (ACCOUNT, group),
    )
    assert await client.fault("delete.group_contacts", id=group) == ("dependency_error", "id")


async def test_the_systems_group_blocks_its_members(client: DataApiClient, anna: int) -> None:
    [group] = [row for row in await client.rows("get.group_contacts") if row["is_system"]]
    assert group["name"] == "Blacklist"
    assert PHONE not in (await account_seen(client)).blacklist
    await client.do("update.group_contacts", id=group["id"], name="Blacklist", members=[anna])
    assert PHONE in (await account_seen(client)).blacklist
    assert await client.fault("update.group_contacts", id=group["id"], name="X") == ("forbidden", "name")
    answer = await client.answer("delete.group_contacts", id=group["id"])
    assert (answer["error"]["code"], answer["error"]["data"]["mnemonic"]) == (-32602, "forbidden")
    await client.do("update.contacts", id=anna, groups=[])
    assert PHONE not in (await account_seen(client)).blacklist


async def test_organizations(client: DataApiClient, anna: int) -> None:
    firm = (await client.do("create.contact_organizations", name="Example Trading"))["id"]
    other = (await client.do("create.contact_organizations", name="Example Foods"))["id"]
    assert await client.fault("create.contact_organizations", name="Example Foods") == (
        "duplicate_entity",
        "name",
    )
    assert await client.fault("update.contact_organizations", id=other, name="Example Trading") == (
        "duplicate_entity",
        "name",
    )
    await client.do("update.contact_organizations", id=other, name="Example Drinks")
    assert await client.rows("get.contact_organizations", sort=[{"field": "name"}]) == [
        {"id": other, "name": "Example Drinks"},
        {"id": firm, "name": "Example Trading"},
    ]
    await client.do("update.contacts", id=anna, organization_id=firm)
    assert await client.fault("delete.contact_organizations", id=firm) == ("dependency_error", "id")
    assert await client.do("delete.contact_organizations", id=other) == {}
    assert await client.fault("delete.contact_organizations", id=other) == ("entity_not_found", "id")
    assert await client.fault("update.contact_organizations", id=other, name="X") == (
        "entity_not_found",
        "id",
    )


async def test_calls_know_the_name_at_once(client: DataApiClient, anna: int) -> None:
    seen = (await account_seen(client)).contacts_by_phone[PHONE]
    assert (seen.contact_id, seen.full_name) == (anna, "Ivanova")
    await client.do("update.contacts", id=anna, first_name="Anna", phone_numbers=["12025550110"])
    account = await account_seen(client)
    assert account.contacts_by_phone["12025550110"].full_name == "Ivanova Anna"
    assert PHONE not in account.contacts_by_phone


async def test_a_contact_of_another_account_is_not_found(client: DataApiClient, anna: int) -> None:
    firm = (await client.do("create.contact_organizations", name="Example Trading"))["id"]
    group = (await client.do("create.group_contacts", name="Partners"))["id"]
    client.as_other_account()
    assert anna not in [row["id"] for row in await client.rows("get.contacts")]
    assert group not in [row["id"] for row in await client.rows("get.group_contacts")]
    assert await client.rows("get.contact_organizations") == []
    for kind, id in (("contacts", anna), ("group_contacts", group), ("contact_organizations", firm)):
        more = {} if kind == "contacts" else {"name": "X"}
        assert await client.fault(f"update.{kind}", id=id, **more) == ("entity_not_found", "id")
        assert await client.fault(f"delete.{kind}", id=id) == ("entity_not_found", "id")
    assert await client.fault("delete.contacts", ids=[anna]) == ("entity_not_found", "ids")
    assert await client.fault("create.contacts", **ANNA, organization_id=firm) == (
        "entity_not_found",
        "organization_id",
    )
    assert await client.fault("create.contacts", **ANNA, groups=[group]) == ("entity_not_found", "groups")
    assert await client.fault("create.group_contacts", name="X", members=[anna]) == (
        "entity_not_found",
        "members",
    )


@pytest.mark.parametrize("kind", ["contacts", "group_contacts", "contact_organizations"])
async def test_a_user_without_permission_is_refused(client: DataApiClient, kind: str) -> None:
    for verb, action in (("get", "select"), ("create", "insert"), ("update", "update"), ("delete", "delete")):
        client.as_member(f"address_book:{action}")
        assert (await client.fault(f"{verb}.{kind}", id=0))[0] != "forbidden"
        others = [a for a in ("select", "insert", "update", "delete") if a != action]
        client.as_member(*(f"address_book:{a}" for a in others))
        assert await client.fault(f"{verb}.{kind}") == ("forbidden", None)
