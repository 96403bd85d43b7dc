"""The switch: owns the live calls of one node. It finds the call of each input, applies the rules, and passes on what they
decide.

Signals of the engine, timers and commands of the APIs are inputs. Each runs the rules from beginning to end without awaiting
anything, in one event loop: so sessions need no lock. Effects, writes to the database and the rest of a command run
concurrently with them. There is no SQL between an INVITE and ringing.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import orjson

from trunkline.calls import rules
from trunkline.calls.decision import Decision
from trunkline.calls.effects import Answer, Effect, Hangup
from trunkline.calls.flows import (
    consultation,
    engine_connect,
    recording,
)
from trunkline.calls.records.event_writer import EventWriter
from trunkline.calls.rules import CallSignal
from trunkline.calls.session import Phase, Session
from trunkline.calls.switch.arrivals import Arrivals
from trunkline.calls.switch.call_timers import CallLater, CallTimers
from trunkline.calls.switch.channel_admission import ChannelAdmission
from trunkline.calls.switch.command_handler import CommandHandler, SaveContact
from trunkline.calls.switch.dialer import Dialer
from trunkline.calls.switch.executor import EffectExecutor, EffectOutcome
from trunkline.calls.switch.live_context import PARKING_SECONDS, LiveContext
from trunkline.calls.switch.number_chooser import NumberChooser
from trunkline.calls.switch.parking import Parking
from trunkline.calls.switch.phone_transfers import PhoneTransfers
from trunkline.calls.switch.pick_ups import PickUps
from trunkline.calls.switch.presence import Presence
from trunkline.calls.switch.queues import CallQueues
from trunkline.calls.switch.silent_devices import SilentDevices
from trunkline.calls.timers import TimerInput
from trunkline.core import metrics, not_recorded
from trunkline.core.clock import Instant
from trunkline.core.disk import DiskLevel
from trunkline.core.errors import (
    EngineError,
    NotFound,
)
from trunkline.core.hangup_causes import NORMAL_CLEARING
from trunkline.core.ids import IdGenerator, id_of_channel
from trunkline.core.log import get_fast_logger, get_logger
from trunkline.directory.live.fingerprint import fingerprint
from trunkline.directory.model import Account, Directory
from trunkline.events.catalogue import KEPT_FIRST, Event, EventType
from trunkline.events.reasons import Reason
from trunkline.telephony.port import (
    Arrived,
    Channel,
    ConnectFinished,
    ConnectResult,
    Ended,
    EngineDown,
    EngineUp,
    HeartbeatReturned,
    KeyPressed,
    LoginFailed,
    Registered,
    RequestFlood,
    Signal,
    TargetStarted,
    TransferAsked,
    Unidentified,
    Unregistered,
)

_log = get_logger("calls")
_fast_log = get_fast_logger("calls")

Clock = Callable[[], float]

PAST_CHANNELS = 20_000


class Switch:
    """Live calls and what may be done with them. All methods are for one event loop; only the coroutines wait."""

    def __init__(
        self,
        *,
        node: int,
        directory: Callable[[], Directory],
        writer: EventWriter,
        executor: Callable[[Switch], EffectExecutor],
        sharing: Callable[[], Mapping[int, frozenset[int]]] = dict,
        disk: Callable[[], DiskLevel] = lambda: DiskLevel.ENOUGH,
        channels_max: int = 0,
        parking_seconds: int = PARKING_SECONDS,
        numbers: NumberChooser | None = None,
        save_contact: SaveContact | None = None,
        clock: Clock = time.time,
        is_fenced: Callable[[], bool] = lambda: False,
        call_later: CallLater | None = None,
    ) -> None:
        """``channels_max``: for how many channels there are media ports; 0 = not known.
        ``is_fenced``: whether another switch has taken the node over. This one does nothing any more then."""
        self.node = node
        self.presence = Presence()
        self.sessions: dict[int, Session] = {}
        self.channels: dict[Channel, Session] = {}
        self.past_channels: dict[Channel, None] = {}
        """Of calls that ended, and those that were refused: the engine may report them again, and none begins a call."""
        self.commanded: set[Channel] | None = None
        """During a recovery: the channels that got a command which a recovery repeats."""
        self._accounts: dict[int, Account] = {}
        self._directory = directory
        self._fingerprints: dict[int, tuple[Account, str]] = {}
        self._disk = disk
        self._parking_seconds = parking_seconds
        self._writer = writer
        self._clock = clock
        self.timers = CallTimers(self._timer_input, clock, call_later)
        self.ignored: Counter[str] = Counter()
        """Inputs that had no meaning in the state of their call, by kind."""
        self._ids = IdGenerator(node, lambda: int(clock() * 1000))
        self._executor = executor(self)
        admission = ChannelAdmission(self.presence, directory, self.sessions.get, channels_max)
        self.commands = CommandHandler(
            self,
            writer=writer,
            executor=self._executor,
            admission=admission,
            disk=disk,
            numbers=numbers,
            save_contact=save_contact,
            clock=clock,
            is_fenced=is_fenced,
        )
        self._phone_transfers = PhoneTransfers(self, self.commands, self._executor, clock)
        self._pick_ups = PickUps(self)
        Parking(self, self.commands, clock)
        self.arrivals = Arrivals(
            self,
            directory=directory,
            sharing=sharing,
            writer=writer,
            executor=self._executor,
            admission=admission,
            disk=disk,
            clock=clock,
        )
        self._silent = SilentDevices(
            directory, lambda line: [device.ip for device in self.presence.devices(line)], clock
        )
        self._executor.admit = admission.admitted
        self._executor.ring_commanded = self.arrivals.ring_commanded
        self.queues: CallQueues | None = None
        """The queues of the accounts; the role sets it. None: calls that enter a queue wait."""
        self.dialer: Dialer | None = None
        """The dialing campaigns; the role sets it. None: no lead is called."""
        self.handled_until: Instant | None = None
        """All of the engine's signals before this time are handled."""
        self.signal_path: Callable[[], dict[str, object]] | None = None
        """Whether the engine's signals arrive; the role sets it."""
        self.bad_engine_messages: Callable[[], dict[str, int]] = dict
        """The engine's messages that could not be handled, by interface; the role sets it."""
        self.spool_error: Callable[[], str | None] = lambda: None
        """Why raw audio cannot be written; the role sets it."""
        self.unrecorded: Mapping[int, str] = {}
        """Accounts whose calls are not recorded now, with the reason, of :mod:`trunkline.core.not_recorded`."""
        self.not_recorded_accounts: Callable[[], dict[str, object]] = dict
        """Accounts that have reached a limit of recordings; the role sets it."""
        self.unknown_channels = 0
        """Channels that were ended because no call contained them."""

    # --- signals of the engine

    def handle(self, signal: Signal) -> None:
        """Handle one signal. An error is logged and does not affect other calls."""
        try:
            self._handle(signal)
        except Exception:
            session = self.channels.get(getattr(signal, "channel", None) or Channel(""))
            _log.exception(
                "signal_failed",
                signal=type(signal).__name__,
                account_id=None if session is None else session.account_id,
                call_session_id=None if session is None else session.call_session_id,
                detail=repr(signal),
                consequence="the call may continue in a wrong state",
                remedy="report this line with its traceback",
            )

    def _handle(self, signal: Signal) -> None:
        match signal:
            case Arrived():
                self.arrivals.arrived(signal)
            case (
                EngineUp()
                | EngineDown()
                | HeartbeatReturned()
                | Registered()
                | Unregistered()
                | LoginFailed()
                | Unidentified()
                | RequestFlood()
            ):
                pass  # handled by presence, the login guard, the carriers, the signal path and recovery
            case TargetStarted():
                self._pick_ups.note(signal)
                session = self.channels.get(signal.dialling)
                if session is not None:
                    self._pass_to_rules(session, signal)
            case _:
                self._pick_ups.note(signal)
                session = self.channels.get(signal.channel)
                if session is not None:
                    self._pass_to_rules(session, signal)

    def _timer_input(self, call_session_id: int, given: TimerInput) -> None:
        """A deadline of a call has passed, or its question has an answer."""
        session = self.sessions.get(call_session_id)
        if session is None:
            return
        try:
            context = self.context_of(session.account_id, session)
            if context is not None:
                self.apply(rules.signal(session, given, context))
        except Exception:
            _log.exception(
                "timer_failed",
                account_id=session.account_id,
                call_session_id=call_session_id,
                detail=repr(given),
                consequence="the call may continue in a wrong state",
                remedy="report this line with its traceback",
            )

    def _pass_to_rules(self, session: Session, signal: CallSignal | Any) -> None:
        if isinstance(signal, TransferAsked):
            self._phone_transfers.asked(session, signal)
            return
        if isinstance(signal, Ended | ConnectFinished) and _follows_from_leaving(session, signal):
            session.held_back.append(signal)
            return
        context = self.context_of(session.account_id, session)
        if context is None:
            return
        self.apply(rules.signal(session, signal, context))
        if isinstance(signal, KeyPressed):
            self.commands.key_pressed(session, signal, context.account)

    def handle_held_back(self, session: Session) -> None:
        """The command after which a party leaves is decided: handle what was held back meanwhile."""
        session.leaving = None
        held_back, session.held_back = session.held_back, []
        for signal in held_back:
            self.handle(signal)

    def hold_back_transfers(self) -> None:
        """Before a recovery, see :meth:`PhoneTransfers.hold_back`."""
        self._phone_transfers.hold_back()

    def resume_transfers(self) -> None:
        """After a recovery, see :meth:`PhoneTransfers.resume`."""
        self._phone_transfers.resume()

    def rejoin(self, session: Session) -> None:
        """The talk was moved under our control for a command that was then refused: it continues in our bridge."""
        context = self.context_of(session.account_id, session)
        if context is not None and session.phase is not Phase.ENDED:
            decision = Decision(session, context, Instant(self._clock()))
            consultation.rejoin(decision)
            self.apply(decision)

    async def command(
        self, account_id: int, name: str, params: dict[str, Any]
    ) -> dict[str, Any] | orjson.Fragment:
        """Execute a command of an API, see :class:`CommandHandler`."""
        return await self.commands.execute(account_id, name, params)

    def account(self, account_id: int) -> Account:
        """:raises NotFound: the account is disabled or does not exist."""
        account = self._directory().accounts.get(account_id)
        if account is None:
            raise NotFound(
                "Your account has been disabled, contact the support service", mnemonic="account_inactive"
            )
        return account

    # --- carrying out

    def apply(self, decision: Decision, outcome: EffectOutcome | None = None) -> None:
        """Keep the session, count, log, write its events, perform its effects.

        :param outcome: receives the results of the effects.
        """
        session = decision.session
        if decision.failure is not None:
            _log.error(
                "rule_failed",
                call_session_id=session.call_session_id,
                account_id=session.account_id,
                consequence="the call was ended",
                remedy="report the traceback and the lines of this call: trunkline tail --call",
                exc_info=decision.failure,
            )
        if session.call_session_id not in self.sessions and session.phase is not Phase.ENDED:
            self.sessions[session.call_session_id] = session
        for event in decision.events:
            if event.type is EventType.LEG_STARTED and event.data["channel"]:
                self.channels[Channel(event.data["channel"])] = session
        try:
            self._count(decision)
        except Exception:  # what was decided is written and carried out nevertheless
            _log.exception(
                "decision_not_counted",
                account_id=session.account_id,
                call_session_id=session.call_session_id,
                consequence="lines and limits may count as used until the switch is restarted; the call goes on",
                remedy="report this line with its traceback",
            )
        self._writer.put(decision.events, self.handled_until)
        if self.commanded is not None:
            self.commanded.update(effect.channel for effect in decision.effects if effect.policy.resumed)
        self._executor.perform(session.call_session_id, decision.effects, outcome, self._kept_first(decision))
        self.timers.keep(session.call_session_id, session.timers)
        for ask in decision.questions:
            self.timers.ask(session.account_id, session.call_session_id, ask)
        if decision.ignored:
            self.ignored.update(decision.ignored)
        if self.queues is not None:
            self._note_for_queues(self.queues, decision)
        if self.dialer is not None:
            self._note_for_dialer(self.dialer, decision)
        if session.phase is Phase.ENDED:
            self._forget(session)
            self._executor.close_bridges(consultation.bridges(session))

    def _kept_first(self, decision: Decision) -> Callable[[], Awaitable[None]] | None:
        """What the effects of a decision wait for; None: they are carried out at once.

        Effects that were carried out are found again by a recovery, and with them most events. A decision that has an event
        of another kind would be lost if this process were killed after its effects and before its events are kept. A call
        that a scenario answers waits, too: its caller, who hears silence without a switch, would have no scenario any more.
        """
        if any(isinstance(effect, Answer) for effect in decision.effects):
            return self._writer.kept_waiter()
        types = {event.type for event in decision.events}
        if EventType.SESSION_STARTED in types or not types & KEPT_FIRST:
            return None
        return self._writer.kept_waiter()

    def _note_for_queues(self, queues: CallQueues, decision: Decision) -> None:
        """What goes wrong in a queue does not affect the call."""
        try:
            queues.note(decision)
            if decision.session.phase is Phase.ENDED:
                queues.forget(decision.session)
        except Exception:
            _log.exception(
                "queues_not_informed",
                account_id=decision.session.account_id,
                call_session_id=decision.session.call_session_id,
                consequence="the queue may count this call or its agent wrongly until the switch is restarted",
                remedy="report this line with its traceback",
            )

    def _note_for_dialer(self, dialer: Dialer, decision: Decision) -> None:
        """What goes wrong in a campaign does not affect the call."""
        try:
            dialer.note(decision)
        except Exception:
            _log.exception(
                "dialer_not_informed",
                account_id=decision.session.account_id,
                call_session_id=decision.session.call_session_id,
                consequence="the result of this call is stored when the switch is restarted",
                remedy="report this line with its traceback",
            )

    def _count(self, decision: Decision) -> None:
        """Note a decision for what shows, counts or logs calls; nothing here affects the call itself."""
        session = decision.session
        self.commands.call_changed(session.call_session_id)
        self.presence.apply(decision)
        self._pick_ups.commanded(decision.effects)
        for event in decision.events:
            if event.type is EventType.SESSION_STARTED:
                metrics.CALLS_STARTED.labels(session.direction).inc()
            elif event.type is EventType.SESSION_FINISHED:
                metrics.CALLS_ENDED.labels(event.data.get("finish_reason") or metrics.OTHER).inc()
            elif event.type is EventType.LEG_ENDED:
                self._silent.note(session, event)
        _log_signal(session, decision)

    def restore(self, session: Session, events: Sequence[Event]) -> None:
        """Continue a session that a former switch of this node began; ``events``: all that are stored of it."""
        self._writer.restore(events)
        self.sessions[session.call_session_id] = session
        channel = engine_connect.being_connected(session)
        if channel is not None:
            session.restore_connect(channel)
        for leg in session.living:
            self.channels[leg.channel] = session
        self.presence.restore(session)

    def resume_timers(self) -> None:
        """After a recovery: deadlines that have passed elapse now, and questions of a former process have failed."""
        for session in list(self.sessions.values()):
            self.timers.keep(session.call_session_id, session.timers)
            self.timers.fail_lost(session.call_session_id, dict(session.questions))
        self.timers.release()

    def has_pending_effects(self, session: Session) -> bool:
        """Whether effects that the rules decided on are not carried out yet."""
        return self._executor.has_pending(session.call_session_id)

    def refuse_channel(self, channel: Channel) -> None:
        """Hang up a channel that belongs to no call, with cause 42 (congestion): a carrier may try another route.

        The decision is final. The channel may arrive again before it is hung up (it waited in the dialplan while no switch
        was there), and a call that was begun then would be hung up in its talk.
        """
        self.remember_ended(channel)
        self._executor.refuse_channel(channel)

    def effect_failed(self, call_session_id: int, effect: Effect, error: EngineError) -> None:
        """The engine did not carry out an effect."""
        session = self.sessions.get(call_session_id)
        context = self.context_of(session.account_id, session) if session is not None else None
        if session is not None and context is not None:
            self.apply(rules.effect_failed(session, effect, error, context))

    def gone(self, channel: Channel, at: Instant) -> None:
        """A channel that should live does not: close its leg."""
        self.handle(Ended(channel, at, cause=0, by_party=False))

    def end_lost(self, session: Session) -> None:
        """End a call that comparisons with the engine do not correct: a leg of it has a channel that does not exist.

        Its legs are closed in this call itself, because the channel of one may lead to another call.
        """
        context = self.context_of(session.account_id, session)
        if context is None or session.phase is Phase.ENDED:
            return
        decision = Decision(session, context, Instant(self._clock()))
        decision.end_session(Reason.INTERNAL_ERROR)
        for leg in list(session.living):
            if leg.channel and self.channels.get(leg.channel) is session:
                decision.do(Hangup(leg.channel, NORMAL_CLEARING))
            decision.end_leg(leg, Reason.INTERNAL_ERROR, NORMAL_CLEARING)
        rules.finish_when_empty(decision)
        self.apply(decision)

    def disk_is_full(self) -> None:
        """Nothing can be written: recordings under way are incomplete."""
        for session in list(self.sessions.values()):
            context = self.context_of(session.account_id, session)
            if context is not None and session.phase is not Phase.ENDED:
                decision = Decision(session, context, Instant(self._clock()))
                recording.cut(decision)
                if decision.events:
                    self.apply(decision)

    def do_not_record(self, unrecorded: Mapping[int, str]) -> None:
        """These accounts may not record now; recordings of theirs that are under way stop.

        :param unrecorded: as :attr:`unrecorded`.
        """
        self.unrecorded = unrecorded
        for session in list(self.sessions.values()) if unrecorded else ():
            reason = unrecorded.get(session.account_id)
            if reason is None or session.phase is Phase.ENDED:
                continue
            try:
                self._stop_recordings(session, not_recorded.CUTS[reason])
            except Exception:
                _log.exception(
                    "recording_not_stopped",
                    account_id=session.account_id,
                    call_session_id=session.call_session_id,
                    consequence="the call is recorded on; it is tried again with the next check of the limits",
                    remedy="report this line with its traceback",
                )

    def _stop_recordings(self, session: Session, reason: str) -> None:
        context = self.context_of(session.account_id, session)
        if context is not None:
            decision = Decision(session, context, Instant(self._clock()))
            recording.stop_all(decision, reason)
            if decision.events or decision.effects:
                self.apply(decision)

    def _forget(self, session: Session) -> None:
        self.sessions.pop(session.call_session_id, None)
        self.arrivals.forget(session.call_session_id)
        self.timers.forget(session.call_session_id)
        for leg in session.legs.values():
            if leg.channel and self.channels.get(leg.channel) is session:  # it may go on in another call
                del self.channels[leg.channel]
                self.remember_ended(leg.channel)

    def remember_ended(self, channel: Channel) -> None:
        """This channel's call is over, or was refused: later signals of the channel begin no call."""
        self.past_channels[channel] = None
        if len(self.past_channels) > PAST_CHANNELS:
            self.past_channels.pop(next(iter(self.past_channels)))

    def next_id(self) -> int:
        return self._ids.next()

    def id_of(self, channel: Channel) -> int | None:
        """Id of the call that this channel began; None when it does not follow from the channel."""
        return id_of_channel(channel, self.node)

    def context(self, account: Account, session: Session | None = None) -> LiveContext:
        """What the rules may ask now; ``session``: the call that asks, once it has begun."""
        self._accounts[account.account_id] = account
        return LiveContext(
            account,
            self.presence,
            self._ids,
            Instant(self._clock()),
            session,
            recording_obstacle=not_recorded.DISK
            if self._disk() >= DiskLevel.NO_RECORDINGS
            else self.unrecorded.get(account.account_id),
            parking_seconds=self._parking_seconds,
        )

    async def stored(self) -> None:
        """Wait until the events of all that was decided so far are stored (or are in ``dead_letters``)."""
        await self._writer.flush()

    def context_of(self, account_id: int, session: Session | None = None) -> LiveContext | None:
        """None for an account that is not there; a call that lives ends by what was last known of its account."""
        known = self._accounts.get(account_id) if session is not None else None
        account = self._directory().accounts.get(account_id, known)
        return self.context(account, session) if account is not None else None

    def show_metrics(self) -> None:
        """Make the gauges of this process show the state of this switch."""
        presence, writer = self.presence, self._writer
        metrics.CALLS_LIVE.set_function(lambda: len(self.sessions))
        metrics.LEGS_LIVE.set_function(lambda: sum(len(one.living) for one in self.sessions.values()))
        metrics.EVENTS_UNWRITTEN.set_function(lambda: writer.unwritten)
        metrics.EVENTS_OLDEST.set_function(lambda: writer.oldest_age)
        metrics.EVENTS_FULL.set_function(lambda: float(writer.full))
        metrics.DEAD_LETTERS.set_function(lambda: writer.dead_letters)
        metrics.REGISTERED_LINES.set_function(
            lambda: sum(1 for line in presence.all_devices() if presence.is_online(line))
        )
        metrics.REGISTERED_DEVICES.set_function(
            lambda: sum(len(one) for one in presence.all_devices().values())
        )
        metrics.DISK_LEVEL.set_function(lambda: int(self._disk()))

    def status(self) -> dict[str, Any]:
        """Figures for ``trunkline status``."""
        devices = self.presence.all_devices()
        return {
            "node": self.node,
            "live_calls": len(self.sessions),
            "live_legs": sum(len(session.living) for session in self.sessions.values()),
            "registered_lines": sum(1 for line in devices if self.presence.is_online(line)),
            "registered_devices": sum(len(one) for one in devices.values()),
            "signal_path": self.signal_path() if self.signal_path is not None else None,
            "unwritten_events": self._writer.unwritten,
            "events_alarm": self._writer.alarm,
            "dead_letters": self._writer.dead_letters,
            "disk": self._disk().name.lower(),
            "spool_error": self.spool_error(),
            "accounts_not_recorded": self.not_recorded_accounts(),
            "busy_sessions": self._executor.busy,
            "ignored_inputs": dict(self.ignored),
            "bad_engine_messages": self.bad_engine_messages(),
            "unknown_channels": self.unknown_channels,
            **({} if self.queues is None else {"queues": self.queues.status()}),
            "trunks_without_response": self._silent_trunks(),
            "calls_without_sound": self._silent.status(),
        }

    def _silent_trunks(self) -> list[dict[str, Any]]:
        """Trunks to whose last calls nothing responded."""
        found = [(self._directory().trunk(one), calls) for one, calls in self.presence.silent_trunks.items()]
        return [
            {
                "account_id": owner[0].account_id,
                "account_name": owner[0].name,
                "trunk_id": owner[1].trunk_id,
                "trunk_name": owner[1].name,
                "calls": calls,
            }
            for owner, calls in found
            if owner is not None and owner[1].is_active
        ]

    def directory_fingerprint(self, account_id: int) -> str | None:
        """Of the directory that calls of this account use now; None for an unknown account."""
        account = self._directory().accounts.get(account_id)
        if account is None:
            self._fingerprints.pop(account_id, None)
            return None
        made = self._fingerprints.get(account_id)
        if made is None or made[0] is not account:
            made = self._fingerprints[account_id] = (account, fingerprint(account))
        return made[1]


