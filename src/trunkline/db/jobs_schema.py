"""The job queue's own schema, kept in step with the installed library.

The library contains its complete schema and, for existing databases, one SQL file for each change. Migration ``0002``
applies the complete schema of the installed version and records all its change files as applied. After a
library upgrade the files not seen are applied in the order of their names. The application is stopped during
an upgrade, so the library's distinction of changes "pre" and "post" a rolling deployment is of no matter.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
from procrastinate.schema import SchemaManager


def whole_schema() -> str:
    """SQL of the installed library's schema."""
    return str(SchemaManager.get_schema())


def change_files() -> list[Path]:
    """The installed library's change files, oldest first."""
    return sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))


def unseen(seen: set[str], files: list[Path]) -> list[Path]:
    """Those files that a database has not seen, in order."""
    return [file for file in files if file.name not in seen]


def install(connection: psycopg.Connection[Any]) -> None:
    """Apply the complete schema within the transaction of the migration, and record all change files as applied."""
    connection.execute(whole_schema().encode())
    for file in change_files():
        connection.execute("insert into job_schema_changes (name) values (%s)", (file.name,))


def upgrade(connection: psycopg.Connection[Any]) -> list[str]:
    """Apply new changes, each in a separate transaction; returns their names.

    :param connection: in autocommit mode.
    """
    seen = {row[0] for row in connection.execute("select name from job_schema_changes")}
    todo = unseen(seen, change_files())
    for file in todo:
        with connection.transaction():
            connection.execute(file.read_bytes())
            connection.execute("insert into job_schema_changes (name) values (%s)", (file.name,))
    return [file.name for file in todo]
