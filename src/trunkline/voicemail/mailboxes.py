"""Mailboxes in the database: questions of calls to a mailbox, and the storing of messages."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from psycopg import AsyncConnection

from trunkline.core.errors import InvalidInput, NotFound
from trunkline.db.pool import Database
from trunkline.events import store
from trunkline.events.catalogue import Event, EventType

ATTEMPTS_MAX = 5
"""Wrong PINs in a row, over all calls, after which a mailbox is locked."""

LOCKED_SECONDS = 900

MESSAGES_MAX = 100
"""Messages of one call to a mailbox, the new ones first."""

_PIN = re.compile(r"[0-9]{4,8}")

# The attempt is counted before the PIN is compared, so that concurrent calls get no more attempts together.
_ATTEMPT = """
update voice_mailboxes set failures = failures + 1,
    locked_until = case when failures + 1 >= %(most)s then now() + make_interval(secs => %(locked)s) end
where account_id = %(account_id)s and employee_id = %(employee_id)s and (locked_until is null or locked_until < now())
returning pin_salt, pin_hash
"""

_RIGHT = """
update voice_mailboxes set failures = 0, locked_until = null
where account_id = %(account_id)s and employee_id = %(employee_id)s
"""

_KNOWN = "select 1 from voice_mailboxes where account_id = %(account_id)s and employee_id = %(employee_id)s"

_MESSAGES = """
select m.recording_id, m.is_saved, r.wav_path from voice_messages m
    join recordings r on r.account_id = m.account_id and r.recording_id = m.recording_id
where m.account_id = %(account_id)s and (m.employee_id = %(owner)s or m.group_id = %(group_id)s)
    and r.status = 'ready' and r.wav_path is not null
order by m.is_saved, m.created_at limit %(limit)s
"""

_SAVE = """
update voice_messages set is_saved = true
where account_id = %(account_id)s and (employee_id = %(owner)s or group_id = %(group_id)s)
    and recording_id = %(recording_id)s
"""

_DELETE = """
delete from voice_messages
where account_id = %(account_id)s and (employee_id = %(owner)s or group_id = %(group_id)s)
    and recording_id = %(recording_id)s
"""

_SET_PIN = """
insert into voice_mailboxes (account_id, employee_id, pin_salt, pin_hash)
select account_id, employee_id, %(salt)s, %(hash)s from employees
where account_id = %(account_id)s and extension = %(extension)s
on conflict (account_id, employee_id) do update
    set pin_salt = excluded.pin_salt, pin_hash = excluded.pin_hash, failures = 0, locked_until = null
