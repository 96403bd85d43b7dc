"""``trunkline scenario``: what a call would do."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from trunkline.accounts.administration import Administration
from trunkline.accounts.secrets import Cipher
from trunkline.cli.accounts import account_option, chosen, json_option
from trunkline.cli.database import print_json, with_database
from trunkline.cli.settings import load_settings
from trunkline.core.errors import InvalidInput, NotFound
from trunkline.core.phone import normalise
from trunkline.db.pool import Database
from trunkline.directory.lines.store import registered_lines
from trunkline.directory.live.load import load_account
from trunkline.directory.model import Account
from trunkline.reports.reason_descriptions import REASON_DESCRIPTIONS
from trunkline.routing.dry_run import SENTENCES, Assumptions, QueueEnd, Step, dry_run_of_number
from trunkline.runtime import secrets


@click.group()
def scenario() -> None:
    """Scenarios: what a call would do."""


@scenario.command("dry-run")
@click.argument("caller")
@click.argument("number")
@click.option("--at", metavar="TIME", help="In the account's zone: 2026-03-06T19:05. Default: now.")
@click.option(
    "--key",
    "keys",
    multiple=True,
    help="Pressed at the next prompt, or in a queue with an exit of this key; empty: nothing. Repeat it.",
)
@click.option(
    "--answered",
    type=click.IntRange(0, 100),
    default=0,
    help="The call that is answered; phones that ring together are one. 0: none.",
)
@click.option(
    "--queue", type=click.Choice([one.value for one in QueueEnd]), default="agent", show_default=True
)
@click.option("--code", default="", help="Return code of another system; without it, no usable reply.")
@click.option("--as-now", is_flag=True, help="Lines that are not registered now do not ring.")
@account_option
@json_option
def dry_run(
    caller: str,
    number: str,
    at: str | None,
    keys: tuple[str, ...],
    answered: int,
    queue: str,
    code: str,
    as_now: bool,
    account_id: int | None,
    json: bool,
) -> None:
    """What a call of CALLER to the virtual number NUMBER would do. CALLER may be "anonymous". No call is made."""
    settings = load_settings()
    cipher = Cipher(secrets.ensure(settings).master_key)
    from_number = None if caller == "anonymous" else _number(caller, "CALLER")
    to_number = _number(number, "NUMBER")

    async def work(db: Database) -> tuple[Account, frozenset[int]]:
        which = await chosen(Administration(db), account_id)
        async with db.connection() as connection:
            account = await load_account(connection, cipher, settings.media_dir, which)
        return account, await registered_lines(db, which)

    account, registered = with_database(work)
    virtual = account.number_by_phone(to_number)
    if virtual is None:
        raise NotFound(f"{number} is no virtual number of this account.", field="NUMBER", value=number)
    assumptions = Assumptions(keys, answered, QueueEnd(queue), code, registered if as_now else None)
    steps = dry_run_of_number(account, virtual, from_number, _local(at, account), assumptions)
    if json:
        print_json({"steps": [as_json(account, one) for one in steps]})
        return
    for step in steps:
        click.echo(f"{step.at:%a %H:%M:%S}  {step.operation:20}  {sentence(step)}")


def sentence(step: Step) -> str:
    """A step in English."""
    reason = "" if step.reason is None else REASON_DESCRIPTIONS.get(step.reason.value, step.reason.value)
    return SENTENCES[step.kind] % {**step.values, "reason": reason}


def as_json(account: Account, step: Step) -> dict[str, Any]:
    """A step as data; times of the account's zone."""
    scenario = account.scenarios.get(step.scenario_id)
    return {
        "kind": step.kind.value,
        "at": step.at.isoformat(timespec="seconds"),
        "scenario_id": step.scenario_id or None,
        "scenario_name": scenario.name if scenario is not None else None,
        "operation": step.operation or None,
        "values": dict(step.values),
        "reason": step.reason.value if step.reason is not None else None,
        "text": sentence(step),
    }


def _number(text: str, field: str) -> str:
    digits = normalise(text)
    if digits is None:
        raise InvalidInput(f"{text} is no number; write it in full: +12025550110", field=field, value=text)
    return digits


def _local(at: str | None, account: Account) -> datetime:
    if at is None:
        return datetime.now(account.time_zone).replace(tzinfo=None, microsecond=0)
    try:
        moment = datetime.fromisoformat(at)
    except ValueError as error:
        raise InvalidInput(f"{at}: write it as 2026-03-06T19:05", field="at", value=at) from error
    return moment if moment.tzinfo is None else account.local(moment).replace(tzinfo=None)
