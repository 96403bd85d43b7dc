"""The databases of the tests themselves: each test gets one that is equal to a new one, whatever the test before it did."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import psycopg.conninfo
import pytest

from tests.shared_database import Databases, administer
from trunkline.db import partitions

_SEEN = """
select (select count(*) from accounts), (select count(*) from pg_class), (select count(*) from pg_attribute),
    (select string_agg(t::text, ' ') from tariff_plans t), (select count(*) from call_sessions),
    (select string_agg(p.polname, ' ' order by p.polname) from pg_policy p)
"""


@pytest.fixture(scope="module")
def lender(databases: Databases) -> Iterator[Databases]:
    """One of this module alone."""
    made = Databases(databases.server, databases.template)
    yield made
    made.drop()


def seen(dsn: str) -> Any:
    """What a test can see of those before it, with the next id."""
    with psycopg.connect(dsn) as connection:
        return (*_one(connection, _SEEN), _one(connection, _NEW_ACCOUNT))


_NEW_ACCOUNT = "insert into accounts (name) values ('Palm Office') returning account_id"


def _one(connection: psycopg.Connection[Any], statement: str) -> Any:
    return connection.execute(statement.encode()).fetchone()


def change(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def test_rows_and_ids_begin_again_in_the_same_database(lender: Databases) -> None:
    with lender.lend() as first:
        before = seen(first)
    with lender.lend() as second:
        assert second == first
        assert seen(second) == before


def test_a_month_that_was_added_is_gone(lender: Databases) -> None:
    made = partitions.statement([partitions.Month(2031, 5)])
    assert made is not None
    with lender.lend() as first:
        before = seen(first)
    with lender.lend() as dsn, psycopg.connect(dsn) as connection:
        connection.execute(made)
        connection.commit()
        assert _one(connection, _SEEN) != before[:-1]
    with lender.lend() as second:
        assert second == first
        assert seen(second) == before


@pytest.mark.parametrize(
    "statement",
    [
        "alter table accounts add column more int",
        "drop table contacts cascade",
        "create function more() returns int language sql as 'select 1'",
        "alter table accounts disable row level security",
        "drop policy tenant_v1 on contacts",
        "update tariff_plans set name = 'Other'",
        "delete from schema_migrations",
        "create sequence more",
    ],
)
def test_what_cannot_be_taken_back_is_not_lent_again(lender: Databases, statement: str) -> None:
    with lender.lend() as first:
        before = seen(first)
    with lender.lend() as dsn:
        change(dsn, statement)
    with lender.lend() as second:
        assert second != first
        assert seen(second) == before


def test_a_connection_that_stays_open_is_closed(lender: Databases) -> None:
    with lender.lend() as first:
        before = seen(first)
        left = psycopg.connect(first)
        left.execute("insert into accounts (name) values ('left open')")
    with pytest.raises(psycopg.OperationalError):
        left.execute("select 1")
    with lender.lend() as second:
        assert second == first
        assert seen(second) == before


def test_a_database_that_the_test_dropped_is_not_lent_again(lender: Databases) -> None:
    with lender.lend() as first:
        administer(lender.server, f"drop database {psycopg.conninfo.conninfo_to_dict(first)['dbname']}")
    with lender.lend() as second:
        assert second != first
