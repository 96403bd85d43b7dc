"""What consoles, announcements of the position and the REST API show of a queue at one moment. Reads only."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from trunkline.core.clock import Instant
from trunkline.queues.account import AccountQueues
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

    :ivar callbacks: open ones.
    :ivar agents: present agents by their state.
    :ivar on_break: of these, those on break.
    """

    waiting: int
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


def figures(state: AccountQueues, queue_id: int) -> QueueFigures:
    """The numbers of a queue.

    :raises NotFound: there is no such queue.
    """
    queue = state.queue(queue_id)
    required = queue.settings.required_skills
    present = [
        agent for agent in state.members(queue_id) if agent.status.is_present and agent.settings.has(required)
    ]
    return QueueFigures(
        waiting=len(queue.waiting()),
        talking=sum(caller.state is CallerState.ANSWERED for caller in queue.callers.values()),
        callbacks=len(queue.tickets),
        agents=dict(Counter(agent.state for agent in present)),
        on_break=sum(agent.status is AgentStatus.ON_BREAK for agent in present),
    )
