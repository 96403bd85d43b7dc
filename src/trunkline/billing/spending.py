"""What accounts and lines have spent today on outside calls, kept in memory for limits.

A background task reads periodically what was charged, and the calls that are over and not charged yet: those have the
price of the account's current price list, as have the calls whose end is not stored, which the switch counts. Each call is
in exactly one of the three, however long its end waits to be stored or charged: a reading is of one moment, and
returns which of the switch's calls are in it.

Price lists are read again when one is changed or assigned, and before a limit of an account that had none is in
effect: else its calls would have no price until the next reading.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from decimal import Decimal
from typing import LiteralString

import psycopg

from trunkline.billing.rates import ZERO, Direction, LegFacts, PriceList, rate_leg
from trunkline.billing.rating import price_list
from trunkline.core.errors import DatabaseUnavailable, first_line
from trunkline.core.log import get_logger
from trunkline.core.tasks import core_task
from trunkline.db.pool import Connection, Database, Parameters, Row, log_cause
from trunkline.directory.model import Account, Directory

PERIOD_SECONDS = 10.0
CHANNEL = "trunkline_tariffs"
"""Notified with each change of prices and of an account's plan."""

_log = get_logger("billing")

_CHARGED = """
select c.account_id, l.limited_line_id as line, sum(c.total_charge) as spent
from leg_charges c join accounts a on a.account_id = c.account_id
left join call_legs l on l.account_id = c.account_id and l.call_session_id = c.call_session_id and l.leg_id = c.leg_id
where c.account_id = any(%(accounts)s) and c.direction = 'out' and c.currency = a.currency
    and c.start_time >= date_trunc('day', now() at time zone a.time_zone) at time zone a.time_zone
group by c.account_id, l.limited_line_id
"""

_UNCHARGED = """
with over as (
    select account_id, call_session_id from unrated_calls where account_id = any(%(accounts)s)
    union select account_id, substr(stream, 6)::bigint from outbox
    where account_id = any(%(accounts)s) and type = 'session_finished'
    union select account_id, substr(stream, 6)::bigint from event_failures
    where account_id = any(%(accounts)s) and type = 'session_finished' and listener = 'billing' and resolved_at is null
)
select l.account_id, l.limited_line_id as line, l.called_phone_number as number, l.duration
from over join accounts a on a.account_id = over.account_id
join call_legs l on l.account_id = over.account_id and l.call_session_id = over.call_session_id
where l.direction = 'out' and l.trunk_id is not null and l.duration > 0
    and l.start_time >= date_trunc('day', now() at time zone a.time_zone) at time zone a.time_zone
"""
"""Legs of calls that are over and not charged: the relay has their end before it, has it in a note, or failed with it."""

_STORED = """
select s.account_id, s.call_session_id
from unnest(%s::bigint[], %s::bigint[]) as counted(account_id, call_session_id)
join call_streams s on s.account_id = counted.account_id and s.call_session_id = counted.call_session_id
where not s.is_open
"""

_LISTS = """
select a.account_id, price.owner_id, price.tariff_price_id from accounts a cross join lateral (
    select p.account_id as owner_id, p.tariff_price_id from tariff_prices p
    where p.account_id in (0, a.parent_account_id) and p.tariff_plan_id = (
        select h.tariff_plan_id from account_tariff_plans h
        where h.account_id = a.account_id and h.since <= now() order by h.since desc limit 1
    ) and p.currency = a.currency and p.valid_from <= (now() at time zone a.time_zone)::date
    order by p.valid_from desc limit 1
) price where a.account_id = any(%s)
"""

_RATES = "select * from tariff_rates where account_id = any(%s) and tariff_price_id = any(%s)"


