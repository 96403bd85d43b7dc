"""``trunkline site``: websites whose visitors may call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, LiteralString

import click

from trunkline.accounts.administration import Administration
from trunkline.cli.accounts import account_option, chosen, json_option
from trunkline.cli.database import print_json, with_database
from trunkline.cli.settings import load_settings
from trunkline.cli.table import print_rows
from trunkline.core.errors import InvalidInput, NotFound
from trunkline.core.setting_types import origin
from trunkline.db.pool import Database
from trunkline.directory.sites import rules
from trunkline.directory.sites.changes import create_site, update_site
from trunkline.provisioning.server import https_address

_SITES = """
select s.domain_name, s.site_id, s.site_key, s.calls_enabled, p.key as phone_scenario, c.key as callback_scenario,
    h.key as calls_schedule, v.phone_number as calls_number, s.origins, s.calls_abroad, s.calls_at_once,
    s.calls_per_minute, s.calls_per_number, s.calls_per_address
from sites s
left join scenarios p on p.account_id = s.account_id and p.scenario_id = s.phone_scenario_id
left join scenarios c on c.account_id = s.account_id and c.scenario_id = s.callback_scenario_id
left join schedules h on h.account_id = s.account_id and h.schedule_id = s.calls_schedule_id
left join virtual_numbers v on v.account_id = s.account_id and v.virtual_number_id = s.calls_number_id
where s.account_id = %s order by s.domain_name
"""

_CALLS = """
select s.domain_name, c.requested_at, c.kind, c.state, c.phone_number, c.network, c.due_at, c.call_session_id, c.reason,
    c.page_url
