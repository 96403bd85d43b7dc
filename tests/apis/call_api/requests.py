"""A good request for every method of the Call API, as its page has it, and what reaches the switch."""

from __future__ import annotations

from typing import Any

from tests.apis.support import LOGIN

NUMBER = "442079460100"
CONTACT = "971500000010"
SESSION = 206597836

_START = {"virtual_phone_number": NUMBER, "contact": CONTACT}
_STARTED = {
    "switch_at_once": False,
    "early_switching": False,
    "virtual_phone_usage_rule": "fixed",
    "direction": "in",
}
_MEDIA = {"type": "media", "value": "2501"}
_CALL = {"call_session_id": SESSION}

REQUESTS: dict[str, dict[str, Any]] = {
    "start.simple_call": {**_START, "first_call": "operator", "operator": "12025550111"},
    "start.employee_call": {**_START, "first_call": "employee", "employee": {"id": 4001}},
    "start.scenario_call": {**_START, "first_call": "contact", "scenario_id": 7001},
    "start.vnumber_call": {**_START, "first_call": "employee"},
    "start.informer_call": {**_START, "contact_message": _MEDIA},
    "release.call": _CALL,
    "list.calls": {},
    "hold.call": {**_CALL, "contact_message": _MEDIA},
    "unhold.call": _CALL,
    "make.call": {**_CALL, "to": "101"},
    "transfer.talk": _CALL,
    "restore.talk": _CALL,
    "disconnect.leg": {**_CALL, "leg_id": 31},
    "send.dtmf": {**_CALL, "dtmf_string": "#"},
    "tag.call": {**_CALL, "tag_id": 254},
    "record.call": {**_CALL, "action": "on"},
    "add.coach": _CALL,
    "block.contact": _CALL,
    "list.talk_options": {},
    "call.talk_option": {**_CALL, "button": "1"},
}
"""Without the token: what the page requires, and nothing else."""

COMMANDS: dict[str, tuple[str, dict[str, Any]]] = {
    "start.simple_call": (
        "start_simple_call",
        {**REQUESTS["start.simple_call"], **_STARTED, "show_virtual_phone_number": True},
    ),
    "start.employee_call": (
        "start_employee_call",
        {**REQUESTS["start.employee_call"], **_STARTED, "show_virtual_phone_number": True},
    ),
    "start.scenario_call": ("start_scenario_call", {**REQUESTS["start.scenario_call"], **_STARTED}),
    "start.vnumber_call": ("start_vnumber_call", {**REQUESTS["start.vnumber_call"], **_STARTED}),
    "start.informer_call": (
        "start_informer_call",
        {
            **REQUESTS["start.informer_call"],
            "virtual_phone_usage_rule": "fixed",
            "direction": "in",
            "dialing_timeout": 30,
        },
    ),
    "list.calls": ("list_calls", {**REQUESTS["list.calls"], "time_zone": "Asia/Dubai"}),
    "add.coach": ("add_coach", {**_CALL, "phone_number": None, "mode": "whisper"}),
    **{
        name: (name.replace(".", "_"), REQUESTS[name])
        for name in (
            "release.call",
            "hold.call",
            "unhold.call",
            "make.call",
            "transfer.talk",
            "restore.talk",
            "disconnect.leg",
            "send.dtmf",
            "tag.call",
            "record.call",
            "block.contact",
            "list.talk_options",
            "call.talk_option",
        )
    },
}
"""The command of each of these requests and its parameters, without who asks."""

ANSWERS: dict[str, Any] = {
    **{name: {"call_session_id": SESSION} for name, _ in COMMANDS.values() if name.startswith("start_")},
    "list_calls": [],
    "list_talk_options": {"options": []},
    "block_contact": {"contact_phone_number": CONTACT},
}
"""Responses of a switch to commands with a result."""

WHO = {"user_id": 2001, "login": LOGIN, "api_request_id": 1}
"""Who asks, in every command."""
