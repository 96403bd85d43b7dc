"""How many bytes the recordings of each account take: what is stored, and the raw audio in the spool folder of a node."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from trunkline.core.disk import DiskLevel
from trunkline.core.ids import node_of
from trunkline.core.settings import Settings
from trunkline.db.pool import Database
from trunkline.recordings.limits import DiskSpace, Usage

_STORED = """
select account_id, coalesce(t.bytes, 0) as stored, l.bytes as own_limit,
    case (now() at time zone 'UTC')::date - t.day when 0 then t.day_bytes + t.before_bytes when 1 then t.day_bytes else 0 end
        as lately
from recording_totals t full join recording_limits l using (account_id)
"""

_HAS_OTHERS = "select count(*) > 1 as has_others from (select account_id from accounts where account_id > 0 limit 2) one"

_OWNERS = """
select call.account_id, call.call_session_id from call_sessions call where call.call_session_id = any(%s)
"""

_ASKED_AGAIN = 60.0
"""Seconds after which the account of a spool folder that no call is known for is looked up again."""

AccountOf = Callable[[int], int | None]
"""Account of a live call, by its id; None: it is not live."""


class UsageReader:
    """Reads the figures of all accounts. While PostgreSQL is unavailable, those of the database are kept.

    :param account_of: for the live calls of this node.
    """

    def __init__(self, db: Database, settings: Settings, account_of: AccountOf) -> None:
        self._db = db
        self._spool = settings.spool_dir
        self._recordings = settings.recordings_dir
        self._reserve = settings.disk.recordings_free
        self._node = settings.switch.node
        self._account_of = account_of
        self._stored: list[Usage] = []
        self._owners: dict[int, int] = {}
        """Account by call, of the spool folders that are there."""
        self._asked: dict[int, float] = {}
        """When a call without a known account was looked up, monotonic."""
        self._raw: dict[int, int] = {}
        self.has_others = False

    async def read_stored(self) -> None:
        """Read what is stored, and whose calls are not live any more.

        :raises DatabaseUnavailable, psycopg.Error: the figures of the last time are kept.
        """
        rows = await self._db.fetch_all(_STORED)
        self._stored = [Usage(**row) for row in rows]
        [row] = await self._db.fetch_all(_HAS_OTHERS)
        self.has_others = row["has_others"]
        now = time.monotonic()
        unknown = [
            one
            for one in self._raw
            if one not in self._owners and now - self._asked.get(one, -_ASKED_AGAIN) >= _ASKED_AGAIN
        ]
        if unknown:
            found = await self._db.fetch_all(_OWNERS, (unknown,))
            self._asked.update(dict.fromkeys(unknown, now))
            self._owners.update((row["call_session_id"], row["account_id"]) for row in found)

    async def read_raw(self) -> None:
        """Measure the spool folder, in a thread. Folders of ended calls count until their recordings are made."""
        self._raw = await asyncio.to_thread(_raw_bytes, self._spool, self._node)
        for call in self._raw:
            account_id = self._account_of(call)
            if account_id is not None:
                self._owners[call] = account_id
        self._owners = {call: owner for call, owner in self._owners.items() if call in self._raw}
        self._asked = {call: at for call, at in self._asked.items() if call in self._raw}

    @property
    def usages(self) -> list[Usage]:
        """As they were read last."""
        raw: Counter[int] = Counter()
        for call, size in self._raw.items():
            if call in self._owners:
                raw[self._owners[call]] += size
        known = {one.account_id: one for one in self._stored}
        for account_id in raw:
            known.setdefault(account_id, Usage(account_id))
        return [replace(one, raw=raw[one.account_id]) for one in known.values()]

    async def space(self, free: int, level: DiskLevel) -> DiskSpace:
        """Of the disk of the recordings.

        :param free: bytes on the fullest disk.
        """
        size = await asyncio.to_thread(_size, self._recordings)
        return DiskSpace(size, free - self._reserve, level >= DiskLevel.ALARM)


def _raw_bytes(spool: Path, node: int) -> dict[int, int]:
    """By call of this node; nothing while the folder cannot be read."""
    found: dict[int, int] = {}
    with contextlib.suppress(OSError), os.scandir(spool) as folders:
        for folder in folders:
            if folder.name.isdecimal() and int(folder.name) < 1 << 63 and node_of(int(folder.name)) == node:
                found[int(folder.name)] = _bytes_in(folder.path)
    return found


def _bytes_in(folder: str) -> int:
    size = 0
    with contextlib.suppress(OSError), os.scandir(folder) as files:
        for file in files:
            with contextlib.suppress(OSError):
                size += file.stat(follow_symlinks=False).st_size
    return size


def _size(folder: Path) -> int:
    """Bytes of the file system of a folder, or of the first above it that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    stat = os.statvfs(folder)
    return stat.f_blocks * stat.f_frsize
