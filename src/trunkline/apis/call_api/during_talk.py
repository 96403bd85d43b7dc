"""What can be done to a talk without moving anybody: keys, a tag, recording, a coach, the blacklist; and one party
taken out of it."""

from __future__ import annotations

from trunkline.apis.call_api import common, errors
from trunkline.apis.call_api.on_a_call import call_method
from trunkline.apis.jsonrpc import Param, Params, ParamType, RequestContext
from trunkline.apis.jsonrpc.derive import override
from trunkline.core.errors import Refused
from trunkline.directory.blacklist.changes import block_digits


async def _add_coach(request: RequestContext, params: Params) -> None:
    await common.command(request, "add_coach", {"phone_number": None, **params})


async def _block_contact(request: RequestContext, params: Params) -> None:
    """The switch has the number and its loaded directory; the table determines whether the number is already blocked."""
    number = (await common.command(request, "block_contact", params))["contact_phone_number"]
    comment = f"{request.caller.login}, call {params['call_session_id']}"
    if (
        await block_digits(request.services.db, request.account_id, request.caller.user_id, number, comment)
        is None
    ):
        raise Refused(
            f"{number} is in the blacklist already",
            mnemonic="duplicate_contact",
            field="call_session_id",
            value=params["call_session_id"],
            params={"contact_phone_number": number},
        )


METHODS = (
    call_method(
        "disconnect.leg",
        "Takes one party out of a call.",
        override("leg_id", minimum=1, description="The party, as in list.calls."),
        errors=(errors.LEG_NOT_FOUND, errors.INVALID_STATE),
    ),
    call_method(
        "send.dtmf",
        "Sends a key to the contact, or calls the talk option of that key.",
        override("dtmf_string", pattern=r"[0-9*#]", description="One key."),
        errors=(errors.INVALID_STATE, *errors.TALK_OPTION_ERRORS),
    ),
    call_method(
        "tag.call",
        "Puts a tag on a live call.",
        override("tag_id", minimum=1, description="The tag."),
        errors=(errors.TAG_NOT_FOUND, errors.DUPLICATE_TAG, errors.INVALID_STATE),
    ),
    call_method(
        "record.call",
        "Switches the recording of a live call on or off.",
        override("action"),
        errors=(
            errors.FORBIDDEN,
            errors.RECORD_ALREADY_STARTED,
            errors.RECORD_ALREADY_STOPPED,
            errors.INVALID_STATE,
        ),
    ),
    call_method(
        "add.coach",
        "Calls a coach into a talk.",
        override(
            "phone_number",
            convert=common.any_number,
            description="The coach's number; else the coach in the employee's settings.",
        ),
        Param(
            "mode",
            ParamType.STRING,
            enum=("whisper", "listen", "barge"),
            default="whisper",
            description="Of our own: the coach is heard by the employee alone, by nobody, or by both.",
        ),
        errors=(errors.COACH_NOT_FOUND, errors.NO_ACTIVE_PHONE_NUMBER, errors.INVALID_STATE),
        do=_add_coach,
    ),
    call_method(
        "block.contact",
        "Puts the contact of a live call on the blacklist; the call goes on.",
        errors=(errors.DUPLICATE_CONTACT, errors.INVALID_STATE),
        do=_block_contact,
    ),
)
