"""Employees by the Data API: made, changed in part, reset, removed; and every fault of their pages."""

from __future__ import annotations

from typing import Any

from tests.apis.data_api.client import DataApiClient
from trunkline.accounts.components import DEFAULT

NUMBER = "442079460100"
OPERATOR = {
    "operator_display_name": "Mira",
    "operator_login": "mira",
    "operator_password": "long enough",
}


async def test_an_employee_from_beginning_to_end(client: DataApiClient) -> None:
    made = await client.do("create.employees", last_name="Reed")
    row = await client.row("get.employees", made["id"])
    assert {name: row[name] for name in ("full_name", "status", "status_id", "calls_available", "email")} == {
        "full_name": "Reed",
        "status": "available",
        "status_id": 1,
        "calls_available": True,
        "email": None,
    }
    assert (row["call_recording"], row["phone_numbers"], row["extension"]) == ("all", [], {})
    assert await client.do("update.employees", id=made["id"], last_name="Reeves", phone_numbers=[]) == {}
    assert (await client.row("get.employees", made["id"]))["full_name"] == "Reeves"
    assert await client.do("delete.employees", id=made["id"]) == {}
    assert (
        await client.rows("get.employees", filter={"field": "id", "operator": "=", "value": made["id"]}) == []
    )


async def test_all_that_an_employee_can_have(client: DataApiClient) -> None:
    client.with_components(*DEFAULT, "consultant")
    position = (await client.do("create.employee_positions", name="Adviser"))["id"]
    made = await client.do(
        "create.employees",
        first_name="Ida",
        last_name="Reed",
        patronymic="May",
        status="break",
        in_external_allowed_call_directions=["in"],
        in_internal_allowed_call_directions=[],
        out_external_allowed_call_directions=["out", "in"],
        email="ida@example.com",
        call_recording="in",
        schedule_id=3001,
        coach={"coach_id": 4001, "coach_always_enabled": True},
        groups=[11001],
        phone_numbers=[
            {"phone_number": "100101", "dial_time": 20},
            {"phone_number": f"+{NUMBER}", "channels_count": 150, "status": "inactive"},
        ],
        extension={"extension_phone_number": "207", "extension_queue_enabled": True},
        operator={**OPERATOR, "operator_position_id": position},
    )
    row = await client.row("get.employees", made["id"])
    phones = [{name: phone[name] for name in phone if name != "phone_id"} for phone in row["phone_numbers"]]
    assert phones == [
        {"phone_number": "100101", "channels_count": 1, "dial_time": 20, "status": "active"},
        {"phone_number": NUMBER, "channels_count": 150, "dial_time": 60, "status": "inactive"},
    ]
    assert row["groups"] == [{"group_id": 11001, "group_name": "Front desk"}]
    assert row["coach"] == {
        "coach_id": 4001,
        "coach_full_name": "Stone Mira Ann",
        "coach_always_enabled": True,
    }
    assert row["extension"] == {
        "extension_phone_number": "207",
        "extension_voice_mail_enabled": False,
        "extension_queue_enabled": True,
    }
    assert row["operator"] == {
        "operator_display_name": "Mira",
        "operator_login": "mira",
        "operator_position_id": position,
        "operator_position_name": "Adviser",
        "operator_offline_message_enabled": False,
        "operator_invite_to_chat_enabled": False,
        "operator_chat_enabled": True,
        "operator_chats_available": False,
        "operator_sites": [],
    }
    assert (row["status"], row["status_id"], row["schedule_name"]) == ("break", 2, "Day")
    assert row["allowed_in_call_types"] == ["external"]
    assert row["out_external_allowed_call_directions"] == ["in", "out"]
    assert (await client.row("get.sip_lines", 9002))["employee_id"] == made["id"]
    stored = await client.one("select password_hash from employee_operators")
    assert stored.startswith("$argon2id$")


async def test_what_is_left_out_stays(client: DataApiClient) -> None:
    before = await client.row("get.employees", 4001)
    await client.do("update.employees", id=4001, status="do_not_disturb")
    after = await client.row("get.employees", 4001)
    assert after == {**before, "status": "do_not_disturb", "status_id": 3}


