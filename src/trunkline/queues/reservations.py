"""Agents who are reserved for a call that is being dialled, before it joins the queue.

A reservation is named by the id of the call. Its agent gets the first offer when the call joins (:func:`take`), and is free
again when the call does not come about (:func:`release`). In a campaign with preview the agent talks with the lead in the
call that it is reserved for.
"""

from __future__ import annotations

from trunkline.events.catalogue import EventType
from trunkline.queues import offers
from trunkline.queues.account import AccountQueues
from trunkline.queues.agents import Agent
from trunkline.queues.callers import Caller, after, exact
from trunkline.queues.decision import QueueDecision
from trunkline.queues.states import AgentState
from trunkline.queues.strategies import FreeLevel, agent_of, choose


def reserved_for(state: AccountQueues, reservation_id: int) -> Agent | None:
    """The agent of a reservation."""
    return next((one for one in state.agents.values() if _is_for(one, reservation_id)), None)


def _is_for(agent: Agent, reservation_id: int) -> bool:
    engagement = agent.engagement
    return (
        agent.state is AgentState.RESERVED
        and engagement is not None
        and engagement.caller_id == reservation_id
    )


def reserve(
    decision: QueueDecision, queue_id: int, reservation_id: int, without: frozenset[int] = frozenset()
) -> bool:
    """Reserve the next agent by the strategy of the queue. False: none is free, or the reservation is there.

    :param without: agents who are left out.
    :raises NotFound: there is no such queue.
    """
    queue = decision.state.queue(queue_id)
    if reserved_for(decision.state, reservation_id) is not None:
        return False
    levels = [
        FreeLevel(one.level, keys)
        for one in decision.view(queue_id).open_free(0.0)
        if (keys := [key for key in one.keys if agent_of(key) not in without] if without else one.keys)
    ]
    agent_id = (
        choose(queue.settings.strategy, levels, None, queue.pointer, decision.context.random)
        if levels
        else None
    )
    if agent_id is None:
        return False
    decision.emit_for_agent(agent_id, EventType.AGENT_RESERVED, queue_id=queue_id, caller_id=reservation_id)
    return True


def release(decision: QueueDecision, reservation_id: int, talked: float | None = None) -> bool:
    """The call does not come about or is over: its agent is free. False: there is no such reservation.

    :param talked: seconds that the agent has talked in it; it counts and is wrapped up as a call of the queue then.
    """
    agent = reserved_for(decision.state, reservation_id)
    if agent is None or agent.engagement is None:
        return False
    talk = {}
    if talked is not None:
        talk = {
            "seconds": exact(talked),
            "wrap_up_until": after(decision.now, agent.settings.wrap_up_time),
        }
    decision.emit_for_agent(
        agent, EventType.AGENT_RELEASED, queue_id=agent.engagement.queue_id, caller_id=reservation_id, **talk
    )
    return True


def take(decision: QueueDecision, caller: Caller) -> None:
    """The call has joined: its agent is called."""
    agent = reserved_for(decision.state, caller.call_session_id)
    if agent is None or agent.engagement is None:
        return
    is_same = agent.engagement.queue_id == caller.queue_id
    if not is_same or not offers.start(decision, caller, agent, is_reserved=True):
        release(decision, caller.call_session_id)
