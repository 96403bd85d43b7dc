"""Queues of the call center, as calls use them. How callers wait is decided in :mod:`trunkline.queues`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


def scenario_of_queue(queue_id: int) -> int:
    """The id of the scenario that consists of a queue and its exits, see :attr:`CallQueue.scenario_id`."""
    return -queue_id


def is_scenario_of_queue(scenario_id: int) -> bool:
    """Whether the scenario is that of a queue, which no table has."""
    return scenario_id < 0


AGENT_SETTINGS_OF_ACCOUNT = (
    "wrap_up_time",
    "no_answer_delay_time",
    "reject_delay_time",
    "busy_delay_time",
    "max_no_answer",
)
"""Settings of agents that an account has defaults of."""

AGENT_SETTINGS = ("ring_timeout", *AGENT_SETTINGS_OF_ACCOUNT)
"""Settings of agents that the rules of queues use, as columns and as fields of
:class:`trunkline.queues.settings.AgentSettings`."""


@dataclass(frozen=True, slots=True)
class QueueTier:
    """The place of an agent in a queue."""

    employee_id: int
    level: int
    position: int


@dataclass(frozen=True, slots=True)
class CallQueue:
    """One queue with its agents.

    :ivar is_recorded: talks of this queue are recorded, whatever the employees' settings say.
    :ivar settings: by the names of :class:`trunkline.queues.settings.QueueSettings`.
    :ivar exits: where a call goes on: a key of a phone, or ``timeout``, to a destination
        (:mod:`trunkline.directory.queues.exits`).
    """

    queue_id: int
    name: str
    extension: str | None = None
    is_recorded: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    exits: Mapping[str, str] = field(default_factory=dict)
    tiers: tuple[QueueTier, ...] = ()

    @property
    def scenario_id(self) -> int:
        """Of the scenario that consists of this queue and its exits; it is in no table."""
        return scenario_of_queue(self.queue_id)


@dataclass(frozen=True, slots=True)
class AgentProfile:
    """The settings of an employee as agent.

    :ivar is_agent: takes calls of queues, also while it is in none.
    :ivar settings: by the names of :class:`trunkline.queues.settings.AgentSettings`.
    """

    employee_id: int
    is_agent: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
