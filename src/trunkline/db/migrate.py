"""Schema migrations: the SQL files ``NNNN_topic.sql`` in :mod:`trunkline.db.migrations`, in the order of their numbers.

They go forward only, and a released file is never changed. The table ``schema_migrations`` has the numbers of those that a
database has had. Each file is one transaction, unless its first line is :data:`OUTSIDE`: then its statements run one by one
without a transaction, as ``create index concurrently`` requires, and each must be repeatable, because an interrupted file is
run again from its beginning.

The job queue (procrastinate) has its own schema: ``0002`` applies it, and each later :func:`upgrade` applies those of the
library's own migrations that this database has not had (:mod:`trunkline.db.jobs_schema`).
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import psycopg

from trunkline.core.errors import SetupError
from trunkline.core.log import get_logger
from trunkline.db import jobs_schema, partitions, row_security
from trunkline.db.pool import is_unavailable, translated_errors

LOCK_TIMEOUT_MS = 1000
"""How long a migration waits for a lock on a table; writers of the table queue behind it meanwhile."""

LOCK_ATTEMPTS = 120
"""How many times a migration is tried when it does not get its locks."""

OUTSIDE = "-- trunkline: outside a transaction"
"""First line of a file that does not run in a transaction."""

_LOCK_PAUSE = 0.5
"""Seconds between two tries, in which others can write."""

_TURN_PAUSE = 0.1
"""Seconds between two questions whether another process has ended its upgrade."""

_SET_TIMEOUT = f"set lock_timeout = {LOCK_TIMEOUT_MS}"

_LOCK = 7_256_000
"""Advisory lock held during an upgrade: a second one waits, then finds nothing to do."""

_FILE = re.compile(r"(?P<version>\d{4})_\w+\.sql")

_INDEX = re.compile(
    r"create\s+(?P<kind>(?:unique\s+)?index)\s+concurrently\s+(?P<name>\w+)\s+on\s+(?P<table>\w+)\s+(?P<definition>.+)",
    re.IGNORECASE | re.DOTALL,
)

_CREATE_TABLE = """
create table if not exists schema_migrations (
    version text primary key,
    name text not null,
    applied_at timestamptz not null default now()
)
"""

_RECORD = "insert into schema_migrations (version, name) values (%s, %s)"

_log = get_logger("db.migrate")

_Connection = psycopg.Connection[Any]


class MigrationFailed(SetupError):  # noqa: N818 - what happened
    """A migration could not be applied. The database is as it was before it; the message has the remedy."""


class Migration(NamedTuple):
    """A file: its number, its name without the ending, and its statements."""

    version: str
    name: str
    text: str

    @property
    def is_outside(self) -> bool:
        """Whether it runs without a transaction."""
        return self.text.startswith(OUTSIDE)

    def statements(self) -> list[str]:
        """The single statements of a file outside a transaction: each ends with a semicolon at the end of a line."""
        plain = re.sub(r"^\s*--[^\n]*\n?", "", self.text, flags=re.MULTILINE)
        return [one.strip() for one in re.split(r";[ \t]*(?:\n|\Z)", plain) if one.strip()]


_WITH: Mapping[str, Callable[[_Connection], None]] = {
    "0002": lambda connection: jobs_schema.install(connection),
}
"""What runs in the transaction of a file, after it."""


def upgrade(dsn: str, to: str = "head") -> list[str]:
    """Bring a database (empty or with data) to the newest schema; returns the numbers of what was applied.

    Waits for another process that upgrades the same database. Blocks; from a coroutine call it in a thread. Others may use
    the database meanwhile: a migration that does not get a lock within ``LOCK_TIMEOUT_MS`` is rolled back and tried again,
    so no other process waits longer than that behind it.

    :param to: a number to stop at.
    :raises DatabaseUnavailable: the server is unavailable.
    :raises MigrationFailed: a statement failed, a transaction of others has held a lock during all tries, or the database
        is that of a newer version.
    """
    todo = [one for one in migrations() if to == "head" or one.version <= to]
    with translated_errors(), psycopg.connect(dsn, autocommit=True) as connection:
        _take_turn(connection)
        connection.execute(_SET_TIMEOUT)
        _convert(connection)
        present = _versions(connection)
        _check_known(present)
        applied: list[str] = []
        last = max(present, default=None)
        for one in todo:
            if one.version in present:
                continue
            _step(one.name, last, lambda one=one: _apply(connection, one))  # type: ignore[misc]
            applied.append(one.version)
            last = one.version
        if to == "head":
            _step(
                "the schema of the job queue", last, lambda: applied.extend(jobs_schema.upgrade(connection))
            )
            months = partitions.statement(partitions.months_around(datetime.fromtimestamp(time.time(), UTC)))
            if months is not None:
                _step("partitions", last, lambda: connection.execute(months))
            for step in row_security.steps(connection):
                _step("row-level security", last, step)
            if not row_security.has_roles(connection):
                _log.warning(
                    "row_security_without_roles",
                    remedy="make the roles that docs/install.md names under 'Your own PostgreSQL', then start again",
                )
        return applied


def _take_turn(connection: _Connection) -> None:
    """Wait for another process that upgrades. Not by a statement that waits: its snapshot would keep an index of the other
    process from being built ``concurrently``, and the two would wait for each other."""
    while connection.execute("select pg_try_advisory_lock(%s)", (_LOCK,)).fetchone() == (False,):
        time.sleep(_TURN_PAUSE)


def current(dsn: str) -> str | None:
    """The number of a database's newest migration, None when it has no schema yet."""
    with translated_errors(), psycopg.connect(dsn, autocommit=True) as connection:
        return max(_versions(connection), default=None) or _former_version(connection)


