"""``trunkline trunk``: the state of trunks, and which addresses they may have."""

from __future__ import annotations

import sys
from typing import Any

import click

from trunkline.accounts.administration import Administration
from trunkline.cli.accounts import account_option, chosen, json_option
from trunkline.cli.database import print_json, with_database
from trunkline.cli.settings import load_settings
from trunkline.cli.switch import ask_switch
from trunkline.cli.table import print_rows, print_table
from trunkline.core.errors import Unavailable
from trunkline.db.pool import Database
from trunkline.directory.model import SYSTEM_ACCOUNT_ID
from trunkline.directory.trunks import allowed as addresses

_COLUMNS = """
select account_id, trunk_id, key, name, host, port, transport, is_active and mode = 'register' as registers from trunks
"""
_TRUNKS = _COLUMNS + "where account_id = %s order by trunk_id"
_EVERY_TRUNK = _COLUMNS + "order by account_id, trunk_id"

every_account_option = click.option("--every-account", is_flag=True, help="For the trunks of all accounts.")


@click.group()
def trunk() -> None:
    """State of trunks, and addresses that they may have although the rules refuse them."""


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
    shown = [
        (
            row["network"],
            "every account" if row["account_id"] == SYSTEM_ACCOUNT_ID else row["account_id"],
            row["comment"],
        )
        for row in rows
    ]
    print_table(("network", "account", "comment"), shown, none="no address")


@trunk.command("status")
@account_option
@click.option("--every-account", is_flag=True, help="Show the trunks of all accounts.")
@json_option
def show_status(account_id: int | None, every_account: bool, json: bool) -> None:
    """Show the trunks with their state of registration. Exit code 3 when one that registers is not registered."""

    async def work(db: Database) -> list[dict[str, Any]]:
        if every_account:
            return await db.fetch_all(_EVERY_TRUNK)
        return await db.fetch_all(_TRUNKS, (await chosen(Administration(db), account_id),))

    rows = with_database(work)
    states = {one["trunk_id"]: one for one in _states()}
    found = [_with_state(row, states.get(row["trunk_id"])) for row in rows]
    if json:
        print_json(found)
    else:
        columns = {
            "account_id": "account", "name": "trunk", "host": "host", "transport": "transport", "state": "state",
            "code": "SIP code", "reason": "reason",
        }  # fmt: skip
        print_rows(found, columns, none="no trunk")
    if any(row["registers"] and row["state"] != "registered" for row in found):
        sys.exit(3)


def _states() -> list[dict[str, Any]]:
    status = ask_switch(load_settings(), lambda client: client.status())
    states: list[dict[str, Any]] | None = status.get("registrations_at_carriers")
    if states is None:
        raise Unavailable("Asterisk does not answer at present; `trunkline status` shows its process")
    return states


def _with_state(row: dict[str, Any], state: dict[str, Any] | None) -> dict[str, Any]:
    """A trunk without registration has the state ``no registration``; one that Asterisk has not loaded, ``not loaded``."""
    if state is None:
        name = "not loaded" if row["registers"] else "no registration"
        return {**row, "server": None, "state": name, "code": None, "reason": ""}
    return {**row, **{name: state[name] for name in ("server", "state", "code", "reason")}}


async def _whose(db: Database, account_id: int | None, every_account: bool) -> int:
    return SYSTEM_ACCOUNT_ID if every_account else await chosen(Administration(db), account_id)
