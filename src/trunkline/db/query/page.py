"""Runs a compiled query: the rows as one JSON array in bytes, and how many there are in all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from psycopg.rows import scalar_row, tuple_row
from psycopg.types.string import ByteaBinaryLoader

from trunkline.core.errors import InvalidInput, LimitExceeded
from trunkline.db.query.compiler import CompiledQuery

if TYPE_CHECKING:
    from trunkline.db.pool import Connection, Database

STATEMENT_TIMEOUT_MS = 30_000
_START = sql.SQL(
    "set transaction isolation level repeatable read, read only; set local statement_timeout = {}"
)


@dataclass(frozen=True, slots=True)
class Page:
    pieces: tuple[bytes, ...]
    """A JSON array of objects, ready to be sent, in pieces."""
    count: int
    """Rows in it."""
    total_items: int
    """Rows that match, on all pages."""

    @property
    def rows(self) -> bytes:
        """The array in one piece."""
        return b"".join(self.pieces)


async def fetch_page(
    database: Database, query: CompiledQuery, *, timeout_ms: int = STATEMENT_TIMEOUT_MS
) -> Page:
    """Read one page. Rows and total are of the same instant; the rows are never held twice.

    :param timeout_ms: bound for each statement.
    :raises InvalidInput: the database refuses a pattern of the filter.
    :raises LimitExceeded: mnemonic ``error``: the request costs more than ``timeout_ms``.
    """
    try:
        async with database.connection() as connection:
            await connection.execute(_START.format(sql.Literal(timeout_ms)))
            rows, count = await _rows(connection, query)
            total = await _total(connection, query, count)
    except psycopg.errors.InvalidRegularExpression as error:
        raise InvalidInput(
            "a regexp of the filter is not one that PostgreSQL accepts", field="filter", value=None
        ) from error
    except psycopg.errors.QueryCanceled as error:
        text = "The request takes too long: ask for a shorter period or a simpler filter"
        raise LimitExceeded(text, mnemonic="error", params={"error_message": text}) from error
    return Page(rows, count, total)


async def _rows(connection: Connection, query: CompiledQuery) -> tuple[tuple[bytes, ...], int]:
    pieces = []
    count = 0
    async with connection.cursor(row_factory=tuple_row) as cursor:
        cursor.adapters.register_loader("text", ByteaBinaryLoader)  # JSON is passed on as it is
        async for piece, rows in cursor.stream(query.rows, query.params, binary=True):
            pieces += [b"," if count else b"[", piece]
            count += rows
    pieces.append(b"]" if count else b"[]")
    return tuple(pieces), count


async def _total(connection: Connection, query: CompiledQuery, count: int) -> int:
    """The total, counted only when the page does not show it already."""
    if count < query.limit and (count or not query.offset):
        return query.offset + count
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(query.count, query.params, prepare=False)
        return int(await cursor.fetchone() or 0)
