"""Methods of the Call API: what reaches the switch, and what comes back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.apis.support import LOGIN, PASSWORD, ApisOnFakes, fault, mnemonic
from trunkline.apis.jsonrpc import Api
from trunkline.core.errors import LimitExceeded, NotFound, PermissionDenied

SIMPLE = {
    "first_call": "operator",
    "virtual_phone_number": "442079460100",
    "contact": "971500000010",
    "operator": "+1 (202) 555-0111",
}
EMPLOYEE = {
    "first_call": "employee",
    "virtual_phone_number": "442079460100",
    "contact": "971500000010",
    "employee": {"id": 4001},
}


def _fakes(**answers: Any) -> ApisOnFakes:
    fakes = ApisOnFakes()
    fakes.switch.answers = answers
    return fakes


@pytest.mark.parametrize("api", list(Api))
async def test_session_from_login_to_logout(api: Api) -> None:
    fakes = ApisOnFakes()
    opened = await fakes.ask(api, "login.user", {"login": LOGIN, "password": PASSWORD}, token=None)
    data = opened["result"]["data"]
    assert opened["id"] == "req1"
    assert isinstance(data["expire_at"], int)
    assert data.get("app_id") == (1001 if api is Api.DATA else None)
    assert opened["result"]["metadata"]["limits"]["minute_remaining"] == 99
    closed = await fakes.ask(api, "logout.user", token=data["access_token"])
    assert closed["result"]["data"] == ({"success": True} if api is Api.CALL else {})
    again = await fakes.ask(api, "logout.user", token=data["access_token"])
    assert mnemonic(again) == "access_token_invalid"
    assert [entry.request for entry in fakes.request_log.entries] == [
        {"login": LOGIN, "password": "***"},
        {"access_token": "***"},
    ]


async def test_simple_call_with_defaults() -> None:
    fakes = _fakes(start_simple_call={"call_session_id": 77, "internal": "x"})
    answer = await fakes.ask(Api.CALL, "start.simple_call", SIMPLE)
    assert answer["result"]["data"] == {"call_session_id": 77}
    assert fakes.switch.commands == [
        (
            1001,
            "start_simple_call",
            {
                "first_call": "operator",
                "switch_at_once": False,
                "early_switching": False,
                "virtual_phone_number": "442079460100",
                "virtual_phone_usage_rule": "fixed",
                "show_virtual_phone_number": True,
                "contact": "971500000010",
                "direction": "in",
                "operator": "12025550111",
                "user_id": 2001,
                "login": LOGIN,
                "api_request_id": 1,
            },
        )
    ]
    entry = fakes.request_log.entries[0]
    assert (entry.api_request_id, entry.call_session_id, entry.points) == (1, 77, 1)


async def test_simple_call_with_everything() -> None:
    fakes = _fakes(start_simple_call={"call_session_id": 77})
    sent = {
        **SIMPLE,
        "first_call": "contact",
        "switch_at_once": True,
        "early_switching": True,
        "media_file_id": "2501",
        "show_virtual_phone_number": False,
        "external_id": "order 17",
        "dtmf_string": ".12.1..4",
        "direction": "out",
        "operator_confirmation": "any",
        "contact_message": {"type": "tts", "value": "Good day"},
        "operator_message": {"type": "media", "value": "2561"},
    }
    assert mnemonic(await fakes.ask(Api.CALL, "start.simple_call", sent)) == "ok"
    params = fakes.switch.commands[0][2]
    assert params["media_file_id"] == 2501
    assert params["contact_message"] == {
        "type": "tts",
        "value": "Good day",
        "file": await fakes.voice.file_of("Good day", "en"),
    }
    assert params["operator_message"] == {"type": "media", "value": "2561"}
    assert params["dtmf_string"] == ".12.1..4"
    assert "access_token" not in params


@pytest.mark.parametrize(
    ("change", "name", "field"),
    [
        ({"first_call": "employee"}, "invalid_parameter_value", "first_call"),
        ({"contact": 971500000010}, "data_type_error", "contact"),
        ({"contact": "call me"}, "invalid_parameter_value", "contact"),
        ({"operator": "12"}, "invalid_parameter_value", "operator"),
        ({"virtual_phone_number": ""}, "invalid_parameter_value", "virtual_phone_number"),
        ({"dtmf_string": "12a"}, "invalid_parameter_value", "dtmf_string"),
        ({"operator_confirmation": "12"}, "invalid_parameter_value", "operator_confirmation"),
        ({"switch_at_once": "true"}, "data_type_error", "switch_at_once"),
        ({"virtual_phone_usage_rule": "any"}, "invalid_parameter_value", "virtual_phone_usage_rule"),
        ({"virtual_phone_usage_rule": "random"}, "component_disabled", "virtual_phone_usage_rule"),
        (
            {"contact_message": {"type": "song", "value": "1"}},
            "invalid_parameter_value",
            "contact_message.type",
        ),
        ({"contact_message": {"type": "tts"}}, "required_parameter_missed", "contact_message.value"),
        (
            {"early_switching": True, "switch_at_once": True},
            "invalid_parameters_combination",
            "early_switching",
        ),
        ({"employee": {"id": 1}}, "unexpected_parameters", "employee"),
    ],
)
async def test_simple_call_refused_before_the_switch(change: dict[str, Any], name: str, field: str) -> None:
    fakes = _fakes()
    answer = await fakes.ask(Api.CALL, "start.simple_call", {**SIMPLE, **change})
    assert (mnemonic(answer), answer["error"]["data"]["field"]) == (name, field)
    assert fakes.switch.commands == []
    assert fakes.accounts.used == 0


@pytest.mark.parametrize("missing", ["first_call", "virtual_phone_number", "contact", "employee"])
async def test_employee_call_wants_what_is_required(missing: str) -> None:
    sent = {name: value for name, value in EMPLOYEE.items() if name != missing}
    answer = await _fakes().ask(Api.CALL, "start.employee_call", sent)
    assert (mnemonic(answer), answer["error"]["data"]["field"]) == ("required_parameter_missed", missing)


async def test_employee_call_and_its_flat_form() -> None:
    fakes = _fakes(start_employee_call={"call_session_id": 78})
    flat = {"employee_id": "4001", "virtual_phone_number": "442079460100", "contact": "+971 50 000 0010"}
    assert mnemonic(await fakes.ask(Api.CALL, "start.employee_call", EMPLOYEE)) == "ok"
    assert mnemonic(await fakes.ask(Api.CALL, "start.employee_call", flat)) == "ok"
    (_, _, usual), (_, _, flat_params) = fakes.switch.commands
    assert {**flat_params, "api_request_id": 1} == usual
    both = {**EMPLOYEE, "employee_id": 4001}
    assert mnemonic(await fakes.ask(Api.CALL, "start.employee_call", both)) == "unexpected_parameters"
    bad_first = {**flat, "first_call": "operator"}
    assert mnemonic(await fakes.ask(Api.CALL, "start.employee_call", bad_first)) == "invalid_parameter_value"


@pytest.mark.parametrize(
    ("error", "reported"),
    [
        (
            LimitExceeded(
                "too long",
                mnemonic="tts_text_exceeded",
                params={"tts_message_max_length": 500, "sent_tts_message_length": 501},
            ),
            (
                -32602,
                "tts_text_exceeded",
                "The maximum length of a Text-to-Speech message is 500. The length of your message is 501",
            ),
        ),
        (
            NotFound("none", mnemonic="media_file_not_found", params={"media_file_id": 9}),
            (-32602, "media_file_not_found", "The media file with id 9 was not found"),
        ),
        (
            NotFound(
                "none",
                mnemonic="virtual_phone_number_not_found",
                params={"virtual_phone_number": "442079460100"},
            ),
            (
                -32007,
                "virtual_phone_number_not_found",
                "Virtual phone number 442079460100 not found. It is not your virtual phone number.",
            ),
        ),
        (
            NotFound("none", mnemonic="employee_not_found", params={"employee_id": 4001}),
            (-32602, "employee_not_found", "Employee with id 4001 not found. It is not your employee."),
        ),
        (
            NotFound("none", mnemonic="no_active_phone_number"),
            (-32602, "no_active_phone_number", "The phone number does not exist or is inactive"),
        ),
        (
            PermissionDenied("own", mnemonic="own_virtual_phone_number_not_allowed"),
            (
                -32602,
                "own_virtual_phone_number_not_allowed",
                "The contact parameter cannot contain your own virtual phone number",
            ),
        ),
        (
            PermissionDenied("black", mnemonic="contact_in_blacklist", params={"contact": "971500000010"}),
            (-32002, "contact_in_blacklist", "The contact 971500000010 has been found in the blacklist"),
        ),
        (PermissionDenied("international"), (-32003, "forbidden", "Permission denied")),
    ],
)
async def test_refusals_of_the_switch(error: Exception, reported: tuple[int, str, str]) -> None:
    fakes = _fakes(start_employee_call=error)
    answer = await fakes.ask(Api.CALL, "start.employee_call", EMPLOYEE)
    assert fault(answer) == reported
    assert fakes.accounts.used == 0


async def test_release_call() -> None:
    fakes = _fakes()
    answer = await fakes.ask(Api.CALL, "release.call", {"call_session_id": "28575639"})
    assert answer["result"]["data"] == {"success": "true"}
    assert fakes.switch.commands[0][1:] == (
        "release_call",
        {"call_session_id": 28575639, "user_id": 2001, "login": LOGIN, "api_request_id": 1},
    )
    fakes.switch.answers["release_call"] = NotFound(
        "gone", mnemonic="call_session_not_found", field="call_session_id", value=5
    )
    missing = await fakes.ask(Api.CALL, "release.call", {"call_session_id": 5})
    assert fault(missing) == (-32602, "call_session_not_found", "Call session not found")
    assert missing["error"]["data"]["value"] == 5
    as_text = await fakes.ask(Api.CALL, "release.call", {"call_session_id": "5"})
    assert as_text["error"]["data"]["value"] == "5", "the value is shown as it was sent"
    wrong = await fakes.ask(Api.CALL, "release.call", {"call_session_id": 0})
    assert mnemonic(wrong) == "invalid_parameter_value"


async def test_list_calls_passes_on_what_the_switch_wrote() -> None:
    fakes = _fakes(list_calls=[{"call_session_id": 206597836, "tags": []}])
    answer = await fakes.ask(
        Api.CALL, "list.calls", {"direction": "in", "virtual_phone_number": "+44 20 7946 0100"}
    )
    assert answer["result"]["data"] == [{"call_session_id": 206597836, "tags": []}]
    assert set(answer["result"]["metadata"]["limits"]) >= {"day_limit", "minute_remaining"}
    assert fakes.switch.commands[0][2]["time_zone"] == "Asia/Dubai"
    assert fakes.switch.commands[0][2]["virtual_phone_number"] == "442079460100"
    await fakes.ask(Api.CALL, "list.calls")
    assert "direction" not in fakes.switch.commands[1][2]
