"""Every method: the command that reaches the switch, the answer, and the looser forms of asking."""

from __future__ import annotations

from typing import Any

import pytest

from tests.apis.call_api.requests import ANSWERS, COMMANDS, CONTACT, NUMBER, REQUESTS, SESSION, WHO
from tests.apis.support import ApisOnFakes, mnemonic
from trunkline.apis.catalogue import CALL_API
from trunkline.apis.jsonrpc import Api
from trunkline.calls.command_names import CHECK
from trunkline.contract import load_facts
from trunkline.core.errors import InvalidInput, LimitExceeded, Unavailable

PAGES = {page["method"]: page for page in load_facts() if page["api"] == Api.CALL}
NEEDS_DATABASE = {"block.contact"}


def _fakes() -> ApisOnFakes:
    fakes = ApisOnFakes()
    fakes.switch.answers = dict(ANSWERS)
    return fakes


def test_requests_cover_the_api() -> None:
    assert set(REQUESTS) == set(COMMANDS) == set(PAGES) - {"login.user", "logout.user"}


@pytest.mark.parametrize("method", sorted(set(REQUESTS) - NEEDS_DATABASE))
async def test_the_command_and_the_answer(method: str) -> None:
    fakes = _fakes()
    answer = await fakes.ask(Api.CALL, method, REQUESTS[method])
    assert mnemonic(answer) == "ok"
    name, params = COMMANDS[method]
    assert fakes.switch.commands == [(1001, name, {**params, **WHO})]
    data = answer["result"]["data"]
    if method.startswith("start."):
        assert data == {"call_session_id": SESSION}
    elif method.startswith("list."):
        assert data == []
    else:
        assert data == {"success": "true"}
    assert fakes.request_log.entries[0].call_session_id == (None if method.startswith("list.") else SESSION)


@pytest.mark.parametrize(
    ("method", "param"),
    [
        (method, row["name"])
        for method, page in PAGES.items()
        for row in page["params"]
        if row["required"] is True and "." not in row["name"] and method != "login.user"
    ],
)
async def test_a_missing_required_parameter_is_reported(method: str, param: str) -> None:
    fakes = _fakes()
    # With an optional parameter, no further form applies.
    sent = {**REQUESTS.get(method, {}), **({"external_id": "17"} if method.startswith("start.") else {})}
    sent.pop(param, None)
    token = None if param == "access_token" else "good-token"
    answer = await fakes.ask(Api.CALL, method, sent, token=token)
    assert (mnemonic(answer), answer["error"]["data"]["field"]) == ("required_parameter_missed", param)
    assert fakes.switch.commands == []
    assert fakes.accounts.used == 0


@pytest.mark.parametrize(
    ("method", "component"),
    [
        ("start.scenario_call", "Call API Call scenario"),
        ("start.informer_call", "Call API Informer calls"),
        ("start.vnumber_call", "Call API Basic set"),
        ("release.call", "Call API Basic set"),
        *(
            (name, "Call API Call management")
            for name in sorted(REQUESTS)
            if "start." not in name and name != "release.call"
        ),
    ],
)
async def test_component_of_each_method(method: str, component: str) -> None:
    fakes = _fakes()
    declared = CALL_API.find(method)
    assert declared is not None
    caller = fakes.accounts.callers["good-token"]
    fakes.accounts.allow(components=caller.components - {declared.components[0].name})  # type: ignore[union-attr]
    answer = await fakes.ask(Api.CALL, method, REQUESTS[method])
    assert answer["error"]["message"] == f"Component {component} has been disabled"
    assert fakes.switch.commands == []


_THROUGH = {
    "virtual_phone_number": NUMBER,
    "contact": CONTACT,
    "first_call": "contact",
    "switch_at_once": False,
    "early_switching": False,
    "virtual_phone_usage_rule": "fixed",
    "direction": "in",
}


