"""``trunkline trunk``: which addresses trunks may have."""

from __future__ import annotations

import click

from trunkline.accounts.administration import Administration
from trunkline.cli.accounts import account_option, chosen, json_option
from trunkline.cli.database import print_json, with_database
from trunkline.db.pool import Database
from trunkline.directory.model import SYSTEM_ACCOUNT_ID
from trunkline.directory.trunks import allowed as addresses

every_account_option = click.option("--every-account", is_flag=True, help="For the trunks of all accounts.")


@click.group()
def trunk() -> None:
    """Addresses that trunks may have although they are networks, private, or in use by something else."""


@trunk.command()
@click.argument("address")
@account_option
@every_account_option
@click.option("--comment", default="", help="Shown in the list.")
def allow(address: str, account_id: int | None, every_account: bool, comment: str) -> None:
    """Allow an ADDRESS or network for the trunks of an account."""

    async def work(db: Database) -> str:
        whose = await _whose(db, account_id, every_account)
        return await addresses.allow(db, whose, address, comment)

    click.echo(f"{with_database(work)} is allowed")


@trunk.command()
@click.argument("address")
@account_option
@every_account_option
def disallow(address: str, account_id: int | None, every_account: bool) -> None:
    """Remove an ADDRESS or network from the list."""

    async def work(db: Database) -> None:
        await addresses.disallow(db, await _whose(db, account_id, every_account), address)

    with_database(work)
    click.echo("removed")


@trunk.command("list")
@json_option
def list_addresses(json: bool) -> None:
    """List the allowed addresses and their accounts."""
    rows = with_database(addresses.allowed)
    if json:
        print_json(rows)
        return
    for row in rows:
        whose = "every account" if row["account_id"] == SYSTEM_ACCOUNT_ID else f"account {row['account_id']}"
        click.echo(f"{row['network']:<24}{whose:<20}{row['comment']}")


async def _whose(db: Database, account_id: int | None, every_account: bool) -> int:
    return SYSTEM_ACCOUNT_ID if every_account else await chosen(Administration(db), account_id)
