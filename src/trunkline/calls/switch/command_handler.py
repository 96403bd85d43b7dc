"""Commands of the APIs on live calls, and the talk options that an employee calls with keys.

A command is checked by the rules, takes control of the talk where it needs that, is decided by the rules, and returns when
its effects are carried out and its events are stored, or ``WRITE_TIMEOUT_SECONDS`` later: events that wait for the database
are stored when it responds again. A command without effects, such as a tag, has no other result than what is stored: it
fails when it is not stored within this time. The start of a call is stored first: only then a party is called.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import orjson

from trunkline.calls import commands, rules
from trunkline.calls.command_names import CHECK, SITE_COMMANDS, START_CALLBACK
from trunkline.calls.decision import Decision
from trunkline.calls.effects import Effect, OriginateLeg
from trunkline.calls.flows import site_calls, start_requests, talk_options
from trunkline.calls.flows.click_to_call import StartCall
from trunkline.calls.live_view import agent_answer, agent_call, call_in_progress, live_call
from trunkline.calls.records.event_writer import EventWriter
from trunkline.calls.session import Phase, Session
from trunkline.calls.switch.channel_admission import ChannelAdmission
from trunkline.calls.switch.executor import EffectExecutor, EffectOutcome
from trunkline.calls.switch.number_chooser import NumberChooser
from trunkline.calls.switch.queue_commands import QUEUE_COMMANDS, WRITE_TIMEOUT_SECONDS, execute_queue_command
from trunkline.calls.switch.site_commands import execute_site_command
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
    NotCarriedOut,
    NotFound,
    SwitchInterrupted,
    TrunklineError,
    Unavailable,
)
from trunkline.core.log import get_logger
from trunkline.core.tasks import item_task
from trunkline.directory.model import Account
from trunkline.routing.interpreter import scenario_for
from trunkline.telephony.port import KeyPressed

if TYPE_CHECKING:
    from trunkline.calls.switch.switch import Switch

_log = get_logger("calls")

STARTS = {**start_requests.STARTS, START_CALLBACK: site_calls.start_site_callback}
"""Commands that start a call, by name."""

ENGINE_UP_SECONDS = 3.0
"""How long a start waits for the connections to Asterisk; afterwards it is refused, and nobody is called."""

START_TIMEOUT_SECONDS = 4.0
"""How long a start waits for the database to store its first events; afterwards it is refused, and nobody is called."""

PICK_UP_POLL_SECONDS = 6.0
"""How long a request waits for an agent to pick up before it is asked again: shorter than the other processes wait."""

ANSWER_KEPT_SECONDS = 60.0
"""How long after the end of a call a client can read whether its agent had picked up."""

COMMAND_SECONDS = 6.0
"""How long a command waits for its effects: shorter than the other processes wait for the switch."""

SaveContact = Callable[[int, str, int | None], Awaitable[object]]
"""Puts a number into an account's address book: account id, number, contact group."""