@pytest.mark.parametrize(
    ("method", "sent", "command", "params"),
    [
        (
            "start.simple_call",
            {"contact": "+971 50 000-0010", "virtual_phone_number": "+44 20 7946 0100"},
            "start_vnumber_call",
            _THROUGH,
        ),
        (
            "start.vnumber_call",
            {"contact": CONTACT, "virtual_phone_number": NUMBER},
            "start_vnumber_call",
            _THROUGH,
        ),
        (
            "start.scenario_call",
            {"contact": CONTACT, "scenario_id": "7001"},
            "start_scenario_call",
            {**_THROUGH, "virtual_phone_number": None, "scenario_id": 7001},
        ),
        (
            "start.informer_call",
            {"contact": CONTACT, "media_file_id": 2501},
            "start_informer_call",
            {
                "virtual_phone_number": None,
                "virtual_phone_usage_rule": "fixed",
                "direction": "in",
                "contact": CONTACT,
                "dialing_timeout": 30,
                "contact_message": {"type": "media", "value": "2501"},
            },
        ),
        (
            "make.call",
            {"call_session_id": str(SESSION), "contact": "+1 202-555-0111"},
            "make_call",
            {"call_session_id": SESSION, "to": "12025550111"},
        ),
        (
            "transfer.talk",
            {"call_session_id": str(SESSION), "contact": "102"},
            "transfer_talk",
            {"call_session_id": SESSION, "contact": "102"},
        ),
    ],
)
async def test_looser_forms(method: str, sent: dict[str, Any], command: str, params: dict[str, Any]) -> None:
    fakes = _fakes()
    assert mnemonic(await fakes.ask(Api.CALL, method, sent)) == "ok"
    assert fakes.switch.commands == [(1001, command, {**params, **WHO})]


@pytest.mark.parametrize(
    ("method", "sent", "raised_at", "reported_at"),
    [
        ("make.call", {"call_session_id": SESSION, "contact": "102"}, "to", "contact"),
        ("make.call", {"call_session_id": SESSION, "to": "102"}, "to", "to"),
        ("transfer.talk", {"call_session_id": SESSION, "contact": "102"}, "to", "contact"),
        (
            "start.employee_call",
            {"employee_id": "4001", "virtual_phone_number": NUMBER, "contact": CONTACT},
            "employee.id",
            "employee_id",
        ),
        (
            "start.informer_call",
            {"media_file_id": "9", "contact": CONTACT},
            "contact_message.value",
            "media_file_id",
        ),
    ],
)
async def test_errors_name_what_the_client_sent(
    method: str, sent: dict[str, Any], raised_at: str, reported_at: str
) -> None:
    fakes = _fakes()
    fakes.switch.answers[COMMANDS[method][0]] = InvalidInput("no", field=raised_at, value="converted")
    data = (await fakes.ask(Api.CALL, method, sent))["error"]["data"]
    assert (data["field"], data["value"]) == (reported_at, sent[reported_at])


@pytest.mark.parametrize(
    ("method", "change", "name", "field"),
    [
        ("send.dtmf", {"dtmf_string": "12"}, "invalid_parameter_value", "dtmf_string"),
        ("send.dtmf", {"dtmf_string": "A"}, "invalid_parameter_value", "dtmf_string"),
        ("record.call", {"action": "pause"}, "invalid_parameter_value", "action"),
        ("add.coach", {"mode": "shout"}, "invalid_parameter_value", "mode"),
        ("add.coach", {"phone_number": "nobody"}, "invalid_parameter_value", "phone_number"),
        ("make.call", {"to": "x"}, "invalid_parameter_value", "to"),
        ("make.call", {"contact": "102"}, "unexpected_parameters", "contact"),
        ("disconnect.leg", {"leg_id": True}, "data_type_error", "leg_id"),
        ("start.informer_call", {"dialing_timeout": 121}, "invalid_parameter_value", "dialing_timeout"),
        ("start.informer_call", {"dialing_timeout": 0}, "invalid_parameter_value", "dialing_timeout"),
        ("start.informer_call", {"media_file_id": 1}, "unexpected_parameters", "media_file_id"),
        ("start.scenario_call", {"first_call": "operator"}, "invalid_parameter_value", "first_call"),
        (
            "start.scenario_call",
            {"virtual_phone_usage_rule": "random"},
            "component_disabled",
            "virtual_phone_usage_rule",
        ),
        (
            "start.vnumber_call",
            {"switch_at_once": True, "early_switching": True},
            "invalid_parameters_combination",
            "early_switching",
        ),
        (
            "hold.call",
            {"contact_message": {"type": "media"}},
            "required_parameter_missed",
            "contact_message.value",
        ),
        ("unhold.call", {"call_session_id": "12x"}, "data_type_error", "call_session_id"),
    ],
)
async def test_refused_at_the_door(method: str, change: dict[str, Any], name: str, field: str) -> None:
    fakes = _fakes()
    answer = await fakes.ask(Api.CALL, method, {**REQUESTS[method], **change})
    assert (mnemonic(answer), answer["error"]["data"]["field"]) == (name, field)
    assert fakes.switch.commands == []
    assert fakes.voice.said == []


async def test_what_pages_contradict_is_taken() -> None:
    fakes = _fakes()
    sent = {**REQUESTS["start.vnumber_call"], "show_virtual_phone_number": False, "media_file_id": 2501}
    assert mnemonic(await fakes.ask(Api.CALL, "start.vnumber_call", sent)) == "ok"
    params = fakes.switch.commands[0][2]
    assert (params["show_virtual_phone_number"], params["media_file_id"]) == (False, 2501)


