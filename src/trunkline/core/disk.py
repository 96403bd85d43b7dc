"""How full the disk of the data folder is: measured periodically, kept in memory.

Three thresholds: an alarm, no more recordings, no new calls. A level is left only when a tenth more is free than its
threshold, so that it does not change back and forth.
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

NOT_RECORDED = "not recorded: the disk is nearly full"
"""Why there is no recording, in ``recordings.failure``."""

Probe = Callable[[Path], int]
"""Bytes that may still be written where a folder is."""

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
    """

    def __init__(
        self,
        folders: Sequence[Path],
        settings: DiskSettings,
        *,
        changed: Changed | None = None,
        probe: Probe = free_bytes,
    ) -> None:
        self._folders = tuple(folders)
        self._settings = settings
        self._changed = changed
        self._probe = probe
        self.level = DiskLevel.ENOUGH
        self.free = 0
        """Bytes that were free at the last look."""

    async def run(self) -> None:
        """Check the disks until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self._settings.period)

    async def look(self) -> DiskLevel:
        """Check the disks now."""
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
        return level

    def _free(self) -> int | None:
        found = []
        for folder in self._folders:
            try:
                found.append(self._probe(folder))
            except FileNotFoundError:
                continue
            except OSError as error:
                _log.warning("disk_not_readable", folder=str(folder), error=str(error))
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
