"""What is shown of agents and queues at one moment: activities with their beginning and reason, and the counts of today."""

from __future__ import annotations

import pytest

from tests.queues.simulation import ANN, BOB, Q, QueueSimulation
from trunkline.core.clock import Instant
from trunkline.queues import inputs as i
from trunkline.queues import served
from trunkline.queues.agents import MAX_NO_ANSWER
from trunkline.queues.evolution import replay
from trunkline.queues.overview import Activity, AgentActivity, activity_of, figures
from trunkline.queues.service_level import ServiceCounts, total, visits
from trunkline.queues.states import AgentState, AgentStatus, OfferOutcome


def shown(simulation: QueueSimulation, agent_id: int = ANN) -> AgentActivity:
    return activity_of(simulation.the_agent(agent_id), simulation.clock)


def doing(
    activity: Activity, since: float, until: float | None = None, reason: str | None = None
) -> AgentActivity:
    return AgentActivity(activity, Instant(since), None if until is None else Instant(until), reason)


def test_an_agent_through_a_day() -> None:
    simulation = QueueSimulation().queue().agent(ANN, status=AgentStatus.LOGGED_OUT, wrap_up_time=10)
    assert shown(simulation) == doing(Activity.LOGGED_OUT, 1000)
    simulation.at(1005).status(ANN, AgentStatus.AVAILABLE)
    assert shown(simulation.at(1006)) == doing(Activity.AVAILABLE, 1005)
    simulation.at(1010).join()
    assert shown(simulation.at(1012)) == doing(Activity.RINGING, 1010)
    simulation.answer(ANN)
    assert shown(simulation.at(1020)) == doing(Activity.TALKING, 1012)
    simulation.end_call(ANN)
    assert shown(simulation.at(1025)) == doing(Activity.WRAP_UP, 1020, 1030)
    assert shown(simulation.at(1031)) == doing(Activity.AVAILABLE, 1030)
    simulation.at(1040).status(ANN, AgentStatus.ON_BREAK, "12")
    assert shown(simulation.at(1041)) == doing(Activity.ON_BREAK, 1040, reason="12")
    simulation.at(1050).status(ANN, AgentStatus.AVAILABLE)
    simulation.give(i.SetState(ANN, AgentState.IDLE))
    assert shown(simulation.at(1051)) == doing(Activity.IDLE, 1050)
    simulation.at(1060).give(i.SetState(ANN, AgentState.WAITING))
    simulation.at(1065).give(i.AgentCallStarted(ANN, "77"))
    assert shown(simulation.at(1066)) == doing(Activity.OTHER_CALL, 1065)
    simulation.at(1070).give(i.AgentCallEnded(ANN, "77"))
    assert shown(simulation.at(1071)) == doing(Activity.AVAILABLE, 1070)
    simulation.at(1080).give(i.SetWrapUp(ANN, 5))
    assert shown(simulation.at(1081)) == doing(Activity.WRAP_UP, 1080, 1085)


def test_why_an_agent_gets_no_more_calls() -> None:
    """7.4c: after too many offers that were not answered the reason of the break is shown."""
    simulation = QueueSimulation().queue().agent(ANN, max_no_answer=2, no_answer_delay_time=5)
    simulation.join()
    simulation.at(1003).fail(ANN, OfferOutcome.NO_ANSWER)
    assert shown(simulation) == doing(Activity.DELAY, 1003, 1008, "no_answer")
    simulation.at(1008)
    assert shown(simulation).activity is Activity.RINGING
    simulation.at(1010).fail(ANN, OfferOutcome.NO_ANSWER)
    assert shown(simulation.at(1020)) == doing(Activity.ON_BREAK, 1010, reason=MAX_NO_ANSWER)
    assert replay(7, simulation.events).agents[ANN] == simulation.the_agent(ANN)


def test_a_call_goes_on_when_its_agent_logs_out() -> None:
    simulation = QueueSimulation().queue().agent(ANN)
    simulation.join()
    simulation.answer(ANN)
    simulation.at(1010).status(ANN, AgentStatus.LOGGED_OUT)
    assert shown(simulation).activity is Activity.TALKING


def test_the_longest_wait() -> None:
    simulation = QueueSimulation().queue().agent(ANN, status=AgentStatus.ON_BREAK)
    assert figures(simulation.state, Q, simulation.clock).longest_wait is None
    simulation.join(base_score=0)
    simulation.at(1007).join(base_score=500)
    assert figures(simulation.at(1010.9).state, Q, simulation.clock).longest_wait == 10


def test_each_visit_of_today_is_counted_once() -> None:
    """11.5: a resumed call is one visit; so is a callback."""
    simulation = QueueSimulation().queue(abandoned_resume_allowed=True).agent(ANN).agent(BOB)
    simulation.status(ANN, AgentStatus.ON_BREAK)
    simulation.status(BOB, AgentStatus.ON_BREAK)
    resumed = simulation.join(number="971500000001")
    simulation.at(1003).hang_up(resumed)
    assert counts(simulation) == ServiceCounts(abandoned=1, abandoned_in_time=1, abandoned_short=1)
    simulation.at(1010).join(number="971500000001")
    assert counts(simulation) == ServiceCounts()
    called_back = simulation.at(1012).join(number="971500000002")
    simulation.give(i.RequestCallback(called_back, "971500000002"))
    assert counts(simulation) == ServiceCounts(callbacks=1)
    lost = simulation.join()
    simulation.at(1016).hang_up(lost)
    simulation.status(ANN, AgentStatus.AVAILABLE)
    simulation.at(1018).answer(ANN)
    simulation.end_call(ANN)
    simulation.at(1030).give(i.CallbackConfirmed(called_back, 9001))
    simulation.answer(ANN)
    expected = total(
        visits(one for one in simulation.events if one.stream == f"queue:{Q}").values(),
        simulation.the_queue().settings,
    )
    assert counts(simulation) == expected
    assert (expected.answered, expected.abandoned, expected.callbacks) == (1, 1, 1)


def counts(simulation: QueueSimulation, start: float = 0) -> ServiceCounts:
    return served.since(simulation.the_queue().served, start)


def test_today_begins_at_midnight_and_older_counts_are_dropped() -> None:
    midnight = 86_400.0 * 20
    simulation = QueueSimulation(clock=midnight - 30).queue().agent(ANN)
    simulation.join()
    simulation.answer(ANN)
    simulation.end_call(ANN)
    simulation.at(midnight + 1).join()
    simulation.answer(ANN)
    assert counts(simulation).answered == 2
    assert counts(simulation, midnight).answered == 1
    simulation.end_call(ANN)
    simulation.at(midnight + 3 * 86_400).join()
    simulation.answer(ANN)
    assert counts(simulation).answered == 1
    assert len(simulation.the_queue().served) == 1


@pytest.mark.parametrize("snapshot_after", [1, 500])
def test_the_counts_survive_a_restart(snapshot_after: int) -> None:
    simulation = QueueSimulation(snapshot_after=snapshot_after).queue().agent(ANN)
    simulation.join()
    simulation.at(1004.5).answer(ANN)
    lost = simulation.join()
    simulation.at(1010).hang_up(lost)
    again = replay(7, simulation.events)
    assert served.since(again.queues[Q].served, 0) == counts(simulation)
    assert counts(simulation).answered_wait == 4.5
