"""Uploads other than calls: chats, offline messages with their user fields, e-mails, visits; and their deletions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from trunkline.apis.data_api.change_methods import ID, Do, change_method
from trunkline.apis.data_api.lists import list_method, titled
from trunkline.apis.data_api.uploads import check_size
from trunkline.apis.jsonrpc import Field, FieldType, Param, Params, ParamType, RequestContext
from trunkline.apis.jsonrpc.derive import override
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
_SUCCESS = ()
_EXT_ID = Param("ext_id", _STRING, required=True, maximum=_SHORT)
_NAME = Param("name", _STRING, required=True, maximum=_SHORT)

_CHAT = (
    Param("name", _STRING, maximum=_SHORT, description="Of the visitor; only the reference's sample has it."),
    override("status", enum=("lost", "succeeded", "succeed", "refused")),
    Param("campaign_id", _NUMBER),
    Param("site_id", _NUMBER),
    override(
        "messages",
        params=(
            Param("date_time", _MOMENT, required=True),
            override("employee_id", description="Needed when an operator wrote it."),
            override("message", maximum=_BODY),
        ),
    ),
    Param("ext_id", _STRING, maximum=_SHORT),
)

_OFFLINE_MESSAGE = (
    Param("date_time", _MOMENT, required=True, unless=("phone", "email"), description="Now, unless sent."),
    Param("name", _STRING, maximum=_SHORT, description="Of the visitor; only the reference's sample has it."),
    override("phone", unless=("email",)),
    override("email", unless=("phone",)),
    override("message", maximum=_BODY),
    override("visitor_session_id", unless=("campaign_id", "site_id")),
    Param("campaign_id", _NUMBER, required=True, unless=("visitor_session_id", "site_id")),
    Param("site_id", _NUMBER, required=True, unless=("visitor_session_id", "campaign_id")),
    override("form_name", maximum=_SHORT),
    Param("ext_id", _STRING, maximum=_SHORT),
    override(
        "user_fields", params=(_EXT_ID, Param("value", _STRING, required=True, blank=True, maximum=_LONG))
    ),
)

_EMAIL = (
    Param("site_id", _NUMBER),
    Param("date_time", _MOMENT, required=True),
    override("sender_name", maximum=_SHORT),
    override("subject", maximum=_LONG),
    override("message", blank=True, maximum=_BODY),
    override("message_html", blank=True, maximum=_BODY),
    override("email_to", unless=("email_to_cc", "email_to_bcc")),
    override("email_to_cc", items=_STRING, maximum=100),
    override("email_to_bcc", items=_STRING, maximum=100),
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
        params=(override("chats", params=_CHAT, description="At most 50."),),
        result=_MADE_IDS,
        components=_CHATS,
    ),
    change_method(
        "delete.chats",
        "Removes a chat that was uploaded.",
        _deletes(chats.delete_chat),
        params=(ID,),
        result=_SUCCESS,
        components=_CHATS,
    ),
    change_method(
        "upload.offline_messages",
        "Takes offline messages of another system.",
        _uploads("offline_messages", offline_messages.upload_offline_messages),
        params=(override("offline_messages", params=_OFFLINE_MESSAGE, description="At most 50."),),
        result=_MADE_IDS,
        components=_MESSAGES,
    ),
    change_method(
        "delete.offline_messages",
        "Removes an offline message that was uploaded.",
        _deletes(offline_messages.delete_offline_message),
        params=(ID,),
        result=_SUCCESS,
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
            override("data_type", enum=("numeric", "string")),
        ),
    ),
    change_method(
        "update.offline_message_user_field",
        "Renames such a field.",
        _rename_field,
        params=(_EXT_ID, _NAME),
    ),
    change_method(
        "delete.offline_message_user_field",
        "Removes such a field, if no message has it.",
        _delete_field,
        params=(_EXT_ID,),
    ),
    change_method(
        "upload.emails",
        "Takes e-mails of another system.",
        _uploads("emails", emails.upload_emails),
        params=(override("emails", params=_EMAIL, description="At most 50."),),
        result=_MADE_IDS,
        components=titled("email_tracking"),
    ),
    change_method(
        "upload.sessions",
        "Takes visits of the company's websites.",
        _upload_sessions,
        params=(Param("sessions", _ARRAY, required=True, params=_SESSION, description="At most 50."),),
        components=titled("upload_sessions"),
    ),
)
