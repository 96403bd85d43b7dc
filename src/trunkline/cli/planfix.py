"""``trunkline planfix``: everything that the integration of Planfix needs, in one command, and a check of it."""

from __future__ import annotations

from dataclasses import asdict

import click

from trunkline.accounts.administration import Administration
from trunkline.accounts.secrets import Cipher
from trunkline.cli.accounts import account_option, chosen, json_option
from trunkline.cli.database import print_json, with_database
from trunkline.cli.settings import load_settings
from trunkline.db.pool import Database
from trunkline.notifications.subscriptions import Subscriptions
from trunkline.planfix.connection import Check, PlanfixConnection
from trunkline.runtime import secrets


@click.group()
def planfix() -> None:
    """Planfix: create its notifications and its user; check what it needs."""


@planfix.command()
@click.option("--url", required=True, help="The notification URL that Planfix shows.")
@click.option(
    "--login", default="planfix", show_default=True, help="The user for Planfix; created if missing."
)
@click.option(
    "--allow",
    "networks",
    multiple=True,
    metavar="NETWORK",
    help="From where Planfix connects; may be repeated.",
)
@account_option
@json_option
def connect(url: str, login: str, networks: tuple[str, ...], account_id: int | None, json: bool) -> None:
    """Create the eight notifications, the user, and what else is missing. A second run changes nothing but the URL."""

    async def work(db: Database) -> tuple[str | None, list[Check]]:
        administration = Administration(db)
        which = await chosen(administration, account_id)
        connection = _connection(db, administration)
        password = await connection.connect(which, url, login, networks)
        return password, await connection.checks(which, login)

    password, checks = with_database(work)
    if json:
        print_json({"login": login, "password": password, "checks": [asdict(one) for one in checks]})
        return
    if password is not None:
        click.echo(
            f"enter in Planfix: login {login}, password {password}, and one virtual number for outgoing calls"
        )
    _print(checks)


@planfix.command()
@click.option("--login", default="planfix", show_default=True)
@account_option
@json_option
def check(login: str, account_id: int | None, json: bool) -> None:
    """Show what is missing; exit status 1 when anything is."""

    async def work(db: Database) -> list[Check]:
        administration = Administration(db)
        which = await chosen(administration, account_id)
        return await _connection(db, administration).checks(which, login)

    checks = with_database(work)
    if json:
        print_json([asdict(one) for one in checks])
    else:
        _print(checks)
    if not all(one.is_met for one in checks):
        raise SystemExit(1)


def _connection(db: Database, administration: Administration) -> PlanfixConnection:
    cipher = Cipher(secrets.load(load_settings()).master_key)
    return PlanfixConnection(administration, Subscriptions(db, cipher))


def _print(checks: list[Check]) -> None:
    for one in checks:
        click.echo(
            f"{'yes' if one.is_met else 'no '}  {one.what}" + ("" if one.is_met else f": {one.remedy}")
        )
