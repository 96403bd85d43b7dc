"""``trunkline notification``: subscriptions, tries of them, and the delivery log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from trunkline.accounts.administration import Administration
from trunkline.accounts.secrets import Cipher
from trunkline.cli.accounts import account_option, chosen, json_option
from trunkline.cli.database import print_json, with_database
from trunkline.cli.moments import moment_of
from trunkline.cli.settings import load_settings
from trunkline.cli.table import print_table
from trunkline.core.errors import InvalidInput
from trunkline.db.pool import Database
from trunkline.notifications import conditions
from trunkline.notifications.callbacks import callback_secret
from trunkline.notifications.catalogue import Mnemonic
from trunkline.notifications.deliveries import replay, replay_many
from trunkline.notifications.presets import PRESETS, drafts
from trunkline.notifications.subscriptions import METHODS, Draft, Subscription, Subscriptions, new_secret
from trunkline.notifications.variables import VARIABLES
from trunkline.runtime import secrets

T = TypeVar("T")

_STATUSES = ("pending", "delivered", "failed")


def _work(account_id: int | None, task: Callable[[Database, Subscriptions, int], Awaitable[T]]) -> T:
    """Run a task with the subscriptions of the chosen account."""
    cipher = Cipher(secrets.load(load_settings()).master_key)

    async def run(db: Database) -> T:
        which = await chosen(Administration(db), account_id)
        return await task(db, Subscriptions(db, cipher), which)

    return with_database(run)


@click.group()
def notification() -> None:
    """Webhook subscriptions: change, test, show the log, send again."""


@notification.command("list")
@account_option
@json_option
def list_(account_id: int | None, json: bool) -> None:
    """List the account's subscriptions."""

    async def task(_db: Database, subscriptions: Subscriptions, which: int) -> list[Subscription]:
        return await subscriptions.all(which)

    found = _work(account_id, task)
    if json:
        print_json([asdict(one) for one in found])
        return
    for one in found:
        state = "" if one.is_active else _off(one.switched_off_reason)
        state += _suspended(one.suspended_until)
        click.echo(f"{one.subscription_id}  {one.key}: {one.name}{state}\n    {one.method} {one.url}")
        click.echo(f"    {', '.join(one.events)}")
        if one.conditions:
            click.echo(f"    only calls with {_conditions(one.conditions)}")
    if not found:
        click.echo("no subscription yet; make one with `trunkline notification add`")


@notification.command()
@click.option("--url", required=True, help="May contain {{name}} in path and query.")
@click.option(
    "--event", "events", multiple=True, required=True, type=click.Choice([m.value for m in Mnemonic])
)
@click.option(
    "--key",
    help="Identifies the subscription; an existing one is replaced. Default: the URL's host and path.",
)
@click.option("--name", help="The value of notification_name. Default: the key.")
@click.option("--method", type=click.Choice(METHODS), default="POST", show_default=True)
@click.option(
    "--template",
    "template",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the body's template; default: all variables as a JSON object.",
)
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE")
@click.option("--secret", help="Signs deliveries; at least 16 characters.")
@click.option("--direction", type=click.Choice(["in", "out"]), help="Only calls that came in, or went out.")
@click.option(
    "--number", "numbers", multiple=True, help="Only calls of this number of the account; may be repeated."
)
@click.option("--contact", "contacts", multiple=True, help="Only calls with this number; may be repeated.")
@click.option(
    "--employee", "employees", multiple=True, type=int, metavar="ID", help="Only calls with this employee."
)
@click.option("--tag", "tags", multiple=True, type=int, metavar="ID", help="Only calls with this tag.")
@click.option(
    "--queue", "queues", multiple=True, type=int, metavar="ID", help="Only calls that were in this queue."
)
@click.option("--min-talk", type=int, metavar="SECONDS", help="Only talks of this length and longer ones.")
@click.option("--max-talk", type=int, metavar="SECONDS", help="Only talks of this length and shorter ones.")
@account_option
@json_option
def add(
    url: str,
    events: tuple[str, ...],
    key: str | None,
    name: str | None,
    method: str,
    template: Path | None,
    headers: tuple[str, ...],
    secret: str | None,
    direction: str | None,
    numbers: tuple[str, ...],
    contacts: tuple[str, ...],
    employees: tuple[int, ...],
    tags: tuple[int, ...],
    queues: tuple[int, ...],
    min_talk: int | None,
    max_talk: int | None,
    account_id: int | None,
    json: bool,
) -> None:
    """Create a subscription, or replace the one with the same key."""
    handle = key or url.partition("://")[2].partition("?")[0][:200]
    draft = Draft(
        key=handle,
        name=name or handle,
        url=url,
        events=events,
        method=method,
        body_template=None if template is None else template.read_text(encoding="utf-8"),
        headers=dict(_header(text) for text in headers),
        secret=secret,
        conditions=conditions.parse(
            {
                "direction": direction,
                "virtual_phone_numbers": numbers,
                "contact_phone_numbers": contacts,
                "employee_ids": employees,
                "tag_ids": tags,
                "queue_ids": queues,
                "talk_seconds_min": min_talk,
                "talk_seconds_max": max_talk,
            }
        ),
    )

    async def task(_db: Database, subscriptions: Subscriptions, which: int) -> tuple[int, bool]:
        is_there = any(one.key == handle for one in await subscriptions.all(which))
        return await subscriptions.save(which, draft), is_there

    made, is_replaced = _work(account_id, task)
    if json:
        print_json({"subscription_id": made, "key": handle, "is_replaced": is_replaced})
        return
    click.echo(f"subscription {made} ({handle}); try it with `trunkline notification test {made}`")
    if is_replaced:
        click.echo(
            "it replaced the subscription with this key; --key with another one makes a further subscription"
        )


