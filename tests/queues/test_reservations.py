"""Agents who are reserved for a call that is dialled: the first offer is theirs, and no reservation outlives its call."""

from __future__ import annotations

from typing import Any

import pytest

from tests.queues.simulation import ANN, BOB, Q2, Q, QueueSimulation
from trunkline.core.clock import Instant
from trunkline.core.errors import NotFound
from trunkline.queues import inputs as i
from trunkline.queues.overview import Activity, activity_of
from trunkline.queues.reservations import reserved_for
from trunkline.queues.states import AgentState, AgentStatus

CALL, OTHER = 700_001, 700_002


def reserved(**settings: Any) -> QueueSimulation:
    simulation = QueueSimulation().queue().queue(Q2).agent(ANN, Q, Q2, **settings)
    simulation.give(i.ReserveAgent(Q, CALL))
    return simulation


def agent_of(simulation: QueueSimulation, call: int) -> int | None:
    found = reserved_for(simulation.queues.state, call)
    return found.agent_id if found is not None else None


def test_the_reserved_agent_gets_nothing_else_and_the_first_offer_of_the_call() -> None:
    simulation = reserved()
    assert agent_of(simulation, CALL) == ANN
    before = simulation.join(Q2, base_score=1000)
    assert simulation.offered() == []
    caller = simulation.join(call=CALL)
    assert simulation.offered() == [(caller, ANN)], "not the caller with the better place"
    assert simulation.rings_for(before) == []


def test_without_a_free_agent_nothing_is_reserved() -> None:
    simulation = reserved()
    simulation.give(i.ReserveAgent(Q, OTHER))
    assert agent_of(simulation, OTHER) is None
    simulation.agent(BOB, Q)
    simulation.give(i.ReserveAgent(Q, CALL))
    assert simulation.the_agent(BOB).state is AgentState.WAITING, "one agent for a call"
    simulation.give(i.ReserveAgent(Q, OTHER))
    assert agent_of(simulation, OTHER) == BOB
    with pytest.raises(NotFound):
        simulation.give(i.ReserveAgent(999, OTHER))


def test_an_agent_who_is_released_serves_who_waits() -> None:
    simulation = reserved()
    waiting = simulation.join()
    assert simulation.offered() == []
    simulation.give(i.ReleaseAgent(CALL))
    assert simulation.offered() == [(waiting, ANN)]
    simulation.give(i.ReleaseAgent(CALL))


def test_a_talk_in_the_call_of_a_reservation_counts_and_is_wrapped_up() -> None:
    """Of a campaign with preview: the agent talks with the lead in the call that it is reserved for."""
    simulation = reserved(wrap_up_time=10)
    simulation.give(i.AgentCallStarted(ANN, str(CALL)))
    shown = activity_of(simulation.the_agent(ANN), Instant(simulation.clock))
    assert shown.activity is Activity.TALKING
    simulation.after(20)
    simulation.give(i.AgentCallEnded(ANN, str(CALL)))
    simulation.give(i.ReleaseAgent(CALL, talked=15.0))
    simulation.give(i.ReserveAgent(Q, OTHER))
    agent = simulation.the_agent(ANN)
    assert (agent.state, agent.calls_answered, agent.talk_time) == (AgentState.WAITING, 1, 15.0)
    assert activity_of(agent, Instant(simulation.clock)).activity is Activity.WRAP_UP
    simulation.after(11)
    simulation.give(i.ReserveAgent(Q, OTHER))
    assert agent_of(simulation, OTHER) == ANN


def test_a_lead_who_answered_gets_the_agent_of_a_call_that_rings() -> None:
    """What a predictive campaign does: the lead has a place before all who wait."""
    simulation = reserved()
    simulation.join()
    answered = simulation.join(call=OTHER, base_score=1_000_000)
    simulation.give(i.ReleaseAgent(CALL))
    assert simulation.offered() == [(answered, ANN)]


@pytest.mark.parametrize("how", ["status", "tier", "remove"])
def test_a_reserved_agent_who_leaves_is_not_reserved(how: str) -> None:
    simulation = reserved()
    match how:
        case "status":
            simulation.status(ANN, AgentStatus.ON_BREAK)
        case "tier":
            simulation.give(i.RemoveTier(Q, ANN))
        case _:
            simulation.give(i.RemoveAgent(ANN))
    assert agent_of(simulation, CALL) is None
    caller = simulation.join(call=CALL)
    assert simulation.rings_for(caller) == []


def test_after_a_restart_only_calls_that_live_have_an_agent() -> None:
    simulation = reserved()
    simulation.give(i.Restarted(dialled=frozenset({CALL})))
    assert agent_of(simulation, CALL) == ANN
    simulation.give(i.Restarted())
    assert agent_of(simulation, CALL) is None
    assert simulation.the_agent(ANN).state is AgentState.WAITING


def test_an_agent_without_a_phone_is_passed_over() -> None:
    simulation = QueueSimulation().queue().agent(ANN, Q).agent(BOB, Q)
    simulation.give(i.ReserveAgent(Q, CALL, frozenset({ANN, BOB})))
    assert agent_of(simulation, CALL) is None
    simulation.give(i.ReserveAgent(Q, CALL, frozenset({ANN})))
    assert agent_of(simulation, CALL) == BOB
