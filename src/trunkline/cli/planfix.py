"""``trunkline planfix``: everything that the integration of Planfix needs, in one command, and a check of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import click

from trunkline.accounts import tokens
from trunkline.accounts.administration import Administration
from trunkline.accounts.model import Api, Status
from trunkline.accounts.secrets import Cipher
from trunkline.cli.accounts import account_option, chosen, json_option
from trunkline.cli.database import print_json, with_database
from trunkline.cli.settings import load_settings
from trunkline.core.errors import InvalidInput
from trunkline.db.pool import Database
from trunkline.notifications.presets import PRESETS, drafts
from trunkline.notifications.subscriptions import Subscription, Subscriptions
from trunkline.runtime import secrets

COMPONENTS = ("call_api_base", "data_api_base")
APIS = (Api.CALL_API, Api.DATA_API)


@dataclass(frozen=True, slots=True)
class Check:
    """:ivar remedy: what to do, when it is not met."""

    what: str
    is_met: bool
    remedy: str


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
        subscriptions = _subscriptions(db)
        found = await administration.users.find(login)
        if found is not None and found["account_id"] != which:
            raise InvalidInput(
                f"the login {login} is of another account; choose one with --login", field="login"
            )
        for draft in drafts("planfix", url):
            await subscriptions.save(which, draft)
        for component in COMPONENTS:
            await administration.set_component(which, component, True)
        for api in APIS:
            for network in networks:
                await administration.allow_address(which, api, network, "Planfix")
        password = None
        if found is None:
            password = tokens.new_password()
            await administration.users.create(which, login, password, full_name="Planfix", apis=APIS)
        return password, await _checks(administration, subscriptions, which, login)

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
        return await _checks(
            administration, _subscriptions(db), await chosen(administration, account_id), login
        )

    checks = with_database(work)
    if json:
        print_json([asdict(one) for one in checks])
    else:
        _print(checks)
    if not all(one.is_met for one in checks):
        raise SystemExit(1)


def _subscriptions(db: Database) -> Subscriptions:
    return Subscriptions(db, Cipher(secrets.load(load_settings()).master_key))


def _print(checks: list[Check]) -> None:
    for one in checks:
        click.echo(
            f"{'yes' if one.is_met else 'no '}  {one.what}" + ("" if one.is_met else f": {one.remedy}")
        )


async def _checks(
    administration: Administration, subscriptions: Subscriptions, account_id: int, login: str
) -> list[Check]:
    account = await administration.account(account_id)
    found = [
        Check(f"component {name}", name in account["components"], f"trunkline account component {name} on")
        for name in COMPONENTS
    ]
    addresses = await administration.allowed_addresses(account_id)
    found += [
        Check(
            f"addresses that may use {api.value}",
            any(row["api"] == api.value and not row["network"].startswith("127.") for row in addresses),
            f"trunkline allow add NETWORK --api {api.value} (0.0.0.0/0: any)",
        )
        for api in APIS
    ]
    users = [
        user
        for user in await administration.users.list_users(account_id)
        if user["login"].lower() == login.lower()
    ]
    found.append(
        Check(
            f"user {login}",
            any(user["status"] == Status.ACTIVE for user in users),
            "trunkline planfix connect, or trunkline user enable",
        )
    )
    found += [
        Check(
            f"user {login} may use {api.value}",
            any(user[f"{api.value}_enabled"] for user in users),
            f"trunkline user apis --user {login}",
        )
        for api in APIS
    ]
    there = {one.key: one for one in await subscriptions.all(account_id)}
    found += [
        Check(
            f"notification {one.name}",
            _works(there.get(f"planfix-{one.mnemonic}")),
            "trunkline planfix connect, or trunkline notification on",
        )
        for one in PRESETS["planfix"]
    ]
    return found


def _works(subscription: Subscription | None) -> bool:
    return subscription is not None and subscription.is_active
