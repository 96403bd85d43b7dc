"""``trunkline account``: accounts and their switches. Users, keys and allow-lists are in :mod:`.users`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from itertools import zip_longest
from typing import Any, TypeVar

import click

from trunkline.accounts import components
from trunkline.accounts.administration import SECURITY_RULES, AccountProfile, Administration
from trunkline.accounts.model import METERED, Api, NewAccount, Status
from trunkline.cli.database import print_json, with_database
from trunkline.cli.settings import load_settings
from trunkline.core.errors import InvalidInput
from trunkline.core.settings import Settings

T = TypeVar("T")

json_option = click.option("--json", is_flag=True, help="Print JSON.")
account_option = click.option(
    "--account", "account_id", type=int, help="Account id; not needed while there is only one account."
)
account_argument = click.argument("account_id", type=int, required=False)


def administer(work: Callable[[Administration], Awaitable[T]]) -> T:
    """Run a coroutine with the administration of the instance's accounts."""
    return with_database(lambda db: work(Administration(db)))


async def chosen(administration: Administration, account_id: int | None) -> int:
    """The account meant: the one named, else the only one; :class:`InvalidInput` when that is unclear."""
    if account_id is not None:
        await administration.account(account_id)
        return account_id
    accounts = await administration.list_accounts()
    if len(accounts) != 1:
        raise InvalidInput(
            "say which account by its id; `trunkline account list` shows them"
            if accounts
            else "there is no account yet; make one with `trunkline account create --name NAME`"
        )
    only: int = accounts[0]["account_id"]
    return only


def credentials(settings: Settings, created: NewAccount) -> dict[str, Any]:
    """What a client of a new account needs, as ``account create --json`` prints it."""
    base = f"http://{settings.web.http_bind}:{settings.web.http_port}"
    if settings.web.public_url is not None:
        base = settings.web.public_url.rstrip("/")
    return {
        **{name: value for name, value in asdict(created).items() if name != "keys"},
        "keys": dict(created.keys),
        "urls": {"call_api": f"{base}/v4.0", "data_api": f"{base}/v2.0"},
    }


@click.group()
def account() -> None:
    """Accounts: make, show, disable; components, limits, directions."""


@account.command()
@click.option("--name", required=True, help="The company's name.")
@click.option("--time-zone", default="UTC", show_default=True, help="IANA name, such as Asia/Dubai.")
@click.option("--locale", default="en", show_default=True)
@click.option("--currency", default="USD", show_default=True, help="ISO 4217.")
@click.option("--country", default="AE", show_default=True, help="ISO 3166; how local numbers are read.")
@click.option("--login", help="Of the owner; made up by default.")
@click.option("--password", help="Of the owner; made up by default.")
@click.option("--allow", multiple=True, metavar="NETWORK", help="May use all APIs; may be repeated.")
@click.option("--agent", is_flag=True, help="A partner's account, which has clients.")
@click.option("--parent", type=int, help="The agent account whose client this is.")
@json_option
def create(
    name: str,
    time_zone: str,
    locale: str,
    currency: str,
    country: str,
    login: str | None,
    password: str | None,
    allow: tuple[str, ...],
    agent: bool,
    parent: int | None,
    json: bool,
) -> None:
    """Make an account with an owner and a key for each API; password and keys are shown this once."""
    profile = AccountProfile(name, time_zone, locale, currency, country, agent, parent)
    created = administer(
        lambda administration: administration.create_account(
            profile, login=login, password=password, allow=allow
        )
    )
    shown = {**credentials(load_settings(), created), "name": name, "time_zone": time_zone}
    if json:
        print_json(shown)
        return
    click.echo(f"account {created.account_id} ({name})")
    click.echo(f"  login     {created.login}\n  password  {created.password}")
    for api, key in created.keys.items():
        click.echo(f"  {api:<9} {shown['urls'][api]}  key {key}")
    if not allow:
        click.echo("no address may use the APIs yet: `trunkline allow add NETWORK`")
    click.echo("password and keys are not shown again")


@account.command("list")
@json_option
def list_accounts(json: bool) -> None:
    """All accounts."""
    rows = administer(lambda administration: administration.list_accounts())
    if json:
        print_json(rows)
        return
    for row in rows:
        click.echo(f"{row['account_id']:<8}{row['status']:<10}{row['time_zone']:<24}{row['name']}")


@account.command()
@account_argument
@json_option
def show(account_id: int | None, json: bool) -> None:
    """One account with its components, limits, directions and allow-lists."""

    async def work(administration: Administration) -> dict[str, Any]:
        which = await chosen(administration, account_id)
        addresses = await administration.allowed_addresses(which)
        return {**await administration.account(which), "allowed_addresses": addresses}

    data = administer(work)
    if json:
        print_json(data)
        return
    for name, value in data.items():
        for heading, line in zip_longest((name,), _lines(value), fillvalue=""):
            click.echo(f"{heading:<20}{line}")


