"""Schema migrations: Alembic revisions in :mod:`trunkline.db.migrations`, forward only.

A revision is a module ``versions/rNNNN_topic.py`` with ``revision = "NNNN"`` and ``down_revision``, mostly
running the SQL file ``NNNN_topic.sql`` next to it. A revision that has been released is never changed.

The job queue (procrastinate) has its own schema: a revision applies it, and each later
:func:`upgrade` applies those of the library's own migrations that this database has not seen
(:mod:`trunkline.db.jobs_schema`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import psycopg
import sqlalchemy
import sqlalchemy.exc
from alembic import command, op
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.pool import NullPool

from trunkline.core.log import get_logger
from trunkline.db import jobs_schema, partitions, row_security
from trunkline.db.pool import translated_errors

LOCK_TIMEOUT_MS = 1000
"""How long a revision waits for a lock on a table; writers of the table queue behind it meanwhile."""

LOCK_ATTEMPTS = 120
"""How many times a revision is tried when it does not get its locks."""

_LOCK_PAUSE = 0.5
"""Seconds between two tries, in which others can write."""

_SET_TIMEOUT = f"set lock_timeout = {LOCK_TIMEOUT_MS}"

_log = get_logger("db.migrate")

_LOCK = 7_256_000
"""Advisory lock held during an upgrade: a second one waits, then finds nothing to do."""


def upgrade(dsn: str, to: str = "head") -> list[str]:
    """Bring a database (empty or with data) to the newest schema; returns the names of what was applied.

    Each revision is one transaction. Waits for another process that upgrades the same database. Blocks; from
    a coroutine call it in a thread. Others may use the database meanwhile: a revision that does not get a lock within
    ``LOCK_TIMEOUT_MS`` is rolled back and tried again, so no other process waits longer than that behind it.

    :param to: a revision to stop at.
    :raises DatabaseUnavailable: the server is away.
    :raises psycopg.errors.LockNotAvailable: a transaction of others has held a lock during all tries.
    """
    with translated_errors(), psycopg.connect(dsn, autocommit=True) as lock_holder:
        lock_holder.execute("select pg_advisory_lock(%s)", (_LOCK,))
        before = set(_applied(lock_holder))
        _retry_on_lock(lambda: _upgrade_schema(dsn, to))
        applied = [name for name in _lineage(to) if name not in before]
        if to == "head":
            lock_holder.execute(_SET_TIMEOUT)
            _retry_on_lock(lambda: applied.extend(jobs_schema.upgrade(lock_holder)))
            todo = partitions.statement(partitions.months_around(datetime.fromtimestamp(time.time(), UTC)))
            if todo is not None:
                _retry_on_lock(lambda: lock_holder.execute(todo))
            for step in row_security.steps(lock_holder):
                _retry_on_lock(step)
            if not row_security.has_roles(lock_holder):
                _log.warning(
                    "row_security_without_roles",
                    remedy="make the roles that docs/install.md names under 'Your own PostgreSQL', then start again",
                )
        return applied


def _upgrade_schema(dsn: str, to: str) -> None:
    with _config(dsn) as config:
        command.upgrade(config, to)


def _retry_on_lock(step: Callable[[], object]) -> None:
    """Do a step, which is rolled back when it does not get its locks; repeat it until it does."""
    for attempt in range(1, LOCK_ATTEMPTS + 1):
        try:
            step()
            return
        except (psycopg.errors.LockNotAvailable, sqlalchemy.exc.OperationalError) as error:
            cause = error.orig if isinstance(error, sqlalchemy.exc.OperationalError) else error
            if not isinstance(cause, psycopg.errors.LockNotAvailable):
                raise
            if attempt == LOCK_ATTEMPTS:
                raise cause from error
            _log.warning("migration_waits_for_lock", attempt=attempt, error=str(cause).strip())
            time.sleep(_LOCK_PAUSE)


def create_index(name: str, table: str, definition: str, *, unique: bool = False) -> None:
    """For revisions: create an index while others write to the table, also after an attempt that was interrupted.

    Ends the revision's transaction, so it is the last thing that a revision does. On a partitioned table each partition
    gets its index first.

    :param name: of the index.
    :param definition: what follows the table's name: ``(account_id, requested_at desc) where ...``.
    """
    with op.get_context().autocommit_block():
        driver: Any = op.get_bind().connection.driver_connection
        driver.execute("set lock_timeout = 0")  # a concurrent build blocks no writer while it waits
        try:
            _create_index(driver, name, table, definition, "unique index" if unique else "index")
        finally:
            driver.execute(_SET_TIMEOUT)


def _create_index(driver: Any, name: str, table: str, definition: str, kind: str) -> None:
    partitions_ = [
        row[0]
        for row in driver.execute(
            "select inhrelid::regclass::text from pg_inherits where inhparent = %s::regclass order by 1",
            (table,),
        )
    ]
    for part in partitions_:
        own = f"{name}_{part.rpartition('.')[2].removeprefix(table).strip('_')}"
        _create_plain_index(driver, own, part, definition, kind)
    if not partitions_ and not _is_partitioned(driver, table):
        _create_plain_index(driver, name, table, definition, kind)
        return
    driver.execute(f"create {kind} if not exists {name} on only {table} {definition}")
    for part in partitions_:
        own = f"{name}_{part.rpartition('.')[2].removeprefix(table).strip('_')}"
        driver.execute(f"alter index {name} attach partition {own}")


def _create_plain_index(driver: Any, name: str, table: str, definition: str, kind: str) -> None:
    found = driver.execute(
        "select indisvalid from pg_index where indexrelid = to_regclass(%s)", (name,)
    ).fetchone()
    if found == (False,):
        driver.execute(f"drop index concurrently {name}")
    driver.execute(f"create {kind} concurrently if not exists {name} on {table} {definition}")


def _is_partitioned(driver: Any, table: str) -> bool:
    row = driver.execute("select relkind = 'p' from pg_class where oid = %s::regclass", (table,)).fetchone()
    return bool(row and row[0])


def current(dsn: str) -> str | None:
    """The revision of a database, None when it has no schema yet."""
    with translated_errors(), psycopg.connect(dsn, autocommit=True) as connection:
        return next(iter(_revision(connection)), None)


def newest() -> str:
    """The newest revision of this program."""
    return _lineage("head")[-1]


def run_sql(connection: sqlalchemy.Connection, name: str) -> None:
    """For revisions: run a SQL file of the migrations folder unchanged (no parameters, any statements)."""
    text = resources.files("trunkline.db.migrations").joinpath(name).read_text(encoding="utf-8")
    run_script(connection, text)


def run_script(connection: sqlalchemy.Connection, text: str) -> None:
    """For revisions: run several statements in the revision's transaction, ``%`` meaning itself."""
    driver: Any = connection.connection.driver_connection
    driver.execute(text.encode())


