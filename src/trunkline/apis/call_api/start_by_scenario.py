"""``start.scenario_call``, ``start.vnumber_call`` and ``start.informer_call``: what happens after the answer is
written down already, in a scenario or in a message."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from trunkline.apis.call_api import common, errors, starting
from trunkline.apis.call_api.components import BASE, INFORMER, SCENARIO
from trunkline.apis.jsonrpc import (
    ACCESS_TOKEN,
    Form,
    Param,
    Params,
    ParamType,
)

_SHOW_VIRTUAL_PHONE_NUMBER = dataclasses.replace(
    common.SHOW_VIRTUAL_PHONE_NUMBER,
    default=None,
    description="Show the virtual number to our own side; else as the scenario says.",
)

_SCENARIO_ID = Param(
    "scenario_id",
    ParamType.NUMBER,
    required=True,
    minimum=1,
    description="The scenario the contact goes through.",
)

_SCENARIO_CALL_PARAMS = (
    common.VIRTUAL_PHONE_NUMBER,
    common.USAGE_RULE,
    common.EXTERNAL_ID,
    common.DTMF_STRING,
    common.CONTACT,
    common.FIRST_CALL,
    common.SWITCH_AT_ONCE,
    common.EARLY_SWITCHING,
    common.MEDIA_FILE_ID,
    _SCENARIO_ID,
    common.DIRECTION,
    common.message("contact_message"),
    common.message("employee_message"),
)

_VNUMBER_CALL_PARAMS = (
    common.VIRTUAL_PHONE_NUMBER,
    common.USAGE_RULE,
    _SHOW_VIRTUAL_PHONE_NUMBER,
    common.EXTERNAL_ID,
    common.DTMF_STRING,
    common.DIRECTION,
    common.CONTACT,
    common.FIRST_CALL,
    common.SWITCH_AT_ONCE,
    common.EARLY_SWITCHING,
    common.MEDIA_FILE_ID,
    common.message("contact_message"),
)

_INFORMER_CALL_PARAMS = (
    common.VIRTUAL_PHONE_NUMBER,
    common.USAGE_RULE,
    common.EXTERNAL_ID,
    common.DTMF_STRING,
    common.DIRECTION,
    common.CONTACT,
    Param(
        "dialing_timeout",
        ParamType.NUMBER,
        minimum=1,
        maximum=120,
        default=30,
        description="Seconds to wait for the contact's answer.",
    ),
    common.message("contact_message", required=True),
)

_OPTIONAL_NUMBER = dataclasses.replace(
    common.VIRTUAL_PHONE_NUMBER, required=False, description="Unless sent, the account's default number."
)


def _from_default_number(params: Params) -> dict[str, Any]:
    """None asks the switch for the account's default number."""
    return {"virtual_phone_number": None, **starting.CONTACT_FIRST, **params}


def _informer_of_file(params: Params) -> dict[str, Any]:
    rest = {name: value for name, value in params.items() if name != "media_file_id"}
    message = {"type": "media", "value": str(params["media_file_id"])}
    return {"virtual_phone_number": None, **rest, "contact_message": message}


def _with(params: tuple[Param, ...], changes: Mapping[str, Param]) -> tuple[Param, ...]:
    return tuple(changes.get(param.name, param) for param in params)


_SCENARIO_FROM_DEFAULT_NUMBER = Form(
    description="Neither first_call nor virtual_phone_number: the contact is called first, from the account's"
    " default number.",
    applies=lambda sent: "first_call" not in sent and "virtual_phone_number" not in sent,
    params=(
        ACCESS_TOKEN,
        *(
            param
            for param in _SCENARIO_CALL_PARAMS
            if param.name not in ("first_call", "virtual_phone_number")
        ),
    ),
    rewrite=_from_default_number,
)

_VNUMBER_ALONE = Form(
    description="contact and virtual_phone_number alone: the contact is called first.",
    applies=lambda sent: set(sent) - {"access_token"} == {"contact", "virtual_phone_number"},
    params=(ACCESS_TOKEN, common.VIRTUAL_PHONE_NUMBER, common.CONTACT),
    rewrite=lambda params: {**params, **starting.CONTACT_FIRST},
)

_INFORMER_OF_FILE = Form(
    description="media_file_id in place of contact_message; from the account's default number by default.",
    applies=lambda sent: "media_file_id" in sent and "contact_message" not in sent,
    params=_with(
        (ACCESS_TOKEN, *_INFORMER_CALL_PARAMS),
        {
            "virtual_phone_number": _OPTIONAL_NUMBER,
            "contact_message": dataclasses.replace(
                common.MEDIA_FILE_ID, required=True, description="What is played to the contact."
            ),
        },
    ),
    rewrite=_informer_of_file,
    fields={"contact_message.value": "media_file_id"},
)


_ERRORS = (
    *errors.MESSAGE_ERRORS,
    errors.VIRTUAL_PHONE_NUMBER_NOT_FOUND,
    errors.OWN_VIRTUAL_PHONE_NUMBER_NOT_ALLOWED,
    errors.CONTACT_IN_BLACKLIST_PARAMETER,
)

METHODS = (
    starting.start_method(
        "start.scenario_call",
        "Calls a contact and leads it through a scenario.",
        _SCENARIO_CALL_PARAMS,
        components=(SCENARIO,),
        errors=(*_ERRORS, errors.SCENARIO_NOT_FOUND),
        form=_SCENARIO_FROM_DEFAULT_NUMBER,
    ),
    starting.start_method(
        "start.vnumber_call",
        "Calls a contact and leads it through the scenario of a virtual number.",
        _VNUMBER_CALL_PARAMS,
        components=(BASE,),
        errors=(*_ERRORS, errors.NUMBER_WITHOUT_SCENARIO),
        form=_VNUMBER_ALONE,
    ),
    starting.start_method(
        "start.informer_call",
        "Calls a contact, plays a message and hangs up.",
        _INFORMER_CALL_PARAMS,
        components=(INFORMER,),
        errors=_ERRORS,
        form=_INFORMER_OF_FILE,
    ),
)
