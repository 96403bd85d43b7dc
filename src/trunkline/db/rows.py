"""Changes of configuration rows in one transaction, with errors that an API can return.

::

    async with transaction(db) as connection:
        tag_id = await insert(connection, "tags", "tag_id", account_id, {"name": "Important", "key": ...})
        await update(connection, "tags", "tag_id", account_id, tag_id, {"name": "Urgent"})
        await delete(connection, "tags", "tag_id", account_id, tag_id)

Names of tables and columns are constants, never values of a client.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import psycopg
from psycopg import sql

from trunkline.core import names
from trunkline.core.errors import Duplicate, InUse, InvalidInput, NotFound
from trunkline.db.pool import Connection, Database

_DUPLICATE = "This exists already: choose another value, or change what exists."
_IN_USE = "Something else uses this: take it out there first."
_LAST_COLUMN = re.compile(r"Key \((?:\w+, )*(\w+)\)=")
"""The most specific column of a unique key, from PostgreSQL's message on the conflicting row."""


@asynccontextmanager
async def transaction(db: Database) -> AsyncIterator[Connection]:
    """One transaction. Violations of unique and foreign keys are translated into errors of ``core``.

    :raises Duplicate: another row has this value already.
    :raises InUse: another row refers to the one that should go.
    :raises NotFound: a row that is referred to does not exist.
    """
    try:
        async with db.connection() as connection:
            yield connection
    except psycopg.errors.UniqueViolation as error:
        raise Duplicate(_DUPLICATE) from error
    except psycopg.errors.ForeignKeyViolation as error:
        if "still referenced" in str(error):
            raise InUse(_IN_USE) from error
        raise NotFound(
            "An id in the request refers to a row that does not exist. The get methods list the ids."
        ) from error


async def one_at_a_time(connection: Connection, account_id: int) -> None:
    """Lock the account's directory until this transaction ends, against other callers and directory files.

    For changes that read other rows before they write.
    """
    await connection.execute("select from accounts where account_id = %s for no key update", (account_id,))


async def insert(
    connection: Connection, table: str, id_column: str, account_id: int, values: Mapping[str, Any]
) -> int:
    """Add a row; the id it got.

    :raises InvalidInput: a name that is not one line.
    :raises Duplicate: another row has one of the values.
    """
    _check_names(values)
    with _naming(values):
        made: int = await insert_row(connection, table, id_column, account_id, values)
    return made


async def insert_row(
    connection: Connection, table: str, id_column: str, account_id: int, values: Mapping[str, Any]
) -> Any:
    """As :func:`insert`, with the errors of the database; the id may be a text."""
    row = {"account_id": account_id, **values}
    statement = sql.SQL("insert into {} ({}) values ({}) returning {}").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(map(sql.Placeholder, row)),
        sql.Identifier(id_column),
    )
    made = await (await connection.execute(statement, row)).fetchone()
    assert made is not None
    return made[id_column]


async def insert_keyed(
    connection: Connection, table: str, id_column: str, account_id: int, values: Mapping[str, Any]
) -> int:
    """Insert into a table whose rows have keys for directory files; the key becomes ``api-<id>``."""
    numbers = await connection.execute(
        "select nextval(pg_get_serial_sequence(%s, %s)) as id", (table, id_column)
    )
    number = await numbers.fetchone()
    assert number is not None
    row = {id_column: number["id"], "key": f"api-{number['id']}", **values}
    return await insert(connection, table, id_column, account_id, row)


async def update(
    connection: Connection,
    table: str,
    id_column: str,
    account_id: int,
    row_id: int,
    values: Mapping[str, Any],
    *,
    field: str = "id",
) -> None:
    """Change the columns in ``values``, others stay; without values, only look that the row is there.

    :param field: parameter that named the row, for the error.
    :raises InvalidInput: a name that is not one line.
    :raises NotFound: no such row in this account.
    :raises Duplicate: another row has one of the values.
    """
    _check_names(values)
    if not values:
        await lock_row(connection, table, id_column, account_id, row_id, field=field)
        return
    with _naming(values):
        done = await update_row(connection, table, id_column, account_id, row_id, values)
    if not done:
        raise _no_such(row_id, field)


