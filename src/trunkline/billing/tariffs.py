"""Applies tariff files: what would change, and the change itself. Also which plan an account has.

A price list of a plan is known by its currency and its first day. Applying a file makes those it names exactly as it
says and leaves all others; a second time it changes nothing. Charges of past calls are not changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from trunkline.accounts import customers
from trunkline.billing.rates import Rate, plain, rate_of
from trunkline.billing.tariff_file import ANY, PlanForm, PricesForm, TariffForm
from trunkline.core.errors import InvalidInput, NotFound
from trunkline.db.pool import Connection, Database, Row
from trunkline.db.rows import transaction

EVERYBODY = 0
"""Account of plans that all agents and accounts may have."""

_PLANS = "select key, name, tariff_plan_id from tariff_plans where account_id = %s and key = any(%s)"

_PRICES = """
select p.key, t.* from tariff_prices t join tariff_plans p using (account_id, tariff_plan_id)
where t.account_id = %s and p.key = any(%s)
"""

_RATES = """
select p.key, t.currency, t.valid_from, r.* from tariff_rates r
join tariff_prices t using (account_id, tariff_price_id) join tariff_plans p using (account_id, tariff_plan_id)
where t.account_id = %s and p.key = any(%s)
"""

_PUT_PLAN = """
insert into tariff_plans (account_id, key, name) values (%s, %s, %s)
on conflict (account_id, key) do update set name = excluded.name returning tariff_plan_id
"""

_PUT_PRICES = """
insert into tariff_prices as t (account_id, tariff_plan_id, currency, valid_from, account_fee, number_fee, line_fee)
values (%s, %s, %s, %s, %s, %s, %s)
on conflict (tariff_plan_id, currency, valid_from) do update set account_fee = excluded.account_fee,
    number_fee = excluded.number_fee, line_fee = excluded.line_fee, revision = t.revision + 1
returning tariff_price_id
"""

_PUT_RATES = """
insert into tariff_rates (account_id, tariff_price_id, direction, prefix, cost_per_minute, connection_fee, first_step,
    step, free_seconds, direction_type)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

Facts = Mapping[str, str]
"""The values of a plan, each under a readable name."""


async def pending_changes(database: Database, form: TariffForm, owner: int = EVERYBODY) -> list[str]:
    """What :func:`apply_tariffs` would change, a line each; empty: nothing.

    :param owner: the agent whose plans the file has.
    :raises NotFound: no such agent.
    """
    async with database.connection() as connection:
        await _check_owner(connection, owner)
        return _difference(await _present(connection, form, owner), _wanted(form))


async def apply_tariffs(database: Database, form: TariffForm, owner: int = EVERYBODY) -> list[str]:
    """Make plans and price lists as the file says, all or nothing; what was changed. Arguments and errors as
    :func:`pending_changes`."""
    async with transaction(database) as connection:
        await _check_owner(connection, owner)
        await connection.execute("lock table tariff_plans in share row exclusive mode")
        present, wanted = await _present(connection, form, owner), _wanted(form)
        for key, plan in form.plans.items():
            await _put_plan(connection, owner, key, plan, present, wanted)
    return _difference(present, wanted)


async def list_plans(database: Database) -> list[Row]:
    """All plans: ``tariff_plan_id``, ``key``, ``name``, ``offered_to`` (0: everybody), ``prices`` (their currencies
    and first days), ``accounts`` (how many have it)."""
    return await database.fetch_all(
        "select p.tariff_plan_id, p.key, p.name, p.account_id as offered_to,"
        " (select coalesce(array_agg(t.currency || ' from ' || t.valid_from order by t.currency, t.valid_from), '{}')"
        " from tariff_prices t where t.account_id = p.account_id and t.tariff_plan_id = p.tariff_plan_id) as prices,"
        " (select count(*) from accounts a where p.tariff_plan_id = (select h.tariff_plan_id"
        " from account_tariff_plans h where h.account_id = a.account_id order by h.since desc limit 1)) as accounts"
        " from tariff_plans p order by p.account_id, p.key"
    )


async def assign_plan(database: Database, account_id: int, key: str | None) -> None:
    """Give an account a plan from now on, or (None) none.

    :param key: of a plan of everybody, or of the account's agent.
    :raises NotFound: no such account, or plan.
    :raises InvalidInput: a client of an agent always has a plan.
    """
    row = await database.fetch_one(
        "select a.parent_account_id as agent_id, p.tariff_plan_id from accounts a left join tariff_plans p"
        " on p.key = %s and p.account_id in (0, a.parent_account_id)"
        " where a.account_id = %s order by p.account_id desc limit 1",
        (key, account_id),
    )
    if row is None:
        raise NotFound(f"there is no account {account_id}; see `trunkline account list`", value=account_id)
    if key is not None and row["tariff_plan_id"] is None:
        raise NotFound(f"this account can have no plan {key}; see `trunkline tariff list`", value=key)
    if row["agent_id"] is None:
        await database.execute(
            "insert into account_tariff_plans (account_id, since, tariff_plan_id) values (%s, now(), %s)",
            (account_id, row["tariff_plan_id"]),
        )
    elif key is None:
        raise InvalidInput("a client of an agent has a plan: name another one")
    else:
        await customers.set_tariff_plan(database, row["agent_id"], account_id, row["tariff_plan_id"])


