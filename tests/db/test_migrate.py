"""The schema on empty databases, on databases with data, and when two processes upgrade at once."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from procrastinate import App, PsycopgConnector
from psycopg.rows import dict_row

from trunkline.core.errors import DatabaseUnavailable
from trunkline.core.ids import IdGenerator
from trunkline.db import jobs_schema, migrate, partitions
from trunkline.db.migrate import Migration, MigrationFailed


def _rows(dsn: str, statement: str) -> list[dict[str, Any]]:
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        return connection.execute(statement.encode()).fetchall()


def test_empty_database_gets_the_newest_schema(empty_database: str) -> None:
    assert migrate.current(empty_database) is None
    applied = migrate.upgrade(empty_database)
    assert applied[:2] == ["0001", "0002"]
    assert migrate.current(empty_database) == migrate.newest() == applied[-1]


def test_second_upgrade_finds_nothing_to_do(database: str) -> None:
    assert migrate.upgrade(database) == []


def test_data_of_the_first_revision_is_kept(empty_database: str) -> None:
    migrate.upgrade(empty_database, "0001")
    session = IdGenerator(0).next()
    with psycopg.connect(empty_database) as connection:
        connection.execute("insert into accounts (account_id, name) values (1, 'Agent'), (2, 'Client')")
        connection.execute("update accounts set parent_account_id = 1 where account_id = 2")
        connection.execute(
            "insert into users (account_id, login, role) values (1, 'Anna', 'owner'), (2, 'boris', 'member')"
        )
        connection.execute(
            "insert into employees (account_id, key, last_name, extension)"
            " values (2, 'anna', 'Example', '101')"
        )
        made = partitions.statement([partitions.month_of_id(session)])
        assert made is not None
        connection.execute(made)
        connection.execute(
            "insert into call_sessions (account_id, call_session_id, node, start_time, direction, source)"
            " values (2, %s, 0, now(), 'in', 'va')",
            (session,),
        )
    applied = migrate.upgrade(empty_database)
    assert applied[0] == "0002"
    assert [row["login"] for row in _rows(empty_database, "select login from users order by 1")] == [
        "Anna",
        "boris",
    ]
    assert _rows(empty_database, "select full_name, extension from employees") == [
        {"full_name": "Example", "extension": "101"}
    ]
    assert _rows(empty_database, "select call_session_id from call_sessions") == [
        {"call_session_id": session}
    ]
    # 0004 recognises partner accounts by the customer accounts they already have.
    assert _rows(empty_database, "select account_id from accounts where is_agent") == [{"account_id": 1}]


def test_trunks_of_the_operator_keep_their_addresses_and_numbers_their_owners(empty_database: str) -> None:
    migrate.upgrade(empty_database, "0021")
    with psycopg.connect(empty_database) as connection:
        connection.execute("insert into accounts (account_id, name) values (1, 'One'), (2, 'Two')")
        connection.execute(
            "insert into trunks (account_id, key, name, mode, host, addresses, is_private) values"
            " (1, 'gateway', 'Gateway', 'address', '192.168.1.5', '{198.51.100.0/24}', false),"
            " (1, 'named', 'Named', 'register', 'sip.example.com', '{}', false),"
            " (2, 'private-1', 'Private', 'register', '10.0.0.5', '{0.0.0.0/0}', true)"
        )
        connection.execute(
            "insert into virtual_numbers (account_id, phone_number) values (1, '12025550110'), (2, '12025550111')"
        )
    migrate.upgrade(empty_database)
    assert _rows(
        empty_database, "select account_id, network::text as network from trunk_addresses order by 2"
    ) == [{"account_id": 1, "network": "192.168.1.5/32"}, {"account_id": 1, "network": "198.51.100.0/24"}]
    assert _rows(empty_database, "select distinct is_verified from virtual_numbers") == [
        {"is_verified": True}
    ]
    with psycopg.connect(empty_database) as connection:
        connection.execute("insert into virtual_numbers (account_id, phone_number) values (2, '12025550110')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("update virtual_numbers set is_verified = true")


def test_processes_that_upgrade_at_once_take_turns(empty_database: str) -> None:
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
        results = list(pool.map(migrate.upgrade, [empty_database] * 3))
    assert sorted(len(result) > 0 for result in results) == [False, False, True]


def _as_before(dsn: str, version: str) -> None:
    """Turn a database into one whose migrations another tool ordered."""
    with psycopg.connect(dsn) as connection:
        connection.execute("drop table schema_migrations")
        connection.execute("create table alembic_version (version_num varchar(32) primary key)")
        connection.execute("insert into alembic_version values (%s)", (version,))


@pytest.mark.parametrize("version", ["0001", "0021", "head"])
def test_a_database_of_the_former_tool_continues(empty_database: str, version: str) -> None:
    migrate.upgrade(empty_database, version)
    number = migrate.newest() if version == "head" else version
    _as_before(empty_database, number)
    assert migrate.current(empty_database) == number
    applied = migrate.upgrade(empty_database)
    assert applied == [one.version for one in migrate.migrations() if one.version > number]
    assert migrate.current(empty_database) == migrate.newest()
    assert migrate.upgrade(empty_database) == []
    [tables] = _rows(
        empty_database,
        "select to_regclass('alembic_version') as former, count(*) as count from schema_migrations",
    )
    assert tables == {"former": None, "count": len(migrate.migrations())}


@pytest.mark.parametrize("is_former", [True, False])
def test_a_database_of_a_newer_version_is_refused(database: str, is_former: bool) -> None:
    if is_former:
        _as_before(database, "9999")
    else:
        with psycopg.connect(database) as connection:
            connection.execute("insert into schema_migrations (version, name) values ('9999', '9999_new')")
    with pytest.raises(MigrationFailed, match=r"at migration 9999.* nothing was changed.*restore the backup"):
        migrate.upgrade(database)
    assert migrate.current(database) == "9999"


def _also(monkeypatch: pytest.MonkeyPatch, text: str) -> str:
    """One more migration; its number."""
    known = migrate.migrations()
    version = f"{int(known[-1].version) + 1:04d}"
    more = (*known, Migration(version, f"{version}_more", text))
    monkeypatch.setattr(migrate, "migrations", lambda: more)
    return version


def test_a_file_outside_a_transaction_continues_after_it_was_interrupted(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a partitioned table, too; and an index that an interrupted build left invalid is built again."""
    version = _also(
        monkeypatch,
        f"""{migrate.OUTSIDE}
-- For a report; the comment has a semicolon;
create index concurrently more_sessions on call_sessions (account_id);
create unique index concurrently more_people on employees (account_id, last_name);
""",
    )
    with psycopg.connect(database) as connection:
        connection.execute("insert into accounts (account_id, name) values (1, 'One')")
        connection.execute(
            "insert into employees (account_id, key, last_name) values (1, 'a', 'X'), (1, 'b', 'X')"
        )
    before = migrate.current(database)
    with pytest.raises(MigrationFailed, match="more_people"):
        migrate.upgrade(database)
    assert migrate.current(database) == before
    valid = "select indisvalid from pg_index where indexrelid = 'more_people'::regclass"
    assert _rows(database, valid) == [{"indisvalid": False}]
    with psycopg.connect(database) as connection:
        connection.execute("update employees set last_name = 'Y' where key = 'b'")
    assert migrate.upgrade(database) == [version]
    assert _rows(database, valid) == [{"indisvalid": True}]


