"""Changes of queues, agents and tiers while calls go on (section 12)."""

from __future__ import annotations

from trunkline.core.errors import InUse, NotFound
from trunkline.events.catalogue import EventType
from trunkline.queues import attempts, callbacks, offers
from trunkline.queues.agents import Agent
from trunkline.queues.decision import QueueDecision
from trunkline.queues.inputs import RemoveAgent, RemoveQueue, RemoveTier, SetAgent, SetQueue, SetTier
from trunkline.queues.settings import check_place
from trunkline.queues.states import LeavingReason


def set_queue(decision: QueueDecision, given: SetQueue) -> None:
    """Create or change a queue: callers keep place and score, running offers go on (6.7)."""
    decision.emit_for_queue(given.queue_id, EventType.QUEUE_SET, settings=given.settings.values())
    decision.index.sync_queue(given.queue_id, decision.now)


def remove_queue(decision: QueueDecision, given: RemoveQueue) -> None:
    """Remove a queue.

    :raises NotFound: there is no such queue.
    :raises InUse: callers wait, and it is not forced.
    """
    queue = decision.state.queue(given.queue_id)
    waiting = queue.waiting()
    if waiting and not given.is_forced:
        raise InUse("Callers wait in this queue", field="queue_id", value=given.queue_id)
    for caller in waiting:
        attempts.leave(decision, caller, LeavingReason.BREAK_OUT)
    callbacks.close_all(decision, queue)
    for agent in list(decision.state.members(queue.queue_id)):
        _remove_tier(decision, agent, queue.queue_id)
    decision.emit_for_queue(queue, EventType.QUEUE_REMOVED)
    decision.index.sync_queue(queue.queue_id, decision.now)


def set_agent(decision: QueueDecision, given: SetAgent) -> None:
    """Create an agent, or change its settings.

    :raises InUse: an agent of this id was removed and is still in a queue call.
    """
    present = decision.state.agents.get(given.agent_id)
    if present is not None and present.is_removed:
        raise InUse("The removed agent is in a queue call", field="agent_id", value=given.agent_id)
    decision.emit_for_agent(given.agent_id, EventType.AGENT_SET, settings=given.settings.values())


def remove_agent(decision: QueueDecision, given: RemoveAgent) -> None:
    """Remove an agent and its tiers; a running offer is cancelled, a running call goes on and is counted.

    :raises NotFound: there is no such agent.
    """
    agent = decision.state.agent(given.agent_id)
    offers.cancel_of_agent(decision, agent)
    callbacks.withdraw_agent(decision, agent)
    for queue_id in list(agent.tiers):
        _remove_tier(decision, agent, queue_id)
    decision.emit_for_agent(agent, EventType.AGENT_REMOVED)


def set_tier(decision: QueueDecision, given: SetTier) -> None:
    """Add an agent to a queue, or move it there.

    :raises NotFound: there is no such queue or agent.
    :raises InvalidInput: level or position is negative.
    """
    queue, agent = decision.state.queue(given.queue_id), decision.state.agent(given.agent_id)
    check_place(given.level, given.position)
    before = agent.place_in(queue.queue_id)
    if before is not None and (before.level, before.position) == (given.level, given.position):
        return
    place = {"level": given.level, "position": given.position}
    decision.emit_for_agent(
        agent, EventType.TIER_SET, queue_id=queue.queue_id, is_new=before is None, **place
    )
    pointers = [queue.pointer, *(caller.pointer for caller in queue.callers.values())]
    if any(one is not None and one.agent_id == agent.agent_id for one in pointers):
        decision.emit_for_queue(queue, EventType.QUEUE_POINTERS_MOVED, agent_id=agent.agent_id, **place)


def remove_tier(decision: QueueDecision, given: RemoveTier) -> None:
    """Take an agent out of a queue.

    :raises NotFound: there is no such agent, or it is not in this queue.
    """
    agent = decision.state.agent(given.agent_id)
    if given.queue_id not in agent.tiers:
        raise NotFound("The agent is not in this queue", field="queue_id", value=given.queue_id)
    _remove_tier(decision, agent, given.queue_id)


def _remove_tier(decision: QueueDecision, agent: Agent, queue_id: int) -> None:
    offers.cancel_of_agent(decision, agent, queue_id=queue_id)
    callbacks.withdraw_agent(decision, agent, queue_id=queue_id)
    decision.emit_for_agent(agent, EventType.TIER_REMOVED, queue_id=queue_id)
