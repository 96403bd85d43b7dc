"""``trunkline user``, ``trunkline key``, ``trunkline allow``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from trunkline.accounts import tokens
from trunkline.accounts.administration import Administration
from trunkline.accounts.model import METERED, Action, Api, NewKey, Status
from trunkline.accounts.permissions import Role
from trunkline.cli.accounts import account_option, administer, chosen, json_option
from trunkline.cli.database import print_json
from trunkline.cli.table import print_rows, print_table
from trunkline.core.errors import InvalidInput, NotFound

_SPAN = re.compile(r"([0-9]{1,6})([mhd])\Z")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_ENABLED = METERED

user_option = click.option("--user", "user", required=True, metavar="LOGIN", help="The user's login.")


async def user_id_of(administration: Administration, account_id: int, login: str) -> int:
    """The user of that login in that account; :class:`NotFound`."""
    row = await administration.users.find(login)
    if row is None or row["account_id"] != account_id:
        raise NotFound(f"account {account_id} has no user {login}; see `trunkline user list`", field="login")
    found: int = row["user_id"]
    return found


@click.group()
def user() -> None:
    """Users: who may log in, and what each may do."""


@user.command("create")
@click.option("--login", required=True)
@click.option("--password", help="Generated and shown once by default.")
@click.option("--name", "full_name", default="")
@click.option("--email")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    help="Default: member; with --api, integrator, with the rights to control calls for call_api and to"
    " manage all modules for call_center.",
)
@click.option(
    "--api",
    "apis",
    multiple=True,
    type=click.Choice([api.value for api in _ENABLED]),
    help="API that the user and the user's keys may use; may be repeated.",
)
@click.option("--employee", "employee_id", type=int)
@account_option
@json_option
def create_user(
    login: str,
    password: str | None,
    full_name: str,
    email: str | None,
    role: str | None,
    apis: tuple[str, ...],
    employee_id: int | None,
    account_id: int | None,
    json: bool,
) -> None:
    """Create a user."""
    secret = password if password is not None else tokens.new_password()

    async def work(administration: Administration) -> dict[str, Any]:
        which = await chosen(administration, account_id)
        user_id = await administration.users.create(
            which, login, secret, full_name=full_name, email=email, role=None if role is None else Role(role),
            apis=[Api(api) for api in apis], employee_id=employee_id,
        )  # fmt: skip
        return {"account_id": which, "user_id": user_id, "login": login, "password": secret}

    made = administer(work)
    if json:
        print_json(made)
    else:
        click.echo(f"user {made['user_id']} in account {made['account_id']}: {login}, password {secret}")


@user.command("list")
@account_option
@json_option
def list_users(account_id: int | None, json: bool) -> None:
    """List the users of an account."""

    async def work(administration: Administration) -> list[dict[str, Any]]:
        return await administration.users.list_users(await chosen(administration, account_id))

    rows = administer(work)
    if json:
        print_json(rows)
        return
    shown = [{**row, "apis": [api.value for api in _ENABLED if row[f"{api.value}_enabled"]]} for row in rows]
    columns = {"user_id": "id", "status": "status", "role": "role", "login": "login", "apis": "APIs"}
    print_rows(shown, columns, none="no user")


@user.command()
@user_option
@click.password_option(help="Read from a prompt by default.")
@account_option
def password(user: str, password: str, account_id: int | None) -> None:
    """Change a password; the user's sessions end."""

    async def work(administration: Administration) -> None:
        which = await chosen(administration, account_id)
        await administration.users.set_password(
            which, await user_id_of(administration, which, user), password
        )

    administer(work)
    click.echo(f"user {user}: password changed")


@user.command("codes-off")
@user_option
@account_option
def turn_codes_off(user: str, account_id: int | None) -> None:
    """Let a user sign in to the console without codes: for one who has lost the phone."""

    async def work(administration: Administration) -> None:
        which = await chosen(administration, account_id)
        await administration.users.remove_second_factor(which, await user_id_of(administration, which, user))

    administer(work)
    click.echo(f"user {user}: no codes")


@user.command("disable")
@user_option
@account_option
def disable_user(user: str, account_id: int | None) -> None:
    """Disable a user: sessions end, keys are refused."""
    _set_user_status(user, account_id, Status.DISABLED)


@user.command("enable")
@user_option
@account_option
def enable_user(user: str, account_id: int | None) -> None:
    """Enable a disabled user."""
    _set_user_status(user, account_id, Status.ACTIVE)


@user.command("role")
@user_option
@click.argument("role", type=click.Choice([role.value for role in Role]))
@account_option
def set_role(user: str, role: str, account_id: int | None) -> None:
    """Change the role of a user."""

    async def work(administration: Administration) -> None:
        which = await chosen(administration, account_id)
        await administration.users.set_role(which, await user_id_of(administration, which, user), Role(role))

    administer(work)
    click.echo(f"{user} is {role}")


@user.command("apis")
@user_option
@click.argument("apis", nargs=-1, type=click.Choice([api.value for api in _ENABLED]))
@account_option
def set_apis(user: str, apis: tuple[str, ...], account_id: int | None) -> None:
    """Set the APIs that a user and the user's keys may use; without one, none."""

    async def work(administration: Administration) -> None:
        which = await chosen(administration, account_id)
        user_id = await user_id_of(administration, which, user)
        await administration.users.set_apis(which, user_id, [Api(api) for api in apis])

    administer(work)
    click.echo(f"{user} may use {', '.join(apis) or 'no API'}")


