"""The field ``cause`` of log lines about errors of the database."""

from __future__ import annotations

import psycopg
import pytest

from trunkline.core.errors import DatabaseUnavailable
from trunkline.db.pool import log_cause


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
    [psycopg.errors.UndefinedTable("no table"), psycopg.errors.LockNotAvailable("lock"), ValueError("?")],
)
def test_the_server_responds_with_an_error(error: Exception) -> None:
    assert log_cause(error) == "database_error"
