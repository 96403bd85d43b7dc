"""The address book by the Data API: contacts, groups, organisations; and what calls see of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.apis.data_api.office import Office
from tests.apis.data_api.seen import account_seen
from tests.reports.company import ACCOUNT

PHONE = "971500000010"
ANNA: dict[str, Any] = {"last_name": "Ivanova", "phone_numbers": [PHONE]}


async def employee(desk: Office) -> int:
    return int((await desk.rows("get.employees", limit=1))[0]["id"])


async def test_a_contact_from_beginning_to_end(desk: Office) -> None:
    manager = await employee(desk)
    firm = (await desk.do("create.contact_organizations", name="Example Trading"))["id"]
    group = (await desk.do("create.group_contacts", name="Partners"))["id"]
    made = await desk.do(
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
    row = await desk.row("get.contacts", made["id"])
    assert row == {
        "id": made["id"],
        "first_name": "Anna",
        "last_name": "Ivanova",
        "patronymic": "Petrovna",
        "full_name": "Ivanova Anna Petrovna",
        "emails": ["anna@example.com", "a.ivanova@example.org"],
        "phone_numbers": ["442079460107", PHONE],
        "personal_manager_id": manager,
        "personal_manager_full_name": (await desk.row("get.employees", manager))["full_name"],
        "organization_id": firm,
        "organization_name": "Example Trading",
        "groups": [{"group_id": group, "group_name": "Partners"}],
    }
    assert await desk.do("update.contacts", id=made["id"], first_name="Maria") == {}
    assert await desk.row("get.contacts", made["id"]) == {
        **row,
        "first_name": "Maria",
        "full_name": "Ivanova Maria Petrovna",
    }
    assert await desk.do("delete.contacts", id=made["id"]) == {}
    assert await desk.fault("delete.contacts", id=made["id"]) == ("entity_not_found", "id")
    assert (await desk.row("get.group_contacts", group))["members"] == []


async def test_lists_are_replaced_whole_and_null_takes_away(desk: Office) -> None:
    manager = await employee(desk)
    firm = (await desk.do("create.contact_organizations", name="Example Trading"))["id"]
    group = (await desk.do("create.group_contacts", name="Partners"))["id"]
    more = {"first_name": "Anna", "patronymic": "P", "emails": ["a@example.com"], "groups": [group]}
    made = await desk.do("create.contacts", **ANNA, **more, personal_manager_id=manager, organization_id=firm)
    await desk.do("update.contacts", id=made["id"], phone_numbers=["12025550111", "12025550110"])
    row = await desk.row("get.contacts", made["id"])
    assert row["phone_numbers"] == ["12025550111", "12025550110"]
    nothing: dict[str, Any] = dict.fromkeys((*more, "personal_manager_id", "organization_id"))
    await desk.do("update.contacts", id=made["id"], **nothing)
    row = await desk.row("get.contacts", made["id"])
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
async def anna(desk: Office) -> int:
    return int((await desk.do("create.contacts", **ANNA))["id"])


async def test_the_wrong_one_of_many_is_told(desk: Office) -> None:
    numbers = [PHONE, "+44 20 7946 0107", "123"]
    for wrong, value in (
        ({"phone_numbers": numbers}, "123"),
        ({"emails": ["a@example.com", "nobody"]}, "nobody"),
        ({"groups": [1]}, 1),
        ({"phone_numbers": [PHONE, f"+{PHONE}"]}, PHONE),
    ):
        told = (await desk.answer("create.contacts", **{**ANNA, **wrong}))["error"]["data"]
        assert told["value"] == value


async def test_faults(desk: Office, anna: int) -> None:
    before = await desk.rows("get.contacts")
    for wrong, told in FAULTS:
        assert await desk.fault("update.contacts", id=anna, **wrong) == told, wrong
        if wrong != {"last_name": None}:
            assert await desk.fault("create.contacts", **{**ANNA, **wrong}) == told, wrong
    for name in ANNA:
        less = {key: value for key, value in ANNA.items() if key != name}
        assert await desk.fault("create.contacts", **less) == ("required_parameter_missed", name)
    assert await desk.fault("update.contacts", id=1, first_name="X") == ("entity_not_found", "id")
    assert await desk.fault("update.contacts", first_name="X") == ("required_parameter_missed", "id")
    assert await desk.rows("get.contacts") == before


async def test_several_are_deleted_together_or_not_at_all(desk: Office, anna: int) -> None:
    boris = (await desk.do("create.contacts", last_name="Petrov", phone_numbers=["12025550110"]))["id"]
    clara = (await desk.do("create.contacts", last_name="Meier", phone_numbers=["12025550111"]))["id"]
    count = len(await desk.rows("get.contacts"))
    assert await desk.fault("delete.contacts", ids=[anna, 1]) == ("entity_not_found", "ids")
    assert await desk.fault("delete.contacts") == ("required_parameter_missed", "id")
    assert await desk.fault("delete.contacts", ids=["x"]) == ("data_type_error", "ids")
    assert len(await desk.rows("get.contacts")) == count
    assert await desk.do("delete.contacts", ids=[anna, boris]) == {}
    assert await desk.do("delete.contacts", id=clara, ids=[]) == {}
    assert len(await desk.rows("get.contacts")) == count - 3


async def test_groups(desk: Office, anna: int) -> None:
    group = (await desk.do("create.group_contacts", name="Partners", members=[anna]))["id"]
    row = await desk.row("get.group_contacts", group)
    members = [{"contact_id": anna, "contact_full_name": "Ivanova"}]
    assert row == {"id": group, "name": "Partners", "is_system": False, "members": members}
    await desk.do("update.group_contacts", id=group, name="Friends")
    assert (await desk.row("get.group_contacts", group))["members"] == members
    await desk.do("update.group_contacts", id=group, name="Friends", members=None)
    assert await desk.row("get.group_contacts", group) == {**row, "name": "Friends", "members": []}
    assert await desk.fault("create.group_contacts", name="Friends") == ("duplicate_entity", "name")
    assert await desk.fault("create.group_contacts", name="X", members=[1]) == ("entity_not_found", "members")
    assert await desk.fault("update.group_contacts", id=1, name="X") == ("entity_not_found", "id")
    assert await desk.do("update.group_contacts", id=group, members=[anna]) == {}
    assert await desk.row("get.group_contacts", group) == {**row, "name": "Friends"}
    assert await desk.fault("update.group_contacts", id=group, name=None) == (
        "required_parameter_missed",
        "name",
    )
    assert await desk.do("delete.group_contacts", id=group) == {}
    assert await desk.fault("delete.group_contacts", id=group) == ("entity_not_found", "id")


async def test_a_group_that_a_talk_option_uses_stays(desk: Office) -> None:
    group = (await desk.do("create.group_contacts", name="Partners"))["id"]
    await desk.db.execute(
        """insert into talk_options (account_id, button, mnemonic, name, settings)
           values (%s, '77', 'save_numa', 'Save', jsonb_build_object('contact_group_id', %s::bigint))""",
        (ACCOUNT, group),
    )
    assert await desk.fault("delete.group_contacts", id=group) == ("dependency_error", "id")


async def test_the_systems_group_blocks_its_members(desk: Office, anna: int) -> None:
    [group] = [row for row in await desk.rows("get.group_contacts") if row["is_system"]]
    assert group["name"] == "Blacklist"
    assert PHONE not in (await account_seen(desk)).blacklist
    await desk.do("update.group_contacts", id=group["id"], name="Blacklist", members=[anna])
    assert PHONE in (await account_seen(desk)).blacklist
    assert await desk.fault("update.group_contacts", id=group["id"], name="X") == ("forbidden", "name")
    answer = await desk.answer("delete.group_contacts", id=group["id"])
    assert (answer["error"]["code"], answer["error"]["data"]["mnemonic"]) == (-32602, "forbidden")
    await desk.do("update.contacts", id=anna, groups=[])
    assert PHONE not in (await account_seen(desk)).blacklist


async def test_organizations(desk: Office, anna: int) -> None:
    firm = (await desk.do("create.contact_organizations", name="Example Trading"))["id"]
    other = (await desk.do("create.contact_organizations", name="Example Foods"))["id"]
    assert await desk.fault("create.contact_organizations", name="Example Foods") == (
        "duplicate_entity",
        "name",
    )
    assert await desk.fault("update.contact_organizations", id=other, name="Example Trading") == (
        "duplicate_entity",
        "name",
    )
    await desk.do("update.contact_organizations", id=other, name="Example Drinks")
    assert await desk.rows("get.contact_organizations", sort=[{"field": "name"}]) == [
        {"id": other, "name": "Example Drinks"},
        {"id": firm, "name": "Example Trading"},
    ]
    await desk.do("update.contacts", id=anna, organization_id=firm)
    assert await desk.fault("delete.contact_organizations", id=firm) == ("dependency_error", "id")
    assert await desk.do("delete.contact_organizations", id=other) == {}
    assert await desk.fault("delete.contact_organizations", id=other) == ("entity_not_found", "id")
    assert await desk.fault("update.contact_organizations", id=other, name="X") == ("entity_not_found", "id")


async def test_calls_know_the_name_at_once(desk: Office, anna: int) -> None:
    seen = (await account_seen(desk)).contacts_by_phone[PHONE]
    assert (seen.contact_id, seen.full_name) == (anna, "Ivanova")
    await desk.do("update.contacts", id=anna, first_name="Anna", phone_numbers=["12025550110"])
    account = await account_seen(desk)
    assert account.contacts_by_phone["12025550110"].full_name == "Ivanova Anna"
    assert PHONE not in account.contacts_by_phone


async def test_another_account(desk: Office, anna: int) -> None:
    firm = (await desk.do("create.contact_organizations", name="Example Trading"))["id"]
    group = (await desk.do("create.group_contacts", name="Partners"))["id"]
    desk.as_stranger()
    assert anna not in [row["id"] for row in await desk.rows("get.contacts")]
    assert group not in [row["id"] for row in await desk.rows("get.group_contacts")]
    assert await desk.rows("get.contact_organizations") == []
    for kind, id in (("contacts", anna), ("group_contacts", group), ("contact_organizations", firm)):
        more = {} if kind == "contacts" else {"name": "X"}
        assert await desk.fault(f"update.{kind}", id=id, **more) == ("entity_not_found", "id")
        assert await desk.fault(f"delete.{kind}", id=id) == ("entity_not_found", "id")
    assert await desk.fault("delete.contacts", ids=[anna]) == ("entity_not_found", "ids")
    assert await desk.fault("create.contacts", **ANNA, organization_id=firm) == (
        "entity_not_found",
        "organization_id",
    )
    assert await desk.fault("create.contacts", **ANNA, groups=[group]) == ("entity_not_found", "groups")
    assert await desk.fault("create.group_contacts", name="X", members=[anna]) == (
        "entity_not_found",
        "members",
    )


@pytest.mark.parametrize("kind", ["contacts", "group_contacts", "contact_organizations"])
async def test_permissions(desk: Office, kind: str) -> None:
    for verb, action in (("get", "select"), ("create", "insert"), ("update", "update"), ("delete", "delete")):
        desk.as_member(f"address_book:{action}")
        assert (await desk.fault(f"{verb}.{kind}", id=0))[0] != "forbidden"
        others = [a for a in ("select", "insert", "update", "delete") if a != action]
        desk.as_member(*(f"address_book:{a}" for a in others))
        assert await desk.fault(f"{verb}.{kind}") == ("forbidden", None)
