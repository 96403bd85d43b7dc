"""How full the disk of the data folder is: measured periodically, kept in memory.

Three thresholds: an alarm, no more recordings, no new calls. A level is left only when a tenth more is free than its
threshold, so that it does not change back and forth. A folder for raw audio that cannot be written means no recordings, too.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any

from trunkline.core.log import get_logger
from trunkline.core.settings import DiskSettings, Settings

_log = get_logger("core.disk")

SPOOL_REMEDY = (
    "make the user of the switch its owner; it must be neither mounted read-only nor immutable (lsattr -d)"
)
"""What to do when the spool folder cannot be written."""

Probe = Callable[[Path], int]
"""Bytes that may still be written where a folder is."""

Writable = Callable[[Path], bool]
"""Whether files can be made in a folder."""

FULL = 1_048_576
"""Free bytes below which writes fail: programs write in blocks, and others take what is left."""

_FULL_PERIOD = 1.0
"""Seconds between two checks while new calls are refused: what is written then may be lost."""

Changed = Callable[["DiskLevel", int], Awaitable[None]]
"""Called with the new level and the free bytes."""


class DiskLevel(IntEnum):
    """How full the disk is; the consequences of a level apply at all higher levels, too."""

    ENOUGH = 0
    ALARM = 1
    NO_RECORDINGS = 2
    NO_CALLS = 3


def free_bytes(folder: Path) -> int:
    """Bytes that may still be written where a folder is. Raises OSError."""
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize


def is_writable(folder: Path) -> bool:
    """Whether this process may make files in a folder, as far as its permissions and its file system show; also when it does
    not exist yet, and can be made."""
    if not os.path.lexists(folder):
        return folder.parent == folder or is_writable(folder.parent)
    return os.access(folder, os.W_OK | os.X_OK)


def level_of(free: int, settings: DiskSettings, before: DiskLevel = DiskLevel.ENOUGH) -> DiskLevel:
    """The level of so many free bytes. Pure.

    :param before: the present level: it is left when a tenth more is free than its threshold.
    """
    thresholds = {
        DiskLevel.NO_CALLS: settings.calls_free,
        DiskLevel.NO_RECORDINGS: settings.recordings_free,
        DiskLevel.ALARM: settings.alarm_free,
    }
    for level, threshold in thresholds.items():
        if free < (threshold * 1.1 if level <= before else threshold):
            return level
    return DiskLevel.ENOUGH


def folders_of(settings: Settings) -> tuple[Path, ...]:
    """Folders that may be on disks of their own; those that exist are measured."""
    return (settings.data, settings.spool_dir, settings.recordings_dir, settings.postgres_dir)


def report(settings: Settings) -> dict[str, Any]:
    """For ``trunkline status``: ``{"level": "enough", "free_bytes": 123, "thresholds": {...}}``."""
    free = min(free_bytes(folder) for folder in folders_of(settings) if folder.exists())
    return {
        "level": level_of(free, settings.disk).name.lower(),
        "free_bytes": free,
        "thresholds": {
            "alarm": settings.disk.alarm_free,
            "no_recordings": settings.disk.recordings_free,
            "no_calls": settings.disk.calls_free,
        },
    }


class DiskWatch:
    """Measures the disks of some folders; the fullest one determines the level.

    :param changed: called after each change of the level.
    :param spool: the folder of raw audio; None = it is not checked.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        settings: DiskSettings,
        *,
        changed: Changed | None = None,
        probe: Probe = free_bytes,
        spool: Path | None = None,
        writable: Writable = is_writable,
    ) -> None:
        self._spool = spool
        self._writable = writable
        self.spool_error: str | None = None
        """Why nothing can be recorded although there is space; None when it can."""
        self._folders = tuple(folders)
        self._settings = settings
        self._changed = changed
        self._probe = probe
        self.level = DiskLevel.ENOUGH
        """By the free space."""
        self.free = 0
        """Bytes that were free at the last check."""
        self.full: Callable[[], None] = lambda: None
        """Called at each check that finds less than :data:`FULL` where raw audio is written."""

    @property
    def applied(self) -> DiskLevel:
        """The level that calls follow: a spool folder that cannot be written counts."""
        return self.level if self.spool_error is None else max(self.level, DiskLevel.NO_RECORDINGS)

    async def run(self) -> None:
        """Check the disks until cancelled."""
        while True:
            await self.check()
            is_urgent = self.level is DiskLevel.NO_CALLS
            await asyncio.sleep(
                min(self._settings.period, _FULL_PERIOD) if is_urgent else self._settings.period
            )

    async def check(self) -> DiskLevel:
        """Check the disks now; returns the level of the free space."""
        await self._look_at_spool()
        free = await asyncio.to_thread(self._free)
        if free is None:
            return self.level
        self.free = free
        level = level_of(free, self._settings, self.level)
        if level is not self.level:
            self.level = level
            _report_change(level, free)
            if self._changed is not None:
                await self._changed(level, free)
        if free < FULL and self._spool is not None and await asyncio.to_thread(self._is_full, self._spool):
            self.full()
        return level

    def _is_full(self, folder: Path) -> bool:
        try:
            return self._probe(folder) < FULL
        except OSError:
            return False

    async def _look_at_spool(self) -> None:
        if self._spool is None:
            return
        is_fine = await asyncio.to_thread(self._writable, self._spool)
        error = None if is_fine else f"{self._spool} cannot be written"
        if error == self.spool_error:
            return
        self.spool_error = error
        if error is None:
            _log.info("spool_writable_again", folder=str(self._spool))
            return
        _log.error(
            "spool_not_writable",
            folder=str(self._spool),
            consequence="calls are not recorded, and voice mail takes no message",
            remedy=SPOOL_REMEDY,
        )

    def _free(self) -> int | None:
        found = []
        for folder in self._folders:
            try:
                found.append(self._probe(folder))
            except FileNotFoundError:
                continue
            except OSError as error:
                _log.warning(
                    "disk_not_readable",
                    folder=str(folder),
                    error=str(error),
                    consequence="this folder does not count for the free space",
                    remedy="check that the folder exists and can be read",
                )
        return min(found, default=None)


def _report_change(level: DiskLevel, free: int) -> None:
    if level is DiskLevel.ENOUGH:
        _log.info("disk_has_space_again", free_bytes=free)
        return
    consequence = {
        DiskLevel.ALARM: "recordings stop next",
        DiskLevel.NO_RECORDINGS: "calls are not recorded",
        DiskLevel.NO_CALLS: "new calls are refused, except to emergency numbers",
    }[level]
    _log.error(
        "disk_nearly_full",
        level=level.name.lower(),
        free_bytes=free,
        consequence=consequence,
        remedy="free space in the data folder, or give accounts a shorter retention: `trunkline retention`",
    )
