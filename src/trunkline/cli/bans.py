"""``trunkline ban``: addresses that are refused because they guessed passwords of SIP lines."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import click

from trunkline.cli.accounts import json_option
from trunkline.cli.database import print_json
from trunkline.cli.settings import load_settings
from trunkline.cli.switch import ask_switch
from trunkline.cli.table import print_table
from trunkline.core.errors import InvalidInput

if TYPE_CHECKING:
    from trunkline.calls.switch.rpc_client import SwitchClient

Bans = list[dict[str, Any]]


@click.group()
def ban() -> None:
    """Bans of SIP logins: list, lift."""


@ban.command("list")
@json_option
def list_bans(json: bool) -> None:
    """List the bans in force, each with its scope: address (at all lines), address_and_line, or line (all addresses)."""
    _show(_ask(lambda client: client.login_bans()), json)


@ban.command()
@click.option("--ip", help="Lift the bans of this address.")
@click.option("--line", help="Lift the bans at this line (its login).")
@click.option("--all", "everything", is_flag=True, help="Lift all bans.")
@json_option
def lift(ip: str | None, line: str | None, everything: bool, json: bool) -> None:
    """Lift bans and reset the counts of failures: of an address, a line, one address at one line, or all."""
    if (ip is None and line is None) is not everything:
        raise InvalidInput("give --ip ADDRESS, --line LOGIN, both, or --all")
    lifted = _ask(lambda client: client.lift_login_bans(ip, line))
    _show(lifted, json)
    if not json:
        click.echo(f"{len(lifted)} lifted")


def _ask(work: Callable[[SwitchClient], Awaitable[Bans]]) -> Bans:
    return ask_switch(load_settings(), work)


def _show(bans: Bans, json: bool) -> None:
    if json:
        print_json(bans)
        return
    shown = [
        (
            one["scope"],
            one["ip"] or "all addresses",
            one["line"] or "all lines",
            one["until"],
            one["failures"],
        )
        for one in bans
    ]
    print_table(("scope", "address", "line", "until", "failures"), shown, none="no ban")
