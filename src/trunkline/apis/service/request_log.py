"""The log of requests: caller, method, time and outcome of each. Rows are written in batches, after the response.

No request waits until its row is written, or fails because it cannot be. While the database is unavailable the rows are
kept in memory, up to a bound; beyond it the oldest are dropped and the loss is logged. The number of a row
(``api_request_id``) is taken in the request: of each block of numbers one request reads the database, and fails as
any request does when the database is unavailable.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import orjson
from aiohttp import web

from trunkline.core.clock import to_datetime
from trunkline.core.errors import DatabaseUnavailable
from trunkline.core.log import get_logger
from trunkline.core.tasks import core_task

if TYPE_CHECKING:
    from trunkline.db.pool import Database

_log = get_logger("apis.request_log")

_INSERT = """
    insert into api_requests (account_id, api_request_id, api, method, user_id, user_login, ip, points,
    is_success,
        error_mnemonic, request, request_id, call_session_id, duration_ms, requested_at)
    values (%(account_id)s,
        coalesce(%(api_request_id)s, nextval(pg_get_serial_sequence('api_requests', 'api_request_id'))),
        %(api)s, %(method)s, %(user_id)s, %(user_login)s, %(ip)s, %(points)s, %(is_success)s,
        %(error_mnemonic)s, %(request)s, %(request_id)s, %(call_session_id)s, %(duration_ms)s,
        %(requested_at)s)
    on conflict do nothing
"""
_NEXT_IDS = """
    select nextval(pg_get_serial_sequence('api_requests', 'api_request_id')) as id from generate_series(1, %s)
"""
_PRUNE = """
    delete from api_requests where account_id = %(account_id)s and api_request_id in (
        select api_request_id from api_requests
        where account_id = %(account_id)s and requested_at < now() - make_interval(days => %(days)s)
        limit %(batch)s)
"""
_PRUNE_BATCH = 5000
_ID_BLOCK = 64
_BATCH = 500
_KEPT = 20_000
_PAUSE = 0.2
"""Seconds between two batches."""
_REQUEST_LIMIT = 16_384
"""Bytes of parameters kept of one request."""
_REFUSED_ROWS = 600
"""Refused requests of one account that become a row, a minute: they cost no points, so nothing else bounds them."""
_REFUSED_BYTES = 262_144
"""Bytes of parameters kept of them."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the report. ``requested_at`` is Unix seconds; ``request`` has its secrets masked
    already."""

    account_id: int
    api_request_id: int | None
    api: str
    method: str
    user_id: int
    user_login: str
    ip: str
    points: int
    error_mnemonic: str | None
    request: Mapping[str, Any]
    request_id: str
    call_session_id: int | None
    duration_ms: int
    requested_at: float

    def as_row(self) -> dict[str, Any]:
        """Values of the columns of ``api_requests``."""
        request = orjson.dumps(self.request)
        if len(request) > _REQUEST_LIMIT:
            request = orjson.dumps({"omitted_bytes": len(request)})
        return {
            "account_id": self.account_id,
            "api_request_id": self.api_request_id,
            "api": str(self.api),
            "method": self.method,
            "user_id": self.user_id,
            "user_login": self.user_login,
            "ip": self.ip,
            "points": self.points,
            "is_success": self.error_mnemonic is None,
            "error_mnemonic": self.error_mnemonic,
            "request": request.decode().replace("\\u0000", ""),
            "request_id": self.request_id[:255].replace("\0", ""),
            "call_session_id": self.call_session_id,
            "duration_ms": self.duration_ms,
            "requested_at": to_datetime(self.requested_at),
        }


class RequestLog(Protocol):
    """Where the lines of the report go."""

    async def next_id(self) -> int:
        """A new number of a request."""
        ...

    def write(self, entry: Entry) -> None:
        """Take a line; returns at once."""
        ...


REQUEST_LOG: web.AppKey[RequestLog] = web.AppKey("request_log", RequestLog)
"""Of the application of the web role, for endpoints that come as routes."""


class MemoryRequestLog:
    """Keeps the rows in a list: for tests and for APIs that run without a database."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._last = 0

    async def next_id(self) -> int:
        self._last += 1
        return self._last

    def write(self, entry: Entry) -> None:
        self.entries.append(entry)


