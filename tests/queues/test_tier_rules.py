"""Open levels (section 8), with the vectors 16.3."""

from __future__ import annotations

from typing import Any

import pytest

from tests.queues import naive
from tests.queues.simulation import ANN, BOB, CID, Q, QueueSimulation
from trunkline.core.clock import Instant
from trunkline.queues import inputs as i
from trunkline.queues.settings import QueueSettings
from trunkline.queues.states import AgentState, AgentStatus, OfferOutcome
from trunkline.queues.tiers import open_levels

VECTORS = [
    ((1, 2, 3), 0, True, True, (1,)),
    ((1, 2, 3), 59, True, True, (1,)),
    ((1, 2, 3), 60, True, True, (1, 2)),
    ((1, 2, 3), 90, True, True, (1, 2, 3)),
    ((1, 2, 3), 29, False, True, (1,)),
    ((1, 2, 3), 30, False, True, (1, 2, 3)),
    ((1, 2, 3), 0, True, False, ()),
    ((1, 2, 3), 30, True, False, (1,)),
    ((0, 1), 0, True, True, (0,)),
    ((2, 3), 0, True, True, (2,)),
    ((2, 3), 89, True, True, (2,)),
    ((2, 3), 90, True, True, (2, 3)),
    ((1, 5), 149, True, True, (1,)),
    ((1, 5), 150, True, True, (1, 5)),
    ((1, 3), 89, True, True, (1,)),
    ((1, 3), 90, True, True, (1, 3)),
]


@pytest.mark.parametrize(("present", "waited", "multiply", "no_wait", "expected"), VECTORS)
def test_vector_16_3_open_levels(
    present: tuple[int, ...], waited: int, multiply: bool, no_wait: bool, expected: tuple[int, ...]
) -> None:
    """8.2, 8.3, 8.4"""
    settings = QueueSettings(
        tier_rules_apply=True,
        tier_rule_wait_second=30,
        tier_rule_wait_multiply_level=multiply,
        tier_rule_no_agent_no_wait=no_wait,
    )
    assert tuple(open_levels(settings, present, waited)) == expected
    assert tuple(naive.open_levels(settings, set(present), waited)) == expected


def simulation_of(multiply: bool = True, wait: int = 30, **settings: Any) -> QueueSimulation:
    return QueueSimulation(clock=0).queue(
        tier_rules_apply=True, tier_rule_wait_second=wait, tier_rule_wait_multiply_level=multiply, **settings
    )


def test_vector_16_3_an_agent_turns_up_on_a_lower_level() -> None:
    """8.6: 2 until t = 10, then 1 and 2."""
    simulation = simulation_of(ring_timeout=500).agent(BOB, level=2)
    simulation.agent(CID, level=2).agent(ANN, level=1, status=AgentStatus.LOGGED_OUT)
    first = simulation.join()
    second = simulation.at(9).join()
    assert (simulation.rings_for(first), simulation.rings_for(second)) == ([BOB], [CID])
    simulation.at(10).status(ANN, AgentStatus.AVAILABLE)
    simulation.status(ANN, AgentStatus.ON_BREAK)
    simulation.at(11)
    assert simulation.rings_for(first) == [BOB], "offers already ringing go on"
    simulation.fail(CID, OfferOutcome.CANCELLED)
    assert simulation.rings_for(second) == [], "level 2 is closed again"
    simulation.at(68.9)
    assert simulation.rings_for(second) == []
    simulation.at(69)
    assert simulation.rings_for(second) == [CID], "the wait of level 2 is served"


def test_8_1_without_tier_rules_all_levels_are_open() -> None:
    simulation = QueueSimulation().queue(tier_rule_wait_second=30).agent(ANN, level=1).agent(BOB, level=7)
    assert open_levels(QueueSettings(), (1, 7), 0) == [1, 7]
    first, second = simulation.join(), simulation.join()
    assert (simulation.rings_for(first), simulation.rings_for(second)) == ([ANN], [BOB])


def test_8_2_a_level_opens_at_its_time_without_another_input() -> None:
    """2.2: a caller crosses a tier limit."""
    simulation = simulation_of().agent(ANN, level=1).agent(BOB, level=2)
    simulation.give(i.AgentCallStarted(ANN, "out"))
    caller = simulation.join()
    assert simulation.alarm == Instant(60)
    simulation.at(59.999)
    assert simulation.rings_for(caller) == []
    simulation.at(60)
    assert simulation.rings_for(caller) == [BOB]


def test_8_2_a_level_opens_behind_a_caller_who_is_being_connected() -> None:
    simulation = simulation_of(strategy="ring-all").agent(ANN, level=1).agent(BOB, level=2)
    first = simulation.join()
    second = simulation.at(20).join()
    simulation.give(i.OfferAnswered(simulation.offer_of(ANN)))
    simulation.at(79.9)
    assert (simulation.rings_for(first), simulation.rings_for(second)) == ([ANN], [])
    simulation.at(80)
    assert (simulation.rings_for(first), simulation.rings_for(second)) == ([ANN], [BOB])


def test_8_3_level_1_waits_like_any_other() -> None:
    simulation = simulation_of(tier_rule_no_agent_no_wait=False).agent(ANN, level=1)
    caller = simulation.join()
    assert simulation.rings_for(caller) == []
    assert simulation.at(30).rings_for(caller) == [ANN]


def test_8_4_one_wait_opens_all_levels_without_multiply() -> None:
    simulation = simulation_of(multiply=False).agent(ANN, level=1).agent(BOB, level=5)
    simulation.give(i.AgentCallStarted(ANN, "out"))
    caller = simulation.join()
    assert simulation.at(29.5).rings_for(caller) == []
    assert simulation.at(30).rings_for(caller) == [BOB]


def test_8_5_a_level_on_break_or_busy_holds_the_next_one_back() -> None:
    simulation = simulation_of().agent(ANN, level=1, status=AgentStatus.ON_BREAK).agent(BOB, level=2)
    caller = simulation.join()
    assert simulation.rings_for(caller) == []
    simulation.at(10).status(ANN, AgentStatus.LOGGED_OUT)
    assert simulation.rings_for(caller) == [BOB], "now level 2 is the lowest one with a present agent"


def test_8_6_levels_are_worked_out_anew_at_each_evaluation() -> None:
    simulation = simulation_of(wait=3600).agent(ANN, level=1, status=AgentStatus.ON_BREAK).agent(BOB, level=2)
    caller = simulation.join()
    assert simulation.rings_for(caller) == []
    simulation.queue(tier_rules_apply=False)
    assert simulation.rings_for(caller) == [BOB]


def test_8_7_a_resumed_caller_keeps_its_wait() -> None:
    simulation = simulation_of(abandoned_resume_allowed=True)
    simulation.agent(ANN, level=1, status=AgentStatus.ON_BREAK).agent(BOB, level=2)
    caller = simulation.join(number="971500000001")
    simulation.at(30).hang_up(caller)
    assert simulation.at(50).join(number="971500000001") == caller
    assert simulation.at(59.5).rings_for(caller) == []
    assert simulation.at(60).rings_for(caller) == [BOB]
    assert simulation.the_agent(BOB).state is AgentState.RECEIVING
    assert simulation.the_queue(Q).callers[caller].attempts == 2
