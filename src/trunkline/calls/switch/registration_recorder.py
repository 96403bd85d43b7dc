"""Registrations of lines: from the engine's signals to what others see of them.

The switch's :class:`~trunkline.calls.switch.presence.Presence` is changed at once; table ``registrations`` and the events
LINE_REGISTERED and LINE_LOST follow in the background, so that a storm of registrations never delays a call.

While PostgreSQL is unavailable they wait in memory, bounded: the rows have the state at the time of writing, so only
events can be dropped, the oldest ones of a line that changes again and again. A switch that ends meanwhile loses the
events that wait; the next one writes the rows.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import psycopg

from trunkline.calls.switch.presence import Presence
from trunkline.core.clock import Instant, to_datetime
from trunkline.core.errors import DatabaseUnavailable, first_line
from trunkline.core.log import get_logger
from trunkline.core.tasks import core_task
from trunkline.db.pool import Database, log_cause
from trunkline.directory.model import Directory, SipLine
from trunkline.events.catalogue import EventType, line_stream
from trunkline.events.store import append_to_end
from trunkline.telephony.port import Registered, Signal, Unregistered

GATHER_SECONDS = 0.1
RETRY_SECONDS = 1.0

_DELETE = """
delete from registrations r using unnest(%s::bigint[], %s::bigint[]) as l (account_id, sip_line_id)
where r.account_id = l.account_id and r.sip_line_id = l.sip_line_id
  and not exists (
    select from unnest(%s::bigint[], %s::bigint[], %s::text[]) as d (account_id, sip_line_id, contact_uri)
    where d.account_id = r.account_id and d.sip_line_id = r.sip_line_id and d.contact_uri = r.contact_uri)
"""
_WRITE = """
insert into registrations (account_id, sip_line_id, contact_uri, ip, port, transport, user_agent, registered_at,
    expires_at, round_trip_us, reachable)
select d.* from unnest(%s::bigint[], %s::bigint[], %s::text[], %s::inet[], %s::int[], %s::text[], %s::text[],
    %s::timestamptz[], %s::timestamptz[], %s::bigint[], %s::boolean[])
    as d (account_id, sip_line_id, contact_uri, ip, port, transport, user_agent, registered_at, expires_at,
          round_trip_us, reachable)
join sip_lines l on l.account_id = d.account_id and l.sip_line_id = d.sip_line_id
on conflict (account_id, sip_line_id, contact_uri) do update set ip = excluded.ip, port = excluded.port,
    transport = excluded.transport, user_agent = excluded.user_agent, expires_at = excluded.expires_at,
    round_trip_us = excluded.round_trip_us, reachable = excluded.reachable