from site_calls c join sites s on s.account_id = c.account_id and s.site_id = c.site_id
where c.account_id = %s and (%s::bigint is null or c.site_id = %s) order by c.site_call_id desc limit %s
"""

_IDS: Mapping[str, LiteralString] = {
    "scenario": "select scenario_id as id from scenarios where account_id = %s and key = %s",
    "number": "select virtual_number_id as id from virtual_numbers where account_id = %s and phone_number = %s",
    "schedule": "select schedule_id as id from schedules where account_id = %s and key = %s",
}


@click.group()
def site() -> None:
    """Websites whose visitors may call: with the browser, or to be called back."""


@site.command("list")
@account_option
@json_option
def show(account_id: int | None, json: bool) -> None:
    """List the websites, and whether their pages may ask for calls."""
    rows = with_database(lambda db: _sites(db, account_id))
    if json:
        print_json(rows)
        return
    print_rows(
        rows,
        {
            "domain_name": "domain",
            "site_key": "key",
            "calls_enabled": "calls",
            "phone_scenario": "site phone",
            "callback_scenario": "callback",
            "calls_schedule": "schedule",
            "origins": "origins",
        },
    )


@site.command("set")
@click.argument("domain")
@click.option("--calls/--no-calls", default=None, help="Whether its pages may ask for calls.")
@click.option("--phone", metavar="SCENARIO", help="Scenario of calls from browsers, by its key; '' = none.")
@click.option("--callback", metavar="SCENARIO", help="Scenario whose employees call back; '' = none.")
@click.option("--number", help="Virtual number that callbacks show; '' = the account's default.")
@click.option("--schedule", help="When calls are possible, by its key; '' = always.")
@click.option(
    "--origin", "origins", multiple=True, help="Origin of its pages; may be repeated. '' = the domain."
)
@click.option(
    "--abroad/--no-abroad", default=None, help="Whether numbers of other countries are called back."
)
@click.option("--at-once", type=click.IntRange(1, rules.MAX_CALLS_AT_ONCE), help="Live calls at most.")
@click.option("--per-minute", type=click.IntRange(1, rules.MAX_CALLS_PER_MINUTE), help="Calls in a minute.")
@click.option(
    "--per-number", type=click.IntRange(1, rules.MAX_CALLS_PER_NUMBER), help="To a number in 24 hours."
)
@click.option(
    "--per-address", type=click.IntRange(1, rules.MAX_CALLS_PER_ADDRESS), help="Of an address in an hour."
)
@click.option("--industry", type=click.IntRange(1, rules.MAX_INDUSTRY), default=2, help="Of a new website.")
@account_option
def change(
    domain: str,
    calls: bool | None,
    phone: str | None,
    callback: str | None,
    number: str | None,
    schedule: str | None,
    origins: tuple[str, ...],
    abroad: bool | None,
    at_once: int | None,
    per_minute: int | None,
    per_number: int | None,
    per_address: int | None,
    industry: int,
    account_id: int | None,
) -> None:
    """Change what pages of the website DOMAIN may ask for; a new website is added. What is left out stays."""
    name = rules.domain(domain)
    if name is None:
        raise InvalidInput(f"{domain!r} is not a domain; write for example shop.example.com")
    try:
        checked = [origin(one) for one in origins if one]
    except ValueError as error:
        raise InvalidInput(str(error)) from error
    plain: dict[str, Any] = {
        "calls_enabled": calls,
        "origins": checked if origins else None,
        "calls_abroad": abroad,
        "calls_at_once": at_once,
        "calls_per_minute": per_minute,
        "calls_per_number": per_number,
        "calls_per_address": per_address,
    }
    references = (
        ("phone_scenario_id", "scenario", phone),
        ("callback_scenario_id", "scenario", callback),
        ("calls_number_id", "number", number),
        ("calls_schedule_id", "schedule", schedule),
    )

    async def work(db: Database) -> bool:
        """Whether it was there."""
        account = await chosen(Administration(db), account_id)
        values = {column: value for column, value in plain.items() if value is not None}
        for column, kind, key in references:
            if key is not None:
                values[column] = await _id(db, account, kind, key) if key else None
        found = await _site(db, account, name)
        site_id = found["site_id"] if found is not None else None
        if site_id is None:
            made = await create_site(db, account, {"domain_name": name, "industry_id": industry})
            site_id = made.site_id
        await update_site(db, account, site_id, values)
        return found is not None

    done = "changed" if with_database(work) else "added"
    click.echo(f"{name} is {done}; `trunkline site snippet {name}` prints what its pages need")


@site.command()
@click.argument("domain")
@account_option
def snippet(domain: str, account_id: int | None) -> None:
    """Print what pages of the website DOMAIN must have."""
    base = https_address(load_settings())

    async def work(db: Database) -> str:
        return str((await _known(db, account_id, domain))["site_key"])

    key = with_database(work)
    click.echo(f'<script async src="{base}/site/loader.js" data-site="{key}"></script>')


@site.command()
@click.argument("domain", required=False)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@account_option
@json_option
def calls(domain: str | None, limit: int, account_id: int | None, json: bool) -> None:
    """List the last calls that visitors of the website DOMAIN, or of all, asked for, and why some were not made.

    Times are UTC.
    """

    async def work(db: Database) -> list[Any]:
        account = await chosen(Administration(db), account_id)
        site_id = None if domain is None else (await _known(db, account, domain))["site_id"]
        return await db.fetch_all(_CALLS, (account, site_id, site_id, limit))

    rows = with_database(work)
    if json:
        print_json(rows)
        return
    print_rows(
        rows,
        {
            "domain_name": "website",
            "requested_at": "asked at",
            "kind": "kind",
            "state": "state",
            "phone_number": "number",
            "network": "address",
            "due_at": "due at",
            "call_session_id": "call",
            "reason": "reason",
        },
    )


async def _sites(db: Database, account_id: int | None) -> list[Any]:
    return await db.fetch_all(_SITES, (await chosen(Administration(db), account_id),))


async def _site(db: Database, account_id: int, domain: str) -> Any:
    return await db.fetch_one(
        "select account_id, site_id, site_key from sites where account_id = %s and domain_name = %s",
        (account_id, domain),
    )


async def _known(db: Database, account_id: int | None, domain: str) -> Any:
    found = await _site(db, await chosen(Administration(db), account_id), rules.domain(domain) or domain)
    if found is None:
        raise NotFound(f"There is no website {domain}: `trunkline site list` shows them.")
    return found


async def _id(db: Database, account_id: int, kind: str, key: str) -> int:
    found = await db.fetch_one(_IDS[kind], (account_id, key.removeprefix("+")))
    if found is None:
        raise NotFound(f"There is no {kind} {key}: `trunkline export` writes the keys of all.")
    return int(found["id"])
