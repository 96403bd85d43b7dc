"""``trunkline hubspot``: connect an account with HubSpot, check it, show its state, map employees to owners."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TypeVar

import click

from trunkline.accounts.administration import Administration
from trunkline.accounts.secrets import Cipher
from trunkline.cli.accounts import account_option, chosen, json_option
from trunkline.cli.database import print_json, with_database
from trunkline.cli.settings import load_settings
from trunkline.cli.table import counted, print_rows, print_table
from trunkline.core.errors import InvalidInput
from trunkline.db.pool import Database
from trunkline.hubspot.comparison import Finding
from trunkline.hubspot.connections import SETTINGS, App, Connection, ConnectionKind, Connections
from trunkline.hubspot.repair import Repair
from trunkline.hubspot.setup import Setup, code_of, invite
from trunkline.hubspot.worker import client_of, playable_links
from trunkline.runtime import secrets

T = TypeVar("T")

REDIRECT_URI = "http://localhost:8917/hubspot"
"""Where HubSpot sends the browser unless another address is named: nothing needs to respond there, the code is in it."""

LOG_CALLS = "log_calls"
DATE = click.DateTime(["%Y-%m-%d"])


@click.group()
def hubspot() -> None:
    """HubSpot: connect an account, check it, map employees to owners."""


def _with_setup(account_id: int | None, work: Callable[[Setup, Connections, int], Awaitable[T]]) -> T:
    async def run(db: Database) -> T:
        which = await chosen(Administration(db), account_id)
        settings = load_settings()
        cipher = Cipher(secrets.master_key(settings))
        async with client_of(db, settings.hubspot, cipher, settings.loopback_ports) as (client, connections):
            return await work(Setup(db, client, connections, which), connections, which)

    return with_database(run)


@hubspot.command()
@click.option("--service-key", is_flag=True, help="With a service key of the portal.")
@click.option("--private-app", is_flag=True, help="With the token of a private app that exists already.")
@click.option("--client-id", help="With OAuth: the client id of your app.")
@click.option("--redirect-uri", default=REDIRECT_URI, show_default=True, help="A redirect URL of that app.")
@account_option
@json_option
def connect(
    service_key: bool,
    private_app: bool,
    client_id: str | None,
    redirect_uri: str,
    account_id: int | None,
    json: bool,
) -> None:
    """Connect an account. Asks for the secret, or reads it from standard input (one line)."""
    if service_key + private_app + (client_id is not None) != 1:
        raise InvalidInput("choose one of --service-key, --private-app and --client-id")
    if client_id is not None:
        app = App(client_id, _secret("client secret"))
        invitation = invite(client_id, redirect_uri)
        click.echo(f"open this address in a browser and grant access:\n\n  {invitation.url}\n", err=True)
        answer = _line("the address that the browser shows afterwards")
        code = code_of(answer, invitation)
        made = _with_setup(account_id, lambda setup, *_: setup.with_code(app, code, redirect_uri))
    else:
        kind = ConnectionKind.SERVICE_KEY if service_key else ConnectionKind.PRIVATE_APP
        token = _secret("service key" if service_key else "access token")
        made = _with_setup(account_id, lambda setup, *_: setup.with_token(kind, token))
    if json:
        print_json(_shown(made))
    else:
        click.echo(f"connected with portal {made.portal_id}; next: trunkline hubspot map, then check")


@hubspot.command()
@account_option
def disconnect(account_id: int | None) -> None:
    """Delete the connection with its secrets. Engagements stay in HubSpot."""
    _with_setup(account_id, lambda _, connections, which: connections.remove(which))
    click.echo("disconnected")


@hubspot.command("set")
@click.argument("name", type=click.Choice([LOG_CALLS, *SETTINGS, "default_owner"]))
@click.argument("value")
@account_option
def set_(name: str, value: str, account_id: int | None) -> None:
    """Switch a setting on or off, or set the default owner (an id, or none)."""
    if name == "default_owner":
        if value != "none" and not value.isdecimal():
            raise InvalidInput("the owner is an id, or none")
        changes: dict[str, bool | str | None] = {"default_owner_id": None if value == "none" else value}
    elif value in ("on", "off"):
        changes = {"is_active" if name == LOG_CALLS else name: value == "on"}
    else:
        raise InvalidInput("the value is on or off")
    _with_setup(account_id, lambda _, connections, which: connections.set(which, **changes))
    click.echo(f"{name}: {value}")


@hubspot.command()
@account_option
@json_option
def check(account_id: int | None, json: bool) -> None:
    """Show what is missing; exit status 1 when anything is."""
    url = load_settings().web.public_url
    checks = _with_setup(account_id, lambda setup, *_: setup.checks(url))
    if json:
        print_json([asdict(one) for one in checks])
    else:
        for one in checks:
            click.echo(
                f"{'yes' if one.is_met else 'no '}  {one.what}" + ("" if one.is_met else f": {one.remedy}")
            )
    if not all(one.is_met for one in checks):
        raise SystemExit(1)


@hubspot.command()
@account_option
@json_option
def status(account_id: int | None, json: bool) -> None:
    """Show the connection, how many calls were sent and wait, and the last errors."""
    state = _with_setup(account_id, lambda setup, *_: setup.state())
    if json:
        print_json(
            {
                **_shown(state.connection),
                "calls": dict(state.counts),
                "errors": [dict(one) for one in state.errors],
            }
        )
        return
    for name, value in _shown(state.connection).items():
        click.echo(f"{name}: {'-' if value is None else value}")
    click.echo(
        f"calls: {', '.join(f'{count} {name}' for name, count in sorted(state.counts.items())) or 'none'}"
    )
    if state.errors:
        columns = {
            "call_session_id": "call",
            "state": "state",
            "attempts": "attempts",
            "due_at": "due",
            "error": "error",
        }
        print_rows(state.errors, columns)


@hubspot.command("map")
@click.option("--accept", is_flag=True, help="Set the proposed owners.")
@click.option("--employee", type=int, help="Set the owner of this employee.")
@click.option("--owner", default="", help="The owner of --employee; without it, none.")
@account_option
@json_option
def map_(accept: bool, employee: int | None, owner: str, account_id: int | None, json: bool) -> None:
    """Show which owner each employee is, with proposals by mail address and name."""

    async def work(setup: Setup, *_: object) -> list[dict[str, object]]:
        if employee is not None:
            await setup.set_owner(employee, owner)
        found = await setup.matches()
        if accept:
            await setup.accept(found)
            found = await setup.matches()
        return [
            {
                "employee_id": one.employee.employee_id,
                "employee": one.employee.full_name,
                "email": one.employee.email,
                "owner_id": one.owner_id,
                "by": one.why,
            }
            for one in found
        ]

    rows = _with_setup(account_id, work)
    if json:
        print_json(rows)
        return
    headings = ("employee", "name", "email", "owner", "by")
    print_table(headings, [list(row.values()) for row in rows], none="no employees")
    if any(row["by"] in ("email", "name") for row in rows):
        click.echo("proposals by email and name are set with --accept")


@hubspot.command()
@click.option("--from", "start", type=DATE, help="The first day; default: a week ago.")
@click.option("--till", "end", type=DATE, help="The last day; default: today.")
@click.option("--fix", is_flag=True, help="Correct what is found; the worker does it.")
@click.option("--wait", type=int, default=120, show_default=True, help="Seconds to wait for that.")
@account_option
@json_option
def repair(
    start: datetime | None, end: datetime | None, fix: bool, wait: int, account_id: int | None, json: bool
) -> None:
    """Compare the calls of some days with HubSpot; exit status 1 while defects are left."""

    async def work(setup: Setup, connections: Connections, which: int) -> tuple[list[Finding], int | None]:
        zone = await setup.time_zone()
        today = datetime.now(zone).replace(hour=0, minute=0, second=0, microsecond=0)
        first = today - timedelta(days=7) if start is None else start.replace(tzinfo=zone)
        last = today if end is None else end.replace(tzinfo=zone)
        repairing = Repair(setup.db, setup.client, connections, which, playable_links(load_settings()))
        found = await repairing.compare(first, last + timedelta(days=1))
        if not fix or not found:
            return found, None
        await repairing.fix(found)
        return found, await repairing.wait(found, wait)

    found, left = _with_setup(account_id, work)
    if json:
        print_json({"defects": [asdict(one) for one in found], "waiting": left})
    else:
        headings = ("call", "defect", "property", "here", "hubspot", "engagement", "others")
        rows = [
            (one.call_session_id, one.defect.value, one.name, one.here, one.there, one.object_id, one.others)
            for one in found
        ]
        print_table(headings, rows, none="no defects")
        if left is None and found:
            click.echo("--fix corrects them")
        elif left:
            waiting = f"{counted(left, 'call')} {'waits' if left == 1 else 'wait'}"
            click.echo(f"{waiting} for the worker; trunkline hubspot status shows errors")
        elif found:
            click.echo("corrected; run it again to see that nothing is left")
    if found and left != 0:
        raise SystemExit(1)


def _shown(connection: Connection) -> dict[str, object]:
    return {
        "portal": connection.portal_id,
        "kind": connection.kind.value,
        LOG_CALLS: connection.is_active,
        **{name: getattr(connection, name) for name in SETTINGS},
        "default_owner": connection.default_owner_id,
        "connected_at": connection.connected_at,
        "problem": connection.problem,
        "paused_until": connection.paused_until,
    }


def _secret(what: str) -> str:
    if sys.stdin.isatty():
        return str(click.prompt(what, hide_input=True, err=True))
    return _read(what)


def _line(what: str) -> str:
    return str(click.prompt(what, err=True)) if sys.stdin.isatty() else _read(what)


def _read(what: str) -> str:
    line = sys.stdin.readline().strip()
    if not line:
        raise InvalidInput(f"standard input has no {what}")
    return line
