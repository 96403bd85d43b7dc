"""Sends due calls to HubSpot: one worker leads and sends those of all accounts, side by side.

What concerns a whole portal (a limit, a token that is refused, a scope that is missing) pauses the account's connection
and is no failure of a call. What concerns one call delays that call only.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter

import psycopg

from trunkline.core.errors import DatabaseUnavailable, NotFound
from trunkline.core.log import get_logger
from trunkline.core.retry import HUBSPOT
from trunkline.core.settings import HubSpotSettings
from trunkline.core.tasks import item_task
from trunkline.db.leader import LeaderLock, lead_when_possible, woken_by
from trunkline.db.pool import Connection as DatabaseConnection
from trunkline.db.pool import Database, Row, log_cause
from trunkline.hubspot import calls
from trunkline.hubspot.connections import CHANNEL, Connections
from trunkline.hubspot.objects import HubSpotObjects
from trunkline.hubspot.push import Pusher
from trunkline.hubspot.responses import (
    ConnectionProblem,
    HubSpotError,
    NotThere,
    OutcomeUnknown,
    RequestRefused,
    TokenExpired,
    TryLater,
)

PER_ACCOUNT = 6
"""Calls of an account that are sent concurrently."""

_CHECK_PERIOD = 20.0
"""Seconds after which the table is read even without a notification or a due time."""

_REST_PERIOD = 0.1
"""Seconds between two reads at least."""

_ADDED_PERIOD = 60.0
"""Seconds between two searches for transcripts and comments that were added."""

_PROBLEM_PAUSE = 300.0
"""Seconds after which a connection with a problem is tried with one request: a person may have granted a scope."""

_UNKNOWN_PAUSE = 60.0

_VERIFY_REFUSALS = 12
"""Refused searches for a second object after which it is no longer searched for: some three hours."""

_log = get_logger("hubspot")


class Sync:
    """One in each worker process."""

    def __init__(
        self,
        db: Database,
        settings: HubSpotSettings,
        connections: Connections,
        objects: HubSpotObjects,
        pusher: Pusher,
    ) -> None:
        self._db = db
        self._settings = settings
        self._connections = connections
        self._objects = objects
        self._pusher = pusher
        self._wake = asyncio.Event()
        self._at_work: dict[int, int] = {}
        self._verifying: set[tuple[int, str, str]] = set()
        self._verify_failures: Counter[tuple[int, str, str]] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Lead when possible, until cancelled."""
        try:
            async with woken_by(self._db, CHANNEL, self._wake):
                await lead_when_possible(self._db, LeaderLock.HUBSPOT, self._lead, "hubspot")
        finally:
            await self._end()

    async def _lead(self, conn: DatabaseConnection) -> None:
        try:
            added_at = 0.0
            while True:
                self._wake.clear()
                if time.monotonic() > added_at:
                    await calls.note_added(self._db)
                    added_at = time.monotonic() + _ADDED_PERIOD
                await self._begin_due(conn)
                seconds = await calls.next_due(conn)
                await conn.commit()
                await self._begin_verifying()
                await asyncio.sleep(_REST_PERIOD)
                wait = _CHECK_PERIOD if seconds is None else min(max(seconds, 0.0) + 0.01, _CHECK_PERIOD)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), wait)
        finally:
            # Another process may lead from now on, and would send the same calls.
            await self._end()

    async def _end(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._at_work.clear()
        self._verifying.clear()

    async def _begin_due(self, conn: DatabaseConnection) -> None:
        running = Counter(self._at_work.values())
        full = [account_id for account_id, count in running.items() if count >= PER_ACCOUNT]
        for row in await calls.take(conn, list(self._at_work), full, PER_ACCOUNT):
            if running[row["account_id"]] >= PER_ACCOUNT:
                continue
            running[row["account_id"]] += 1
            self._at_work[row["call_session_id"]] = row["account_id"]
            item_task(self._send(row), name="hubspot-call", among=self._tasks)
        await conn.commit()

    async def _send(self, row: Row) -> None:
        account_id = row["account_id"]
        try:
            connection = await self._connections.find(account_id)
            if connection is None or not connection.is_active:
                return
            try:
                await self._pusher.push(connection, row)
                if connection.problem is not None or connection.paused_until is not None:
                    await self._connections.works(account_id)
            except HubSpotError as error:
                await self._settle(row, error)
        except (psycopg.Error, DatabaseUnavailable) as error:
            _log.warning(
                "hubspot_call_not_settled",
                account_id=account_id,
                call_session_id=row["call_session_id"],
                cause=log_cause(error),
                error=str(error),
                consequence="the call is sent again when it is known whether it was",
            )
            await asyncio.sleep(1.0)
        except NotFound:
            pass  # it was disconnected meanwhile
        except Exception as error:
            _log.exception(
                "hubspot_call_broken",
                account_id=account_id,
                call_session_id=row["call_session_id"],
                error=repr(error),
                consequence="this call waits; it is tried again",
                remedy="report this line with its traceback",
            )
            await calls.later(self._db, row, _UNKNOWN_PAUSE, repr(error), is_failure=True)
        finally:
            self._at_work.pop(row["call_session_id"], None)
            self._wake.set()

    async def _settle(self, row: Row, error: HubSpotError) -> None:
        """What follows from an error for the call and the connection."""
        account_id, call_id = row["account_id"], row["call_session_id"]
        match error:
            case ConnectionProblem() | TokenExpired():
                await self._connections.pause(account_id, _PROBLEM_PAUSE, error.message)
                await calls.later(self._db, row, 0.0, error.message, is_failure=False)
                _log.error(
                    "hubspot_connection_problem",
                    account_id=account_id,
                    error=error.message,
                    consequence="calls of this account wait",
                    remedy="run trunkline hubspot check, and connect again",
                )
                return
            case TryLater(is_of_portal=True):
                await self._connections.pause(account_id, error.seconds, None)
                await calls.later(self._db, row, error.seconds, error.message, is_failure=False)
                _log.warning(
                    "hubspot_paused",
                    account_id=account_id,
                    seconds=error.seconds,
                    error=error.message,
                    consequence="calls of this account wait",
                )
                return
        is_refused = isinstance(error, RequestRefused) and not isinstance(error, NotThere)
        if is_refused or (row["failing_seconds"] or 0.0) > self._settings.give_up_after:
            await calls.failed(self._db, row, error.message)
            _log.error(
                "hubspot_call_refused" if is_refused else "hubspot_call_given_up",
                account_id=account_id,
                call_session_id=call_id,
                error=error.message,
                consequence="the call is not in HubSpot",
                remedy="remove the cause in error, then run trunkline hubspot repair --fix",
            )
            return
        seconds = HUBSPOT.pause(row["attempts"] + 1)
        if isinstance(error, TryLater):
            seconds = max(error.seconds, seconds if row["attempts"] else 0.0)
        await calls.later(self._db, row, seconds, error.message, is_failure=True)
        _log.warning(
            "hubspot_call_waits",
            account_id=account_id,
            call_session_id=call_id,
            error=error.message,
            seconds=round(seconds, 1),
            consequence="it is sent again later, until hubspot.give_up_after",
        )

    async def _begin_verifying(self) -> None:
        running = Counter(key[0] for key in self._verifying)
        for row in await self._objects.to_verify(PER_ACCOUNT, self._verifying):
            key = (row["account_id"], row["kind"], row["key"])
            if running[key[0]] < PER_ACCOUNT:
                running[key[0]] += 1
                self._verifying.add(key)
                item_task(self._verify(row, key), name="hubspot-verify", among=self._tasks)

    async def _verify(self, row: Row, key: tuple[int, str, str]) -> None:
        try:
            connection = await self._connections.find(row["account_id"])
            if connection is None:
                return
            try:
                await self._pusher.verify(connection, row)
            except NotThere:
                pass
            except (psycopg.Error, DatabaseUnavailable):
                raise
            except Exception as error:
                await self._not_verified(row, key, error)
                return
            self._verify_failures.pop(key, None)
            await self._objects.verified(row)
        except NotFound:
            self._verify_failures.pop(key, None)  # it was disconnected meanwhile
        except (psycopg.Error, DatabaseUnavailable) as error:
            _log.warning(
                "hubspot_verification_not_settled",
                account_id=row["account_id"],
                kind=row["kind"],
                key=row["key"],
                cause=log_cause(error),
                error=str(error),
                consequence="the search for a second object is repeated",
            )
            await asyncio.sleep(1.0)
        finally:
            self._verifying.discard(key)

    async def _not_verified(self, row: Row, key: tuple[int, str, str], error: Exception) -> None:
        """Search again after a pause that grows; a search that HubSpot refuses each time ends."""
        names = {"account_id": row["account_id"], "kind": row["kind"], "key": row["key"]}
        if isinstance(error, TryLater | ConnectionProblem | TokenExpired):
            again = error.seconds if isinstance(error, TryLater) else _UNKNOWN_PAUSE
            await self._objects.verified(row, again)
            return
        self._verify_failures[key] += 1
        failures = self._verify_failures[key]
        if not isinstance(error, OutcomeUnknown) and failures >= _VERIFY_REFUSALS:
            del self._verify_failures[key]
            await self._objects.verified(row)
            _log.error(
                "hubspot_verification_given_up",
                **names,
                error=repr(error),
                consequence="a second object may be in HubSpot",
                remedy="remove the cause in error, then run trunkline hubspot repair --fix",
            )
            return
        seconds = HUBSPOT.pause(failures)
        await self._objects.verified(row, seconds)
        _log.warning(
            "hubspot_verification_waits",
            **names,
            error=repr(error),
            seconds=round(seconds, 1),
            consequence="the search for a second object is repeated later",
            exc_info=not isinstance(error, HubSpotError),
        )