async def test_null_resets(client: DataApiClient) -> None:
    nulls = (
        "first_name patronymic email call_recording schedule_id coach groups extension "
        "in_external_allowed_call_directions"
    )
    await client.do("update.employees", id=4001, in_external_allowed_call_directions=[], call_recording="off")
    await client.do("update.employees", id=4001, **dict.fromkeys(nulls.split()))
    row = await client.row("get.employees", 4001)
    assert (row["full_name"], row["email"], row["call_recording"]) == ("Stone", None, "all")
    assert (row["schedule_id"], row["coach"], row["groups"], row["extension"]) == (None, {}, [], {})
    assert row["in_external_allowed_call_directions"] == ["in", "out"]


OLDER_FORMS: list[tuple[dict[str, Any], list[str], list[str]]] = [
    ({"calls_available": False}, [], []),
    ({"calls_available": False, "allowed_in_call_types": ["external"]}, ["in", "out"], []),
    (
        {"allowed_in_call_types": [], "in_internal_allowed_call_directions": ["in"]},
        [],
        ["in"],
    ),
]


async def test_older_forms_of_directions(client: DataApiClient) -> None:
    for reported, external, internal in OLDER_FORMS:
        made = await client.do("create.employees", last_name="Reed", **reported)
        row = await client.row("get.employees", made["id"])
        assert row["in_external_allowed_call_directions"] == external, reported
        assert row["in_internal_allowed_call_directions"] == internal, reported


async def test_phones_are_replaced_whole_and_keep_what_is_not_said(client: DataApiClient) -> None:
    first, second = (await client.row("get.employees", 4001))["phone_numbers"]
    await client.do(
        "update.employees",
        id=4001,
        last_name="Stone",
        phone_numbers=[{"phone_number": second["phone_number"], "dial_time": 7}, {"phone_number": NUMBER}],
    )
    kept, new = (await client.row("get.employees", 4001))["phone_numbers"]
    assert kept == {**second, "dial_time": 7}
    assert (new["phone_number"], new["channels_count"], new["dial_time"]) == (NUMBER, 1, 60)
    assert (await client.row("get.sip_lines", 9001))["employee_id"] is None
    await client.do(
        "update.employees",
        id=4001,
        phone_numbers=[{"phone_id": new["phone_id"], "phone_number": first["phone_number"]}],
    )
    [changed] = (await client.row("get.employees", 4001))["phone_numbers"]
    assert changed == {**new, "phone_number": first["phone_number"]}
    assert (await client.row("get.sip_lines", 9001))["employee_id"] == 4001


async def test_settings_of_a_number_are_the_same_for_all_who_have_it(client: DataApiClient) -> None:
    await client.do("update.employees", id=4002, phone_numbers=[{"phone_number": NUMBER, "dial_time": 33}])
    made = await client.do("create.employees", last_name="Reed", phone_numbers=[{"phone_number": NUMBER}])
    assert (await client.row("get.employees", made["id"]))["phone_numbers"][0]["dial_time"] == 33
    await client.do(
        "update.employees", id=made["id"], phone_numbers=[{"phone_number": NUMBER, "status": "inactive"}]
    )
    [phone] = (await client.row("get.employees", 4002))["phone_numbers"]
    assert (phone["dial_time"], phone["status"]) == (33, "inactive")