class Spending:
    """Sums and prices of accounts with a limit of money.

    :param limited: accounts of a directory that have one.
    :param over: calls that are over and that the switch counts, each an account and a call session.
    :param stored: is called with those of them that a reading includes.
    """

    def __init__(
        self,
        db: Database,
        directory: Callable[[], Directory],
        limited: Callable[[Directory], Iterable[int]],
        over: Callable[[], Collection[tuple[int, int]]] = list,
        stored: Callable[[Iterable[tuple[int, int]]], None] = lambda _: None,
    ) -> None:
        self._db = db
        self._directory = directory
        self._limited = limited
        self._over = over
        self._stored = stored
        self._spent: dict[tuple[int, int | None], Decimal] = {}
        self._lists: dict[int, PriceList] = {}
        self._read: frozenset[int] = frozenset()
        """Accounts whose sums and prices were read."""
        self._newest: Directory | None = None
        self._reading = asyncio.Lock()
        self._changed = asyncio.Event()

    def spent(self, account_id: int, sip_line_id: int | None, calls: Iterable[tuple[str, int]]) -> float:
        """Money of today, and of calls whose end is not stored yet (number and seconds each). No I/O."""
        account = self._directory().accounts.get(account_id)
        total = self._spent.get((account_id, sip_line_id), ZERO)
        prices = self._lists.get(account_id)
        if account is not None:
            total += sum(_price(account, prices, number, seconds) for number, seconds in calls)
        return float(total)

    async def prepare(self, directory: Directory) -> None:
        """Read sums and prices if an account of this directory has a limit and had none before.

        A failure is logged: the limit is in effect without the charges until the next reading.

        :param directory: is in effect from now on, or after this.
        """
        self._newest = directory
        if not self._read.issuperset(self._limited(directory)):
            await self._refresh_or_log()

    async def prepare_current(self) -> None:
        """As :meth:`prepare`, for the directory in effect."""
        await self.prepare(self._directory())

    async def refresh(self) -> None:
        """Read sums and prices again."""
        async with self._reading:  # an older reading must not replace a newer one
            await self._refresh(self._newest or self._directory())

    async def _refresh(self, directory: Directory) -> None:
        accounts = sorted(self._limited(directory))
        of_today = {"accounts": accounts}
        async with self._db.connection() as connection:
            # All of one moment: a call that is charged between two statements would count twice, or not at all.
            await connection.execute("set transaction isolation level repeatable read, read only")
            charged = await _read(connection, _CHARGED, of_today)
            uncharged = await _read(connection, _UNCHARGED, of_today)
            # Not before the first statement, which fixes that moment: the switch counts each call that has ended by then.
            over = list(self._over())
            stored = await _read(
                connection, _STORED, tuple(list(ids) for ids in zip(*over, strict=True)) or ([], [])
            )
            lists = await _read(connection, _LISTS, (accounts,))
            rates = await _read(
                connection,
                _RATES,
                ([row["owner_id"] for row in lists], [row["tariff_price_id"] for row in lists]),
            )
        self._lists = {
            row["account_id"]: price_list(
                row["tariff_price_id"],
                [one for one in rates if one["tariff_price_id"] == row["tariff_price_id"]],
            )
            for row in lists
        }
        spent: dict[tuple[int, int | None], Decimal] = {}
        for row in (*charged, *uncharged):
            account_id = row["account_id"]
            amount = row.get("spent")
            if amount is None:
                account = directory.accounts[account_id]
                amount = _price(account, self._lists.get(account_id), row["number"], row["duration"])
            for who in {(account_id, None), (account_id, row["line"])}:
                spent[who] = spent.get(who, ZERO) + amount
        self._spent, self._read = spent, frozenset(accounts)
        self._stored((row["account_id"], row["call_session_id"]) for row in stored)

    async def run(self) -> None:
        """Keep it fresh until cancelled; survives the database's restarts."""
        while True:
            await self._refresh_or_log()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PERIOD_SECONDS):
                    await self._changed.wait()
            self._changed.clear()

    async def listen(self) -> None:
        """Have prices read as soon as they are changed, until cancelled."""
        while True:
            try:
                async for _ in self._db.listen(CHANNEL):
                    self._changed.set()
            except psycopg.Error as error:
                _log.warning(
                    "tariff_changes_not_read",
                    cause=log_cause(error),
                    error=first_line(error),
                    consequence=f"prices are read every {PERIOD_SECONDS:g} s until the next attempt",
                )
            await asyncio.sleep(PERIOD_SECONDS)

    async def _refresh_or_log(self) -> None:
        try:
            await self.refresh()
        except (psycopg.Error, DatabaseUnavailable) as error:
            _log.warning(
                "spending_not_read",
                cause=log_cause(error),
                error=first_line(error),
                consequence="limits on spending use the last sums that were read; it is tried again",
            )


def _price(account: Account, prices: PriceList | None, number: str | None, seconds: int) -> Decimal:
    """Of a call over a trunk that is not charged yet."""
    if prices is None:
        return ZERO
    facts = LegFacts(Direction.OUT, seconds, None, number, None, by_trunk=True)
    return rate_leg(facts, prices, account.country).total


async def _read(connection: Connection, statement: LiteralString, parameters: Parameters) -> list[Row]:
    return await (await connection.execute(statement, parameters)).fetchall()


@contextlib.asynccontextmanager
async def watching(spending: Spending) -> AsyncIterator[None]:
    """Read it, and keep it fresh for the time of the block."""
    await spending.prepare_current()
    tasks = [
        core_task(spending.run(), name="spending"),
        core_task(spending.listen(), name="spending-listen"),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
