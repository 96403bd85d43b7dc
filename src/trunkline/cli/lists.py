"""``trunkline lists``: lists of an account that no API changes."""

from __future__ import annotations

from pathlib import Path

import click

from trunkline.accounts.administration import Administration
from trunkline.cli.accounts import account_option, chosen
from trunkline.cli.database import with_database
from trunkline.cli.table import counted
from trunkline.db.pool import Database
from trunkline.directory.files.lists_file import apply_lists, read_lists


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@account_option
def lists(file: Path, account_id: int | None) -> None:
    """Create or change the auto call campaigns, segments and events of a YAML FILE."""
    form = read_lists(file)

    async def work(db: Database) -> int:
        return await apply_lists(db, await chosen(Administration(db), account_id), form)

    count = with_database(work)
    click.echo(f"{counted(count, 'item')} {'matches' if count == 1 else 'match'} the file")
