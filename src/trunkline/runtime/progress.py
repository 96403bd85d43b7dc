"""Progress reports of long set-up steps."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO


@dataclass(frozen=True)
class Step:
    """The progress of a set-up step.

    :ivar what: a phrase, ``fetching Asterisk``.
    :ivar done, total: how far it is, in ``unit``; ``total`` 0 means unknown.
    :ivar unit: ``packages``, ``MB``, or empty.
    """

    what: str
    done: float = 0
    total: float = 0
    unit: str = ""

    def __str__(self) -> str:
        if not self.total:
            return self.what
        form = ".1f" if self.unit == "MB" else ".0f"
        return f"{self.what}: {self.done:{form}} of {self.total:{form}} {self.unit}"


Progress = Callable[[Step], None]
"""Called from the thread that does the work; must not block."""


def silent(_step: Step) -> None:
    """For callers that do not show progress."""


class PrintedProgress:
    """Writes progress to a stream: a rewritten line on a terminal, else a line per step and every 10 s.

    :param stream: default standard error, so that the output of a command stays clean.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._last_what = ""
        self._last_at = 0.0

    def __call__(self, step: Step) -> None:
        now = time.monotonic()
        fresh = step.what != self._last_what
        finished = bool(step.total) and step.done >= step.total
        if self._live:
            if fresh and self._last_what:
                self._stream.write("\n")
            self._stream.write(f"\r\x1b[2K  {step}")
        elif fresh or finished or now - self._last_at > 10:
            self._stream.write(f"  {step}\n")
        else:
            return
        self._last_what, self._last_at = step.what, now
        self._stream.flush()

    def close(self) -> None:
        """End the rewritten line, so that what follows starts on its own."""
        if self._live and self._last_what:
            self._stream.write("\n")
            self._stream.flush()
