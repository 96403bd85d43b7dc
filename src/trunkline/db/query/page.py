"""Runs a compiled query: the rows as one JSON array in bytes, and how many there are in all."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import psycopg
from psycopg import sql
from psycopg.rows import scalar_row, tuple_row
from psycopg.types.string import ByteaBinaryLoader

from trunkline.core.errors import TooExpensive
from trunkline.core.patterns import Pattern, in_thread
from trunkline.db.one_trip import BoundStatement, RawRow
from trunkline.db.query.compiler import CompiledQuery, PatternLookup

if TYPE_CHECKING:
    from trunkline.db.pool import Connection, Database

REQUEST_TIMEOUT_MS = 30_000
_AS_BIGINT = sql.SQL("select ({})::bigint")
_BOUND = sql.SQL("set local statement_timeout = {}")

MAX_VALUES = 500_000
"""Different values of one field that a pattern is tried on."""
MAX_LISTED = 33_554_432
"""Characters of values that are kept for one pattern."""
_FETCH = 500
"""Values fetched at a time."""


@dataclass(frozen=True, slots=True)
class Page:
    chunks: tuple[bytes, ...]
    """A JSON array of objects, ready to be sent, in pieces."""
    count: int
    """Rows in it."""
    total_items: int
    """Rows that match, on all pages."""

    @property
    def rows(self) -> bytes:
        """The array in one piece."""
        return b"".join(self.chunks)


async def fetch_page(
    database: Database, query: CompiledQuery, *, timeout_ms: int = REQUEST_TIMEOUT_MS
) -> Page:
    """Read one page. Rows, total and the values that patterns are tried on are of the same instant; the rows are never
    held twice.

    :param timeout_ms: bound for all of it.
    :raises TooExpensive: it costs more than ``timeout_ms``, or a pattern is to be tried on too many values.
    """
    budget = _Budget(time.monotonic() + timeout_ms / 1000, timeout_ms / 1000)
    try:
        if query.lookups:
            return await _with_patterns(database, query, timeout_ms, budget)
        if not query.limit:
            return Page((b"[]",), 0, await _only_total(database, query, timeout_ms))
        first = BoundStatement(query.rows.as_bytes(), query.params)
        async with database.reading_first(timeout_ms, first, any_values=query.is_short) as (connection, raw):
            rows, count = _joined(raw)
            total = _shown_total(query, count)
            if total is None:
                if budget.is_much_spent():
                    await budget.bind(connection)
                total = await _total(connection, query, query.params)
    except psycopg.errors.QueryCanceled as error:
        raise _too_long() from error
    return Page(rows, count, total)


async def _only_total(database: Database, query: CompiledQuery, timeout_ms: int) -> int:
    first = BoundStatement(_AS_BIGINT.format(query.count).as_bytes(), query.params)
    async with database.reading_first(timeout_ms, first) as (_, [(total,)]):
        assert total is not None
        return int.from_bytes(total, "big")


async def _with_patterns(database: Database, query: CompiledQuery, timeout_ms: int, budget: _Budget) -> Page:
    """As :func:`fetch_page`, of a query with patterns: the values that match are found first."""
    async with database.reading(timeout_ms) as connection:
        params = dict(query.params)
        for lookup in query.lookups:
            params |= await _matching(connection, lookup, query.params, budget)
        await budget.bind(connection)
        rows, count = await _rows(connection, query, params)
        total = _shown_total(query, count)
        if total is None:
            if budget.is_much_spent():
                await budget.bind(connection)
            total = await _total(connection, query, params)
    return Page(rows, count, total)


@dataclass(frozen=True, slots=True)
class _Budget:
    """Time until which a request may work (monotonic clock), of so many seconds in all."""

    deadline: float
    seconds: float

    def is_much_spent(self) -> bool:
        """Whether the next statement needs a shorter time limit. Otherwise a request is a fiftieth over its time at most,
        and a small one is spared a round trip."""
        return self.deadline - time.monotonic() < self.seconds * 0.98

    async def bind(self, connection: Connection) -> None:
        """Bind the next statements by the time that is left."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise _too_long()
        await connection.execute(_BOUND.format(sql.Literal(max(1, round(left * 1000)))))

    def split(self, pattern: Pattern, texts: list[str]) -> tuple[list[str], list[str]]:
        """The texts that match and those that do not. For a thread."""
        yes: list[str] = []
        no: list[str] = []
        for at in range(0, len(texts), _FETCH):
            if time.monotonic() > self.deadline:
                raise _too_long()
            some, others = pattern.split(texts[at : at + _FETCH])
            yes += some
            no += others
        return yes, no


async def _matching(
    connection: Connection, lookup: PatternLookup, params: Any, budget: _Budget
) -> dict[str, Any]:
    """The parameters of a look-up: the values that match, or those that do not when they are fewer."""
    await budget.bind(connection)
    kept: tuple[list[str], list[str]] = [], []
    sizes = [0, 0]
    seen = 0
    async with connection.cursor("pattern_values", row_factory=scalar_row) as cursor:
        await cursor.execute(lookup.values, params)
        while texts := await cursor.fetchmany(_FETCH):
            seen += len(texts)
            if seen > MAX_VALUES:
                _refuse(f"'regexp' is matched against at most {MAX_VALUES} different values")
            found = await in_thread(budget.split, lookup.pattern, texts)
            for side, some in enumerate(found):
                sizes[side] += sum(map(len, some))
                if sizes[side] <= MAX_LISTED:
                    kept[side].extend(some)
                else:
                    kept[side].clear()
    side = 0 if sizes[0] <= sizes[1] else 1
    if sizes[side] > MAX_LISTED:
        _refuse("'regexp' is matched against too much text")
    return {lookup.listed: kept[side], lookup.is_match: side == 0}


def _refuse(reason: str) -> NoReturn:
    text = f"{reason}: request a shorter period or add a condition"
    raise TooExpensive(text, params={"error_message": text})


def _too_long() -> TooExpensive:
    text = "The request takes too long: request a shorter period or use a simpler filter"
    return TooExpensive(text, params={"error_message": text})


def _joined(raw: list[RawRow]) -> tuple[tuple[bytes, ...], int]:
    """The pieces of the page and the number of its rows, of the rows of :attr:`CompiledQuery.rows`."""
    chunks = []
    count = 0
    for chunk, rows in raw:
        assert chunk is not None
        assert rows is not None
        chunks += [b"," if count else b"[", chunk]
        count += int.from_bytes(rows, "big")
    chunks.append(b"]" if count else b"[]")
    return tuple(chunks), count


async def _rows(
    connection: Connection, query: CompiledQuery, params: dict[str, Any]
) -> tuple[tuple[bytes, ...], int]:
    chunks = []
    count = 0
    async with connection.cursor(row_factory=tuple_row) as cursor:
        cursor.adapters.register_loader("text", ByteaBinaryLoader)  # JSON is passed on as it is
        async for chunk, rows in cursor.stream(query.rows, params, binary=True):
            chunks += [b"," if count else b"[", chunk]
            count += rows
    chunks.append(b"]" if count else b"[]")
    return tuple(chunks), count


def _shown_total(query: CompiledQuery, count: int) -> int | None:
    """The total, if the page shows it: the last page, or the only one."""
    return query.offset + count if count < query.limit and (count or not query.offset) else None


async def _total(connection: Connection, query: CompiledQuery, params: Mapping[str, Any]) -> int:
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(query.count, params, prepare=False)
        return int(await cursor.fetchone() or 0)
