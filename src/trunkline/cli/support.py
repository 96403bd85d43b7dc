"""``trunkline support``: contact persons of accounts, and tickets."""

from __future__ import annotations

from typing import Any

import click

from trunkline.accounts import support as rooms
from trunkline.accounts.administration import Administration
from trunkline.cli.accounts import account_option, chosen, json_option
from trunkline.cli.database import print_json, with_database
from trunkline.cli.table import print_table
from trunkline.db.pool import Database
from trunkline.db.rows import transaction


@click.group()
def support() -> None:
    """Support tickets and the contact persons of accounts."""


@support.command()
@click.option("--closed", is_flag=True, help="List closed tickets.")
@json_option
def tickets(closed: bool, json: bool) -> None:
    """List the open tickets of all accounts."""
    rows = with_database(lambda db: rooms.tickets(db, closed=closed))
    if json:
        print_json(rows)
        return
    for row in rows:
        click.echo(
            f"{row['ticket_id']:<8}account {row['account_id']} ({row['account_name']}), {row['created_at']:%F %H:%M}"
        )
        click.echo(f"        {row['full_name']}, {row['phone']}, {row['email']}")
        for line in row["text"].splitlines():
            click.echo(f"        {line}")


@support.command()
@click.argument("ticket_id", type=int)
@account_option
def close(ticket_id: int, account_id: int | None) -> None:
    """Close a ticket."""

    async def work(db: Database) -> None:
        await rooms.close_ticket(db, await chosen(Administration(db), account_id), ticket_id)

    with_database(work)
    click.echo(f"ticket {ticket_id} is closed")


@support.command("add-person")
@click.option("--name", required=True)
@click.option("--position", default="")
@click.option("--email", multiple=True)
@click.option("--phone", multiple=True)
@account_option
def add_person(
    name: str, position: str, email: tuple[str, ...], phone: tuple[str, ...], account_id: int | None
) -> None:
    """Add a contact person of an account, with e-mail addresses and telephone numbers."""

    async def work(db: Database) -> int:
        which = await chosen(Administration(db), account_id)
        async with transaction(db) as connection:
            return await rooms.add_contact_person(
                connection, which, name, position_name=position, emails=email, phones=phone
            )

    click.echo(f"person {with_database(work)}")


@support.command()
@account_option
@json_option
def persons(account_id: int | None, json: bool) -> None:
    """List the contact persons of an account."""

    async def work(db: Database) -> list[dict[str, Any]]:
        return await rooms.contact_persons(db, await chosen(Administration(db), account_id))

    rows = with_database(work)
    if json:
        print_json(rows)
        return
    shown = [
        (
            row["contact_id"],
            row["full_name"],
            [way["email"] for way in row["emails"]] + [way["phone"] for way in row["phones"]],
        )
        for row in rows
    ]
    print_table(("id", "name", "addresses"), shown, none="no person")


@support.command("remove-person")
@click.argument("contact_id", type=int)
@account_option
def remove_person(contact_id: int, account_id: int | None) -> None:
    """Remove a contact person of an account; tickets are kept."""

    async def work(db: Database) -> None:
        await rooms.remove_contact_person(db, await chosen(Administration(db), account_id), contact_id)

    with_database(work)
    click.echo(f"contact person {contact_id} is removed")
