"""Schema migrations: Alembic revisions in :mod:`trunkline.db.migrations`, forward only.

A revision is a module ``versions/rNNNN_topic.py`` with ``revision = "NNNN"`` and ``down_revision``, mostly
running the SQL file ``NNNN_topic.sql`` beside it. A revision that has been released is never changed.

The job queue (procrastinate) brings its own schema: a revision of ours applies it, and each later
:func:`upgrade` applies those of the library's own migrations that this database has not seen
(:mod:`trunkline.db.jobs_schema`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.pool import NullPool

from trunkline.db import jobs_schema, partitions
from trunkline.db.pool import translated_errors

_LOCK = 7_256_000
"""Advisory lock held during an upgrade: a second one waits, then finds nothing to do."""


def upgrade(dsn: str, to: str = "head") -> list[str]:
    """Bring a database (empty or with data) to the newest schema; returns the names of what was applied.

    Each revision is one transaction. Waits for another process that upgrades the same database. Blocks; from
    a coroutine call it in a thread.

    :param to: a revision to stop at.
    :raises DatabaseUnavailable: the server is away.
    """
    with translated_errors(), psycopg.connect(dsn, autocommit=True) as keeper:
        keeper.execute("select pg_advisory_lock(%s)", (_LOCK,))
        before = set(_applied(keeper))
        with _config(dsn) as config:
            command.upgrade(config, to)
        applied = [name for name in _lineage(to) if name not in before]
        if to == "head":
            applied += jobs_schema.upgrade(keeper)
            todo = partitions.statement(partitions.months_around(datetime.fromtimestamp(time.time(), UTC)))
            if todo is not None:
                keeper.execute(todo)
        return applied


def current(dsn: str) -> str | None:
    """The revision of a database, None when it has no schema yet."""
    with translated_errors(), psycopg.connect(dsn, autocommit=True) as connection:
        return next(iter(_revision(connection)), None)


def newest() -> str:
    """The newest revision that this program knows."""
    return _lineage("head")[-1]


def run_sql(connection: sqlalchemy.Connection, name: str) -> None:
    """For revisions: run a SQL file of the migrations folder as it stands (no parameters, any statements)."""
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
        "postgresql+psycopg://", creator=lambda: psycopg.connect(dsn), poolclass=NullPool
    )
    try:
        with engine.connect() as connection:
            config = Config()
            config.set_main_option("script_location", "trunkline.db:migrations")
            config.attributes["connection"] = connection
            yield config
    finally:
        engine.dispose()


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
