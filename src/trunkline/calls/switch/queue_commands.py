"""Commands on agents and queues, from the other processes. :class:`AgentCommands` is the typed interface for them.

They go to a switch like every command (:mod:`trunkline.calls.switch.rpc_client`) and return when their events are stored, or
``WRITE_TIMEOUT_SECONDS`` later: then they are stored when the database responds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from trunkline.core.errors import InvalidInput, NotCarriedOut, NotFound, SwitchUnavailable
from trunkline.queues import inputs as i
from trunkline.queues import served
from trunkline.queues.account import Queue
from trunkline.queues.agents import Agent
from trunkline.queues.callers import NEVER
from trunkline.queues.overview import Activity, activity_of, figures, waiting_list
from trunkline.queues.service_level import STRATEGIES
from trunkline.queues.states import AgentState, AgentStatus

if TYPE_CHECKING:
    from trunkline.calls.switch.queue_owner import QueueOwner
    from trunkline.calls.switch.queues import CallQueues

SET_STATUS, SET_STATE, SET_WRAP_UP = "set_agent_status", "set_agent_state", "set_agent_wrap_up"
LIST_AGENTS, LIST_QUEUES, LIST_LIVE = "list_agents", "list_queues", "list_queues_live"
_LISTS = frozenset({LIST_AGENTS, LIST_QUEUES, LIST_LIVE})
QUEUE_COMMANDS = frozenset({SET_STATUS, SET_STATE, SET_WRAP_UP, *_LISTS})

WRITE_TIMEOUT_SECONDS = 2.0
"""How long a command waits for the database to store its events; afterwards it returns without that, or fails when it is
one of :data:`trunkline.calls.commands.STORED_ONLY`."""

DIRECTORY_SECONDS = 2.0
"""How long a command waits for an agent that was made a moment ago to reach the switch."""


class Phones(StrEnum):
    """Whether an offer to an agent would ring now."""

    FREE = "free"
    BUSY = "busy"
    UNREACHABLE = "unreachable"
    """No phone is registered, active and allowed to take calls."""
    DO_NOT_DISTURB = "do_not_disturb"


@dataclass(frozen=True, slots=True)
class AgentView:
    """One agent at one moment. Times are Unix seconds; None: never, or none.

    :ivar agent_id: id of the employee.
    :ivar status: as the agent or an administrator has set it.
    :ivar status_reason: of a break: the text that was given with it.
    :ivar state: what the agent is doing.
    :ivar wrap_up_until: end of the wrap-up; in the past: it is over.
    :ivar ready_time: no offer before that, after one that failed.
    :ivar queue_ids: the queues of the agent.
    :ivar queue_id: of the present offer or queue call.
    :ivar call_session_id: of the present queue call or offer.
    :ivar name: full name of the employee.
    :ivar activity: what the agent is doing, in one word.
    :ivar since: when the activity began.
    :ivar until: when it ends by itself.
    :ivar reason: of the activity: of a break, a log-out or a delay.
    :ivar phones: whether the agent's phones can be called now; None: not known.
    """

    agent_id: int
    status: AgentStatus
    status_reason: str | None
    status_changed_at: float | None
    state: AgentState
    wrap_up_until: float | None
    ready_time: float | None
    talk_time: float
    calls_answered: int
    no_answer_count: int
    queue_ids: tuple[int, ...]
    queue_id: int | None = None
    call_session_id: int | None = None
    name: str = ""
    activity: Activity = Activity.LOGGED_OUT
    since: float | None = None
    until: float | None = None
    reason: str | None = None
    phones: Phones | None = None

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> AgentView:
        """From the result of a command."""
        return cls(
            **{
                **found,
                "status": AgentStatus(found["status"]),
                "state": AgentState(found["state"]),
                "queue_ids": tuple(found["queue_ids"]),
                "activity": Activity(found.get("activity", Activity.LOGGED_OUT)),
                "phones": Phones(found["phones"]) if found.get("phones") is not None else None,
            }
        )


@dataclass(frozen=True, slots=True)
class LiveQueuesView:
    """Agents and queues of an account at one moment."""

    agents: list[AgentView]
    queues: list[dict[str, Any]]


class Commands(Protocol):
    """The part of :class:`~trunkline.calls.switch.rpc_client.SwitchClient` that is used."""

    async def command(
        self, account_id: int, name: str, params: dict[str, Any], *, request_id: str = ""
    ) -> dict[str, Any]: ...


class AgentCommands:
    """Commands on the agents of the accounts, for the APIs.

    All raise :class:`~trunkline.core.errors.SwitchUnavailable` when no switch answers or it does not run the queues of the
    account at present, and
    :class:`~trunkline.core.errors.NotFound` for an employee who is no agent: one that is in no queue and not marked as agent
    (``is_agent``), or not active.
    """

    def __init__(self, switch: Commands) -> None:
        self._switch = switch

    async def set_status(
        self, account_id: int, employee_id: int, status: AgentStatus, reason: str | None = None
    ) -> AgentView:
        """Check in (``Available``), check out (``Logged Out``), take a break (``On Break``).

        :param reason: of a break, such as the id of the pause.
        """
        params = {"employee_id": employee_id, "status": status.value, "reason": reason}
        return AgentView.of_json(await self._switch.command(account_id, SET_STATUS, params))

    async def end_break(self, account_id: int, employee_id: int) -> AgentView:
        """End a break; another status stays.

        :raises InvalidState: the agent is logged out.
        """
        available = AgentStatus.AVAILABLE.value
        params = {"employee_id": employee_id, "status": available, "reason": None, "ends_break": True}
        return AgentView.of_json(await self._switch.command(account_id, SET_STATUS, params))

    async def set_state(self, account_id: int, employee_id: int, state: AgentState) -> AgentView:
        """Park an agent (``Idle``) or release it (``Waiting``).

        :raises InvalidInput: another state.
        :raises InvalidState: ``Waiting`` during an offer or a queue call.
        """
        params = {"employee_id": employee_id, "state": state.value}
        return AgentView.of_json(await self._switch.command(account_id, SET_STATE, params))

    async def set_wrap_up(self, account_id: int, employee_id: int, seconds: int | None = None) -> AgentView:
        """End the wrap-up so many seconds from now, 0 at once; None: the agent's own wrap-up time from now.

        :raises InvalidInput: not 0 to 86400.
        """
        params = {"employee_id": employee_id, "seconds": seconds}
        return AgentView.of_json(await self._switch.command(account_id, SET_WRAP_UP, params))

    async def agents(self, account_id: int) -> list[AgentView]:
        """All agents of an account, by id."""
        found = await self._switch.command(account_id, LIST_AGENTS, {})
        return [AgentView.of_json(one) for one in found["agents"]]

    async def queues(self, account_id: int) -> list[dict[str, Any]]:
        """Figures of all queues of an account, by id: ``queue_id``, ``name``, ``waiting``, ``longest_wait`` (seconds),
        ``talking``, ``callbacks``, ``agents`` (present ones by state), ``on_break``, ``service`` (counts of today, see
        :func:`service_today`), and ``callers`` who wait, in their order: ``caller_id``, ``call_session_id``, ``number``,
        ``position``, ``state``, ``score``, ``waited`` (seconds)."""
        found = await self._switch.command(account_id, LIST_QUEUES, {})
        queues: list[dict[str, Any]] = found["queues"]
        return queues

    async def live(self, account_id: int) -> LiveQueuesView:
        """Agents and queues at the same moment, so that their figures fit together."""
        found = await self._switch.command(account_id, LIST_LIVE, {})
        return LiveQueuesView([AgentView.of_json(one) for one in found["agents"]], found["queues"])


async def execute_queue_command(
    queues: CallQueues | None, account_id: int, name: str, params: Mapping[str, Any]
) -> dict[str, Any]:
    """Execute a command of :data:`QUEUE_COMMANDS` in the switch.

    :raises TrunklineError: as the methods of :class:`AgentCommands`.
    """
    if queues is None:
        raise NotCarriedOut("This switch runs no queues")
    if name in _LISTS:
        listed = await _owner(queues, account_id)
        agents = [view_of(queues, listed, one) for one in _agents_of(listed)] if listed else []
        found = {"agents": agents, "queues": _queues_of(queues, listed) if listed else []}
        return {key: found[key] for key in found if name in (LIST_LIVE, f"list_{key}")}
    given = _input(name, params)
    owner = await _owner_of_agent(queues, account_id, given.agent_id)
    stored = owner.give(given)
    if stored is not None:
        try:
            async with asyncio.timeout(WRITE_TIMEOUT_SECONDS):
                await asyncio.shield(stored)
        except TimeoutError:
            pass
    return view_of(queues, owner, owner.state.agent(given.agent_id))


def _input(name: str, params: Mapping[str, Any]) -> i.SetStatus | i.SetState | i.SetWrapUp:
    agent_id = params["employee_id"]
    try:
        if name == SET_STATUS:
            status, ends_break = AgentStatus(params["status"]), bool(params.get("ends_break"))
            return i.SetStatus(agent_id, status, params.get("reason"), ends_break)
        if name == SET_STATE:
            return i.SetState(agent_id, AgentState(params["state"]))
    except ValueError as error:
        raise InvalidInput(str(error)) from None
    return i.SetWrapUp(agent_id, params.get("seconds"))


async def _owner(queues: CallQueues, account_id: int) -> QueueOwner | None:
    """The queues of an account. None: it has none.

    :raises SwitchUnavailable: they are not in use yet, or not at present.
    """
    deadline = asyncio.get_running_loop().time() + DIRECTORY_SECONDS
    while (owner := queues.owner(account_id)) is None and queues.has_queues(account_id):
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise _not_in_use()
        await queues.wait_changed(left)
    return owner


def _not_in_use() -> SwitchUnavailable:
    return SwitchUnavailable(
        "The queues of this account are being read; nothing was done. Try again in a few seconds."
    )


async def _owner_of_agent(queues: CallQueues, account_id: int, agent_id: int) -> QueueOwner:
    """
    :raises NotFound: the employee is no agent.
    :raises SwitchUnavailable: the queues are not in use yet, or not at present.
    """
    deadline = asyncio.get_running_loop().time() + DIRECTORY_SECONDS
    while True:
        owner = queues.owner(account_id)
        if owner is not None and agent_id in owner.state.agents:
            return owner
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            if owner is None and queues.has_queues(account_id):
                raise _not_in_use()
            raise NotFound(
                "This employee is no agent: put it into a queue first", field="employee_id", value=agent_id
            )
        await queues.wait_changed(left)


def _agents_of(owner: QueueOwner) -> list[Agent]:
    return [agent for _, agent in sorted(owner.state.agents.items()) if not agent.is_removed]


def view_of(queues: CallQueues, owner: QueueOwner, agent: Agent) -> dict[str, Any]:
    """An agent as JSON."""
    found = activity_of(agent, owner.now)
    phones = queues.phones_of(owner.account_id, agent.agent_id)
    engagement = agent.engagement
    caller = None
    if engagement is not None and (queue := owner.state.queues.get(engagement.queue_id)) is not None:
        caller = queue.callers.get(engagement.caller_id)
    view = AgentView(
        agent.agent_id,
        agent.status,
        agent.status_reason,
        _instant(agent.status_changed_at),
        agent.state,
        _instant(agent.wrap_up_until),
        _instant(agent.ready_time),
        agent.talk_time,
        agent.calls_answered,
        agent.no_answer_count,
        tuple(sorted(agent.tiers)),
        engagement.queue_id if engagement is not None else None,
        caller.call_session_id if caller is not None else None,
        queues.employee_name(owner.account_id, agent.agent_id),
        found.activity,
        _instant(found.since),
        found.until,
        found.reason,
        phones,
    )
    return asdict(view)


def _instant(at: float) -> float | None:
    return None if at == NEVER else at


def _figures(owner: QueueOwner, queue_id: int) -> dict[str, Any]:
    found = figures(owner.state, queue_id, owner.now)
    return {**asdict(found), "agents": {state.value: count for state, count in found.agents.items()}}


def service_today(queue: Queue, now: float, zone: tzinfo) -> dict[str, Any]:
    """Counts of the visits that ended since midnight in the zone of the account, each counted once.

    ``since`` (Unix seconds), ``answer_time`` (seconds), ``formula``, ``level`` (0 to 1; None: nothing counts), ``offered``,
    ``average_wait`` (seconds of the answered; None: nobody was answered) and the members of
    :class:`~trunkline.queues.service_level.ServiceCounts`.
    """
    midnight = datetime.fromtimestamp(now, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    counts = served.since(queue.served, midnight.timestamp())
    formula = STRATEGIES[queue.settings.sla_strategy]
    average = counts.average_wait
    return {
        "since": int(midnight.timestamp()),
        "answer_time": queue.settings.sla_answer_time,
        "formula": formula.value,
        "level": counts.level(formula),
        "offered": counts.offered,
        "average_wait": None if average is None else round(average, 1),
        **asdict(counts),
    }


def _queues_of(queues: CallQueues, owner: QueueOwner) -> list[dict[str, Any]]:
    state = owner.state
    zone = queues.zone_of(owner.account_id)
    return [
        {
            "queue_id": queue_id,
            "name": queues.queue_name(owner.account_id, queue_id),
            **_figures(owner, queue_id),
            "service": service_today(state.queues[queue_id], owner.now, zone),
            "callers": [asdict(one) for one in waiting_list(state, queue_id, owner.now)],
        }
        for queue_id in sorted(state.queues)
    ]
