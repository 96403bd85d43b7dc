"""Applies the directory to the engine's configuration: compares and repeats until both match.

A change renders the accounts that changed. The state that Asterisk has loaded is read from Asterisk after each reload, after
each reconnect (Asterisk may have been restarted) and every minute (other files may have been reloaded manually).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Any, Protocol

import psycopg

from trunkline.core.clock import Instant
from trunkline.core.errors import DatabaseUnavailable, EngineError
from trunkline.core.log import get_logger
from trunkline.core.tasks import core_task, item_task
from trunkline.db.pool import Database, log_cause
from trunkline.directory.model import Account, Directory
from trunkline.directory.trunks.identification import Identification
from trunkline.engine_configuration import AccountConfig, RefusedRow, account_config, accounts_concerned
from trunkline.events.catalogue import EventType, row_stream
from trunkline.events.store import UNSTORABLE, append_to_end
from trunkline.roles.common import cancelled
from trunkline.telephony import config as telephony_config

GATHER_SECONDS = 0.2
"""Changes of the directory within this time reach the engine as one."""
VERIFY_SECONDS = 60.0
RETRY_SECONDS = 1.0
"""Pause after the first failure; each further failure doubles it, up to a maximum."""
LAST_RETRY_SECONDS = 60.0

_log = get_logger("engine")

_NOT_FILES = "the configuration cannot be written: free disk space, or make the user of the switch the owner of the folder"


async def _unpublished(_row: RefusedRow) -> None:
    """Publishes nothing."""


class ConfigurableEngine(Protocol):
    """The part of the engine that is configured."""

    async def wait_up(self, timeout: float = ...) -> None: ...
    def set_account(self, account: str, directory: telephony_config.EndpointSet) -> frozenset[str]: ...
    def remove_account(self, account: str) -> None: ...
    async def apply(self) -> Sequence[str]: ...
    async def remove_stale_files(self) -> None: ...


class DirectorySource(Protocol):
    """The directory in memory."""

    @property
    def current(self) -> Directory: ...
    def subscribe(self, listener: Callable[[Directory, frozenset[int]], None]) -> Callable[[], None]: ...


class IdentificationSource(Protocol):
    """What identifies trunks."""

    @property
    def current(self) -> Identification: ...
    def subscribe(self, listener: Callable[[], None]) -> None: ...


class EngineConfigurator:
    """One engine's configuration.

    :param render: renders the configuration of an account.
    :param publish: publishes that a row is left out; may be called again for the same row.
    """

    def __init__(
        self,
        engine: ConfigurableEngine,
        snapshot: DirectorySource,
        identified: IdentificationSource,
        render: Callable[[Account, Identification], AccountConfig] = account_config,
        publish: Callable[[RefusedRow], Awaitable[None]] = _unpublished,
    ) -> None:
        self._engine = engine
        self._snapshot = snapshot
        self._identified = identified
        self._identification = identified.current
        self._render = render
        self._changed: set[int] = set(snapshot.current.accounts)
        self._wake = asyncio.Event()
        self._wake.set()
        self._refused: dict[int, tuple[RefusedRow, ...]] = {}
        self._displaced: set[int] = set()
        self._known: set[int] = set()
        self._differs_since: float | None = time.time()
        self._failures = 0
        self._error = ""
        self._is_cleaned = False
        self._publish = publish
        self._unpublished: list[RefusedRow] = []
        self._publishing: set[asyncio.Task[None]] = set()

    def note(self, _directory: Directory, touched: frozenset[int]) -> None:
        """These accounts changed."""
        self._changed |= touched
        if self._differs_since is None:
            self._differs_since = time.time()
        self._wake.set()

    def check(self) -> None:
        """Compare with what Asterisk has, soon."""
        self._wake.set()

    def rows_left_out(self, account_id: int) -> list[dict[str, Any]]:
        """Rows of an account that are left out of the engine's configuration, as :meth:`status` has them."""
        return [asdict(row) for row in self._refused.get(account_id, ())]

    def status(self) -> dict[str, Any]:
        """For ``trunkline status``::

            {"applied": false, "differs_since": 1766750000.1, "failures": 3, "error": "...",
             "rows_left_out": [{"account_id", "entity", "id", "name", "reason"}, ...]}

        ``differs_since`` in Unix seconds, null while Asterisk has the required configuration.
        """
        return {
            "applied": self._differs_since is None,
            "differs_since": self._differs_since,
            "failures": self._failures,
            "error": self._error,
            "rows_left_out": [asdict(row) for _, rows in sorted(self._refused.items()) for row in rows],
        }

    async def run(self) -> None:
        """Apply changes until cancelled."""
        pause = VERIFY_SECONDS
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause)
                await asyncio.sleep(GATHER_SECONDS)
            self._wake.clear()
            self._publish_later()
            pause = VERIFY_SECONDS if await self._apply() else self._retry_pause()

    def _retry_pause(self) -> float:
        return float(min(LAST_RETRY_SECONDS, RETRY_SECONDS * 2 ** min(self._failures - 1, 10)))

    async def _apply(self) -> bool:
        await self._render_changed()
        try:
            await self._engine.wait_up()
            reloaded = await self._engine.apply()
            if not self._is_cleaned:
                await self._engine.remove_stale_files()
                self._is_cleaned = True
        except (EngineError, TimeoutError) as error:
            self._fail(str(error) or "Asterisk does not respond")
            return False
        except OSError as error:
            self._fail(f"{_NOT_FILES}: {error}")
            return False
        if reloaded:
            _log.info("engine_configured", reloaded=",".join(reloaded), after_failures=self._failures)
        self._failures, self._error = 0, ""
        self._differs_since = time.time() if self._changed else None
        return True

    def _fail(self, reason: str) -> None:
        self._failures += 1
        self._error = reason
        if self._differs_since is None:
            self._differs_since = time.time()
        _log.error(
            "engine_not_configured",
            error=reason,
            failures=self._failures,
            retry_in=self._retry_pause(),
            consequence="changes of lines and trunks are not in effect; it is tried again",
            remedy="see logs/asterisk.log and check the disk",
        )

    async def _render_changed(self) -> None:
        """Render the accounts that changed, and those with a name that another account had, which may be free now."""
        changed, self._changed = self._changed, set()
        before, self._identification = self._identification, self._identified.current
        if before is not self._identification:
            changed |= accounts_concerned(self._snapshot.current, before, self._identification)
        if changed:
            changed |= self._displaced
            self._is_cleaned = False
        accounts = self._snapshot.current.accounts
        for account_id in sorted(changed & self._known - accounts.keys()):
            self._engine.remove_account(str(account_id))
            self._known.discard(account_id)
            self._displaced.discard(account_id)
            self._report(account_id, ())
        for account_id in sorted(changed & accounts.keys()):
            self._render_one(accounts[account_id])
            await asyncio.sleep(0)  # lets the event loop handle calls

    def _render_one(self, account: Account) -> None:
        account_id = account.account_id
        self._known.add(account_id)
        try:
            made = self._render(account, self._identification)
            displaced = self._engine.set_account(str(account_id), made.directory)
        except (
            Exception
        ) as error:  # a mistake in rendering one account must not keep the others from the engine
            _log.exception(
                "account_not_rendered",
                account_id=account_id,
                consequence="changes of the account's lines and trunks are not in effect",
                remedy="report this line with its traceback",
            )
            row = RefusedRow(account_id, "account", account_id, account.name, f"internal error: {error!r}")
            self._report(account_id, (*self._refused.get(account_id, ()), row))
            return
        self._displaced.discard(account_id)
        if displaced:
            self._displaced.add(account_id)
        others = tuple(
            RefusedRow(
                account_id,
                "engine_name",
                0,
                name,
                "another account has a line or trunk of this name in the engine",
            )
            for name in sorted(displaced)
        )
        self._report(account_id, made.refused + others)

    def _publish_later(self) -> None:
        """Publish in the background: the database may be unavailable while the engine is configured."""
        if self._unpublished and not self._publishing:
            item_task(self._publish_all(), name="rows-left-out", among=self._publishing)

    async def _publish_all(self) -> None:
        while self._unpublished:
            try:
                await self._publish(self._unpublished[0])
            except UNSTORABLE as error:  # those after it are published
                _log.error(
                    "row_left_out_not_storable",
                    **asdict(self._unpublished[0]),
                    error=str(error),
                    consequence="the account is not notified of this row",
                    remedy="report this line; `trunkline status --account` has the row",
                )
            except (DatabaseUnavailable, psycopg.Error) as error:
                _log.warning(
                    "row_left_out_not_published",
                    cause=log_cause(error),
                    error=str(error),
                    consequence="the account is notified later; it is tried again",
                )
                return
            del self._unpublished[0]

    def _report(self, account_id: int, rows: tuple[RefusedRow, ...]) -> None:
        before = self._refused.pop(account_id, ())
        if rows:
            self._refused[account_id] = rows
        for row in rows:
            if row not in before:
                self._unpublished.append(row)
                _log.error(
                    "row_left_out",
                    **asdict(row),
                    consequence="the row is not used in calls; all others are",
                    remedy="correct the value that reason names, then trunkline apply; of a host name check its DNS",
                )


