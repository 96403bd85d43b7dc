"""The queues of all accounts of a switch: their configuration, calls that wait in them, and agents.

The rules are in :mod:`trunkline.queues`, the flow of one call in :mod:`trunkline.calls.flows.queueing`. An account has one
:class:`QueueOwner`; an error in one does not affect the others.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any

import psycopg

from trunkline.calls import commands, rules
from trunkline.calls.decision import Decision
from trunkline.calls.flows import queueing, start_requests
from trunkline.calls.session import Phase, Session
from trunkline.calls.states import InQueue
from trunkline.calls.switch.call_timers import CallLater
from trunkline.calls.switch.dialer import LEAD_SCORE
from trunkline.calls.switch.queue_callbacks import CallbackCalls
from trunkline.calls.switch.queue_commands import Phones, service_today
from trunkline.calls.switch.queue_facts import inputs_of, join_of, missed_stay_of, restarted
from trunkline.calls.switch.queue_owner import QueueOwner
from trunkline.calls.switch.queue_store import QueueStore
from trunkline.core import metrics
from trunkline.core.clock import Instant
from trunkline.core.errors import DatabaseUnavailable, InvalidInput, Refused, TrunklineError, first_line
from trunkline.core.hangup_causes import NORMAL_CLEARING
from trunkline.core.log import get_logger
from trunkline.core.tasks import item_task
from trunkline.db.pool import log_cause
from trunkline.directory.model import Account, CallQueue, Directory, EmployeeStatus
from trunkline.directory.queues import exits
from trunkline.events.reasons import Reason
from trunkline.queues import inputs as i
from trunkline.queues.account import Queue
from trunkline.queues.effects import (
    CancelDial,
    CancelOffer,
    Connect,
    DialCallback,
    Effect,
    LeaveQueue,
    PlayAnnouncement,
    PlayJoinAnnouncement,
    PlayMusic,
    StartOffer,
)
from trunkline.queues.offers import outcome_of_cause
from trunkline.queues.rules import LiveQueues
from trunkline.queues.settings import AgentSettings, QueueSettings
from trunkline.queues.states import CallerState
from trunkline.queues.steady_clock import SteadyClock

if TYPE_CHECKING:
    from trunkline.calls.switch.switch import Switch

START_SECONDS = 2.0
"""How long the start of the switch waits for the queues at most; calls are handled without them."""

READS_AT_ONCE = 4
"""Accounts that are read at the same time."""

MISSED_MAX = 1000
"""Calls of an account that ended in a queue while its queues were not handled."""

_log = get_logger("calls")


DirectoryChanged = Callable[[Directory, frozenset[int]], None]


class CallQueues:
    """The queues of the accounts of one switch.

    :param directory: the present directory.
    :param store: where the events of queues are kept.
    :param lost: called once when another switch holds the lease.
    """

    def __init__(
        self,
        switch: Switch,
        store: QueueStore,
        directory: Callable[[], Directory],
        *,
        lost: Callable[[], None] = lambda: None,
        clock: Callable[[], Instant] | None = None,
        call_later: CallLater | None = None,
    ) -> None:
        self._switch = switch
        self._store = store
        self._directory = directory
        self._lost = lost
        self._clock = clock or SteadyClock()
        self._call_later = call_later
        self._owners: dict[int, QueueOwner] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._reading: set[asyncio.Task[None]] = set()
        self._reads = asyncio.Semaphore(READS_AT_ONCE)
        self._calls: dict[int, int] = {}
        """Call sessions by the offers for which their agents are called."""
        self._callbacks = CallbackCalls(switch, self._give_later)
        self._asked: dict[int, tuple[str, str]] = {}
        """Calls whose contact has asked to be called back: the key, and where the call goes on."""
        self._changed = asyncio.Condition()
        self._is_recovered = False
        self._missed: dict[int, deque[Session]] = {}
        """By account: calls that ended in a queue while its queues were not handled, as during a recovery."""

    # --- beginning and end

    async def start(self) -> None:
        """Read the queues of all accounts that have some. Calls are compared later, by :meth:`recovered`.

        Accounts whose queues cannot be read within ``START_SECONDS`` go on to be read in the background.
        """
        for account in self._directory().accounts.values():
            if account.queues or account.agents:
                self._add(account.account_id)
        if self._reading:
            await asyncio.wait(self._reading, timeout=START_SECONDS)

    def recovered(self) -> None:
        """The calls of the switch are those of the engine: the queues go on. Called after the first recovery."""
        self._is_recovered = True
        for owner in list(self._owners.values()):
            if owner.is_read and not owner.is_live:
                self._go_live(owner)

    async def stop(self) -> None:
        """Store what is decided, and end."""
        for owner in self._owners.values():
            owner.stop()
        try:
            async with asyncio.timeout(2.0):
                await asyncio.gather(*(owner.flush() for owner in self._owners.values()))
        except TimeoutError:
            _log.warning(
                "queue_events_not_written", consequence="a restart compares the queues with the calls"
            )
        tasks = [*self._tasks, *self._reading]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, account_id: int) -> QueueOwner:
        owner = QueueOwner(
            account_id,
            self._store,
            carry_out=lambda effect: self._carry_out(account_id, effect),
            reloaded=lambda: self._go_live(owner),
            next_id=self._switch.next_id,
            clock=self._clock,
            lost=self._lost,
            call_later=self._call_later,
            reads=self._reads,
        )
        self._owners[account_id] = owner
        item_task(owner.run(), name="queues", among=self._tasks)
        return owner

    def _go_live(self, owner: QueueOwner) -> None:
        """Compare the state with the calls and the configuration, then handle what comes."""
        account_id = owner.account_id
        try:
            sessions = self._sessions(account_id)
            for session in sessions:
                for leg in session.living:
                    if leg.offer_id is not None:
                        self._calls[leg.offer_id] = session.call_session_id
            self._callbacks.adopt(sessions)
            owner.is_live = True
            owner.give(restarted(sessions, self._agents(account_id)))
            self._configure(owner)
            for session in sorted(
                sessions, key=lambda one: (one.queue_entered_at or 0.0, one.call_session_id)
            ):
                joined = join_of(session, self._clock())
                if joined is not None and owner.caller_of(session.call_session_id) is None:
                    self._give(owner, joined, session)
                elif joined is not None:  # the former process may have ended before it started the music
                    self._later(session, queueing.resume)
            if account_id in self._missed:
                item_task(self._give_missed(owner), name="queue-calls-missed", among=self._tasks)
        except Exception as error:
            owner.fail(error)  # logs it, and makes the state anew after a pause
        item_task(self._notify(), name="queues-live", among=self._tasks)

    async def _give_missed(self, owner: QueueOwner) -> None:
        """Publish the stays of calls that ended meanwhile, unless a former process has stored their beginning: those were
        closed by the comparison."""
        missed = self._missed.pop(owner.account_id)
        try:
            known = await self._store.joined(owner.account_id, [one.call_session_id for one in missed])
        except (DatabaseUnavailable, psycopg.Error, OSError) as error:
            _log.warning(
                "queue_calls_missed",
                account_id=owner.account_id,
                calls=[one.call_session_id for one in missed],
                cause=log_cause(error) if not isinstance(error, OSError) else type(error).__name__,
                error=first_line(error),
                consequence="events of queues lack these calls, which ended while no switch ran; reports have them",
            )
            return
        for session in missed:
            given = missed_stay_of(session, self._clock())
            if given is not None and session.call_session_id not in known:
                self._give(owner, given, session)

    def _sessions(self, account_id: int) -> list[Session]:
        return [
            one
            for one in self._switch.sessions.values()
            if one.account_id == account_id and one.phase is not Phase.ENDED
        ]

    def _agents(self, account_id: int) -> Mapping[int, Any]:
        owner = self._owners.get(account_id)
        return owner.state.agents if owner is not None and owner.is_read else {}

    # --- configuration

    def directory_changed(self, directory: Directory, touched: frozenset[int]) -> None:
        """These accounts changed."""
        for account_id in touched:
            account = directory.accounts.get(account_id)
            owner = self._owners.get(account_id)
            if owner is None and account is not None and (account.queues or account.agents):
                self._add(account_id)
            elif owner is not None and owner.is_live:
                self._configure(owner)
        item_task(self._notify(), name="queues-configured", among=self._tasks)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _add(self, account_id: int) -> None:
        """Read the queues of an account, once, and run them."""
        if account_id not in self._owners:
            owner = self._begin(account_id)
            item_task(self._read(owner), name="queues-of-account", among=self._reading)

    async def _read(self, owner: QueueOwner) -> None:
        await owner.read_until_done()
        if self._is_recovered and not owner.is_live:
            self._go_live(owner)

    def _configure(self, owner: QueueOwner) -> None:
        """Bring the queues, agents and tiers to what the directory has. One that cannot be is left out and logged."""
        account = self._directory().accounts.get(owner.account_id)
        if account is None:
            return  # a disabled account comes back with its queues
        for change in _changes(account, owner):
            try:
                owner.give(change)
            except Refused as error:
                _log.error(
                    "queue_setting_refused",
                    account_id=owner.account_id,
                    change=repr(change),
                    error=error.message,
                    consequence="the former setting of this queue or agent is in effect",
                    remedy="correct the setting that error names",
                )

    # --- calls

    def note(self, decision: Decision) -> None:
        """A decision about a call was applied."""
        session = decision.session
        self._callbacks.note(decision)
        owner = self._owners.get(session.account_id)
        if owner is None or not owner.is_live:
            if session.phase is Phase.ENDED and missed_stay_of(session, decision.at) is not None:
                self._missed.setdefault(session.account_id, deque(maxlen=MISSED_MAX)).append(session)
            return
        for given in inputs_of(decision, owner.caller_of, owner.state.agents):
            if isinstance(given, i.CallerPressedKey):
                if not self._is_exit(session, given.key):
                    continue
                if (destination := self._callback_exit(session, given.key)) is not None:
                    self._ask_callback(owner, session, given, destination)
                    continue
            self._give(owner, given, session)

    def _give(self, owner: QueueOwner, given: i.Input, session: Session) -> None:
        if isinstance(given, i.JoinQueue):
            given = self._callbacks.joined(given)
        if isinstance(given, i.JoinQueue):  # the engine's clock may be ahead of that of the queues
            given = replace(given, answered_at=min(given.answered_at, owner.now))
            if self._switch.dialer is not None and self._switch.dialer.has(session.call_session_id):
                given = replace(given, base_score=given.base_score + LEAD_SCORE)
        try:
            owner.give(given)
        except Refused as error:
            _log.warning(
                "queue_input_refused",
                account_id=owner.account_id,
                call_session_id=session.call_session_id,
                given=type(given).__name__,
                error=error.message,
                consequence="the queue is unchanged; a call that could not join goes on with the next operation",
            )
            if isinstance(given, i.JoinQueue) and not given.is_over:
                # The queue was removed: the call goes on as after its longest wait.
                self._later(session, lambda decision: queueing.leave(decision, "timeout", None, None))

    def _is_exit(self, session: Session, key: str) -> bool:
        """Whether a key is an exit of this call's operation, or of its queue."""
        context = self._switch.context_of(session.account_id, session)
        if context is None or not isinstance(session.state, InQueue):
            return False
        own = context.account.queues.get(session.state.queue_id)
        scenario = context.account.scenarios.get(session.present_scenario_id or 0)
        operation = scenario.operation(session.operation_key) if scenario is not None else None
        branches = (operation.settings.get("exits") or {}) if operation is not None else {}
        return key in branches or (own is not None and key in own.exits)

    def _callback_exit(self, session: Session, key: str) -> str | None:
        """The exit of the queue by which the contact asks to be called back; None: the key is another exit."""
        account = self._directory().accounts.get(session.account_id)
        queue = account.queues.get(session.queue_id or 0) if account is not None else None
        scenario = account.scenarios.get(session.present_scenario_id or 0) if account is not None else None
        operation = scenario.operation(session.operation_key) if scenario is not None else None
        is_own = scenario is not None and queue is not None and scenario.scenario_id == queue.scenario_id
        if operation is not None and not is_own and key in (operation.settings.get("exits") or {}):
            return None
        destination = queue.exits.get(key, "") if queue is not None else ""
        return destination if destination.partition(":")[0] == exits.CALLBACK else None

    def _ask_callback(
        self, owner: QueueOwner, session: Session, pressed: i.CallerPressedKey, destination: str
    ) -> None:
        """Keep the place of a contact, who leaves. One whose number cannot be called stays."""
        number, contact = session.contact_phone_number or "", session.contact
        account = self._directory().accounts.get(session.account_id)
        if account is None or contact is None or contact.is_operator_side:
            return
        try:
            start_requests.check_contact(account, number)
            self._asked[session.call_session_id] = (pressed.key, destination)
            owner.give(i.RequestCallback(pressed.caller_id, number))
        except TrunklineError as error:
            self._asked.pop(session.call_session_id, None)
            _log.info(
                "callback_refused",
                account_id=session.account_id,
                call_session_id=session.call_session_id,
                error=error.message,
            )

    def _give_later(self, account_id: int, given: i.Input) -> None:
        """After the present decision is applied."""
        asyncio.get_running_loop().call_soon(self._give_now, account_id, given)

    def _give_now(self, account_id: int, given: i.Input) -> None:
        owner = self.owner(account_id)
        if owner is not None:
            owner.give(given)

    def _later(self, session: Session, act: Callable[[Decision], None]) -> None:
        """After the present decision is applied: decisions about one call do not nest."""
        asyncio.get_running_loop().call_soon(self._act, session.call_session_id, act)

    # --- effects

    def _carry_out(self, account_id: int, effect: Effect) -> None:
        match effect:
            case StartOffer():
                self._start_offer(account_id, effect)
            case CancelOffer(offer_id, _, is_elsewhere):
                call_session_id = self._calls.get(offer_id)
                if call_session_id is not None:
                    self._act(
                        call_session_id,
                        lambda decision: queueing.withdraw(
                            decision, offer_id, is_answered_elsewhere=is_elsewhere
                        ),
                    )
            case Connect(offer_id, _, call, _, announcement):
                self._act(call, lambda decision: queueing.connect(decision, offer_id, announcement))
            case LeaveQueue(_, call) if (asked := self._asked.pop(call, None)) is not None:
                self._act(
                    call, lambda decision: queueing.leave(decision, "exit_key", *asked, is_callback=True)
                )
            case LeaveQueue(_, call, reason, destination, key):
                self._act(call, lambda decision: queueing.leave(decision, reason, key, destination))
            case PlayMusic(_, call, moh_id):
                self._act(call, lambda decision: queueing.play_music(decision, moh_id))
            case PlayJoinAnnouncement(_, call, media_id, place=place) | PlayAnnouncement(
                _, call, media_id, place=place
            ):
                self._act(
                    call,
                    lambda decision: queueing.announce(decision, media_id, place.position, place.minutes),
                )
            case DialCallback():
                self._callbacks.dial(account_id, effect)
            case CancelDial(caller_id):
                call_session_id = self._callbacks.call_to(caller_id)
                if call_session_id is not None:
                    self._act(call_session_id, lambda decision: commands.release_call(decision, {}))

    def _start_offer(self, account_id: int, effect: StartOffer) -> None:
        refused: list[int] = []

        def call(decision: Decision) -> None:
            cause = queueing.offer(
                decision,
                effect.offer_id,
                effect.agent_id,
                effect.ring_seconds,
                auto_answer=effect.auto_answer,
            )
            if cause is not None:
                refused.append(cause)

        self._calls[effect.offer_id] = effect.call_session_id
        if not self._act(effect.call_session_id, call):
            del self._calls[effect.offer_id]
        elif refused:
            self._calls.pop(effect.offer_id, None)
            # A call that does not wait has left the queue, and the agent, whose phones did not ring, has missed nothing.
            has_left = refused[0] == NORMAL_CLEARING
            failed = i.OfferFailed(effect.offer_id, outcome_of_cause(refused[0]))
            self._owners[account_id].give(i.CallerHungUp(effect.caller_id) if has_left else failed)

    def _act(self, call_session_id: int, act: Callable[[Decision], None]) -> bool:
        """Change one call. False: it has ended, and the queues got ``CallerHungUp`` with its last event."""
        session = self._switch.sessions.get(call_session_id)
        if session is None or session.phase is Phase.ENDED:
            return False
        context = self._switch.context_of(session.account_id, session)
        if context is None:
            return False
        decision = Decision(session, context, context.now)
        act(decision)
        rules.finish_when_empty(decision)
        self._switch.apply(decision)
        return True

    def forget(self, session: Session) -> None:
        """A call is over."""
        self._asked.pop(session.call_session_id, None)
        for leg in session.legs.values():
            if leg.offer_id is not None:
                self._calls.pop(leg.offer_id, None)

    # --- figures and commands

    def owner(self, account_id: int) -> QueueOwner | None:
        """The queues of an account that are in use; None: it has none, or they are not read yet."""
        owner = self._owners.get(account_id)
        return owner if owner is not None and owner.is_live else None

    def has_queues(self, account_id: int) -> bool:
        """Whether an account has queues or agents, which may be not in use yet, or not at present."""
        account = self._directory().accounts.get(account_id)
        is_configured = account is not None and bool(account.queues or account.agents)
        return is_configured or account_id in self._owners

    def phones_of(self, account_id: int, employee_id: int) -> Phones | None:
        """Whether an offer to an agent would ring now; None: there is no such employee."""
        context = self._switch.context_of(account_id)
        employee = context.account.employees.get(employee_id) if context is not None else None
        if context is None or employee is None:
            return None
        if employee.status == EmployeeStatus.DO_NOT_DISTURB:
            return Phones.DO_NOT_DISTURB
        obstacles = [context.phone_obstacle(phone) for phone in employee.phones if phone.is_active]
        if not employee.is_active or not obstacles:
            return Phones.UNREACHABLE
        if None in obstacles:
            return Phones.FREE
        return Phones.BUSY if Reason.OPERATOR_CHANNELS_BUSY in obstacles else Phones.UNREACHABLE

    def employee_name(self, account_id: int, employee_id: int) -> str:
        """Full name; empty: there is no such employee."""
        account = self._directory().accounts.get(account_id)
        employee = account.employees.get(employee_id) if account is not None else None
        return employee.full_name if employee is not None else ""

    def queue_name(self, account_id: int, queue_id: int) -> str:
        """Empty: there is no such queue."""
        account = self._directory().accounts.get(account_id)
        queue = account.queues.get(queue_id) if account is not None else None
        return queue.name if queue is not None else ""

    def zone_of(self, account_id: int) -> tzinfo:
        """The time zone of an account; UTC: there is no such account."""
        account = self._directory().accounts.get(account_id)
        return account.time_zone if account is not None else UTC

    async def wait_changed(self, seconds: float) -> None:
        """Until the directory changes or queues are in use again, at most so long."""
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait()
        except TimeoutError:
            pass

    def show_metrics(self) -> None:
        """Make the gauges of this process show the queues."""

        def source(
            value: Callable[[LiveQueues, Queue, QueueOwner], float | None],
        ) -> Callable[[], Iterable[tuple[int, int, float]]]:
            def read() -> Iterator[tuple[int, int, float]]:
                for owner, queue in itertools.islice(self._live_queues(), metrics.MAX_QUEUES):
                    found = value(owner.live, queue, owner)
                    if found is not None:
                        yield owner.account_id, queue.queue_id, found

            return read

        def today(owner: QueueOwner, queue: Queue) -> dict[str, Any]:
            return service_today(queue, owner.now, self.zone_of(owner.account_id))

        metrics.QUEUE_WAITING.source = source(lambda live, queue, _: len(queue.waiting()))
        metrics.QUEUE_LONGEST_WAIT.source = source(
            lambda live, queue, owner: max((owner.now - one.joined_at for one in queue.waiting()), default=0)
        )
        metrics.QUEUE_TALKING.source = source(
            lambda live, queue, _: sum(one.state is CallerState.ANSWERED for one in queue.callers.values())
        )
        metrics.QUEUE_AGENTS.source = source(
            lambda live, queue, _: sum(live.index.views[queue.queue_id].present.values())
        )
        metrics.QUEUE_FREE_AGENTS.source = source(
            lambda live, queue, _: sum(map(len, live.index.views[queue.queue_id].free.values()))
        )
        metrics.QUEUE_ANSWERED.source = source(lambda live, queue, owner: today(owner, queue)["answered"])
        metrics.QUEUE_ABANDONED.source = source(lambda live, queue, owner: today(owner, queue)["abandoned"])
        metrics.QUEUE_LEVEL.source = source(lambda live, queue, owner: today(owner, queue)["level"])

    def _live_queues(self) -> Iterator[tuple[QueueOwner, Queue]]:
        """Those that are in use, in the order of accounts and queues."""
        for _, owner in sorted(self._owners.items()):
            if owner.is_live:
                for queue_id in sorted(owner.state.queues):
                    yield owner, owner.state.queues[queue_id]

    def status(self) -> dict[str, Any]:
        """Figures for ``trunkline status``."""
        live = [owner for owner in self._owners.values() if owner.is_live]
        return {
            "accounts": len(live),
            "waiting": sum(len(q.waiting()) for owner in live for q in owner.state.queues.values()),
            "unwritten_events": sum(owner.unstored for owner in self._owners.values()),
        }