def newest() -> str:
    """The newest migration of this program."""
    return migrations()[-1].version


@cache
def migrations() -> Sequence[Migration]:
    """All files in order.

    :raises ValueError: two have the same number, or a file of the folder has another name.
    """
    found = []
    for file in resources.files("trunkline.db.migrations").iterdir():
        if file.name.endswith(".sql"):
            name = _FILE.fullmatch(file.name)
            if name is None:
                raise ValueError(f"{file.name} is not named NNNN_topic.sql")
            text = file.read_text(encoding="utf-8")
            found.append(Migration(name["version"], file.name.removesuffix(".sql"), text))
    found.sort()
    for before, after in itertools.pairwise(found):
        if before.version == after.version:
            raise ValueError(
                f"{before.name} and {after.name} have the same number; give the later one the next"
            )
    return tuple(found)


def _apply(connection: _Connection, one: Migration) -> None:
    if one.is_outside:
        for statement in one.statements():
            _run_outside(connection, statement)
        connection.execute(_RECORD, (one.version, one.name))
        return
    with connection.transaction():
        connection.execute(one.text.encode())
        if one.version in _WITH:
            _WITH[one.version](connection)
        connection.execute(_RECORD, (one.version, one.name))


def _run_outside(connection: _Connection, statement: str) -> None:
    index = _INDEX.fullmatch(statement)
    if index is None:
        connection.execute(statement.encode())
        return
    connection.execute("set lock_timeout = 0")  # a concurrent build blocks no writer while it waits
    try:
        create_index(
            connection,
            index["name"],
            index["table"],
            index["definition"],
            unique=index["kind"].lower().startswith("unique"),
        )
    finally:
        connection.execute(_SET_TIMEOUT)


def create_index(
    connection: _Connection, name: str, table: str, definition: str, *, unique: bool = False
) -> None:
    """Create an index while others write to the table, also after an attempt that was interrupted.

    This is what ``create index concurrently`` in a migration does. PostgreSQL refuses that statement for a partitioned
    table, so each partition gets its index first.

    :param connection: in autocommit mode.
    :param definition: what follows the table's name: ``(account_id, requested_at desc) where ...``.
    """
    kind = "unique index" if unique else "index"
    parts = [
        row[0]
        for row in connection.execute(
            "select inhrelid::regclass::text from pg_inherits where inhparent = %s::regclass order by 1",
            (table,),
        )
    ]
    own = {part: f"{name}_{part.rpartition('.')[2].removeprefix(table).strip('_')}" for part in parts}
    for part in parts:
        _create_plain_index(connection, own[part], part, definition, kind)
    if not parts and not _is_partitioned(connection, table):
        _create_plain_index(connection, name, table, definition, kind)
        return
    connection.execute(f"create {kind} if not exists {name} on only {table} {definition}".encode())
    for part in parts:
        connection.execute(f"alter index {name} attach partition {own[part]}".encode())


