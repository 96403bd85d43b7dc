"""Snapshots, and what is shown of a queue: the state from a snapshot is the live one."""

from __future__ import annotations

import orjson
import pytest

from tests.queues.invariants import check_replay
from tests.queues.simulation import ACCOUNT, ANN, BOB, CID, Q2, Q, QueueSimulation
from trunkline.core.errors import NotFound
from trunkline.events.catalogue import Event, EventType
from trunkline.queues import inputs as i
from trunkline.queues.evolution import replay
from trunkline.queues.overview import figures, waiting_list
from trunkline.queues.settings import QueueSettings
from trunkline.queues.snapshots import agent_of_data, data_of_agent, data_of_queue, queue_of_data
from trunkline.queues.states import AgentState, AgentStatus, CallerState, OfferOutcome


def busy(snapshot_after: int = 500) -> QueueSimulation:
    """A state in which every field has some value."""
    simulation = QueueSimulation(snapshot_after=snapshot_after)
    simulation.queue(
        strategy="ring-all",
        required_skills={"french": {"level": 1}},
        exit_keys={"1": "menu"},
        pre_bridge_announce=3,
    ).queue(Q2, abandoned_resume_allowed=True, announce_id=4, announce_frequency=10)
    simulation.agent(ANN, Q, Q2, skills={"french": 2}).agent(BOB, Q2, level=2, position=5, wrap_up_time=9)
    simulation.agent(CID, Q2, status=AgentStatus.ON_BREAK)
    simulation.status(CID, AgentStatus.ON_BREAK, "lunch")
    simulation.give(i.AgentCallStarted(CID, "out"))
    simulation.join(Q)
    simulation.give(i.OfferAnswered(simulation.offer_of(ANN)))
    talking = simulation.join(Q2, number="971500000001")
    simulation.answer(BOB)
    simulation.give(i.SetState(BOB, AgentState.IDLE))
    simulation.after(3.25)
    for number, how in (("971500000002", "key"), ("971500000003", "callback"), ("971500000004", "stay")):
        caller = simulation.join(Q2, number=number)
        if how == "callback":
            simulation.give(i.RequestCallback(caller, number))
        elif how == "key":
            simulation.hang_up(caller)
    simulation.give(i.AnnouncementFailed(caller))
    assert simulation.caller(talking).state is CallerState.ANSWERED
    return simulation


def test_queues_and_agents_pass_through_json() -> None:
    simulation = busy()
    for queue in simulation.state.queues.values():
        assert queue_of_data(orjson.loads(orjson.dumps(data_of_queue(queue)))) == queue
    for agent in simulation.state.agents.values():
        assert agent_of_data(orjson.loads(orjson.dumps(data_of_agent(agent)))) == agent


def test_the_events_before_a_snapshot_are_not_needed() -> None:
    simulation = busy(snapshot_after=5)
    assert set(simulation.state.snapshots) == set(simulation.state.versions)
    check_replay(simulation.state, simulation.events, range(1000))
    for stream, at in simulation.state.snapshots.items():
        assert simulation.state.versions[stream] - at < 5 + 12


def test_a_long_stream_needs_few_events() -> None:
    simulation = QueueSimulation(snapshot_after=100).queue().agent(ANN)
    for _ in range(200):
        simulation.after(1).talk(ANN, 2)
    agent = f"agent:{ANN}"
    assert simulation.state.versions[agent] > 600
    assert simulation.state.versions[agent] - simulation.state.snapshots[agent] <= 100
    number = len(simulation.of_type(EventType.AGENT_SNAPSHOT))
    assert 5 <= number <= 8, "one for a hundred events"


def test_settings_that_another_version_wrote_are_left_out() -> None:
    event = Event(
        ACCOUNT,
        "queue:1",
        1,
        EventType.QUEUE_SET,
        QueueSimulation().clock,
        {"settings": {"max_wait_time": 9, "new": 1}},
    )
    assert replay(ACCOUNT, [event]).queues[1].settings == QueueSettings(max_wait_time=9)


def test_the_waiting_list() -> None:
    """4.1, 4.3"""
    simulation = QueueSimulation().queue().agent(ANN, status=AgentStatus.ON_BREAK)
    first = simulation.join(number="971500000001")
    best = simulation.at(1010.5).join(base_score=100)
    last = simulation.at(1020).join()
    simulation.at(1030.2)
    found = waiting_list(simulation.state, Q, simulation.clock)
    assert [(one.caller_id, one.position, one.score, one.waited) for one in found] == [
        (best, 1, 119, 19), (first, 2, 30, 30), (last, 3, 10, 10),
    ]  # fmt: skip
    assert found[1].number == "971500000001"
    with pytest.raises(NotFound):
        waiting_list(simulation.state, Q2, simulation.clock)


def test_the_figures_of_a_queue() -> None:
    simulation = QueueSimulation().queue().agent(ANN).agent(BOB).agent(CID, status=AgentStatus.ON_BREAK)
    simulation.join()
    simulation.answer(ANN)
    simulation.join()
    simulation.fail(BOB, OfferOutcome.REJECTED)
    asked = simulation.join()
    simulation.give(i.RequestCallback(asked, "971500000001"))
    found = figures(simulation.state, Q, simulation.clock)
    assert (found.waiting, found.talking, found.callbacks, found.on_break) == (1, 1, 1, 1)
    assert found.agents == {AgentState.IN_CALL: 1, AgentState.WAITING: 2}