def _changes(account: Account, owner: QueueOwner) -> Iterator[i.Input]:
    """What is to change so that the state has the queues, agents and tiers of the directory."""
    state = owner.state
    for queue_id in sorted(state.queues.keys() - account.queues.keys()):
        yield i.RemoveQueue(queue_id, is_forced=True)
    keys = _exit_keys(account)
    for queue in account.queues.values():
        try:
            settings = _settings(queue, keys.get(queue.queue_id, frozenset()))
        except InvalidInput as error:
            _log.error(
                "queue_setting_refused",
                account_id=account.account_id,
                queue_id=queue.queue_id,
                error=error.message,
                consequence="the former settings of this queue are in effect",
                remedy="correct the setting that error names",
            )
            continue
        known = state.queues.get(queue.queue_id)
        if known is None or known.settings != settings:
            yield i.SetQueue(queue.queue_id, settings)
    agents = {one.agent_id for one in state.agents.values() if not one.is_removed}
    for agent_id in sorted(agents - account.agents.keys()):
        yield i.RemoveAgent(agent_id)
    for profile in account.agents.values():
        wanted = AgentSettings.stored(profile.settings)
        present = state.agents.get(profile.employee_id)
        if present is None or present.settings != wanted or present.is_removed:
            yield i.SetAgent(profile.employee_id, wanted)
    yield from _tier_changes(account, owner)


