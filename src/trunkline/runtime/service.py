"""What a supervised process is, as a value; and the pure rule of how long to wait before its next start."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from trunkline.runtime.program import Program


class ServiceState(StrEnum):
    """The state of a supervised process."""

    WAITING = "waiting"
    """Its turn has not come."""
    STARTING = "starting"
    READY = "ready"
    NOT_READY = "not_ready"
    """It runs, but reports that it cannot do its work now, with a ``reason``."""
    NOT_RESPONDING = "not_responding"
    """It runs and was ready, but is stopped or has not reported for some seconds; only in ``trunkline status``."""
    BACKING_OFF = "backing_off"
    """It ended unasked and is started again in a moment."""
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Report:
    """A health report in a line of a process's output.

    :ivar ready: True once it can do its work, False when it no longer can; None: a heartbeat.
    :ivar reason: why it is not ready.
    """

    ready: bool | None
    reason: str = ""


def _nothing() -> None:
    """For services that need no preparation."""


def _nothing_of(_pid: int) -> None:
    """For services that need nothing more once they are ready."""


@dataclass(frozen=True)
class Service:
    """A process to be kept running.

    :ivar name: of the process, its log file and its pid file.
    :ivar program: created for every start.
    :ivar needs: names of services that must be ready before its first start.
    :ivar prepare: called in a thread before every start; what it raises ends the bring-up.
    :ivar once_ready: called in a thread after it became ready for the first time, before those that need it start.
    :ivar each_ready: called in a thread with its pid each time it became ready; returns a line for the terminal, or None.
    :ivar is_ready_line: recognises the line of output that reports readiness; None: use ``probe``.
    :ivar report_of: reads the lines by which it reports on itself after that; None for other lines.
    :ivar silent_seconds: killed and started again when it has made no report for so long; None: it makes none.
    :ivar probe: called in a thread some times a second until it returns True.
    :ivar ready_seconds: killed and started again when not ready by then, unless it reports or may start slowly.
    :ivar may_start_slowly: never killed because it is not ready, as a database that replays its log.
    :ivar stop_seconds: killed when still there so long after ``stop_signal``.
    :ivar limits_lines: leave out lines of its log that are repeated for each packet (:mod:`trunkline.runtime.line_limit`).
    :ivar version: for ``trunkline status``.
    :ivar has_standby: keep a second process that has loaded the program and starts when the first one ends
        (:mod:`trunkline.runtime.standby`).
    """

    name: str
    program: Callable[[], Program]
    needs: Sequence[str] = ()
    prepare: Callable[[], None] = _nothing
    once_ready: Callable[[], None] = _nothing
    each_ready: Callable[[int], str | None] = _nothing_of
    is_ready_line: Callable[[str], bool] | None = None
    report_of: Callable[[str], Report | None] | None = None
    silent_seconds: float | None = None
    probe: Callable[[], bool] | None = None
    ready_seconds: float = 60
    may_start_slowly: bool = False
    limits_lines: bool = False
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 15
    version: str = ""
    has_standby: bool = False


@dataclass(frozen=True)
class ServiceStatus:
    """The state of a service. ``restarts`` counts the starts after the first; ``reason`` is set when it is not ready.
    ``has_standby``: a second process waits to be started."""

    name: str
    state: ServiceState
    pid: int | None
    restarts: int
    version: str
    reason: str = ""
    has_standby: bool = False


class Backoff:
    """Seconds to wait before the next start: doubling while starts fail, from the beginning once one lasted.

    :param first: the shortest wait.
    :param most: the longest after a process that was not ready.
    :param most_ready: the longest after one that was: what it serves waits for it, and it can start.
    :param healthy: a process that was ready and lived so long was fine.
    """

    def __init__(
        self, first: float = 0.2, most: float = 10, most_ready: float = 0.8, healthy: float = 5
    ) -> None:
        self._first, self._most, self._most_ready, self._healthy = first, most, most_ready, healthy
        self._next = first

    def after(self, lived: float, *, was_ready: bool) -> float:
        """The wait after a process that lived so many seconds."""
        if was_ready and lived >= self._healthy:
            self._next = self._first
        wait = min(self._next, self._most_ready if was_ready else self._most)
        self._next = wait * 2
        return wait
