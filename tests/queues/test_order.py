"""The order of callers (section 4) and the order of agents (section 6), with the vectors 16.1 and 16.2."""

from __future__ import annotations

import copy
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.queues import naive
from tests.queues.simulation import ANN, BOB, CID, DEE, Q2, Q, QueueSimulation, names
from trunkline.core.clock import Instant
from trunkline.core.errors import InvalidInput
from trunkline.queues import inputs as i
from trunkline.queues.agents import Agent, Tier
from trunkline.queues.callers import NEVER, Caller, Place, exact
from trunkline.queues.order import in_order, line_key
from trunkline.queues.settings import AgentSettings, QueueSettings, Strategy
from trunkline.queues.states import AgentState, AgentStatus, CallerState, OfferOutcome
from trunkline.queues.strategies import KEYS, FreeLevel, choose, choose_all

# --- callers


def test_vector_16_1_score() -> None:
    """4.1, 4.2, 4.3"""
    simulation = QueueSimulation(clock=0).queue().queue(Q2, time_base_score="system")
    a = simulation.join()
    b = simulation.at(30).join(base_score=50)
    c = simulation.at(40).join(Q2, answered_at=-5)
    assert [simulation.caller(one).score(Instant(60)) for one in (a, b, c)] == [60, 80, 65]
    ranks = {one: simulation.caller(one).rank(Instant(60)) for one in (a, b, c)}
    assert sorted(ranks, key=lambda one: ranks[one]) == [b, c, a]


def test_4_1_only_whole_seconds_count() -> None:
    simulation = QueueSimulation(clock=100.75).queue()
    caller = simulation.caller(simulation.join())
    assert [caller.score(exact(at)) for at in (100.75, 101.74, 101.75, 102.749999, 102.75)] == [0, 0, 1, 1, 2]


def test_4_1_skills_of_the_queue_add_their_score() -> None:
    simulation = QueueSimulation(clock=0).queue(required_skills={"french": {"level": 2, "score": 30}})
    caller = simulation.caller(simulation.join())
    assert caller.skill_score == 30
    assert caller.score(Instant(10)) == 40


def test_4_2_base_score_is_fixed_at_joining() -> None:
    simulation = QueueSimulation(clock=100).queue(time_base_score="system")
    caller = simulation.caller(simulation.join(base_score=-3, answered_at=89.5))
    assert caller.base_score == 10 - 3
    simulation.queue(time_base_score="queue")
    assert simulation.caller(caller.caller_id).base_score == 7
    assert simulation.caller(simulation.join(answered_at=50)).base_score == 0


def test_4_3_equal_scores_earlier_then_lower_id() -> None:
    simulation = QueueSimulation(clock=100).queue()
    first, second = simulation.join(), simulation.join()
    later = simulation.at(100.4).join()
    agent = simulation.at(100.9).agent(ANN)
    assert agent.offered() == [(first, ANN)], "same score as the later one, and a lower id"
    agent.agent(BOB).agent(CID)
    assert [one for one, _ in agent.offered()] == [first, second, later]


def test_4_3_exact_time_decides_between_equal_whole_seconds() -> None:
    """A later caller with one point more has the same score at some moments, and the earlier joined one is first then."""
    simulation = QueueSimulation(clock=100.8).queue()
    early = simulation.join()
    bonus = simulation.at(101.2).join(base_score=1)
    assert simulation.caller(early).score(exact(101.9)) == simulation.caller(bonus).score(exact(101.9)) == 1
    assert simulation.caller(early).rank(exact(101.9)) < simulation.caller(bonus).rank(exact(101.9))
    assert simulation.caller(early).rank(exact(102.5)) > simulation.caller(bonus).rank(exact(102.5))
    assert simulation.at(101.9).agent(ANN).offered() == [(early, ANN)]


def test_4_4_scores_compare_across_queues() -> None:
    simulation = QueueSimulation(clock=0).queue().queue(Q2)
    simulation.join(Q)
    bonus = simulation.at(5).join(Q2, base_score=6)
    simulation.agent(ANN, Q, Q2)
    assert simulation.offered() == [(bonus, ANN)]


