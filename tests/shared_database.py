"""Databases that tests use one after another: to empty one takes a tenth of the time that a new one takes.

:class:`Databases` lends a database in the state of the template (fixture ``database``). A :class:`SharedDatabase` keeps the
rows that were prepared in it, and the tests of a folder share it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from trunkline.runtime.postgres import EmbeddedPostgres

_TABLES = """
select c.oid::regclass::text as name, exists (
    select from pg_attribute a where a.attrelid = c.oid and a.attname = 'account_id' and not a.attisdropped)
from pg_class c where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and pg_relation_size(c.oid) > 0
"""
"""Tables and partitions that have, or had, rows; and whether each has a column ``account_id``."""

_EMPTYING = """
set local session_replication_role = replica;
do $$ declare written record; begin
    for written in {tables} and c.oid::regclass::text <> all ({kept})
    loop execute 'delete from ' || written.name; end loop;
end $$;
"""
"""Triggers and foreign keys do not apply to it."""

_CONTENT = "select coalesce(md5(string_agg(t::text, '' order by t::text)), '') from {table} t"

_SEQUENCES = """
select s.seqrelid::regclass::text, pg_sequence_last_value(s.seqrelid), s.seqstart from pg_sequence s
"""

_PARTITIONS = "select oid::regclass::text from pg_class where relispartition and relkind = 'r'"

_CATALOGS = (
    "pg_attrdef", "pg_attribute", "pg_class", "pg_constraint", "pg_index", "pg_policy", "pg_proc", "pg_rewrite",
    "pg_sequence", "pg_trigger", "pg_type",
)  # fmt: skip
_SCHEMA = " union all ".join(
    f"select '{catalog}', count(*), max(xmin::text::bigint) from {catalog}" for catalog in _CATALOGS
)
"""How many rows each catalog has, and which transaction was the last to change one. Analyze and vacuum do not count."""

_DISCONNECT = """
select bool_and(pg_terminate_backend(pid, 5000)) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
"""

_numbers = itertools.count(1)

_LARGE = 4 << 20
"""Bytes of the tables together, from which a database is not used again: deleted rows would slow the next test down."""


@dataclass(frozen=True, slots=True)
class _State:
    """What a database is compared with after a test.

    :ivar contents: of the tables with rows, each as a digest; :ivar sequences: last value of those in use.
    """

    schema: list[Any]
    partitions: frozenset[str]
    contents: dict[str, str]
    sequences: dict[str, int]


@dataclass
class Databases:
    """Lends databases that are equal to the template. A database is used again unless its test changed the schema, the rows
    that the template has, or stored a lot."""

    server: EmbeddedPostgres
    template: str
    _spare: list[tuple[str, _State]] = field(default_factory=list)

    @contextmanager
    def lend(self) -> Iterator[str]:
        """Connection URI. Connections that are still open at the end are closed."""
        name, state = self._spare.pop() if self._spare else self._make()
        is_restored = False
        try:
            yield self.server.dsn_of(name)
            is_restored = _restore(self.server.dsn_of(name), state)
        finally:
            if is_restored:
                self._spare.append((name, state))
            else:
                administer(self.server, f"drop database if exists {name} with (force)")

    def drop(self) -> None:
        """Drop what is not lent now."""
        while self._spare:
            administer(self.server, f"drop database {self._spare.pop()[0]} with (force)")

    def _make(self) -> tuple[str, _State]:
        name = f"lent_{next(_numbers)}"
        # Takes a tenth of the time that logging each page does, and nothing here outlives a crash.
        administer(self.server, f"create database {name} strategy file_copy template {self.template}")
        with psycopg.connect(self.server.dsn_of(name)) as connection:
            return name, _state(connection)


def _state(connection: psycopg.Connection[Any]) -> _State:
    tables = [table for table, _ in connection.execute(_TABLES.encode()).fetchall()]
    contents = {table: content for table in tables if (content := _content(connection, table))}
    sequences = {name: last for name, last, _ in connection.execute(_SEQUENCES.encode()) if last is not None}
    partitions = frozenset(name for (name,) in connection.execute(_PARTITIONS.encode()))
    return _State(connection.execute(_SCHEMA.encode()).fetchall(), partitions, contents, sequences)


def _content(connection: psycopg.Connection[Any], table: str) -> str:
    row = connection.execute(_CONTENT.format(table=table).encode()).fetchone()
    return "" if row is None else str(row[0])


def _restore(dsn: str, state: _State) -> bool:
    """Bring a database back to that state; False where only a new one has it."""
    try:
        with psycopg.connect(dsn) as connection:
            connection.execute(_DISCONNECT.encode())
            partitions = {name for (name,) in connection.execute(_PARTITIONS.encode())}
            if made := partitions - state.partitions:
                connection.execute(f"drop table {', '.join(sorted(made))}".encode())
            if connection.execute(_SCHEMA.encode()).fetchall() != state.schema:
                return False
            size = connection.execute(
                "select sum(pg_relation_size(oid)) from pg_class where relkind = 'r'"
                " and relnamespace = 'public'::regnamespace"
            ).fetchone()
            if size is None or size[0] > _LARGE:
                return False
            if any(_content(connection, table) != content for table, content in state.contents.items()):
                return False
            connection.execute(_emptying(state.contents).encode())
            for name, last, start in connection.execute(_SEQUENCES.encode()).fetchall():
                before = state.sequences.get(name)
                if last != before:
                    connection.execute(
                        "select setval(%s, %s, %s)", (name, before or start, before is not None)
                    )
    except psycopg.Error:
        return False  # a test may have stopped the server, or dropped the database
    return True


def _emptying(kept: Iterable[str]) -> str:
    names = ", ".join(f"'{name}'" for name in sorted(kept))
    return _EMPTYING.format(tables=_TABLES, kept=f"array[{names}]::text[]")


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
    administer(server, f"create database {name} template {template} strategy file_copy")
    try:
        dsn = server.dsn_of(name)
        if prepare is not None:
            prepare(dsn)
        yield SharedDatabase(dsn, _keeping_the_system(dsn))
    finally:
        administer(server, f"drop database {name} with (force)")


def administer(server: EmbeddedPostgres, statement: str) -> None:
    """Run a statement that belongs to no transaction."""
    with psycopg.connect(server.dsn_of("postgres"), autocommit=True) as connection:
        connection.execute(statement.encode())


def _keeping_the_system(dsn: str) -> str:
    """Deletes all rows but those of the system that are there now."""
    with psycopg.connect(dsn) as connection:
        tables = connection.execute(_TABLES.encode()).fetchall()
        kept = {table: has_account for table, has_account in tables if _content(connection, table)}
    others = [
        f"delete from {table} where account_id <> 0" for table, has_account in kept.items() if has_account
    ]
    return ";".join([_emptying(kept), *others])
