"""A clock that shows Unix time and never jumps (2.1)."""

from __future__ import annotations

import time
from collections.abc import Callable

from trunkline.core.clock import Instant


class SteadyClock:
    """The wall clock at the start, and from then on the monotonic one: a correction of the wall clock changes no waiting
    time.

    :param wall: Unix seconds.
    :param monotonic: seconds that never jump.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._monotonic = monotonic
        self._offset = wall() - monotonic()

    def __call__(self) -> Instant:
        return Instant(self._monotonic() + self._offset)