async def test_talk_options_have_every_field() -> None:
    fakes = _fakes()
    fakes.switch.answers["list_talk_options"] = {
        "options": [
            {
                "button": "1",
                "mnemonic": "tag_call",
                "name": "Hot",
                "button_value": {"id": 254, "value": "Hot lead"},
            },
            {"button": "2", "mnemonic": "record_talk", "name": "Record", "secret": "x"},
        ]
    }
    answer = await fakes.ask(Api.CALL, "list.talk_options")
    assert answer["result"]["data"] == [
        {
            "button": "1",
            "mnemonic": "tag_call",
            "name": "Hot",
            "button_value": {"id": 254, "value": "Hot lead"},
        },
        {"button": "2", "mnemonic": "record_talk", "name": "Record", "button_value": {}},
    ]


_TEXT = {"type": "tts", "value": "Please hold the line."}

WITH_MESSAGE = [
    ("start.simple_call", "contact_message"),
    ("start.simple_call", "operator_message"),
    ("start.employee_call", "contact_message"),
    ("start.employee_call", "employee_message"),
    ("start.scenario_call", "contact_message"),
    ("start.scenario_call", "employee_message"),
    ("start.vnumber_call", "contact_message"),
    ("start.informer_call", "contact_message"),
    ("hold.call", "contact_message"),
    ("make.call", "to_message"),
]


@pytest.mark.parametrize(("method", "name"), WITH_MESSAGE)
async def test_texts_are_spoken_before_the_switch_is_asked(method: str, name: str) -> None:
    fakes = _fakes()
    assert mnemonic(await fakes.ask(Api.CALL, method, {**REQUESTS[method], name: _TEXT})) == "ok"
    assert fakes.voice.said == [(_TEXT["value"], "en")]
    message = fakes.switch.commands[0][2][name]
    assert message == {**_TEXT, "file": await fakes.voice.file_of(_TEXT["value"], "en")}


@pytest.mark.parametrize(("method", "name"), WITH_MESSAGE)
async def test_a_text_too_long_is_neither_spoken_nor_dialled(method: str, name: str) -> None:
    fakes = _fakes()
    fakes.accounts.tts_limit = 20
    answer = await fakes.ask(Api.CALL, method, {**REQUESTS[method], name: _TEXT})
    error = answer["error"]
    assert (error["code"], error["message"]) == (
        -32602,
        "The maximum length of a Text-to-Speech message is 20. The length of your message is 21",
    )
    assert error["data"]["mnemonic"] == "tts_text_exceeded"
    assert (error["data"]["field"], error["data"]["value"]) == (f"{name}.value", _TEXT["value"])
    assert error["data"]["params"] == {"tts_message_max_length": 20, "sent_tts_message_length": 21}
    assert (fakes.voice.said, fakes.switch.commands, fakes.accounts.used) == ([], [], 0)


@pytest.mark.parametrize(("method", "name"), WITH_MESSAGE)
async def test_nothing_is_spoken_for_a_command_that_the_switch_would_refuse(method: str, name: str) -> None:
    fakes = _fakes()
    fakes.switch.answers[CHECK] = LimitExceeded("too many calls", params={"limit_type": "calls_per_minute"})
    answer = await fakes.ask(Api.CALL, method, {**REQUESTS[method], name: _TEXT})
    assert mnemonic(answer) == "limit_exceeded"
    assert (fakes.voice.said, fakes.switch.commands) == ([], [])
    [(_, _, params)] = fakes.switch.checks
    assert params["command"] == COMMANDS[method][0]
    assert params[name] == {**_TEXT, "file": ""}


async def test_a_command_without_a_text_is_sent_at_once() -> None:
    fakes = _fakes()
    await fakes.ask(Api.CALL, "start.simple_call", REQUESTS["start.simple_call"])
    assert fakes.switch.checks == []


async def test_a_text_that_no_voice_can_say() -> None:
    fakes = _fakes()
    fakes.voice.fails = InvalidInput("There is nothing to say", field="text", value="...")
    answer = await fakes.ask(Api.CALL, "hold.call", {**REQUESTS["hold.call"], "contact_message": _TEXT})
    assert (mnemonic(answer), answer["error"]["data"]["field"]) == (
        "invalid_parameter_value",
        "contact_message.value",
    )
    fakes.voice.fails = Unavailable("The synthesiser is away")
    away = await fakes.ask(Api.CALL, "hold.call", {**REQUESTS["hold.call"], "contact_message": _TEXT})
    assert mnemonic(away) == "internal_error"
    assert fakes.switch.commands == []
