"""The queues of one account on a manual clock: inputs in, and what the switch would see."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from random import Random
from typing import Any

from tests.events.documented_keys import DOCUMENTED_KEYS
from trunkline.core.clock import Instant
from trunkline.events.catalogue import Event, EventType
from trunkline.queues import inputs as i
from trunkline.queues.account import AccountQueues, Queue
from trunkline.queues.agents import Agent
from trunkline.queues.callers import Caller
from trunkline.queues.context import QueueContext
from trunkline.queues.decision import QueueDecision
from trunkline.queues.effects import CancelOffer, Effect, StartOffer
from trunkline.queues.rules import LiveQueues, decide
from trunkline.queues.settings import AgentSettings, QueueSettings
from trunkline.queues.states import AgentState, AgentStatus, OfferOutcome

ACCOUNT = 7
Q, Q2 = 1, 2
ANN, BOB, CID, DEE = 11, 12, 13, 14
NAMES = {ANN: "Ann", BOB: "Bob", CID: "Cid", DEE: "Dee"}


class QueueSimulation:
    """One account. ``at`` moves the clock, and every alarm on the way is an input.

    :ivar clock: seconds; an alarm that is due at the clock itself has elapsed.
    """

    def __init__(self, *, clock: float = 1000.0, seed: int = 1, snapshot_after: int = 500) -> None:
        self.clock = Instant(clock)
        self.ids = itertools.count(100)
        self.calls = itertools.count(5000)
        self.context = QueueContext(lambda: next(self.ids), Random(seed), snapshot_after)
        self.queues = LiveQueues(AccountQueues(ACCOUNT))
        self.events: list[Event] = []
        self.effects: list[Effect] = []
        self.ignored: list[str] = []
        self.alarm: Instant | None = None
        self.last: QueueDecision | None = None

    # --- set-up

    def queue(self, queue_id: int = Q, **settings: Any) -> QueueSimulation:
        """Create a queue, or change it to these settings."""
        self.give(i.SetQueue(queue_id, QueueSettings.of(settings)))
        return self

    def agent(
        self,
        agent_id: int,
        *queues: int,
        status: AgentStatus = AgentStatus.AVAILABLE,
        level: int = 1,
        position: int = 1,
        **settings: Any,
    ) -> QueueSimulation:
        """Create an agent in these queues (default: the first one) and check it in."""
        self.give(i.SetAgent(agent_id, AgentSettings.of(settings)))
        for queue_id in queues or (Q,):
            self.give(i.SetTier(queue_id, agent_id, level, position))
        if status is not AgentStatus.LOGGED_OUT:
            self.status(agent_id, status)
        return self

    # --- inputs

    def give(self, given: i.Input) -> QueueDecision:
        decision = decide(self.queues, given, self.context, self.clock)
        for event in decision.events:
            unknown = event.data.keys() - DOCUMENTED_KEYS[event.type]
            assert not unknown, f"events/catalogue.py does not document {event.type}: {sorted(unknown)}"
        self.events += decision.events
        self.effects += decision.effects
        self.ignored += decision.ignored
        self.alarm = decision.alarm
        self.last = decision
        assert self.alarm is None or self.alarm > self.clock, "an alarm that is due must have been handled"
        return decision

    def at(self, clock: float) -> QueueSimulation:
        """Move the clock, through every alarm."""
        assert clock >= self.clock
        for _ in range(100_000):
            if self.alarm is None or self.alarm > clock:
                break
            self.clock = self.alarm
            self.give(i.Elapsed())
        else:
            raise AssertionError("alarms without end")
        self.clock = Instant(clock)
        return self

    def after(self, seconds: float) -> QueueSimulation:
        return self.at(round(self.clock + seconds, 6))

    def join(
        self,
        queue_id: int = Q,
        *,
        number: str = "",
        base_score: int = 0,
        answered_at: float | None = None,
        call: int | None = None,
        is_lead: bool = False,
    ) -> int:
        """A call joins; returns the id of its caller."""
        at = self.clock if answered_at is None else Instant(answered_at)
        joins = i.JoinQueue(queue_id, call or next(self.calls), number, at, base_score, is_lead=is_lead)
        decision = self.give(joins)
        assert decision.caller_id is not None
        return decision.caller_id

    def status(self, agent_id: int, status: AgentStatus, reason: str | None = None) -> None:
        self.give(i.SetStatus(agent_id, status, reason))

    def hang_up(self, caller_id: int) -> None:
        self.give(i.CallerHungUp(caller_id))

    def answer(self, agent_id: int) -> int:
        """The agent answers and is connected; returns the id of the offer."""
        offer_id = self.offer_of(agent_id)
        self.give(i.OfferAnswered(offer_id))
        self.give(i.OfferConnected(offer_id))
        return offer_id

    def fail(self, agent_id: int, outcome: OfferOutcome) -> None:
        """The agent's leg ends unanswered."""
        self.give(i.OfferFailed(self.offer_of(agent_id), outcome))

    def end_call(self, agent_id: int) -> None:
        """The agent's own leg of the queue call leaves."""
        self.give(i.AgentLegEnded(self.offer_of(agent_id)))

    def talk(self, agent_id: int, seconds: float) -> None:
        """A call of this length: a caller joins, the agent answers, and hangs up after so many seconds."""
        self.join()
        self.answer(agent_id)
        self.after(seconds).end_call(agent_id)

    # --- what is there

    @property
    def state(self) -> AccountQueues:
        return self.queues.state

    def the_queue(self, queue_id: int = Q) -> Queue:
        return self.state.queues[queue_id]

    def the_agent(self, agent_id: int) -> Agent:
        return self.state.agents[agent_id]

    def caller(self, caller_id: int) -> Caller:
        queue_id = self.queues.index.queue_of[caller_id]
        return self.state.queues[queue_id].callers[caller_id]

    def exists(self, caller_id: int) -> bool:
        return any(caller_id in queue.callers for queue in self.state.queues.values())

    def offer_of(self, agent_id: int) -> int:
        engagement = self.state.agents[agent_id].engagement
        assert engagement is not None, f"nothing rings at {agent_id}"
        assert engagement.offer_id is not None
        return engagement.offer_id

    def rings_for(self, caller_id: int) -> list[int]:
        """Agents who ring for a caller, in the order in which they were called."""
        return [offer.agent_id for offer in self.caller(caller_id).offers.values()]

    def ringing(self) -> set[int]:
        """All agents who ring."""
        return {one.agent_id for one in self.state.agents.values() if one.state is AgentState.RECEIVING}

    def offered(self, since: int = 0) -> list[tuple[int, int]]:
        """Caller and agent of each offer, in order."""
        return [(one.caller_id, one.agent_id) for one in self.started(since)]

    def started(self, since: int = 0) -> list[StartOffer]:
        return [one for one in self.effects[since:] if isinstance(one, StartOffer)]

    def cancelled(self) -> list[CancelOffer]:
        return [one for one in self.effects if isinstance(one, CancelOffer)]

    def done(self, kind: type[Effect]) -> list[Any]:
        return [one for one in self.effects if isinstance(one, kind)]

    def of_type(self, *types: EventType) -> list[Event]:
        return [one for one in self.events if one.type in types]

    def outcomes(self) -> list[tuple[int, str]]:
        """Agent and outcome of each offer that ended without a connection."""
        return [(one.data["agent_id"], one.data["outcome"]) for one in self.of_type(EventType.AGENT_FAILED)]

    def left(self, caller_id: int) -> tuple[float, str] | None:
        """When and why a caller left; None: it did not."""
        found = [one for one in self.of_type(EventType.CALLER_LEFT) if one.data["caller_id"] == caller_id]
        return (found[-1].at, found[-1].data["reason"]) if found else None


def names(agents: Iterable[int]) -> str:
    """``Ann, Bob``"""
    return ", ".join(NAMES[one] for one in agents)
