"""Checks that signals of the engine arrive: a heartbeat through Asterisk and back over both event streams.

An open connection may be silent, or its reader may have stopped. So the switch periodically requests an event from Asterisk
and expects it on the path of all signals. Without it the switch is not ready; connections that stay silent are reconnected;
if that does not help although Asterisk is connected, the process exits and is restarted.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from trunkline.core.errors import EngineError, EngineUnavailable
from trunkline.core.log import get_logger
from trunkline.telephony.port import HeartbeatReturned, Signal

PERIOD_SECONDS = 2.0
"""From the return of a heartbeat to the next one."""

HEARTBEAT_TIMEOUT_SECONDS = 4.0
"""A heartbeat that has not returned by then makes the switch not ready."""

RECONNECT_SECONDS = 10.0
"""After so long without a heartbeat the connections that do not return it are reconnected; again after each such time.
The event stream of calls is kept while it delivers other signals: a busy switch is only late."""

EXIT_SECONDS = 45.0
"""After so long without a heartbeat, while Asterisk is connected and sends nothing else, the process ends."""

RETRY_SECONDS = 0.1
"""Until the next heartbeat when one failed at once: Asterisk may be back at any moment."""

RECOVERY_SECONDS = 120.0
"""In place of ``EXIT_SECONDS`` while the switch compares many calls with the engine, or works off many signals."""

_SENT_MAX = 2000
"""Heartbeats that may yet return, of many minutes."""

_log = get_logger("roles")


class SignalPathBroken(Exception):  # noqa: N818 - what happened
    """Asterisk is connected, but its signals do not arrive."""


class PathState(StrEnum):
    STARTING = "starting"
    """No heartbeat has returned yet."""
    READY = "ready"
    SILENT = "silent"
    """The heartbeat does not return in time."""


class Step(StrEnum):
    """What to do about a heartbeat that does not return."""

    WAIT = "wait"
    RECONNECT = "reconnect"
    EXIT = "exit"


@dataclass(slots=True)
class Watch:
    """How long signals have been missing, and what follows. Pure: times are given, in seconds of one clock."""

    returned_at: float
    """When the last heartbeat returned; at first, when the watch began."""
    signal_at: float = 0.0
    """When the last signal of any kind arrived."""
    reconnected_at: float = 0.0

    def step(self, now: float, *, connected: bool, recovering: bool) -> Step:
        """What to do now.

        :param connected: both connections to Asterisk are open; otherwise they are being reconnected already.
        :param recovering: the switch compares its calls with the engine and handles no signals meanwhile.
        """
        silent = now - max(self.returned_at, self.signal_at)
        most = RECOVERY_SECONDS if recovering else EXIT_SECONDS
        if connected and (silent > most or now - self.returned_at > RECOVERY_SECONDS):
            return Step.EXIT
        waited = now - max(self.returned_at, self.reconnected_at)
        if connected and not recovering and waited > RECONNECT_SECONDS:
            self.reconnected_at = now
            return Step.RECONNECT
        return Step.WAIT

    def is_silent(self, now: float) -> bool:
        """Whether no signal of any kind has arrived for ``RECONNECT_SECONDS``."""
        return now - max(self.returned_at, self.signal_at) > RECONNECT_SECONDS


class _Engine(Protocol):
    async def heartbeat(self, token: str) -> None: ...

    def reconnect(self, reason: str, *, calls: bool) -> None: ...

    @property
    def is_up(self) -> bool: ...

    @property
    def missing(self) -> str: ...


class SignalPath:
    """Sends heartbeats and judges their return.

    :param changed: called with None when the path is ready again, with the reason when it is not.
    :param recovering: whether the switch compares its calls with the engine now.
    """

    def __init__(
        self,
        engine: _Engine,
        changed: Callable[[str | None], None],
        recovering: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state = PathState.STARTING
        self.reason = "no heartbeat has returned from Asterisk yet"
        self._engine = engine
        self._changed = changed
        self._recovering = recovering
        self._clock = clock
        self._watch = Watch(clock())
        self._tokens = itertools.count(1)
        self._expected = ""
        self._sent: deque[str] = deque(maxlen=_SENT_MAX)
        """Heartbeats that have not returned, the last one included."""
        self._returned = asyncio.Event()

    def note(self, signal: Signal) -> None:
        """A signal arrived where all signals arrive."""
        self._watch.signal_at = self._clock()
        if not isinstance(signal, HeartbeatReturned) or signal.token not in self._sent:
            return
        # One that returns too late shows that the path works and that signals wait: a new process would have more to do.
        self._watch.returned_at = self._clock()
        while self._sent.popleft() != signal.token:
            pass
        if signal.token == self._expected:
            self._returned.set()

    def status(self) -> dict[str, object]:
        """For ``trunkline status``: state, reason if it is not ready, seconds since the last heartbeat returned."""
        return {
            "state": self.state,
            "reason": None if self.state is PathState.READY else self.reason,
            "heartbeat_age": round(self._clock() - self._watch.returned_at, 1),
        }

    async def run(self) -> None:
        """Send heartbeats until cancelled. :class:`SignalPathBroken` when only a new process can help."""
        while True:
            failure = await self._send_heartbeat()
            if failure is None:
                self._set(PathState.READY, "")
                await asyncio.sleep(PERIOD_SECONDS)
                continue
            self._set(PathState.SILENT, failure)
            match self._watch.step(
                self._clock(), connected=self._engine.is_up, recovering=self._recovering()
            ):
                case Step.RECONNECT:
                    self._engine.reconnect(failure, calls=self._watch.is_silent(self._clock()))
                case Step.EXIT:
                    raise SignalPathBroken(failure)
                case Step.WAIT:
                    await asyncio.sleep(RETRY_SECONDS)

    async def _send_heartbeat(self) -> str | None:
        """Send one heartbeat; returns why it failed, None when it returned in time."""
        self._expected = f"{next(self._tokens)}"
        self._sent.append(self._expected)
        self._returned.clear()
        try:
            async with asyncio.timeout(HEARTBEAT_TIMEOUT_SECONDS):
                await self._engine.heartbeat(self._expected)
                await self._returned.wait()
        except TimeoutError:
            return f"the heartbeat does not return by {self._engine.missing or 'the switch'}"
        except EngineUnavailable:
            return f"Asterisk is not connected by {self._engine.missing or 'its interfaces'}"
        except EngineError as error:
            return f"Asterisk does not carry out the heartbeat: {error.message}"
        return None

    def _set(self, state: PathState, reason: str) -> None:
        if self.state is PathState.STARTING and state is PathState.SILENT:
            self.reason = reason
            return
        if (state, reason) == (self.state, self.reason):
            return
        changed, self.state, self.reason = state is not self.state, state, reason
        if state is PathState.READY:
            _log.info("signal_path_ready")
            self._changed(None)
        elif changed:
            _log.error(
                "signal_path_silent",
                reason=reason,
                consequence="calls continue in Asterisk if it runs; the switch reconnects",
                remedy="see logs/asterisk.log if this lasts for a minute",
            )
            self._changed(reason)