@notification.command()
@click.argument("name", type=click.Choice(list(PRESETS)))
@click.option("--url", required=True)
@click.option("--secret", help="Signs deliveries; at least 16 characters.")
@account_option
@json_option
def preset(name: str, url: str, secret: str | None, account_id: int | None, json: bool) -> None:
    """Create the subscriptions that a kind of receiver expects; a second run replaces them."""

    async def task(_db: Database, subscriptions: Subscriptions, which: int) -> dict[str, int]:
        return {draft.key: await subscriptions.save(which, draft) for draft in drafts(name, url, secret)}

    made = _work(account_id, task)
    if json:
        print_json(made)
        return
    for key, subscription_id in made.items():
        click.echo(f"subscription {subscription_id} ({key})")


@notification.command()
@click.argument("subscription_id", type=int)
@account_option
def remove(subscription_id: int, account_id: int | None) -> None:
    """Remove a subscription with its deliveries."""

    async def task(_db: Database, subscriptions: Subscriptions, which: int) -> None:
        await subscriptions.remove(which, subscription_id)

    _work(account_id, task)
    click.echo(f"subscription {subscription_id} is deleted")


@notification.command()
@click.argument("subscription_id", type=int)
@account_option
def on(subscription_id: int, account_id: int | None) -> None:
    """Switch a subscription on; what waits for it is sent at once."""

    async def task(_db: Database, subscriptions: Subscriptions, which: int) -> None:
        await subscriptions.switch(which, subscription_id, on=True)

    _work(account_id, task)
    click.echo(f"subscription {subscription_id} is on")


@notification.command()
@click.argument("subscription_id", type=int)
@account_option
def off(subscription_id: int, account_id: int | None) -> None:
    """Switch a subscription off; its deliveries wait."""

    async def task(_db: Database, subscriptions: Subscriptions, which: int) -> None:
        await subscriptions.switch(which, subscription_id, on=False)

    _work(account_id, task)
    click.echo(f"subscription {subscription_id} is off")


@notification.command()
@click.argument("subscription_id", type=int)
@click.option("--secret", help="The new one; at least 16 characters. Default: a random one.")
@click.option(
    "--hours", type=click.IntRange(0, 720), default=24, show_default=True, help="The former one signs, too."
)
@account_option
@json_option
def rotate(subscription_id: int, secret: str | None, hours: int, account_id: int | None, json: bool) -> None:
    """Replace the secret that signs deliveries, and print the new one."""
    made = secret or new_secret()

    async def task(_db: Database, subscriptions: Subscriptions, which: int) -> None:
        await subscriptions.rotate(which, subscription_id, made, hours * 3600.0)

    _work(account_id, task)
    if json:
        print_json({"subscription_id": subscription_id, "secret": made})
    else:
        click.echo(made)


@notification.command()
@click.argument("subscription_id", type=int)
@click.option("--event", type=click.Choice([m.value for m in Mnemonic]), help="Default: the first chosen.")
@click.option("--preview", is_flag=True, help="Print the request, and send nothing.")
@account_option
@json_option
def test(subscription_id: int, event: str | None, preview: bool, account_id: int | None, json: bool) -> None:
    """Send a sample as a delivery; the worker must be running."""
    if preview:
        _preview(subscription_id, event, account_id, json)
        return

    async def task(_db: Database, subscriptions: Subscriptions, which: int) -> int:
        return await subscriptions.send_sample(which, subscription_id, event)

    delivery_id = _work(account_id, task)
    if json:
        print_json({"delivery_id": delivery_id})
    else:
        click.echo(f"delivery {delivery_id} is queued; see `trunkline notification log`")


def _preview(subscription_id: int, event: str | None, account_id: int | None, json: bool) -> None:
    async def task(_db: Database, subscriptions: Subscriptions, which: int) -> dict[str, str]:
        return await subscriptions.preview(which, subscription_id, event)

    found = _work(account_id, task)
    if json:
        print_json(found)
        return
    click.echo(f"{found['method']} {found['url']}")
    if found["body"]:
        click.echo(f"Content-Type: {found['content_type']}\n\n{found['body']}")


