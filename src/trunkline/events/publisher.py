"""Publishes events of lines, accounts and the installation in the background.

What is published waits in order while PostgreSQL is unavailable, and is written afterwards: the caller never waits. The
queue is bounded. A publication that PostgreSQL can never store does not delay those after it.

What waits longer than :data:`KEEP_SECONDS` is also in a file, so that it survives the end of the process, however it
ends. The next process writes it, and nothing twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import psycopg
from psycopg.types.json import Jsonb

from trunkline.core.clock import Instant, to_datetime
from trunkline.core.errors import DatabaseUnavailable, first_line
from trunkline.core.log import get_logger
from trunkline.core.storable_text import storable
from trunkline.core.tasks import core_task
from trunkline.db.pool import Connection, Database, log_cause
from trunkline.events.catalogue import EventType
from trunkline.events.store import UNSTORABLE, append_to_end

WAITING_MAX = 10_000
"""Publications that wait; more are dropped, the newest."""
RETRY_SECONDS = 1.0
REPEAT_LOG_SECONDS = 60.0
"""While publications wait, a line is logged so often."""
KEEP_SECONDS = 0.5
"""What is not written after this time is kept in the file, too."""
STOP_SECONDS = 2.0
"""At the end of a process the last publications are written for at most so long."""

_log = get_logger("events")

_DEAD_LETTER = """
insert into dead_letters (account_id, stream, seq, type, occurred_at, data, error) values (%s, %s, 0, %s, %s, %s, %s)
"""

_ALARM = "insert into installation_events (node, type, data, occurred_at) values (%s, %s, %s, %s)"
_WRITTEN = """
select from stream_events where account_id = %s and stream = %s and type = %s and occurred_at = %s and data = %s limit 1
"""
_WRITTEN_ALARM = """
select from installation_events where node = %s and type = %s and data = %s and occurred_at = %s limit 1
"""


@dataclass(frozen=True, slots=True)
class Alarm:
    """A row of ``installation_events``; its time is that of the publication."""

    node: int
    type: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Publication:
    """One event, an alarm of the installation, or both in one transaction.

    :ivar account_id: None: there is no event, but an alarm.
    :ivar stream: as :func:`~trunkline.events.store.append_to_end` takes it.
    """

    type: str
    at: Instant
    data: Mapping[str, Any]
    account_id: int | None = None
    stream: str = ""
    alarm: Alarm | None = None


class EventPublisher:
    """Writes publications in order, in a task of its own (:func:`publishing`).

    :param file: keeps what waits; None: it is lost when the process ends while PostgreSQL is unavailable.
    """

    def __init__(self, db: Database, *, file: Path | None = None, waiting_max: int = WAITING_MAX) -> None:
        self._db = db
        self._file = file
        self._waiting_max = waiting_max
        kept = [] if file is None else _load(file)
        self._waiting: deque[Publication] = deque(kept)
        self._kept_before = len(kept)
        """So many of those that wait are of a former process, which may have written the first of them."""
        self._changes, self._saved = 0, 0
        self._has_file = bool(kept)
        self._wake = asyncio.Event()
        if kept:
            self._wake.set()
        self._dropped = 0
        self._logged_at: float | None = None
        """Loop time of the last line about publications that wait; None = none wait."""

    def put(self, publication: Publication) -> None:
        """Queue one; never waits."""
        if len(self._waiting) >= self._waiting_max:
            if not self._dropped:
                _log.error(
                    "publications_dropped",
                    type=publication.type,
                    account_id=publication.account_id,
                    waiting=len(self._waiting),
                    consequence="these events are not published: the queue is full",
                    remedy="see logs/postgres.log, and check the disk of PostgreSQL",
                )
            self._dropped += 1
            return
        self._waiting.append(publication)
        self._changes += 1
        self._wake.set()

    @property
    def waiting(self) -> int:
        """Publications that are not written yet."""
        return len(self._waiting)

    async def run(self) -> None:
        """Write what waits, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                if not await self._write(self._waiting[0]):
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                self._remove_first()
            self._all_written()

    async def keep(self) -> None:
        """Keep what waits in the file, until cancelled."""
        while True:
            before = self._changes
            await asyncio.sleep(KEEP_SECONDS)
            # What was written at once needs no file; what waits is saved when it has waited for a period.
            if self._saved != before and (self._waiting or self._has_file):
                await self._save()

    async def finish(self) -> None:
        """Write what still waits, for a short time; the rest is kept in the file."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                while self._waiting and await self._write(self._waiting[0]):
                    self._remove_first()
        if self._waiting or self._has_file:
            await self._save()
        if self._waiting and not self._has_file:
            _log.error(
                "publications_dropped",
                type=self._waiting[0].type,
                account_id=self._waiting[0].account_id,
                waiting=len(self._waiting),
                consequence="these events are not published: the process ends while PostgreSQL is unavailable",
                remedy="see logs/postgres.log",
            )

    def _remove_first(self) -> None:
        self._waiting.popleft()
        self._kept_before = max(0, self._kept_before - 1)
        self._changes += 1

    async def _save(self) -> None:
        """The file has what waits; there is none when nothing does."""
        if self._file is None:
            return
        self._saved = self._changes
        rows = [asdict(one) for one in self._waiting]
        try:
            await asyncio.to_thread(_store, self._file, rows)
        except OSError as error:
            _log.error(
                "publications_not_kept",
                file=str(self._file),
                error=str(error),
                waiting=len(rows),
                consequence="these events are lost when the process ends before PostgreSQL is available",
                remedy="check the disk and the permissions of the data folder",
            )
            return
        self._has_file = bool(rows)

    async def _write(self, publication: Publication) -> bool:
        """Whether it is written, or can never be."""
        try:
            async with self._db.connection() as connection:
                if not self._kept_before or not await _is_written(connection, publication):
                    await _insert(connection, publication)
        except UNSTORABLE as error:
            return await self._refused(publication, error)
        except (psycopg.Error, DatabaseUnavailable) as error:
            self._not_written(error)
            return False
        return True

    async def _refused(self, publication: Publication, error: Exception) -> bool:
        _log.error(
            "publication_refused",
            type=publication.type,
            account_id=publication.account_id,
            stream=publication.stream,
            data=repr(publication.data),
            error=f"{type(error).__name__}: {first_line(error)}",
            consequence="the event is in dead_letters, and is not published",
            remedy="report this line",
        )
        if publication.account_id is None:
            return True  # the line above has all of it
        try:
            await self._db.execute(
                _DEAD_LETTER,
                (
                    publication.account_id,
                    publication.stream,
                    publication.type,
                    to_datetime(publication.at),
                    _as_text(publication.data),
                    f"{type(error).__name__}: {first_line(error)}"[:1000],
                ),
            )
        except (psycopg.Error, DatabaseUnavailable) as unwritten:
            self._not_written(unwritten)
            return not isinstance(unwritten, DatabaseUnavailable)  # the line above has all of it
        return True

    def _not_written(self, error: Exception) -> None:
        """Once for each outage, then each minute."""
        now = asyncio.get_running_loop().time()
        if self._logged_at is not None and now - self._logged_at < REPEAT_LOG_SECONDS:
            return
        self._logged_at = now
        _log.warning(
            "publications_wait",
            cause=log_cause(error),
            waiting=len(self._waiting),
            type=self._waiting[0].type if self._waiting else None,
            error=first_line(error),
            consequence="these events are published later; it is tried again each second",
        )

    def _all_written(self) -> None:
        if self._logged_at is not None or self._dropped:
            _log.info("publications_written", dropped=self._dropped)
        self._logged_at, self._dropped = None, 0


async def _insert(connection: Connection, publication: Publication) -> None:
    if publication.account_id is not None:
        await append_to_end(
            connection,
            publication.account_id,
            publication.stream,
            EventType(publication.type),
            publication.at,
            publication.data,
        )
    if publication.alarm is not None:
        await connection.execute(_ALARM, _alarm_row(publication.alarm, publication.at))


async def _is_written(connection: Connection, publication: Publication) -> bool:
    """Whether a former process has written it, and ended before its file was changed."""
    if publication.account_id is not None:
        event = (publication.account_id, publication.stream, publication.type, to_datetime(publication.at))
        cursor = await connection.execute(_WRITTEN, (*event, Jsonb(publication.data)))
    else:
        assert publication.alarm is not None
        node, type_, data, at = _alarm_row(publication.alarm, publication.at)
        cursor = await connection.execute(_WRITTEN_ALARM, (node, type_, data, at))
    return await cursor.fetchone() is not None


def _alarm_row(alarm: Alarm, at: Instant) -> tuple[int, str, Jsonb, datetime]:
    return alarm.node, alarm.type, Jsonb(alarm.data), to_datetime(at)


def _store(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        file.unlink(missing_ok=True)
        return
    partial = file.with_name(f".{file.name}.partial")
    with partial.open("wb") as new:
        for row in rows:
            new.write(orjson.dumps(row, default=str) + b"\n")
        new.flush()
        os.fsync(new.fileno())
    partial.replace(file)


def _load(file: Path) -> list[Publication]:
    """What a former process has kept. A line that cannot be read costs only itself."""
    try:
        lines = file.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        _log.error(
            "publications_not_kept",
            file=str(file),
            error=str(error),
            consequence="events of a former process are not published",
            remedy="check the disk and the permissions of the data folder",
        )
        return []
    found = []
    for line in lines:
        try:
            row = orjson.loads(line)
            alarm = row.pop("alarm")
            found.append(Publication(**row, alarm=None if alarm is None else Alarm(**alarm)))
        except (ValueError, TypeError, KeyError) as error:
            _log.error(
                "publication_refused",
                data=repr(line)[:1000],
                error=f"{type(error).__name__}: {first_line(error)}",
                consequence="the event is not published",
                remedy="report this line",
            )
    return found


def _as_text(data: Mapping[str, Any]) -> str:
    """PostgreSQL takes no zero byte in a text."""
    try:
        text = orjson.dumps(data).decode()
    except (TypeError, ValueError):
        text = repr(data)
    return storable(text)


@contextlib.asynccontextmanager
async def publishing(publisher: EventPublisher, name: str) -> AsyncIterator[None]:
    """Publish for the time of the block.

    :param name: of the task.
    """
    tasks = [core_task(publisher.run(), name=name), core_task(publisher.keep(), name=f"{name}-kept")]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await publisher.finish()
