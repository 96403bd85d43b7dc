"""After a restart (section 13): the state from the events is compared with the calls that are left."""

from __future__ import annotations

from random import Random

import pytest

from tests.queues.invariants import interleaved
from tests.queues.simulation import ACCOUNT, ANN, BOB, CID, Q2, Q, QueueSimulation
from trunkline.events.catalogue import EventType
from trunkline.queues import inputs as i
from trunkline.queues.effects import CancelOffer, Connect
from trunkline.queues.evolution import replay
from trunkline.queues.rules import LiveQueues
from trunkline.queues.states import AgentState, AgentStatus, CallerState, OfferOutcome, TierState

BREAK = AgentStatus.ON_BREAK
ALL_CALLS = frozenset(range(5000, 9000))


def restart(simulation: QueueSimulation, after: float = 3, **left: object) -> None:
    """Another process: its state is made from the stored events, with the streams in any order."""
    random = Random(1)
    events = interleaved(simulation.events, (random.randrange(5) for _ in simulation.events))
    state = replay(ACCOUNT, events)
    assert state == simulation.state
    simulation.queues = LiveQueues(state)
    simulation.alarm = None
    simulation.after(after).give(i.Restarted(**{"calls": ALL_CALLS, **left}))  # type: ignore[arg-type]


def test_13_1_places_counters_and_timers_are_durable() -> None:
    simulation = (
        QueueSimulation().queue(strategy="round-robin").agent(ANN, wrap_up_time=50).agent(BOB, level=2)
    )
    simulation.talk(ANN, 20)
    first = simulation.join(base_score=4)
    second = simulation.join()
    simulation.fail(BOB, OfferOutcome.BUSY)
    before = {
        one: (simulation.caller(one).joined_at, simulation.caller(one).base_score) for one in (first, second)
    }
    pointer, agent = simulation.the_queue().pointer, simulation.the_agent(ANN)
    figures = (
        agent.talk_time,
        agent.calls_answered,
        agent.wrap_up_until,
        simulation.the_agent(BOB).ready_time,
    )
    restart(simulation, 0.2)
    assert {
        one: (simulation.caller(one).joined_at, simulation.caller(one).base_score) for one in before
    } == before
    agent = simulation.the_agent(ANN)
    assert simulation.the_queue().pointer == pointer
    assert (
        agent.talk_time, agent.calls_answered, agent.wrap_up_until, simulation.the_agent(BOB).ready_time,
    ) == figures  # fmt: skip
    assert simulation.at(1021).rings_for(first) == [BOB], "the delay goes on"
    assert simulation.at(1070).rings_for(second) == [ANN], "the wrap-up goes on"


def test_13_2_callers_whose_call_exists_wait_at_the_same_place() -> None:
    simulation = QueueSimulation().queue(max_wait_time=100).agent(ANN, status=BREAK)
    first, second = simulation.join(), simulation.at(1010).join()
    restart(simulation, 20)
    assert {simulation.caller(one).state for one in (first, second)} == {CallerState.WAITING}
    simulation.status(ANN, AgentStatus.AVAILABLE)
    assert simulation.rings_for(first) == [ANN]
    assert simulation.at(1111).left(second) == (1110, "timeout")


def test_13_2_connected_pairs_are_answered() -> None:
    simulation = QueueSimulation().queue().agent(ANN).agent(BOB)
    first, second = simulation.join(), simulation.join()
    ann = simulation.answer(ANN)
    bob = simulation.offer_of(BOB)
    restart(simulation, legs={ann: i.LegState.CONNECTED, bob: i.LegState.CONNECTED})
    assert [simulation.caller(one).connected_agent for one in (first, second)] == [ANN, BOB]
    assert simulation.the_agent(BOB).state is AgentState.IN_CALL, "connected while no process ran"
    simulation.give(i.AgentLegEnded(ann))
    assert simulation.the_agent(ANN).state is AgentState.WAITING


def test_13_2_running_offers_that_still_ring_are_adopted() -> None:
    simulation = QueueSimulation().queue(ring_timeout=30).agent(ANN).agent(BOB)
    first, second = simulation.join(), simulation.join()
    ann = simulation.offer_of(ANN)
    restart(simulation, 10, legs={ann: i.LegState.RINGING})
    assert simulation.rings_for(first) == [ANN]
    assert simulation.outcomes() == [(BOB, "cancelled")], "the other one is cancelled"
    assert simulation.rings_for(second) == [BOB], "and called again, without delay"
    assert simulation.at(1030).outcomes()[1:] == [(ANN, "no_answer")], "the ring time goes on"