@notification.command()
@click.option("--subscription", "subscription_id", type=int)
@click.option("--status", type=click.Choice(_STATUSES))
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@account_option
@json_option
def log(
    subscription_id: int | None, status: str | None, limit: int, account_id: int | None, json: bool
) -> None:
    """List deliveries, newest first, each with its last attempt."""

    async def task(_db: Database, subscriptions: Subscriptions, which: int) -> list[dict[str, Any]]:
        return await subscriptions.log(which, subscription_id=subscription_id, status=status, limit=limit)

    found = _work(account_id, task)
    if json:
        print_json(found)
        return
    filtered = subscription_id is not None or status is not None
    print_table(
        (
            "id",
            "time",
            "event",
            "stream",
            "status",
            "attempts",
            "response",
            "next attempt",
            "subscription",
            "url",
        ),
        [_cells(one) for one in found],
        none="no such delivery" if filtered else "nothing has been delivered yet",
    )


@notification.command("replay")
@click.argument("delivery_id", type=int, required=False)
@click.option("--subscription", "subscription_id", type=int, help="All deliveries of this subscription.")
@click.option("--event", type=click.Choice([m.value for m in Mnemonic]), help="Of this event.")
@click.option("--status", type=click.Choice(_STATUSES[1:]), help="Default: both.")
@click.option(
    "--since", metavar="TIME", help="Of events from then on: ISO 8601, such as 2026-03-02T15:30+04:00."
)
@click.option("--until", metavar="TIME", help="Of events before then.")
@account_option
def replay_(
    delivery_id: int | None,
    subscription_id: int | None,
    event: str | None,
    status: str | None,
    since: str | None,
    until: str | None,
    account_id: int | None,
) -> None:
    """Send a delivery once more, or all that the options choose, with the subscription's present address and template.

    Deliveries that are still waiting stay as they are.
    """
    chosen_by = (subscription_id, event, status, since, until)
    if (delivery_id is None) == all(one is None for one in chosen_by):
        raise InvalidInput("name a delivery, or choose several by options", field="delivery_id")

    async def one(db: Database, _subscriptions: Subscriptions, which: int) -> None:
        await replay(db, which, int(delivery_id or 0))

    async def several(db: Database, _subscriptions: Subscriptions, which: int) -> int:
        return await replay_many(
            db,
            which,
            subscription_id=subscription_id,
            mnemonic=event,
            status=status,
            since=None if since is None else moment_of(since, "since"),
            until=None if until is None else moment_of(until, "until"),
        )

    if delivery_id is not None:
        _work(account_id, one)
        click.echo(f"delivery {delivery_id} is queued again")
    else:
        click.echo(f"{_work(account_id, several)} deliveries are queued again")


@notification.command("callback-secret")
@account_option
@json_option
def callback_secret_(account_id: int | None, json: bool) -> None:
    """Print the secret that signs the account's callbacks of uploaded calls."""
    cipher = Cipher(secrets.load(load_settings()).master_key)

    async def task(_db: Database, _subscriptions: Subscriptions, which: int) -> str:
        return callback_secret(cipher, which)

    secret = _work(account_id, task)
    if json:
        print_json({"secret": secret})
    else:
        click.echo(secret)


@notification.command()
@json_option
def variables(json: bool) -> None:
    """List the variables of templates."""
    if json:
        print_json([asdict(variable) for variable in VARIABLES.values()])
        return
    shown = [(variable.name, variable.kind.value, variable.group.value) for variable in VARIABLES.values()]
    print_table(("variable", "kind", "group"), shown)


def _conditions(found: dict[str, Any]) -> str:
    """Such as ``direction in, tag_ids 3 or 4``."""

    def values(value: Any) -> str:
        return " or ".join(map(str, value)) if isinstance(value, tuple) else str(value)

    return ", ".join(f"{name} {values(value)}" for name, value in conditions.parse(found).as_json().items())


def _off(reason: str | None) -> str:
    why = {"gone": ": the receiver answered 410", "failing": ": the receiver has failed for 5 days"}
    return f"  (off{why.get(reason or '', '')})"


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise InvalidInput("write a header as NAME:VALUE", field="headers", value=text)
    return name.strip(), value.strip()


def _cells(entry: dict[str, Any]) -> tuple[Any, ...]:
    moment: datetime = entry["created_at"]
    answer = entry["error"] or (f"HTTP {entry['status_code']}" if entry["status_code"] else "not tried yet")
    key = f" ({entry['subscription_key']})" if entry["subscription_key"] else ""
    return (
        entry["delivery_id"], moment, entry["mnemonic"], entry["stream"], entry["status"], entry["attempts"], answer,
        _next_attempt(entry), f"{entry['subscription_id']}{key}", entry["url"],
    )  # fmt: skip


def _next_attempt(entry: dict[str, Any]) -> str:
    if entry["suspended_until"] is not None:
        return _suspended(entry["suspended_until"]).strip()
    due: datetime | None = entry["next_attempt_at"]
    return "" if entry["status"] != "pending" or due is None else f"{due:%Y-%m-%d %H:%M:%S}"


def _suspended(until: datetime | None) -> str:
    return "" if until is None else f"  suspended until {until:%Y-%m-%d %H:%M:%S}"
