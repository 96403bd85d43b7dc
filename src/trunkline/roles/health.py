"""What a role reports on itself: ready, not ready and why, alive. One JSON object a line, on standard output.

::

    {"ready": "switch"}                                  it can do its work (again)
    {"not_ready": "switch", "reason": "..."}             it cannot, since now
    {"alive": "switch"}                                  every few seconds, if somebody reads it: its event loop turns

The supervisor shows the first two in ``trunkline status``, and starts a process again that reports nothing any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
from collections.abc import AsyncIterator

from trunkline.core.tasks import core_task

ALIVE_SECONDS = 10.0
"""From one sign that the event loop turns to the next."""


class Health:
    """Reports of one process.

    :param role: its name.
    :param is_watched: a supervisor reads the reports.
    """

    def __init__(self, role: str, *, is_watched: bool) -> None:
        self._role = role
        self._is_watched = is_watched
        self._was_ready = False

    def ready(self) -> None:
        """The process can do its work."""
        if not self._was_ready:
            self._was_ready = True
            # What is there now stays: looking through it again and again would hold up calls.
            gc.collect()
            gc.freeze()
        _say({"ready": self._role})

    def not_ready(self, reason: str) -> None:
        """The process cannot do its work now.

        :param reason: what is missing, for the reader of ``trunkline status``.
        """
        if self._was_ready:
            _say({"not_ready": self._role, "reason": reason})

    @contextlib.asynccontextmanager
    async def reported(self) -> AsyncIterator[None]:
        """Report for the time of the block that the event loop turns."""
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
            _say({"alive": self._role})


def _say(report: dict[str, str]) -> None:
    print(json.dumps(report), flush=True)  # noqa: T201
