"""Offline messages of other systems, and the fields of their own that they may have."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from psycopg.types.json import Jsonb

from trunkline.core.errors import Duplicate, InUse, InvalidInput, NotFound
from trunkline.db.pool import Connection, Database
from trunkline.db.rows import insert, transaction
from trunkline.uploads import checks, conversation
from trunkline.uploads.conversation import Context
from trunkline.uploads.deletions import delete_uploaded

FIELD = "offline_messages"

_FIELDS = "select ext_id, name, data_type from offline_message_user_fields where account_id = %s and ext_id = any(%s)"

_USED = """
select from offline_messages
where account_id = %s and user_fields @> jsonb_build_array(jsonb_build_object('ext_id', %s::text)) limit 1
"""


async def upload_offline_messages(
    db: Database, account_id: int, zone: ZoneInfo, messages: Sequence[Mapping[str, Any]]
) -> list[int]:
    """Keep messages; their ids, in order. One whose ``ext_id`` is known already is not kept again.

    :raises InvalidInput, LimitExceeded, NotFound: one of them cannot be kept; then none is.
    """
    checks.check_amount(messages, FIELD)
    contexts = [_context(message, zone) for message in messages]
    async with transaction(db) as connection:
        await conversation.one_at_a_time(connection, account_id, FIELD)
        await conversation.check_contexts(connection, account_id, contexts, FIELD, "date_time")
        fields = await _user_fields(connection, account_id, messages)
        return [
            await _keep(connection, account_id, message, context, fields)
            for message, context in zip(messages, contexts, strict=True)
        ]


async def delete_offline_message(db: Database, account_id: int, offline_message_id: int) -> None:
    """Remove a message that was uploaded.

    :raises NotFound: no such message.
    :raises PermissionDenied: it was not uploaded.
    """
    await delete_uploaded(db, account_id, "offline_message", offline_message_id)


async def create_user_field(db: Database, account_id: int, ext_id: str, name: str, data_type: str) -> str:
    """Add a field of one's own; its ext_id.

    :raises Duplicate: there is one of that ext_id.
    """
    async with transaction(db) as connection:
        cursor = await connection.execute(
            "insert into offline_message_user_fields (account_id, ext_id, name, data_type) values (%s, %s, %s, %s)"
            " on conflict (account_id, ext_id) do nothing returning ext_id",
            (account_id, ext_id, name, data_type),
        )
        if await cursor.fetchone() is None:
            raise Duplicate("there is a field of this ext_id", field="ext_id", value=ext_id)
    return ext_id


async def rename_user_field(db: Database, account_id: int, ext_id: str, name: str) -> str:
    """Give a field another name; its ext_id.

    :raises NotFound: no such field.
    """
    done = await db.execute(
        "update offline_message_user_fields set name = %s where account_id = %s and ext_id = %s",
        (name, account_id, ext_id),
    )
    if not done:
        raise _no_field(ext_id, "ext_id")
    return ext_id


async def delete_user_field(db: Database, account_id: int, ext_id: str) -> None:
    """Remove a field that no message has.

    :raises NotFound: no such field.
    :raises InUse: a message has it.
    """
    async with transaction(db) as connection:
        await conversation.one_at_a_time(connection, account_id, FIELD)
        cursor = await connection.execute(
            "delete from offline_message_user_fields where account_id = %s and ext_id = %s returning ext_id",
            (account_id, ext_id),
        )
        if await cursor.fetchone() is None:
            raise _no_field(ext_id, "ext_id")
        if await (await connection.execute(_USED, (account_id, ext_id))).fetchone() is not None:
            raise InUse("messages have this field: delete them first", field="ext_id", value=ext_id)


def _no_field(ext_id: str, field: str) -> NotFound:
    return NotFound(f"There is no field {ext_id} here: create it first.", field=field, value=ext_id)


def _context(message: Mapping[str, Any], zone: ZoneInfo) -> Context:
    sent = message.get("date_time")
    at = datetime.now(UTC) if sent is None else checks.instant(sent, zone, f"{FIELD}.date_time")
    checks.not_in_future(at, f"{FIELD}.date_time", sent)
    campaign_id, site_id = message.get("campaign_id"), message.get("site_id")
    context = conversation.somewhere(
        Context(at, sent or "", message.get("visitor_session_id"), campaign_id, site_id), FIELD
    )
    conversation.campaign_needs_site(campaign_id, site_id, f"{FIELD}.site_id")
    return context


async def _user_fields(
    connection: Connection, account_id: int, messages: Sequence[Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    """The fields that the messages use, checked."""
    used = [one for message in messages for one in message.get("user_fields", ())]
    cursor = await connection.execute(_FIELDS, (account_id, [one["ext_id"] for one in used]))
    known: dict[str, Mapping[str, Any]] = {row["ext_id"]: row for row in await cursor.fetchall()}
    for one in used:
        field = known.get(one["ext_id"])
        if field is None:
            raise _no_field(one["ext_id"], f"{FIELD}.user_fields.ext_id")
        if field["data_type"] == "numeric" and not _is_number(one["value"]):
            raise InvalidInput(
                "this field takes numbers", field=f"{FIELD}.user_fields.value", value=one["value"]
            )
    return known


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


async def _keep(
    connection: Connection,
    account_id: int,
    message: Mapping[str, Any],
    context: Context,
    fields: Mapping[str, Mapping[str, Any]],
) -> int:
    ext_id = message.get("ext_id")
    same = await conversation.known(connection, account_id, FIELD, "offline_message_id", ext_id)
    if same is not None:
        return same
    phone, email = conversation.reached(message, FIELD)
    own = [{"ext_id": one["ext_id"], "value": one["value"]} for one in message.get("user_fields", ())]
    extra = await conversation.visit_of(connection, account_id, context, message.get("source_id"))
    return await insert(
        connection,
        "offline_messages",
        "offline_message_id",
        account_id,
        {
            "ext_id": ext_id,
            "date_time": context.at,
            "text": message.get("message"),
            "form_name": message.get("form_name"),
            "user_fields": Jsonb(own),
            "properties": "\n".join(f"{fields[one['ext_id']]['name']}: {one['value']}" for one in own)
            or None,
            "contact_email": email,
            "visitor_name": message.get("name"),
            "extra": Jsonb(extra),
            **await conversation.contact_of(connection, account_id, phone, email),
        },
    )
