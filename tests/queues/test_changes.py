"""Changes while calls go on (section 12), settings and defaults (section 15)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.queues.simulation import ANN, BOB, Q2, Q, QueueSimulation
from trunkline.core.errors import InUse, InvalidInput, NotFound
from trunkline.events.catalogue import EventType
from trunkline.queues import inputs as i
from trunkline.queues.agents import Tier
from trunkline.queues.callers import NEVER
from trunkline.queues.effects import LeaveQueue
from trunkline.queues.settings import AgentSettings, QueueSettings
from trunkline.queues.states import AgentState, AgentStatus, CallerState, OfferOutcome, TierState

BREAK = AgentStatus.ON_BREAK


def test_12_a_queue_setting_applies_from_the_next_evaluation() -> None:
    simulation = QueueSimulation().queue(ring_timeout=10).agent(ANN).agent(BOB)
    first, second = simulation.join(base_score=3), simulation.join()
    third = simulation.at(1005).join()
    simulation.queue(ring_timeout=40, max_wait_time=100)
    assert [simulation.caller(one).joined_at for one in (first, second, third)] == [1000.0, 1000.0, 1005.0]
    assert simulation.caller(first).base_score == 3, "waiting callers keep place and score"
    assert simulation.at(1010).outcomes()[0] == (ANN, "no_answer"), "a running offer keeps its time"
    assert simulation.at(1105).left(third) == (1105, "timeout")


def test_12_tiers_are_added_and_moved_at_once() -> None:
    simulation = QueueSimulation().queue().agent(ANN, Q)
    simulation.give(i.RemoveTier(Q, ANN))
    caller = simulation.join()
    simulation.give(i.SetTier(Q, ANN))
    assert simulation.rings_for(caller) == [ANN]
    assert simulation.the_agent(ANN).tiers == {Q: Tier(Q, 1, 1, TierState.OFFERING)}
    simulation.give(i.SetTier(Q, ANN, 3, 4))
    assert simulation.the_agent(ANN).tiers == {Q: Tier(Q, 3, 4, TierState.OFFERING)}, "the offer goes on"
    events = len(simulation.events)
    simulation.give(i.SetTier(Q, ANN, 3, 4))
    assert len(simulation.events) == events


@pytest.mark.parametrize("removed", [i.RemoveTier(Q, ANN), i.RemoveAgent(ANN)])
def test_12_a_removed_tier_or_agent_loses_its_offer(removed: i.Input) -> None:
    simulation = QueueSimulation().queue().agent(ANN).agent(BOB)
    caller = simulation.join()
    simulation.give(removed)
    assert simulation.outcomes() == [(ANN, "cancelled")]
    assert simulation.rings_for(caller) == [BOB]


def test_12_a_tier_of_another_queue_keeps_the_offer() -> None:
    simulation = QueueSimulation().queue().queue(Q2).agent(ANN, Q, Q2)
    caller = simulation.join()
    simulation.give(i.RemoveTier(Q2, ANN))
    assert simulation.rings_for(caller) == [ANN]


@pytest.mark.parametrize("removed", [i.RemoveTier(Q, ANN), i.RemoveAgent(ANN)])
def test_12_a_running_call_goes_on_and_is_counted(removed: i.Input) -> None:
    simulation = QueueSimulation().queue().agent(ANN)
    caller = simulation.join()
    offer = simulation.answer(ANN)
    simulation.give(removed)
    assert simulation.caller(caller).state is CallerState.ANSWERED
    assert simulation.the_agent(ANN).state is AgentState.IN_CALL
    if isinstance(removed, i.RemoveAgent):
        with pytest.raises(NotFound):
            simulation.status(ANN, BREAK)
        with pytest.raises(InUse):
            simulation.give(i.SetAgent(ANN, AgentSettings()))
    simulation.at(1033).give(i.AgentLegEnded(offer))
    [event] = simulation.of_type(EventType.QUEUE_CALL_ENDED)
    assert event.data["seconds"] == 33
    assert (ANN in simulation.state.agents) is isinstance(removed, i.RemoveTier)


def test_12_a_queue_with_waiting_callers_is_removed_only_if_forced() -> None:
    simulation = QueueSimulation().queue().queue(Q2).agent(ANN, Q, Q2)
    callers = [simulation.join(), simulation.join()]
    calls = [simulation.caller(one).call_session_id for one in callers]
    with pytest.raises(InUse, match="wait"):
        simulation.give(i.RemoveQueue(Q))
    assert simulation.caller(callers[0]).state is CallerState.TRYING
    simulation.give(i.RemoveQueue(Q, is_forced=True))
    assert [simulation.left(one) for one in callers] == [(1000, "break_out")] * 2
    assert [one.call_session_id for one in simulation.done(LeaveQueue)] == calls
    assert Q not in simulation.state.queues
    assert list(simulation.the_agent(ANN).tiers) == [Q2]
    with pytest.raises(NotFound):
        simulation.join()
    with pytest.raises(NotFound):
        simulation.give(i.RemoveQueue(Q))


def test_12_a_queue_without_waiting_callers_is_removed_and_calls_go_on() -> None:
    simulation = QueueSimulation().queue().agent(ANN)
    caller = simulation.join()
    offer = simulation.answer(ANN)
    simulation.give(i.RemoveQueue(Q))
    simulation.hang_up(caller)
    assert simulation.ignored == ["CallerHungUp"], "the record went with the queue"
    simulation.at(1010).give(i.AgentLegEnded(offer))
    assert (simulation.the_agent(ANN).state, simulation.the_agent(ANN).talk_time) == (AgentState.WAITING, 10)


def test_12_a_new_agent() -> None:
    simulation = QueueSimulation().queue()
    simulation.give(i.SetAgent(ANN, AgentSettings()))
    agent = simulation.the_agent(ANN)
    assert (agent.status, agent.state) == (AgentStatus.LOGGED_OUT, AgentState.WAITING)
    assert (agent.talk_time, agent.calls_answered, agent.no_answer_count) == (0, 0, 0)
    assert (agent.last_bridge_end, agent.last_offered_call) == (NEVER, NEVER)


def test_12_what_does_not_exist() -> None:
    simulation = QueueSimulation().queue().agent(ANN)
    wrong: list[i.Input] = [
        i.SetTier(9, ANN), i.SetTier(Q, BOB), i.RemoveTier(Q2, ANN), i.RemoveTier(Q, BOB), i.RemoveAgent(BOB),
        i.SetStatus(BOB, BREAK), i.SetState(BOB, AgentState.IDLE), i.SetWrapUp(BOB), i.AgentCallStarted(BOB, "x"),
    ]  # fmt: skip
    events = len(simulation.events)
    for given in wrong:
        with pytest.raises(NotFound):
            simulation.give(given)
    assert len(simulation.events) == events


def test_15_defaults() -> None:
    queue, agent, tier = QueueSettings(), AgentSettings(), Tier(Q)
    assert (queue.strategy.value, queue.time_base_score.value) == ("longest-idle-agent", "queue")
    assert (queue.tier_rules_apply, queue.tier_rule_wait_second) == (False, 0)
    assert (queue.tier_rule_wait_multiply_level, queue.tier_rule_no_agent_no_wait) == (False, True)
    assert (queue.max_wait_time, queue.max_wait_time_with_no_agent) == (0, 0)
    assert queue.max_wait_time_with_no_agent_time_reached == 5
    assert (queue.discard_abandoned_after, queue.abandoned_resume_allowed) == (60, False)
    assert (queue.agent_no_answer_status.value, queue.skip_agents_with_external_calls) == ("On Break", True)
    assert queue.announce_frequency == 0
    assert (agent.max_no_answer, agent.wrap_up_time, agent.ring_timeout) == (0, 0, 60)
    assert (agent.reject_delay_time, agent.busy_delay_time, agent.no_answer_delay_time) == (0, 0, 0)
    assert (tier.level, tier.position) == (1, 1)


REFUSED: list[dict[str, Any]] = [
    {"max_wait_time": -1}, {"max_wait_time": 86_401}, {"max_wait_time": 1.5}, {"max_wait_time": "10"},
    {"max_wait_time": True}, {"ring_timeout": 90_000}, {"strategy": "best"}, {"time_base_score": "clock"},
    {"agent_no_answer_status": "Away"}, {"tier_rules_apply": 1}, {"no_such": 1}, {"exit_keys": {"A": "x"}},
    {"callback_tries": 0}, {"sla_strategy": 7}, {"required_skills": {"x": {"level": 0}}},
]  # fmt: skip


@pytest.mark.parametrize("values", REFUSED)
def test_15_other_values_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refused:
        QueueSettings.of(values)
    assert refused.value.field in values


@pytest.mark.parametrize("values", [{"wrap_up_time": -1}, {"ring_timeout": 86_401}, {"nothing": 1}])
def test_15_other_values_of_agents_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        AgentSettings.of(values)


@pytest.mark.parametrize("place", [(-1, 1), (1, -1), (1.5, 1)])
def test_15_level_and_position_are_0_or_more(place: tuple[int, int]) -> None:
    simulation = QueueSimulation().queue().agent(ANN)
    with pytest.raises(InvalidInput):
        simulation.give(i.SetTier(Q, ANN, *place))
    simulation.give(i.SetTier(Q, ANN, 0, 0))
    assert simulation.the_agent(ANN).tiers[Q].level == 0


def test_15_limits_themselves_are_accepted() -> None:
    assert QueueSettings.of({"max_wait_time": 86_400}).max_wait_time == 86_400
    assert QueueSettings.of({"time_base_score": ""}).time_base_score.value == "queue"
    given = {
        "strategy": "random",
        "required_skills": {"x": {"level": 2, "score": 1}},
        "exit_keys": {"*": "menu"},
    }
    assert QueueSettings.of(given).values() == given
    assert QueueSettings.of(QueueSettings.of(given).values()) == QueueSettings.of(given)
    assert AgentSettings.of({"skills": {"x": 2}, "wrap_up_time": 3}).values() == {
        "skills": {"x": 2},
        "wrap_up_time": 3,
    }


def test_a_refused_command_changes_nothing() -> None:
    """2.5: what a command changes, it changes in one step."""
    simulation = QueueSimulation().queue().agent(ANN)
    simulation.join()
    simulation.fail(ANN, OfferOutcome.BUSY)
    events = len(simulation.events)
    for given in (i.CallerTaken(99), i.RequestCallback(99, "971500000001"), i.CancelCallback("971500000001")):
        with pytest.raises((NotFound, Exception)):
            simulation.give(given)
    assert len(simulation.events) == events
