"""The order in which agents are called (section 6). Pure.

The free agents of a level are kept in a list that is sorted by the key of the queue's strategy. The key does not change
while an agent is free, so choosing the next agent is a look at the beginning of a list, or a binary search.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from random import Random
from types import MappingProxyType
from typing import Any, NamedTuple

from trunkline.queues.agents import Agent, Tier
from trunkline.queues.callers import Place
from trunkline.queues.settings import Strategy

Key = tuple[Any, ...]
"""Order inside a level; the last item is the id of the agent."""


class FreeLevel(NamedTuple):
    """The free agents of one level that is open for a caller, in the order of the strategy; at least one."""

    level: int
    keys: Sequence[Key]


def _longest_idle(agent: Agent, tier: Tier) -> Key:
    return agent.last_bridge_end, tier.position, agent.last_offered_call, agent.agent_id


def _least_talk_time(agent: Agent, tier: Tier) -> Key:
    return agent.talk_time, tier.position, agent.last_offered_call, agent.agent_id


def _fewest_calls(agent: Agent, tier: Tier) -> Key:
    return agent.calls_answered, tier.position, agent.last_offered_call, agent.agent_id


def _by_agent_order(agent: Agent, tier: Tier) -> Key:
    return tier.position, agent.last_offered_call, agent.agent_id


def _by_place(agent: Agent, tier: Tier) -> Key:
    return tier.position, agent.agent_id


def _by_id(agent: Agent, tier: Tier) -> Key:
    return (agent.agent_id,)


KEYS: Mapping[Strategy, Callable[[Agent, Tier], Key]] = MappingProxyType(
    {
        Strategy.LONGEST_IDLE_AGENT: _longest_idle,
        Strategy.LEAST_TALK_TIME: _least_talk_time,
        Strategy.FEWEST_CALLS: _fewest_calls,
        Strategy.BY_AGENT_ORDER: _by_agent_order,
        Strategy.TOP_DOWN: _by_place,
        Strategy.ROUND_ROBIN: _by_place,
        Strategy.BY_NEXT_AGENT_ORDER: _by_place,
        Strategy.RANDOM: _by_id,
        Strategy.RING_ALL: _by_place,
    }
)
"""The order inside a level by strategy. Level always sorts first."""

ROUND_ROBIN = frozenset({Strategy.ROUND_ROBIN, Strategy.BY_NEXT_AGENT_ORDER})


def choose(
    strategy: Strategy,
    levels: Sequence[FreeLevel],
    caller_pointer: Place | None,
    queue_pointer: Place | None,
    random: Random,
) -> int | None:
    """The agent to call: the first eligible one (6.1). None: no agent is free, or, with ``top-down``, none after the
    pointer.

    :param levels: open levels that have free agents, the lowest first.
    """
    if not levels:
        return None
    lowest = levels[0]
    if strategy is Strategy.RANDOM:
        return agent_of(random.choice(lowest.keys))
    if strategy is Strategy.TOP_DOWN and caller_pointer is not None:
        return _after(levels, caller_pointer)
    if strategy in ROUND_ROBIN and queue_pointer is not None and queue_pointer.level == lowest.level:
        following = bisect_right(lowest.keys, queue_pointer[1:])
        return agent_of(lowest.keys[following % len(lowest.keys)])
    return agent_of(lowest.keys[0])


def choose_all(levels: Sequence[FreeLevel]) -> list[int]:
    """``ring-all``: all eligible agents of all open levels (6.5)."""
    return [agent_of(key) for level in levels for key in level.keys]


def _after(levels: Sequence[FreeLevel], pointer: Place) -> int | None:
    """The first agent strictly after a place, over the levels (6.3)."""
    for level, keys in levels:
        if level > pointer.level:
            return agent_of(keys[0])
        if level == pointer.level:
            following = bisect_right(keys, pointer[1:])
            if following < len(keys):
                return agent_of(keys[following])
    return None


def agent_of(key: Key) -> int:
    """The agent of a key."""
    found: int = key[-1]
    return found
