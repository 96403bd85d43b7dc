"""The queues and agents of one account: what their event streams say, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from trunkline.core.clock import Instant
from trunkline.core.errors import NotFound
from trunkline.queues.agents import Agent
from trunkline.queues.callers import NEVER, Caller, Place, Ticket
from trunkline.queues.service_level import ServiceCounts
from trunkline.queues.settings import QueueSettings

RECENT_WAITS = 10
"""Callers whose waits make the expected one."""


@dataclass(slots=True)
class Queue:
    """One queue. Its stream of events makes it, whatever the streams of the agents contain.

    :ivar empty_since: since when no agent is present; None: one is (9.4).
    :ivar pointer: the last agent that was called (6.4).
    :ivar tickets: open callbacks, by the id of the caller who has left.
    :ivar served: counts of ended visits (:mod:`trunkline.queues.served`).
    :ivar recent_waits: whole seconds that the last callers waited who were connected, the last one at the end.
    :ivar is_music_broken: its hold music could not be played, which was reported (10.1).
    """

    queue_id: int
    settings: QueueSettings
    empty_since: Instant | None = NEVER
    pointer: Place | None = None
    callers: dict[int, Caller] = field(default_factory=dict)
    tickets: dict[int, Ticket] = field(default_factory=dict)
    is_music_broken: bool = False
    served: dict[int, ServiceCounts] = field(default_factory=dict)
    recent_waits: list[int] = field(default_factory=list)

    def waiting(self) -> list[Caller]:
        """Callers in Waiting and Trying (10.3)."""
        return [caller for caller in self.callers.values() if caller.is_in_queue]


@dataclass(slots=True)
class AccountQueues:
    """All queues and agents of one account.

    :ivar versions: number of the last event of each stream.
    :ivar snapshots: number of the last snapshot of each stream that has one.
    :ivar now: the time of the last input; time never goes back (2.1).
    """

    account_id: int
    queues: dict[int, Queue] = field(default_factory=dict)
    agents: dict[int, Agent] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    snapshots: dict[str, int] = field(default_factory=dict)
    now: Instant = field(default=NEVER, compare=False)

    def queue(self, queue_id: int) -> Queue:
        """
        :raises NotFound: there is no such queue.
        """
        found = self.queues.get(queue_id)
        if found is None:
            raise NotFound("There is no such queue", field="queue_id", value=queue_id)
        return found

    def agent(self, agent_id: int) -> Agent:
        """
        :raises NotFound: there is no such agent.
        """
        found = self.agents.get(agent_id)
        if found is None or found.is_removed:
            raise NotFound("There is no such agent", field="agent_id", value=agent_id)
        return found

    def members(self, queue_id: int) -> Iterator[Agent]:
        """The agents that have a tier in a queue."""
        return (agent for agent in self.agents.values() if queue_id in agent.tiers)
