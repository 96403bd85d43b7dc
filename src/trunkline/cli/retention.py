"""``trunkline retention``: for how many days the data of an account is kept."""

from __future__ import annotations

import click

from trunkline.accounts import retention as rules
from trunkline.accounts.administration import Administration
from trunkline.accounts.retention import DataKind, Days
from trunkline.cli.accounts import account_option, chosen, json_option
from trunkline.cli.database import print_json, with_database
from trunkline.cli.settings import load_settings
from trunkline.db.pool import Database

_kind = click.argument("kind", type=click.Choice([kind.value for kind in DataKind]))


@click.group()
def retention() -> None:
    """Retention of recordings, calls and logs, in days."""


@retention.command("list")
@json_option
def list_(json: bool) -> None:
    """List the values of all accounts; * = set for the account."""

    async def work(db: Database) -> dict[int, dict[DataKind, Days]]:
        return await rules.of_all_accounts(db, load_settings())

    found = with_database(work)
    if json:
        print_json(
            [
                {"account_id": account_id, **{kind.value: one.days for kind, one in values.items()}}
                for account_id, values in found.items()
            ]
        )
        return
    for account_id, values in sorted(found.items()):
        click.echo(f"account {account_id}: {', '.join(_words(kind, one) for kind, one in values.items())}")


@retention.command("set")
@_kind
@click.argument("days")
@account_option
def set_(kind: str, days: str, account_id: int | None) -> None:
    """Keep KIND for DAYS (a number, or `forever`)."""
    if days != "forever" and not days.isdecimal():
        raise click.BadParameter("give a number of days, or `forever`", param_hint="DAYS")
    number = None if days == "forever" else int(days)

    async def work(db: Database) -> int:
        which = await chosen(Administration(db), account_id)
        await rules.set_days(db, which, DataKind(kind), number)
        return which

    click.echo(f"account {with_database(work)} keeps {kind}: {_span(number)}")


@retention.command()
@_kind
@account_option
def reset(kind: str, account_id: int | None) -> None:
    """Return to the setting of the installation for KIND."""

    async def work(db: Database) -> int:
        which = await chosen(Administration(db), account_id)
        await rules.reset(db, which, DataKind(kind))
        return which

    click.echo(f"account {with_database(work)} keeps {kind} according to the setting of the installation")


def _words(kind: DataKind, one: Days) -> str:
    return f"{kind.value} {_span(one.days)}{'*' if one.is_own else ''}"


def _span(days: int | None) -> str:
    return "for ever" if days is None else f"{days} days"