FAULTS_OF_NEW: list[tuple[dict[str, Any], str, str | None]] = [
    ({"last_name": ""}, "invalid_parameter_value", "last_name"),
    ({"status": "auto_out_call"}, "invalid_parameter_value", "status"),
    ({"schedule_id": 1}, "entity_not_found", "schedule_id"),
    ({"coach": {"coach_id": 1}}, "entity_not_found", "coach.coach_id"),
    ({"coach": {"coach_always_enabled": True}}, "required_parameter_missed", "coach.coach_id"),
    ({"groups": [11001, 1]}, "entity_not_found", "groups"),
    ({"groups": ["x"]}, "data_type_error", "groups"),
    (
        {"phone_numbers": [{"phone_number": "12"}]},
        "invalid_parameter_value",
        "phone_numbers.phone_number",
    ),
    (
        {"phone_numbers": [{"phone_number": f"{NUMBER}...23x5"}]},
        "invalid_parameter_value",
        "phone_numbers.phone_number",
    ),
    (
        {"phone_numbers": [{"phone_number": NUMBER}, {"phone_number": f"+{NUMBER}"}]},
        "invalid_parameter_value",
        "phone_numbers.phone_number",
    ),
    ({"phone_numbers": [{"phone_number": "100100"}]}, "already_in_use", "phone_numbers.phone_number"),
    (
        {"phone_numbers": [{"phone_number": NUMBER, "dial_time": 101}]},
        "invalid_parameter_value",
        "phone_numbers.dial_time",
    ),
    (
        {"phone_numbers": [{"phone_number": f"4420794601{i:02}"} for i in range(11)]},
        "invalid_parameter_value",
        "phone_numbers",
    ),
    (
        {"extension": {"extension_phone_number": "100"}},
        "already_in_use",
        "extension.extension_phone_number",
    ),
    (
        {"extension": {"extension_phone_number": "7"}},
        "invalid_parameter_value",
        "extension.extension_phone_number",
    ),
    ({"operator": {**OPERATOR, "operator_password": "short"}}, "invalid_parameter_value", None),
    ({"operator": {**OPERATOR, "operator_position_id": 1}}, "entity_not_found", None),
    ({"operator": {**OPERATOR, "operator_sites": [1]}}, "entity_not_found", None),
    ({"middle_name": "X"}, "unexpected_parameters", "middle_name"),
]


async def test_faults_of_a_new_employee(client: DataApiClient) -> None:
    client.with_components(*DEFAULT, "consultant")
    count = await client.one("select count(*) from employees")
    for reported, mnemonic, field in FAULTS_OF_NEW:
        answer = await client.fault("create.employees", **{"last_name": "Reed", **reported})
        assert answer[0] == mnemonic, reported
        assert field is None or answer[1] == field
    assert await client.one("select count(*) from employees") == count


FAULTS_OF_CHANGE: list[tuple[dict[str, Any], str, str]] = [
    ({"id": 1}, "entity_not_found", "id"),
    ({"last_name": None}, "required_parameter_missed", "last_name"),
    ({"status_id": 99}, "entity_not_found", "status_id"),
    ({"coach": {"coach_id": 4001}}, "invalid_parameter_value", "coach.coach_id"),
    (
        {"id": 4002, "coach": {"coach_always_enabled": True}},
        "invalid_parameters_combination",
        "coach.coach_always_enabled",
    ),
    (
        {"phone_numbers": [{"phone_id": 1, "phone_number": NUMBER}]},
        "entity_not_found",
        "phone_numbers.phone_id",
    ),
    (
        {"extension": {"extension_phone_number": "205"}},
        "required_parameter_missed",
        "extension.extension_voice_mail_enabled",
    ),
]


async def test_faults_of_a_change(client: DataApiClient) -> None:
    before = await client.rows("get.employees")
    for reported, mnemonic, field in FAULTS_OF_CHANGE:
        assert await client.fault("update.employees", **{"id": 4001, **reported}) == (mnemonic, field), (
            reported
        )
    assert await client.rows("get.employees") == before


async def test_chat_settings_change_and_go(client: DataApiClient) -> None:
    client.with_components(*DEFAULT, "consultant")
    less = {name: OPERATOR[name] for name in ("operator_login", "operator_password")}
    assert await client.fault("update.employees", id=4001, operator=less) == (
        "required_parameter_missed",
        "operator.operator_display_name",
    )
    await client.do("update.employees", id=4001, operator=OPERATOR)
    await client.do("update.employees", id=4001, operator={**less, "operator_chat_enabled": False})
    shown = (await client.row("get.employees", 4001))["operator"]
    assert (shown["operator_display_name"], shown["operator_chat_enabled"]) == ("Mira", False)
    taken = {**OPERATOR, "operator_login": "MIRA"}
    assert (await client.fault("update.employees", id=4002, operator=taken))[0] == "already_in_use"
    await client.do("update.employees", id=4001, operator=None)
    assert (await client.row("get.employees", 4001))["operator"] == {}


