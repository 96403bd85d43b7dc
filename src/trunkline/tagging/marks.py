"""Set tags of communications, and remove them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, Protocol

from psycopg import sql
from psycopg.types.json import Jsonb

from trunkline.core.clock import to_instant
from trunkline.core.errors import NotFound, PermissionDenied
from trunkline.db.pool import Connection, Database
from trunkline.events.catalogue import EventType, call_stream
from trunkline.events.store import append_to_end
from trunkline.tagging.communications import PLACES, Communication, Kind, find

SETTLE_SECONDS = 2.0
"""How long a call may be neither with its switch any more nor finished in its row yet."""
_CHECK_PERIOD_SECONDS = 0.05


class Switch(Protocol):
    """Commands to live calls (:class:`trunkline.calls.switch.rpc_client.SwitchClient`)."""

    async def command(
        self, account_id: int, name: str, params: dict[str, Any], *, request_id: str
    ) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Author:
    """Who marks."""

    account_id: int
    user_id: int
    user_login: str
    employee_id: int | None
    employee_full_name: str | None = None

    def as_data(self) -> dict[str, Any]:
        return {
            "user_id": self.user_id,
            "user_login": self.user_login,
            "employee_id": self.employee_id,
            "employee_full_name": self.employee_full_name,
        }


@dataclass(frozen=True, slots=True)
class Tag:
    tag_id: int
    name: str
    color: str
    is_system: bool


@dataclass(frozen=True, slots=True)
class Changed:
    """Ids of tags for which there was something to do."""

    added: frozenset[int] = frozenset()
    removed: frozenset[int] = frozenset()


async def find_tags(
    connection: Connection, account_id: int, tag_ids: Iterable[int], *, field: str
) -> dict[int, Tag]:
    """Tags by id, in the order asked for.

    :raises NotFound: one of them is not a tag of this account.
    """
    wanted = list(dict.fromkeys(tag_ids))
    cursor = await connection.execute(
        "select tag_id, name, color, is_system from tags where account_id = %s and tag_id = any(%s)",
        (account_id, wanted),
    )
    found = {row["tag_id"]: Tag(**row) for row in await cursor.fetchall()}
    for tag_id in wanted:
        if tag_id not in found:
            raise NotFound(f"There is no tag {tag_id}: look it up with get.tags", field=field, value=tag_id)
    return {tag_id: found[tag_id] for tag_id in wanted}


def require_user_tag(tags: Iterable[Tag], *, field: str) -> None:
    """Tags of the system record facts and are set with them.

    :raises PermissionDenied: one of them is the system's.
    """
    for tag in tags:
        if tag.is_system:
            raise PermissionDenied(
                f"The tag {tag.name!r} comes with a sale: record one with set.tag_sales",
                field=field,
                value=tag.tag_id,
            )


class Marker:
    """Marks communications in the name of one author."""

    def __init__(self, db: Database, switch: Switch, author: Author, *, request_id: str = "") -> None:
        self._db = db
        self._switch = switch
        self._author = author
        self._request_id = request_id

    async def mark(
        self, kind: Kind, communication_id: int, add: Sequence[Tag], remove: Collection[int] = ()
    ) -> Changed:
        """Add these tags and remove those. Tags that are there already, or are not, do not change.

        :raises NotFound: no such communication.
        :raises Unavailable: the switch of a live call does not respond; nothing was done.
        """
        if not add and not remove:
            return Changed()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SETTLE_SECONDS
        while True:
            async with self._db.connection() as connection:
                found = await find(connection, self._author.account_id, kind, communication_id, lock=True)
                if not found.is_live or loop.time() > deadline:
                    return await self._in_row(connection, found, add, frozenset(remove))
            done = await self._at_switch(communication_id, add, remove)
            if done is not None:
                return done
            await asyncio.sleep(_CHECK_PERIOD_SECONDS)  # it ends just now: its row is being written

    async def mark_within(
        self,
        connection: Connection,
        kind: Kind,
        communication_id: int,
        add: Sequence[Tag],
        remove: Collection[int] = (),
    ) -> Changed:
        """As :meth:`mark`, in the transaction of the connection, of a communication that has ended.

        :raises NotFound: no such communication.
        """
        found = await find(connection, self._author.account_id, kind, communication_id, lock=True)
        return await self._in_row(connection, found, add, frozenset(remove))

    async def _at_switch(
        self, call_session_id: int, add: Sequence[Tag], remove: Collection[int]
    ) -> Changed | None:
        """None: the switch has no such call any more."""
        params = {
            "call_session_id": call_session_id,
            "set": [{"tag_id": tag.tag_id, "tag_name": tag.name} for tag in add],
            "unset": list(remove),
            **self._author.as_data(),
        }
        try:
            response = await self._switch.command(
                self._author.account_id, "mark_call", params, request_id=self._request_id
            )
        except NotFound as error:
            if error.mnemonic != "call_session_not_found":
                raise
            return None
        return Changed(frozenset(response["set"]), frozenset(response["unset"]))

    async def _in_row(
        self, connection: Connection, found: Communication, add: Sequence[Tag], remove: frozenset[int]
    ) -> Changed:
        now = await _now(connection)
        present = {tag["tag_id"]: tag["tag_name"] for tag in found.tags}
        added = [tag for tag in add if tag.tag_id not in present]
        removed = [tag_id for tag_id in present if tag_id in remove]
        if not added and not removed:
            return Changed()
        kept = [tag for tag in found.tags if tag["tag_id"] not in remove]
        await self._write(connection, found, [*kept, *(self._entry(tag, now) for tag in added)])
        for tag in added:
            await self._note(connection, found, EventType.TAG_SET, tag.tag_id, tag.name, now)
        for tag_id in removed:
            await self._note(connection, found, EventType.TAG_UNSET, tag_id, present[tag_id], now)
        return Changed(frozenset(tag.tag_id for tag in added), frozenset(removed))

    def _entry(self, tag: Tag, now: datetime) -> dict[str, Any]:
        author = {f"tag_{name}": value for name, value in self._author.as_data().items()}
        return {
            "tag_id": tag.tag_id,
            "tag_name": tag.name,
            "tag_type": "manual",
            "tag_change_time": now.isoformat(),
            **author,
        }

    async def _write(
        self, connection: Connection, found: Communication, tags: Sequence[Mapping[str, Any]]
    ) -> None:
        place = PLACES[found.kind]
        statement = sql.SQL("update {} set tags = %s where account_id = %s and {} = %s").format(
            sql.Identifier(place.table), sql.Identifier(place.id_column)
        )
        await connection.execute(
            statement, (Jsonb(list(tags)), self._author.account_id, found.communication_id)
        )

    async def _note(
        self,
        connection: Connection,
        found: Communication,
        type_: EventType,
        tag_id: int,
        tag_name: str,
        now: datetime,
    ) -> None:
        """Record in the history of tags; for calls of the PBX also in their event log, for subscribers."""
        await connection.execute(
            _NOTE,
            {
                "account_id": self._author.account_id,
                "at": now,
                "action": "set" if type_ is EventType.TAG_SET else "unset",
                "tag_id": tag_id,
                "tag_name": tag_name,
                "kind": found.kind.value,
                "id": found.communication_id,
                **self._author.as_data(),
            },
        )
        if found.kind is Kind.CALL and await _has_event_log(connection, self._author.account_id, found):
            data = {"tag_id": tag_id, "tag_name": tag_name, **self._author.as_data()}
            stream = call_stream(found.communication_id)
            await append_to_end(connection, self._author.account_id, stream, type_, to_instant(now), data)


_NOTE: LiteralString = """
insert into tag_history (account_id, occurred_at, action, tag_id, tag_name, tag_color, tag_is_system,
    communication_type, communication_id, user_id, user_login, employee_id, employee_full_name)
