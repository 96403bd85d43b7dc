"""The order in which the signals of the engine are handled, and the position from which a restart reads them again.

Registrations go to the recorder and the indicator of messages, failed logins to the login guard, all others to the
switch. After each connect to the engine a recovery comes first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import psycopg

from trunkline.calls.switch import recovery
from trunkline.calls.switch.login_guard import LoginGuard
from trunkline.calls.switch.lost_signals import PERIOD_SECONDS, LostSignals
from trunkline.calls.switch.registration_recorder import RegistrationRecorder
from trunkline.calls.switch.switch import Switch
from trunkline.calls.switch.unlisted_carriers import UnlistedCarriers
from trunkline.core.clock import Instant
from trunkline.core.errors import DatabaseUnavailable, EngineError
from trunkline.core.log import get_logger
from trunkline.db.pool import Database, log_cause
from trunkline.directory.live.snapshot import DirectorySnapshot
from trunkline.roles.configuration import EngineConfigurator
from trunkline.roles.health import StartPhases
from trunkline.roles.signal_path import PathState, SignalPath
from trunkline.telephony.engine import AsteriskEngine
from trunkline.telephony.port import (
    EngineDown,
    EngineUp,
    HeartbeatReturned,
    LoginFailed,
    Registered,
    RequestFlood,
    Signal,
    Survey,
    Unidentified,
    Unregistered,
)
from trunkline.voicemail.indications import MessageIndicator

_log = get_logger("roles")

SURVEY_RETRY_SECONDS = 0.1
SURVEY_RETRIES = 3

REPLAYED_SECONDS = 5.0
"""How long after a recovery signals may come that waited during it."""

OFFERED_PERIOD_SECONDS = 0.5
"""Between two checks whether Asterisk has begun to offer new calls."""
UNOFFERED_READ_AFTER_SECONDS = (1.0, 5.0)
"""Pauses before the log is read for calls that ended before; what waited in the dialplan enters Stasis within half a
second."""

REGISTRATIONS_SETTLE_SECONDS = 2.0
"""Between two checks whether Asterisk has listed all registrations, from the first recovery on; until then no line counts as
offline."""


class SignalFollower:
    """Passes the signals of the engine on; recovers first after each connect.

    :param position: up to which a former switch handled all signals and wrote their events.
    :param alive_at: when a former switch was connected to the engine for the last time.
    """

    def __init__(
        self,
        db: Database,
        engine: AsteriskEngine,
        switch: Switch,
        recorder: RegistrationRecorder,
        guard: LoginGuard,
        unlisted: UnlistedCarriers,
        indicator: MessageIndicator,
        snapshot: DirectorySnapshot,
        configuration: EngineConfigurator,
        position: Instant | None,
        alive_at: Instant | None,
        phases: StartPhases,
    ) -> None:
        self._phases = phases
        self._db = db
        self._engine = engine
        self._switch = switch
        self._recorder = recorder
        self._guard = guard
        self._unlisted = unlisted
        self._indicator = indicator
        self._snapshot = snapshot
        self._configuration = configuration
        self._position = position
        self._alive_at = alive_at
        self._recovery: recovery.Recovery | None = None
        self._recovered_at = Instant(0.0)
        self._first = True
        self.path: SignalPath | None = None
        """Gets each signal; with it the first heartbeat returns only after the first recovery."""
        self.is_recovering = False
        self._last_recovery: recovery.Recovery | None = None
        self._offered_at = Instant(0.0)
        """When Asterisk offered new calls, as far as is known."""

    async def run(self) -> None:
        async for signal in self._engine.signals():
            self._handle_safely(self._recorder.handle, signal)
            self._handle_safely(self._indicator.handle, signal)
            if self.path is not None and not (self._first and isinstance(signal, HeartbeatReturned)):
                self.path.note(signal)
            match signal:
                case EngineUp():
                    self._configuration.check()
                    self.is_recovering = True
                    await self._recover()
                    self.is_recovering = False
                case LoginFailed():
                    self._handle_safely(self._guard.handle, signal)
                case RequestFlood():
                    self._handle_safely(self._guard.handle_flood, signal)
                case Unidentified():
                    self._handle_safely(self._unlisted.handle, signal)
                case EngineDown():
                    if not self._first:
                        self._alive_at = signal.at
                    _log.error(
                        "engine_unavailable",
                        consequence="calls continue in Asterisk if it runs; the switch reconnects",
                        remedy="see logs/asterisk.log and logs/supervisor.log if this lasts for a minute",
                    )
                case _ if self._recovery is not None and self._recovery.was_replayed(signal):
                    pass
                case _:
                    self._switch.handle(signal)
                    self._handled(signal)

    def _handle_safely(self, handle: Callable[[Any], None], signal: Signal) -> None:
        """What goes wrong with one signal does not end the process."""
        try:
            handle(signal)
        except Exception as error:
            self._engine.add_bad_message("signal", signal, error)

    def _handled(self, signal: Signal) -> None:
        """Move the position: what comes after a restart is read from the CEL log from there."""
        if isinstance(signal, Registered | Unregistered | LoginFailed | Unidentified | RequestFlood):
            return
        until = self._switch.handled_until
        if until is None or signal.at > until:
            self._switch.handled_until = signal.at
            if self._recovery is not None and signal.at > self._recovered_at + REPLAYED_SECONDS:
                self._recovery = None

    def engine_alive(self) -> Instant | None:
        """Now, while the calls of this switch are those of Asterisk and its signals arrive; None otherwise.

        A call whose end is not known was up at this moment.
        """
        is_ready = self.path is not None and self.path.state is PathState.READY
        return Instant(time.time()) if is_ready and self.is_certain() else None

    def is_certain(self) -> bool:
        """Whether the calls of the switch are those of Asterisk: all signals are handled."""
        is_late = self._first or self.is_recovering or self._engine.signals_waiting > 0
        return self._engine.is_connected and not is_late

    async def find_lost_signals(self) -> None:
        """Compare live calls with Asterisk's channels now and then, and recover when signals were lost."""
        lost_signals = LostSignals(self._switch.has_pending_effects)
        while True:
            await asyncio.sleep(PERIOD_SECONDS)
            is_late = self.is_recovering or self._engine.signals_waiting > 0
            if is_late or not self._engine.is_connected or not self._switch.sessions:
                lost_signals.forget()
                continue
            listed_at = Instant(time.time())
            try:
                there = await self._engine.answered_channels()
            except EngineError as error:
                _log.debug("lost_signals_not_searched", calls=len(self._switch.sessions), error=str(error))
                lost_signals.forget()
                continue
            lost = lost_signals.check(self._switch.sessions.values(), there, listed_at)
            for session in lost_signals.without_effect(lost):
                _log.error(
                    "lost_call_ended",
                    account_id=session.account_id,
                    call_session_id=session.call_session_id,
                    reason="a comparison with Asterisk did not correct it",
                    consequence="the call is closed with the reason internal_error",
                    remedy="report the lines of this call: trunkline tail --call",
                )
                self._switch.end_lost(session)
            lost = [session for session in lost if session.call_session_id in self._switch.sessions]
            if not lost:
                continue
            _log.error(
                "signals_lost",
                calls=len(lost),
                first=lost[0].call_session_id,
                reason="channels were answered or ended and Asterisk did not report it",
                consequence="the calls are corrected by the CEL log",
                remedy="report this line if it is repeated",
            )
            since = min(session.signalled_at for session in lost)
            until = self._switch.handled_until
            self._switch.handled_until = since if until is None else min(until, since)
            lost_signals.forget()
            self._engine.resynchronise(f"signals of {len(lost)} calls were lost")

    async def find_unoffered_calls(self) -> None:
        """Make the calls that came while Asterisk did not offer new calls, and ended before it did again.

        They waited in the dialplan: after the log was read for a recovery, or during an interruption of the readiness. The
        log may be late, so it is read twice.
        """
        times = 0
        while True:
            await asyncio.sleep(OFFERED_PERIOD_SECONDS)
            if self._last_recovery is None or self.is_recovering or not self._engine.is_connected:
                continue
            if self._engine.times_offered == times:
                if self._engine.is_offering:
                    self._offered_at = Instant(time.time())
                continue
            times, since = self._engine.times_offered, Instant(self._offered_at - recovery.NEW_SECONDS)
            for seconds in UNOFFERED_READ_AFTER_SECONDS:
                await asyncio.sleep(seconds)
                await self._catch_up_ended(since)

    async def _catch_up_ended(self, since: Instant) -> None:
        last = self._last_recovery
        try:
            logged = await self._engine.logged_since(since)
            ended = await recovery.ended_channels(self._db, self._switch, logged)
        except (OSError, DatabaseUnavailable, psycopg.Error) as error:
            _log.warning(
                "unoffered_calls_not_read",
                cause=log_cause(error),
                error=str(error),
                consequence="calls that came and ended while Asterisk did not offer calls to the switch may have no row",
                remedy="check PostgreSQL, the disk and the permissions of the data folder",
            )
            return
        for channel in ended:
            self._switch.remember_ended(channel)
        if last is not None and last is self._last_recovery and (count := last.catch_up_ended(logged)):
            _log.info(
                "unoffered_calls_found", calls=count, reason="they ended before the switch was offered calls"
            )

    async def _recover(self) -> None:
        if self._first:
            self._phases.done("engine_connected")
            for session, events in await recovery.open_sessions(self._db, self._switch.node):
                self._switch.restore(session, events)
        position = self._switch.handled_until or self._position
        survey = await self._survey(position if position is not None else Instant(time.time()))
        if survey is None:
            return  # the engine disconnected again; its return restarts this
        if self._first:
            # From now on this process has the list of ended calls itself, also while the database is unavailable.
            for channel in await recovery.ended_channels(self._db, self._switch, survey.missed):
                self._switch.remember_ended(channel)
            # Calls that wait are decided now: a line without a device is offline, and is not dialled.
            self._switch.presence.registrations_known = self._engine.has_all_devices
        self._recovery = recovery.Recovery(self._switch, self._snapshot.current, survey, self._alive_at)
        self._last_recovery, self._offered_at = self._recovery, survey.at
        self._recovery.run()
        self._recovered_at = self._switch.handled_until = survey.at
        if self._first:
            self._first = False
            self._phases.done("recovery")
            if self._switch.queues is not None:
                self._switch.queues.recovered()
            if self._switch.dialer is not None:
                self._switch.dialer.recovered()
            self._recorder.mark_all()
            asyncio.get_running_loop().call_later(REGISTRATIONS_SETTLE_SECONDS, self._settled)

    async def _survey(self, position: Instant) -> Survey | None:
        """What is there now, looked at once more while the CEL log may be late."""
        since, retries = recovery.log_start(self._switch.sessions.values(), position), 0
        failure = ""
        while True:
            try:
                survey = await self._engine.survey(since)
            except EngineError as error:
                if str(error) != failure:
                    failure = str(error)
                    _log.warning(
                        "survey_failed",
                        error=failure,
                        consequence="repeated until Asterisk lists its channels; until then the switch controls no call",
                    )
                if not self._engine.is_connected:
                    return None  # its return restarts this
                await asyncio.sleep(0.25)
                continue
            if retries > SURVEY_RETRIES or not recovery.has_unlogged_end(self._switch, survey):
                return survey
            if retries == SURVEY_RETRIES:
                start = recovery.start_of_ends(self._switch, survey)
                if start is None or start >= since:
                    return survey
                since = start
            retries += 1
            await asyncio.sleep(SURVEY_RETRY_SECONDS)

    def _settled(self) -> None:
        if self._engine.has_all_devices:
            self._switch.presence.registrations_known = True
        else:
            asyncio.get_running_loop().call_later(REGISTRATIONS_SETTLE_SECONDS, self._settled)