async def update_row(
    connection: Connection,
    table: str,
    id_column: str,
    account_id: int,
    row_id: Any,
    values: Mapping[str, Any],
) -> int:
    """As :func:`update`, with the errors of the database; how many rows were there."""
    statement = sql.SQL("update {} set {} where account_id = {} and {} = {}").format(
        sql.Identifier(table),
        sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(f"new_{name}")) for name in values
        ),
        sql.Placeholder("account_id"),
        sql.Identifier(id_column),
        sql.Placeholder("row_id"),
    )
    named = {f"new_{name}": value for name, value in values.items()}
    done = await connection.execute(statement, {**named, "account_id": account_id, "row_id": row_id})
    return done.rowcount


async def delete(
    connection: Connection, table: str, id_column: str, account_id: int, row_id: int, *, field: str = "id"
) -> None:
    """Remove a row.

    :param field: parameter that named the row, for the error.
    :raises NotFound: no such row in this account.
    :raises InUse: another row refers to it.
    """
    statement = sql.SQL("delete from {} where account_id = %s and {} = %s").format(
        sql.Identifier(table), sql.Identifier(id_column)
    )
    try:
        gone = (await connection.execute(statement, (account_id, row_id))).rowcount
    except psycopg.errors.ForeignKeyViolation as error:
        raise InUse(_IN_USE, field=field, value=row_id) from error
    if not gone:
        raise _no_such(row_id, field)


async def lock_row(
    connection: Connection, table: str, id_column: str, account_id: int, row_id: int, *, field: str = "id"
) -> None:
    """Lock a row so that it is not deleted before this transaction ends.

    :raises NotFound: no such row in this account.
    """
    statement = sql.SQL("select from {} where account_id = %s and {} = %s for key share").format(
        sql.Identifier(table), sql.Identifier(id_column)
    )
    if await (await connection.execute(statement, (account_id, row_id))).fetchone() is None:
        raise _no_such(row_id, field)


async def lock_rows(
    connection: Connection, table: str, id_column: str, account_id: int, ids: Sequence[int], *, field: str
) -> None:
    """Lock rows so that they are not deleted before this transaction ends.

    :param field: parameter that named them.
    :raises NotFound: for the first that is not a row of this account.
    """
    statement = sql.SQL(
        "select {} as id from {} where account_id = %s and {} = any(%s) for key share"
    ).format(sql.Identifier(id_column), sql.Identifier(table), sql.Identifier(id_column))
    found = {
        row["id"] for row in await (await connection.execute(statement, (account_id, list(ids)))).fetchall()
    }
    for row_id in ids:
        if row_id not in found:
            raise _no_such(row_id, field)


def _check_names(values: Mapping[str, Any]) -> None:
    """Forms of directory files check theirs by themselves."""
    for column in names.COLUMNS:
        value = values.get(column)
        if isinstance(value, str):
            try:
                names.one_line(value)
            except ValueError as error:
                raise InvalidInput(
                    f"{str(error)[0].upper()}{str(error)[1:]}.", field=column, value=value
                ) from error


@contextmanager
def _naming(values: Mapping[str, Any]) -> Iterator[None]:
    """The error for a value that another row has names the column of the value."""
    try:
        yield
    except psycopg.errors.UniqueViolation as error:
        column = _column_of(error, values)
        if column is None:
            raise
        raise Duplicate(_DUPLICATE, field=column, value=values[column]) from error


def _column_of(error: psycopg.errors.UniqueViolation, values: Mapping[str, Any]) -> str | None:
    """The last column of the unique key that a row breaks, if it is among the values.

    The server names the key's columns only to roles that may read the whole table, so for a tenant it is found by the
    name of the constraint: ``<table>_<column>_..._key``.
    """
    found = _LAST_COLUMN.match(error.diag.message_detail or "")
    if found is not None:
        return found[1] if found[1] in values else None
    name = (error.diag.constraint_name or "").removesuffix("_key").removesuffix("_idx")
    fitting = [column for column in values if name.endswith(f"_{column}")]
    return max(fitting, key=len, default=None)


def _no_such(row_id: int, field: str) -> NotFound:
    return NotFound(
        f"No row has the id {row_id}. The get method of its kind lists the ids.", field=field, value=row_id
    )
