"""The rules of evaluation as they are written, without any index: slow, and easy to compare with the text.

Used against the evaluation of the product: both get the same state, and must start the same offers in the same order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from trunkline.queues.account import AccountQueues, Queue
from trunkline.queues.agents import Agent
from trunkline.queues.callers import Caller, Place
from trunkline.queues.settings import QueueSettings, Strategy
from trunkline.queues.states import AgentState, AgentStatus, CallerState, TicketState, TierState

Pick = Callable[[int, Sequence[int]], int | None]
"""Which agent a random strategy took for a caller, out of these; None: none."""


def whole(seconds: float) -> int:
    return math.floor(round(seconds, 6))


def score(caller: Caller, now: float) -> int:
    """4.1"""
    return whole(now - caller.joined_at) + caller.base_score + caller.skill_score


def is_present(queue: Queue, agent: Agent) -> bool:
    """Section 1, and the skills that the queue requires."""
    skills = queue.settings.required_skills
    has_skills = all(agent.settings.skills.get(name, 0) >= one.level for name, one in skills.items())
    return queue.queue_id in agent.tiers and has_skills and agent.status != AgentStatus.LOGGED_OUT


def is_eligible(queue: Queue, agent: Agent, now: float, taken: set[int]) -> bool:
    """5.1 to 5.6"""
    if not is_present(queue, agent) or agent.agent_id in taken:
        return False
    return (
        agent.status in (AgentStatus.AVAILABLE, AgentStatus.ON_DEMAND)
        and agent.state == AgentState.WAITING
        and agent.tiers[queue.queue_id].state in (TierState.READY, TierState.NO_ANSWER)
        and now >= agent.wrap_up_until
        and now >= agent.ready_time
        and (not agent.external_calls or not queue.settings.skip_agents_with_external_calls)
    )


def open_levels(settings: QueueSettings, present: set[int], waited: float) -> list[int]:
    """8.1 and 8.2, line by line"""
    if not settings.tier_rules_apply:
        return sorted(present)
    found: list[int] = []
    by_multiple = settings.tier_rule_wait_multiply_level
    for level in sorted(present):
        is_open = (
            level == 0
            or (settings.tier_rule_no_agent_no_wait and level == min(present))
            or (by_multiple and waited >= level * settings.tier_rule_wait_second)
            or (not by_multiple and waited >= settings.tier_rule_wait_second)
        )
        if not is_open:
            break
        found.append(level)
    return found


def place(agent: Agent, queue_id: int) -> Place:
    tier = agent.tiers[queue_id]
    return Place(tier.level, tier.position, agent.agent_id)


def in_order(
    strategy: Strategy,
    agents: Sequence[Agent],
    queue_id: int,
    *,
    caller_pointer: Place | None = None,
    queue_pointer: Place | None = None,
) -> list[Agent]:
    """Section 6: agents in the order of the strategy; ``top-down`` only those after the pointer."""
    level = {one.agent_id: one.tiers[queue_id].level for one in agents}
    position = {one.agent_id: one.tiers[queue_id].position for one in agents}
    match strategy:
        case Strategy.LONGEST_IDLE_AGENT:
            return sorted(
                agents,
                key=lambda a: (
                    level[a.agent_id], a.last_bridge_end, position[a.agent_id], a.last_offered_call, a.agent_id,
                ),
            )  # fmt: skip
        case Strategy.LEAST_TALK_TIME:
            return sorted(
                agents,
                key=lambda a: (
                    level[a.agent_id], a.talk_time, position[a.agent_id], a.last_offered_call, a.agent_id,
                ),
            )  # fmt: skip
        case Strategy.FEWEST_CALLS:
            return sorted(
                agents,
                key=lambda a: (
                    level[a.agent_id], a.calls_answered, position[a.agent_id], a.last_offered_call, a.agent_id,
                ),
            )  # fmt: skip
        case Strategy.BY_AGENT_ORDER:
            return sorted(
                agents,
                key=lambda a: (level[a.agent_id], position[a.agent_id], a.last_offered_call, a.agent_id),
            )
    by_place = sorted(agents, key=lambda a: place(a, queue_id))
    if strategy is Strategy.TOP_DOWN and caller_pointer is not None:
        return [one for one in by_place if place(one, queue_id) > caller_pointer]
    if strategy in (Strategy.ROUND_ROBIN, Strategy.BY_NEXT_AGENT_ORDER) and queue_pointer is not None:
        following = [
            one
            for one in by_place
            if level[one.agent_id] == queue_pointer.level and place(one, queue_id) > queue_pointer
        ]
        found = following + [one for one in by_place if one not in following]
        return sorted(found, key=lambda a: level[a.agent_id])  # level always sorts first; the sort is stable
    return by_place


@dataclass
class Evaluation:
    """What the rules say of one state.

    :ivar offers: caller and agent, in order; of a callback too.
    :ivar cleared: callers whose pointer was emptied and not set again.
    """

    offers: list[tuple[int, int]] = field(default_factory=list)
    cleared: set[int] = field(default_factory=set)


def evaluate(state: AccountQueues, now: float, pick: Pick) -> Evaluation:
    """2.3: all callers of all queues, best score first."""
    result = Evaluation()
    taken: set[int] = set()
    pointers = {queue.queue_id: queue.pointer for queue in state.queues.values()}
    entries: list[tuple[int, float, int, Queue]] = []
    for queue in state.queues.values():
        for caller in queue.callers.values():
            waits = caller.state == CallerState.WAITING
            is_added = caller.state == CallerState.TRYING and queue.settings.strategy is Strategy.RING_ALL
            ticket = queue.tickets.get(caller.caller_id)
            is_due = ticket is not None and ticket.state == TicketState.QUEUED and now >= ticket.next_try_at
            if waits or is_added or is_due:
                entries.append((-score(caller, now), caller.joined_at, caller.caller_id, queue))
    for _, _, caller_id, queue in sorted(entries, key=lambda one: one[:3]):
        caller = queue.callers[caller_id]
        _place(state, queue, caller, now, taken, pointers, result, pick)
    return result


def _place(
    state: AccountQueues,
    queue: Queue,
    caller: Caller,
    now: float,
    taken: set[int],
    pointers: dict[int, Place | None],
    result: Evaluation,
    pick: Pick,
) -> None:
    queue_id, strategy = queue.queue_id, queue.settings.strategy
    is_callback = caller.state == CallerState.ABANDONED
    present = {one.tiers[queue_id].level for one in state.agents.values() if is_present(queue, one)}
    levels = open_levels(queue.settings, present, round(now - caller.joined_at, 6))
    eligible = [
        one
        for one in state.agents.values()
        if is_eligible(queue, one, now, taken) and one.tiers[queue_id].level in levels
    ]
    if strategy is Strategy.RING_ALL and not is_callback:
        limit = queue.settings.max_wait_time
        is_over = limit and now >= round(caller.attempt_started_at + limit, 6)
        if any(one.is_answered for one in caller.offers.values()) or (caller.offers and is_over):
            return
        for agent in in_order(strategy, eligible, queue_id):
            _take(queue_id, caller, agent, taken, pointers, result)
        return
    if strategy is Strategy.RANDOM:
        lowest = min((one.tiers[queue_id].level for one in eligible), default=None)
        allowed = [one.agent_id for one in eligible if one.tiers[queue_id].level == lowest]
        chosen = pick(caller.caller_id, allowed)
        order = [state.agents[chosen]] if chosen is not None else []
    else:
        pointer = None if is_callback else caller.pointer
        order = in_order(
            strategy, eligible, queue_id, caller_pointer=pointer, queue_pointer=pointers[queue_id]
        )
        if not order and strategy is Strategy.TOP_DOWN and pointer is not None:
            result.cleared.add(caller.caller_id)
            order = in_order(strategy, eligible, queue_id)
    if order:
        result.cleared.discard(caller.caller_id)
        if is_callback:
            taken.add(order[0].agent_id)
            result.offers.append((caller.caller_id, order[0].agent_id))
        else:
            _take(queue_id, caller, order[0], taken, pointers, result)


def _take(
    queue_id: int,
    caller: Caller,
    agent: Agent,
    taken: set[int],
    pointers: dict[int, Place | None],
    result: Evaluation,
) -> None:
    taken.add(agent.agent_id)
    pointers[queue_id] = place(agent, queue_id)
    result.offers.append((caller.caller_id, agent.agent_id))