class DatabaseRequestLog:
    """Writes to table ``api_requests``. Use as an async context manager: the rest is written at exit."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[Entry] = deque()
        self._dropped = 0
        self._refusals = _Refusals()
        self._ids: deque[int] = deque()
        self._ids_lock = asyncio.Lock()
        self._filled = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> DatabaseRequestLog:
        self._task = core_task(self._write_forever(), name="request-log")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._waiting and not await self._flush():
            _log.warning(
                "requests_not_written",
                lines=len(self._waiting),
                consequence="these rows of the request log are lost: the process ends without the database",
            )

    async def next_id(self) -> int:
        async with self._ids_lock:
            if not self._ids:
                rows = await self._database.fetch_all(_NEXT_IDS, (_ID_BLOCK,))
                self._ids.extend(row["id"] for row in rows)
            return self._ids.popleft()

    def write(self, entry: Entry) -> None:
        kept = self._refusals.bounded(entry) if entry.error_mnemonic is not None else entry
        if kept is None:
            return
        self._take(kept)

    def _take(self, entry: Entry) -> None:
        if len(self._waiting) >= _KEPT:
            self._waiting.popleft()
            self._dropped += 1
        self._waiting.append(entry)
        self._filled.set()

    async def _write_forever(self) -> None:
        pause = _PAUSE
        while True:
            await self._filled.wait()
            await asyncio.sleep(pause)
            pause = _PAUSE if await self._flush() else min(pause * 2, 30.0)

    async def _flush(self) -> bool:
        """Write all waiting lines; False when the database did not take them (they are kept)."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            try:
                await self._insert(batch)
            except BaseException as error:
                self._waiting.extendleft(reversed(batch))
                if not isinstance(error, DatabaseUnavailable):
                    raise
                _log.warning(
                    "request_log_waits",
                    cause="database_unavailable",
                    error=error.message,
                    lines=len(self._waiting),
                    consequence="the rows are kept in memory and written when the database responds",
                )
                return False
        self._filled.clear()
        if self._dropped:
            _log.error(
                "requests_lost",
                lines=self._dropped,
                consequence="so many requests are not in the request log",
                remedy="see request_log_waits before this line and logs/postgres.log: the database was unavailable too long",
            )
            self._dropped = 0
        return True

    async def _insert(self, batch: list[Entry]) -> None:
        try:
            async with self._database.connection() as connection, connection.cursor() as cursor:
                await cursor.executemany(_INSERT, [entry.as_row() for entry in batch])
        except (DatabaseUnavailable, asyncio.CancelledError):
            raise
        except Exception as error:
            if len(batch) == 1:
                _log.error(
                    "request_not_storable",
                    account_id=batch[0].account_id,
                    method=batch[0].method,
                    consequence="this request is not in the request log",
                    remedy="report this line with its traceback",
                    exc_info=error,
                )
                return
            for entry in batch:
                await self._insert([entry])


class _Refusals:
    """What one account's refused requests may add to the report in a minute, so that no account fills the disk of all."""

    def __init__(self) -> None:
        self._minute = 0
        self._rows: Counter[int] = Counter()
        self._bytes: Counter[int] = Counter()

    def bounded(self, entry: Entry) -> Entry | None:
        """The row as far as it may be written: complete, without its parameters, or None."""
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute = minute
            self._rows.clear()
            self._bytes.clear()
        account_id = entry.account_id
        self._rows[account_id] += 1
        if self._rows[account_id] > _REFUSED_ROWS:
            if self._rows[account_id] == _REFUSED_ROWS + 1:
                _log.warning(
                    "refused_requests_left_out",
                    account_id=account_id,
                    consequence="refused requests of this account are not logged until the next minute",
                )
            return None
        size = len(orjson.dumps(entry.request))
        if size <= _REQUEST_LIMIT and self._bytes[account_id] + size <= _REFUSED_BYTES:
            self._bytes[account_id] += size
            return entry
        return replace(entry, request={"omitted_bytes": size})


async def prune(db: Database, days: Mapping[int, int | None]) -> int:
    """Delete what is older than so many days; return how many lines. The worker does so about once an hour.

    :param days: by account; None = kept for ever.

    In small transactions, so that others do not wait for a long one.
    """
    gone = 0
    for account_id, limit in days.items():
        while limit is not None:
            lines = await db.execute(_PRUNE, {"account_id": account_id, "days": limit, "batch": _PRUNE_BATCH})
            gone += lines
            if lines < _PRUNE_BATCH:
                break
    return gone
