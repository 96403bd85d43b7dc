"""Access to the database: one pool for each process, rows as dictionaries, times in UTC.

::

    db = await Database.open(dsn, application_name="trunkline web")
    async with db.connection() as connection:      # one transaction: committed at the end, undone on an error
        await connection.execute("update ...")
    rows = await db.fetch_all("select ... where account_id = %s", (account_id,))
    async for payload in db.listen("trunkline_directory"):
        ...                                        # "" after each (re)connect: read all again

Errors that mean that the server is unavailable become :class:`~trunkline.core.errors.DatabaseUnavailable`; all others
(a violated constraint, a statement cancelled by its time limit) stay what the driver raises.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, LiteralString, NamedTuple, Self, TypeAlias

import orjson
import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import set_json_loads

from trunkline.core.errors import DatabaseFull, DatabaseUnavailable, first_line
from trunkline.core.log import get_logger
from trunkline.db import row_security
from trunkline.db.one_trip import BoundStatement, RawRow, run_in_one_trip, run_prepared
from trunkline.db.waiting import EventConnection, LivePool

Row: TypeAlias = DictRow
Connection: TypeAlias = psycopg.AsyncConnection[DictRow]
Statement: TypeAlias = LiteralString | sql.SQL | sql.Composed | bytes
Parameters: TypeAlias = Sequence[Any] | Mapping[str, Any] | None

_UNAVAILABLE_STATES = frozenset({"57P01", "57P02", "57P03", "53300", "53400"})
"""Shutting down, crashed, starting up, too many connections, a limit of the server."""

_FULL_STATES = frozenset({"53100", "53200", "58030"})
"""Disk full, out of memory, an error of reading or writing a file."""

_LISTEN_IDLE = 30.0
"""Seconds without a notification after which a listener asks whether the server is still there."""

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
"""Seconds between a listener's attempts to connect."""

_RECONNECT = 2.0
"""Seconds after which the pool gives up one series of attempts; the next request begins another. A longer
series, whose pauses double, would keep requests waiting long after the server is back."""

_READING: LiteralString = "isolation level repeatable read, read only"
_BEGIN_READING = f"begin {_READING}".encode()

# A call's events are read several times after the call, so a faster JSON parser is worthwhile.
set_json_loads(orjson.loads)

# It logs each attempt of each connection; the error of the request and the listener log it once.
logging.getLogger("psycopg.pool").setLevel(logging.ERROR)

_log = get_logger("db")


def is_unavailable(error: psycopg.Error) -> bool:
    """Whether a driver's error means that the server is unreachable at present, so that a retry may succeed."""
    if not isinstance(error, psycopg.OperationalError):
        return False
    return error.sqlstate is None or error.sqlstate.startswith("08") or error.sqlstate in _UNAVAILABLE_STATES


def is_of_the_installation(error: BaseException) -> bool:
    """Whether a driver's error has its cause in the installation and not in the values of the statement: the server is
    unavailable, a disk is full, a table or permission is missing. The same statement succeeds once that is repaired."""
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        # Row-level security has the same code; its cause is the row.
        return error.diag.source_function == "aclcheck_error"
    missing = (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName)
    return isinstance(error, (psycopg.OperationalError, DatabaseUnavailable, *missing))


def log_cause(error: BaseException | None) -> str:
    """The field ``cause`` of a log line about an error of the database.

    ``database_unavailable``: the server cannot be reached, so everything continues when it is back. ``database_error``: it
    responded with an error, such as a missing table or permission.
    """
    while error is not None:
        if isinstance(error, DatabaseFull):
            return "database_error"
        if isinstance(error, DatabaseUnavailable | OSError):
            return "database_unavailable"
        if isinstance(error, psycopg.Error):
            return "database_unavailable" if is_unavailable(error) else "database_error"
        error = error.__cause__
    return "database_error"


