"""Which levels of a queue are open for a caller (section 8). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trunkline.queues.settings import QueueSettings


@dataclass(frozen=True, slots=True)
class Opening:
    """A level with a present agent.

    :ivar seconds: how long a caller must have waited for it; 0: open at once.
    """

    level: int
    seconds: int


def openings(settings: QueueSettings, present_levels: Iterable[int]) -> list[Opening]:
    """When each level that has a present agent opens, the lowest first (8.1, 8.2).

    No level opens before one below it: the open levels of a
    caller are always the first ones of this list.
    """
    levels = sorted(present_levels)
    if not settings.tier_rules_apply:
        return [Opening(level, 0) for level in levels]
    found: list[Opening] = []
    for number, level in enumerate(levels):
        if level == 0 or (number == 0 and settings.tier_rule_no_agent_no_wait):
            wait = 0
        elif settings.tier_rule_wait_multiply_level:
            wait = level * settings.tier_rule_wait_second
        else:
            wait = settings.tier_rule_wait_second
        found.append(Opening(level, wait))
    return found


def open_levels(settings: QueueSettings, present_levels: Iterable[int], waited: float) -> Sequence[int]:
    """The levels that are open for a caller.

    :param waited: seconds since it joined.
    """
    return [one.level for one in openings(settings, present_levels) if waited >= one.seconds]