async def publish_row_left_out(db: Database, row: RefusedRow) -> None:
    """The event ROW_LEFT_OUT, once for each fault of each row, also when the switch is started again."""
    stream = row_stream(row.entity, row.id, row.reason)
    async with db.connection() as connection:
        cursor = await connection.execute(
            "select from stream_positions where account_id = %s and stream = %s", (row.account_id, stream)
        )
        if await cursor.fetchone() is not None:
            return
        data = {"entity": row.entity, "entity_id": row.id, "entity_name": row.name, "reason": row.reason}
        await append_to_end(
            connection, row.account_id, stream, EventType.ROW_LEFT_OUT, Instant(time.time()), data
        )


@contextlib.asynccontextmanager
async def configuring(
    engine: ConfigurableEngine, snapshot: DirectorySource, identified: IdentificationSource, db: Database
) -> AsyncIterator[EngineConfigurator]:
    """Bring the directory to the engine for the time of the block."""
    configurator = EngineConfigurator(
        engine, snapshot, identified, publish=functools.partial(publish_row_left_out, db)
    )
    unsubscribe = snapshot.subscribe(configurator.note)
    identified.subscribe(configurator.check)
    task = core_task(configurator.run(), name="engine-configuration")
    try:
        yield configurator
    finally:
        unsubscribe()
        await cancelled(task)