def is_statement_timeout(error: BaseException) -> bool:
    """Whether a driver's error means that the server cancelled a statement at its time limit."""
    return isinstance(error, psycopg.errors.QueryCanceled)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raise :class:`DatabaseUnavailable` in the place of a driver's error when the server is unavailable,
    :class:`DatabaseFull` when it cannot write."""
    try:
        yield
    except psycopg.OperationalError as error:
        if error.sqlstate in _FULL_STATES:
            raise DatabaseFull(
                f"PostgreSQL cannot write ({first_line(error)}): free space on its disk; see `trunkline status`"
            ) from error
        if not is_unavailable(error):
            raise
        raise DatabaseUnavailable(
            f"PostgreSQL does not answer ({first_line(error)}); see `trunkline status` and its log"
        ) from error


class PoolUse(NamedTuple):
    """Connections of a pool now, and how many requests wait for one."""

    size: int
    in_use: int
    waiting: int


class Database:
    """A pool of connections. Made by :meth:`open`, ended by :meth:`close`."""

    def __init__(self, dsn: str, application_name: str, pool: LivePool[Connection]) -> None:
        self.dsn = dsn
        self._application_name = application_name
        self._pool = pool
        self.has_roles: bool | None = None
        """Whether the roles of tenants can be taken; None = not asked yet."""

    @classmethod
    async def open(
        cls,
        dsn: str,
        *,
        application_name: str = "trunkline",
        min_size: int = 1,
        max_size: int = 10,
        statement_timeout_ms: int | None = None,
        connect_timeout: float = 30.0,
        wait_timeout: float = 5.0,
    ) -> Self:
        """Connect.

        :param dsn: a connection URI or string of libpq.
        :param statement_timeout_ms: the server cancels a longer statement (``psycopg.errors.QueryCanceled``).
        :param connect_timeout: seconds to wait for the server now.
        :param wait_timeout: seconds that a statement may wait for a free connection, or for a server that
            restarts, before it fails.
        :raises DatabaseUnavailable: no connection within that time.
        """
        with translated_errors():
            await _wait_for_server(dsn, connect_timeout)

        async def configure(connection: Connection) -> None:
            await connection.execute("set time zone 'UTC'")
            if statement_timeout_ms is not None:
                await connection.execute(
                    sql.SQL("set statement_timeout = {}").format(sql.Literal(statement_timeout_ms))
                )
            await connection.commit()

        pool: LivePool[Connection] = LivePool(
            dsn,
            kwargs={"row_factory": dict_row, "application_name": application_name},
            connection_class=EventConnection,
            min_size=min_size,
            max_size=max_size,
            configure=configure,
            timeout=wait_timeout,
            reconnect_timeout=_RECONNECT,
            name=application_name,
            open=False,
        )
        try:
            with translated_errors():
                await pool.open(wait=True, timeout=connect_timeout)
        except BaseException:
            await pool.close(timeout=0)
            raise
        return cls(dsn, application_name, pool)

    async def close(self) -> None:
        """Close all connections; a second time does nothing."""
        await self._pool.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def pool_use(self) -> PoolUse:
        """From the memory of the pool; uses no connection."""
        stats = self._pool.get_stats()
        size = stats.get("pool_size", 0)
        return PoolUse(size, size - stats.get("pool_available", 0), stats.get("requests_waiting", 0))

    def for_account(self, account_id: int, *, with_clients: bool = False) -> Database:
        """The same connections, with each transaction restricted to the rows of an account (:mod:`.row_security`).

        :param with_clients: an agent's request about its clients: their rows, too.
        """
        return _AccountDatabase(self, row_security.Scope(account_id, with_clients))

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for one transaction: committed at the end, rolled back when the block raises."""
        with translated_errors():
            async with self._pool.connection() as connection:
                yield connection

    @asynccontextmanager
    async def reading(self, timeout_ms: int) -> AsyncIterator[Connection]:
        """A read-only transaction on one snapshot, begun by one message.

        :param timeout_ms: the server cancels a longer statement; ``set local statement_timeout`` changes it.
        """
        with translated_errors():
            async with self._pool.connection() as connection:
                settings = {**await self._settings(connection), "statement_timeout": str(timeout_ms)}
                async with _begun(connection, row_security.begin(settings, _READING)):
                    yield connection

    @asynccontextmanager
    async def reading_first(
        self, timeout_ms: int, first: BoundStatement, *, any_values: bool = False
    ) -> AsyncIterator[tuple[Connection, list[RawRow]]]:
        """As :meth:`reading`, and the rows of the first statement, which is sent with the beginning of the transaction.

        :param any_values: the server may use one plan for all values of the statement, and does not plan it again; only for
            statements that every plan runs quickly.
        """
        with translated_errors():
            connection = await self._pool.getconn()
            try:
                settings = {
                    **await self._settings(connection),
                    "statement_timeout": str(timeout_ms),
                    "plan_cache_mode": "force_generic_plan" if any_values else "force_custom_plan",
                }
                begin = row_security.local_settings_statement(settings)
                yield connection, await run_in_one_trip(connection, _BEGIN_READING, (begin, first))
            finally:
                self._pool.end_and_return(connection)

    async def _settings(self, connection: Connection) -> Mapping[str, str]:
        """Settings that each transaction begins with."""
        return {}

    @asynccontextmanager
    async def _single(self) -> AsyncIterator[Connection]:
        """A connection for one statement, which is a transaction by itself: asking the server to begin and commit
        one would take three times as long."""
        with translated_errors():
            async with self._pool.connection() as connection, _committing_each(connection):
                yield connection

    async def _run(
        self, connection: Connection, statement: Statement, parameters: Parameters
    ) -> psycopg.AsyncCursor[Row]:
        return await connection.execute(statement, parameters)

    async def fetch_all(self, statement: Statement, parameters: Parameters = None) -> list[Row]:
        """All rows of one statement, run in its own transaction."""
        async with self._single() as connection:
            cursor = await self._run(connection, statement, parameters)
            return await cursor.fetchall()

    async def fetch_one(self, statement: Statement, parameters: Parameters = None) -> Row | None:
        """The first row of one statement, None when there is none."""
        async with self._single() as connection:
            cursor = await self._run(connection, statement, parameters)
            return await cursor.fetchone()

    async def fetch_prepared(self, statement: BoundStatement) -> list[Row]:
        """As :meth:`fetch_all`, in less processor time, for a statement of each request: it stays prepared."""
        with translated_errors():
            connection = await self._pool.getconn()
            try:
                return await run_prepared(connection, statement)
            finally:
                await self._pool.putconn(connection)

    async def execute(self, statement: Statement, parameters: Parameters = None) -> int:
        """Run one statement; how many rows it touched."""
        async with self._single() as connection:
            cursor = await self._run(connection, statement, parameters)
            return cursor.rowcount

    async def listen(self, *channels: str) -> AsyncGenerator[str, None]:
        """Payloads notified on one or several channels, until the reader stops.

        Uses a separate connection, and connects again (0.1 s doubling to 5 s) when it breaks. Yields ``""``
        after each connect, as notifications may have been missed: the reader must read all again.
        Closing the generator closes the connection.
        """
        pause = _FIRST_PAUSE
        while True:
            try:
                async with await self._connect_listener(channels) as connection:
                    yield ""
                    pause = _FIRST_PAUSE
                    while True:
                        async for notice in connection.notifies(timeout=_LISTEN_IDLE):
                            yield notice.payload
                        await connection.execute("select 1")
            except psycopg.OperationalError as error:
                if not is_unavailable(error):
                    raise
                _log.warning(
                    "listener_connection_lost",
                    cause=log_cause(error),
                    channel=", ".join(channels),
                    error=first_line(error),
                    consequence="notifications wait; it reconnects, and reads what was missed",
                )
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _connect_listener(self, channels: tuple[str, ...]) -> psycopg.AsyncConnection[Any]:
        connection = await EventConnection.connect(
            self.dsn, autocommit=True, application_name=f"{self._application_name} listener"
        )
        try:
            for channel in channels:
                await connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
        except BaseException:
            await connection.close()
            raise
        return connection