@given(
    joined=st.lists(
        st.tuples(st.integers(0, 400), st.integers(-3, 3), st.integers(0, 2)), min_size=1, max_size=12
    ),
    wait=st.integers(0, 400),
)
def test_4_3_the_kept_order_is_the_order_of_scores(joined: list[tuple[int, int, int]], wait: int) -> None:
    """The line of :mod:`trunkline.queues.order` against the ranks, for instants in hundredths of seconds."""
    callers = [
        Caller(n, Q, "", base, skills, n, exact(10 + at / 100), Instant(0))
        for n, (at, base, skills) in enumerate(joined)
    ]
    now = exact(10 + (max(at for at, _, _ in joined) + wait) / 100)
    line = sorted(line_key(one) for one in callers)
    assert list(in_order(line, now)) == sorted(one.rank(now) for one in callers)


# --- agents


def crew() -> list[Agent]:
    """The agents of 16.2."""
    figures = [
        (ANN, 1, 1, 100, 300, 5, 90),
        (BOB, 1, 2, 50, 120, 7, 40),
        (CID, 1, 2, 70, 120, 2, 60),
        (DEE, 2, 1, NEVER, 0, 0, NEVER),
    ]
    return [
        Agent(
            agent_id,
            AgentSettings(),
            status=AgentStatus.AVAILABLE,
            last_bridge_end=Instant(ended),
            talk_time=talk,
            calls_answered=calls,
            last_offered_call=Instant(offered),
            tiers={Q: Tier(Q, level, position)},
        )
        for agent_id, level, position, ended, talk, calls, offered in figures
    ]


def called(
    strategy: Strategy, *, caller_pointer: Place | None = None, queue_pointer: Place | None = None
) -> list[int]:
    """Whom the strategy chooses as long as nobody answers and nobody becomes free again."""
    agents = {one.agent_id: one for one in crew()}
    found: list[int] = []
    while agents:
        levels: dict[int, list[tuple[object, ...]]] = {}
        for agent in agents.values():
            tier = agent.tiers[Q]
            levels.setdefault(tier.level, []).append(KEYS[strategy](agent, tier))
        free = [FreeLevel(level, sorted(levels[level])) for level in sorted(levels)]
        chosen = choose(strategy, free, caller_pointer, queue_pointer, Random(1))
        if chosen is None:
            break
        found.append(chosen)
        del agents[chosen]
    return found


PLACES = {ANN: Place(1, 1, ANN), BOB: Place(1, 2, BOB), CID: Place(1, 2, CID), DEE: Place(2, 1, DEE)}
VECTORS = [
    (Strategy.LONGEST_IDLE_AGENT, None, "Bob, Cid, Ann, Dee"),
    (Strategy.LEAST_TALK_TIME, None, "Bob, Cid, Ann, Dee"),
    (Strategy.FEWEST_CALLS, None, "Cid, Ann, Bob, Dee"),
    (Strategy.BY_AGENT_ORDER, None, "Ann, Bob, Cid, Dee"),
    (Strategy.TOP_DOWN, None, "Ann, Bob, Cid, Dee"),
    (Strategy.TOP_DOWN, BOB, "Cid, Dee"),
    (Strategy.TOP_DOWN, DEE, ""),
    (Strategy.ROUND_ROBIN, None, "Ann, Bob, Cid, Dee"),
    (Strategy.ROUND_ROBIN, ANN, "Bob, Cid, Ann, Dee"),
    (Strategy.ROUND_ROBIN, CID, "Ann, Bob, Cid, Dee"),
    (Strategy.ROUND_ROBIN, DEE, "Ann, Bob, Cid, Dee"),
    (Strategy.BY_NEXT_AGENT_ORDER, ANN, "Bob, Cid, Ann, Dee"),
]