def test_13_2_an_agent_who_answered_meanwhile_is_connected() -> None:
    simulation = QueueSimulation().queue(strategy="ring-all", pre_bridge_announce=4).agent(ANN).agent(BOB)
    caller = simulation.join()
    ann, bob = simulation.offer_of(ANN), simulation.offer_of(BOB)
    restart(simulation, legs={ann: i.LegState.RINGING, bob: i.LegState.ANSWERED})
    call = simulation.caller(caller).call_session_id
    assert simulation.done(Connect) == [Connect(bob, caller, call, BOB, 4)]
    assert CancelOffer(ann, ANN, is_answered_elsewhere=True) in simulation.cancelled()
    restart(simulation, legs={bob: i.LegState.ANSWERED})
    assert simulation.done(Connect) == [Connect(bob, caller, call, BOB, 4)] * 2, "begun again"


def test_13_2_legs_that_nobody_remembers_are_ended() -> None:
    simulation = QueueSimulation().queue()
    restart(simulation, legs={77: i.LegState.RINGING})
    assert simulation.cancelled() == [CancelOffer(77, None)]


def test_13_3_callers_whose_call_is_gone_are_abandoned() -> None:
    simulation = QueueSimulation().queue().agent(ANN).agent(BOB)
    trying, talking, waiting = simulation.join(), simulation.join(), simulation.join()
    simulation.answer(BOB)
    restart(simulation, 5, calls=frozenset())
    for caller in (trying, waiting):
        assert simulation.caller(caller).state is CallerState.ABANDONED
        assert simulation.caller(caller).abandoned_at == 1005.0
        assert simulation.left(caller) == (1005, "hangup")
    assert not simulation.exists(talking)
    assert {one.data["outcome"] for one in simulation.of_type(EventType.AGENT_FAILED)} == {"cancelled"}
    assert simulation.the_agent(ANN).state is simulation.the_agent(BOB).state is AgentState.WAITING


def test_13_3_agents_without_a_live_leg() -> None:
    simulation = QueueSimulation().queue().queue(Q2)
    simulation.agent(ANN, Q, Q2, status=AgentStatus.ON_DEMAND, wrap_up_time=30).agent(BOB, Q2)
    simulation.give(i.AgentCallStarted(BOB, "out"))
    simulation.give(i.AgentCallStarted(BOB, "in"))
    simulation.join()
    simulation.answer(ANN)
    restart(simulation, 40, agent_calls={BOB: frozenset({"in", "new"})})
    agent = simulation.the_agent(ANN)
    assert agent.state is AgentState.WAITING, "not Idle, whatever the status was"
    assert {one.state for one in agent.tiers.values()} == {TierState.READY}
    assert (agent.talk_time, agent.wrap_up_until) == (40.0, 1070.0)
    assert simulation.the_agent(BOB).external_calls == {"in", "new"}
    restart(simulation)
    assert simulation.the_agent(BOB).external_calls == set(), "the tracked-call count is 0"


def test_13_3_tiers_with_no_answer_are_ready() -> None:
    simulation = QueueSimulation().queue().agent(ANN).agent(CID, status=BREAK)
    simulation.hang_up(simulation.join())
    caller = simulation.join()
    simulation.fail(ANN, OfferOutcome.NO_ANSWER)
    simulation.hang_up(caller)
    assert simulation.the_agent(ANN).tiers[Q].state is TierState.NO_ANSWER
    restart(simulation)
    assert simulation.the_agent(ANN).tiers[Q].state is TierState.READY
    assert simulation.the_agent(ANN).no_answer_count == 1


def test_13_a_parked_agent_stays_parked() -> None:
    """13.3 is about agents whose leg has ended; who was parked before is released by a command only (3.3)."""
    simulation = QueueSimulation().queue().agent(ANN)
    simulation.give(i.SetState(ANN, AgentState.IDLE))
    restart(simulation)
    assert simulation.the_agent(ANN).state is AgentState.IDLE


@pytest.mark.parametrize("is_alive", [True, False])
def test_13_a_callback_that_was_being_dialled(is_alive: bool) -> None:
    simulation = (
        QueueSimulation().queue(callback_ring_time=600).agent(ANN, status=BREAK).agent(BOB, status=BREAK)
    )
    caller = simulation.join()
    simulation.give(i.RequestCallback(caller, "971500000001"))
    simulation.status(ANN, AgentStatus.AVAILABLE)
    assert simulation.the_queue().tickets[caller].tries == 1
    restart(simulation, callbacks=frozenset({caller}) if is_alive else frozenset())
    assert simulation.the_queue().tickets[caller].tries == 1, "a try that was interrupted does not count"
    assert len(simulation.of_type(EventType.CALLBACK_DIALLED)) == (1 if is_alive else 2)
    assert simulation.the_agent(ANN).state is AgentState.RESERVED
