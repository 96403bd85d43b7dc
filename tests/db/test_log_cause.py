"""The field ``cause`` of log lines about errors of the database."""

from __future__ import annotations

import psycopg
import pytest

from trunkline.core.errors import DatabaseFull, DatabaseUnavailable
from trunkline.db.pool import is_of_the_installation, log_cause, translated_errors


def _wrapped(cause: Exception) -> Exception:
    error = RuntimeError("of a library")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        DatabaseUnavailable("no server"),
        ConnectionRefusedError("no server"),
        psycopg.OperationalError("the connection is closed"),
        psycopg.errors.AdminShutdown("restart"),
        _wrapped(psycopg.OperationalError("the connection is closed")),
    ],
)
def test_the_server_cannot_be_reached(error: Exception) -> None:
    assert log_cause(error) == "database_unavailable"


@pytest.mark.parametrize(
    "error",
    [
        DatabaseFull("no space"),
        psycopg.errors.UndefinedTable("no table"),
        psycopg.errors.LockNotAvailable("lock"),
        ValueError("?"),
    ],
)
def test_the_server_responds_with_an_error(error: Exception) -> None:
    assert log_cause(error) == "database_error"


@pytest.mark.parametrize(
    "error",
    [
        psycopg.errors.DiskFull("could not extend file"),
        psycopg.errors.OutOfMemory("x"),
        psycopg.errors.IoError("x"),
    ],
)
def test_a_server_that_cannot_write_is_named_as_the_cause(error: psycopg.Error) -> None:
    """Whatever the statement: a row, a notification, a temporary file. A client may send its request again."""
    with pytest.raises(DatabaseFull, match="free space on its disk") as raised, translated_errors():
        raise error
    assert is_of_the_installation(raised.value)
