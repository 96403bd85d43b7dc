"""Which employee talked last with each caller, in memory: a scenario that calls the usual employee asks no database.

A switch notes the talks of its own calls. Those before its start, and of other nodes, are read in the background, for
accounts whose scenarios need them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable

import psycopg

from trunkline.core.errors import DatabaseUnavailable
from trunkline.core.log import get_logger
from trunkline.core.tasks import core_task
from trunkline.db.pool import Database, Row, log_cause
from trunkline.directory.model import Account, Directory, OperationKind, UsualEmployee

REMEMBERED_MAX = 200_000
"""Callers of all accounts; the oldest are forgotten."""

TALK_DAYS = 90
"""An older talk does not count."""

READ_MAX = 50_000
"""Calls of an account that are read at the start, the newest."""

READ_PERIOD = 60.0
"""Seconds between two readings of the newest calls."""

NEWEST_HOURS = 4

_CHUNK = 500

_READ = """
select contact_phone_number, last_talked_employee_id, extract(epoch from finish_time)::float8 as ended_at
from call_sessions
where account_id = %(account_id)s and start_time > now() - make_interval(hours => %(hours)s)
    and last_talked_employee_id is not null and contact_phone_number is not null and finish_time is not null
order by start_time desc limit %(limit)s
"""

_log = get_logger("calls")


class LastTalks:
    """By account and caller: the employee, and when they talked."""

    def __init__(self) -> None:
        self._talks: OrderedDict[tuple[int, str], tuple[int, float]] = OrderedDict()

    def note(self, account_id: int, phone_number: str, employee_id: int, at: float) -> None:
        """They talked; an older talk than the known one changes nothing.

        :param at: Unix seconds.
        """
        caller = account_id, phone_number
        known = self._talks.get(caller)
        if known is not None and known[1] > at:
            return
        self._talks[caller] = employee_id, at
        self._talks.move_to_end(caller)
        if len(self._talks) > REMEMBERED_MAX:
            self._talks.popitem(last=False)

    def employee(self, account_id: int, phone_number: str, now: float) -> int | None:
        """Id of the employee who talked last with a caller; None: none known of the last :data:`TALK_DAYS`.

        :param now: Unix seconds.
        """
        known = self._talks.get((account_id, phone_number))
        return known[0] if known is not None and known[1] > now - TALK_DAYS * 86_400 else None

    def __len__(self) -> int:
        return len(self._talks)


def needs_last_talks(account: Account) -> bool:
    """Whether a scenario of the account calls who talked last with the caller."""
    return any(
        operation.kind is OperationKind.FORWARD_USUAL
        and operation.settings.get("choose") != UsualEmployee.MANAGER
        for scenario in account.scenarios.values()
        for operation in scenario.operations
    )


class LastTalksReader:
    """Reads finished calls of the database into the memory."""

    def __init__(self, db: Database, talks: LastTalks, directory: Callable[[], Directory]) -> None:
        self._db = db
        self._talks = talks
        self._directory = directory
        self._read: set[int] = set()
        """Accounts whose older calls are read."""

    async def read(self) -> None:
        """Read the calls of accounts that need them: at first the older ones, later the newest."""
        wanted = {one.account_id for one in self._directory().accounts.values() if needs_last_talks(one)}
        self._read &= wanted
        for account_id in sorted(wanted):
            is_first = account_id not in self._read
            await self._read_account(account_id, TALK_DAYS * 24 if is_first else NEWEST_HOURS)
            self._read.add(account_id)

    async def _read_account(self, account_id: int, hours: int) -> None:
        params = {"account_id": account_id, "hours": hours, "limit": READ_MAX}
        rows = await self._db.fetch_all(_READ, params)
        for piece in _chunks(list(reversed(rows))):
            for row in piece:
                number, employee_id = row["contact_phone_number"], row["last_talked_employee_id"]
                self._talks.note(account_id, number, employee_id, row["ended_at"])
            await asyncio.sleep(0)  # other tasks run between the pieces

    async def run(self) -> None:
        while True:
            try:
                await self.read()
            except (psycopg.Error, DatabaseUnavailable) as error:
                _log.warning(
                    "last_talks_not_read",
                    cause=log_cause(error),
                    error=str(error),
                    consequence="calls are distributed by the talks that are known; it is tried again",
                )
            await asyncio.sleep(READ_PERIOD)


@contextlib.asynccontextmanager
async def reading_last_talks(reader: LastTalksReader) -> AsyncIterator[None]:
    """Keep the memory fresh in the background."""
    task = core_task(reader.run(), name="last-talks")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _chunks(rows: list[Row]) -> Iterable[list[Row]]:
    return (rows[at : at + _CHUNK] for at in range(0, len(rows), _CHUNK))
