"""``trunkline campaign``: dialing campaigns over phone lists, and the numbers that are not called."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar

import click

from trunkline.accounts.administration import Administration
from trunkline.cli.accounts import account_option, chosen, json_option
from trunkline.cli.database import print_json, with_database
from trunkline.cli.moments import moment_of
from trunkline.cli.table import counted, print_table
from trunkline.core.clock import Instant, to_datetime, to_instant
from trunkline.core.errors import NotFound
from trunkline.core.time_zones import time_zone
from trunkline.db.pool import Database
from trunkline.dialer import campaign_store, lead_store
from trunkline.dialer.campaigns import Action
from trunkline.dialer.settings import DEFAULT_HOURS, CampaignSettings, Mode
from trunkline.phone_lists.lists import read_lists

T = TypeVar("T")

_campaign_argument = click.argument("campaign_id", type=int, metavar="CAMPAIGN")


def _with_account(account_id: int | None, work: Callable[[Database, int], Awaitable[T]]) -> T:
    async def run(db: Database) -> T:
        return await work(db, await chosen(Administration(db), account_id))

    return with_database(run)


@click.group()
def campaign() -> None:
    """Dialing campaigns: create, start, stop, results; numbers that are not called."""


@campaign.command()
@click.option("--name", required=True)
@click.option("--queue", "queue_name", required=True, help="Name of the queue whose agents talk.")
@click.option("--list", "lists", multiple=True, required=True, help="Name of a phone list; may be repeated.")
@click.option(
    "--mode", type=click.Choice([one.value for one in Mode]), default="progressive", show_default=True
)
@click.option("--number", help="Virtual number that leads see; left out: the default number of the account.")
@click.option("--hours", default=DEFAULT_HOURS, show_default=True, help="In the local time of each lead.")
@click.option(
    "--lines", "max_lines", type=int, default=100, show_default=True, help="Calls at the same time."
)
@click.option("--ring-seconds", type=int, default=30, show_default=True)
@click.option(
    "--abandon-limit", type=float, default=3.0, show_default=True, help="Percent of answered calls."
)
@click.option(
    "--attempts", "max_attempts", type=int, default=5, show_default=True, help="Calls to a lead in all."
)
@click.option(
    "--per-day", "max_per_day", type=int, default=2, show_default=True, help="Calls to a number in 24 hours."
)
@click.option(
    "--detect-machines",
    is_flag=True,
    help="End calls that answering machines answer; see the documentation for the errors of it.",
)
@click.option(
    "--abandoned-scenario",
    type=int,
    metavar="ID",
    help="What a person hears for whom no agent is free in time.",
)
@account_option
@json_option
def create(
    name: str,
    queue_name: str,
    lists: tuple[str, ...],
    number: str | None,
    abandoned_scenario: int | None,
    abandon_limit: float,
    account_id: int | None,
    json: bool,
    **given: Any,
) -> None:
    """Create a campaign; it calls nobody before `campaign start`."""
    defaults = CampaignSettings()
    settings = {**given, "abandon_limit": abandon_limit / 100}
    changed = {key: value for key, value in settings.items() if value != getattr(defaults, key)}

    async def work(db: Database, account: int) -> int:
        known = {row["name"]: row["id"] for row in await read_lists(db, account)}
        for one in lists:
            if one not in known:
                raise NotFound(f"There is no phone list {one}.", field="list", value=one)
        return await campaign_store.create_campaign(
            db,
            account,
            name=name,
            queue_id=await campaign_store.queue_by_name(db, account, queue_name),
            phone_list_ids=[known[one] for one in lists],
            settings=changed,
            virtual_phone_number=number,
            abandoned_scenario_id=abandoned_scenario,
        )

    campaign_id = _with_account(account_id, work)
    if json:
        print_json({"campaign_id": campaign_id})
    else:
        click.echo(
            f"campaign {campaign_id} is ready; `trunkline campaign start {campaign_id}` begins calling"
        )


@campaign.command("list")
@account_option
@json_option
def list_campaigns(account_id: int | None, json: bool) -> None:
    """List the campaigns of an account."""
    found = [_shown(one) for one in _with_account(account_id, campaign_store.campaigns)]
    if json:
        print_json(found)
        return
    rows = [(one["campaign_id"], one["name"], one["state"], one["mode"], one["hours"]) for one in found]
    print_table(("campaign", "name", "state", "mode", "hours"), rows, none="no campaign")


def _shown(one: campaign_store.Campaign) -> dict[str, Any]:
    own = one.settings
    return {
        "campaign_id": one.campaign_id, "name": one.name, "state": one.state.value, "mode": own.mode.value,
        "queue_id": one.queue_id, "virtual_phone_number": one.virtual_phone_number,
        "abandoned_scenario_id": one.abandoned_scenario_id, "hours": own.hours, "max_lines": own.max_lines,
        "ring_seconds": own.ring_seconds, "abandon_limit": own.abandon_limit, "max_attempts": own.max_attempts,
        "max_per_day": own.max_per_day, "detect_machines": own.detect_machines,
    }  # fmt: skip


def _change(action: Action, account_id: int | None, campaign_id: int, json: bool) -> None:
    state = _with_account(
        account_id, lambda db, account: campaign_store.change_state(db, account, campaign_id, action)
    )
    if json:
        print_json({"campaign_id": campaign_id, "state": state.value})
    else:
        click.echo(f"campaign {campaign_id} is {state.value}")


@campaign.command()
@_campaign_argument
@account_option
@json_option
def start(campaign_id: int, account_id: int | None, json: bool) -> None:
    """Start or go on calling the leads of a campaign."""
    _change(Action.START, account_id, campaign_id, json)


@campaign.command()
@_campaign_argument
@account_option
@json_option
def stop(campaign_id: int, account_id: int | None, json: bool) -> None:
    """Begin no further call; calls that ring or talk go on."""
    _change(Action.STOP, account_id, campaign_id, json)


@campaign.command()
@_campaign_argument
@account_option
@json_option
def delete(campaign_id: int, account_id: int | None, json: bool) -> None:
    """Delete a campaign that does not run, with its results."""
    _with_account(account_id, lambda db, account: campaign_store.delete_campaign(db, account, campaign_id))
    if json:
        print_json({"campaign_id": campaign_id, "deleted": True})
    else:
        click.echo(f"campaign {campaign_id} is deleted")


@campaign.command()
@_campaign_argument
@account_option
@json_option
def show(campaign_id: int, account_id: int | None, json: bool) -> None:
    """Show the settings and the totals of a campaign."""

    async def work(db: Database, account: int) -> dict[str, Any]:
        one = await campaign_store.campaign(db, account, campaign_id)
        at = await lead_store.next_call(db, one, Instant(time.time()))
        next_call = None if at is None else to_datetime(at).astimezone(time_zone(one.time_zone))
        shown = {**_shown(one), "next_call_at": next_call}
        return {**shown, **await lead_store.results(db, account, campaign_id)}

    found = _with_account(account_id, work)
    if json:
        print_json(found)
        return
    next_call = found.pop("next_call_at")
    if next_call is not None:
        found["state"] += f", no lead may be called now; goes on at {_plain(next_call)}"
    for name, value in found.items():
        click.echo(f"{'calls now' if name == 'calls' else name}: {_plain(value)}")


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(one)}" for name, one in value.items()) or "none"
    return f"{value:.2%}" if isinstance(value, float) else str(value)


@campaign.command()
@_campaign_argument
@account_option
@json_option
def results(campaign_id: int, account_id: int | None, json: bool) -> None:
    """List the leads that were called, and what came of it."""
    rows = _with_account(account_id, lambda db, account: lead_store.lead_results(db, account, campaign_id))
    if json:
        print_json(rows)
        return
    shown = [
        (
            row["phone"],
            row["last_outcome"],
            row["attempts"],
            row["closed"] or "open",
            row["next_at"].isoformat(timespec="seconds") if row["next_at"] else "",
            row["last_call_session_id"] or "",
        )
        for row in rows
    ]
    print_table(
        ("phone", "last outcome", "attempts", "lead", "next call", "last call session"), shown, none="no call"
    )


@campaign.command()
@_campaign_argument
@click.argument("phone")
@click.option(
    "--at", "moment", required=True, help="ISO 8601 with its offset, such as 2026-03-02T15:30+04:00."
)
@account_option
@json_option
def callback(campaign_id: int, phone: str, moment: str, account_id: int | None, json: bool) -> None:
    """Call a person again, who has agreed to a time in the last talk."""
    at = to_instant(moment_of(moment, "at"))
    _with_account(
        account_id, lambda db, account: lead_store.agree_callback(db, account, campaign_id, phone, at)
    )
    if json:
        print_json({"phone": phone, "next_at": to_datetime(at)})
    else:
        click.echo(f"{phone} is called at {to_datetime(at).isoformat(timespec='seconds')}")


@campaign.command()
@click.argument("phones", nargs=-1, required=True)
@click.option("--reason", help="Kept with the numbers.")
@account_option
@json_option
def forbid(phones: tuple[str, ...], reason: str | None, account_id: int | None, json: bool) -> None:
    """Add numbers that no campaign of the account calls from now on."""
    count = _with_account(
        account_id, lambda db, account: campaign_store.forbid_numbers(db, account, phones, reason)
    )
    if json:
        print_json({"added": count})
    else:
        click.echo(f"{counted(count, 'number')} added")


@campaign.command()
@click.argument("phones", nargs=-1, required=True)
@account_option
@json_option
def allow(phones: tuple[str, ...], account_id: int | None, json: bool) -> None:
    """Remove numbers from those that are not called."""
    count = _with_account(account_id, lambda db, account: campaign_store.allow_numbers(db, account, phones))
    if json:
        print_json({"removed": count})
    else:
        click.echo(f"{counted(count, 'number')} removed")


@campaign.command()
@account_option
@json_option
def forbidden(account_id: int | None, json: bool) -> None:
    """List the numbers that are not called."""
    rows = _with_account(account_id, campaign_store.forbidden_numbers)
    if json:
        print_json(rows)
        return
    shown = [
        (row["phone"], row["added_at"].isoformat(timespec="seconds"), row["reason"] or "") for row in rows
    ]
    print_table(("phone", "added", "reason"), shown, none="no number")
