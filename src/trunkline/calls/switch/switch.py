"""The switch: owns the live calls of one node. It finds the call of each input, applies the rules, and passes on what they
decide.

Signals of the engine, timers and commands of the APIs are inputs. Each runs the rules from beginning to end without awaiting
anything, in one event loop: so sessions need no lock. Effects, writes to the database and the rest of a command run
concurrently with them. There is no SQL between an INVITE and ringing.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from trunkline.calls import commands, rules
from trunkline.calls.decision import Decision
from trunkline.calls.effects import ConnectTargets, Effect, OriginateLeg
from trunkline.calls.flows import (
    consultation,
    engine_connect,
    feature_codes,
    inbound,
    outbound,
    phone_transfer,
    start_requests,
)
from trunkline.calls.flows.caller_id import NumberChooser
from trunkline.calls.flows.click_to_call import StartCall
from trunkline.calls.records.event_writer import EventWriter
from trunkline.calls.records.live_view import live_call
from trunkline.calls.rules import CallSignal
from trunkline.calls.session import Leg, Phase, Session
from trunkline.calls.states import Incoming, Placing
from trunkline.calls.switch.call_timers import CallLater, CallTimers
from trunkline.calls.switch.channel_admission import ChannelAdmission, too_many_channels
from trunkline.calls.switch.executor import EffectExecutor, Outcome
from trunkline.calls.switch.live_context import LiveContext
from trunkline.calls.switch.origins import Origin, is_emergency, open_call, origin_of
from trunkline.calls.switch.presence import Presence
from trunkline.calls.switch.rpc_client import CHECK
from trunkline.calls.timers import TimerInput
from trunkline.core import metrics
from trunkline.core.clock import Instant
from trunkline.core.disk import DiskLevel
from trunkline.core.errors import (
    ChannelGone,
    EffectTimedOut,
    EngineError,
    EngineUnavailable,
    InvalidInput,
    InvalidState,
    LeaseLost,
    LimitExceeded,
    NoChannelFree,
    NotFound,
    SwitchUnavailable,
    TrunklineError,
)
from trunkline.core.ids import IdGenerator, id_of_channel
from trunkline.core.log import get_lines, get_logger
from trunkline.core.tasks import item_task
from trunkline.directory.live.fingerprint import fingerprint
from trunkline.directory.model import Account, Directory
from trunkline.directory.trunks.call_owner import called_number
from trunkline.events.catalogue import Event, EventType
from trunkline.routing.interpreter import scenario_for
from trunkline.telephony.port import (
    Arrived,
    Channel,
    Ended,
    EngineDown,
    EngineUp,
    HeartbeatReturned,
    KeyPressed,
    LoginFailed,
    Registered,
    Signal,
    TargetStarted,
    TransferAsked,
    Unregistered,
)

_log = get_logger("calls")
_steps = get_lines("calls")

WRITE_PATIENCE_SECONDS = 2.0
"""How long a command waits for the database to store its events; afterwards it returns without that."""

COMMAND_SECONDS = 6.0
"""How long a command waits for its effects: shorter than the other processes wait for the switch."""

Clock = Callable[[], float]

SaveContact = Callable[[int, str, int | None], Awaitable[object]]
"""Puts a number into an account's address book: account id, number, contact group."""

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
        numbers: NumberChooser | None = None,
        save_contact: SaveContact | None = None,
        clock: Clock = time.time,
        is_fenced: Callable[[], bool] = lambda: False,
        call_later: CallLater | None = None,
    ) -> None:
        """``channels_max``: for how many channels there are media ports; 0 = not known.
        ``is_fenced``: whether another switch has taken the node over. This one does nothing any more then."""
        self.node = node
        self._is_fenced = is_fenced
        self.presence = Presence()
        self.sessions: dict[int, Session] = {}
        self._shown: dict[int, tuple[str, bytes]] = {}
        """The result of list.calls for each call until the call changes, and its time zone."""
        self.channels: dict[Channel, Session] = {}
        self.past_channels: dict[Channel, None] = {}
        """Of calls that ended; the engine may report them again after a reconnect."""
        self.commanded: set[Channel] | None = None
        """During a recovery: the channels that got a command which a recovery repeats."""
        self._accounts: dict[int, Account] = {}
        self._directory = directory
        self._sharing = sharing
        self._fingerprints: dict[int, tuple[Account, str]] = {}
        self._disk = disk
        self._writer = writer
        self._clock = clock
        self.timers = CallTimers(self._timer_input, clock, call_later)
        self.ignored: Counter[str] = Counter()
        """Inputs that had no meaning in the state of their call, by kind."""
        self._ids = IdGenerator(node, lambda: int(clock() * 1000))
        self._executor = executor(self)
        self._admission = ChannelAdmission(self.presence, directory, self.sessions.get, channels_max)
        self._executor.admit = self._admission.admitted
        self._executor.dialled = self._dialled
        self._setups: dict[int, float] = {}
        """By session: when a call arrived that rings a phone at once, until it does."""
        self._numbers = numbers
        self._save_contact = save_contact
        self._tasks: set[asyncio.Task[None]] = set()
        self._opened: set[int] = set()
        """Live calls whose arrival this process handled."""
        self.handled_until: Instant | None = None
        """All of the engine's signals before this time are handled."""
        self.signal_path: Callable[[], dict[str, object]] | None = None
        """Whether the engine's signals arrive; the role sets it."""
        self.bad_engine_messages: Callable[[], dict[str, int]] = dict
        """The engine's messages that could not be handled, by interface; the role sets it."""
        self.unknown_channels = 0
        """Channels that were ended because no call contained them."""

    # --- signals of the engine

    def handle(self, signal: Signal) -> None:
        """Handle one signal. An error is logged and does not affect other calls."""
        try:
            self._handle(signal)
        except Exception:
            _log.exception("signal_failed", signal=type(signal).__name__, detail=repr(signal))

    def _handle(self, signal: Signal) -> None:
        match signal:
            case Arrived():
                self._arrived(signal)
            case (
                EngineUp()
                | EngineDown()
                | HeartbeatReturned()
                | Registered()
                | Unregistered()
                | LoginFailed()
            ):
                pass  # handled by presence, the login guard, the signal path and recovery
            case TargetStarted():
                session = self.channels.get(signal.dialling)
                if session is not None:
                    self._pass_to_rules(session, signal)
            case _:
                session = self.channels.get(signal.channel)
                if session is not None:
                    self._pass_to_rules(session, signal)

    def _timer_input(self, call_session_id: int, given: TimerInput) -> None:
        """A deadline of a call has passed, or its question has an answer."""
        session = self.sessions.get(call_session_id)
        context = self._context(session.account_id, session) if session is not None else None
        if session is None or context is None:
            return
        try:
            self.apply(rules.signal(session, given, context))
        except Exception:
            _log.exception("timer_failed", call_session_id=call_session_id, detail=repr(given))

    def _pass_to_rules(self, session: Session, signal: CallSignal | Any) -> None:
        if isinstance(signal, TransferAsked):
            self._transfer_asked(session, signal)
            return
        context = self._context(session.account_id, session)
        if context is None:
            return
        self.apply(rules.signal(session, signal, context))
        if isinstance(signal, KeyPressed):
            self._key_pressed(session, signal, context.account)

    def _key_pressed(self, session: Session, signal: KeyPressed, account: Account) -> None:
        """A key of an employee may call a talk option; what it cannot do is no error, only not done."""
        leg = session.leg_of(signal.channel)
        option = (
            feature_codes.pressed(account, session, leg, signal.key, signal.at) if leg is not None else None
        )
        if leg is None or option is None:
            return
        more = {"employee_id": leg.employee_id, "user_id": None}
        wanted = [
            (name, {**more, **params}) for name, params in feature_codes.commands(account, session, option)
        ]

        async def perform() -> None:
            try:
                for name, params in wanted:
                    await self._controlled_command(session, name, params)
            except TrunklineError as error:
                _log.info(
                    "talk_option_refused",
                    call_session_id=session.call_session_id,
                    button=option.button,
                    mnemonic=error.mnemonic,
                    error=error.message,
                )

        item_task(perform(), name="talk-option", among=self._tasks)

    def _transfer_asked(self, session: Session, asked: TransferAsked) -> None:
        """A phone asks to be replaced in its talk: it gets a response, whatever becomes of it."""
        leg = session.leg_of(asked.channel)
        if leg is None:
            return

        async def perform() -> None:
            try:
                if asked.to is not None:
                    params = {"leg_id": leg.leg_id, "to": asked.to}
                    await self._controlled_command(session, "transfer_by_phone", params)
                else:
                    await self._replace(session, leg, asked.other)
            except TrunklineError as error:
                _log.info(
                    "transfer_refused",
                    call_session_id=session.call_session_id,
                    leg_id=leg.leg_id,
                    mnemonic=error.mnemonic,
                    error=error.message,
                )
                context = self._context(session.account_id, session)
                if context is not None and leg.alive:
                    decision = Decision(session, context, Instant(self._clock()))
                    phone_transfer.refuse(decision, leg)
                    self.apply(decision)

        item_task(perform(), name="phone-transfer", among=self._tasks)

    async def _replace(self, session: Session, leg: Leg, other_channel: Channel | None) -> None:
        """An attended transfer: the parties of two calls of one phone are connected with each other.

        :raises TrunklineError: the other call is not one of the same line, or one of the two is no talk.
        """
        other = self.channels.get(other_channel) if other_channel is not None else None
        other_leg = other.leg_of(other_channel) if other is not None and other_channel is not None else None
        if (
            other is None
            or other_leg is None
            or other is session
            or other.account_id != session.account_id
            or leg.sip_line_id is None
            or other_leg.sip_line_id != leg.sip_line_id
        ):
            raise NotFound("This line has no such call", mnemonic="call_session_not_found")
        pairs = [(session, leg, other, other_leg), (other, other_leg, session, leg)]
        pairs.sort(key=lambda one: one[0].started_at)
        found = next(
            (
                one
                for one in pairs
                if phone_transfer.may_hand_over(one[0], one[1]) and phone_transfer.other_party(one[2], one[3])
            ),
            None,
        )
        if found is None:
            raise InvalidState("These two calls cannot be connected now")
        first, own, second, own_in_second = found
        if first.taking_control or second.taking_control:
            raise InvalidState("Another command on this call is being carried out")
        first.taking_control = second.taking_control = True
        try:
            for one in (first, second):
                await self._executor.take_control(tuple(p.channel for p in consultation.talking(one)))
        except EngineError as error:
            raise _not_carried_out(session, error) from error
        finally:
            first.taking_control = second.taking_control = False
        remote = phone_transfer.other_party(second, own_in_second)
        contexts = self._context(first.account_id, first), self._context(second.account_id, second)
        if (
            remote is None
            or contexts[0] is None
            or contexts[1] is None
            or not phone_transfer.may_hand_over(first, own)
        ):
            raise InvalidState("A party of these calls hung up")
        now = Instant(self._clock())
        taking = Decision(first, contexts[0], now)
        phone_transfer.take_over(taking, own, remote, leg, own_in_second)
        giving = Decision(second, contexts[1], now)
        phone_transfer.give_away(giving, own_in_second, remote)
        self.apply(taking)
        self.apply(giving)

    def _arrived(self, arrived: Arrived) -> None:
        waiting = self.channels.get(arrived.channel)
        if waiting is not None:
            self._arrived_after_recovery(waiting, arrived)
            return
        if arrived.channel in self.past_channels:
            self._executor.refuse_channel(arrived.channel)  # recovery has closed its call
            return
        try:
            origin = self.origin_of(self._directory(), arrived)
            refused = self._why_refused(origin, arrived)
            if origin is None or refused is not None:
                self._log_refusal(arrived, origin, refused or "no_account")
                self._executor.refuse_channel(arrived.channel)
                return
            call_session_id = self.id_of(arrived.channel) or self._ids.next()
            decision = open_call(origin, arrived, self.context(origin.account), call_session_id)
        except Exception:
            self._executor.refuse_channel(arrived.channel)  # an internal error, without effect on the call
            raise
        self._opened.add(decision.session.call_session_id)
        if any(isinstance(effect, ConnectTargets | OriginateLeg) for effect in decision.effects):
            self._setups[decision.session.call_session_id] = arrived.at
        self.apply(decision)

    def _why_refused(self, origin: Origin | None, arrived: Arrived) -> str | None:
        """Why no call can be taken now. An emergency call needs media ports and nothing else."""
        if origin is not None and is_emergency(origin, arrived):
            has_room = self._admission.has_room_for_emergency(origin.account.account_id)
            return None if has_room else "too_many_channels"
        if self._writer.full:
            return "event_buffer_full"
        if self._disk() >= DiskLevel.NO_CALLS:
            return "disk_full"
        if origin is not None and not self._admission.has_room(origin.account.account_id):
            return "too_many_channels"
        return None

    def _log_refusal(self, arrived: Arrived, origin: Origin | None, reason: str) -> None:
        remedies = {
            "no_account": "no account with this trunk has the called number verified, or the engine has an old directory:"
            " see `trunkline numbers claims`"
        }
        metrics.CALLS_REFUSED.labels(reason).inc()
        is_alarm = reason in ("event_buffer_full", "disk_full")
        (_log.error if is_alarm else _log.warning)(
            "call_refused",
            reason=reason,
            account_id=origin.account.account_id if origin is not None else None,
            channel=arrived.channel,
            endpoint=arrived.endpoint.name,
            called=arrived.called,
            remedy=remedies.get(reason),
        )

    def _arrived_after_recovery(self, session: Session, arrived: Arrived) -> None:
        """A call that waited in the engine while no switch was there, and whose session recovery began."""
        caller, context = session.initiator, self._context(session.account_id, session)
        if context is None or caller is None or not self.may_begin(session):
            return
        session.connect = None  # not a real connect: the engine had no target to dial
        decision = Decision(session, context, arrived.at)
        if isinstance(session.state, Placing):
            outbound.resume(decision, caller)
        else:
            inbound.begin(decision, called_number(context.account, arrived.called))
        self.apply(decision)

    def may_begin(self, session: Session) -> bool:
        """Whether recovery began the session of a call that waits in the engine, and nothing has been decided for it."""
        caller = session.initiator
        return (
            isinstance(session.state, Incoming | Placing)
            and caller is not None
            and caller.alive
            and caller.answered_at is None
            and len(session.legs) == 1
            and session.call_session_id not in self._opened
        )

    def origin_of(self, directory: Directory, arrived: Arrived) -> Origin | None:
        """Whose call this is; None: no account."""
        return origin_of(directory, arrived, self._sharing())

    # --- commands of the APIs

    async def command(
        self, account_id: int, name: str, params: dict[str, Any]
    ) -> dict[str, Any] | orjson.Fragment:
        """Execute a command of an API; returns once its changes are committed.

        :raises TrunklineError: with a mnemonic of the method in the API reference.
        """
        if self._is_fenced():
            raise LeaseLost(
                "Another switch has taken over this node; nothing was done. Try again in a few seconds."
            )
        if name == "list_calls":
            return self.list_calls(account_id, params)
        if name == CHECK:
            self._check(account_id, params["command"], params)
            return {}
        if name in start_requests.CHECKS:
            return await self._start_call(account_id, name, params)
        if name not in commands.COMMANDS and name not in ("list_talk_options", "call_talk_option"):
            raise InvalidInput(f"this switch knows no command {name!r}; is it of an older version?")
        if name == "list_talk_options":
            return {"options": feature_codes.shown(self._account(account_id))}
        session = self._live_session(account_id, params["call_session_id"])
        result: dict[str, Any] | None = None
        outcome = Outcome()
        try:
            account = self._account(account_id)
            option = None
            if name == "call_talk_option":
                option = feature_codes.find(account, params["button"])
            elif name == "send_dtmf":
                option = feature_codes.by_dtmf(
                    account, session, params["dtmf_string"], Instant(self._clock())
                )
            if option is not None:
                for one, more in feature_codes.commands(account, session, option):
                    await self._controlled_command(session, one, {**params, **more}, outcome)
            else:
                result = await self._controlled_command(session, name, params, outcome)
        finally:
            await self._written()
        await outcome.settled(COMMAND_SECONDS)
        if outcome.failure is not None:
            raise _not_carried_out(session, outcome.failure)
        return result or {}

    async def _controlled_command(
        self, session: Session, name: str, params: dict[str, Any], outcome: Outcome | None = None
    ) -> dict[str, Any] | None:
        """Do one command; one that needs the talk under our control takes control first, before anything is decided.

        :raises EngineError: control could not be taken; the talk goes on as it was.
        """
        parties = commands.control_needed(session, name, params)
        if not parties:
            return self._command(session, name, params, outcome)
        self._check_command(session, name, params)
        if session.taking_control:
            raise InvalidState("Another command on this call is being carried out", field="call_session_id")
        session.taking_control = True
        try:
            await self._executor.take_control(parties)
        except EngineError as error:
            raise _not_carried_out(session, error) from error
        finally:
            session.taking_control = False
        try:
            return self._command(session, name, params, outcome)
        except TrunklineError:
            context = self._context(session.account_id, session)
            if context is not None:
                decision = Decision(session, context, Instant(self._clock()))
                consultation.rejoin(decision)
                self.apply(decision)
            raise

    def _check_command(self, session: Session, name: str, params: dict[str, Any]) -> None:
        """Apply the rules to a copy of the session, so that they can refuse a command before the engine does anything."""
        context = self.context(self._account(session.account_id), session)
        decision = Decision(copy.deepcopy(session), context, Instant(self._clock()))
        commands.COMMANDS[name](decision, params)
        for effect in decision.effects:
            if isinstance(effect, OriginateLeg) and not self._admission.may_add(
                session.account_id, effect.originate.target
            ):
                raise too_many_channels(self.presence.channels_of(session.account_id))

    def _command(
        self, session: Session, name: str, params: dict[str, Any], outcome: Outcome | None = None
    ) -> dict[str, Any] | None:
        """Carry out one command. What it began before it was refused is not undone: its events are written in both cases."""
        if name == feature_codes.SAVE_CONTACT:
            self._save_contact_of(session, params.get("contact_group_id"))
            return None
        context = self.context(self._account(session.account_id), session)
        decision = Decision(session, context, Instant(self._clock()))
        try:
            result = commands.COMMANDS[name](decision, params)
            rules.settle(decision)
        finally:
            self.apply(decision, outcome)
        return result

    def _save_contact_of(self, session: Session, contact_group_id: int | None) -> None:
        """In the background: the call does not wait for the address book."""
        number = session.contact_phone_number
        if self._save_contact is None or number is None:
            return
        save = self._save_contact

        async def keep() -> None:
            try:
                await save(session.account_id, number, contact_group_id)
            except TrunklineError as error:
                _log.warning(
                    "contact_not_saved", call_session_id=session.call_session_id, error=error.message
                )

        item_task(keep(), name="save-contact", among=self._tasks)

    def _check(self, account_id: int, name: str, params: dict[str, Any]) -> None:
        """See :data:`CHECK`. What needs the database (the choice of a number) and what takes effect later is not checked.

        :raises TrunklineError: as the command.
        """
        if name in start_requests.CHECKS:
            self._checked_start(account_id, name, params)
            return
        session = self._live_session(account_id, params["call_session_id"])
        if name in commands.COMMANDS:
            self._check_command(session, name, params)

    async def _start_call(self, account_id: int, name: str, params: dict[str, Any]) -> dict[str, Any]:
        account, params, request = self._checked_start(account_id, name, params)
        if self._numbers is not None:
            rule = params.get("virtual_phone_usage_rule")
            request = await self._numbers.chosen(account, request, rule)
        decision = rules.start(request, self.context(account), self._ids.next())
        self.apply(decision)
        await self._written()
        return {"call_session_id": decision.session.call_session_id}

    def _checked_start(
        self, account_id: int, name: str, params: dict[str, Any]
    ) -> tuple[Account, dict[str, Any], StartCall]:
        """The account, the parameters with what they leave out, and the request, when such a call may be started now."""
        account = self._account(account_id)
        if self._writer.full:
            raise SwitchUnavailable(
                "The database has been unavailable too long: no new calls are accepted; try again later"
            )
        if self._disk() >= DiskLevel.NO_CALLS:
            raise SwitchUnavailable("The disk is full: new calls are refused; free space, then try again")
        if not self._admission.has_room(account_id):
            raise too_many_channels(self.presence.channels_of(account_id))
        params = self._with_defaults(account, name, params)
        request = start_requests.CHECKS[name](account, params)
        self._check_limits(account, request.contact)
        return account, params, request

    def _check_limits(self, account: Account, contact: str) -> None:
        """:raises LimitExceeded: the account may place no more calls to outside numbers now."""
        if account.line_by_login(contact) is not None:
            return
        reached = self.presence.outgoing.obstacle(account, None, contact, Instant(self._clock()))
        if reached is not None:
            kind, limit = reached.kind.value, f"{reached.limit:g}"
            raise LimitExceeded(
                f"Limit per {kind} has been exceeded. Value of current limit per {kind} is {limit}",
                params={"limit_type": kind, "limit_max_value": reached.limit},
            )

    def _with_defaults(self, account: Account, name: str, params: dict[str, Any]) -> dict[str, Any]:
        """Fill in parameters that the request leaves out: the default number, and a number's scenario."""
        number = account.number_by_phone(params.get("virtual_phone_number") or "")
        if params.get("virtual_phone_number") is None and account.default_number is not None:
            number = account.default_number
            params = {**params, "virtual_phone_number": number.phone_number}
        if name == "start_vnumber_call" and number is not None:
            scenario = scenario_for(account, number, self.context(account).local_time)
            params = {**params, "scenario_id": scenario.scenario_id if scenario is not None else None}
        return params

    async def _written(self) -> None:
        """Wait until what was decided is in the database, at most :data:`WRITE_PATIENCE_SECONDS`."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._writer.flush(), WRITE_PATIENCE_SECONDS)

    def _account(self, account_id: int) -> Account:
        account = self._directory().accounts.get(account_id)
        if account is None:
            raise NotFound(
                "Your account has been disabled, contact the support service", mnemonic="account_inactive"
            )
        return account

    def list_calls(self, account_id: int, params: dict[str, Any]) -> orjson.Fragment:
        """A list of :func:`~trunkline.calls.records.live_view.live_call`, as JSON: kept until a call changes."""
        zone = params["time_zone"]
        calls = [
            self._shown_call(session, zone)
            for session in self.sessions.values()
            if session.account_id == account_id
            and session.phase is not Phase.ENDED
            and params.get("direction") in (None, session.direction)
            and params.get("virtual_phone_number") in (None, session.virtual_phone_number)
        ]
        return orjson.Fragment(b"[" + b",".join(calls) + b"]")

    def _shown_call(self, session: Session, zone: str) -> bytes:
        shown = self._shown.get(session.call_session_id)
        if shown is None or shown[0] != zone:
            made = orjson.dumps(live_call(session, ZoneInfo(zone)))
            shown = self._shown[session.call_session_id] = (zone, made)
        return shown[1]

    def _live_session(self, account_id: int, call_session_id: int) -> Session:
        session = self.sessions.get(call_session_id)
        if session is None or session.account_id != account_id or session.phase is Phase.ENDED:
            raise NotFound(
                "Call session not found",
                mnemonic="call_session_not_found",
                field="call_session_id",
                value=call_session_id,
            )
        return session

    # --- carrying out

    def apply(self, decision: Decision, outcome: Outcome | None = None) -> None:
        """Keep the session, count, log, write its events, perform its effects.

        :param outcome: gets what becomes of the effects.
        """
        session = decision.session
        self._shown.pop(session.call_session_id, None)
        if decision.failure is not None:
            _log.error(
                "rule_failed",
                call_session_id=session.call_session_id,
                remedy="the call is ended; please report this",
                exc_info=decision.failure,
            )
        if session.call_session_id not in self.sessions and session.phase is not Phase.ENDED:
            self.sessions[session.call_session_id] = session
        self.presence.apply(decision)
        for event in decision.events:
            if event.type is EventType.LEG_STARTED and event.data["channel"]:
                self.channels[Channel(event.data["channel"])] = session
            elif event.type is EventType.SESSION_STARTED:
                metrics.CALLS_STARTED.labels(session.direction).inc()
            elif event.type is EventType.SESSION_FINISHED:
                metrics.CALLS_ENDED.labels(event.data.get("finish_reason") or metrics.OTHER).inc()
        _log_signal(session, decision)
        self._writer.put(decision.events, self.handled_until)
        if self.commanded is not None:
            self.commanded.update(effect.channel for effect in decision.effects if effect.policy.resumed)
        self._executor.perform(session.call_session_id, decision.effects, outcome)
        self.timers.keep(session.call_session_id, session.timers)
        for ask in decision.questions:
            self.timers.ask(session.account_id, session.call_session_id, ask)
        if decision.ignored:
            self.ignored.update(decision.ignored)
        if session.phase is Phase.ENDED:
            self._forget(session)
            self._executor.close_bridges(consultation.bridges(session))

    def _dialled(self, call_session_id: int) -> None:
        arrived_at = self._setups.pop(call_session_id, None)
        if arrived_at is not None:
            metrics.SETUP.observe(max(0.0, self._clock() - arrived_at))

    def restore(self, session: Session, events: Sequence[Event]) -> None:
        """Continue a session that a former switch of this node began; ``events``: all that are stored of it."""
        self._writer.restore(events)
        self.sessions[session.call_session_id] = session
        channel = engine_connect.being_connected(session)
        if channel is not None:
            session.connecting(channel)
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
        """Hang up a channel that belongs to no call, with cause 42 (congestion): a carrier may try another route."""
        self._executor.refuse_channel(channel)

    def effect_failed(self, call_session_id: int, effect: Effect, error: EngineError) -> None:
        """The engine did not carry out an effect."""
        session = self.sessions.get(call_session_id)
        context = self._context(session.account_id, session) if session is not None else None
        if session is not None and context is not None:
            self.apply(rules.effect_failed(session, effect, error, context))

    def gone(self, channel: Channel, at: Instant) -> None:
        """A channel that should live does not: close its leg."""
        self.handle(Ended(channel, at, cause=0, by_party=False))

    def _forget(self, session: Session) -> None:
        self.sessions.pop(session.call_session_id, None)
        self._opened.discard(session.call_session_id)
        self._setups.pop(session.call_session_id, None)
        self.timers.forget(session.call_session_id)
        for leg in session.legs.values():
            if leg.channel and self.channels.get(leg.channel) is session:  # it may go on in another call
                del self.channels[leg.channel]
                self.remember_ended(leg.channel)

    def remember_ended(self, channel: Channel) -> None:
        """This channel's call is over: later signals of the channel begin no call."""
        self.past_channels[channel] = None
        if len(self.past_channels) > PAST_CHANNELS:
            self.past_channels.pop(next(iter(self.past_channels)))

    def next_id(self) -> int:
        return self._ids.next()

    def id_of(self, channel: Channel) -> int | None:
        """Id of the call that this channel began; None when it does not follow from the channel."""
        return id_of_channel(channel, self.node)

    def call_of(self, arrived: Arrived) -> tuple[int, int] | None:
        """Account and id of the call that came in on this channel; None when it has no account, or no id follows."""
        call_session_id = self.id_of(arrived.channel)
        if call_session_id is None:
            return None
        origin = self.origin_of(self._directory(), arrived)
        return (origin.account.account_id, call_session_id) if origin is not None else None

    def context(self, account: Account, session: Session | None = None) -> LiveContext:
        """What the rules may ask now; ``session``: the call that asks, once it has begun."""
        self._accounts[account.account_id] = account
        return LiveContext(
            account,
            self.presence,
            self._ids,
            Instant(self._clock()),
            session,
            may_record=self._disk() < DiskLevel.NO_RECORDINGS,
        )

    def _context(self, account_id: int, session: Session | None = None) -> LiveContext | None:
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
            "disk": self._disk().name.lower(),
            "busy_sessions": self._executor.busy,
            "ignored_inputs": dict(self.ignored),
            "bad_engine_messages": self.bad_engine_messages(),
            "unknown_channels": self.unknown_channels,
        }

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


def _not_carried_out(session: Session, error: EngineError) -> TrunklineError:
    """The error of a command that the engine did not carry out."""
    if isinstance(error, ChannelGone):
        return InvalidState(
            "The call ended, or a party of it hung up, while the command was carried out",
            field="call_session_id",
            value=session.call_session_id,
        )
    if isinstance(error, NoChannelFree):
        return too_many_channels(sum(1 for leg in session.living if leg.channel))
    message = {
        EngineUnavailable: "Asterisk cannot be reached now; the call is unchanged. Try again in a few seconds.",
        EffectTimedOut: "Asterisk did not respond in time; check list.calls before you try again.",
    }.get(type(error), "Asterisk refused the command; the log of the switch has the reason.")
    return type(error)(message)


def _log_signal(session: Session, decision: Decision) -> None:
    """One log line for a decision: logging costs as much as the rules."""
    if not decision.events:
        return
    last = decision.events[-1]
    reasons = [event.data["finish_reason"] for event in decision.events if event.data.get("finish_reason")]
    first = decision.events[0]
    numbers = {} if first.type is not EventType.SESSION_STARTED else _numbers(first.data)
    _steps.info(
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
