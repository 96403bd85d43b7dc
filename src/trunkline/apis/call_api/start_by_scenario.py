"""``start.scenario_call``, ``start.vnumber_call`` and ``start.informer_call``: what happens after the answer is
written down already, in a scenario or in a message."""

from __future__ import annotations

import dataclasses
from typing import Any

from trunkline.apis.call_api import common, errors, starting
from trunkline.apis.call_api.components import BASE, INFORMER, SCENARIO
from trunkline.apis.jsonrpc import Form, Param, Params, ParamType
from trunkline.apis.jsonrpc.derive import override
from trunkline.calls.command_names import INFORMER_RING_SECONDS

_SCENARIO_CALL_PARAMS = starting.start_params(
    "start.scenario_call",
    override("scenario_id", minimum=1, description="The scenario the contact goes through."),
    common.MEDIA_FILE_ID,
)

_VNUMBER_CALL_PARAMS = starting.start_params(
    "start.vnumber_call",
    Param(
        "show_virtual_phone_number",
        ParamType.BOOLEAN,
        description="Show the virtual number to the operator's side; else as the scenario says.",
    ),
    common.MEDIA_FILE_ID,
)

_INFORMER_CALL_PARAMS = starting.start_params(
    "start.informer_call",
    override(
        "dialing_timeout",
        minimum=1,
        maximum=120,
        default=INFORMER_RING_SECONDS,
        description="Seconds to wait for the contact's answer.",
    ),
)


def _from_default_number(params: Params) -> dict[str, Any]:
    """None asks the switch for the account's default number."""
    return {"virtual_phone_number": None, **starting.CONTACT_FIRST, **params}


def _informer_of_file(params: Params) -> dict[str, Any]:
    rest = {name: value for name, value in params.items() if name != "media_file_id"}
    message = {"type": "media", "value": str(params["media_file_id"])}
    return {"virtual_phone_number": None, **rest, "contact_message": message}


def _of_file(param: Param) -> Param:
    """The parameter in the form with a media file in place of the message."""
    match param.name:
        case "virtual_phone_number":
            return dataclasses.replace(
                param, required=False, description="Unless sent, the account's default number."
            )
        case "contact_message":
            return dataclasses.replace(
                common.MEDIA_FILE_ID, required=True, description="What is played to the contact."
            )
    return param


_SCENARIO_FROM_DEFAULT_NUMBER = Form(
    description="Neither first_call nor virtual_phone_number: the contact is called first, from the account's"
    " default number.",
    applies=lambda sent: "first_call" not in sent and "virtual_phone_number" not in sent,
    params=starting.without(_SCENARIO_CALL_PARAMS, "first_call", "virtual_phone_number"),
    rewrite=_from_default_number,
)

_VNUMBER_ALONE = Form(
    description="contact and virtual_phone_number alone: the contact is called first.",
    applies=lambda sent: set(sent) - {"access_token"} == {"contact", "virtual_phone_number"},
    params=starting.some_of(_VNUMBER_CALL_PARAMS, "access_token", "virtual_phone_number", "contact"),
    rewrite=lambda params: {**params, **starting.CONTACT_FIRST},
)

_INFORMER_OF_FILE = Form(
    description="media_file_id in place of contact_message; from the account's default number by default.",
    applies=lambda sent: "media_file_id" in sent and "contact_message" not in sent,
    params=tuple(_of_file(param) for param in _INFORMER_CALL_PARAMS),
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