select %(account_id)s, %(at)s, %(action)s, w.tag_id, %(tag_name)s, coalesce(t.color, '#EBEBEB'),
    coalesce(t.is_system, false), %(kind)s, %(id)s, %(user_id)s, %(user_login)s, %(employee_id)s,
    %(employee_full_name)s
from (select %(tag_id)s::bigint as tag_id) w
left join tags t on t.account_id = %(account_id)s and t.tag_id = w.tag_id
"""


async def _now(connection: Connection) -> datetime:
    row = await (await connection.execute("select clock_timestamp() as now")).fetchone()
    assert row is not None
    now: datetime = row["now"]
    return now


async def _has_event_log(connection: Connection, account_id: int, found: Communication) -> bool:
    """Uploaded calls have none."""
    cursor = await connection.execute(
        "select from call_events where account_id = %s and call_session_id = %s limit 1",
        (account_id, found.communication_id),
    )
    return await cursor.fetchone() is not None


async def author_of(
    connection: Connection, account_id: int, user_id: int, login: str, employee_id: int | None
) -> Author:
    """The author with the name of the employee that the user is, if any."""
    name = None
    if employee_id is not None:
        cursor = await connection.execute(
            "select full_name from employees where account_id = %s and employee_id = %s",
            (account_id, employee_id),
        )
        row = await cursor.fetchone()
        name = row["full_name"] if row is not None else None
    return Author(account_id, user_id, login, employee_id, name)