@pytest.mark.parametrize(("strategy", "pointer", "expected"), VECTORS)
def test_vector_16_2_order(strategy: Strategy, pointer: int | None, expected: str) -> None:
    """Section 6: 6.1, 6.3, 6.4"""
    place = PLACES[pointer] if pointer is not None else None
    of_caller = place if strategy is Strategy.TOP_DOWN else None
    of_queue = place if strategy is not Strategy.TOP_DOWN else None
    assert names(called(strategy, caller_pointer=of_caller, queue_pointer=of_queue)) == expected
    written = naive.in_order(strategy, crew(), Q, caller_pointer=of_caller, queue_pointer=of_queue)
    assert names(one.agent_id for one in written) == expected, "the naive rules, too"


@pytest.mark.parametrize("strategy", [one for one in Strategy if one is not Strategy.RANDOM])
@given(
    figures=st.lists(st.tuples(*[st.integers(0, 2)] * 6), min_size=1, max_size=6),
    pointer=st.one_of(st.none(), st.builds(Place, st.integers(0, 2), st.integers(0, 2), st.integers(0, 6))),
)
def test_6_the_order_is_that_of_the_naive_rules(
    strategy: Strategy, figures: list[tuple[int, ...]], pointer: Place | None
) -> None:
    agents = [
        Agent(
            agent_id,
            AgentSettings(),
            last_bridge_end=Instant(ended),
            talk_time=talk,
            calls_answered=calls,
            last_offered_call=Instant(offered),
            tiers={Q: Tier(Q, level, position)},
        )
        for agent_id, (level, position, ended, talk, calls, offered) in enumerate(figures)
    ]
    levels: dict[int, list[tuple[object, ...]]] = {}
    for agent in agents:
        levels.setdefault(agent.tiers[Q].level, []).append(KEYS[strategy](agent, agent.tiers[Q]))
    free = [FreeLevel(level, sorted(levels[level])) for level in sorted(levels)]
    written = naive.in_order(strategy, agents, Q, caller_pointer=pointer, queue_pointer=pointer)
    chosen = choose(strategy, free, pointer, pointer, Random(1))
    assert chosen == (written[0].agent_id if written else None)


@pytest.mark.parametrize("strategy", [one for one in Strategy if one is not Strategy.RING_ALL])
def test_6_level_sorts_first_in_every_strategy(strategy: Strategy) -> None:
    """Section 6"""
    assert called(strategy)[-1] == DEE
    for pointer in PLACES.values():
        assert called(strategy, queue_pointer=pointer)[-1] == DEE


def test_6_random_is_uniform_inside_the_lowest_level() -> None:
    keys = [FreeLevel(1, [(ANN,), (BOB,), (CID,)]), FreeLevel(2, [(DEE,)])]
    random = Random(3)
    chosen = [choose(Strategy.RANDOM, keys, None, None, random) for _ in range(3000)]
    assert {one: 900 < chosen.count(one) < 1100 for one in (ANN, BOB, CID)} == {
        ANN: True,
        BOB: True,
        CID: True,
    }
    assert DEE not in chosen
    again = Random(3)
    assert chosen == [choose(Strategy.RANDOM, keys, None, None, again) for _ in range(3000)]


def test_6_1_one_agent_rings_at_a_time_and_ineligible_ones_are_skipped() -> None:
    simulation = QueueSimulation().queue(strategy="sequentially-by-agent-order")
    simulation.agent(ANN, status=AgentStatus.ON_BREAK).agent(BOB).agent(CID)
    caller = simulation.join()
    assert simulation.rings_for(caller) == [BOB]
    simulation.fail(BOB, OfferOutcome.REJECTED)
    assert simulation.rings_for(caller) == [CID]


