"""The directory in memory, kept fresh by the database's own announcements.

Readers take :attr:`DirectorySnapshot.current`, which never waits. A committed change is announced on the
channel ``trunkline_directory``, and what the payload names is read again: an account (``1001``), its contacts and
blacklist (``1001:numbers``), or those of some telephone numbers (``1001:numbers:12025550110,12025550111``). After each
(re)connect everything is. While the database is unavailable the last snapshot stays.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from trunkline.core.errors import DatabaseUnavailable
from trunkline.core.log import get_logger
from trunkline.core.tasks import core_task
from trunkline.db.pool import Database, log_cause
from trunkline.directory.live.load import (
    Loaded,
    account_ids,
    load_accounts,
    load_all_numbers,
    load_numbers,
)
from trunkline.directory.model import SYSTEM_ACCOUNT_ID, Account, Directory
from trunkline.directory.model.cipher import Cipher

CHANNEL = "trunkline_directory"
GATHER_SECONDS = 0.03
"""How long a first announcement waits for others: a burst of commits becomes one load."""
RETRY_SECONDS = 1.0
NUMBERS_MAX = 1000
"""Telephone numbers that are read one by one; of more, all of the account are."""

Listener = Callable[[Directory, frozenset[int]], None]
"""Called after each refresh with the new directory and the accounts that were read again (or are gone). Not called when
only contacts or blacklists changed: nothing is derived from them."""

Preparation = Callable[[Directory], Awaitable[None]]
"""Awaited with each new directory before it is in effect. It raises nothing but DatabaseUnavailable: then the directory is
read again."""

_log = get_logger("directory")


class DirectorySnapshot:
    """One process's view of all accounts.

    :param cipher: opens trunk passwords.
    :param media_dir: folder of the media files; paths in the directory are absolute.
    """

    def __init__(self, db: Database, cipher: Cipher, media_dir: Path) -> None:
        self._db = db
        self._cipher = cipher
        self._media_dir = media_dir.absolute()
        self._current = Directory()
        self._listeners: list[Listener] = []
        self._preparations: list[Preparation] = []
        self._stale: set[int] = set()
        self._stale_numbers: dict[int, set[str] | None] = {}
        """Telephone numbers to read again, by account; None = all of the account."""
        self._all_stale = False
        self._announced = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def current(self) -> Directory:
        """The last directory read; never waits, never raises."""
        return self._current

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` after each refresh, in the event loop; returns what ends the subscription."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def prepare_with(self, preparation: Preparation) -> None:
        """From now on, await this before a change of an account is in effect: it reads what the change needs."""
        self._preparations.append(preparation)

    async def start(self) -> None:
        """Read everything, then keep it fresh.

        Raises DatabaseUnavailable when the database does not answer: there is nothing to start from.
        """
        await self._refresh(None)
        self._tasks = [
            core_task(self._listen(), name="directory-listen"),
            core_task(self._keep_fresh(), name="directory-refresh"),
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks = []

    async def _listen(self) -> None:
        while True:
            try:
                async for payload in self._db.listen(CHANNEL):
                    self._note(payload)
            except Exception:  # for any reason: without LISTEN, changes would not be read
                _log.exception(
                    "directory_listen_failed",
                    consequence=f"changes are read after the next attempt, in {RETRY_SECONDS} s",
                    remedy="see logs/postgres.log if this is repeated",
                )
            await asyncio.sleep(RETRY_SECONDS)

    def _note(self, payload: str) -> None:
        account, _, what = payload.partition(":")
        if account.isdecimal() and int(account) != SYSTEM_ACCOUNT_ID:
            self._note_account(int(account), what)
        else:  # connected again (notifications may have been missed), or the shared media set changed
            self._all_stale = True
        self._announced.set()

    def _note_account(self, account_id: int, what: str) -> None:
        kind, _, numbers = what.partition(":")
        if kind != "numbers":
            self._stale.add(account_id)
            return
        self._add_numbers({account_id: {*numbers.split(",")} if numbers else None})

    def _add_numbers(self, more: Mapping[int, set[str] | None]) -> None:
        for account_id, numbers in more.items():
            known = self._stale_numbers.get(account_id, set())
            both = None if known is None or numbers is None else known | numbers
            self._stale_numbers[account_id] = None if both is None or len(both) > NUMBERS_MAX else both

    async def _keep_fresh(self) -> None:
        while True:
            await self._announced.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._announced.clear()
            stale, numbers, everything = frozenset(self._stale), self._stale_numbers, self._all_stale
            self._stale.clear()
            self._stale_numbers = {}
            self._all_stale = False
            try:
                if everything or stale:
                    await self._refresh(None if everything else stale)
                # What became stale meanwhile is marked already, so nothing is read too early.
                rest = {} if everything else {one: numbers[one] for one in numbers.keys() - stale}
                if rest:
                    await self._refresh_numbers(rest)
            except DatabaseUnavailable as error:
                _log.warning(
                    "directory_not_read",
                    cause=log_cause(error),
                    error=error.message,
                    consequence="calls use the directory that was read last; reading is tried again",
                )
                self._again_later(stale, numbers, everything)
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:  # only this task makes changes effective in calls: it must continue
                _log.exception(
                    "directory_not_read",
                    consequence="calls use the directory that was read last; reading is tried again",
                    remedy="report this line with its traceback if it is repeated",
                )
                self._again_later(stale, numbers, everything)
                await asyncio.sleep(RETRY_SECONDS)

    def _again_later(
        self, stale: frozenset[int], numbers: Mapping[int, set[str] | None], everything: bool
    ) -> None:
        self._stale |= stale
        self._add_numbers(numbers)
        self._all_stale |= everything
        self._announced.set()

    async def _refresh(self, accounts: frozenset[int] | None) -> None:
        """Read these accounts (None = all) and publish."""
        async with self._db.connection() as connection:
            # one view of all tables: else an employee and a line could be of different versions
            await connection.execute("set transaction isolation level repeatable read, read only")
            everybody = accounts is None
            wanted = await account_ids(connection) if accounts is None else sorted(accounts)
            loaded = await load_accounts(connection, self._cipher, self._media_dir, wanted)
        before = self._current.accounts
        read = before.keys() if everybody else frozenset(wanted)
        gone = read - loaded.accounts.keys() - loaded.broken
        for preparation in self._preparations:
            await preparation(self._current.with_accounts(loaded.accounts, gone))
        self._publish(loaded, frozenset(wanted), everybody)

    async def _refresh_numbers(self, numbers: Mapping[int, set[str] | None]) -> None:
        """Read contacts and blacklist of these telephone numbers; those of an account that is not known come with it."""
        made: dict[int, Account] = {}
        async with self._db.connection() as connection:
            await connection.execute("set transaction isolation level repeatable read, read only")
            for account_id, wanted in numbers.items():
                account = self._current.accounts.get(account_id)
                if account is not None:
                    made[account_id] = await (
                        load_all_numbers(connection, account)
                        if wanted is None
                        else load_numbers(connection, account, wanted)
                    )
        self._current = self._current.with_accounts(made)

    def _publish(self, loaded: Loaded, wanted: frozenset[int], everybody: bool) -> None:
        before = self._current.accounts
        read = before.keys() if everybody else wanted
        gone = read - loaded.accounts.keys() - loaded.broken
        self._current = self._current.with_accounts(loaded.accounts, gone)
        touched = wanted | before.keys() if everybody else wanted
        for listener in list(self._listeners):
            try:
                listener(self._current, touched)
            except Exception:  # an error of one listener must not prevent the others from being called
                _log.exception(
                    "directory_listener_failed",
                    consequence="a change of the directory is not in effect in one part of the process",
                    remedy="report this line with its traceback, and restart the process",
                )
