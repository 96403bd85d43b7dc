"""How long the rules of queues take for one input, with many waiting callers and many agents.

In this process, without calls, database and engine, since the rules are pure. Agents take calls as fast as they end
them, callers hang up and join, time passes; after that the state is made again from the events. One strategy after another.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from random import Random
from typing import Any

from trunkline.bench import queue_calls
from trunkline.bench.setting import Figure, Finding, Setting
from trunkline.bench.statistics import Spread, spread
from trunkline.core.clock import Instant
from trunkline.events.catalogue import Event
from trunkline.queues import inputs as i
from trunkline.queues.account import AccountQueues
from trunkline.queues.context import QueueContext
from trunkline.queues.evolution import replay
from trunkline.queues.rules import LiveQueues, decide
from trunkline.queues.settings import AgentSettings, QueueSettings, Strategy
from trunkline.queues.states import AgentStatus, OfferOutcome

METHOD = (
    "inputs to the pure rules of queues in one process: agents answer or do not, calls end, callers join and hang up,"
    " time passes; ten queues with tier rules and three levels, three queues for each agent, one strategy after another;"
    " then calls of SIPp through a queue of the product and through app_queue of a bare Asterisk, in turn: 16 agents who"
    " answer at once and hang up after 0.2 s, more callers than they can serve"
)

WAITING = 1000
AGENTS = 500
QUEUES = 10
QUEUES_OF_AGENT = 3
AIM_MS = 1.0
AIM_RATIO = 1.0
"""Of ``app_queue`` in the same run: calls served in a second."""
_BASE_SCORES = (0, 0, 0, 50, 100)
_FAILURES = (OfferOutcome.BUSY, OfferOutcome.REJECTED, OfferOutcome.NO_ANSWER)
_SETTINGS = {"tier_rules_apply": True, "tier_rule_wait_second": 10, "max_wait_time": 7200}


async def run(setting: Setting) -> Finding:
    """Time of an input for each strategy, then calls through a queue. Not ok when the state of the events differs, or a call
    failed."""
    inputs = 3_000 if setting.quick else 20_000
    found: dict[str, tuple[Spread, float]] = {}
    is_replayed = True
    for strategy in Strategy:
        load = QueueLoad(strategy)
        found[strategy.value] = load.measure(inputs)
        is_replayed = is_replayed and load.is_replayed()
        setting.say(f"  {strategy.value}: {found[strategy.value][1]:.3f} ms an input")
    lines = [
        f"{name:<42}{1000 / mean:>10.0f}{mean:>10.3f}{one.p50:>10.3f}{one.p99:>10.3f}"
        for name, (one, mean) in found.items()
    ]
    head = f"{'strategy':<42}{'inputs/s':>10}{'mean ms':>10}{'p50 ms':>10}{'p99 ms':>10}"
    data = {
        "waiting": WAITING,
        "agents": AGENTS,
        "replayed": is_replayed,
        "strategies": {
            name: {
                "inputs_per_second": round(1000 / mean),
                "mean_ms": mean,
                "p50_ms": one.p50,
                "p99_ms": one.p99,
            }
            for name, (one, mean) in found.items()
        },
    }
    slowest = max(mean for _, mean in found.values())
    calls = data["calls"] = await queue_calls.measure(setting)
    ours, plain = calls["trunkline"], calls["app_queue"]
    ratio = ours["calls_per_second"] / plain["calls_per_second"] if plain["calls_per_second"] else 0.0
    lines += [
        "",
        *(_served(name, one) for name, one in calls.items()),
        f"ratio of calls per second: {ratio:.2f}",
    ]
    figures = {
        "slowest_strategy_ms": Figure(slowest, AIM_MS),
        "calls_per_second_ratio": Figure(round(ratio, 2), AIM_RATIO, is_least=True),
    }
    return Finding(is_replayed and not ours["failed"], "\n".join([head, *lines]), data, figures)


def _served(name: str, one: Mapping[str, Any]) -> str:
    delay = one["dispatch_ms"]
    return (
        f"{name:<12}{one['calls_per_second']:>8.1f} calls/s, agent free to phone ringing"
        f" {delay['p50']:.1f} ms (p50), {delay['p99']:.1f} ms (p99), {one['failed']} failed"
    )


class QueueLoad:
    """An account whose agents are busy and in whose queues callers wait, and random inputs that keep it so.

    :param waiting: callers that wait.
    :param agents: agents, all checked in.
    """

    def __init__(
        self, strategy: Strategy, *, waiting: int = WAITING, agents: int = AGENTS, seed: int = 1
    ) -> None:
        self._random = Random(seed)
        ids = itertools.count(1_000_000)
        self._context = QueueContext(lambda: next(ids), self._random)
        self._calls = itertools.count(1)
        self._clock = 1_800_000_000.0
        self._waiting = waiting
        self._agents = agents
        self._times: list[float] = []
        self.events: list[Event] = []
        self.queues = LiveQueues(AccountQueues(1))
        settings = QueueSettings.of({**_SETTINGS, "strategy": strategy})
        for queue_id in range(1, QUEUES + 1):
            self._give(i.SetQueue(queue_id, settings))
        for agent_id in range(1, agents + 1):
            self._give(i.SetAgent(agent_id, AgentSettings(wrap_up_time=5)))
            for queue_id in self._random.sample(range(1, QUEUES + 1), QUEUES_OF_AGENT):
                self._give(i.SetTier(queue_id, agent_id, agent_id % 3 + 1, agent_id % 20 + 1))
            self._give(i.SetStatus(agent_id, AgentStatus.AVAILABLE))
        for _ in range(agents + waiting):
            self._clock += 0.01
            self._join()
        for _ in range(3 * agents):
            self._step()

    def measure(self, inputs: int) -> tuple[Spread, float]:
        """The processor time of at least so many inputs in milliseconds: its spread, and the mean."""
        self._times.clear()
        while len(self._times) < inputs:
            self._step()
        return spread([one * 1000 for one in self._times]), round(
            1000 * sum(self._times) / len(self._times), 3
        )

    def is_replayed(self) -> bool:
        """Whether the events make the state that is there."""
        return replay(1, self.events) == self.queues.state

    def waiting(self) -> list[int]:
        """Callers in Waiting and Trying."""
        return [caller for view in self.queues.index.views.values() for caller in view.attempts]

    def _step(self) -> None:
        """Something happens: 20 times a second for 500 agents."""
        self._clock += self._random.expovariate(self._agents / 25)
        index = self.queues.index
        offers, engaged = sorted(index.caller_of), sorted(index.agent_of)
        chance = self._random.random()
        if chance < 0.1:
            self._give(i.Elapsed())
        elif offers and chance < 0.5:
            offer_id = self._random.choice(offers)
            if self._random.random() < 0.8:
                self._give(i.OfferAnswered(offer_id))
                self._give(i.OfferConnected(offer_id))
            else:
                self._give(i.OfferFailed(offer_id, self._random.choice(_FAILURES)))
        elif engaged and chance < 0.8:
            self._give(i.AgentLegEnded(self._random.choice(engaged)))
        else:
            waiting = self.waiting()
            if len(waiting) > self._waiting:
                self._give(i.CallerHungUp(self._random.choice(waiting)))
            for _ in range(max(1, min(3, self._waiting - len(waiting)))):
                self._join()

    def _join(self) -> None:
        queue_id, score = self._random.randint(1, QUEUES), self._random.choice(_BASE_SCORES)
        self._give(i.JoinQueue(queue_id, next(self._calls), "", Instant(self._clock), score))

    def _give(self, given: i.Input) -> None:
        began = time.thread_time()
        decision = decide(self.queues, given, self._context, Instant(self._clock))
        self._times.append(time.thread_time() - began)
        self.events += decision.events
