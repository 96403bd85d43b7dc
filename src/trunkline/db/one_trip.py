"""Several statements by one message: the server runs them in turn, and the client waits once.

The pipeline mode of the driver costs as much processor time per statement as a round trip. This module sends the statements
by libpq and reads all their results at once. Statements stay prepared on the connection, so a report that is requested again
with other values is not parsed again. A statement of each request (:func:`run_prepared`) is sent in the same way: it takes
half the processor time of the driver's cursor.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import count
from typing import Any, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

import psycopg
from psycopg import errors, pq
from psycopg.abc import PQGen
from psycopg.abc import Transformer as TransformerLike
from psycopg.adapt import PyFormat, Transformer
from psycopg.waiting import Ready, Wait

RawRow: TypeAlias = tuple[bytes | None, ...]
"""Values in PostgreSQL's binary format."""

KEPT_MAX = 32
"""Prepared statements of one connection; the least recently used are closed. Each takes memory of the server."""

_Row = TypeVar("_Row")
_Load: TypeAlias = Callable[[pq.abc.PGresult], Iterable[_Row]]

_FAILED = pq.ExecStatus.FATAL_ERROR
_SYNC = pq.ExecStatus.PIPELINE_SYNC
_PLACEHOLDER = re.compile(rb"%(?:\((\w+)\)s|%)")


@dataclass(frozen=True, slots=True)
class BoundStatement:
    """SQL with placeholders ``%(name)s``, and their values."""

    text: bytes
    values: Mapping[str, Any]


async def run_in_one_trip(
    connection: psycopg.AsyncConnection[Any], begin: bytes, statements: Sequence[BoundStatement]
) -> list[RawRow]:
    """Begin a transaction, and run the statements in it; the rows of the last one.

    The transaction stays open, also after an error.

    :param begin: the statement that begins it.
    :raises psycopg.Error: of the first statement that fails.
    """
    try:
        return await _run(connection, begin, statements, pq.Format.BINARY, _rows_of)
    except errors.InvalidSqlStatementName:
        # The driver closes all prepared statements of a connection after some statements.
        _KEPT.pop(connection, None)
        await connection.rollback()
        return await _run(connection, begin, statements, pq.Format.BINARY, _rows_of)


async def run_prepared(
    connection: psycopg.AsyncConnection[Any], statement: BoundStatement
) -> list[dict[str, Any]]:
    """Run one statement, which is a transaction by itself; its rows by the names of the columns.

    :param connection: without an open transaction.
    :raises psycopg.Error: the statement fails.
    """
    loaded = partial(_loaded, Transformer(connection))
    try:
        return await _run(connection, None, [statement], pq.Format.TEXT, loaded)
    except errors.InvalidSqlStatementName:
        _KEPT.pop(connection, None)
        return await _run(connection, None, [statement], pq.Format.TEXT, loaded)


async def _run(
    connection: psycopg.AsyncConnection[Any],
    begin: bytes | None,
    statements: Sequence[BoundStatement],
    result_format: pq.Format,
    load: _Load[_Row],
) -> list[_Row]:
    kept = _KEPT.get(connection)
    if kept is None:
        kept = _KEPT[connection] = _KeptStatements()
    sent = [_converted(connection, kept, statement) for statement in statements]
    async with connection.lock:
        return await connection.wait(_exchange(connection, begin, sent, kept, result_format, load))


_Key: TypeAlias = tuple[bytes, tuple[int, ...]]


class _KeptStatements:
    """The prepared statements of one connection, by text and types of the values; the last used is the last."""

    def __init__(self) -> None:
        self._names: OrderedDict[_Key, bytes] = OrderedDict()
        self._numbers = count(1)

    def find(self, key: _Key) -> bytes | None:
        name = self._names.get(key)
        if name is not None:
            self._names.move_to_end(key)
        return name

    def new_name(self) -> bytes:
        return b"trunkline_%d" % next(self._numbers)

    def add(self, key: _Key, name: bytes) -> None:
        self._names[key] = name

    def surplus(self) -> list[bytes]:
        """Remove those beyond the limit; their names."""
        return [self._names.popitem(last=False)[1] for _ in range(len(self._names) - KEPT_MAX)]


