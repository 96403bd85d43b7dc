"""``trunkline apply`` and ``trunkline export``: an account's directory as one YAML file."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from trunkline.accounts.administration import Administration
from trunkline.accounts.secrets import Cipher
from trunkline.cli.accounts import account_option, chosen, json_option
from trunkline.cli.confirmation import is_confirmed
from trunkline.cli.database import print_json, with_database
from trunkline.cli.in_effect import InEffect, effect_of, wait_option
from trunkline.cli.settings import load_settings
from trunkline.cli.table import counted
from trunkline.core.errors import DatabaseUnavailable, InvalidInput, NotFound
from trunkline.core.settings import Settings
from trunkline.db.pool import Database
from trunkline.directory.files.apply import Applied, DirectoryFiles
from trunkline.directory.files.file import examine_file, examine_stream, to_yaml
from trunkline.directory.files.form import Form
from trunkline.directory.files.prepare import Prepared, Request
from trunkline.directory.subscriptions.form import SubscriptionForm
from trunkline.directory.trunks.addresses import own_addresses
from trunkline.notifications.subscriptions import Draft, check
from trunkline.routing.emergency import emergency_numbers
from trunkline.runtime import secrets
from trunkline.speech import EspeakSpeech


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@account_option
@click.option("--delete", is_flag=True, help="Delete items that the file's sections do not list.")
@click.option("--dry-run", is_flag=True, help="Only show the difference.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@wait_option
@json_option
def apply(
    file: Path, account_id: int | None, delete: bool, dry_run: bool, yes: bool, wait_seconds: int, json: bool
) -> None:
    """Apply FILE to an account's directory in one transaction; the difference is shown first.

    It ends when Asterisk has loaded the changes. FILE - is standard input; relative paths in it begin at the working folder,
    and --yes or --dry-run is needed.
    """
    if str(file) == "-":
        examined, folder = examine_stream(sys.stdin.buffer.read(), os.environ), Path.cwd()
    else:
        examined, folder = examine_file(file, os.environ), file.absolute().parent
    settings = load_settings()

    async def work(db: Database) -> tuple[Prepared, Applied | None, InEffect]:
        which = await chosen(Administration(db), account_id)
        files = directory_files(db, settings)
        prepared = await files.prepare(Request.of(which, examined, folder, delete=delete))
        if not json:
            click.echo(
                "\n".join([*prepared.plan.lines(), *(f"warning: {one}" for one in warnings_of(prepared))])
            )
        if dry_run or not (prepared.plan.is_empty or yes or is_confirmed(json)):
            return prepared, None, InEffect(None)
        applied = await files.apply(prepared)
        # The passwords are shown first: they are not lost when the command is interrupted while it waits.
        if not json and not applied.plan.is_empty:
            click.echo(f"applied {counted(len(applied.plan.changes), 'change')}")
            _show_passwords(applied)
        return prepared, applied, await effect_of(db, settings, which, applied, wait_seconds)

    try:
        prepared, applied, in_effect = with_database(work)
    except (DatabaseUnavailable, NotFound, InvalidInput) as error:
        if examined.problems:  # those of the file are known without a database
            raise examined.refusal() from error
        raise
    if json:
        passwords = dict(applied.passwords) if applied else {}
        print_json(
            {
                **prepared.plan.as_json(),
                "warnings": warnings_of(prepared),
                "applied": applied is not None,
                "passwords": passwords,
                **in_effect.as_json(),
            }
        )
        return
    if applied is None:
        click.echo("nothing was written")
    for line in in_effect.lines():
        click.echo(line)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, writable=True, path_type=Path), required=False)
@account_option
def export(file: Path | None, account_id: int | None) -> None:
    """Write an account's directory as YAML to FILE or standard output (also `-`); secrets are left out."""
    settings = load_settings()

    async def work(db: Database) -> Form:
        which = await chosen(Administration(db), account_id)
        return await directory_files(db, settings).export(which)

    text = to_yaml(with_database(work))
    if file is None or file == Path("-"):
        click.echo(text, nl=False)
    else:
        file.write_text(text, "utf-8")


def directory_files(db: Database, settings: Settings) -> DirectoryFiles:
    """Directory files of this instance, with its master key, voice and subscription rules."""
    cipher = Cipher(secrets.ensure(settings).master_key)
    own = own_addresses(settings.sip.bind, settings.sip.external_address)
    return DirectoryFiles(
        db,
        cipher,
        EspeakSpeech(),
        settings.media_dir,
        subscription_problems,
        own,
        settings.sip.password_strength_min,
    )


def subscription_problems(key: str, form: SubscriptionForm) -> list[str]:
    """The problems that ``notifications`` finds in a subscription, as lines for a directory file."""
    draft = Draft(
        key=key,
        name=form.name or key,
        url=form.url,
        events=form.events,
        method=form.method,
        body_template=form.body,
        headers=form.headers,
        secret=form.secret.get_secret_value() if form.secret else None,
    )
    try:
        check(draft)
    except InvalidInput as error:
        field = {"body_template": "body"}.get(error.field or "", error.field)
        return [f"notifications.{key}{f'.{field}' if field else ''}: {error.message}"]
    return []


def warnings_of(prepared: Prepared) -> list[str]:
    """What is allowed in the directory and will be missed in a call."""
    if prepared.plan.is_empty and not prepared.weak:
        return []
    result = prepared.result
    warnings = [
        f"sip_lines.{login}.password: can be guessed ({weakness.value.replace('_', ' ')}); leave it out of the file and"
        " give the line a random one"
        for login, weakness in prepared.weak.items()
    ]
    if result.section("sip_lines") and not any(trunk.active for trunk in result.section("trunks").values()):
        warnings.append("no active trunk: calls to outside numbers and to emergency numbers fail")
    emergency = emergency_numbers((result.account.country if result.account else None) or "")
    for section in ("employees", "groups"):
        warnings += [
            f"{section}.{key}.extension: {item.extension} is an emergency number: it calls the emergency service"
            for key, item in result.section(section).items()
            if item.extension in emergency
        ]
    trunks = result.section("trunks")
    warnings += [
        f"trunks.{key}.host: {trunks[key].host} does not resolve to an address now"
        for key in prepared.plan.written("trunks")
        if trunks[key].active and not prepared.resolved.get(trunks[key].host)
    ]
    return warnings


def _show_passwords(applied: Applied) -> None:
    if applied.passwords:
        click.echo("new passwords of SIP lines (they are not shown again):")
        for login, password in applied.passwords.items():
            click.echo(f"  {login}  {password}")