def test_6_2_only_queue_calls_count_as_idle_time() -> None:
    simulation = QueueSimulation().queue().agent(ANN)
    simulation.talk(ANN, 10)
    simulation.after(10).agent(BOB).talk(
        BOB if simulation.the_agent(BOB).last_bridge_end == NEVER else ANN, 5
    )
    simulation.status(ANN, AgentStatus.LOGGED_OUT)
    simulation.after(100).status(ANN, AgentStatus.AVAILABLE)
    simulation.give(i.AgentCallStarted(ANN, "out"))
    simulation.after(5).give(i.AgentCallEnded(ANN, "out"))
    assert simulation.the_agent(ANN).last_bridge_end < simulation.the_agent(BOB).last_bridge_end
    assert simulation.rings_for(simulation.join()) == [ANN]


def test_6_3_each_caller_starts_at_the_first_agent() -> None:
    simulation = QueueSimulation().queue(strategy="top-down")
    for position, agent_id in enumerate((ANN, BOB, CID)):
        simulation.agent(agent_id, position=position, reject_delay_time=100)
    first = simulation.join()
    second = simulation.join()
    assert (simulation.rings_for(first), simulation.rings_for(second)) == ([ANN], [BOB])
    simulation.fail(ANN, OfferOutcome.REJECTED)
    assert simulation.rings_for(first) == [CID], "strictly after its pointer, and not Bob, who rings"


def test_6_3_the_pointer_is_emptied_when_nobody_follows() -> None:
    """16.7 case 5: the last agent is on break, all others have declined once."""
    simulation = QueueSimulation().queue(strategy="top-down")
    for position, agent_id in enumerate((ANN, BOB, CID)):
        simulation.agent(agent_id, position=position)
    simulation.status(CID, AgentStatus.ON_BREAK)
    caller = simulation.join()
    simulation.fail(ANN, OfferOutcome.REJECTED)
    simulation.after(2).fail(BOB, OfferOutcome.REJECTED)
    assert simulation.rings_for(caller) == [ANN], "tried once more from the top in the same evaluation"
    simulation.fail(ANN, OfferOutcome.REJECTED)
    assert simulation.caller(caller).state is CallerState.WAITING
    assert simulation.caller(caller).pointer is None
    simulation.after(2)
    assert simulation.rings_for(caller) == [ANN]


def test_6_4_the_queue_has_one_pointer_for_all_callers() -> None:
    simulation = QueueSimulation().queue(strategy="round-robin")
    for position, agent_id in enumerate((ANN, BOB, CID)):
        simulation.agent(agent_id, position=position)
    first = simulation.join()
    second = simulation.join()
    simulation.fail(ANN, OfferOutcome.REJECTED)
    assert simulation.offered() == [(first, ANN), (second, BOB), (first, CID)]
    simulation.after(2).fail(BOB, OfferOutcome.REJECTED)
    assert simulation.offered()[-1] == (second, ANN), "moved at every offer, answered or not"


def test_6_4_the_old_place_is_used_when_the_agent_has_left() -> None:
    simulation = QueueSimulation().queue(strategy="round-robin")
    for position, agent_id in enumerate((ANN, BOB, CID)):
        simulation.agent(agent_id, position=position)
    simulation.join()
    simulation.join()
    simulation.give(i.RemoveTier(Q, BOB))
    assert simulation.the_queue().pointer == Place(1, 2, CID), "Cid was next"
    simulation.give(i.RemoveTier(Q, CID))
    assert simulation.the_queue().pointer == Place(1, 2, CID)
    simulation.agent(DEE, position=3)
    assert simulation.offered()[-1][1] == DEE, "after the old place of Cid"


def test_6_4_a_moved_agent_takes_the_pointer_along() -> None:
    simulation = QueueSimulation().queue(strategy="round-robin")
    simulation.agent(ANN, position=0, reject_delay_time=50).agent(BOB, position=1).agent(CID, position=2)
    simulation.join()
    simulation.give(i.SetTier(Q, ANN, 1, 9))
    assert simulation.the_queue().pointer == Place(1, 9, ANN)
    simulation.fail(ANN, OfferOutcome.REJECTED)
    assert simulation.offered()[-1][1] == BOB, "nobody follows the new place: from the first one"


