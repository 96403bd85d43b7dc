"""Names and values of the Call Center REST API for what the rules have (section 17). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from trunkline.core.errors import InvalidInput
from trunkline.queues import inputs as i
from trunkline.queues.agents import Agent, Tier
from trunkline.queues.settings import AgentSettings
from trunkline.queues.states import AgentStatus, LeavingReason

CANCELED: Mapping[LeavingReason, str] = MappingProxyType(
    {
        LeavingReason.HANGUP: "BREAK_OUT",
        LeavingReason.BREAK_OUT: "BREAK_OUT",
        LeavingReason.TIMEOUT: "TIMEOUT",
        LeavingReason.NO_AGENT_TIMEOUT: "NO_AGENT_TIMEOUT",
        LeavingReason.EXIT_KEY: "NONE",
    }
)
"""``canceled`` of a queue call that was not answered. The exact reason stays in the events."""

ACCOUNT_DEFAULTS = (
    "wrap_up_time",
    "no_answer_delay_time",
    "reject_delay_time",
    "busy_delay_time",
    "max_no_answer",
)
"""Settings of a user that override the account's; empty means the account's, 0 means none."""


def canceled(reason: LeavingReason) -> str | None:
    """``canceled`` of a call; None: it was answered."""
    return CANCELED.get(reason)


def tier_of_item(queue_id: int, item: Sequence[Any]) -> i.SetTier:
    """The tier of an item of a queue's ``users``: ``[user_id, mode, position, level, timegroup_id]``, the position
    before the level.

    :raises InvalidInput: it has no user, or a place that is no number.
    """
    try:
        agent_id = int(item[0])
        position = int(item[2]) if len(item) > 2 and item[2] is not None else 1
        level = int(item[3]) if len(item) > 3 and item[3] is not None else 1
    except (TypeError, ValueError, IndexError):
        raise InvalidInput(
            "An item of users is [user_id, mode, position, level, timegroup_id]",
            field="users",
            value=list(item),
        ) from None
    return i.SetTier(queue_id, agent_id, level, position)


def item_of_tier(
    agent: Agent, tier: Tier, name: str, *, mode: int = 0, timegroup_id: int | None = None
) -> list[Any]:
    """An item of ``users`` in an answer: the name follows the level."""
    return [agent.agent_id, mode, tier.position, tier.level, name, timegroup_id]


def settings_of_user(user: Mapping[str, Any], account: Mapping[str, int], **more: Any) -> AgentSettings:
    """An agent's settings from the user's own values and the account's defaults.

    :param user: values by the names of the API; None or missing: the account's.
    :raises InvalidInput: a value out of its range.
    """
    found = {
        name: value
        for name in ACCOUNT_DEFAULTS
        if (value := user.get(name) if user.get(name) is not None else account.get(name)) is not None
    }
    return AgentSettings.of({**found, **more})


def check_in(agent_id: int) -> i.SetStatus:
    """``checkIn``"""
    return i.SetStatus(agent_id, AgentStatus.AVAILABLE)


def check_out(agent_id: int) -> i.SetStatus:
    """``checkOut``"""
    return i.SetStatus(agent_id, AgentStatus.LOGGED_OUT)


def set_pause(agent_id: int, pause_id: int) -> i.SetStatus:
    """``setPause``: 0 ends the break, any other id is its reason."""
    if pause_id == 0:
        return check_in(agent_id)
    return i.SetStatus(agent_id, AgentStatus.ON_BREAK, str(pause_id))


def set_queues(agent: Agent, queue_ids: Sequence[int]) -> list[i.SetTier | i.RemoveTier]:
    """``setQueues``: the tiers to add and to remove, so that the agent is in these queues and no others."""
    wanted = list(dict.fromkeys(queue_ids))
    return [
        *(i.SetTier(one, agent.agent_id) for one in wanted if one not in agent.tiers),
        *(i.RemoveTier(one, agent.agent_id) for one in sorted(agent.tiers) if one not in wanted),
    ]


def wrap_up(agent_id: int, seconds: int | None = None) -> i.SetWrapUp:
    """``wrapup``; without seconds the user's own wrap-up time."""
    return i.SetWrapUp(agent_id, seconds)


def cc_wait(waited: float) -> int:
    """``cc_wait``: whole seconds from joining to connection or leaving."""
    return int(waited)
