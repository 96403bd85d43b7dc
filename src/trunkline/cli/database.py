"""``trunkline db``: the schema; and how commands reach the instance's database."""

from __future__ import annotations

import asyncio
import importlib
import json as json_format
from collections.abc import Awaitable, Callable
from datetime import datetime
from types import ModuleType
from typing import Any, TypeVar

import click

from trunkline.cli.settings import load_settings
from trunkline.core.errors import DatabaseUnavailable
from trunkline.db.pool import Database
from trunkline.runtime import postgres, secrets

T = TypeVar("T")

_CONNECT_TIMEOUT = 5.0
"""Seconds."""


def with_database(work: Callable[[Database], Awaitable[T]]) -> T:
    """Run a coroutine with the instance's database.

    :raises DatabaseUnavailable: says to start the instance first.
    :raises ConfigurationError: the data folder has no instance.
    """

    settings = load_settings()
    if settings.database_url is None:
        secrets.check_instance(settings)

    async def run() -> T:
        try:
            db = await Database.open(
                postgres.dsn(settings),
                application_name="trunkline cli",
                max_size=2,
                connect_timeout=_CONNECT_TIMEOUT,
            )
        except DatabaseUnavailable as error:
            raise DatabaseUnavailable(
                "the database does not answer; start the instance with `trunkline up` first (and use "
                "the same settings: data folder, TRUNKLINE_DATABASE_URL)"
            ) from error
        async with db:
            return await work(db)

    return asyncio.run(run())


def _schema_tool() -> ModuleType:
    # Not at import: every command imports this module.
    return importlib.import_module("trunkline.db.migrate")


def print_json(data: Any) -> None:
    """Print data as JSON; moments in ISO 8601 with their offset."""
    click.echo(json_format.dumps(data, indent=2, default=_plain, ensure_ascii=False))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    raise TypeError(f"no JSON for {type(value).__name__}")


@click.group()
def db() -> None:
    """The database's schema."""


@db.command()
def upgrade() -> None:
    """Upgrade the schema to this version; `trunkline up` does this automatically."""
    migrate = _schema_tool()
    applied = migrate.upgrade(postgres.dsn(load_settings()))
    click.echo(f"applied: {', '.join(applied)}" if applied else "nothing to do")


@db.command()
@click.option("--json", is_flag=True, help="Print one JSON object.")
def current(json: bool) -> None:
    """Show the newest migration of the database and the one that this version requires."""
    migrate = _schema_tool()
    has, wants = migrate.current(postgres.dsn(load_settings())), migrate.newest()
    if json:
        print_json({"current": has, "newest": wants})
    else:
        click.echo(f"{has or 'no schema'} (newest: {wants})")
