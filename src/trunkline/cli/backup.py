"""``trunkline backup`` and ``trunkline restore``."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import click

from trunkline.backup import make as making
from trunkline.backup import restore as restoring
from trunkline.cli.accounts import json_option
from trunkline.cli.database import print_json
from trunkline.cli.settings import load_settings
from trunkline.runtime.files import PRIVATE

_MEGABYTE = 1_000_000


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--key",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the encryption key, which is not in FILE, to this file.",
)
@json_option
def backup(file: Path, key: Path | None, json: bool) -> None:
    """Write database, recordings, media, certificates and settings to FILE; calls go on meanwhile.

    FILE gets its name when it is complete. The encryption key is not in it: keep a copy of the key in another place.
    """
    os.umask(PRIVATE)
    settings = load_settings()
    made = making.make(settings, file, key)
    if json:
        print_json(asdict(made))
        return
    click.echo(
        f"{made.file}: {made.database_size / _MEGABYTE:.1f} MB of database, {made.files} files with "
        f"{made.files_size / _MEGABYTE:.1f} MB"
    )
    own = settings.secrets_dir / "master.key"
    click.echo(f"key: {made.key_file or f'not copied; it is {own}'}")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--key", type=click.Path(dir_okay=False, path_type=Path), help="The encryption key of the backup."
)
@click.option("--replace", is_flag=True, help="Replace an installation that has data.")
@click.option("--trunks-off", is_flag=True, help="Make all trunks inactive: for a copy next to the original.")
@json_option
def restore(file: Path, key: Path | None, replace: bool, trunks_off: bool, json: bool) -> None:
    """Make an installation from a backup FILE, in the data folder of the settings; it must not run.

    With --replace, the files of the previous installation are kept in a folder before-restore-... of the data folder.
    """
    os.umask(PRIVATE)
    restored = restoring.restore(load_settings(), file, key, replace=replace, trunks_off=trunks_off)
    if json:
        print_json(asdict(restored))
        return
    click.echo(f"restored the backup of {restored.created_at}, made by Trunkline {restored.version}")
    if restored.upgraded:
        click.echo(f"migrations applied to the database: {', '.join(restored.upgraded)}")
    if restored.previous:
        click.echo(f"previous data: {restored.previous}")
    click.echo(f"its settings, not in effect: {restored.settings}")
    if restored.registering_trunks:
        click.echo(
            f"WARNING: when it is started, {restored.registering_trunks} trunks register at their carriers. If the original"
            " runs, its calls come here: stop it first, or restore with --trunks-off",
            err=True,
        )
    click.echo("start it with `trunkline up`")
