"""Removes what was uploaded, with all that hangs on it."""

from __future__ import annotations

from typing import Literal, LiteralString

from trunkline.core.errors import NotFound, PermissionDenied
from trunkline.db.pool import Database
from trunkline.db.rows import transaction

Kind = Literal["chat", "offline_message"]

_IS_THERE: dict[Kind, LiteralString] = {
    "chat": """select chat_channel_type = 'dataapi' as uploaded from chats
        where account_id = %s and chat_id = %s for update""",
    "offline_message": """select form_type = 'DataAPI' as uploaded from offline_messages
        where account_id = %s and offline_message_id = %s for update""",
}

_DELETE: dict[Kind, LiteralString] = {
    "chat": "delete from chats where account_id = %s and chat_id = %s",
    "offline_message": "delete from offline_messages where account_id = %s and offline_message_id = %s",
}

_HANGING_ON: tuple[LiteralString, ...] = (
    "delete from communication_comments where account_id = %s and communication_type = %s and communication_id = %s",
    "delete from sales where account_id = %s and communication_type = %s and communication_id = %s",
)


async def delete_uploaded(db: Database, account_id: int, kind: Kind, communication_id: int) -> None:
    """Remove an uploaded communication, its comments and its sales.

    :raises NotFound: there is none of that id.
    :raises PermissionDenied: it came some other way.
    """
    async with transaction(db) as connection:
        row = await (await connection.execute(_IS_THERE[kind], (account_id, communication_id))).fetchone()
        if row is None:
            raise NotFound(
                f"No {kind} has the id {communication_id}. The reports list the ids.",
                field="id",
                value=communication_id,
            )
        if not row["uploaded"]:
            raise PermissionDenied(
                "only what was uploaded by this API can be deleted", field="id", value=communication_id
            )
        for statement in _HANGING_ON:
            await connection.execute(statement, (account_id, kind, communication_id))
        await connection.execute(_DELETE[kind], (account_id, communication_id))
