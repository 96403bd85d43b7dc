"""One decision of the rules of queues: an input, its events, and its effects."""

from __future__ import annotations

from typing import Any

from trunkline.core.clock import Instant
from trunkline.events.catalogue import Event, EventType, agent_stream, queue_stream
from trunkline.queues.account import AccountQueues, Queue
from trunkline.queues.agents import Agent
from trunkline.queues.callers import Caller
from trunkline.queues.context import QueueContext
from trunkline.queues.effects import Effect
from trunkline.queues.evolution import evolve
from trunkline.queues.index import Index, QueueView
from trunkline.queues.snapshots import data_of_agent, data_of_queue

_ENDS_ENGAGEMENT = frozenset({EventType.OFFER_ENDED, EventType.QUEUE_CALL_ENDED})
_OFFER_EVENTS = frozenset(
    {
        EventType.AGENT_OFFERING,
        EventType.AGENT_RINGING,
        EventType.AGENT_ANSWERED,
        EventType.AGENT_CONNECTED,
        EventType.AGENT_FAILED,
    }
)


class QueueDecision:
    """Collects what follows from one input. Every event is applied at once, so rules always see the present.

    The events of one decision belong to several streams. They are appended in one transaction: an offer has an event in the
    stream of its queue and in that of its agent.

    :ivar now: time of the input; not earlier than that of the one before (2.1).
    :ivar alarm: when the next input ``Elapsed`` is due; None: nothing is.
    :ivar caller_id: of the caller who joined by this input.
    :ivar ignored: inputs that had no meaning, because of a race; they changed nothing.
    """

    def __init__(self, state: AccountQueues, index: Index, context: QueueContext, now: Instant) -> None:
        self.state = state
        self.index = index
        self.context = context
        self.now = now
        self.events: list[Event] = []
        self.effects: list[Effect] = []
        self.ignored: list[str] = []
        self.alarm: Instant | None = None
        self.caller_id: int | None = None

    def do(self, effect: Effect) -> None:
        self.effects.append(effect)

    def ignore(self, what: object) -> None:
        self.ignored.append(type(what).__name__)

    def view(self, queue_id: int) -> QueueView:
        return self.index.views[queue_id]

    def caller(self, caller_id: int) -> Caller | None:
        """A caller of any queue, if it is still there."""
        queue_id = self.index.queue_of.get(caller_id)
        return self.state.queues[queue_id].callers.get(caller_id) if queue_id is not None else None

    def waiting(self, queue_id: int) -> int:
        """The waiting count of a queue (10.3)."""
        return len(self.index.views[queue_id].attempts)

    # --- events

    def emit_for_queue(self, queue: Queue | int, type_: EventType, **data: Any) -> None:
        """An event of the stream of a queue that concerns no caller."""
        queue_id = queue if isinstance(queue, int) else queue.queue_id
        self._emit(queue_stream(queue_id), type_, data)

    def emit_for_caller(self, queue_id: int, caller_id: int, type_: EventType, **data: Any) -> None:
        """An event of the stream of a queue about one of its callers, or the callback of one."""
        self._emit(queue_stream(queue_id), type_, {"caller_id": caller_id, **data})
        self.index.sync_caller(queue_id, caller_id)
        if type_ in _OFFER_EVENTS:
            self.index.sync_offer(queue_id, caller_id, data["offer_id"])

    def emit_for_ticket(self, queue_id: int, caller_id: int, type_: EventType, **data: Any) -> None:
        """An event of the stream of a queue about a callback."""
        self._emit(queue_stream(queue_id), type_, {"caller_id": caller_id, **data})
        self.index.sync_ticket(queue_id, caller_id, self.now)

    def emit_for_agent(self, agent: Agent | int, type_: EventType, **data: Any) -> None:
        """An event of the stream of an agent."""
        agent_id = agent if isinstance(agent, int) else agent.agent_id
        self._emit(agent_stream(agent_id), type_, data)
        if type_ in _ENDS_ENGAGEMENT:
            self.index.engaged_ended(data["offer_id"])
        self.index.sync_agent(agent_id, self.now)

    def take_snapshots(self) -> None:
        """Write the state of each queue and agent whose stream has grown long since its last snapshot. A queue with many
        callers has its next one later, so that snapshots cost the same for each event."""
        for stream in dict.fromkeys(event.stream for event in self.events):
            grown = self.state.versions[stream] - self.state.snapshots.get(stream, 0)
            if grown < self.context.snapshot_after:
                continue
            kind, _, key = stream.partition(":")
            if kind == "queue":
                queue = self.state.queues.get(int(key))
                if queue is not None and grown >= 2 * len(queue.callers):
                    self._emit(stream, EventType.QUEUE_SNAPSHOT, {"state": data_of_queue(queue)})
            else:
                agent = self.state.agents.get(int(key))
                if agent is not None:
                    self._emit(stream, EventType.AGENT_SNAPSHOT, {"state": data_of_agent(agent)})

    def _emit(self, stream: str, type_: EventType, data: dict[str, Any]) -> None:
        seq = self.state.versions.get(stream, 0) + 1
        event = Event(self.state.account_id, stream, seq, type_, self.now, data)
        evolve(self.state, event)
        self.events.append(event)
