"""What consoles, announcements of the position and the REST API show of a queue at one moment. Reads only."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from trunkline.core.clock import Instant
from trunkline.queues.account import AccountQueues
from trunkline.queues.agents import Agent
from trunkline.queues.callers import whole_seconds
from trunkline.queues.states import AgentState, AgentStatus, CallerState


@dataclass(frozen=True, slots=True)
class WaitingCaller:
    """One caller in Waiting or Trying.

    :ivar position: 1 is served first.
    :ivar score: whole seconds and points (4.1).
    :ivar waited: whole seconds since it joined.
    """

    caller_id: int
    call_session_id: int
    number: str
    position: int
    state: CallerState
    score: int
    waited: int


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """Numbers of one queue.

    :ivar longest_wait: whole seconds of the caller who joined first of those who wait; None: nobody waits.
    :ivar callbacks: open ones.
    :ivar agents: present agents by their state.
    :ivar on_break: of these, those on break.
    """

    waiting: int
    longest_wait: int | None
    talking: int
    callbacks: int
    agents: dict[AgentState, int]
    on_break: int


def waiting_list(state: AccountQueues, queue_id: int, now: Instant) -> list[WaitingCaller]:
    """Who waits in a queue, in the order of the scores (4.3).

    :raises NotFound: there is no such queue.
    """
    callers = sorted(state.queue(queue_id).waiting(), key=lambda caller: caller.rank(now))
    return [
        WaitingCaller(
            caller.caller_id,
            caller.call_session_id,
            caller.number,
            position,
            caller.state,
            caller.score(now),
            whole_seconds(caller.joined_at, now),
        )
        for position, caller in enumerate(callers, 1)
    ]


class Activity(StrEnum):
    """What an agent is doing, in one word; the first that applies."""

    TALKING = "talking"
    RINGING = "ringing"
    RESERVED = "reserved"
    """For a callback or a call to a lead that is being dialled."""
    LOGGED_OUT = "logged_out"
    ON_BREAK = "on_break"
    OTHER_CALL = "other_call"
    """One that is no queue call."""
    WRAP_UP = "wrap_up"
    DELAY = "delay"
    """No offer for some seconds after one that was not answered."""
    IDLE = "idle"
    """Parked until released."""
    AVAILABLE = "available"


@dataclass(frozen=True, slots=True)
class AgentActivity:
    """
    :ivar since: when it began; :data:`~trunkline.queues.callers.NEVER`: unknown.
    :ivar until: when it ends by itself; None: it does not.
    :ivar reason: of a break or a log-out: ``max_no_answer``, or the text that was given with it; of a delay: the outcome
        of the last offer.
    """

    activity: Activity
    since: Instant
    until: Instant | None = None
    reason: str | None = None


def activity_of(agent: Agent, now: Instant) -> AgentActivity:
    """What an agent is doing, since when and why."""
    match agent.state:
        case AgentState.IN_CALL:
            return AgentActivity(Activity.TALKING, agent.last_bridge_start)
        case AgentState.RECEIVING:
            return AgentActivity(Activity.RINGING, agent.last_offered_call)
        case AgentState.RESERVED if agent.external_calls:  # the call of a preview
            return AgentActivity(Activity.TALKING, agent.external_changed_at)
        case AgentState.RESERVED:
            return AgentActivity(Activity.RESERVED, agent.state_changed_at)
        case _:
            pass
    if not agent.status.receives_offers:
        away = Activity.ON_BREAK if agent.status.is_present else Activity.LOGGED_OUT
        return AgentActivity(away, agent.status_changed_at, reason=agent.status_reason)
    if agent.external_calls:
        return AgentActivity(Activity.OTHER_CALL, agent.external_changed_at)
    if agent.wrap_up_until > now:
        return AgentActivity(Activity.WRAP_UP, agent.wrap_up_since, agent.wrap_up_until)
    if agent.ready_time > now:
        began = agent.state_changed_at
        return AgentActivity(Activity.DELAY, began, agent.ready_time, agent.last_outcome)
    if agent.state is AgentState.IDLE:
        return AgentActivity(Activity.IDLE, agent.state_changed_at)
    began = max(agent.status_changed_at, agent.state_changed_at, agent.external_changed_at, agent.rest_until)
    return AgentActivity(Activity.AVAILABLE, began)


def figures(state: AccountQueues, queue_id: int, now: Instant) -> QueueFigures:
    """The numbers of a queue.

    :raises NotFound: there is no such queue.
    """
    queue = state.queue(queue_id)
    required = queue.settings.required_skills
    present = [
        agent for agent in state.members(queue_id) if agent.status.is_present and agent.settings.has(required)
    ]
    waiting = queue.waiting()
    return QueueFigures(
        waiting=len(waiting),
        longest_wait=max((whole_seconds(one.joined_at, now) for one in waiting), default=None),
        talking=sum(caller.state is CallerState.ANSWERED for caller in queue.callers.values()),
        callbacks=len(queue.tickets),
        agents=dict(Counter(agent.state for agent in present)),
        on_break=sum(agent.status is AgentStatus.ON_BREAK for agent in present),
    )
