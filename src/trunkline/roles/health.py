"""Health reports of a role: ready, not ready with a reason, alive. One JSON object per line, on standard output.

::

    {"ready": "switch"}                                  it can do its work (again)
    {"not_ready": "switch", "reason": "..."}             it cannot, since now
    {"alive": "switch"}                                  every few seconds, if a supervisor reads it: its event loop runs

The supervisor shows the first two in ``trunkline status``, and restarts a process that stops reporting.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import time
from collections.abc import AsyncIterator

from trunkline.core.log import get_logger
from trunkline.core.tasks import core_task
from trunkline.runtime.priority import lower_priority

ALIVE_SECONDS = 3.0
"""Seconds between two ``alive`` reports. ``trunkline status`` shows a role that makes none for several of them."""


class StartPhases:
    """How long the parts of a start take, for the log line ``started``.

    :param began: when the start began, in seconds of ``time.monotonic()``.
    """

    def __init__(self, began: float) -> None:
        self._began = self._last = began
        self._milliseconds: dict[str, int] = {}

    def done(self, name: str) -> None:
        """A phase has ended; it began where the last one ended."""
        now = time.monotonic()
        self._milliseconds[name] = round((now - self._last) * 1000)
        self._last = now

    def log(self, *, was_standby: bool) -> None:
        """Write the line: milliseconds of each phase, and in all."""
        total = round((self._last - self._began) * 1000)
        # The logger is made here: the entry point imports this module before it configures the log.
        get_logger("roles").info(
            "started", total_ms=total, phases_ms=self._milliseconds, was_standby=was_standby
        )


class Health:
    """Reports of one process.

    :param role: its name.
    :param is_watched: a supervisor reads the reports.
    :param phases: of the start, which the first report of readiness ends.
    :param was_standby: the process had loaded its program before it was started.
    :param niceness: of the process from the end of its start. Not before: at a low priority a start takes minutes on a busy
        machine, and what the process does waits for it after a restart.
    """

    def __init__(
        self, role: str, *, is_watched: bool, phases: StartPhases, was_standby: bool, niceness: int = 0
    ) -> None:
        self.phases = phases
        self.was_standby = was_standby
        self._role = role
        self._is_watched = is_watched
        self._niceness = niceness
        self.was_ready = False
        """Whether it could once: its start is over."""
        self.is_ready = False
        """Whether the process can do its work now."""
        self.reason = "the process starts"
        """Why not, when it cannot."""

    def ready(self) -> None:
        """The process can do its work."""
        self.is_ready = True
        if not self.was_ready:
            self.was_ready = True
            # Objects that exist now are permanent; scanning them again and again would delay calls.
            gc.collect()
            gc.freeze()
            self.phases.done("readiness")
            self.phases.log(was_standby=self.was_standby)
            if self._niceness:
                lower_priority(self._niceness)
        _print({"ready": self._role})

    def not_ready(self, reason: str) -> None:
        """The process cannot do its work now.

        :param reason: what is missing, for the reader of ``trunkline status``.
        """
        self.is_ready, self.reason = False, reason
        if self.was_ready:
            _print({"not_ready": self._role, "reason": reason})

    @contextlib.asynccontextmanager
    async def reported(self) -> AsyncIterator[None]:
        """Report for the time of the block that the event loop runs."""
        if not self._is_watched:
            yield
            return
        task = core_task(self._report(), name="alive")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(ALIVE_SECONDS)
            _print({"alive": self._role})


def _print(report: dict[str, str]) -> None:
    print(json.dumps(report), flush=True)  # noqa: T201
