"""Every error of every page: code, mnemonic, text, field, value and params, as the switch raises it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.apis.call_api.requests import COMMANDS, REQUESTS, SESSION
from tests.apis.support import TOKEN, ApisOnFakes, fault
from trunkline.apis.jsonrpc import Api
from trunkline.contract import load_facts
from trunkline.core.errors import Refused

TEXTS: dict[str, tuple[str, dict[str, Any]]] = {
    "tts_text_exceeded": (
        "The maximum length of a Text-to-Speech message is 500. The length of your message is 501",
        {"tts_message_max_length": 500, "sent_tts_message_length": 501},
    ),
    "media_file_not_found": ("The media file with id 9 was not found", {"media_file_id": 9}),
    "virtual_phone_number_not_found": (
        "Virtual phone number 442079460100 not found. It is not your virtual phone number.",
        {"virtual_phone_number": "442079460100"},
    ),
    "employee_not_found": (
        "Employee with id 4001 not found. It is not your employee.",
        {"employee_id": 4001},
    ),
    "no_active_phone_number": ("The phone number does not exist or is inactive", {}),
    "own_virtual_phone_number_not_allowed": (
        "The contact parameter cannot contain your own virtual phone number",
        {},
    ),
    "contact_in_blacklist": (
        "The contact 971500000010 has been found in the blacklist",
        {"contact": "971500000010"},
    ),
    "coach_not_found": ("The coach was not found in your settings", {}),
    "duplicate_contact": (
        "The contact with phone number 971500000010 already exists",
        {"contact_phone_number": "971500000010"},
    ),
    "invalid_state": ("This method cannot be called in this state", {}),
    "forbidden": ("Permission denied", {}),
    "call_session_not_found": ("Call session not found", {}),
    "talk_option_not_found": ("Talk option was not found", {}),
    "leg_not_found": ("The call leg was not found", {}),
    "record_already_started": ("The call recording is already started", {}),
    "record_already_stopped": ("The call recording is not enabled", {}),
    "tag_not_found": ("Tag with 254 was not found", {"tag_id": 254}),
    "duplicate_tag": ("Duplicate tag", {}),
}
SCENARIO_NOT_FOUND = {
    "start.scenario_call": ("Scenario with id 7001 was not found", {"scenario_id": 7001}),
    "start.vnumber_call": ("Virtual phone number does not have a scenario", {}),
}
AT_THE_DOOR = {"character_encoding_not_allowed", "internal_error"}

PAGE_ERRORS = [
    (page["method"], error["code"], error["mnemonic"])
    for page in load_facts()
    if page["api"] == Api.CALL
    for error in page["errors"]
]


@pytest.mark.parametrize(
    ("method", "code", "mnemonic"), [row for row in PAGE_ERRORS if row[2] not in AT_THE_DOOR]
)
async def test_an_error_of_the_switch(method: str, code: int, mnemonic: str) -> None:
    text, params = TEXTS[mnemonic] if mnemonic != "scenario_not_found" else SCENARIO_NOT_FOUND[method]
    field, value = next(iter(REQUESTS[method].items()))
    fakes = ApisOnFakes()
    fakes.switch.answers[COMMANDS[method][0]] = Refused(
        "in our own words", mnemonic=mnemonic, field=field, value=value, params=params
    )
    answer = await fakes.ask(Api.CALL, method, REQUESTS[method])
    assert fault(answer) == (code, mnemonic, text)
    data = answer["error"]["data"]
    assert (data["field"], data["value"], data["params"]) == (field, value, params)
    assert fakes.accounts.used == 0
    assert fakes.request_log.entries[0].error_mnemonic == mnemonic


@pytest.mark.parametrize(
    "method", [row[0] for row in PAGE_ERRORS if row[2] == "character_encoding_not_allowed"]
)
async def test_bytes_that_are_not_utf8(method: str) -> None:
    fakes = ApisOnFakes()
    message = {
        "jsonrpc": "2.0",
        "id": "req1",
        "method": method,
        "params": {**REQUESTS[method], "access_token": TOKEN, "external_id": "order"},
    }
    body = orjson.dumps(message).replace(b"order", b"\xff\xfe")
    answer = await fakes.send(Api.CALL, body)
    assert fault(answer) == (-32602, "character_encoding_not_allowed", "The character encoding must be UTF-8")
    assert fakes.switch.commands == []


@pytest.mark.parametrize("method", [row[0] for row in PAGE_ERRORS if row[2] == "internal_error"])
async def test_what_nobody_expected(method: str) -> None:
    fakes = ApisOnFakes()
    fakes.switch.answers[COMMANDS[method][0]] = RuntimeError("a mistake of ours")
    answer = await fakes.ask(Api.CALL, method, REQUESTS[method])
    assert fault(answer) == (-32603, "internal_error", "Internal error, contact the support service")
    assert "mistake" not in orjson.dumps(answer).decode()


@pytest.mark.parametrize(
    ("method", "name"),
    [
        (method, name)
        for method, sent in REQUESTS.items()
        if "call_session_id" in sent
        for name in ("call_session_not_found", "invalid_state")
        if (method, name) != ("release.call", "invalid_state")  # released in every state
    ],
)
async def test_a_call_that_is_not_there_or_not_ready(method: str, name: str) -> None:
    """Every method that acts on a call, whether its page lists the error or not."""
    fakes = ApisOnFakes()
    fakes.switch.answers[COMMANDS[method][0]] = Refused(
        "gone", mnemonic=name, field="call_session_id", value=SESSION
    )
    answer = await fakes.ask(Api.CALL, method, {**REQUESTS[method], "call_session_id": str(SESSION)})
    assert fault(answer)[1:] == (name, TEXTS[name][0])
    assert answer["error"]["data"]["value"] == str(SESSION)
    assert fakes.request_log.entries[0].call_session_id == SESSION
