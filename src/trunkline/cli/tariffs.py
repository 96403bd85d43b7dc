"""``trunkline tariff``: plans and their prices, who has which, and what a month cost."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from trunkline.accounts.administration import Administration
from trunkline.billing import tariffs
from trunkline.billing.rates import plain
from trunkline.billing.statement import Statement, statement
from trunkline.billing.tariff_file import read_tariffs
from trunkline.billing.tariffs import EVERYBODY
from trunkline.cli.accounts import account_option, chosen, json_option
from trunkline.cli.confirmation import is_confirmed
from trunkline.cli.database import print_json, with_database
from trunkline.cli.table import counted, print_table
from trunkline.core.errors import InvalidInput
from trunkline.db.pool import Database


@click.group()
def tariff() -> None:
    """Plans and prices, their accounts, monthly statements."""


@tariff.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--for", "owner", type=int, default=EVERYBODY, metavar="AGENT", help="Plans of this agent's clients."
)
@click.option("--dry-run", is_flag=True, help="Only show the difference.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
def apply(file: Path, owner: int, dry_run: bool, yes: bool, json: bool) -> None:
    """Apply the plans and prices of FILE in one transaction; the difference is shown first."""
    form = read_tariffs(file)

    async def work(db: Database) -> tuple[list[str], bool]:
        lines = await tariffs.pending_changes(db, form, owner)
        if not json:
            click.echo("\n".join(lines) or "no changes")
        if not lines or dry_run or not (yes or is_confirmed(json)):
            return lines, False
        return await tariffs.apply_tariffs(db, form, owner), True

    changes, applied = with_database(work)
    if json:
        print_json({"changes": changes, "applied": applied})
    elif changes:
        click.echo(f"applied {counted(len(changes), 'change')}" if applied else "nothing was written")


@tariff.command("list")
@json_option
def list_plans(json: bool) -> None:
    """List all plans, their price lists, and the number of accounts of each."""
    rows = with_database(tariffs.list_plans)
    if json:
        print_json(rows)
        return
    shown = [
        (
            row["key"],
            row["name"],
            "everybody" if row["offered_to"] == EVERYBODY else f"agent {row['offered_to']}",
            row["accounts"],
            row["prices"],
        )
        for row in rows
    ]
    print_table(("plan", "name", "offered to", "accounts", "prices"), shown, none="no plan")


@tariff.command()
@click.argument("plan", required=False)
@account_option
def assign(plan: str | None, account_id: int | None) -> None:
    """Assign the PLAN with this key to an account; without PLAN, remove its plan."""

    async def work(db: Database) -> int:
        which = await chosen(Administration(db), account_id)
        await tariffs.assign_plan(db, which, plan)
        return which

    which = with_database(work)
    click.echo(f"account {which} has the plan {plan}" if plan else f"account {which} has no plan")


@tariff.command("statement")
@click.option("--month", metavar="YYYY-MM", help="Default: the present one.")
@account_option
@json_option
def show_statement(month: str | None, account_id: int | None, json: bool) -> None:
    """Print an account's charges of a month: fees and calls."""

    async def work(db: Database) -> Statement:
        administration = Administration(db)
        which = await chosen(administration, account_id)
        zone = ZoneInfo((await administration.account(which))["time_zone"])
        return await statement(db, which, _month(month, zone))

    report = with_database(work)
    if json:
        print_json(_as_json(report))
        return
    click.echo(f"account {report.account_id}, {report.month:%Y-%m}, plan {report.plan or 'none'}")
    for fee in report.fees:
        click.echo(f"  {fee['kind']:<20}{fee['item']:<20}{plain(fee['amount']):>14} {fee['currency']}")
    for row in report.calls:
        kind = f"{row['direction']} {row['direction_type'] or 'unknown'}"
        length = f"{row['legs']} legs, {row['chargeable_duration']} s"
        click.echo(f"  {kind:<20}{length:<20}{plain(row['amount']):>14} {row['currency']}")
    click.echo(f"  {'total':<40}{plain(report.total):>14} {report.currency}")


def _month(text: str | None, zone: ZoneInfo) -> Any:
    if text is None:
        return datetime.now(UTC).astimezone(zone).date()
    try:
        return datetime.strptime(text, "%Y-%m").date()  # noqa: DTZ007 - a month has no zone
    except ValueError:
        raise InvalidInput("write the month as 2026-12") from None


def _as_json(report: Statement) -> dict[str, Any]:
    """Amounts as text, to keep them exact."""
    return {
        "account_id": report.account_id,
        "month": f"{report.month:%Y-%m}",
        "plan": report.plan,
        "currency": report.currency,
        "fees": [{**row, "amount": plain(row["amount"])} for row in report.fees],
        "calls": [{**row, "amount": plain(row["amount"])} for row in report.calls],
        "fees_total": plain(report.fees_total),
        "calls_total": plain(report.calls_total),
        "total": plain(report.total),
    }
