"""Service levels: the six formulas with known figures, and each call counted once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.queues.simulation import ANN, Q, QueueSimulation
from trunkline.queues import inputs as i
from trunkline.queues.service_level import STRATEGIES, Formula, ServiceCounts, Visit, total, visits
from trunkline.queues.settings import QueueSettings
from trunkline.queues.states import AgentStatus, LeavingReason

SETTINGS = QueueSettings(sla_answer_time=20, short_abandon_time=5)
EXAMPLE = ServiceCounts(
    answered=1000, answered_in_time=860, abandoned=60, abandoned_in_time=20, abandoned_short=10
)

LEVELS = [
    (Formula.OF_OFFERED, 0.811),
    (Formula.OF_OFFERED_WITHOUT_SHORT, 0.819),
    (Formula.OF_ANSWERED_AND_LATE_ABANDONED, 0.827),
    (Formula.WITH_EARLY_ABANDONED, 0.830),
    (Formula.OF_ANSWERED, 0.860),
    (Formula.WITH_SHORT_ABANDONED, 0.821),
]


@pytest.mark.parametrize(("formula", "level"), LEVELS)
def test_formulas(formula: Formula, level: float) -> None:
    assert EXAMPLE.level(formula) == pytest.approx(level, abs=0.0005)
    assert ServiceCounts().level(formula) is None


def test_the_two_usual_formulas_by_sla_strategy() -> None:
    assert [STRATEGIES[one].value for one in (0, 1)] == [
        "answered_in_time / (offered - abandoned_short)",
        "answered_in_time / (answered + abandoned_late)",
    ]


@pytest.mark.parametrize(
    ("reason", "waited", "expected"),
    [
        (LeavingReason.ANSWERED, 20, ServiceCounts(answered=1, answered_in_time=1, answered_wait=20)),
        (LeavingReason.ANSWERED, 20.1, ServiceCounts(answered=1, answered_wait=20.1)),
        (LeavingReason.HANGUP, 5, ServiceCounts(abandoned=1, abandoned_in_time=1, abandoned_short=1)),
        (LeavingReason.HANGUP, 6, ServiceCounts(abandoned=1, abandoned_in_time=1)),
        (LeavingReason.TIMEOUT, 5, ServiceCounts(abandoned=1, abandoned_in_time=1)),
        (LeavingReason.NO_AGENT_TIMEOUT, 65, ServiceCounts(abandoned=1)),
        (LeavingReason.EXIT_KEY, 3, ServiceCounts(flowed_out=1)),
        (LeavingReason.BREAK_OUT, 3, ServiceCounts(flowed_out=1)),
    ],
)
def test_what_a_visit_counts_as(reason: LeavingReason, waited: float, expected: ServiceCounts) -> None:
    assert total([Visit(waited, reason)], SETTINGS) == expected
    assert total([Visit(waited, reason, is_callback=True)], SETTINGS) == ServiceCounts(callbacks=1)


@given(
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from(LeavingReason)), max_size=30), st.integers(0, 30)
)
def test_counts_are_added_never_percentages(found: list[tuple[int, LeavingReason]], cut: int) -> None:
    all_visits = [Visit(float(waited), reason) for waited, reason in found]
    assert total(all_visits[:cut], SETTINGS) + total(all_visits[cut:], SETTINGS) == total(
        all_visits, SETTINGS
    )
    counts = total(all_visits, SETTINGS)
    assert counts.offered + counts.flowed_out == len(found)
    for formula in Formula:
        level = counts.level(formula)
        assert level is None or 0 <= level <= 1


def test_average_wait() -> None:
    assert ServiceCounts().average_wait is None
    assert (
        total([Visit(3, LeavingReason.ANSWERED), Visit(8, LeavingReason.ANSWERED)], SETTINGS).average_wait
        == 5.5
    )


def test_each_call_of_a_stream_counts_once() -> None:
    """11.5: a resumed call is one visit; so is a callback."""
    simulation = (
        QueueSimulation().queue(abandoned_resume_allowed=True).agent(ANN, status=AgentStatus.ON_BREAK)
    )
    resumed = simulation.join(number="971500000001")
    simulation.at(1003).hang_up(resumed)
    simulation.at(1010).join(number="971500000001")
    called_back = simulation.at(1012).join(number="971500000002")
    simulation.give(i.RequestCallback(called_back, "971500000002"))
    lost, waiting = simulation.join(), simulation.join()
    simulation.at(1016).hang_up(lost)
    simulation.status(ANN, AgentStatus.AVAILABLE)
    simulation.at(1018).answer(ANN)
    simulation.end_call(ANN)
    simulation.at(1030).give(i.CallbackConfirmed(called_back, 9001))
    simulation.answer(ANN)
    found = visits(one for one in simulation.events if one.stream == f"queue:{Q}")
    assert found == {
        resumed: Visit(18.0, LeavingReason.ANSWERED),
        called_back: Visit(18.0, LeavingReason.ANSWERED, is_callback=True),
        lost: Visit(4.0, LeavingReason.HANGUP),
    }
    assert waiting not in found
    counts = total(found.values(), SETTINGS)
    assert (counts.answered, counts.abandoned, counts.abandoned_short, counts.callbacks) == (1, 1, 1, 1)


def test_persons_whom_a_campaign_calls_are_in_no_figure_of_callers() -> None:
    simulation = QueueSimulation().queue().agent(ANN)
    simulation.join(is_lead=True)
    simulation.at(1001).answer(ANN)
    simulation.end_call(ANN)
    abandoned = simulation.at(1002).join(is_lead=True)
    simulation.at(1003).hang_up(abandoned)
    queue = simulation.state.queues[Q]
    assert (queue.served, queue.recent_waits) == ({}, [])
    assert visits(one for one in simulation.events if one.stream == f"queue:{Q}") == {}