async def _check_owner(connection: Connection, owner: int) -> None:
    if owner == EVERYBODY:
        return
    found = await connection.execute("select from accounts where account_id = %s and is_agent", (owner,))
    if await found.fetchone() is None:
        raise NotFound(f"there is no agent account {owner}; see `trunkline account list`", value=owner)


async def _put_plan(
    connection: Connection, owner: int, key: str, plan: PlanForm, present: Facts, wanted: Facts
) -> None:
    made = await (await connection.execute(_PUT_PLAN, (owner, key, plan.name or key))).fetchone()
    assert made is not None
    for prices in plan.prices:
        start = _list_name(key, prices.currency, prices.valid_from)
        if _under(present, start) != _under(wanted, start):
            await _put_prices(connection, owner, made["tariff_plan_id"], prices)


async def _put_prices(connection: Connection, owner: int, plan_id: int, prices: PricesForm) -> None:
    monthly = prices.monthly
    made = await (
        await connection.execute(
            _PUT_PRICES,
            (
                owner,
                plan_id,
                prices.currency,
                prices.valid_from,
                monthly.account,
                monthly.number,
                monthly.line,
            ),
        )
    ).fetchone()
    assert made is not None
    price_id = made["tariff_price_id"]
    await connection.execute(
        "delete from tariff_rates where account_id = %s and tariff_price_id = %s", (owner, price_id)
    )
    rows = [
        (owner, price_id, direction.value, prefix, *_columns(rate))
        for direction, prefix, rate in prices.rates()
    ]
    async with connection.cursor() as cursor:
        await cursor.executemany(_PUT_RATES, rows)


def _columns(rate: Rate) -> tuple[Any, ...]:
    return (
        rate.cost_per_minute,
        rate.connection_fee,
        rate.first_step,
        rate.step,
        rate.free_seconds,
        rate.direction_type,
    )


# --- plans as facts, which can be compared


def _wanted(form: TariffForm) -> dict[str, str]:
    facts: dict[str, str] = {}
    for key, plan in form.plans.items():
        facts[f"{key} name"] = plan.name or key
        for prices in plan.prices:
            start = _list_name(key, prices.currency, prices.valid_from)
            monthly = prices.monthly
            facts[f"{start} monthly"] = _fees(monthly.account, monthly.number, monthly.line)
            for direction, prefix, rate in prices.rates():
                facts[f"{start} {direction} {prefix or ANY}"] = _rate_text(rate)
    return facts


async def _present(connection: Connection, form: TariffForm, owner: int) -> dict[str, str]:
    """Facts of what the file names, as they are."""
    params = (owner, list(form.plans))
    facts: dict[str, str] = {}
    for row in await _all(connection, _PLANS, params):
        facts[f"{row['key']} name"] = row["name"]
    for row in await _all(connection, _PRICES, params):
        start = _list_name(row["key"], row["currency"], row["valid_from"])
        facts[f"{start} monthly"] = _fees(row["account_fee"], row["number_fee"], row["line_fee"])
    for row in await _all(connection, _RATES, params):
        start = _list_name(row["key"], row["currency"], row["valid_from"])
        facts[f"{start} {row['direction']} {row['prefix'] or ANY}"] = _rate_text(rate_of(row))
    named = {
        _list_name(key, one.currency, one.valid_from)
        for key, plan in form.plans.items()
        for one in plan.prices
    }
    return {
        name: shown
        for name, shown in facts.items()
        if name.endswith(" name") or " ".join(name.split()[:4]) in named
    }


def _difference(present: Facts, wanted: Facts) -> list[str]:
    lines = []
    for name in sorted({*present, *wanted}):
        before, after = present.get(name), wanted.get(name)
        if before == after:
            continue
        if before is None:
            lines.append(f"+ {name}: {after}")
        elif after is None:
            lines.append(f"- {name}: {before}")
        else:
            lines.append(f"~ {name}: {before} -> {after}")
    return lines


def _under(facts: Facts, start: str) -> dict[str, str]:
    return {name: shown for name, shown in facts.items() if name.startswith(f"{start} ")}


def _list_name(key: str, currency: str, valid_from: Any) -> str:
    return f"{key} {currency} from {valid_from}"


def _fees(account: Decimal, number: Decimal, line: Decimal) -> str:
    return f"account {plain(account)}, number {plain(number)}, line {plain(line)}"


def _rate_text(rate: Rate) -> str:
    parts = [f"{plain(rate.cost_per_minute)} a minute"]
    if rate.connection_fee:
        parts.append(f"connection {plain(rate.connection_fee)}")
    parts.append(f"{rate.first_step}/{rate.step}")
    if rate.free_seconds:
        parts.append(f"{rate.free_seconds} s free")
    if rate.direction_type:
        parts.append(rate.direction_type)
    return ", ".join(parts)


async def _all(connection: Connection, statement: str, params: Any) -> list[Row]:
    return await (await connection.execute(statement.encode(), params)).fetchall()
