"""Any sequence of inputs: the invariants hold, the evaluation is the one of the naive rules, and events make the state."""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.queues import naive
from tests.queues.invariants import check_ends, check_index, check_offers, check_replay, check_state
from tests.queues.simulation import QueueSimulation
from trunkline.core.clock import Instant
from trunkline.core.errors import Refused
from trunkline.queues import evaluation, rules
from trunkline.queues import inputs as i
from trunkline.queues.account import AccountQueues
from trunkline.queues.decision import QueueDecision
from trunkline.queues.effects import CancelDial, DialCallback, LeaveQueue, StartOffer
from trunkline.queues.settings import AgentSettings, QueueSettings, SkillRequirement, Strategy
from trunkline.queues.states import AgentState, AgentStatus, CallerState, OfferOutcome

pytestmark = [pytest.mark.timeout(600), pytest.mark.long]

STEPS = 50
EXAMPLES = int(os.environ.get("QUEUE_WALKS", "200"))
"""Walks of up to 50 steps each: more than 10 000 steps by default."""

QUEUES = (1, 2)
AGENTS = (11, 12, 13, 14, 15)
NUMBERS = ("", "971500000001", "971500000002")
LEVELS = st.integers(0, 3)
SECONDS = st.sampled_from([0, 1, 5, 20])

queue_settings = st.builds(
    QueueSettings,
    strategy=st.sampled_from(Strategy),
    tier_rules_apply=st.booleans(),
    tier_rule_wait_second=SECONDS,
    tier_rule_wait_multiply_level=st.booleans(),
    tier_rule_no_agent_no_wait=st.booleans(),
    max_wait_time=st.sampled_from([0, 0, 10, 30]),
    max_wait_time_with_no_agent=st.sampled_from([0, 0, 15]),
    max_wait_time_with_no_agent_time_reached=st.sampled_from([0, 5]),
    discard_abandoned_after=st.sampled_from([0, 20, 60]),
    abandoned_resume_allowed=st.booleans(),
    agent_no_answer_status=st.sampled_from(AgentStatus),
    skip_agents_with_external_calls=st.booleans(),
    ring_timeout=st.sampled_from([None, 5, 12]),
    announce_id=st.just(1),
    announce_frequency=st.sampled_from([0, 7]),
    exit_keys=st.just({"5": "somewhere"}),
    callback_tries=st.integers(1, 2),
    callback_retry_time=st.sampled_from([0, 10]),
    callback_expires_after=st.sampled_from([0, 40]),
    callback_ring_time=st.just(15),
    required_skills=st.sampled_from([{}, {}, {}, {"french": SkillRequirement(level=2, score=4)}]),
)
agent_settings = st.builds(
    AgentSettings,
    max_no_answer=st.integers(0, 2),
    wrap_up_time=SECONDS,
    reject_delay_time=SECONDS,
    busy_delay_time=SECONDS,
    no_answer_delay_time=SECONDS,
    ring_timeout=st.sampled_from([10, 25]),
    skills=st.sampled_from([{"french": 2}, {"french": 3}, {"french": 1}, {}]),
)


