"""Publishes events of lines, accounts and the installation in the background.

What is published waits in memory, in order, while PostgreSQL is unavailable, and is written afterwards: the caller never
waits. The queue is bounded. A publication that PostgreSQL can never store does not delay those after it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import psycopg

from trunkline.core.clock import Instant, to_datetime
from trunkline.core.errors import DatabaseUnavailable, first_line
from trunkline.core.log import get_logger
from trunkline.core.tasks import core_task
from trunkline.db.pool import Connection, Database, log_cause
from trunkline.events.catalogue import EventType
from trunkline.events.store import UNSTORABLE, append_to_end

WAITING_MAX = 10_000
"""Publications that wait; more are dropped, the newest."""
RETRY_SECONDS = 1.0
REPEAT_LOG_SECONDS = 60.0
"""While publications wait, a line is logged so often."""
STOP_SECONDS = 2.0
"""At the end of a process the last publications are written for at most so long."""

_log = get_logger("events")

_DEAD_LETTER = """
insert into dead_letters (account_id, stream, seq, type, occurred_at, data, error) values (%s, %s, 0, %s, %s, %s, %s)
"""

Write = Callable[[Connection], Awaitable[object]]
"""Writes rows in the transaction of the publication."""


@dataclass(frozen=True, slots=True)
class Publication:
    """One event, and what is written with it in one transaction.

    :ivar account_id: None: of the installation; ``also`` writes its row.
    :ivar stream: as :func:`~trunkline.events.store.append_to_end` takes it.
    :ivar also: further rows.
    """

    type: str
    at: Instant
    data: Mapping[str, Any]
    account_id: int | None = None
    stream: str = ""
    also: Write | None = field(default=None, compare=False)


class EventPublisher:
    """Writes publications in order, in a task of its own (:func:`publishing`)."""

    def __init__(self, db: Database, *, waiting_max: int = WAITING_MAX) -> None:
        self._db = db
        self._waiting_max = waiting_max
        self._waiting: deque[Publication] = deque()
        self._wake = asyncio.Event()
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
                self._waiting.popleft()
            self._all_written()

    async def finish(self) -> None:
        """Write what still waits, for a short time; the rest is lost, with a line of the log."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                while self._waiting and await self._write(self._waiting[0]):
                    self._waiting.popleft()
        if self._waiting:
            _log.error(
                "publications_dropped",
                type=self._waiting[0].type,
                account_id=self._waiting[0].account_id,
                waiting=len(self._waiting),
                consequence="these events are not published: the process ends while PostgreSQL is unavailable",
                remedy="see logs/postgres.log",
            )

    async def _write(self, publication: Publication) -> bool:
        """Whether it is written, or can never be."""
        try:
            async with self._db.connection() as connection:
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
            return True
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
    if publication.also is not None:
        await publication.also(connection)


def _as_text(data: Mapping[str, Any]) -> str:
    """PostgreSQL takes no zero byte in a text."""
    try:
        text = orjson.dumps(data).decode()
    except (TypeError, ValueError):
        text = repr(data)
    return text.replace("\x00", "")


@contextlib.asynccontextmanager
async def publishing(publisher: EventPublisher, name: str) -> AsyncIterator[None]:
    """Publish for the time of the block.

    :param name: of the task.
    """
    task = core_task(publisher.run(), name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await publisher.finish()
