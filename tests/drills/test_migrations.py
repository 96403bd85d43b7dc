"""Migrations run while others use the database: nobody waits long behind a lock that a migration waits for."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest

from trunkline.db import jobs_schema, migrate

pytestmark = pytest.mark.drill


def test_a_migration_that_waits_for_a_lock_lets_others_write(
    empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long transaction holds a table that the migration changes; others read and write the table meanwhile."""
    migrate.upgrade(empty_database, "0019")
    done = threading.Event()
    failure: list[BaseException] = []

    def upgrade() -> None:
        try:
            migrate.upgrade(empty_database, "0020")
        except BaseException as error:
            failure.append(error)
        done.set()

    with psycopg.connect(empty_database) as long, psycopg.connect(empty_database, autocommit=True) as other:
        long.execute("select count(*) from subscriptions")
        thread = threading.Thread(target=upgrade)
        thread.start()
        with psycopg.connect(empty_database, autocommit=True) as watching:
            while not _waits_for_lock(watching):
                pass
        # A statement gives up long before the long transaction ends.
        other.execute(f"set statement_timeout = {10 * migrate.LOCK_TIMEOUT_MS}")
        for _ in range(3):
            other.execute("update subscriptions set name = name")
        assert not done.is_set()
        long.rollback()
    thread.join(60)
    assert failure == []
    assert migrate.current(empty_database) == "0020"


def _waits_for_lock(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute(
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    ).fetchone()
    return row is not None and row[0] > 0


def test_a_change_of_the_job_library_waits_likewise(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = tmp_path / "99.00.00_01_new.sql"
    change.write_text("alter table procrastinate_jobs add column newer int;")
    known = jobs_schema.change_files()
    monkeypatch.setattr(jobs_schema, "change_files", lambda: [*known, change])
    applied: list[str] = []
    with psycopg.connect(database) as long, psycopg.connect(database, autocommit=True) as other:
        long.execute("select count(*) from procrastinate_jobs")
        thread = threading.Thread(target=lambda: applied.extend(migrate.upgrade(database)))
        thread.start()
        while not _waits_for_lock(other):
            pass
        other.execute(f"set statement_timeout = {10 * migrate.LOCK_TIMEOUT_MS}")
        other.execute("select count(*) from procrastinate_jobs")
        long.rollback()
    thread.join(60)
    assert applied == [change.name]


@pytest.mark.parametrize("table", ["api_requests", "call_sessions"])
def test_an_index_is_built_while_others_write(database: str, table: str) -> None:
    """Also after an attempt that was broken off; on a partitioned table and on a plain one."""
    with psycopg.connect(database, autocommit=True) as connection:
        for _ in range(2):
            migrate.create_index(connection, f"{table}_drill", table, "(account_id)")
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "select indisvalid from pg_index where indexrelid = %s::regclass", (f"{table}_drill",)
        ).fetchall()
        partitions = connection.execute(
            "select count(*) from pg_inherits where inhparent = %s::regclass", (table,)
        ).fetchone()
        children = connection.execute(
            "select count(*) from pg_inherits where inhparent = %s::regclass", (f"{table}_drill",)
        ).fetchone()
    assert rows == [(True,)]
    assert partitions == children