def _tier_changes(account: Account, owner: QueueOwner) -> Iterator[i.Input]:
    state = owner.state
    wanted = {
        (queue.queue_id, tier.employee_id): tier
        for queue in account.queues.values()
        for tier in queue.tiers
        if tier.employee_id in account.agents and queue.queue_id in state.queues
    }
    for agent in list(state.agents.values()):
        for queue_id in [one for one in agent.tiers if (one, agent.agent_id) not in wanted]:
            if not agent.is_removed:
                yield i.RemoveTier(queue_id, agent.agent_id)
    for (queue_id, agent_id), tier in wanted.items():
        member = state.agents.get(agent_id)
        place = member.place_in(queue_id) if member is not None else None
        is_there = place is not None and (place.level, place.position) == (tier.level, tier.position)
        if member is not None and not member.is_removed and not is_there:
            yield i.SetTier(queue_id, agent_id, tier.level, tier.position)


def _exit_keys(account: Account) -> dict[int, frozenset[str]]:
    """Keys that are an exit of a queue in some operation."""
    found: dict[int, frozenset[str]] = {}
    for scenario in account.scenarios.values():
        for operation in scenario.operations:
            if (queue_id := operation.settings.get("queue_id")) is not None:
                found[queue_id] = (
                    found.get(queue_id, frozenset()) | (operation.settings.get("exits") or {}).keys()
                )
    return found


def _settings(queue: CallQueue, more_keys: frozenset[str]) -> QueueSettings:
    """
    :raises InvalidInput: a setting that the rules do not accept.
    """
    exit_keys = {
        key: queue.exits.get(key, "") for key in sorted(more_keys | (queue.exits.keys() - {"timeout"}))
    }
    return QueueSettings.of(
        {**queue.settings, "exit_keys": exit_keys, "timeout_destination": queue.exits.get("timeout")}
    )


@asynccontextmanager
async def running_queues(
    queues: CallQueues, subscribe: Callable[[DirectoryChanged], Callable[[], object]]
) -> AsyncIterator[CallQueues]:
    """Run the queues during the block.

    :param subscribe: has a function called with each change of the directory; the result ends that. It is called before the
        queues are read: an account that gets its first queue meanwhile is not missed.
    """
    unsubscribe = subscribe(queues.directory_changed)
    try:
        await queues.start()
        queues.show_metrics()
        yield queues
    finally:
        unsubscribe()
        await queues.stop()