@account.command()
@account_argument
def disable(account_id: int | None) -> None:
    """Refuse an account's requests from now on."""
    _set_status(account_id, Status.DISABLED)


@account.command()
@click.option("--agent-lock", is_flag=True, help="Also remove the lock by the account's agent.")
@account_argument
def enable(account_id: int | None, agent_lock: bool) -> None:
    """Let a disabled account in again."""
    _set_status(account_id, Status.ACTIVE, agent_lock=agent_lock)


@account.command()
@click.argument("name", type=click.Choice(sorted(components.TITLES)))
@click.argument("state", type=click.Choice(["on", "off"]))
@account_option
def component(name: str, state: str, account_id: int | None) -> None:
    """Switch a component on or off."""

    async def work(administration: Administration) -> None:
        await administration.set_component(await chosen(administration, account_id), name, state == "on")

    administer(work)
    click.echo(f"{name} is {state}")


@account.command()
@click.argument("direction", type=click.Choice(list(SECURITY_RULES)))
@click.argument("state", type=click.Choice(["on", "off"]))
@account_option
def direction(direction: str, state: str, account_id: int | None) -> None:
    """Allow or forbid calls in a direction: by phones, the API, scenarios and forwarding alike."""

    async def work(administration: Administration) -> None:
        which = await chosen(administration, account_id)
        await administration.set_security_rule(which, direction, state == "on")

    administer(work)
    click.echo(f"{direction} calls are {state}")


@account.command()
@click.argument("api", type=click.Choice([api.value for api in METERED]))
@click.option("--day", type=int, help="Points a day.")
@click.option("--minute", type=int, help="Points a minute.")
@account_option
def limit(api: str, day: int | None, minute: int | None, account_id: int | None) -> None:
    """Change how many points an account may spend."""
    if day is None and minute is None:
        raise InvalidInput("say what to change: --day POINTS, --minute POINTS or both")

    async def work(administration: Administration) -> None:
        await administration.set_limits(
            await chosen(administration, account_id), Api(api), day=day, minute=minute
        )

    administer(work)
    click.echo("changed")


@account.command()
@click.option("--line", help="Login of a line; without it, the account's own limits.")
@click.option("--per-minute", type=click.IntRange(min=0), help="Outgoing calls per minute.")
@click.option("--at-once", type=click.IntRange(min=0), help="Concurrent outgoing calls.")
@click.option(
    "--money-per-day", type=click.FloatRange(min=0), help="Charges of a day, in the account's currency."
)
@click.option("--reset", is_flag=True, help="Reset all three limits to the settings of the installation.")
@account_option
@json_option
def calls(
    line: str | None,
    per_minute: int | None,
    at_once: int | None,
    money_per_day: float | None,
    reset: bool,
    account_id: int | None,
    json: bool,
) -> None:
    """Show or set limits on outgoing calls, of an account or a line.

    0 = no limit. A command with a limit replaces all three: an option that is left out is reset to the setting of the
    installation. Without a limit, the limits are shown: those of the line, or all.
    """
    is_change = (per_minute, at_once, money_per_day) != (None, None, None)
    if reset and is_change:
        raise InvalidInput("give limits or --reset, not both")

    async def work(administration: Administration) -> list[dict[str, Any]]:
        which = await chosen(administration, account_id)
        if reset or is_change:
            await administration.set_outgoing_limits(
                which,
                line,
                calls_per_minute=per_minute,
                concurrent_calls=at_once,
                money_per_day=money_per_day,
            )
        return await administration.outgoing_limits(which, None if reset or is_change else line)

    rows = administer(work)
    if json:
        print_json(rows)
        return
    for row in rows:
        limits = {name: value for name, value in row.items() if name != "line"}
        shown = ", ".join(f"{name} {'usual' if value is None else value}" for name, value in limits.items())
        click.echo(f"{row['line'] or 'account':<14}{shown}")
    if not rows:
        click.echo("no limits of its own: the settings limits.* apply")


def _set_status(account_id: int | None, status: Status, *, agent_lock: bool = False) -> None:
    async def work(administration: Administration) -> dict[str, Any]:
        which = await chosen(administration, account_id)
        await administration.set_status(which, status)
        if agent_lock:
            await administration.lift_agent_lock(which)
        return await administration.account(which)

    changed = administer(work)
    click.echo(f"account {changed['account_id']} is {changed['status']}")
    if status is Status.ACTIVE and changed["locked_by_agent"]:
        click.echo("its agent has locked it; --agent-lock removes that lock, too")


def _lines(value: Any) -> list[str]:
    """A value for people: a line for each thing that has parts of its own."""
    if isinstance(value, dict) and any(isinstance(each, dict) for each in value.values()):
        return [f"{name}: {_readable(each)}" for name, each in value.items()]
    if isinstance(value, list) and any(isinstance(each, dict) for each in value):
        return ["  ".join(_readable(part) for part in each.values() if part != "") for each in value]
    return [_readable(value)]


def _readable(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_readable(each)}" for name, each in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(_readable(each) for each in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)
