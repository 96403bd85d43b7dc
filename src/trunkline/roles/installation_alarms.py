"""Alarms for the administrator of the installation: events in ``installation_events``, and a mail about each.

The switch writes ``disk_level``, ``events_wait``, ``recordings_limit``, ``trunk_registration`` and ``login_guessing``, the
worker ``dead_letters``, ``subscription_off`` and ``uploads_limit``. Each is a change of a state, or at most one an hour for
a line, so a fault that lasts makes few events. An event and the jobs that send its mails are ordered in one transaction.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from trunkline.billing.notices import QUEUE, SEND
from trunkline.core.clock import Instant
from trunkline.core.errors import DatabaseUnavailable
from trunkline.core.log import get_logger
from trunkline.db.jobs import Jobs
from trunkline.db.pool import Connection, Database, log_cause
from trunkline.events.catalogue import EventType, trunk_stream
from trunkline.events.store import append_to_end

_log = get_logger("roles")

PERIOD = 15.0
"""Seconds between two checks."""

OLDEST_HOURS = 24
"""Hours after which an event is not mailed any more."""

WATCH_PERIOD = 30.0
"""Seconds between two checks of the states of the switch."""

_TAKE = """
update installation_events set mailed_at = now() where mailed_at is null
    and installation_event_id = any(array(select installation_event_id from installation_events
        where mailed_at is null order by installation_event_id limit 50 for update skip locked))
returning installation_event_id, node, type, data, occurred_at, occurred_at > now() - make_interval(hours => %s) as is_new
"""

_DEAD_LETTERS = """
select count(*) as count from dead_letters where account_id in (select account_id from accounts)
"""

_LAST_DEAD_LETTERS = """
select coalesce((select (data->>'count')::bigint from installation_events where type = 'dead_letters'
    order by installation_event_id desc limit 1), 0) as count
"""

_LAST_STATES = """
select distinct on (type, data->>'trunk_id') type, data from installation_events
where node = %s and type in ('events_wait', 'trunk_registration')
order by type, data->>'trunk_id', installation_event_id desc
"""

KEPT_DAYS = 90
"""For how long events are kept."""

_PRUNE = """
delete from installation_events old where old.occurred_at < now() - make_interval(days => %s)
    and (old.type = 'login_guessing' or exists (select from installation_events later
        where later.node = old.node and later.type = old.type
            and later.data->>'trunk_id' is not distinct from old.data->>'trunk_id'
            and later.installation_event_id > old.installation_event_id))
