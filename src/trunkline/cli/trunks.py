"""``trunkline trunk``: the state of trunks, and which addresses they may have."""

from __future__ import annotations

import sys
from typing import Any

import click

from trunkline.accounts.administration import Administration
from trunkline.cli.accounts import account_option, chosen, json_option
from trunkline.cli.database import print_json, with_database
from trunkline.cli.settings import load_settings
from trunkline.cli.status_summary import not_identified
from trunkline.cli.switch import ask_switch
from trunkline.cli.table import print_rows, print_table
from trunkline.core.errors import Unavailable
from trunkline.core.hangup_causes import DECLINED
from trunkline.db.pool import Database
from trunkline.directory.model import SYSTEM_ACCOUNT_ID
from trunkline.directory.trunks import allowed as addresses
from trunkline.reports.call_explanation import NETWORK_CAUSES

_COLUMNS = """
select trunk.account_id, trunk.trunk_id, key, name, host, port, transport,
    is_active, is_active and mode = 'register' as registers, last.at as last_call_time, last.result as last_call, last.cause
from trunks trunk left join lateral (
    select leg.finish_time as at, leg.release_cause_code as cause, case
        when ended.data ? 'no_response' then 'no response'
        when ended.data ? 'too_short' then 'too short'
        when ended.data ? 'rang' then 'connected'
        when leg.answer_time is null and leg.release_cause_code = any(%(network_causes)s)
            and (ended.data->>'sip_code') is distinct from %(declined)s then 'not connected'
        else 'connected' end as result
    from call_legs leg left join lateral (
        select event.data from call_events event
        where event.account_id = leg.account_id and event.call_session_id = leg.call_session_id
            and event.type = 'leg_ended' and event.data->>'leg_id' = leg.leg_id::text
        limit 1
    ) ended on true
    where leg.account_id = trunk.account_id and leg.trunk_id = trunk.trunk_id and leg.direction = 'out'
        and leg.finish_time is not null and leg.start_time > now() - interval '1 day'
    order by leg.start_time desc limit 1
) last on true
"""
_TRUNKS = _COLUMNS + "where trunk.account_id = %(account_id)s order by trunk_id"
_EVERY_TRUNK = _COLUMNS + "order by trunk.account_id, trunk_id"

NO_RESPONSE = "no response"
"""Of the last call: the carrier reported neither ringing nor sound nor a refusal."""

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
    click.echo(f"address {address} removed from the list")


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
    """Show the trunks with their state of registration, and what became of the last call out within a day.

    Exit code 3 when one that registers is not registered, or when the carrier did not respond to the last call.
    """

    params: dict[str, Any] = {"network_causes": list(NETWORK_CAUSES), "declined": str(DECLINED)}

    async def work(db: Database) -> list[dict[str, Any]]:
        if every_account:
            return await db.fetch_all(_EVERY_TRUNK, params)
        params["account_id"] = await chosen(Administration(db), account_id)
        return await db.fetch_all(_TRUNKS, params)

    rows = with_database(work)
    status = _status()
    states = {one["trunk_id"]: one for one in status["registrations_at_carriers"]}
    unknown = {one["trunk_id"]: one for one in status.get("requests_not_identified") or ()}
    found = [
        {
            **_with_state(row, states.get(row["trunk_id"])),
            "requests_not_identified": unknown.get(row["trunk_id"]),
        }
        for row in rows
    ]
    if json:
        print_json(found)
    else:
        columns = {
            "account_id": "account", "name": "trunk", "host": "host", "transport": "transport", "state": "state",
            "code": "SIP code", "reason": "reason", "last_call": "last call", "last_call_time": "at (UTC)",
        }  # fmt: skip
        print_rows(found, columns, none="no trunk")
        for row in found:
            if row["requests_not_identified"] is not None:
                click.echo(f"\n{not_identified(row['requests_not_identified'])}")
    if any(
        (row["registers"] and row["state"] != "registered") or row["last_call"] == NO_RESPONSE
        for row in found
    ):
        sys.exit(3)


def _status() -> dict[str, Any]:
    status: dict[str, Any] = ask_switch(load_settings(), lambda client: client.status())
    if status.get("registrations_at_carriers") is None:
        raise Unavailable("Asterisk does not answer at present; `trunkline status` shows its process")
    return status


def _with_state(row: dict[str, Any], state: dict[str, Any] | None) -> dict[str, Any]:
    """The state of a trunk that is switched off is ``inactive``, of one without registration ``no registration``, and of one
    that Asterisk has not loaded ``not loaded``."""
    if state is None or not row["is_active"]:
        name = "inactive" if not row["is_active"] else "not loaded" if row["registers"] else "no registration"
        return {**row, "server": None, "state": name, "code": None, "reason": ""}
    return {**row, **{name: state[name] for name in ("server", "state", "code", "reason")}}


async def _whose(db: Database, account_id: int | None, every_account: bool) -> int:
    return SYSTEM_ACCOUNT_ID if every_account else await chosen(Administration(db), account_id)