def _create_plain_index(connection: _Connection, name: str, table: str, definition: str, kind: str) -> None:
    found = connection.execute(
        "select indisvalid from pg_index where indexrelid = to_regclass(%s)", (name,)
    ).fetchone()
    if found == (False,):
        connection.execute(f"drop index concurrently {name}".encode())
    connection.execute(f"create {kind} concurrently if not exists {name} on {table} {definition}".encode())


def _is_partitioned(connection: _Connection, table: str) -> bool:
    row = connection.execute(
        "select relkind = 'p' from pg_class where oid = %s::regclass", (table,)
    ).fetchone()
    return bool(row and row[0])


def _step(name: str, last: str | None, step: Callable[[], object]) -> None:
    """Do a step, which is rolled back when it does not get its locks; repeat it until it does.

    :param last: the number that the database has before it.
    """
    state = "the database has no schema yet" if last is None else f"the database is at {last}, as before"
    for attempt in range(1, LOCK_ATTEMPTS + 1):
        try:
            step()
            return
        except psycopg.errors.LockNotAvailable as error:
            if attempt == LOCK_ATTEMPTS:
                raise MigrationFailed(
                    f"migration {name} does not get a lock on a table; {state}. End the transactions that stay open"
                    " (table pg_stat_activity, state 'idle in transaction'), then start again"
                ) from error
            _log.warning(
                "migration_waits_for_lock",
                migration=name,
                attempt=attempt,
                error=str(error).strip(),
                consequence="it is tried again",
                remedy="end the transactions that stay open (pg_stat_activity, state 'idle in transaction')",
            )
            time.sleep(_LOCK_PAUSE)
        except psycopg.Error as error:
            if is_unavailable(error):
                raise
            raise MigrationFailed(
                f"migration {name} failed: {str(error).strip()}; {state}. The former version of Trunkline still runs on"
                " it. Correct the cause that PostgreSQL names, then start again"
            ) from error


def revision_of(connection: _Connection) -> str | None:
    """The same as :func:`current` by an open connection, in its transaction."""
    return max(_versions(connection), default=None) or _former_version(connection)


def is_known(version: str) -> bool:
    """Whether this program has a migration of this number."""
    return any(one.version == version for one in migrations())


def _versions(connection: _Connection) -> set[str]:
    if connection.execute("select to_regclass('schema_migrations')").fetchone() == (None,):
        return set()
    return {row[0] for row in connection.execute("select version from schema_migrations")}


def _former_version(connection: _Connection) -> str | None:
    """The number in the table of the tool that ordered the migrations up to version 0.1.0."""
    if connection.execute("select to_regclass('alembic_version')").fetchone() == (None,):
        return None
    row = connection.execute("select version_num from alembic_version").fetchone()
    return None if row is None else str(row[0])


def _convert(connection: _Connection) -> None:
    """Create the table of migrations; a database that has the former table keeps its number."""
    if connection.execute("select to_regclass('schema_migrations')").fetchone() != (None,):
        return
    former = _former_version(connection)
    known = [(one.version, one.name) for one in migrations() if former is not None and one.version <= former]
    if former is not None and (not known or known[-1][0] != former):
        raise _too_new(former)
    with connection.transaction():
        connection.execute(_CREATE_TABLE)
        connection.cursor().executemany(_RECORD, known)
        connection.execute("drop table if exists alembic_version")


def _check_known(present: set[str]) -> None:
    unknown = present - {one.version for one in migrations()}
    if unknown:
        raise _too_new(max(unknown))


def _too_new(version: str) -> MigrationFailed:
    return MigrationFailed(
        f"the database is at migration {version}, which this version of Trunkline does not have; nothing was changed."
        " Start the newer version again, or restore the backup made before the upgrade"
    )