@contextmanager
def _config(dsn: str) -> Iterator[Config]:
    """Alembic's configuration with an open connection for ``env.py``."""
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: _connection(dsn), poolclass=NullPool
    )
    try:
        with engine.connect() as connection:
            config = Config()
            config.set_main_option("script_location", "trunkline.db:migrations")
            config.attributes["connection"] = connection
            yield config
    finally:
        engine.dispose()


def _connection(dsn: str) -> psycopg.Connection[Any]:
    connection = psycopg.connect(dsn)
    connection.execute(_SET_TIMEOUT)
    connection.commit()
    return connection


def _lineage(to: str) -> list[str]:
    """Revisions from the first up to ``to``, oldest first."""
    config = Config()
    config.set_main_option("script_location", "trunkline.db:migrations")
    scripts = ScriptDirectory.from_config(config)
    return [script.revision for script in scripts.walk_revisions("base", to)][::-1]


def _revision(connection: psycopg.Connection[Any]) -> list[str]:
    if connection.execute("select to_regclass('alembic_version')").fetchone() == (None,):
        return []
    return [row[0] for row in connection.execute("select version_num from alembic_version")]


def _applied(connection: psycopg.Connection[Any]) -> list[str]:
    revision = _revision(connection)
    return _lineage(revision[0]) if revision else []
