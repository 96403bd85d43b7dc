"""What accounts and lines have spent today on outside calls, kept in memory for limits.

The charges are read periodically in a background task; calls that are not charged yet are priced by the account's current
price list. Price lists are read again when one is changed or assigned, and before a limit of an account that had none is in
effect: else its calls would have no price until the next reading.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from decimal import Decimal

import psycopg

from trunkline.billing.rates import ZERO, Direction, LegFacts, PriceList, rate_leg
from trunkline.billing.rating import price_list
from trunkline.core.errors import DatabaseUnavailable, first_line
from trunkline.core.log import get_logger
from trunkline.core.tasks import core_task
from trunkline.db.pool import Database, log_cause
from trunkline.directory.model import Directory

PERIOD_SECONDS = 10.0
CHANNEL = "trunkline_tariffs"
"""Notified with each change of prices and of an account's plan."""

_log = get_logger("billing")

_CHARGED = """
select c.account_id, i.calling_phone_number as login, sum(c.total_charge) as spent
from leg_charges c join accounts a on a.account_id = c.account_id
left join call_legs i on i.account_id = c.account_id and i.call_session_id = c.call_session_id
    and i.direction = 'in' and i.calling_phone_number = any(%(logins)s)
where c.account_id = any(%(accounts)s) and c.direction = 'out' and c.currency = a.currency
    and c.start_time >= date_trunc('day', now() at time zone a.time_zone) at time zone a.time_zone
group by c.account_id, i.calling_phone_number
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
    """

    def __init__(
        self, db: Database, directory: Callable[[], Directory], limited: Callable[[Directory], Iterable[int]]
    ) -> None:
        self._db = db
        self._directory = directory
        self._limited = limited
        self._spent: dict[tuple[int, int | None], Decimal] = {}
        self._lists: dict[int, PriceList] = {}
        self._read: frozenset[int] = frozenset()
        """Accounts whose sums and prices were read."""
        self._newest: Directory | None = None
        self._reading = asyncio.Lock()
        self._changed = asyncio.Event()

    def spent(self, account_id: int, sip_line_id: int | None, calls: Iterable[tuple[str, int]]) -> float:
        """Money of today, and of calls that are not charged yet (number and seconds each). No I/O."""
        account = self._directory().accounts.get(account_id)
        total = self._spent.get((account_id, sip_line_id), ZERO)
        prices = self._lists.get(account_id)
        if account is not None and prices is not None:
            for number, seconds in calls:
                facts = LegFacts(Direction.OUT, seconds, None, number, None, by_trunk=True)
                total += rate_leg(facts, prices, account.country).total
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
        logins = {
            line.phone_number: line.sip_line_id
            for account_id in accounts
            for line in directory.accounts[account_id].lines.values()
        }
        charged = await self._db.fetch_all(_CHARGED, {"accounts": accounts, "logins": list(logins)})
        lists = await self._db.fetch_all(_LISTS, (accounts,))
        rates = await self._db.fetch_all(
            _RATES, ([row["owner_id"] for row in lists], [row["tariff_price_id"] for row in lists])
        )
        spent: dict[tuple[int, int | None], Decimal] = {}
        for row in charged:
            line = logins.get(row["login"] or "")
            for who in {(row["account_id"], None), (row["account_id"], line)}:
                spent[who] = spent.get(who, ZERO) + row["spent"]
        self._spent, self._read = spent, frozenset(accounts)
        self._lists = {
            row["account_id"]: price_list(
                row["tariff_price_id"],
                [one for one in rates if one["tariff_price_id"] == row["tariff_price_id"]],
            )
            for row in lists
        }

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
