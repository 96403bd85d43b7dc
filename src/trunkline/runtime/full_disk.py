"""Asterisk refuses new calls on a full disk also while no switch runs.

On a full disk PostgreSQL and the switch may not start, and the calls that Asterisk connects by itself could not be stored.
The supervisor, which needs no disk, measures the free space and sets a global variable of the dialplan. It is not kept
over a restart of Asterisk, nor over a reload of its dialplan, so it is set again at each check while the disk is full.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from trunkline.core.disk import DiskLevel, Probe, free_bytes, level_of
from trunkline.core.settings import DiskSettings


class FullDiskGuard:
    """Sets the variable while the disk is full.

    :param folders: may be on disks of their own; the fullest one counts.
    :param set_variable: sets the variable in Asterisk, "1" or ""; raises OSError while Asterisk does not respond.
    :param say: gets a line when the state changes.
    :param reserve: called at each check while the disk is not full: reserves what Asterisk needs when it is.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        settings: DiskSettings,
        set_variable: Callable[[str], None],
        say: Callable[[str], None],
        probe: Probe = free_bytes,
        reserve: Callable[[], None] = lambda: None,
    ) -> None:
        self._probe = probe
        self._reserve = reserve
        self._folders, self._settings = folders, settings
        self._set_variable, self._say = set_variable, say
        self._level = DiskLevel.ENOUGH
        self._is_set = False
        """Whether Asterisk may have the variable."""

    async def run(self) -> None:
        """Check until cancelled; no error ends it."""
        last = ""
        while True:
            try:
                await asyncio.to_thread(self.check)
            except Exception as error:
                if repr(error) != last:
                    self._say(f"the disk was not checked: {error!r}; it is tried again")
                last = repr(error)
            await asyncio.sleep(self._settings.period)

    def check(self) -> None:
        """Check the disk, and set or remove the variable. Blocks; raises nothing: it is tried again at the next check."""
        free = [found for folder in self._folders if (found := self._free(folder)) is not None]
        if not free:
            return
        before, self._level = self._level, level_of(min(free), self._settings, self._level)
        is_full = self._level is DiskLevel.NO_CALLS
        if not is_full:
            self._reserve()
        if is_full and before is not DiskLevel.NO_CALLS:
            self._say(
                f"the disk is full ({min(free) // 1_000_000} MB are free):"
                " new calls are refused, except to emergency numbers"
            )
        if is_full or self._is_set:
            self._is_set = True
            try:
                self._set_variable("1" if is_full else "")
            except OSError:
                return  # Asterisk is being started
            self._is_set = is_full

    def _free(self, folder: Path) -> int | None:
        try:
            return self._probe(folder)
        except OSError:
            return None
