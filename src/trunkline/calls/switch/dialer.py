"""The dialing campaigns of a switch: leads are called by the rules of :mod:`trunkline.dialer`.

An attempt is stored before its call begins, and its end when the call is over. The campaign, its leads and what follows are
rows; this process has only what lives: the calls, the agents who are reserved for them, and measured values. A result
waits in memory until it is stored. An attempt without an end that nothing in this process has (after a restart, or after an
outage of the database) is adopted while its call goes on, or gets the result of the events of its call; without events
nobody was called, and it is removed (:meth:`Dialer._resolve`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg

from trunkline.calls.decision import Decision
from trunkline.calls.evolution import replay
from trunkline.calls.session import Phase, Session
from trunkline.calls.switch.dialer_facts import contact_leg, result_of
from trunkline.core.clock import Instant
from trunkline.core.errors import (
    DatabaseUnavailable,
    InvalidInput,
    InvalidState,
    LeaseLost,
    PermissionDenied,
    TrunklineError,
    first_line,
)
from trunkline.core.log import get_logger
from trunkline.core.tasks import core_task, item_task
from trunkline.db.pool import Database, Row
from trunkline.dialer import campaign_store, lead_store
from trunkline.dialer.abandonment import Abandonment
from trunkline.dialer.campaign_store import Campaign
from trunkline.dialer.campaigns import Action
from trunkline.dialer.estimates import MEMORY, Estimates
from trunkline.dialer.lead_store import Claimed, Result
from trunkline.dialer.leads import Lead, LeadPool
from trunkline.dialer.outcomes import NOT_CALLED, PERSONS, DialOutcome
from trunkline.dialer.pacing import Risk, Situation, calls_to_begin
from trunkline.dialer.settings import Mode
from trunkline.events.catalogue import Event, EventType, call_stream
from trunkline.events.store import events_of_calls
from trunkline.queues import inputs as i
from trunkline.queues.agents import Agent
from trunkline.queues.callers import NEVER
from trunkline.queues.reservations import reserved_for
from trunkline.queues.states import AgentState

if TYPE_CHECKING:
    from trunkline.calls.switch.queue_owner import QueueOwner
    from trunkline.calls.switch.switch import Switch

PERIOD_SECONDS = 1.0
"""How often each campaign is looked at when nothing happens."""

CAMPAIGNS_SECONDS = 60.0
"""How often campaigns are read without a notification: those of a node that has no switch any more are taken over."""

READ_SECONDS = 10.0
"""How often the lists of a campaign that runs are read for new leads."""

POOL_LEADS = 200
"""Leads that are read in advance."""

REFUSED_SECONDS = 5.0
"""How long a campaign pauses when the switch refuses a call for a limit or a lack of resources."""

LONGEST_PAUSE_SECONDS = 60.0

_LOGGED_MAX = 1000
"""Problems of rows that are remembered, so that each is logged once."""

LEAD_SCORE = 1_000_000
"""Of a lead who has answered, over the callers who wait: nobody may keep a called person waiting."""

_DATABASE_ERRORS = (DatabaseUnavailable, psycopg.Error, OSError, TimeoutError)

_OUTAGES = (DatabaseUnavailable, psycopg.OperationalError, OSError, TimeoutError)
"""No row is their cause, so with them all wait; with another error, only the row or campaign that has it."""

_log = get_logger("calls")
_CALLS_NOBODY = "this campaign calls nobody; it is tried again each minute"


@dataclass(slots=True)
class LiveAttempt:
    """An attempt whose call goes on, or is being started.

    :ivar begun_at: when it was dialled.
    :ivar is_measured: the end of its ringing is among the estimates.
    :ivar is_started: the call is stored, and the lead is being called.
    """

    attempt_id: int
    account_id: int
    campaign_id: int
    phone: str
    call_session_id: int
    begun_at: Instant
    answered_at: Instant | None = None
    connected_at: Instant | None = None
    is_measured: bool = False
    is_started: bool = False
    over: Session | None = None
    """The call as it ended before its start returned."""


@dataclass(slots=True)
class LiveCampaign:
    """A campaign that runs."""

    campaign: Campaign
    pool: LeadPool
    estimates: Estimates = field(default_factory=Estimates)
    abandonment: Abandonment = field(default_factory=Abandonment)
    risk: Risk = field(default_factory=lambda: Risk(0.02))
    calls: dict[int, LiveAttempt] = field(default_factory=dict)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    read_at: float = 0.0
    """When its leads were read last, by the clock of the loop."""
    has_more: bool = False
    """There were more leads than were read."""
    refused_until: float = 0.0
    is_stopped: bool = False
    task: asyncio.Task[None] | None = None


class Dialer:
    """Dials the campaigns of the node."""

    def __init__(self, switch: Switch, db: Database, clock: Callable[[], float]) -> None:
        self._switch = switch
        self._db = db
        self._clock = clock
        self._campaigns: dict[tuple[int, int], LiveCampaign] = {}
        self._calls: dict[int, LiveAttempt] = {}
        self._starting: set[int] = set()
        """Calls whose attempts are being stored, started or withdrawn."""
        self._ended: dict[int, tuple[LiveAttempt, Result]] = {}
        """Results that are not stored yet, by attempt."""
        self._logged: set[tuple[object, ...]] = set()
        """Errors of rows that are in the log already."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._recovered = asyncio.Event()

    # --- beginning and end

    def recovered(self) -> None:
        """The calls of the switch are those of the engine."""
        self._recovered.set()

    async def run(self) -> None:
        """Dial until cancelled."""
        listening = core_task(self._listen(), name="dialer-listen")
        try:
            await self._recovered.wait()
            while True:
                self._changed.clear()
                await self._repeated(self._resolve, "attempts of former calls")
                await self._repeated(self._read_campaigns, "campaigns")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CAMPAIGNS_SECONDS):
                        await self._changed.wait()
        finally:
            listening.cancel()
            tasks = [one.task for one in self._campaigns.values() if one.task is not None]
            for task in (*tasks, *self._tasks):
                task.cancel()
            await asyncio.gather(listening, *tasks, *self._tasks, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            with contextlib.suppress(*_DATABASE_ERRORS):
                async for _ in self._db.listen(campaign_store.CHANNEL):
                    self._changed.set()
            await asyncio.sleep(PERIOD_SECONDS)

    async def _repeated(self, work: Callable[[], Awaitable[None]], what: str) -> None:
        """Until it succeeds. No error of it ends the switch."""
        cause, pause = "", PERIOD_SECONDS
        while True:
            try:
                await work()
                return
            except Exception as error:
                is_database = isinstance(error, _DATABASE_ERRORS)
                if cause != (cause := f"{type(error).__name__}: {first_line(error)}"):
                    _log.error(
                        "dialer_waits",
                        waiting_for=what,
                        error=cause,
                        consequence="campaigns begin no further call; it is tried again",
                        remedy="see logs/postgres.log"
                        if is_database
                        else "report this line with its traceback",
                        exc_info=None if is_database else error,
                    )
            await asyncio.sleep(pause)
            if not is_database:
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _resolve(self) -> None:
        """Attempts without an end that nothing in this process has: their calls go on, have ended, or did not begin."""
        rows = [
            row
            for row in await lead_store.open_attempts(self._db, self._switch.node)
            if row["call_session_id"] not in self._calls
            and row["call_session_id"] not in self._starting
            and row["attempt_id"] not in self._ended
        ]
        others = [row for row in rows if not self._adopt(row)]
        if not others:
            return
        await self._switch.stored()  # what a recovery has decided, and ends of calls of this moment
        known = [(row["account_id"], row["call_session_id"]) for row in others]
        async with self._db.connection() as connection:
            stored = await events_of_calls(connection, known)
        for row in others:
            try:
                await self._resolve_one(row, stored.get(call_stream(row["call_session_id"])))
            except _OUTAGES:
                raise
            except Exception as error:
                self._failed(row, error, "this attempt has no result, and its number is not called")

    def _adopt(self, row: Row) -> bool:
        """Whether the call of an attempt goes on: it is one of this process now."""
        session = self._switch.sessions.get(row["call_session_id"])
        if session is None or session.phase is Phase.ENDED:
            return False
        attempt = LiveAttempt(
            row["attempt_id"],
            row["account_id"],
            row["campaign_id"],
            row["phone"],
            row["call_session_id"],
            Instant(row["started_at"].timestamp()),
            is_measured=True,
            is_started=True,
        )
        self._calls[attempt.call_session_id] = attempt
        live = self._campaigns.get((attempt.account_id, attempt.campaign_id))
        if live is not None:
            live.calls[attempt.call_session_id] = attempt
        return True

    async def _resolve_one(self, row: Row, events: Sequence[Event] | None) -> None:
        session = replay(events) if events else None
        if session is None:  # a call is stored before it is dialled
            await lead_store.forget_attempt(self._db, row["account_id"], row["attempt_id"])
        else:
            one = await campaign_store.campaign(self._db, row["account_id"], row["campaign_id"])
            result = result_of(session, one.settings)
            if result is None and row["node"] == self._switch.node:
                return  # its end is not stored yet
            result = result or Result(DialOutcome.INTERRUPTED, Instant(self._clock()))
            await lead_store.finish(self._db, row["account_id"], row["attempt_id"], result)
        self._release(row["account_id"], row["call_session_id"])

    def _failed(self, of: Mapping[str, Any], error: Exception, consequence: str) -> None:
        """Log, once, what goes wrong with one row: it does not affect the others."""
        about = {name: of[name] for name in ("account_id", "campaign_id", "attempt_id") if name in of}
        problem = (*about.values(), f"{type(error).__name__}: {first_line(error)}")
        if problem not in self._logged:
            if len(self._logged) >= _LOGGED_MAX:
                self._logged.clear()
            self._logged.add(problem)
            _log.error(
                "campaign_row_failed",
                **about,
                error=problem[-1],
                consequence=consequence,
                remedy="see the settings of the campaign; else report this line with its traceback",
                exc_info=error,
            )

    async def _read_campaigns(self) -> None:
        wanted = {
            (one.account_id, one.campaign_id): one
            for one in await campaign_store.running_campaigns(
                self._db, self._switch.node, lambda row, error: self._failed(row, error, _CALLS_NOBODY)
            )
        }
        for key, live in list(self._campaigns.items()):
            found = wanted.get(key)
            if found is None or live.is_stopped or found != live.campaign:
                await self._end_campaign(live)
                if not live.calls or found is not None:
                    del self._campaigns[key]
        for key, found in wanted.items():
            if key not in self._campaigns:
                try:
                    await self._begin(found)
                except _OUTAGES:
                    raise
                except Exception as error:
                    about = {"account_id": found.account_id, "campaign_id": found.campaign_id}
                    self._failed(about, error, _CALLS_NOBODY)

    async def _end_campaign(self, live: LiveCampaign) -> None:
        """Begin no further call. A call that is being begun is not interrupted: its attempt is stored already."""
        live.is_stopped = True
        live.wake.set()
        if live.task is not None and not live.task.done():
            await asyncio.wait([live.task])

    async def _begin(self, one: Campaign) -> None:
        """Run a campaign."""
        live = LiveCampaign(one, LeadPool(one.settings), risk=Risk.under(one.settings.abandon_limit))
        for at, counts in await lead_store.answered_counts(self._db, one):
            live.abandonment.add_counts(at, counts)
        for row in await lead_store.last_attempts(self._db, one, int(MEMORY)):
            outcome = DialOutcome(row["outcome"])
            live.estimates.add_dial(max(0.0, row["ringing"]), is_person=outcome in PERSONS)
            if row["talking"] is not None:
                live.estimates.add_handling(max(0.0, row["talking"]))
        live.calls = {
            call: attempt
            for call, attempt in self._calls.items()
            if (attempt.account_id, attempt.campaign_id) == (one.account_id, one.campaign_id)
        }
        self._campaigns[one.account_id, one.campaign_id] = live
        live.task = item_task(self._dial(live), name="campaign", among=self._tasks)

    # --- dialing

    async def _dial(self, live: LiveCampaign) -> None:
        """Dial one campaign. An error in it does not affect the others."""
        cause = ""
        while not live.is_stopped:
            live.wake.clear()
            try:
                await self._store_results(live)
                await self._fill(live)
                await self._begin_calls(live)
                cause = ""
            except LeaseLost:
                return
            except Exception as error:
                if cause != (cause := f"{type(error).__name__}: {first_line(error)}"):
                    _log.error(
                        "campaign_failed",
                        account_id=live.campaign.account_id,
                        campaign_id=live.campaign.campaign_id,
                        error=cause,
                        consequence="this campaign begins no further call; it is tried again",
                        remedy="see logs/postgres.log"
                        if isinstance(error, _DATABASE_ERRORS)
                        else "report this line with its traceback",
                        exc_info=None if isinstance(error, _DATABASE_ERRORS) else error,
                    )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PERIOD_SECONDS):
                    await live.wake.wait()
        # What ended just before the stop is stored, too.
        try:
            await self._store_results(live)
        except Exception:  # who waits for the end of this task does not wait for the database
            item_task(self._store_now(), name="dialer-result", among=self._tasks)

    async def _fill(self, live: LiveCampaign) -> None:
        """Read leads in advance."""
        now = asyncio.get_running_loop().time()
        is_time = now - live.read_at >= READ_SECONDS or live.read_at == 0.0
        is_low = live.has_more and len(live.pool) < POOL_LEADS / 2 and now - live.read_at >= PERIOD_SECONDS
        if not (is_time or is_low):
            return
        live.read_at = now
        if is_time:
            await lead_store.sync_leads(self._db, live.campaign)
        until = Instant(self._clock() + READ_SECONDS)
        leads = await lead_store.due_leads(
            self._db, live.campaign, until, POOL_LEADS, open_at=Instant(self._clock())
        )
        live.has_more = len(leads) == POOL_LEADS
        live.pool = LeadPool(live.campaign.settings, leads)
        is_waited_for = any(
            attempt.campaign_id == live.campaign.campaign_id for attempt, _ in self._ended.values()
        )
        if not leads and not live.calls and not is_waited_for:
            await self._finish_if_done(live.campaign)

    async def _finish_if_done(self, one: Campaign) -> None:
        if not await lead_store.has_open_leads(self._db, one):
            with contextlib.suppress(InvalidState):  # it was stopped meanwhile
                await campaign_store.change_state(self._db, one.account_id, one.campaign_id, Action.EXHAUSTED)

    async def _begin_calls(self, live: LiveCampaign) -> None:
        one = live.campaign
        owner = self._switch.queues.owner(one.account_id) if self._switch.queues is not None else None
        if owner is None or one.queue_id not in owner.state.queues:
            return
        if asyncio.get_running_loop().time() < live.refused_until:
            return
        now = Instant(self._clock())
        budget = live.abandonment.budget(one.settings.abandon_limit, now)
        wanted = calls_to_begin(
            one.settings, self._situation(live, owner), live.estimates, live.risk.value, budget
        )
        for _ in range(wanted):
            lead = live.pool.take(Instant(self._clock()))
            if lead is None or live.is_stopped:
                return
            if not await self._call(live, owner, lead):
                return

    def _situation(self, live: LiveCampaign, owner: QueueOwner) -> Situation:
        """The agents and calls now. Agents who are reserved for a call to a lead count with that call: both as free and as a
        call that rings."""
        one, now = live.campaign, Instant(self._clock())
        silent = self._without_phone(one, owner)
        members = [
            agent
            for agent in owner.state.members(one.queue_id)
            if agent.status.receives_offers and agent.agent_id not in silent
        ]
        free = sum(owner.live.index.is_free_for(agent, one.queue_id) for agent in members)
        ringing = [attempt for attempt in live.calls.values() if attempt.answered_at is None]
        reserved = sum(self._is_reserved_for(agent, ringing) for agent in members)
        return Situation(
            agents=len(members),
            free=free + reserved,
            waiting=len(owner.state.queues[one.queue_id].waiting()),
            busy=[max(0.0, now - _busy_since(agent, now)) for agent in members if _is_busy(agent, now)],
            ringing=[max(0.0, now - attempt.begun_at) for attempt in ringing],
            lines=len(live.calls),
        )

    def _is_reserved_for(self, agent: Agent, calls: list[LiveAttempt]) -> bool:
        engagement = agent.engagement
        return (
            agent.state is AgentState.RESERVED
            and engagement is not None
            and any(call.call_session_id == engagement.caller_id for call in calls)
        )

    async def _call(self, live: LiveCampaign, owner: QueueOwner, lead: Lead) -> bool:
        """Call one lead. False: no further call is begun now."""
        one = live.campaign
        call_session_id = self._switch.next_id()
        agent_id = self._reserve(one, owner, call_session_id)
        if agent_id is None and one.settings.mode is not Mode.PREDICTIVE:
            live.pool.add(lead)
            return False
        self._starting.add(call_session_id)
        try:
            claimed = await lead_store.claim(self._db, one, lead.phone, call_session_id, self._switch.node)
            if claimed is None:
                return True
            attempt = LiveAttempt(
                claimed.attempt_id,
                one.account_id,
                one.campaign_id,
                lead.phone,
                call_session_id,
                Instant(self._clock()),
            )
            self._calls[call_session_id] = live.calls[call_session_id] = attempt
            await self._start(one, lead, claimed, call_session_id, agent_id)
            attempt.is_started = True
            if attempt.over is not None:
                self._over_at_once(live, attempt, attempt.over)
                return False
        except TrunklineError as error:
            outcome = _outcome_of(error)
            if outcome is None:
                await self._withdraw(live, lead, call_session_id, error)
                return False
            self._end(self._calls[call_session_id], Result(outcome, Instant(self._clock())))
        finally:
            self._starting.discard(call_session_id)
            attempt_made = self._calls.get(call_session_id)
            if attempt_made is not None and not attempt_made.is_started:
                # An error that is not of the call, or the end of this process: see _resolve.
                del self._calls[call_session_id]
                live.calls.pop(call_session_id, None)
            if call_session_id not in self._calls:
                self._release(one.account_id, call_session_id)
        return True

    def _over_at_once(self, live: LiveCampaign, attempt: LiveAttempt, session: Session) -> None:
        """The start has ended its call: the agent of a preview has no phone that could ring, or no trunk takes the call.

        :raises Refused: the lead is as before.
        """
        result = result_of(session, live.campaign.settings)
        if result is None or result.outcome is DialOutcome.FAILED:
            raise InvalidState("No trunk takes the call now: look at the trunks and their channels")
        self._pause(live)
        self._end(attempt, result)

    def _reserve(self, one: Campaign, owner: QueueOwner, call_session_id: int) -> int | None:
        owner.give(i.ReserveAgent(one.queue_id, call_session_id, self._without_phone(one, owner)))
        agent = reserved_for(owner.state, call_session_id)
        return agent.agent_id if agent is not None else None

    def _without_phone(self, one: Campaign, owner: QueueOwner) -> frozenset[int]:
        """Free agents of whom no phone could ring now: a lead who answers would be abandoned."""
        account = self._switch.account(one.account_id)
        context = self._switch.context(account)
        found = []
        for agent in owner.state.members(one.queue_id):
            employee = account.employees.get(agent.agent_id)
            if agent.state is AgentState.WAITING and (
                employee is None
                or all(context.phone_obstacle(phone) is not None for phone in employee.phones)
            ):
                found.append(agent.agent_id)
        return frozenset(found)

    def _release(self, account_id: int, call_session_id: int, talked: float | None = None) -> None:
        """:param talked: seconds of the agent with the lead, if it had not been taken by the queue (preview)."""
        owner = self._switch.queues.owner(account_id) if self._switch.queues is not None else None
        if owner is not None:
            owner.give(i.ReleaseAgent(call_session_id, talked))

    async def _start(
        self, one: Campaign, lead: Lead, claimed: Claimed, call_session_id: int, agent_id: int | None
    ) -> None:
        """
        :raises TrunklineError: nobody was called.
        """
        await self._switch.commands.start_lead_call(
            one.account_id,
            call_session_id,
            {
                "contact": lead.phone,
                "virtual_phone_number": one.virtual_phone_number,
                "queue_id": one.queue_id,
                "preview_employee_id": agent_id if one.settings.mode is Mode.PREVIEW else None,
                "ring_seconds": one.settings.ring_seconds,
                "detects_machine": one.settings.detect_machines,
                "connect_seconds": one.settings.connect_seconds,
                "abandoned_scenario_id": one.abandoned_scenario_id,
                "lead_id": claimed.lead_id or lead.phone,
                "lead_name": claimed.name,
                "lead_tags": claimed.tags,
                "ext_api_vars": claimed.variables,
                "dial_campaign_id": one.campaign_id,
                "external_id": f"campaign {one.campaign_id}",
            },
        )

    async def _withdraw(
        self, live: LiveCampaign, lead: Lead, call_session_id: int, error: TrunklineError
    ) -> None:
        """The call did not begin: the lead is as before, and the campaign pauses."""
        _log.warning(
            "lead_not_called",
            account_id=live.campaign.account_id,
            campaign_id=live.campaign.campaign_id,
            error=error.message,
            consequence=f"the campaign pauses for {REFUSED_SECONDS:g} seconds; the lead is called later",
            remedy="see the limits of outgoing calls of the account, and its default number",
        )
        self._pause(live)
        attempt = self._calls.pop(call_session_id, None)
        live.calls.pop(call_session_id, None)
        if attempt is not None:
            await lead_store.forget_attempt(self._db, attempt.account_id, attempt.attempt_id)
            live.pool.add(lead)

    def _pause(self, live: LiveCampaign) -> None:
        live.refused_until = asyncio.get_running_loop().time() + REFUSED_SECONDS

    # --- calls

    def has(self, call_session_id: int) -> bool:
        """Whether a call is one to a lead."""
        return call_session_id in self._calls

    def note(self, decision: Decision) -> None:
        """A decision about a call was applied."""
        session = decision.session
        attempt = self._calls.get(session.call_session_id)
        if attempt is None:
            return
        if session.phase is Phase.ENDED and not attempt.is_started:
            attempt.over = session  # whether its start was refused is known when that returns
            return
        live = self._campaigns.get((attempt.account_id, attempt.campaign_id))
        self._measure(attempt, live, session)
        if session.phase is Phase.ENDED:
            settings = live.campaign.settings if live is not None else None
            result = result_of(session, settings) if settings is not None else None
            if result is None:
                self._calls.pop(session.call_session_id, None)
                self._release(attempt.account_id, attempt.call_session_id)
                item_task(self._repeated(self._resolve, "a result"), name="dialer-result", among=self._tasks)
            else:
                self._end(attempt, result)
        elif live is not None and any(event.type is EventType.LEG_ANSWERED for event in decision.events):
            if attempt.answered_at is not None and attempt.connected_at is None:
                self._lend_agent(live, attempt)
            live.wake.set()

    def _lend_agent(self, live: LiveCampaign, answered: LiveAttempt) -> None:
        """In a predictive campaign a lead who has answered gets the agent of a call that rings, when no other is free."""
        one = live.campaign
        owner = self._switch.queues.owner(one.account_id) if self._switch.queues is not None else None
        if owner is None or one.settings.mode is not Mode.PREDICTIVE:
            return
        caller_id = owner.caller_of(answered.call_session_id)
        queue = owner.state.queues.get(one.queue_id)
        caller = queue.callers.get(caller_id) if queue is not None and caller_id is not None else None
        if caller is None or caller.offers:
            return  # an agent is being called
        for other in reversed(live.calls.values()):
            if other.answered_at is None and reserved_for(owner.state, other.call_session_id) is not None:
                owner.give(i.ReleaseAgent(other.call_session_id))
                return

    def _measure(self, attempt: LiveAttempt, live: LiveCampaign | None, session: Session) -> None:
        contact = contact_leg(session)
        if contact is not None and contact.answered_at is not None and attempt.answered_at is None:
            attempt.answered_at = contact.answered_at
            if live is not None and not attempt.is_measured:
                attempt.is_measured = True
                rang = max(0.0, contact.answered_at - contact.started_at)
                live.estimates.add_dial(rang, is_person=not contact.is_machine)
        if session.talks and attempt.connected_at is None:
            attempt.connected_at = session.talks[0].started_at

    def _end(self, attempt: LiveAttempt, result: Result) -> None:
        """An attempt is over: measure it, release its agent, and store it."""
        live = self._campaigns.get((attempt.account_id, attempt.campaign_id))
        self._calls.pop(attempt.call_session_id, None)
        self._ended[attempt.attempt_id] = (attempt, result)
        if live is not None:
            live.calls.pop(attempt.call_session_id, None)
            live.abandonment.add(result.ended_at, result.outcome)
            live.risk.add(result.outcome)
            if not attempt.is_measured and result.outcome not in NOT_CALLED:
                live.estimates.add_dial(max(0.0, result.ended_at - attempt.begun_at), is_person=False)
            if result.connected_at is not None:
                live.estimates.add_handling(max(0.0, result.ended_at - result.connected_at))
            live.wake.set()
        talked = None if result.connected_at is None else max(0.0, result.ended_at - result.connected_at)
        self._release(attempt.account_id, attempt.call_session_id, talked)
        if live is None or live.is_stopped:
            item_task(self._store_now(), name="dialer-result", among=self._tasks)

    async def _store_now(self) -> None:
        await self._repeated(lambda: self._store_results(None), "results")

    async def _store_results(self, live: LiveCampaign | None) -> None:
        """Store the results of a campaign; None: of all. One that cannot be stored does not hold up the others."""
        failure: Exception | None = None
        for attempt_id, (attempt, result) in list(self._ended.items()):
            if live is not None and attempt.campaign_id != live.campaign.campaign_id:
                continue
            try:
                await lead_store.finish(self._db, attempt.account_id, attempt_id, result)
            except _OUTAGES:
                raise
            except Exception as error:
                failure = error
            else:
                self._ended.pop(attempt_id, None)
        if failure is not None:
            raise failure


def _outcome_of(error: TrunklineError) -> DialOutcome | None:
    """The result of an attempt whose number may not be called; None: another one could not be called either."""
    if isinstance(error, PermissionDenied) and error.field == "contact":
        return (
            DialOutcome.DO_NOT_CALL if error.mnemonic == "contact_in_blacklist" else DialOutcome.NOT_ALLOWED
        )
    return DialOutcome.INVALID if isinstance(error, InvalidInput) and error.field == "contact" else None


def _is_busy(agent: Agent, now: Instant) -> bool:
    """Whether an agent talks, is called, or wraps up."""
    if agent.state is AgentState.WAITING:
        return agent.rest_until > now
    return agent.state in (AgentState.RECEIVING, AgentState.IN_CALL)


def _busy_since(agent: Agent, now: Instant) -> Instant:
    """When the present call of an agent began; that of the wrap-up is part of it."""
    if agent.state is AgentState.RECEIVING or agent.last_bridge_start == NEVER:
        return now
    return agent.last_bridge_start


@asynccontextmanager
async def dialing(dialer: Dialer) -> AsyncIterator[Dialer]:
    """Run the dialer during the block."""
    task = core_task(dialer.run(), name="dialer")
    try:
        yield dialer
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