async def test_whom_something_refers_to_stays(client: DataApiClient) -> None:
    assert await client.fault("delete.employees", id=4001) == ("dependency_error", "id")  # a line
    assert await client.fault("delete.employees", id=4002) == ("dependency_error", "id")  # a coach
    made = (await client.do("create.employees", last_name="Reed"))["id"]
    await client.one(
        """update scenario_operations set settings = jsonb_build_object('employee_id', %(id)s::bigint)
           where account_id = 1001 and operation_id = 6002 returning 1""",
        {"id": made},
    )
    assert await client.fault("delete.employees", id=made) == ("dependency_error", "id")
    assert await client.fault("delete.employees", id=1) == ("entity_not_found", "id")


async def test_components_of_parameters(client: DataApiClient) -> None:
    client.with_components("va")
    for field, value in (
        ("call_recording", "all"),
        ("coach", {"coach_id": 4001}),
        ("operator", OPERATOR),
    ):
        for method, more in (
            ("create.employees", {"last_name": "Reed"}),
            ("update.employees", {"id": 4003}),
        ):
            assert await client.fault(method, **more, **{field: value}) == (
                "parameter_component_disabled",
                field,
            )
    assert "id" in await client.do("create.employees", last_name="Reed")


async def test_a_user_without_permission_is_refused(client: DataApiClient) -> None:
    client.as_member("employees:select")
    assert len(await client.rows("get.employees")) == 3
    for method, more in (
        ("create.employees", {"last_name": "X"}),
        ("update.employees", {"id": 4001}),
        ("delete.employees", {"id": 4001}),
    ):
        assert await client.fault(method, **more) == ("forbidden", None)


async def test_an_employee_of_another_account_is_not_found(client: DataApiClient) -> None:
    made = (await client.do("create.employees", last_name="Reed"))["id"]
    schedule = await client.one(
        "insert into schedules (account_id, key, name) values (1001, 'own', 'Own') returning schedule_id"
    )
    client.as_other_account()
    for foreign in (made, 1):
        assert await client.fault("update.employees", id=foreign, first_name="X") == (
            "entity_not_found",
            "id",
        )
        assert await client.fault("delete.employees", id=foreign) == ("entity_not_found", "id")
    assert await client.fault("update.employees", id=4001, schedule_id=schedule) == (
        "entity_not_found",
        "schedule_id",
    )
    assert await client.fault("update.employees", id=4001, coach={"coach_id": made}) == (
        "entity_not_found",
        "coach.coach_id",
    )
    # A line of the first company is an outside number to this one.
    await client.do("update.employees", id=4001, phone_numbers=[{"phone_number": "100100"}])
    assert await client.one("select external_number from employee_phones where account_id = 1002") == "100100"


async def test_a_number_with_an_extension(client: DataApiClient) -> None:
    """Dots behind the number are pauses before the extension; a single one is just how somebody writes numbers."""
    reported = [f"+{NUMBER}...2345", "44.20.7946.0101", f"{NUMBER}..1.2#"]
    phones = [{"phone_number": number} for number in reported]
    made = (await client.do("create.employees", last_name="Reed", phone_numbers=phones))["id"]
    kept = [f"{NUMBER}...2345", "442079460101", f"{NUMBER}..1.2#"]
    row = await client.row("get.employees", made)
    assert [one["phone_number"] for one in row["phone_numbers"]] == kept
    first = row["phone_numbers"][0]["phone_id"]
    same = {"id": made, "phone_numbers": [{"phone_number": kept[0], "dial_time": 7}]}
    await client.do("update.employees", **same)
    [phone] = (await client.row("get.employees", made))["phone_numbers"]
    assert (phone["phone_id"], phone["dial_time"]) == (first, 7)
    for wrong in (f"{NUMBER}...", f"{NUMBER}...23a", "...2345", f"{NUMBER}...{'1' * 40}"):
        assert await client.fault(
            "create.employees", last_name="R", phone_numbers=[{"phone_number": wrong}]
        ) == ("invalid_parameter_value", "phone_numbers.phone_number"), wrong