class _AccountDatabase(Database):
    """The view of a database that :meth:`Database.for_account` gives. Closing it closes nothing."""

    def __init__(self, base: Database, scope: row_security.Scope) -> None:
        super().__init__(base.dsn, base._application_name, base._pool)
        self._base = base
        self._scope = scope

    def for_account(self, account_id: int, *, with_clients: bool = False) -> Database:
        return self._base.for_account(account_id, with_clients=with_clients)

    async def close(self) -> None:
        """The connections are those of the database that made this view."""

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        with translated_errors():
            async with self._pool.connection() as connection:
                begin = row_security.begin(await self._settings(connection))
                async with _begun(connection, begin):
                    yield connection

    async def fetch_prepared(self, statement: BoundStatement) -> list[Row]:
        raise NotImplementedError("the statement would not be restricted to the account: use fetch_all")

    async def _run(
        self, connection: Connection, statement: Statement, parameters: Parameters
    ) -> psycopg.AsyncCursor[Row]:
        settings = await self._settings(connection)
        if not settings:
            return await connection.execute(statement, parameters)
        async with connection.pipeline():  # one transaction and one round trip for both
            await connection.execute(row_security.local_settings_query(settings))
            return await connection.execute(statement, parameters)

    async def _settings(self, connection: Connection) -> Mapping[str, str]:
        if self._base.has_roles is None:
            row = await (await connection.execute(row_security.HAS_ROLES.encode())).fetchone()
            self._base.has_roles = bool(row and row["has_roles"])
            if not connection.autocommit:
                await connection.commit()
        return self._scope.settings(has_roles=self._base.has_roles)