class Walk(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        evaluation.evaluate = compared
        self.simulation = QueueSimulation(clock=1_700_000_000.25, snapshot_after=8)
        self.live: set[int] = set()
        self.strategies: dict[int, Strategy] = {}
        self.counters: dict[int, tuple[float, int, int]] = {}
        self.order = Random(5)

    def teardown(self) -> None:
        evaluation.evaluate = evaluate
        check_ends(self.simulation.events, self.simulation.state)

    # --- what every input passes through

    def give(self, given: i.Input) -> QueueDecision | None:
        """One input; None: it was refused."""
        simulation = self.simulation
        before = len(simulation.effects)
        try:
            decision = simulation.give(given)
        except Refused:
            return None
        for effect in simulation.effects[before:]:
            if isinstance(effect, StartOffer):
                self.strategies[effect.offer_id] = simulation.state.queues[effect.queue_id].settings.strategy
            if isinstance(effect, LeaveQueue):
                self.live.discard(effect.call_session_id)
        return decision

    @initialize(
        queues=st.tuples(queue_settings, queue_settings),
        agents=st.tuples(agent_settings, agent_settings, agent_settings),
        tiers=st.lists(
            st.tuples(st.sampled_from(QUEUES), st.sampled_from(AGENTS[:3]), LEVELS, st.integers(0, 2)),
            min_size=4,
            max_size=8,
        ),
    )
    def begin(
        self,
        queues: Sequence[QueueSettings],
        agents: Sequence[AgentSettings],
        tiers: Sequence[tuple[int, int, int, int]],
    ) -> None:
        for queue_id, of_queue in zip(QUEUES, queues, strict=False):
            self.give(i.SetQueue(queue_id, of_queue))
        for agent_id, of_agent in zip(AGENTS, agents, strict=False):
            self.give(i.SetAgent(agent_id, of_agent))
            self.give(i.SetStatus(agent_id, AgentStatus.AVAILABLE))
        for tier in tiers:
            self.give(i.SetTier(*tier))

    # --- configuration and agents: one rule each, so that most steps are calls

    @rule(data=st.data(), queue_id=st.sampled_from(QUEUES), agent_id=st.sampled_from(AGENTS))
    def configure(self, data: st.DataObject, queue_id: int, agent_id: int) -> None:
        """A change of a queue, an agent or a tier; removing things is rare."""
        match data.draw(st.sampled_from([*"qqattttTTRQ"])):
            case "q":
                self.give(i.SetQueue(queue_id, data.draw(queue_settings)))
            case "a":
                self.give(i.SetAgent(agent_id, data.draw(agent_settings)))
            case "t":
                self.give(i.SetTier(queue_id, agent_id, data.draw(LEVELS), data.draw(st.integers(0, 2))))
            case "T":
                self.give(i.RemoveTier(queue_id, agent_id))
            case "R":
                self.give(i.RemoveAgent(agent_id))
                self.counters.pop(agent_id, None)
            case "Q":
                self.give(i.RemoveQueue(queue_id, data.draw(st.booleans())))
                self.give(i.SetQueue(queue_id, data.draw(queue_settings)))
                self.give(i.SetTier(queue_id, agent_id))

    @rule(data=st.data(), agent_id=st.sampled_from(AGENTS))
    def command(self, data: st.DataObject, agent_id: int) -> None:
        """What an agent or an administrator sets; or another call of the agent."""
        match data.draw(st.sampled_from([*"aaasSwxX"])):
            case "a":
                self.give(i.SetStatus(agent_id, AgentStatus.AVAILABLE))
                self.give(i.SetState(agent_id, AgentState.WAITING))
            case "s":
                self.give(i.SetStatus(agent_id, data.draw(st.sampled_from(AgentStatus))))
            case "S":
                self.give(i.SetState(agent_id, data.draw(st.sampled_from(AgentState))))
            case "w":
                self.give(i.SetWrapUp(agent_id, data.draw(st.sampled_from([None, 0, 3]))))
            case "x":
                self.give(i.AgentCallStarted(agent_id, "out"))
            case _:
                self.give(i.AgentCallEnded(agent_id, "out"))

    # --- callers

    @rule(
        queue_id=st.sampled_from(QUEUES),
        number=st.sampled_from(NUMBERS),
        base_score=st.sampled_from([0, 0, 10, -5]),
        before=st.sampled_from([0, 3.7]),
    )
    def join(self, queue_id: int, number: str, base_score: int, before: float) -> None:
        call = next(self.simulation.calls)
        self.live.add(call)
        answered_at = Instant(self.simulation.clock - before)
        self.give(i.JoinQueue(queue_id, call, number, answered_at, base_score))

    @rule(data=st.data(), queue_id=st.sampled_from(QUEUES))
    def rush(self, data: st.DataObject, queue_id: int) -> None:
        for _ in range(2 if len(self._callers()) < 6 else 0):
            self.join(queue_id, "", data.draw(st.sampled_from([0, 1, 30])), 0)

    @precondition(lambda self: self._callers())
    @rule(data=st.data())
    def hang_up(self, data: st.DataObject) -> None:
        caller_id = data.draw(st.sampled_from(self._callers()))
        self.live.discard(self.simulation.caller(caller_id).call_session_id)
        self.give(i.CallerHungUp(caller_id))

    @precondition(lambda self: self._callers())
    @rule(data=st.data(), what=st.sampled_from(["take", "key", "music", "ended", "failed"]))
    def about_a_caller(self, data: st.DataObject, what: str) -> None:
        caller_id = data.draw(st.sampled_from(self._callers()))
        given: dict[str, i.Input] = {
            "take": i.CallerTaken(caller_id),
            "key": i.CallerPressedKey(caller_id, "5"),
            "music": i.MusicFailed(caller_id),
            "ended": i.AnnouncementEnded(caller_id),
            "failed": i.AnnouncementFailed(caller_id),
        }
        self.give(given[what])

    # --- offers

    @precondition(lambda self: self._offers())
    @rule(data=st.data(), connects=st.booleans())
    def answer(self, data: st.DataObject, connects: bool) -> None:
        offer_id = data.draw(st.sampled_from(self._offers()))
        self.give(i.OfferAnswered(offer_id))
        if connects:
            self.give(i.OfferConnected(offer_id))

    @precondition(lambda self: self._offers())
    @rule(data=st.data(), outcome=st.sampled_from(OfferOutcome))
    def fail(self, data: st.DataObject, outcome: OfferOutcome) -> None:
        offer_id = data.draw(st.sampled_from(self._offers()))
        self.give(i.OfferRinging(offer_id))
        self.give(i.OfferFailed(offer_id, outcome))

    @precondition(lambda self: self._talks())
    @rule(data=st.data())
    def end_call(self, data: st.DataObject) -> None:
        self.give(i.AgentLegEnded(data.draw(st.sampled_from(self._talks()))))

    # --- callbacks

    @precondition(lambda self: self._callers())
    @rule(data=st.data(), number=st.sampled_from(NUMBERS[1:]))
    def request_callback(self, data: st.DataObject, number: str) -> None:
        self.give(i.RequestCallback(data.draw(st.sampled_from(self._callers())), number))

    @precondition(lambda self: self._tickets())
    @rule(data=st.data(), what=st.sampled_from(["confirm", "confirm", "fail", "cancel"]))
    def callback(self, data: st.DataObject, what: str) -> None:
        caller_id, number = data.draw(st.sampled_from(self._tickets()))
        call = next(self.simulation.calls)
        match what:
            case "confirm":
                self.live.add(call)
                self.give(i.CallbackConfirmed(caller_id, call))
            case "fail":
                self.give(i.CallbackFailed(caller_id))
            case _:
                self.give(i.CancelCallback(number))

    # --- time and restart

    @rule(seconds=st.sampled_from([0.3, 1, 1, 2.5, 5, 10, 61]))
    def pass_time(self, seconds: float) -> None:
        simulation = self.simulation
        until = round(simulation.clock + seconds, 6)
        for _ in range(1000):
            if simulation.alarm is None or simulation.alarm > until:
                break
            simulation.clock = simulation.alarm
            self.give(i.Elapsed())
        else:
            raise AssertionError("alarms without end")
        simulation.clock = Instant(until)

    @rule(data=st.data())
    def restart(self, data: st.DataObject) -> None:
        """The events make the state of the new process; some of the calls have ended meanwhile."""
        simulation = self.simulation
        check_replay(
            simulation.state, simulation.events, (self.order.randrange(9) for _ in simulation.events)
        )
        dead = data.draw(st.sets(st.sampled_from(sorted(self.live)), max_size=2)) if self.live else set()
        self.live -= dead
        legs: dict[int, i.LegState] = {}
        for offer_id in self._offers():
            leg = data.draw(st.sampled_from([None, i.LegState.RINGING, *i.LegState]))
            if leg is not None:
                legs[offer_id] = leg
        for offer_id in self._talks():
            if data.draw(st.booleans()):
                legs[offer_id] = i.LegState.CONNECTED
        simulation.queues = rules.LiveQueues(simulation.state)
        self.give(i.Restarted(frozenset(self.live), legs))

    # --- what holds after each of them

    @invariant()
    def holds(self) -> None:
        simulation = self.simulation
        check_state(simulation.state, self.live)
        check_offers(simulation.state, self.strategies)
        check_index(simulation.queues)

    @invariant()
    def counters_never_fall(self) -> None:
        """14.8: except by a check-in (3.5a), or, for the last one, by an answer."""
        state = self.simulation.state
        for agent in state.agents.values():
            now = (agent.talk_time, agent.calls_answered, agent.no_answer_count)
            before = self.counters.get(agent.agent_id)
            is_reset = now[:2] == (0, 0) and agent.status is AgentStatus.AVAILABLE
            if before is not None and not is_reset:
                assert now[0] >= before[0], "14.8"
                assert now[1] >= before[1], "14.8"
                assert now[2] >= before[2] or (now[2] == 0 and now[1] > before[1]), "14.8"
            self.counters[agent.agent_id] = now
        for agent_id in self.counters.keys() - state.agents.keys():
            del self.counters[agent_id]

    def _callers(self) -> list[int]:
        queues = self.simulation.state.queues.values()
        return sorted(
            one.caller_id
            for queue in queues
            for one in queue.callers.values()
            if one.state is not CallerState.ABANDONED
        )

    def _offers(self) -> list[int]:
        return sorted(self.simulation.queues.index.caller_of)

    def _talks(self) -> list[int]:
        agents = self.simulation.state.agents.values()
        return sorted(
            one.engagement.offer_id
            for one in agents
            if one.state is AgentState.IN_CALL and one.engagement is not None and one.engagement.offer_id
        )

    def _tickets(self) -> list[tuple[int, str]]:
        queues = self.simulation.state.queues.values()
        return sorted((one.caller_id, one.number) for queue in queues for one in queue.tickets.values())


def compared(decision: QueueDecision) -> None:
    """The evaluation of the product, compared with the naive one (14.3, 14.7)."""
    before: AccountQueues = pickle.loads(pickle.dumps(decision.state))
    first = len(decision.effects)
    evaluate(decision)
    started = [
        (one.caller_id, one.agent_id)
        for one in decision.effects[first:]
        if isinstance(one, StartOffer | DialCallback)
    ]
    assert not [one for one in decision.effects[first:] if isinstance(one, CancelDial)]
    chosen = dict(started)

    def pick(caller_id: int, allowed: Sequence[int]) -> int | None:
        found = chosen.get(caller_id)
        assert (found is None) == (not allowed), f"14.7: {caller_id} could be offered one of {allowed}"
        assert found is None or found in allowed, "14.3"
        return found

    expected = naive.evaluate(before, decision.now, pick)
    assert started == expected.offers
    for queue in decision.state.queues.values():
        for caller in queue.callers.values():
            if caller.caller_id in expected.cleared:
                assert caller.pointer is None, "6.3"
    assert not naive.evaluate(
        decision.state, decision.now, lambda _, allowed: None if not allowed else -1
    ).offers


evaluate = evaluation.evaluate


TestAnyQueue = Walk.TestCase
TestAnyQueue.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),  # explain needs minutes
    suppress_health_check=list(HealthCheck),
)


def test_the_walk_can_fail() -> None:
    """A second offer to an agent, which the rules never make, is found."""
    simulation = QueueSimulation().queue().agent(AGENTS[0])
    caller = simulation.caller(simulation.join())
    check_state(simulation.state, {caller.call_session_id})
    offer = copy.copy(next(iter(caller.offers.values())))
    offer.offer_id += 1
    caller.offers[offer.offer_id] = offer
    try:
        check_state(simulation.state, {caller.call_session_id})
    except AssertionError:
        return
    raise AssertionError("the invariants accept anything")