def _follows_from_leaving(session: Session, signal: Ended | ConnectFinished) -> bool:
    """Whether the engine reports the end of the party that leaves, or that of the connect that it was in."""
    if session.leaving is None:
        return False
    if isinstance(signal, Ended):
        return signal.channel == session.leaving
    return signal.result is ConnectResult.ANSWERED


def _log_signal(session: Session, decision: Decision) -> None:
    """One log line for a decision: logging costs as much as the rules."""
    if not decision.events:
        return
    last = decision.events[-1]
    reasons = [event.data["finish_reason"] for event in decision.events if event.data.get("finish_reason")]
    first = decision.events[0]
    numbers = {} if first.type is not EventType.SESSION_STARTED else _numbers(first.data)
    _fast_log.info(
        "call_decision",
        types=[event.type.value for event in decision.events],
        **numbers,
        account_id=last.account_id,
        call_session_id=session.call_session_id,
        seq=last.seq,
        leg_id=last.data.get("leg_id"),
        finish_reason=reasons[-1] if reasons else None,
    )


def _numbers(started: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a call for the log. A called number that the account does not have is as the carrier sent it."""
    virtual, contact = started.get("virtual_phone_number"), started.get("contact_phone_number")
    if started.get("direction") == "in":
        return {"called": virtual, "caller": contact}
    return {"called": contact, "caller": started.get("operator_phone_number") or virtual}
