"""Upload of chats of other systems in one transaction, and their deletion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from psycopg.types.json import Jsonb

from trunkline.core.errors import InvalidInput
from trunkline.db.pool import Connection, Database
from trunkline.db.rows import insert, transaction
from trunkline.uploads import checks, conversation
from trunkline.uploads.conversation import Context
from trunkline.uploads.deletions import delete_uploaded

FIELD = "chats"

_MESSAGES = """
insert into chat_messages (account_id, chat_id, date_time, source, employee_id, employee_full_name, text)
select %(account_id)s, %(chat_id)s, date_time, source, employee_id, employee_full_name, text
from jsonb_populate_recordset(null::chat_messages, %(messages)s::jsonb) with ordinality order by ordinality
"""


@dataclass(frozen=True, slots=True)
class _Message:
    at: datetime
    source: str
    employee_id: int | None
    text: str


async def upload_chats(
    db: Database, account_id: int, zone: ZoneInfo, chats: Sequence[Mapping[str, Any]]
) -> list[int]:
    """Keep chats; their ids, in order. One whose ``ext_id`` is known already is not kept again.

    :raises InvalidInput, LimitExceeded, NotFound: one of them cannot be kept; then none is.
    """
    checks.check_amount(chats, FIELD)
    contexts = [_context(chat, zone) for chat in chats]
    talks = [_messages(chat, context, zone) for chat, context in zip(chats, contexts, strict=True)]
    async with transaction(db) as connection:
        await conversation.one_at_a_time(connection, account_id, "chats")
        await conversation.check_contexts(connection, account_id, contexts, FIELD, "start_date_time")
        employees = await checks.existing(
            connection,
            account_id,
            "employee",
            [("chats.messages.employee_id", message.employee_id) for talk in talks for message in talk],
        )
        names = {id_: row["name"] for id_, row in employees.items()}
        return [
            await _keep(connection, account_id, chat, context, talk, names)
            for chat, context, talk in zip(chats, contexts, talks, strict=True)
        ]


async def delete_chat(db: Database, account_id: int, chat_id: int) -> None:
    """Remove a chat that was uploaded, with its messages.

    :raises NotFound: no such chat.
    :raises PermissionDenied: it was not uploaded.
    """
    await delete_uploaded(db, account_id, "chat", chat_id)


def _context(chat: Mapping[str, Any], zone: ZoneInfo) -> Context:
    sent = chat["start_date_time"]
    at = checks.instant(sent, zone, "chats.start_date_time")
    checks.not_in_future(at, "chats.start_date_time", sent)
    conversation.real_campaign(chat.get("campaign_id"), "chats.campaign_id")
    context = Context(at, sent, chat.get("visitor_session_id"), chat.get("campaign_id"), chat.get("site_id"))
    return conversation.somewhere(context, FIELD)


def _messages(chat: Mapping[str, Any], context: Context, zone: ZoneInfo) -> list[_Message]:
    return [_message(message, context, zone) for message in chat["messages"]]


def _message(message: Mapping[str, Any], context: Context, zone: ZoneInfo) -> _Message:
    sent = message["date_time"]
    at = checks.instant(sent, zone, "chats.messages.date_time")
    checks.not_in_future(at, "chats.messages.date_time", sent)
    if at < context.at:
        raise checks.wrong_time("it is before the chat", "chats.messages.date_time", sent)
    employee_id = message.get("employee_id")
    is_operator = message["source"] == "operator"
    if is_operator and employee_id is None:
        raise InvalidInput(
            "send the employee who wrote this",
            mnemonic="required_parameter_missed",
            field="chats.messages.employee_id",
        )
    return _Message(at, message["source"], employee_id if is_operator else None, message["message"])


async def _keep(
    connection: Connection,
    account_id: int,
    chat: Mapping[str, Any],
    context: Context,
    talk: Sequence[_Message],
    names: Mapping[int, str],
) -> int:
    ext_id = chat.get("ext_id")
    same = await conversation.known(connection, account_id, "chats", "chat_id", ext_id)
    if same is not None:
        return same
    phone, email = conversation.reached(chat, FIELD)
    contact = await conversation.contact_of(connection, account_id, phone, email)
    contact["contact_full_name"] = contact["contact_full_name"] or chat.get("name")
    extra = await conversation.visit_of(connection, account_id, context, chat.get("source_id"))
    chat_id = await insert(
        connection,
        "chats",
        "chat_id",
        account_id,
        {
            "ext_id": ext_id,
            "date_time": context.at,
            "contact_email": email,
            "extra": Jsonb(extra),
            **contact,
            **_course(chat, context, talk, names),
        },
    )
    rows = [
        {
            "date_time": message.at,
            "source": message.source,
            "employee_id": message.employee_id,
            "employee_full_name": names.get(message.employee_id or 0),
            "text": message.text,
        }
        for message in talk
    ]
    sent = {"account_id": account_id, "chat_id": chat_id, "messages": orjson.dumps(rows).decode()}
    await connection.execute(_MESSAGES, sent)
    return chat_id


def _course(
    chat: Mapping[str, Any], context: Context, talk: Sequence[_Message], names: Mapping[int, str]
) -> dict[str, Any]:
    """What follows from the messages."""
    spoken = [message for message in talk if message.source != "system"]
    answers = [message for message in spoken if message.source == "operator"]
    initiator = chat.get("initiator") or (spoken[0].source if spoken else "visitor")
    status = "succeed" if chat["status"] == "succeeded" else chat["status"]
    if initiator == "visitor" and not spoken:
        status = "lost"
    finish = max((message.at for message in talk), default=context.at)
    last = answers[-1].employee_id if answers else None
    took_part = dict.fromkeys(message.employee_id for message in answers)
    return {
        "status": status,
        "initiator": initiator,
        "finish_time": finish,
        "duration": round((finish - context.at).total_seconds()),
        "answer_time": round((answers[0].at - context.at).total_seconds()) if answers else None,
        "messages_count": len(talk),
        "employee_messages_count": len(answers),
        "employee_id": last,
        "employee_full_name": names.get(last or 0),
        "employees": Jsonb(
            [
                {
                    "employee_id": id_,
                    "employee_full_name": names.get(id_ or 0),
                    "is_answered": True,
                    "is_talked": True,
                }
                for id_ in took_part
            ]
        ),
        "is_transfer": len(took_part) > 1,
    }