class CommandHandler:
    """Executes commands on the live calls of a switch.

    :param is_fenced: whether another switch has taken the node over. This one does nothing any more then.
    """

    def __init__(
        self,
        switch: Switch,
        *,
        writer: EventWriter,
        executor: EffectExecutor,
        admission: ChannelAdmission,
        disk: Callable[[], DiskLevel],
        numbers: NumberChooser | None,
        save_contact: SaveContact | None,
        clock: Callable[[], float],
        is_fenced: Callable[[], bool],
    ) -> None:
        self._switch = switch
        self._writer = writer
        self._executor = executor
        self._admission = admission
        self._disk = disk
        self._numbers = numbers
        self._save_contact = save_contact
        self._clock = clock
        self._is_fenced = is_fenced
        self._tasks: set[asyncio.Task[None]] = set()
        self._unplaced: set[int] = set()
        """Calls whose start is not stored yet: the channels of their legs are not made before."""
        self._watching: dict[int, list[asyncio.Future[None]]] = {}
        """Who waits for the next change of a call."""
        self._awaited: dict[int, Session] = {}
        """Calls of which a client waits for the agent, and those that ended at most ``ANSWER_KEPT_SECONDS`` ago."""
        self._shown: dict[int, tuple[str, bytes]] = {}
        """The result of list.calls for each call until the call changes, and its time zone."""

    async def execute(
        self, account_id: int, name: str, params: dict[str, Any]
    ) -> dict[str, Any] | orjson.Fragment:
        """Execute a command of an API; return when its changes are committed, or ``WRITE_TIMEOUT_SECONDS`` later: then they
        are stored when the database responds. A command whose only result is stored data is never successful before.

        :raises TrunklineError: with a mnemonic of the method in the API reference.
        """
        if self._is_fenced():
            raise LeaseLost(
                "Another switch has taken over this node; nothing was done. Try again in a few seconds."
            )
        if name == "list_calls":
            return self.live_calls(account_id, params)
        if name == "list_agent_calls":
            return self.agent_calls(account_id, params)
        if name == "list_calls_in_progress":
            return self.calls_in_progress(account_id)
        if name == "wait_for_agent":
            return await self._wait_for_agent(account_id, params["call_session_id"])
        if name == CHECK:
            self._check(account_id, params["command"], params)
            return {}
        if name in STARTS:
            return await self._start_call(account_id, name, params)
        if name in SITE_COMMANDS:
            return execute_site_command(self._switch, account_id, name, params)
        if name in QUEUE_COMMANDS:
            return await execute_queue_command(self._switch.queues, account_id, name, params)
        if name not in commands.COMMANDS and name not in ("list_talk_options", "call_talk_option"):
            raise InvalidInput(
                f"The command {name!r} is unknown to this switch: restart the instance after an upgrade, so that all"
                " processes have the same version"
            )
        if name == "list_talk_options":
            return {"options": talk_options.shown(self._switch.account(account_id))}
        session = self._live_session(account_id, params["call_session_id"])
        result: dict[str, Any] | None = None
        outcome = EffectOutcome()
        begun: list[str] = []
        try:
            for one, more in self._parts(session, name, params):
                begun.append(one)
                if one == talk_options.SAVE_CONTACT:
                    await self._save_contact_now(session, more.get("contact_group_id"))
                    continue
                result = await self.execute_one(session, one, {**params, **more}, outcome)
        finally:
            is_stored = await self._written()
            if begun and not is_stored and commands.STORED_ONLY.issuperset(begun):
                # Also when it was refused: that a tag is set already, for example, may not be stored either.
                raise self._not_stored(session, name)
        try:
            await outcome.wait_done(COMMAND_SECONDS)
        except EffectTimedOut as error:
            raise self.not_carried_out(session, error) from error
        if outcome.failure is not None:
            raise self.not_carried_out(session, outcome.failure)
        return result or {}

    def _parts(self, session: Session, name: str, params: dict[str, Any]) -> list[talk_options.Command]:
        """The commands on the call of which a command of the API consists: several for a talk option."""
        account = self._switch.account(session.account_id)
        option = None
        if name == "call_talk_option":
            option = talk_options.find(account, params["button"])
        elif name == "send_dtmf":
            option = talk_options.by_dtmf(account, session, params["dtmf_string"], Instant(self._clock()))
        return [(name, {})] if option is None else talk_options.commands(account, session, option)

    def _not_stored(self, session: Session, name: str) -> NotCarriedOut:
        _log.warning(
            "command_not_stored",
            account_id=session.account_id,
            call_session_id=session.call_session_id,
            command=name,
            consequence="the request gets an error; the change is stored later if this process is not killed before",
            remedy="see logs/postgres.log, and check the disk of PostgreSQL",
        )
        return NotCarriedOut(
            "The database does not accept the change now, so it may be lost. Send the command again in a few seconds."
        )

    async def execute_one(
        self, session: Session, name: str, params: dict[str, Any], outcome: EffectOutcome | None = None
    ) -> dict[str, Any] | None:
        """Do one command. One that needs a talk controlled by the switch takes control first, before anything is decided.

        :raises TrunklineError: of :meth:`not_carried_out`: control could not be taken; the talk goes on as it was.
        """
        parties = commands.control_needed(session, name, params)
        if not parties:
            return self.carry_out(session, name, params, outcome)
        self._check_command(session, name, params)
        if session.taking_control:
            raise InvalidState("Another command on this call is being carried out", field="call_session_id")
        session.taking_control, session.leaving = True, commands.leaves_by(session, name)
        try:
            try:
                await self._executor.take_control(parties, session.leaving)
            except EngineError as error:
                raise self.not_carried_out(session, error) from error
            finally:
                session.taking_control = False
            try:
                return self.carry_out(session, name, params, outcome)
            except TrunklineError:
                self._switch.rejoin(session)
                raise
        finally:
            self._switch.handle_held_back(session)

    def _check_command(self, session: Session, name: str, params: dict[str, Any]) -> None:
        """Apply the rules to a copy of the session, so that they can refuse a command before the engine does anything."""
        context = self._switch.context(self._switch.account(session.account_id), session)
        decision = Decision(copy.deepcopy(session), context, Instant(self._clock()))
        commands.COMMANDS[name](decision, params)
        for effect in decision.effects:
            if isinstance(effect, OriginateLeg) and not self._admission.may_add(
                session.account_id, effect.originate.target
            ):
                raise self._admission.too_many_channels(session.account_id)

    def carry_out(
        self, session: Session, name: str, params: dict[str, Any], outcome: EffectOutcome | None = None
    ) -> dict[str, Any] | None:
        """Carry out one command. What it began before it was refused is not undone: its events are written in both cases."""
        if name == talk_options.SAVE_CONTACT:
            self._save_contact_of(session, params.get("contact_group_id"))
            return None
        context = self._switch.context(self._switch.account(session.account_id), session)
        decision = Decision(session, context, Instant(self._clock()))
        try:
            result = commands.COMMANDS[name](decision, params)
            rules.finish_when_empty(decision)
        finally:
            self._switch.apply(decision, outcome)
        return result

    def _save_contact_of(self, session: Session, contact_group_id: int | None) -> None:
        """In the background: the call does not wait for the address book."""

        async def keep() -> None:
            with contextlib.suppress(TrunklineError):
                await self._saved(session, contact_group_id)

        item_task(keep(), name="save-contact", among=self._tasks)

    async def _save_contact_now(self, session: Session, contact_group_id: int | None) -> None:
        """As :meth:`_save_contact_of`, for an API: its response says whether the number is in the address book.

        :raises NotCarriedOut: the database does not accept it now.
        """
        try:
            async with asyncio.timeout(WRITE_TIMEOUT_SECONDS):
                await self._saved(session, contact_group_id)
        except (TimeoutError, Unavailable) as error:
            raise self._not_stored(session, talk_options.SAVE_CONTACT) from error
        except TrunklineError:
            pass  # such as a number that is in the address book already

    async def _saved(self, session: Session, contact_group_id: int | None) -> None:
        number = session.contact_phone_number
        if self._save_contact is None or number is None:
            return
        try:
            await self._save_contact(session.account_id, number, contact_group_id)
        except TrunklineError as error:
            _log.warning(
                "contact_not_saved",
                call_session_id=session.call_session_id,
                error=error.message,
                consequence="the call goes on; the number is not in the address book",
            )
            raise

    def _check(self, account_id: int, name: str, params: dict[str, Any]) -> None:
        """See :data:`CHECK`. What needs the database (the choice of a number) and what takes effect later is not checked.

        :raises TrunklineError: as the command.
        """
        if name in STARTS:
            self._checked_start(account_id, name, params)
            return
        session = self._live_session(account_id, params["call_session_id"])
        if name in commands.COMMANDS:
            self._check_command(session, name, params)

    async def start_lead_call(self, account_id: int, call_session_id: int, params: dict[str, Any]) -> None:
        """Call a lead of a campaign.

        :param call_session_id: of the call, which the campaign has recorded.
        :raises TrunklineError: nobody was called.
        """
        if self._is_fenced():
            raise LeaseLost("Another switch has taken over this node; nothing was done.")
        await self._start_call(account_id, "start_lead_call", params, call_session_id)

    async def _start_call(
        self, account_id: int, name: str, params: dict[str, Any], call_session_id: int | None = None
    ) -> dict[str, Any]:
        account, params, request = self._checked_start(account_id, name, params)
        await self._executor.wait_engine_up(ENGINE_UP_SECONDS)
        if self._numbers is not None:
            rule = params.get("virtual_phone_usage_rule")
            request = await self._numbers.chosen(account, request, rule)
        call_session_id = self._switch.next_id() if call_session_id is None else call_session_id
        decision = rules.start(request, self._switch.context(account), call_session_id)
        effects, decision.effects = decision.effects, []
        is_stored = False
        self._unplaced.add(call_session_id)
        try:
            self._switch.apply(decision)
            is_stored = await self._written(START_TIMEOUT_SECONDS)
        finally:
            self._unplaced.discard(call_session_id)
            self._place(decision.session, effects if is_stored else [])
        if not is_stored:
            _log.warning(
                "start_not_stored",
                account_id=account_id,
                call_session_id=call_session_id,
                consequence="the request is refused, and nobody was called",
                remedy="see logs/postgres.log, and check the disk of PostgreSQL",
            )
            raise NotCarriedOut(
                "The database does not accept the start of the call now: nobody was called. Try again in a few seconds."
            )
        return {"call_session_id": call_session_id}

    def _place(self, session: Session, effects: Sequence[Effect]) -> None:
        """Call the first party of a call whose start is stored: a switch that is killed now leaves no party on a line that
        no report has. With no effects, or when the call was ended meanwhile: end it.
        """
        if session.phase is Phase.ENDED:
            return
        context = self._switch.context_of(session.account_id, session)
        if context is None:
            return
        decision = Decision(session, context, Instant(self._clock()))
        if effects and session.ending is None:
            decision.effects.extend(effects)
        else:
            rules.end_uncalled(decision)
        self._switch.apply(decision)

    def is_unplaced(self, session: Session) -> bool:
        """Whether the channels of a call are not made yet, because its start is not stored."""
        return session.call_session_id in self._unplaced

    def _checked_start(
        self, account_id: int, name: str, params: dict[str, Any]
    ) -> tuple[Account, dict[str, Any], StartCall]:
        """The account, the parameters with what they leave out, and the request, when such a call may be started now."""
        account = self._switch.account(account_id)
        if self._writer.full:
            raise NotCarriedOut(
                "The database has been unavailable too long: no new calls are accepted; try again later"
            )
        if self._disk() >= DiskLevel.NO_CALLS:
            raise NotCarriedOut("The disk is full: new calls are refused; free space, then try again")
        if not self._admission.has_room(account_id):
            raise self._admission.too_many_channels(account_id)
        params = self._with_defaults(account, name, params)
        request = STARTS[name](account, params)
        if name == "start_agent_call":
            start_requests.check_device(request, self._switch.context(account))
        self._check_limits(account, request.contact)
        return account, params, request

    def _check_limits(self, account: Account, contact: str) -> None:
        """:raises LimitExceeded: the account may place no more calls to outside numbers now."""
        if account.line_by_login(contact) is not None:
            return
        reached = self._switch.presence.outgoing.obstacle(account, None, contact, Instant(self._clock()))
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
            scenario = scenario_for(account, number, self._switch.context(account).local_time)
            params = {**params, "scenario_id": scenario.scenario_id if scenario is not None else None}
        return params

    async def _written(self, seconds: float = WRITE_TIMEOUT_SECONDS) -> bool:
        """Wait until what was decided is in the database, at most so long; whether it is."""
        try:
            await asyncio.wait_for(self._writer.flush(), seconds)
        except TimeoutError:
            return False
        return True

    def live_calls(self, account_id: int, params: dict[str, Any]) -> orjson.Fragment:
        """A list of :func:`~trunkline.calls.live_view.live_call`, as JSON: kept until a call changes."""
        zone = params["time_zone"]
        calls = [
            self._shown_call(session, zone)
            for session in self._switch.sessions.values()
            if session.account_id == account_id
            and session.phase is not Phase.ENDED
            and params.get("direction") in (None, session.direction)
            and params.get("virtual_phone_number") in (None, session.virtual_phone_number)
        ]
        return orjson.Fragment(b"[" + b",".join(calls) + b"]")

    def agent_calls(self, account_id: int, params: dict[str, Any]) -> orjson.Fragment:
        """A list of :func:`~trunkline.calls.live_view.agent_call`, as JSON.

        :param params: ``employee_ids``: only calls with one of these; ``lead_id``: only calls about this lead.
        """
        wanted, lead_id = params.get("employee_ids"), params.get("lead_id")
        calls = [
            agent_call(session)
            for session in self._switch.sessions.values()
            if session.account_id == account_id
            and session.phase is not Phase.ENDED
            and lead_id in (None, session.lead_id)
            and (wanted is None or any(leg.employee_id in wanted for leg in session.living))
        ]
        return orjson.Fragment(orjson.dumps(calls))

    def calls_in_progress(self, account_id: int) -> orjson.Fragment:
        """A list of :func:`~trunkline.calls.live_view.call_in_progress`, as JSON."""
        calls = [
            call_in_progress(session)
            for session in self._switch.sessions.values()
            if session.account_id == account_id and session.phase is not Phase.ENDED
        ]
        return orjson.Fragment(orjson.dumps(calls))

    async def _wait_for_agent(self, account_id: int, call_session_id: int) -> dict[str, Any]:
        """Wait until our side of a started call has answered, or the call has ended, at most ``PICK_UP_POLL_SECONDS``.

        The result is that of :func:`~trunkline.calls.live_view.agent_answer`; while it is ``ringing``, the client asks
        again. It gets the result also when the call has ended between two of its requests.
        """
        oldest = self._clock() - ANSWER_KEPT_SECONDS
        for one in list(self._awaited.values()):
            if one.finished_at is not None and one.finished_at < oldest:
                del self._awaited[one.call_session_id]
        session = self._awaited.get(call_session_id)
        if session is None or session.account_id != account_id or session.phase is not Phase.ENDED:
            session = self._awaited[call_session_id] = self._live_session(account_id, call_session_id)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PICK_UP_POLL_SECONDS):
                while agent_answer(session)["state"] == "ringing":
                    changed = asyncio.get_running_loop().create_future()
                    self._watching.setdefault(session.call_session_id, []).append(changed)
                    await changed
        return agent_answer(session)

    def _shown_call(self, session: Session, zone: str) -> bytes:
        shown = self._shown.get(session.call_session_id)
        if shown is None or shown[0] != zone:
            made = orjson.dumps(live_call(session, ZoneInfo(zone)))
            shown = self._shown[session.call_session_id] = (zone, made)
        return shown[1]

    def _live_session(self, account_id: int, call_session_id: int) -> Session:
        session = self._switch.sessions.get(call_session_id)
        if session is None or session.account_id != account_id or session.phase is Phase.ENDED:
            raise NotFound(
                "Call session not found",
                mnemonic="call_session_not_found",
                field="call_session_id",
                value=call_session_id,
            )
        return session

    def key_pressed(self, session: Session, signal: KeyPressed, account: Account) -> None:
        """A key of an employee may call a talk option; what it cannot do is no error, only not done."""
        leg = session.leg_of(signal.channel)
        option = (
            talk_options.pressed(account, session, leg, signal.key, signal.at) if leg is not None else None
        )
        if leg is None or option is None:
            return
        more = {"employee_id": leg.employee_id, "user_id": None}
        wanted = [
            (name, {**more, **params}) for name, params in talk_options.commands(account, session, option)
        ]

        async def perform() -> None:
            try:
                for name, params in wanted:
                    await self.execute_one(session, name, params)
            except TrunklineError as error:
                _log.info(
                    "talk_option_refused",
                    call_session_id=session.call_session_id,
                    button=option.button,
                    mnemonic=error.mnemonic,
                    error=error.message,
                )

        item_task(perform(), name="talk-option", among=self._tasks)

    def call_changed(self, call_session_id: int) -> None:
        """The call is shown anew by the next ``list.calls``."""
        self._shown.pop(call_session_id, None)
        for changed in self._watching.pop(call_session_id, ()):
            if not changed.done():
                changed.set_result(None)

    def not_carried_out(self, session: Session, error: EngineError) -> TrunklineError:
        """The error of a command that the engine did not carry out; its message is for the client."""
        match error:
            case ChannelGone():
                return InvalidState(
                    "The call ended, or a party of it hung up, while the command was carried out",
                    field="call_session_id",
                    value=session.call_session_id,
                )
            case NoChannelFree():
                return self._admission.too_many_channels(session.account_id)
            case EngineUnavailable():
                return NotCarriedOut(
                    "Asterisk cannot be reached now; the call is unchanged. Try again in a few seconds."
                )
            case EffectTimedOut():
                return SwitchInterrupted(
                    "Asterisk did not respond in time; check list.calls before you try again."
                )
            case _:
                return NotCarriedOut("Asterisk refused the command; the log of the switch has the reason.")
