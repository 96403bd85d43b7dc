"""``trunkline numbers``: the inventory of numbers that accounts may enable."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import click
from pydantic import ValidationError

from trunkline.accounts.administration import Administration
from trunkline.calls.command_names import CHECK
from trunkline.cli.accounts import account_option, chosen, json_option
from trunkline.cli.database import print_json, with_database
from trunkline.cli.settings import load_settings
from trunkline.cli.switch import switch_client
from trunkline.cli.table import counted, print_rows, print_table
from trunkline.core.errors import InvalidInput
from trunkline.core.phone import normalise
from trunkline.db.pool import Database
from trunkline.directory.files.file import read_items
from trunkline.directory.media.spoken import SpokenTexts
from trunkline.directory.numbers import inventory, ownership, verification
from trunkline.directory.numbers.inventory import EVERYBODY, InventoryForm
from trunkline.speech import EspeakSpeech

offered_to_option = click.option(
    "--for",
    "offered_to",
    type=int,
    default=EVERYBODY,
    metavar="ACCOUNT",
    help="Agent account (reseller): only it and its clients may enable the numbers. Default: every account.",
)
trunk_account_option = click.option(
    "--account",
    "account_id",
    type=int,
    help="Account that has the trunk; not needed while there is only one account.",
)


@click.group()
def numbers() -> None:
    """Virtual numbers: the inventory, and which account a number belongs to.

    Numbers of a directory file need none of these commands: `trunkline apply` creates and verifies them.

    Inventory (add, import, list, remove): numbers that you have from carriers and that accounts may enable by
    themselves (Data API: enable.virtual_numbers).

    Verification (claims, assign, call, confirm): numbers that accounts entered by themselves (Data API:
    enable.private_number). Until a number is verified, its account may not use it as a caller id.
    """


@numbers.command()
@click.argument("phones", nargs=-1, required=True, metavar="NUMBER...")
@click.option(
    "--category",
    default="usual",
    show_default=True,
    help="Price class: usual, bronze, silver, gold, platinum.",
)
@click.option("--location", help="ISO 3166 code of the country or region, such as AE or AE-DU.")
@click.option("--onetime", type=Decimal, default=Decimal(0), help="Payment when the number is enabled.")
@click.option("--monthly", type=Decimal, default=Decimal(0), help="Charge of each month.")
@click.option("--minimum", type=Decimal, default=Decimal(0), help="Minimum charge of each month.")
@click.option(
    "--trunk", help="Key of the trunk (in its directory file) by which the calls to the numbers arrive."
)
@trunk_account_option
@offered_to_option
def add(
    phones: tuple[str, ...],
    category: str,
    location: str | None,
    onetime: Decimal,
    monthly: Decimal,
    minimum: Decimal,
    trunk: str | None,
    account_id: int | None,
    offered_to: int,
) -> None:
    """Offer numbers to accounts, or change what is offered.

    Example: trunkline numbers add 442079460150 --location GB --monthly 2.50 --trunk carrier --account 1001
    """
    offer = {
        "category": category,
        "location": location,
        "onetime_payment": onetime,
        "monthly_charge": monthly,
        "min_charge": minimum,
        "trunk": trunk,
    }
    try:
        form = InventoryForm.model_validate({"numbers": dict.fromkeys(phones, offer)})
    except ValidationError as error:
        raise InvalidInput(error.errors(include_url=False, include_input=False)[0]["msg"]) from error
    _offer(form, account_id, offered_to)


@numbers.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@trunk_account_option
@offered_to_option
def import_file(file: Path, account_id: int | None, offered_to: int) -> None:
    """Offer the numbers of a YAML FILE to accounts."""
    _offer(read_items(file, InventoryForm), account_id, offered_to)


@numbers.command("list")
@json_option
def list_numbers(json: bool) -> None:
    """List the offered numbers, and which account uses each."""
    rows = with_database(inventory.inventory)
    if json:
        print_json(rows)
        return
    shown = [
        (
            row["phone_number"],
            row["category"],
            "everybody" if row["offered_to"] == EVERYBODY else f"agent {row['offered_to']}",
            "free" if row["used_by"] is None else f"account {row['used_by']}",
            row["location_name"],
        )
        for row in rows
    ]
    print_table(("number", "category", "offered to", "used by", "location"), shown, none="no number")


@numbers.command()
@click.argument("phone", metavar="NUMBER")
def remove(phone: str) -> None:
    """Stop offering a NUMBER; an account that uses it keeps it."""
    with_database(lambda db: inventory.withdraw_number(db, normalise(phone) or phone))
    click.echo(f"number {phone} is not offered any more")


@numbers.command()
@click.argument("phone", metavar="NUMBER")
@account_option
@click.option("--take", is_flag=True, help="Take the number from the account for which it is verified.")
def assign(phone: str, account_id: int | None, take: bool) -> None:
    """Verify a NUMBER for an account without a call.

    The account gets the calls to the number and may use it as a caller id; no other account may.
    """

    async def work(db: Database) -> int:
        whose = await chosen(Administration(db), account_id)
        await ownership.assign(db, whose, phone, take=take)
        return whose

    click.echo(f"{normalise(phone)} is verified for account {with_database(work)}")


@numbers.command()
@click.argument("phone", metavar="NUMBER")
@account_option
@click.option(
    "--by",
    type=int,
    help="Account whose trunk makes the call; default: the setting numbers.verification_account.",
)
@click.option(
    "--language",
    default="en",
    show_default=True,
    help="Language of the announcement; in other languages than English it has only the digits.",
)
def call(phone: str, account_id: int | None, by: int | None, language: str) -> None:
    """Call a NUMBER and announce a code, for `confirm`.

    The person who answers the number gets the code, and so proves that the account has the number.
    """
    settings = load_settings()
    caller = by if by is not None else settings.numbers.verification_account
    if caller is None:
        raise InvalidInput(
            "give the account that makes the call: --by, or the setting numbers.verification_account"
        )

    async def work(db: Database) -> None:
        whose = await chosen(Administration(db), account_id)
        speaker = SpokenTexts(EspeakSpeech(), settings.media_dir)
        async with switch_client(settings) as switch:
            how = verification.Caller(caller, switch.command, speaker.file_of, CHECK)
            await verification.start(db, whose, phone, language, how)

    with_database(work)
    click.echo("the number is being called; then: trunkline numbers confirm NUMBER CODE")


@numbers.command()
@click.argument("phone", metavar="NUMBER")
@click.argument("code")
@account_option
def confirm(phone: str, code: str, account_id: int | None) -> None:
    """Verify a NUMBER by the CODE that `call` announced."""

    async def work(db: Database) -> None:
        whose = await chosen(Administration(db), account_id)
        await verification.confirm(db, whose, phone, code, datetime.now(UTC))

    with_database(work)
    click.echo(f"number {phone} is verified")


@numbers.command()
@json_option
def claims(json: bool) -> None:
    """List numbers that are not verified for their account.

    The last column is the account for which the same number is verified, if any.
    """
    rows = with_database(ownership.claims)
    if json:
        print_json(rows)
        return
    columns = {"phone_number": "number", "account_id": "account", "owner": "verified for account"}
    print_rows(rows, columns, none="no unverified number")


def _offer(form: InventoryForm, account_id: int | None, offered_to: int) -> None:
    async def work(db: Database) -> int:
        has_trunks = any(offer.trunk is not None for offer in form.numbers.values())
        trunk_account = await chosen(Administration(db), account_id) if has_trunks else None
        return await inventory.offer_numbers(
            db, form.numbers, offered_to=offered_to, trunk_account=trunk_account
        )

    count = with_database(work)
    click.echo(f"{counted(count, 'number')} {'is' if count == 1 else 'are'} offered")
