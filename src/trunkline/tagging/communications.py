"""Communications that can be marked: where each kind is kept, and how one is found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, LiteralString

from trunkline.core.errors import NotFound
from trunkline.db.pool import Connection


class Kind(StrEnum):
    """Kinds by their wire names."""

    CALL = "call"
    CHAT = "chat"
    GOAL = "goal"
    OFFLINE_MESSAGE = "offline_message"


@dataclass(frozen=True, slots=True)
class Place:
    """The table of a kind; all have ``account_id``, ``tags`` and ``extra``.

    :param ext_id: condition on the id given by the client, as the table's index has it; None = the kind has none
        that names one communication.
    """

    table: LiteralString
    id_column: LiteralString
    started: LiteralString
    ext_id: LiteralString | None
    is_live: LiteralString = "false"


PLACES: Mapping[Kind, Place] = {
    Kind.CALL: Place(
        "call_sessions",
        "call_session_id",
        "start_time",
        "extra ? 'ext_id' and extra ->> 'ext_id' = %(ext_id)s",
        "finish_time is null",
    ),
    Kind.CHAT: Place("chats", "chat_id", "date_time", "ext_id = %(ext_id)s"),
    Kind.GOAL: Place("goals", "goal_id", "date_time", None),
    Kind.OFFLINE_MESSAGE: Place("offline_messages", "offline_message_id", "date_time", "ext_id = %(ext_id)s"),
}


@dataclass(frozen=True, slots=True)
class Communication:
    """One that was found.

    :param is_live: a live call, whose row is written by its switch.
    :param tags: as the row holds them.
    """

    kind: Kind
    communication_id: int
    started_at: datetime
    site_id: int | None
    is_live: bool
    tags: list[dict[str, Any]]

    @property
    def tag_ids(self) -> frozenset[int]:
        return frozenset(tag["tag_id"] for tag in self.tags)


async def find(
    connection: Connection,
    account_id: int,
    kind: Kind,
    communication_id: int | None,
    ext_id: str | None = None,
    *,
    lock: bool = False,
) -> Communication:
    """The communication of this id, or, without one, the newest that the client gave this ``ext_id``.

    :param lock: keep other changes of its row out until the transaction ends.
    :raises NotFound: the account has none.
    """
    place = PLACES[kind]
    if communication_id is not None:
        condition: LiteralString = f"{place.id_column} = %(id)s"
    else:
        condition = place.ext_id or "false"
    statement: LiteralString = (
        f"select {place.id_column} as id, {place.started} as started_at, tags, {place.is_live} as is_live,"  # noqa: S608
        " case jsonb_typeof(extra -> 'site_id') when 'number' then (extra ->> 'site_id')::bigint end as site_id"
        f" from {place.table} where account_id = %(account_id)s and {condition}"
        f" order by {place.id_column} desc limit 1"
    )
    if lock:
        statement += " for update"
    params = {"account_id": account_id, "id": communication_id, "ext_id": ext_id}
    row = await (await connection.execute(statement, params)).fetchone()
    if row is None:
        named = communication_id is not None
        raise NotFound(
            f"No {kind} has this id. The reports list the ids.",
            field="communication_id" if named else "communication_ext_id",
            value=communication_id if named else ext_id,
        )
    return Communication(
        kind, row["id"], row["started_at"], row["site_id"], bool(row["is_live"]), list(row["tags"])
    )