def test_a_lock_that_is_never_free_is_named(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _also(monkeypatch, "alter table tags add column more int;")
    monkeypatch.setattr(migrate, "LOCK_ATTEMPTS", 1)
    with psycopg.connect(database) as other:
        other.execute("select count(*) from tags")
        with pytest.raises(MigrationFailed, match=r"does not get a lock on a table; .*idle in transaction"):
            migrate.upgrade(database)


def test_a_failed_migration_leaves_the_state_before_and_names_the_remedy(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_schema, "whole_schema", lambda: "create table half (); select 1/0")
    with pytest.raises(
        MigrationFailed,
        match=r"0002_jobs failed: division by zero; the database is at 0001, as before.* then start again",
    ):
        migrate.upgrade(empty_database)
    assert migrate.current(empty_database) == "0001"
    assert _rows(empty_database, "select to_regclass('half') as half") == [{"half": None}]
    monkeypatch.undo()
    assert migrate.upgrade(empty_database)[0] == "0002"


def test_away_server_is_reported_as_such(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable):
        migrate.upgrade(f"host={tmp_path} dbname=nothing")


async def test_jobs_run_on_the_schema(database: str) -> None:
    app = App(connector=PsycopgConnector(conninfo=database))
    done: list[int] = []

    @app.task(name="add")
    async def add(value: int) -> None:
        done.append(value)

    async with app.open_async():
        await add.defer_async(value=7)
        await app.run_worker_async(wait=False, install_signal_handlers=False)
    assert done == [7]


def test_later_changes_of_the_job_library_are_applied_once(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = tmp_path / "99.00.00_01_new.sql"
    change.write_text("create table newer (share text default '100%');")
    known = jobs_schema.change_files()
    monkeypatch.setattr(jobs_schema, "change_files", lambda: [*known, change])
    assert migrate.upgrade(database) == [change.name]
    assert migrate.upgrade(database) == []
    assert _rows(database, "select * from newer") == []


def test_a_failed_library_change_is_tried_again(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = tmp_path / "99.00.00_01_new.sql"
    change.write_text("create table newer (); select 1/0;")
    known = jobs_schema.change_files()
    monkeypatch.setattr(jobs_schema, "change_files", lambda: [*known, change])
    with pytest.raises(MigrationFailed, match="job queue failed: division by zero"):
        migrate.upgrade(database)
    change.write_text("create table newer ();")
    assert migrate.upgrade(database) == [change.name]


def test_logins_are_unique_whatever_their_capitals(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("insert into accounts (account_id, name) values (1, 'One'), (2, 'Two')")
        connection.execute("insert into users (account_id, login) values (1, 'Anna')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("insert into users (account_id, login) values (2, 'aNNA')")


def test_a_coach_who_is_gone_does_not_stop_0006(empty_database: str) -> None:
    migrate.upgrade(empty_database, "0005")
    with psycopg.connect(empty_database) as connection:
        connection.execute("insert into accounts (account_id, name) values (1, 'Palm')")
        connection.execute(
            "insert into employees (account_id, employee_id, key, last_name, coach_id)"
            " values (1, 10, 'anna', 'Anna', 11), (1, 11, 'boris', 'Boris', 99)"
        )
    assert migrate.upgrade(empty_database)[0] == "0006"
    statement = "select employee_id, coach_id from employees order by 1"
    assert _rows(empty_database, statement) == [
        {"employee_id": 10, "coach_id": 11},
        {"employee_id": 11, "coach_id": None},
    ]


def test_of_websites_with_one_key_the_oldest_keeps_it(empty_database: str) -> None:
    migrate.upgrade(empty_database, "0066")
    key = "k" * 32
    with psycopg.connect(empty_database) as connection:
        connection.execute(
            "insert into accounts (account_id, name) values (1, 'One'), (2, 'Two'), (3, 'Three')"
        )
        connection.execute(
            "insert into sites (account_id, domain_name, industry_id, site_key)"
            " select account_id, 'shop.example.com', 1, %s from accounts order by account_id desc",
            (key,),
        )
    migrate.upgrade(empty_database)
    found = _rows(empty_database, "select account_id, site_key from sites order by site_id")
    assert found[0] == {"account_id": 3, "site_key": key}
    assert len({row["site_key"] for row in found}) == 3