@asynccontextmanager
async def whole_installation(connection: Connection) -> AsyncIterator[None]:
    """Within a transaction of :meth:`Database.for_account`: the block sees the rows of all accounts.

    For the few queries that must read rows of other accounts: whether a number, a login or an address is taken.
    """
    cursor = await connection.execute(
        "select current_setting('role') as role, current_setting('trunkline.account_id', true) as account"
    )
    before = await cursor.fetchone()
    assert before is not None  # a select without a table has one row
    await connection.execute(row_security.LEAVING.encode())
    yield  # an error ends the transaction, and the setting with it
    await connection.execute(
        "select set_config('role', %s, true), set_config('trunkline.account_id', coalesce(%s, ''), true)",
        (before["role"], before["account"]),
    )


@asynccontextmanager
async def _begun(connection: Connection, begin: Statement) -> AsyncIterator[None]:
    """A transaction that begins with a script instead of the driver's "begin"."""
    async with _committing_each(connection):
        try:
            await connection.execute(begin, prepare=False)
            yield
        except BaseException:
            await connection.rollback()
            raise
        await connection.commit()


@asynccontextmanager
async def _committing_each(connection: Connection) -> AsyncIterator[None]:
    await connection.set_autocommit(True)
    try:
        yield
    finally:
        if connection.info.transaction_status == TransactionStatus.IDLE:
            await connection.set_autocommit(False)
        else:
            await connection.close()  # the pool replaces it


async def _wait_for_server(dsn: str, timeout: float) -> None:
    """Return once the server lets us in; the driver's last error after so many seconds."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            connection = await psycopg.AsyncConnection.connect(dsn, connect_timeout=max(2, round(timeout)))
            await connection.close()
            return
        except psycopg.OperationalError:
            if time.monotonic() + _FIRST_PAUSE > deadline:
                raise
        await asyncio.sleep(_FIRST_PAUSE)