_KEPT: WeakKeyDictionary[psycopg.AsyncConnection[Any], _KeptStatements] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class _Converted:
    """:ivar is_new: it must be prepared first."""

    key: _Key
    name: bytes
    is_new: bool
    values: Sequence[Any]
    formats: Sequence[pq.Format]


@lru_cache(maxsize=256)
def numbered(text: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The text with ``$1`` for ``%(name)s``, and the names in that order."""
    names: dict[str, int] = {}

    def number(found: re.Match[bytes]) -> bytes:
        name = found[1]
        return b"%" if name is None else b"$%d" % names.setdefault(name.decode(), len(names) + 1)

    return _PLACEHOLDER.sub(number, text), tuple(names)


def _converted(
    connection: psycopg.AsyncConnection[Any], kept: _KeptStatements, statement: BoundStatement
) -> _Converted:
    text, names = numbered(statement.text)
    transformer = Transformer(connection)
    values = transformer.dump_sequence(
        [statement.values[name] for name in names], [PyFormat.AUTO] * len(names)
    )
    key = text, tuple(transformer.types or ())
    name = kept.find(key)
    return _Converted(key, name or kept.new_name(), name is None, values, transformer.formats or ())


def _exchange(
    connection: psycopg.AsyncConnection[Any],
    begin: bytes | None,
    statements: Sequence[_Converted],
    kept: _KeptStatements,
    result_format: pq.Format,
    load: _Load[_Row],
) -> PQGen[list[_Row]]:
    pgconn = connection.pgconn
    pgconn.enter_pipeline_mode()
    new: list[tuple[int, _Converted]] = []
    sent = 0
    if begin is not None:
        pgconn.send_query_params(begin, None)
        sent = 1
    for statement in statements:
        if statement.is_new:
            pgconn.send_prepare(statement.name, statement.key[0], statement.key[1])
            new.append((sent, statement))
            sent += 1
        pgconn.send_query_prepared(
            statement.name, statement.values, param_formats=statement.formats, result_format=result_format
        )
        sent += 1
    last = sent - 1
    surplus = kept.surplus()
    for name in surplus:
        pgconn.send_query_params(b"deallocate " + name, None)
        sent += 1
    pgconn.pipeline_sync()
    yield from _flush(pgconn)

    rows: list[_Row] = []
    failed: pq.abc.PGresult | None = None
    succeeded: set[int] = set()
    for number in range(sent):
        if number == last and failed is None:
            # One row at a time, so that a large page is not held twice.
            pgconn.set_single_row_mode()
        while (result := (yield from _next_result(pgconn))) is not None:
            if result.status == _FAILED:
                failed = failed or result
            elif result.status != pq.ExecStatus.PIPELINE_ABORTED:
                succeeded.add(number)
                if number == last:
                    rows += load(result)
    result = yield from _next_result(pgconn)
    assert result is not None
    assert result.status == _SYNC
    pgconn.exit_pipeline_mode()
    for number, statement in new:
        if number in succeeded:
            kept.add(statement.key, statement.name)
    if failed is not None:
        raise errors.error_from_result(failed, connection.info.encoding)
    return rows


def _flush(pgconn: pq.abc.PGconn) -> PQGen[None]:
    while pgconn.flush():
        ready = yield Wait.RW
        if ready & Ready.R:
            pgconn.consume_input()


def _next_result(pgconn: pq.abc.PGconn) -> PQGen[pq.abc.PGresult | None]:
    while pgconn.is_busy():
        yield Wait.R
        pgconn.consume_input()
    return pgconn.get_result()


def _rows_of(result: pq.abc.PGresult) -> list[RawRow]:
    columns = range(result.nfields)
    return [tuple(result.get_value(row, column) for column in columns) for row in range(result.ntuples)]


def _loaded(transformer: TransformerLike, result: pq.abc.PGresult) -> list[dict[str, Any]]:
    if not result.ntuples:
        return []
    names = [(result.fname(column) or b"").decode() for column in range(result.nfields)]
    transformer.set_pgresult(result)
    return [dict(zip(names, row, strict=True)) for row in transformer.load_rows(0, result.ntuples, tuple)]
