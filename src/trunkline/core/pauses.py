"""How long this process did not run: stopped by a signal, on a suspended machine, or without a processor.

Time limits pass meanwhile, and the other side gives up, so what failed then says nothing of the other side.
"""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Self

_PERIOD = 0.25


class Pauses:
    """Measures the pauses of the event loop during a ``with`` block, longer than a quarter of a second."""

    def __init__(self) -> None:
        self._paused = 0.0
        self._last = _now()
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._last = _now()
        self._timer = asyncio.get_running_loop().call_later(_PERIOD, self._tick)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()

    @property
    def seconds(self) -> float:
        """All pauses together."""
        return self._paused + self._present()

    def _present(self) -> float:
        late = _now() - self._last - _PERIOD
        return late if late > _PERIOD else 0.0

    def _tick(self) -> None:
        self._paused += self._present()
        self._last = _now()
        self._timer = asyncio.get_running_loop().call_later(_PERIOD, self._tick)


def _now() -> float:
    """Seconds since boot, also those for which the machine was suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
