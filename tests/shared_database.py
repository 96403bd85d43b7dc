"""A database that the tests of a process share: emptied before each, in a quarter of the time that a new one takes.

For tests that change rows; one that changes the schema, or ids that must begin at one, wants a database of its own
(fixture ``database``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from trunkline.runtime.postgres import EmbeddedPostgres

_TABLES = """
select c.relname, a.attname is not null as has_account
from pg_class c join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'public'
left join pg_attribute a on a.attrelid = c.oid and a.attname = 'account_id' and not a.attisdropped
where c.relkind in ('r', 'p') and not c.relispartition and c.relname not in ('alembic_version')
"""


@dataclass(frozen=True, slots=True)
class SharedDatabase:
    """``dsn``: connection URI."""

    dsn: str
    _emptying: str

    async def empty(self) -> None:
        """Bring it back to how it began; nobody else may use it meanwhile."""
        await asyncio.to_thread(self._empty)

    def _empty(self) -> None:
        with psycopg.connect(self.dsn) as connection:
            connection.execute(self._emptying.encode())


@contextmanager
def shared_database(
    server: EmbeddedPostgres, template: str, name: str, prepare: Callable[[str], None] | None = None
) -> Iterator[SharedDatabase]:
    """A copy of the template, dropped at the end.

    :param prepare: gets the URI; puts in rows of the system (account 0) that shall be there in each test.
    """
    with psycopg.connect(server.dsn_of("postgres"), autocommit=True) as administrator:
        administrator.execute(f"create database {name} template {template} strategy file_copy".encode())
        try:
            dsn = server.dsn_of(name)
            if prepare is not None:
                prepare(dsn)
            yield SharedDatabase(dsn, _emptying(dsn))
        finally:
            administrator.execute(f"drop database {name} with (force)".encode())


def _emptying(dsn: str) -> str:
    """Deletes all rows but those of the system that are there now."""
    statements = ["set local session_replication_role = replica"]
    with psycopg.connect(dsn) as connection:
        for table, has_account in connection.execute(_TABLES).fetchall():
            row = connection.execute(f"select count(*) from {table}".encode()).fetchone()
            if row == (0,):
                statements.append(f"delete from {table}")
            elif has_account:
                statements.append(f"delete from {table} where account_id <> 0")
    return "; ".join(statements)