def test_6_4_a_higher_level_only_while_nobody_of_the_lower_ones_is_eligible() -> None:
    simulation = QueueSimulation().queue(strategy="round-robin")
    simulation.agent(ANN, level=1).agent(CID, level=2, position=1).agent(DEE, level=2, position=2)
    first, second = simulation.join(), simulation.join()
    assert simulation.offered() == [(first, ANN), (second, CID)]
    simulation.answer(ANN)
    simulation.end_call(ANN)
    third = simulation.join()
    assert simulation.offered()[-1] == (third, ANN), "not Dee, although the pointer is before Dee"


def test_6_5_ring_all_adds_agents_while_it_rings() -> None:
    simulation = QueueSimulation().queue(strategy="ring-all", tier_rules_apply=True, tier_rule_wait_second=20)
    simulation.agent(ANN, ring_timeout=30).agent(BOB, status=AgentStatus.LOGGED_OUT, ring_timeout=10)
    simulation.agent(CID, level=2)
    first, second = simulation.join(), simulation.join()
    assert simulation.rings_for(first) == [ANN]
    simulation.after(5).status(BOB, AgentStatus.AVAILABLE)
    assert simulation.rings_for(first) == [ANN, BOB], "became eligible"
    assert simulation.rings_for(second) == [], "strictly one after the other: whoever is left"
    simulation.after(10)
    assert simulation.rings_for(first) == [ANN], "Bob's own ring time applies, the others ring on"
    simulation.after(1)
    assert simulation.rings_for(first) == [ANN, BOB], "eligible again after the guard of 1 s"
    simulation.after(4)
    assert simulation.rings_for(first) == [ANN, BOB, CID], "the level has opened"
    assert simulation.rings_for(second) == []


def test_6_5_the_second_caller_rings_who_is_left() -> None:
    simulation = QueueSimulation().queue(strategy="ring-all").queue(Q2, strategy="ring-all")
    simulation.agent(ANN, Q).agent(BOB, Q, Q2).agent(CID, Q)
    simulation.give(i.RemoveTier(Q, CID))
    first, second = simulation.join(Q), simulation.join(Q2)
    assert simulation.rings_for(first) == [ANN, BOB]
    assert simulation.rings_for(second) == []
    simulation.give(i.SetTier(Q2, CID))
    assert simulation.rings_for(second) == [CID]


def test_6_5_choose_all_takes_all_open_levels() -> None:
    levels = [FreeLevel(1, [(1, ANN), (2, BOB)]), FreeLevel(2, [(1, DEE)])]
    assert choose_all(levels) == [ANN, BOB, DEE]
    assert choose_all([]) == []


def test_6_6_an_unknown_strategy_is_refused() -> None:
    with pytest.raises(InvalidInput, match="strategy"):
        QueueSettings.of({"strategy": "nearest-agent"})


def test_6_7_running_offers_go_on_when_the_strategy_changes() -> None:
    simulation = QueueSimulation().queue(strategy="ring-all").agent(ANN).agent(BOB)
    caller = simulation.join()
    simulation.queue(strategy="top-down")
    assert simulation.rings_for(caller) == [ANN, BOB]
    simulation.fail(ANN, OfferOutcome.BUSY)
    assert simulation.rings_for(caller) == [BOB], "Trying: no new offer of the new strategy"
    simulation.fail(BOB, OfferOutcome.BUSY)
    assert simulation.caller(caller).state is CallerState.WAITING
    simulation.after(2)
    assert simulation.rings_for(caller) == [ANN]


def test_ring_all_and_back_keeps_the_state_of_the_agents() -> None:
    """6.7"""
    simulation = QueueSimulation().queue().agent(ANN).agent(BOB)
    caller = simulation.join()
    before = copy.copy(simulation.rings_for(caller))
    simulation.queue(strategy="ring-all")
    assert simulation.rings_for(caller) == [*before, BOB]
    assert simulation.the_agent(BOB).state is AgentState.RECEIVING
