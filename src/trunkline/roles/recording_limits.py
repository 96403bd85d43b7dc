"""Stops the recordings of accounts that have reached a limit, and publishes which have.

A task measures what accounts have recorded as often as the free space of the disk, and leaves in the switch which accounts
may not record: so a new call asks its memory only.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import psycopg

from trunkline.calls.switch.switch import Switch
from trunkline.core.clock import Instant
from trunkline.core.disk import DiskWatch
from trunkline.core.errors import DatabaseUnavailable
from trunkline.core.log import get_logger
from trunkline.core.settings import Settings
from trunkline.db.pool import Database, log_cause
from trunkline.directory.model import Directory
from trunkline.events.catalogue import EventType, account_stream
from trunkline.events.publisher import Alarm, EventPublisher, Publication
from trunkline.recordings.limits import LimitKind, LimitReached, limits_reached
from trunkline.recordings.usage import UsageReader

_log = get_logger("roles")

ALARM = "recordings_limit"
"""Type of the events of the installation."""

_PUBLISHED_AGAIN = 3600.0
"""Seconds after which a limit of an account is published again at the earliest."""

_LAST = """
select distinct on (data->>'account_id') (data->>'account_id')::bigint as account_id, data->>'state' as state,
    extract(epoch from occurred_at)::float8 as at
from installation_events where node = %s and type = 'recordings_limit'
order by data->>'account_id', installation_event_id desc
"""

_SHOWN = 5
"""Accounts that the status names."""


class RecordingLimits:
    """Which accounts of this node may not record. One in a switch."""

    def __init__(
        self,
        switch: Switch,
        db: Database,
        settings: Settings,
        disk: DiskWatch,
        publisher: EventPublisher,
        directory: Callable[[], Directory],
    ) -> None:
        self._switch = switch
        self._db = db
        self._usual = settings.limits.account_recordings_bytes
        self._period = settings.disk.period
        self._disk = disk
        self._publisher = publisher
        self._directory = directory
        self._usage = UsageReader(db, settings, self._account_of)
        self.reached: dict[int, LimitReached] = {}
        self._published: dict[int, float] = {}
        """When a limit that is reached was published, by account."""
        self._last_published: dict[int, float] = {}

    async def start(self) -> None:
        """Before the first call.

        :raises DatabaseUnavailable, psycopg.Error: what was published is not known.
        """
        for row in await self._db.fetch_all(_LAST, (self._switch.node,)):
            self._last_published[row["account_id"]] = row["at"]
            if row["state"] == "reached":
                self._published[row["account_id"]] = row["at"]
        await self.check()

    async def run(self) -> None:
        """Check periodically, until cancelled."""
        while True:
            await asyncio.sleep(self._period)
            await self.check()

    async def check(self) -> None:
        """Measure, and stop recordings of accounts that have reached a limit."""
        await self._usage.read_raw()
        try:
            await self._usage.read_stored()
        except (psycopg.Error, DatabaseUnavailable) as error:
            _log.warning(
                "recording_limits_not_read",
                cause=log_cause(error),
                error=str(error),
                consequence="limits of recordings are checked against the stored bytes of the last time; it is tried again",
            )
        try:
            space = await self._usage.space(self._disk.free, self._disk.level)
        except OSError as error:
            _log.warning(
                "disk_not_readable",
                folder="recordings",
                error=str(error),
                consequence="limits of recordings are checked again later",
                remedy="check that the folder exists and can be read",
            )
            return
        shared = {account_id for account_id, one in self.reached.items() if one.kind is LimitKind.SHARE}
        self.reached = limits_reached(
            self._usage.usages,
            self._usual,
            space,
            has_others=self._usage.has_others,
            shared_before=shared,
        )
        self._switch.do_not_record({one.account_id: one.kind.reason for one in self.reached.values()})
        self._publish(time.time())

    def status(self) -> dict[str, Any]:
        """For ``trunkline status``: ``count`` of accounts that are not recorded, and the ``first`` of them."""
        first = sorted(self.reached.values(), key=lambda one: one.account_id)[:_SHOWN]
        return {"count": len(self.reached), "first": [self._data(one) for one in first]}

    def _account_of(self, call_session_id: int) -> int | None:
        session = self._switch.sessions.get(call_session_id)
        return None if session is None else session.account_id

    def _data(self, one: LimitReached) -> dict[str, Any]:
        return {
            **self._named(one.account_id),
            "limit": one.kind.value,
            "limit_max_value": one.limit,
            "recorded_bytes": one.used,
        }

    def _named(self, account_id: int) -> dict[str, Any]:
        account = self._directory().accounts.get(account_id)
        return {"account_id": account_id, "account_name": None if account is None else account.name}

    def _publish(self, now: float) -> None:
        """Limits that are reached since the last check, each at most once an hour, and those that are not any more."""
        for account_id, one in self.reached.items():
            last = self._last_published.get(account_id)
            if account_id in self._published or (last is not None and now - last < _PUBLISHED_AGAIN):
                continue
            self._published[account_id] = self._last_published[account_id] = now
            data = self._data(one)
            _log.warning(
                "recordings_limit_reached",
                **data,
                consequence="calls of this account are not recorded, and its voice mail takes no message; its calls go on",
                remedy=_REMEDIES[one.kind],
            )
            self._put(account_id, {**data, "state": "reached"}, _event_data(one))
        for account_id in self._published.keys() - self.reached.keys():
            del self._published[account_id]
            _log.info("recordings_below_limit", account_id=account_id)
            self._put(account_id, {**self._named(account_id), "state": "below"}, None)

    def _put(self, account_id: int, data: Mapping[str, Any], event: Mapping[str, Any] | None) -> None:
        """:param event: of the account; None: only the installation has one."""
        alarm = Alarm(self._switch.node, ALARM, data)
        at = Instant(time.time())
        if event is None:
            self._publisher.put(Publication(ALARM, at, data, alarm=alarm))
            return
        self._publisher.put(
            Publication(
                EventType.RECORDINGS_LIMIT_REACHED,
                at,
                event,
                account_id,
                account_stream(account_id),
                alarm=alarm,
            )
        )


_REMEDIES = {
    LimitKind.BYTES: "raise the limit (`trunkline account recordings`), or shorten the retention (`trunkline retention`)",
    LimitKind.SHARE: "free space in the data folder, or give the account a limit (`trunkline account recordings`)",
}


def _event_data(one: LimitReached) -> dict[str, Any]:
    return {
        "limit": f"recordings_{one.kind.value}",
        "limit_max_value": one.limit,
        "recorded_bytes": one.used,
    }
