"""A timeout for the response of another process that counts only while this process runs.

A process that was stopped (SIGSTOP, a debugger, a machine without a free processor) finds the timers of its waiting requests
elapsed before it has read the responses that came meanwhile. An ordinary timeout takes each of them for missing.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

LATE_SECONDS = 1.0
"""A timer that is called so much later shows that the process did not run: the time counts again from then on."""


class ResponseTimeout:
    """An async context manager that raises :class:`TimeoutError` when its block takes longer than ``seconds``."""

    __slots__ = ("_due", "_loop", "_scope", "_seconds", "_timer")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._scope = asyncio.timeout(None)

    async def __aenter__(self) -> Self:
        await self._scope.__aenter__()
        self._loop = asyncio.get_running_loop()
        self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        await self._scope.__aexit__(kind, error, trace)

    def _start(self) -> None:
        self._due = self._loop.time() + self._seconds
        self._timer = self._loop.call_at(self._due, self._elapsed)

    def _elapsed(self) -> None:
        if self._loop.time() - self._due > LATE_SECONDS:
            self._start()
        else:
            self._scope.reschedule(self._loop.time())