returning employee_id
"""

_CHANGE_PIN = """
update voice_mailboxes set pin_salt = %(salt)s, pin_hash = %(hash)s, failures = 0, locked_until = null
where account_id = %(account_id)s and employee_id = %(employee_id)s
returning employee_id
"""

_EXTENSION = """
select extension from employees where account_id = %(account_id)s and employee_id = %(employee_id)s
"""

_ADD = """
insert into voice_messages (account_id, recording_id, employee_id, group_id, call_session_id)
select %(account_id)s, %(recording_id)s, owner.employee_id, owner.group_id, %(call_session_id)s from (
    select employee_id, null::bigint as group_id from employees
    where account_id = %(account_id)s and employee_id = %(employee_id)s
    union all
    select null, group_id from employee_groups
    where account_id = %(account_id)s and group_id = %(group_id)s and %(employee_id)s::bigint is null
) as owner
on conflict do nothing
"""


class Mailboxes:
    """Answers the questions of calls to mailboxes.

    :param recordings_dir: folder of the recordings.
    """

    def __init__(self, db: Database, recordings_dir: Path) -> None:
        self._db = db
        self._recordings = recordings_dir

    async def open(self, account_id: int, data: Mapping[str, Any]) -> dict[str, Any]:
        """Whether a PIN is right, and the messages: ``result`` right|wrong|locked|no_pin, ``messages`` (``id``,
        ``is_saved``, ``file``: path without extension).

        :param data: ``employee_id`` (whose PIN it is), ``group_id`` (null: their own mailbox), ``pin``.
        """
        params = {"account_id": account_id, "employee_id": data["employee_id"]}
        limits = {"most": ATTEMPTS_MAX, "locked": LOCKED_SECONDS}
        row = await self._db.fetch_one(_ATTEMPT, {**params, **limits})
        if row is None:
            known = await self._db.fetch_one(_KNOWN, params)
            return {"result": "locked" if known is not None else "no_pin", "messages": []}
        given = await asyncio.to_thread(_hashed, data["pin"], bytes(row["pin_salt"]))
        if not hmac.compare_digest(given, bytes(row["pin_hash"])):
            return {"result": "wrong", "messages": []}
        await self._db.execute(_RIGHT, params)
        owner = {**_owner(account_id, data), "limit": MESSAGES_MAX}
        rows = await self._db.fetch_all(_MESSAGES, owner)
        messages = [
            {
                "id": one["recording_id"],
                "is_saved": one["is_saved"],
                "file": str((self._recordings / one["wav_path"]).absolute().with_suffix("")),
            }
            for one in rows
        ]
        return {"result": "right", "messages": messages}

    async def mark(self, account_id: int, data: Mapping[str, Any]) -> dict[str, Any]:
        """Save or delete a message.

        :param data: ``employee_id``, ``group_id``, ``recording_id``, ``action`` save|delete.
        """
        statement = _DELETE if data["action"] == "delete" else _SAVE
        await self._db.execute(statement, {**_owner(account_id, data), "recording_id": data["recording_id"]})
        return {}

    async def change_pin(self, account_id: int, data: Mapping[str, Any]) -> dict[str, Any]:
        """A new PIN of an employee who has entered the present one: ``result`` changed|refused.

        :param data: ``employee_id``, ``pin``.
        """
        params = {"account_id": account_id, "employee_id": data["employee_id"]}
        row = await self._db.fetch_one(_EXTENSION, params)
        if row is None or not _is_good(data["pin"], row["extension"]):
            return {"result": "refused"}
        salt = secrets.token_bytes(16)
        hashed = await asyncio.to_thread(_hashed, data["pin"], salt)
        await self._db.execute(_CHANGE_PIN, {**params, "salt": salt, "hash": hashed})
        return {"result": "changed"}

    async def set_pin(self, account_id: int, extension: str, pin: str) -> None:
        """Give the mailbox of an employee a PIN, and unlock it.

        :raises InvalidInput: it is not 4 to 8 digits, or can be guessed at once.
        :raises NotFound: no employee has this extension.
        """
        if not _is_good(pin, extension):
            raise InvalidInput(
                "A PIN has 4 to 8 digits that are neither all the same, nor in order, nor the extension"
            )
        salt = secrets.token_bytes(16)
        params = {"account_id": account_id, "extension": extension, "salt": salt}
        row = await self._db.fetch_one(_SET_PIN, {**params, "hash": _hashed(pin, salt)})
        if row is None:
            raise NotFound(f"No employee has the extension {extension}")


class MailboxListener:
    """A listener of the relay: a message that was left for an employee comes into the employee's mailbox."""

    name = "mailboxes"

    async def on_events(self, conn: AsyncConnection[Any], events: Sequence[Event]) -> None:
        """See :class:`trunkline.events.relay.Listener`."""
        for event in events:
            if event.type is EventType.RECORDING_READY and event.data.get("kind") == "voice_mail":
                await self._add(conn, event)

    async def _add(self, conn: AsyncConnection[Any], event: Event) -> None:
        if event.call_session_id is None:
            return
        found = await store.events_of_calls(conn, [(event.account_id, event.call_session_id)])
        for one in found[event.stream]:
            of_leg = one.data.get("leg_id") == event.data.get("leg_id")
            if one.type is EventType.VOICE_MAIL_LEFT and of_leg and not one.data.get("is_empty"):
                await conn.execute(
                    _ADD,
                    {
                        "account_id": event.account_id,
                        "recording_id": event.data["recording_id"],
                        "employee_id": one.data.get("employee_id"),
                        "group_id": one.data.get("group_id"),
                        "call_session_id": event.call_session_id,
                    },
                )


async def prune(db: Database) -> None:
    """Remove messages whose recording is gone."""
    await db.execute(
        """delete from voice_messages m where not exists (select from recordings r
           where r.account_id = m.account_id and r.recording_id = m.recording_id)"""
    )


def _owner(account_id: int, data: Mapping[str, Any]) -> dict[str, Any]:
    """Whose messages are meant: those of the group, or of the employee."""
    group_id = data.get("group_id")
    return {
        "account_id": account_id,
        "owner": data["employee_id"] if group_id is None else None,
        "group_id": group_id,
    }


def _is_good(pin: str, extension: str | None) -> bool:
    """Whether it is 4 to 8 digits that cannot be guessed at once."""
    return (
        _PIN.fullmatch(pin) is not None and len(set(pin)) > 1 and pin not in "0123456789" and pin != extension
    )


def _hashed(pin: str, salt: bytes) -> bytes:
    return hashlib.scrypt(pin.encode(), salt=salt, n=2**14, r=8, p=1)