"""

_EVENTS, _WELL, _WAITS = "events_wait", "well", "waits"
TRUNK_REGISTRATION, _REGISTERED = "trunk_registration", "registered"

_REGISTRATION = (
    "account_id", "account_name", "trunk_id", "trunk_name", "server", "state", "code", "reason",
)  # fmt: skip

Write = Callable[[str, Mapping[str, Any]], Awaitable[bool]]
"""Writes an event of this type with this data; False when the database does not accept it now."""


def wording(event: Mapping[str, Any]) -> tuple[str, str]:
    """Subject and text of the mail. Pure.

    :param event: a row of ``installation_events``.
    """
    data = event["data"]
    match event["type"]:
        case "disk_level" if data.get("level") == "enough":
            subject = "the disk has enough free space again"
        case "disk_level":
            subject = f"the disk is nearly full ({data.get('level')})"
        case "dead_letters":
            subject = f"{data.get('count')} events of calls could not be stored"
        case "events_wait" if data.get("reason") is None:
            subject = "events of calls are stored again"
        case "events_wait":
            subject = "events of calls wait"
        case "trunk_registration" if data.get("state") == "registered":
            subject = f"{_trunk(data)} is registered again"
        case "trunk_registration":
            subject = f"{_trunk(data)} is not registered ({data.get('state')})"
        case "login_guessing":
            subject = f"passwords of line {data.get('line')} are guessed ({data.get('failures')} were wrong)"
        case "subscription_off":
            why = (
                "its receiver is gone" if data.get("reason") == "gone" else "its receiver has failed for days"
            )
            which = f"subscription {data.get('subscription_id')} of account {data.get('account_id')}"
            subject = f"{which} is switched off: {why}"
        case "uploads_limit":
            subject = (
                f"account {data.get('account_id')} has reached its limit of recordings of uploaded calls"
            )
        case "recordings_limit" if data.get("state") == "below":
            subject = f"calls of account {data.get('account_id')} are recorded again"
        case "recordings_limit":
            subject = f"account {data.get('account_id')} has reached its limit of recordings: its calls are not recorded"
        case other:
            subject = str(other)
    details = "".join(f"{name}: {value}\n" for name, value in sorted(data.items()) if value is not None)
    when = event["occurred_at"].strftime("%Y-%m-%d %H:%M:%S UTC")
    text = f"Node {event['node']}, {when}: {subject}.\n\n{details}\nSee `trunkline status` on the node.\n"
    return f"Trunkline: {subject}", text


def _trunk(data: Mapping[str, Any]) -> str:
    """Events of an earlier version have no name."""
    name = f"trunk {data.get('trunk_name') or data.get('trunk_id')}"
    return name if data.get("account_id") is None else f"{name} of account {data['account_id']}"


async def enqueue_mails(db: Database, jobs: Jobs, administrators: Sequence[str]) -> int:
    """Order a mail to each administrator about each event that was not mailed; how many events that were."""
    async with db.connection() as connection:
        events = await (await connection.execute(_TAKE, (OLDEST_HOURS,))).fetchall()
        for event in events:
            if not event["is_new"]:
                continue
            subject, text = wording(event)
            for place, address in enumerate(administrators):
                args = {
                    "to": address,
                    "subject": subject,
                    "text": text,
                    "message_id": f"alarm.{event['installation_event_id']}.{place}",
                    "ordered_at": time.time(),
                }
                await jobs.enqueue(connection, SEND, args, queue=QUEUE)
    return len(events)


async def note_dead_letters(db: Database) -> None:
    """Write an event when the number of dead letters is another than that of the last event."""
    async with db.connection() as connection:
        await connection.execute("lock table installation_events in share row exclusive mode")
        found = await (await connection.execute(_DEAD_LETTERS)).fetchone()
        last = await (await connection.execute(_LAST_DEAD_LETTERS)).fetchone()
        assert found is not None
        assert last is not None
        if found["count"] == last["count"]:
            return
        await connection.execute(
            "insert into installation_events (node, type, data, mailed_at)"
            " values (0, 'dead_letters', %s, case when %s then null else now() end)",
            (Jsonb({"count": found["count"]}), found["count"] > last["count"]),
        )


async def run_alarms(db: Database, jobs: Jobs, administrators: Sequence[str]) -> None:
    """The part of a worker, until cancelled. Any number of workers may run it."""
    while True:
        try:
            await note_dead_letters(db)
            await enqueue_mails(db, jobs, administrators)
        except (psycopg.Error, DatabaseUnavailable) as error:
            _log.warning(
                "alarms_without_database",
                cause=log_cause(error),
                error=str(error),
                consequence="mails of alarms wait; it is tried again",
            )
        await asyncio.sleep(PERIOD)


async def write(db: Database, node: int, kind: str, data: Mapping[str, Any]) -> bool:
    """Write an event of the installation; that of a trunk also as an event of its account, in the same transaction.

    :returns: False when PostgreSQL does not accept it now.
    """
    try:
        async with db.connection() as connection:
            await connection.execute(
                "insert into installation_events (node, type, data) values (%s, %s, %s)",
                (node, kind, Jsonb(dict(data))),
            )
            if kind == TRUNK_REGISTRATION:
                await _write_of_trunk(connection, data)
    except (psycopg.Error, DatabaseUnavailable) as error:
        _log.warning(
            "alarm_not_written",
            cause=log_cause(error),
            type=kind,
            error=str(error),
            consequence="it is written later, if the state lasts; it is tried again",
        )
        return False
    return True


async def _write_of_trunk(connection: Connection, data: Mapping[str, Any]) -> None:
    reason = " ".join(str(one) for one in (data.get("code"), data.get("reason")) if one)
    await append_to_end(
        connection,
        int(data["account_id"]),
        trunk_stream(int(data["trunk_id"])),
        EventType.TRUNK_RESTORED if data["state"] == _REGISTERED else EventType.TRUNK_LOST,
        Instant(time.time()),
        {
            "entity": "trunk",
            "entity_id": data["trunk_id"],
            "entity_name": data.get("trunk_name"),
            "reason": reason or None,
            "server": data.get("server"),
            "state": data["state"],
            "code": data.get("code"),
        },
    )


async def last_states(db: Database, node: int) -> dict[str, str]:
    """The states that the events of a node have, by the keys of :class:`SwitchAlarms`.

    :raises DatabaseUnavailable: try again later.
    """
    found = {}
    for row in await db.fetch_all(_LAST_STATES, (node,)):
        if row["type"] == "events_wait":
            found[_EVENTS] = _WELL if row["data"].get("reason") is None else _WAITS
        else:
            found[_trunk_key(row["data"].get("trunk_id"))] = str(row["data"].get("state"))
    return found


async def prune(db: Database) -> int:
    """Remove old events; the last of each state stays: the present one is compared with it. How many were removed."""
    return await db.execute(_PRUNE, (KEPT_DAYS,))


class SwitchAlarms:
    """Turns states of the switch into events. A state counts once two checks in a row have found it.

    :param write: see :data:`Write`; an event that is not written is written at a later look.
    :param read: the states that are published (:func:`last_states`), so that a restarted switch publishes changes only.
        Nothing is compared before it has succeeded. None = nothing is published yet.
    """

    def __init__(self, write: Write, read: Callable[[], Awaitable[Mapping[str, str]]] | None = None) -> None:
        self._write = write
        self._read = read
        self._published: dict[str, str] = {}
        self._seen: dict[str, str] = {}

    async def check(self, alarm: str | None, registrations: Sequence[Mapping[str, Any]] | None) -> None:
        """Compare with the last look.

        :param alarm: why events wait; None = they do not.
        :param registrations: of trunks at carriers; None = not known now.
        """
        if self._read is not None:
            try:
                self._published.update(await self._read())
            except (psycopg.Error, DatabaseUnavailable) as error:
                _log.warning(
                    "alarms_not_read",
                    cause=log_cause(error),
                    error=str(error),
                    consequence="alarms are raised later; it is tried again",
                )
                return
            self._read = None
        state = _WELL if alarm is None else _WAITS
        await self._state(_EVENTS, "events_wait", state, _WELL, {"reason": alarm})
        for one in registrations or ():
            data = {name: one.get(name) for name in _REGISTRATION}
            if one["state"] != "waiting":
                key = _trunk_key(one["trunk_id"])
                await self._state(key, TRUNK_REGISTRATION, str(one["state"]), _REGISTERED, data)

    async def _state(self, key: str, kind: str, state: str, good: str, data: Mapping[str, Any]) -> None:
        before, self._seen[key] = self._seen.get(key), state
        published = self._published.get(key, good)
        if state != published and before == state and await self._write(kind, data):
            self._published[key] = state


def _trunk_key(trunk_id: object) -> str:
    return f"trunk {trunk_id}"