@user.command()
@user_option
@click.argument("resource", metavar="RESOURCE")
@click.argument("action", type=click.Choice([action.value for action in Action]))
@click.option("--revoke", is_flag=True, help="Revoke the permission.")
@account_option
def permit(user: str, resource: str, action: str, revoke: bool, account_id: int | None) -> None:
    """Grant a user a permission in addition to those of the role, such as `employees select`."""

    async def work(administration: Administration) -> None:
        which = await chosen(administration, account_id)
        await administration.users.set_permission(
            which, await user_id_of(administration, which, user), resource, Action(action), not revoke
        )

    administer(work)
    click.echo(
        f"{resource} {action} is {'no longer ' if revoke else ''}granted to {user} in addition to the role"
    )


@click.group()
def key() -> None:
    """API keys."""


@key.command("create")
@user_option
@click.option("--name", default="", help="Name for lists; by default the APIs that the key opens.")
@click.option("--expires-in", metavar="SPAN", help="30m, 12h or 90d; permanent by default.")
@account_option
@json_option
def create_key(user: str, name: str, expires_in: str | None, account_id: int | None, json: bool) -> None:
    """Create a key; it is shown only now."""
    expires_at = datetime.now(UTC) + _span(expires_in) if expires_in is not None else None

    async def work(administration: Administration) -> tuple[NewKey, list[str]]:
        which = await chosen(administration, account_id)
        user_id = await user_id_of(administration, which, user)
        made = await administration.users.create_key(which, user_id, name, expires_at)
        return made, [api.value for api in await administration.users.apis(which, user_id)]

    made, apis = administer(work)
    if json:
        print_json(
            {
                "key_id": made.key_id,
                "name": made.name,
                "token": made.token,
                "expires_at": made.expires_at,
                "apis": apis,
            }
        )
        return
    click.echo(
        f"key {made.key_id}: {made.token}\nit opens {', '.join(apis) or 'no API'}; it is not shown again"
    )
    if not apis:
        click.echo(f"let the user use an API: `trunkline user apis --user {user} call_api data_api`")


@key.command("list")
@account_option
@json_option
def list_keys(account_id: int | None, json: bool) -> None:
    """List the keys of an account, without their tokens."""

    async def work(administration: Administration) -> list[dict[str, Any]]:
        return await administration.users.list_keys(await chosen(administration, account_id))

    rows = administer(work)
    if json:
        print_json(rows)
        return
    shown: list[tuple[Any, ...]] = []
    for row in rows:
        state = "blocked" if row["blocked_at"] else f"until {row['expires_at'] or 'blocked'}"
        shown.append((row["key_id"], row["user_id"], f"...{row['token_hint']}", state, row["name"]))
    print_table(("id", "user", "key", "state", "name"), shown, none="no key")


@key.command("block")
@click.argument("key_id", type=int)
@account_option
def block_key(key_id: int, account_id: int | None) -> None:
    """Block a key permanently."""

    async def work(administration: Administration) -> None:
        await administration.users.block_key(await chosen(administration, account_id), key_id)

    administer(work)
    click.echo(f"key {key_id} is blocked")


@click.group()
def allow() -> None:
    """Allow-lists: which addresses may use an API."""


_api_option = click.option(
    "--api", "apis", multiple=True, type=click.Choice([api.value for api in Api]), help="Default: all."
)


@allow.command("add")
@click.argument("networks", nargs=-1, required=True)
@_api_option
@click.option("--comment", default="")
@account_option
def add_address(
    networks: tuple[str, ...], apis: tuple[str, ...], comment: str, account_id: int | None
) -> None:
    """Allow networks or addresses to use the APIs; 0.0.0.0/0 allows all."""

    async def work(administration: Administration) -> None:
        which = await chosen(administration, account_id)
        for network in networks:
            for api in apis or tuple(Api):
                await administration.allow_address(which, Api(api), network, comment)

    administer(work)
    click.echo(f"{', '.join(networks)} allowed")


@allow.command("remove")
@click.argument("networks", nargs=-1, required=True)
@_api_option
@account_option
def remove_address(networks: tuple[str, ...], apis: tuple[str, ...], account_id: int | None) -> None:
    """Remove networks from the allow-lists; without --api from all lists."""

    async def work(administration: Administration) -> None:
        which = await chosen(administration, account_id)
        for network in networks:
            missing = 0
            for api in apis or tuple(Api):
                try:
                    await administration.disallow_address(which, Api(api), network)
                except NotFound:
                    missing += 1
                    if apis or missing == len(Api):
                        raise

    administer(work)
    click.echo(f"{', '.join(networks)} removed")


@allow.command("list")
@account_option
@json_option
def list_addresses(account_id: int | None, json: bool) -> None:
    """Show the allow-lists of an account."""

    async def work(administration: Administration) -> list[dict[str, Any]]:
        return await administration.allowed_addresses(await chosen(administration, account_id))

    rows = administer(work)
    if json:
        print_json(rows)
        return
    print_rows(rows, {"api": "API", "network": "network", "comment": "comment"}, none="no address")


def _set_user_status(login: str, account_id: int | None, status: Status) -> None:
    async def work(administration: Administration) -> None:
        which = await chosen(administration, account_id)
        await administration.users.set_status(which, await user_id_of(administration, which, login), status)

    administer(work)
    click.echo(f"{login} is {status.value}")


def _span(text: str) -> timedelta:
    match = _SPAN.match(text)
    if match is None or int(match[1]) == 0:
        raise InvalidInput(
            f"{text!r} is not a span of time; write 30m, 12h or 90d", field="expires_in", value=text
        )
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
