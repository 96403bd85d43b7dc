"""``trunkline csv``: employees, SIP lines, contacts and tags from and to CSV files."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from trunkline.accounts.administration import Administration
from trunkline.cli.accounts import account_option, chosen, json_option
from trunkline.cli.confirmation import is_confirmed
from trunkline.cli.database import print_json, with_database
from trunkline.cli.directory import directory_files
from trunkline.cli.in_effect import InEffect, effect_of, wait_option
from trunkline.cli.settings import load_settings
from trunkline.cli.table import counted
from trunkline.core.errors import DirectoryFileError
from trunkline.db.pool import Database
from trunkline.directory.files import csv_file
from trunkline.directory.files.apply import Applied
from trunkline.directory.files.csv_file import RowProblem, Section
from trunkline.directory.files.plan import Plan
from trunkline.directory.files.prepare import Prepared, Request

_section = click.argument("section", type=click.Choice([section.value for section in Section]))


@click.group("csv")
def csv() -> None:
    """Employees, SIP lines, contacts and tags as CSV files."""


@csv.command("import")
@_section
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@account_option
@click.option("--dry-run", is_flag=True, help="Only show what would be added and changed.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@wait_option
@json_option
def import_(
    section: str, file: Path, account_id: int | None, dry_run: bool, yes: bool, wait_seconds: int, json: bool
) -> None:
    """Add and change items by the rows of FILE (- is standard input), in one transaction; the difference is shown first.

    Nothing is deleted. Problems of all rows are shown at once, and then nothing is written.
    """
    content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    settings = load_settings()

    async def work(db: Database) -> tuple[Prepared | None, list[RowProblem], Applied | None, InEffect]:
        which = await chosen(Administration(db), account_id)
        files = directory_files(db, settings)
        table = csv_file.read(Section(section), content, await files.export(which))
        problems = list(table.problems)
        try:
            prepared = await files.prepare(Request(which, table.form, Path.cwd()))
        except DirectoryFileError as error:
            return None, [*problems, *table.problems_of(error)], None, InEffect(None)
        if problems:
            return prepared, problems, None, InEffect(None)
        if not json:
            click.echo("\n".join(_lines(prepared.plan)))
        if dry_run or not (prepared.plan.is_empty or yes or is_confirmed(json)):
            return prepared, problems, None, InEffect(None)
        applied = await files.apply(prepared)
        if not json and not applied.plan.is_empty:
            click.echo(f"applied {counted(len(applied.plan.changes), 'change')}")
            for login, password in applied.passwords.items():
                click.echo(f"line {login}  password {password}  (not shown again)")
        return prepared, problems, applied, await effect_of(db, settings, which, applied, wait_seconds)

    prepared, problems, applied, in_effect = with_database(work)
    passwords = dict(applied.passwords) if applied else {}
    if json:
        changes = prepared.plan.as_json()["changes"] if prepared else []
        print_json(
            {
                "changes": changes,
                "problems": [{"line": one.line, "message": one.message} for one in problems],
                "applied": applied is not None,
                "passwords": passwords,
                **in_effect.as_json(),
            }
        )
        if problems:
            sys.exit(1)
        return
    if problems:
        lines = csv_file.problem_lines(problems)
        raise DirectoryFileError("nothing was written:\n" + "\n".join(lines), params={"problems": lines})
    if applied is None:
        click.echo("nothing was written")
    for line in in_effect.lines():
        click.echo(line)


@csv.command("export")
@_section
@click.argument("file", type=click.Path(dir_okay=False, writable=True, path_type=Path), required=False)
@click.option("--separator", type=click.Choice([",", ";"]), default=",", show_default=True)
@click.option("--bom", is_flag=True, help="Begin with a byte order mark, by which Excel detects UTF-8.")
@account_option
def export(section: str, file: Path | None, separator: str, bom: bool, account_id: int | None) -> None:
    """Write the items of a section to FILE or standard output; passwords are left out."""
    settings = load_settings()

    async def work(db: Database) -> str:
        form = await directory_files(db, settings).export(await chosen(Administration(db), account_id))
        return csv_file.write(Section(section), form, separator)

    content = with_database(work).encode("utf-8-sig" if bom else "utf-8")
    if file is None:
        click.echo(content, nl=False)
    else:
        file.write_bytes(content)


def _lines(plan: Plan) -> list[str]:
    """The plan without the items that are not in the file: an import deletes nothing."""
    return Plan(plan.changes).lines()