"""
_COLUMNS = 11
REPEAT_LOG_SECONDS = 60.0
"""While registrations wait, a line is logged so often."""
EVENTS_OF_LINE_MAX = 20
"""Events of one line that wait; of more, the newest are kept."""
EVENTS_MAX = 50_000
"""Events of all lines that wait; beyond, each line keeps its newest one."""
LINES_AT_ONCE = 500
"""Lines that one transaction writes at most."""

_Change = tuple[EventType, Instant]

_log = get_logger("calls")


class RegistrationRecorder:
    """Handles registrations: updates presence, and writes what changed."""

    def __init__(self, db: Database, presence: Presence, directory: Callable[[], Directory]) -> None:
        self._db = db
        self._presence = presence
        self._directory = directory
        self._since: dict[tuple[str, str], Instant] = {}
        self._changed: dict[str, deque[_Change]] = {}
        self._waiting = 0
        """Events in ``_changed``."""
        self._dropped = 0
        self._logged_at: float | None = None
        """Loop time of the last line about registrations that wait; None = none wait."""
        self._wake = asyncio.Event()

    def handle(self, signal: Signal) -> None:
        match signal:
            case Registered():
                self._since.setdefault((signal.line, signal.contact_uri), signal.at)
                came = self._presence.register(signal)
                self._note_change(signal.line, EventType.LINE_REGISTERED if came else None, signal.at)
            case Unregistered():
                self._since.pop((signal.line, signal.contact_uri), None)
                lost = self._presence.unregister(signal)
                self._note_change(signal.line, EventType.LINE_LOST if lost else None, signal.at)
            case _:
                pass

    def mark_all(self) -> None:
        """Write every line again: rows of a former switch may be outdated."""
        now = Instant(time.time())
        for account in self._directory().accounts.values():
            for line in account.lines.values():
                self._note_change(line.phone_number, None, now)

    async def run(self) -> None:
        """Write changes until cancelled; survives the database's restarts."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._wake.clear()
            changed, self._changed, self._waiting = self._changed, {}, 0
            if not await self._write_all(changed):
                self._wake.set()
                await asyncio.sleep(RETRY_SECONDS)
            elif self._logged_at is not None:
                _log.info("registrations_written", dropped=self._dropped)
                self._logged_at, self._dropped = None, 0

    @property
    def waiting(self) -> int:
        """Events that are not written yet."""
        return self._waiting

    async def _write_all(self, changed: dict[str, deque[_Change]]) -> bool:
        """False: the database is unavailable, and what is not written waits again."""
        # A line without an event was refreshed or probed: thousands do so each minute, and share a few statements.
        quiet = [login for login, events in changed.items() if not events]
        parts = [quiet[first : first + LINES_AT_ONCE] for first in range(0, len(quiet), LINES_AT_ONCE)]
        parts += [[login] for login, events in changed.items() if events]
        for number, part in enumerate(parts):
            if not await self._write_safely({login: changed[login] for login in part}):
                for left in parts[number:]:
                    for login in left:
                        self._put_back(login, changed[login])
                return False
        return True

    def _put_back(self, login: str, events: deque[_Change]) -> None:
        """Events that came first stay first."""
        later = self._changed.pop(login, ())
        self._waiting -= len(later)
        self._changed[login] = deque()
        for event in (*events, *later):
            self._add(login, event)

    def _add(self, login: str, event: _Change) -> None:
        most = EVENTS_OF_LINE_MAX if self._waiting < EVENTS_MAX else 1
        events = self._changed[login]
        events.append(event)
        self._waiting += 1
        while len(events) > most:
            events.popleft()
            self._waiting -= 1
            self._dropped += 1

    async def _write_safely(self, changed: Mapping[str, deque[_Change]]) -> bool:
        """False: the database is unavailable."""
        try:
            await self._write(changed)
        except (psycopg.OperationalError, DatabaseUnavailable) as error:
            now = asyncio.get_running_loop().time()
            if self._logged_at is None or now - self._logged_at >= REPEAT_LOG_SECONDS:
                self._logged_at = now
                _log.warning(
                    "registrations_unwritten",
                    cause=log_cause(error),
                    line=_shown(changed),
                    events_dropped=self._dropped,
                    error=first_line(error),
                    consequence="calls use the registrations in memory; the rows are written later",
                )
            return False
        except psycopg.Error as error:
            if len(changed) == 1:
                _log.error(
                    "registration_refused",
                    cause=log_cause(error),
                    line=_shown(changed),
                    error=first_line(error),
                    consequence="the registration is not in reports and lists; calls of the line work",
                    remedy="report this line",
                )
                return True
            for login, events in changed.items():  # one bad line must not cost the others their rows
                if not await self._write_safely({login: events}):
                    return False
        return True

    def _note_change(self, login: str, event: EventType | None, at: Instant) -> None:
        self._changed.setdefault(login, deque())
        if event is not None:
            self._add(login, (event, at))
            _log.info(event, line=login, devices=len(self._presence.devices(login)))
        self._wake.set()

    async def _write(self, changed: Mapping[str, deque[_Change]]) -> None:
        directory = self._directory()
        lines = {login: found[1] for login in changed if (found := directory.line(login)) is not None}
        if not lines:
            return
        devices = {login: self._presence.devices(login) for login in lines}
        rows = [self._row(lines[login], device) for login, of_line in devices.items() for device in of_line]
        columns = [[row[index] for row in rows] for index in range(_COLUMNS)]
        accounts = [line.account_id for line in lines.values()]
        async with self._db.connection() as connection:
            await connection.execute(
                _DELETE, (accounts, [line.sip_line_id for line in lines.values()], *columns[:3])
            )
            if rows:
                await connection.execute(_WRITE, columns)
            for login, line in lines.items():
                for type_, at in changed[login]:
                    await append_to_end(
                        connection,
                        line.account_id,
                        line_stream(line.sip_line_id),
                        type_,
                        at,
                        _facts(line, devices[login]),
                    )

    def _row(self, line: SipLine, device: Registered) -> tuple[Any, ...]:
        since = self._since.get((device.line, device.contact_uri), device.at)
        return (
            line.account_id,
            line.sip_line_id,
            device.contact_uri,
            device.ip,
            device.port,
            device.transport,
            device.user_agent,
            to_datetime(since),
            to_datetime(device.expires_at) if device.expires_at is not None else None,
            device.round_trip_us,
            device.reachable,
        )


def _shown(changed: Mapping[str, object]) -> str:
    """Logins for a log line, the first few of many."""
    logins = list(changed)
    return ", ".join(logins[:5]) + (f" and {len(logins) - 5} more" if len(logins) > 5 else "")


def _facts(line: SipLine, devices: list[Registered]) -> dict[str, Any]:
    newest = devices[-1] if devices else None
    return {
        "sip_line_id": line.sip_line_id,
        "phone_number": line.phone_number,
        "ip": newest.ip if newest else None,
        "port": newest.port if newest else None,
        "user_agent": newest.user_agent if newest else None,
        "devices": len(devices),
    }


@contextlib.asynccontextmanager
async def registering(recorder: RegistrationRecorder) -> Any:
    """Write registrations for the time of the block."""
    task = core_task(recorder.run(), name="registration-recorder")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
