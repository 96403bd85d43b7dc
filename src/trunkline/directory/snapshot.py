"""The directory in memory, kept fresh by the database's own announcements.

Readers take :attr:`DirectorySnapshot.current`, which never waits. A committed change is announced on the
channel ``trunkline_directory`` (payload: the account), and that account is read again; after each (re)connect
everything is. While the database is away the last snapshot stays.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from trunkline.core.errors import DatabaseUnavailable
from trunkline.core.log import get_logger
from trunkline.core.tasks import core_task
from trunkline.db.pool import Database
from trunkline.directory.load import Cipher, Loaded, account_ids, load_accounts
from trunkline.directory.model import SYSTEM_ACCOUNT_ID, Directory

CHANNEL = "trunkline_directory"
GATHER_SECONDS = 0.03
"""How long a first announcement waits for others: a burst of commits becomes one load."""
RETRY_SECONDS = 1.0

Listener = Callable[[Directory, frozenset[int]], None]
"""Called after each refresh with the new directory and the accounts that were read again (or are gone)."""

_log = get_logger("directory")


class DirectorySnapshot:
    """One process's view of all accounts.

    :param cipher: opens trunk passwords.
    :param media_dir: where media files lie; paths in the directory are absolute.
    """

    def __init__(self, db: Database, cipher: Cipher, media_dir: Path) -> None:
        self._db = db
        self._cipher = cipher
        self._media_dir = media_dir.absolute()
        self._current = Directory()
        self._listeners: list[Listener] = []
        self._stale: set[int] = set()
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
            except Exception:  # the reason does not matter: deaf, the snapshot would grow old unnoticed
                _log.exception("listening for changes of the directory failed; trying again")
            await asyncio.sleep(RETRY_SECONDS)

    def _note(self, payload: str) -> None:
        if payload.isdecimal() and int(payload) != SYSTEM_ACCOUNT_ID:
            self._stale.add(int(payload))
        else:  # connected anew (something may have been missed), or the media set that all share changed
            self._all_stale = True
        self._announced.set()

    async def _keep_fresh(self) -> None:
        while True:
            await self._announced.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._announced.clear()
            stale, everything = frozenset(self._stale), self._all_stale
            self._stale.clear()
            self._all_stale = False
            try:
                await self._refresh(None if everything else stale)
            except DatabaseUnavailable:
                _log.warning("the directory stays as it is: the database does not answer")
                self._again_later(stale, everything)
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:  # this task is the only thing between a change and the calls: it must not die
                _log.exception("the directory could not be read; trying again")
                self._again_later(stale, everything)
                await asyncio.sleep(RETRY_SECONDS)

    def _again_later(self, stale: frozenset[int], everything: bool) -> None:
        self._stale |= stale
        self._all_stale |= everything
        self._announced.set()

    async def _refresh(self, accounts: frozenset[int] | None) -> None:
        """Read these accounts (None = all) and publish."""
        async with self._db.connection() as connection:
            # one view of all tables: a commit between two selects must not part an employee from his line
            await connection.execute("set transaction isolation level repeatable read, read only")
            everybody = accounts is None
            wanted = await account_ids(connection) if accounts is None else sorted(accounts)
            loaded = await load_accounts(connection, self._cipher, self._media_dir, wanted)
        self._publish(loaded, frozenset(wanted), everybody)

    def _publish(self, loaded: Loaded, wanted: frozenset[int], everybody: bool) -> None:
        before = self._current.accounts
        kept = {
            account_id: account
            for account_id, account in before.items()
            if account_id in loaded.broken or (not everybody and account_id not in wanted)
        }
        self._current = Directory({**kept, **loaded.accounts})
        touched = wanted | before.keys() if everybody else wanted
        for listener in list(self._listeners):
            try:
                listener(self._current, touched)
            except Exception:  # one listener's mistake must not keep the others, or the calls, from the news
                _log.exception("a listener of the directory failed")
