"""``hold.call``, ``unhold.call``, ``make.call``, ``transfer.talk``, ``restore.talk``: the contact waits while the
operator speaks with a third party."""

from __future__ import annotations

import dataclasses
from typing import Any

from trunkline.apis.call_api import common, errors
from trunkline.apis.call_api.on_a_call import ON_A_CALL, call_method
from trunkline.apis.jsonrpc import Api, Form, Param, Params, ParamType
from trunkline.apis.jsonrpc.derive import param_for

_TO = Param(
    "to",
    ParamType.STRING,
    required=True,
    convert=common.any_number,
    description="Whom to call: a short number, an employee's number, a SIP line, or an E.164 number.",
)
_CONTACT = dataclasses.replace(_TO, name="contact")
_TO_MESSAGE = common.message_override("to_message")


def _to_of_contact(params: Params) -> dict[str, Any]:
    return {"to" if name == "contact" else name: value for name, value in params.items()}


_MAKE_CALL_TO_CONTACT = Form(
    description="contact in place of to.",
    applies=lambda sent: "contact" in sent and "to" not in sent,
    params=(*ON_A_CALL, _CONTACT, param_for(Api.CALL, "make.call", _TO_MESSAGE)),
    rewrite=_to_of_contact,
    fields={"to": "contact"},
)

_BLIND_TRANSFER = Form(
    description="With contact, in a talk: a blind transfer. The contact is put on hold, the number is called, the operator"
    " is hung up at once, and the contact is connected when the third party answers.",
    applies=lambda sent: "contact" in sent,
    params=(*ON_A_CALL, _CONTACT),
    rewrite=lambda params: params,
    fields={"to": "contact"},
)

METHODS = (
    call_method(
        "hold.call",
        "Puts the contact on hold: it hears the message, then music.",
        common.message_override("contact_message", "Played to the contact before the music of the hold."),
        errors=(errors.INVALID_STATE, *errors.MESSAGE_ERRORS),
    ),
    call_method(
        "unhold.call",
        "Takes the contact back from hold.",
        errors=(errors.INVALID_STATE,),
    ),
    call_method(
        "make.call",
        "Calls a third party, for advice or to hand the contact over.",
        _TO,
        _TO_MESSAGE,
        errors=(errors.INVALID_STATE, errors.NO_ACTIVE_PHONE_NUMBER, *errors.MESSAGE_ERRORS),
        forms=(_MAKE_CALL_TO_CONTACT,),
    ),
    call_method(
        "transfer.talk",
        "Hands the contact over to the third party.",
        errors=(errors.INVALID_STATE, errors.NO_ACTIVE_PHONE_NUMBER),
        forms=(_BLIND_TRANSFER,),
    ),
    call_method(
        "restore.talk",
        "Brings contact and operator together again, without the third party.",
        errors=(errors.INVALID_STATE,),
    ),
)
