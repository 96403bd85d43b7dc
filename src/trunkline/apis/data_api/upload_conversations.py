"""Uploads other than calls: chats, offline messages with their user fields, e-mails, visits; and their deletions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from trunkline.apis.data_api.change_methods import ID, Do, change_method
from trunkline.apis.data_api.lists import list_method, titled
from trunkline.apis.data_api.uploads import check_size
from trunkline.apis.jsonrpc import Envelope, Field, FieldType, Param, Params, ParamType, RequestContext
from trunkline.db.pool import Database
from trunkline.uploads import chats, emails, offline_messages, sessions
from trunkline.uploads.listings import USER_FIELDS

_STRING, _NUMBER, _BOOLEAN = ParamType.STRING, ParamType.NUMBER, ParamType.BOOLEAN
_MOMENT, _ENUM, _ARRAY = ParamType.ISO8601, ParamType.ENUM, ParamType.ARRAY
_SHORT, _LONG = 255, 4096
_BODY = 200_000

_Keep = Callable[[Database, int, ZoneInfo, Sequence[Mapping[str, Any]]], Awaitable[list[int]]]


def _uploads(field: str, keep: _Keep) -> Do:
    """Keeps the things of one request; answers with their ids."""

    async def do(request: RequestContext, params: Params) -> list[dict[str, int]]:
        check_size(params.get(field), field)
        things = params.get(field)
        if things is None:
            return []
        ids = await keep(request.services.db, request.account_id, request.caller.time_zone, things)
        return [{"id": id_} for id_ in ids]

    return do


async def _upload_sessions(request: RequestContext, params: Params) -> list[dict[str, Any]]:
    check_size(params["sessions"], "sessions")
    return await sessions.upload_sessions(
        request.services.db, request.account_id, request.caller.time_zone, params["sessions"]
    )


def _deletes(delete: Callable[[Database, int, int], Awaitable[None]]) -> Do:
    async def do(request: RequestContext, params: Params) -> dict[str, bool]:
        await delete(request.services.db, request.account_id, params["id"])
        return {"success": True}

    return do


async def _create_field(request: RequestContext, params: Params) -> dict[str, str]:
    return {
        "ext_id": await offline_messages.create_user_field(
            request.services.db, request.account_id, params["ext_id"], params["name"], params["data_type"]
        )
    }


async def _rename_field(request: RequestContext, params: Params) -> dict[str, str]:
    return {
        "ext_id": await offline_messages.rename_user_field(
            request.services.db, request.account_id, params["ext_id"], params["name"]
        )
    }


async def _delete_field(request: RequestContext, params: Params) -> None:
    await offline_messages.delete_user_field(request.services.db, request.account_id, params["ext_id"])


_MADE_IDS = (Field("id", FieldType.NUMBER, filterable=True, description="Number of what was made."),)
_SUCCESS = (Field("success", FieldType.BOOLEAN),)
_EXT_ID = Param("ext_id", _STRING, required=True, maximum=_SHORT)
_NAME = Param("name", _STRING, required=True, maximum=_SHORT)

_CHAT = (
    Param("start_date_time", _MOMENT, required=True),
    Param("name", _STRING, maximum=_SHORT, description="Of the visitor; only the reference's sample has it."),
    Param("phone", _STRING),
    Param("email", _STRING),
    Param("status", _ENUM, required=True, enum=("lost", "succeeded", "succeed", "refused")),
    Param("initiator", _ENUM, enum=("operator", "visitor", "autoinvite")),
    Param("visitor_session_id", _NUMBER),
    Param("campaign_id", _NUMBER),
    Param("source_id", _NUMBER),
    Param("site_id", _NUMBER),
    Param(
        "messages",
        _ARRAY,
        required=True,
        params=(
            Param("date_time", _MOMENT, required=True),
            Param("source", _ENUM, required=True, enum=("operator", "visitor", "system")),
            Param("employee_id", _NUMBER, description="Needed when an operator wrote it."),
            Param("message", _STRING, required=True, maximum=_BODY),
        ),
    ),
    Param("ext_id", _STRING, maximum=_SHORT),
)

_OFFLINE_MESSAGE = (
    # The reference describes the time as required but also defines its default: so it is optional. One of the two other
    # is always there.
    Param("date_time", _MOMENT, required=True, unless=("phone", "email"), description="Now, unless sent."),
    Param("name", _STRING, maximum=_SHORT, description="Of the visitor; only the reference's sample has it."),
    Param("phone", _STRING, required=True, unless=("email",)),
    Param("email", _STRING, required=True, unless=("phone",)),
    Param("message", _STRING, maximum=_BODY),
    Param("visitor_session_id", _NUMBER, required=True, unless=("campaign_id", "site_id")),
    Param("campaign_id", _NUMBER, required=True, unless=("visitor_session_id", "site_id")),
    Param("source_id", _NUMBER),
    Param("site_id", _NUMBER, required=True, unless=("visitor_session_id", "campaign_id")),
    Param("form_name", _STRING, maximum=_SHORT),
    Param("ext_id", _STRING, maximum=_SHORT),
    Param(
        "user_fields",
        _ARRAY,
        params=(_EXT_ID, Param("value", _STRING, required=True, blank=True, maximum=_LONG)),
    ),
)

_EMAIL = (
    Param("site_id", _NUMBER),
    Param("session_id", _NUMBER),
    Param("source_id", _NUMBER),
    Param("date_time", _MOMENT, required=True),
    Param("sender_name", _STRING, maximum=_SHORT),
    Param("subject", _STRING, maximum=_LONG),
    Param("message", _STRING, required=True, blank=True, maximum=_BODY),
    Param("message_html", _STRING, required=True, blank=True, maximum=_BODY),
    Param("email_from", _STRING, required=True),
    Param("email_to", _STRING, required=True, unless=("email_to_cc", "email_to_bcc")),
    Param("email_to_cc", _ARRAY, items=_STRING, maximum=100),
    Param("email_to_bcc", _ARRAY, items=_STRING, maximum=100),
)

_SESSION = (
    _EXT_ID,
    Param("site_id", _NUMBER, required=True),
    Param("date_time", _MOMENT, required=True),
    Param("visitor_id", _NUMBER),
    Param("is_visitor_new", _BOOLEAN, required=True),
    Param(
        "duration", _NUMBER, minimum=0, maximum=86_400, description="Seconds; it ends on the day it began."
    ),
    Param("visitor_ip_address", _STRING, required=True),
    Param("campaign_id", _NUMBER, description="Found by the campaigns' conditions unless sent; else -1."),
    Param("visitor_device", _ENUM, enum=("desktop", "mobile", "tablet", "other")),
    *(Param(name, _STRING, maximum=_LONG) for name in sessions.TEXTS),
    Param("adv_system", _NUMBER, minimum=1, maximum=8),
)

_CHATS, _MESSAGES = titled("upload_chats"), titled("upload_offline_messages")

METHODS = (
    change_method(
        "upload.chats",
        "Takes chats of another system.",
        _uploads("chats", chats.upload_chats),
        params=(Param("chats", _ARRAY, required=True, params=_CHAT, description="At most 50."),),
        result=_MADE_IDS,
        envelope=Envelope.DATA_ARRAY,
        components=_CHATS,
    ),
    change_method(
        "delete.chats",
        "Removes a chat that was uploaded.",
        _deletes(chats.delete_chat),
        params=(ID,),
        result=_SUCCESS,
        envelope=Envelope.DIRECT,
        components=_CHATS,
    ),
    change_method(
        "upload.offline_messages",
        "Takes offline messages of another system.",
        _uploads("offline_messages", offline_messages.upload_offline_messages),
        params=(
            Param(
                "offline_messages", _ARRAY, required=True, params=_OFFLINE_MESSAGE, description="At most 50."
            ),
        ),
        result=_MADE_IDS,
        envelope=Envelope.DATA_ARRAY,
        components=_MESSAGES,
    ),
    change_method(
        "delete.offline_messages",
        "Removes an offline message that was uploaded.",
        _deletes(offline_messages.delete_offline_message),
        params=(ID,),
        result=_SUCCESS,
        envelope=Envelope.DIRECT,
        components=_MESSAGES,
    ),
    list_method(
        "get.offline_message_user_fields",
        "The account's own fields of offline messages.",
        USER_FIELDS,
    ),
    change_method(
        "create.offline_message_user_field",
        "Adds a field of the account's own to offline messages.",
        _create_field,
        params=(
            _EXT_ID,
            _NAME,
            Param("data_type", _ENUM, required=True, enum=("numeric", "string")),
        ),
        result=(Field("ext_id", FieldType.STRING),),
        envelope=Envelope.DATA_OBJECT,
    ),
    change_method(
        "update.offline_message_user_field",
        "Renames such a field.",
        _rename_field,
        params=(_EXT_ID, _NAME),
        result=(Field("ext_id", FieldType.STRING),),
        envelope=Envelope.DATA_OBJECT,
    ),
    change_method(
        "delete.offline_message_user_field",
        "Removes such a field, if no message has it.",
        _delete_field,
        params=(_EXT_ID,),
        envelope=Envelope.DATA_OBJECT,
    ),
    change_method(
        "upload.emails",
        "Takes e-mails of another system.",
        _uploads("emails", emails.upload_emails),
        params=(Param("emails", _ARRAY, params=_EMAIL, description="At most 50."),),
        result=_MADE_IDS,
        envelope=Envelope.DATA_ARRAY,
        components=titled("email_tracking"),
    ),
    change_method(
        "upload.sessions",
        "Takes visits of the company's websites.",
        _upload_sessions,
        params=(Param("sessions", _ARRAY, required=True, params=_SESSION, description="At most 50."),),
        result=(Field("ext_id", FieldType.STRING), Field("session_id", FieldType.NUMBER)),
        envelope=Envelope.DATA_ARRAY,
        components=titled("upload_sessions"),
    ),
)
