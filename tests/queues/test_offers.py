"""Evaluation, eligibility and offers (sections 2, 5, 7), with the vectors 16.6 and 16.7."""

from __future__ import annotations

import pytest

from tests.queues.simulation import ANN, BOB, CID, Q2, Q, QueueSimulation
from trunkline.core.clock import Instant
from trunkline.core.errors import InvalidInput
from trunkline.events.catalogue import EventType
from trunkline.queues import inputs as i
from trunkline.queues.callers import NEVER, Place
from trunkline.queues.effects import CancelOffer, Connect, StartOffer
from trunkline.queues.offers import outcome_of_cause, start
from trunkline.queues.states import AgentState, AgentStatus, CallerState, OfferOutcome, TierState
from trunkline.queues.steady_clock import SteadyClock

OUT, IN = AgentStatus.LOGGED_OUT, AgentStatus.AVAILABLE
DEMAND, BREAK = AgentStatus.ON_DEMAND, AgentStatus.ON_BREAK

# --- the clock and the evaluation


def test_2_1_jumps_of_the_wall_clock_change_no_waiting_time() -> None:
    wall, monotonic = [1_000.0], [50.0]
    clock = SteadyClock(lambda: wall[0], lambda: monotonic[0])
    assert clock() == Instant(1000)
    monotonic[0], wall[0] = 60.0, 5_000.0
    assert clock() == Instant(1010)
    monotonic[0], wall[0] = 61.0, 3.0
    assert clock() == Instant(1011)


def test_2_1_time_never_goes_back() -> None:
    simulation = QueueSimulation(clock=1000).queue().agent(ANN, status=BREAK)
    caller = simulation.join()
    simulation.clock = Instant(900)
    simulation.status(ANN, IN)
    assert simulation.rings_for(caller) == [ANN]
    assert simulation.events[-1].at == 1000.0


@pytest.mark.parametrize(
    "trigger",
    [
        "status",
        "state",
        "tier",
        "move",
        "queue",
        "wrap_up",
        "other caller",
        "call",
        "delay",
        "agent settings",
    ],
)
def test_2_2_what_makes_an_offer_possible_starts_it(trigger: str) -> None:
    """No polling: the same input that makes it possible, or the alarm of its moment."""
    simulation = QueueSimulation().queue().queue(Q2).agent(ANN)
    match trigger:
        case "status":
            simulation.status(ANN, BREAK)
        case "state":
            simulation.give(i.SetState(ANN, AgentState.IDLE))
        case "tier":
            simulation.give(i.RemoveTier(Q, ANN))
        case "move":
            simulation.queue(tier_rules_apply=True, tier_rule_wait_second=900)
            simulation.agent(BOB, level=0, status=BREAK)
        case "queue":
            simulation.queue(
                tier_rules_apply=True, tier_rule_no_agent_no_wait=False, tier_rule_wait_second=900
            )
        case "wrap_up":
            simulation.give(i.SetWrapUp(ANN, 900))
        case "call":
            simulation.give(i.AgentCallStarted(ANN, "out"))
        case "delay":
            simulation.join()
            simulation.fail(ANN, OfferOutcome.REJECTED)
            simulation.hang_up(min(simulation.the_queue().callers))
        case "agent settings":
            simulation.queue(required_skills={"french": {"level": 1}})
        case "other caller":
            simulation.join()
    caller = simulation.join()
    assert simulation.rings_for(caller) == []
    match trigger:
        case "status":
            simulation.status(ANN, IN)
        case "state":
            simulation.give(i.SetState(ANN, AgentState.WAITING))
        case "tier":
            simulation.give(i.SetTier(Q, ANN))
        case "move":
            simulation.give(i.SetTier(Q, ANN, 0))
        case "queue":
            simulation.queue()
        case "wrap_up":
            simulation.at(1900)
        case "call":
            simulation.give(i.AgentCallEnded(ANN, "out"))
        case "delay":
            simulation.at(1001)
        case "agent settings":
            simulation.agent(ANN, skills={"french": 1})
        case "other caller":
            simulation.hang_up(min(simulation.the_queue().callers))
    assert simulation.rings_for(caller) == [ANN]


def test_2_3_a_caller_who_cannot_be_placed_blocks_nobody() -> None:
    simulation = QueueSimulation().queue().queue(Q2)
    first = simulation.join(Q)
    second = simulation.at(1010).join(Q2)
    simulation.agent(ANN, Q2)
    assert simulation.rings_for(first) == []
    assert simulation.rings_for(second) == [ANN]


def test_2_4_agents_who_become_free_together_go_to_the_best_callers() -> None:
    """Two rests end at the same moment; so the later caller never gets the agent whom the better one could have."""
    simulation = QueueSimulation().queue().queue(Q2).agent(ANN, Q2, status=OUT).agent(BOB, Q, Q2, status=OUT)
    for agent_id in (ANN, BOB):
        simulation.give(i.SetWrapUp(agent_id, 100))
        simulation.status(agent_id, IN)
    second_in_2 = simulation.at(1010).join(Q2)
    best = simulation.join(Q, base_score=50)
    simulation.at(1100)
    assert simulation.offered() == [(best, BOB), (second_in_2, ANN)]


def test_2_5_nothing_happens_when_one_of_the_two_is_not_free_any_more() -> None:
    simulation = QueueSimulation().queue().agent(ANN).agent(BOB)
    first, second = simulation.join(), simulation.join()
    decision = simulation.give(i.Elapsed())
    agent, caller = simulation.the_agent(ANN), simulation.caller(second)
    assert simulation.rings_for(first) == [ANN]
    assert start(decision, caller, agent) is False, "the agent rings for the other one"
    simulation.fail(BOB, OfferOutcome.BUSY)
    simulation.give(i.CallerHungUp(second))
    decision = simulation.give(i.SetWrapUp(BOB, 0))
    simulation.after(2)
    assert start(decision, simulation.caller(second), simulation.the_agent(BOB)) is False, (
        "the caller has left"
    )
    assert not decision.events[1:]


# --- eligibility


def test_5_1_and_5_2_status_and_state() -> None:
    """5.1, 5.2"""
    simulation = QueueSimulation().queue().agent(ANN, status=OUT).agent(BOB, status=BREAK).agent(CID)
    simulation.give(i.SetState(CID, AgentState.IDLE))
    caller = simulation.join()
    assert simulation.rings_for(caller) == []
    simulation.status(BOB, DEMAND)
    assert simulation.rings_for(caller) == [BOB]


def test_5_3_tier_state() -> None:
    simulation = QueueSimulation().queue().queue(Q2).agent(ANN, Q, Q2)
    first = simulation.join(Q)
    second = simulation.join(Q2)
    assert simulation.the_agent(ANN).tiers[Q2].state is TierState.STANDBY
    assert (simulation.rings_for(first), simulation.rings_for(second)) == ([ANN], [])


def test_5_4_wrap_up_holds_in_every_queue() -> None:
    simulation = QueueSimulation().queue().queue(Q2).agent(ANN, Q, Q2, wrap_up_time=20)
    simulation.talk(ANN, 10)
    caller = simulation.join(Q2)
    assert simulation.at(1029.99).rings_for(caller) == []
    assert simulation.at(1030).rings_for(caller) == [ANN]


def test_5_5_delays_hold_in_every_queue() -> None:
    """7.4b"""
    simulation = QueueSimulation().queue().queue(Q2).agent(ANN, Q, Q2, busy_delay_time=20)
    simulation.hang_up(simulation.join(Q))
    first = simulation.join(Q)
    simulation.fail(ANN, OfferOutcome.BUSY)
    simulation.hang_up(first)
    caller = simulation.join(Q2)
    assert simulation.at(1019.99).rings_for(caller) == []
    assert simulation.at(1020).rings_for(caller) == [ANN]


def test_5_6_other_tracked_calls() -> None:
    simulation = QueueSimulation().queue().queue(Q2, skip_agents_with_external_calls=False).agent(ANN, Q, Q2)
    simulation.give(i.AgentCallStarted(ANN, "out"))
    simulation.give(i.AgentCallStarted(ANN, "in"))
    caller = simulation.join(Q)
    simulation.give(i.AgentCallEnded(ANN, "out"))
    assert simulation.rings_for(caller) == [], "one of two is left"
    other = simulation.join(Q2)
    assert simulation.rings_for(other) == [ANN], "this queue does not skip"
    simulation.hang_up(other)
    simulation.give(i.AgentCallEnded(ANN, "in"))
    assert simulation.rings_for(caller) == [ANN]


def test_5_7_the_level_is_open_for_the_caller() -> None:
    simulation = QueueSimulation(clock=0).queue(tier_rules_apply=True, tier_rule_wait_second=30)
    simulation.agent(ANN, level=1, status=BREAK).agent(BOB, level=2)
    old = simulation.join()
    new = simulation.at(29).join(base_score=500)
    simulation.at(30)
    assert (simulation.rings_for(new), simulation.rings_for(old)) == ([], [BOB]), "whatever the score"


def test_5_one_offer_or_call_at_a_time_over_all_queues() -> None:
    """Section 5"""
    simulation = QueueSimulation().queue().queue(Q2).agent(ANN, Q, Q2)
    simulation.join(Q)
    other = simulation.join(Q2)
    simulation.answer(ANN)
    assert simulation.rings_for(other) == []
    simulation.end_call(ANN)
    assert simulation.rings_for(other) == [ANN]


def test_skills_that_a_queue_requires() -> None:
    """Beyond the numbered rules: an agent without them does not count as an agent of the queue."""
    simulation = QueueSimulation().queue(
        required_skills={"french": {"level": 2}}, max_wait_time_with_no_agent=10
    )
    simulation.agent(ANN, skills={"french": 1}).agent(BOB, skills={"german": 9})
    caller = simulation.join()
    assert simulation.rings_for(caller) == []
    simulation.agent(CID, skills={"french": 2})
    assert simulation.rings_for(caller) == [CID]
    simulation.agent(CID, skills={})
    assert simulation.rings_for(caller) == [CID], "a running offer goes on"
    simulation.fail(CID, OfferOutcome.REJECTED)
    assert simulation.at(1015).left(caller) == (1015, "no_agent_timeout")


# --- an offer


def test_7_1_start() -> None:
    simulation = QueueSimulation().queue(auto_answer=True).queue(Q2).agent(ANN, Q, Q2, position=4, level=2)
    caller = simulation.join()
    agent = simulation.the_agent(ANN)
    offer = simulation.started()[0]
    call = simulation.caller(caller).call_session_id
    assert offer == StartOffer(offer.offer_id, Q, caller, call, ANN, 60, True)
    assert (agent.state, agent.last_offered_call) == (AgentState.RECEIVING, 1000.0)
    assert agent.tiers[Q].state is TierState.OFFERING
    assert agent.tiers[Q2].state is TierState.STANDBY
    assert simulation.caller(caller).state is CallerState.TRYING
    assert simulation.caller(caller).pointer == simulation.the_queue().pointer == Place(2, 4, ANN)
    [event] = simulation.of_type(EventType.AGENT_OFFERING)
    assert (event.stream, event.data["agent_id"], event.data["caller_id"]) == (f"queue:{Q}", ANN, caller)


def test_7_2_answer() -> None:
    """7.2.1, 7.2.2"""
    simulation = QueueSimulation().queue(strategy="ring-all", pre_bridge_announce=8).agent(ANN).agent(BOB)
    caller = simulation.join()
    simulation.at(1007)
    offer, other = simulation.offer_of(BOB), simulation.offer_of(ANN)
    simulation.give(i.OfferRinging(offer))
    simulation.give(i.OfferAnswered(offer))
    assert CancelOffer(other, ANN, is_answered_elsewhere=True) in simulation.cancelled()
    assert simulation.outcomes() == [(ANN, "cancelled")]
    call = simulation.caller(caller).call_session_id
    assert simulation.done(Connect) == [Connect(offer, caller, call, BOB, 8)]
    agent = simulation.the_agent(BOB)
    assert (agent.state, simulation.caller(caller).state) == (AgentState.RECEIVING, CallerState.TRYING)
    assert simulation.rings_for(caller) == [BOB], "nobody is added while they are being connected"
    simulation.at(1010).give(i.OfferConnected(offer))
    assert simulation.caller(caller).state is CallerState.ANSWERED
    assert (agent.state, agent.tiers[Q].state) == (AgentState.IN_CALL, TierState.ACTIVE_INBOUND)
    assert (agent.last_bridge_start, agent.calls_answered, agent.no_answer_count) == (1010.0, 1, 0)
    [event] = simulation.of_type(EventType.AGENT_CONNECTED)
    assert (event.data["caller_id"], event.data["agent_id"], event.data["waited"]) == (caller, BOB, 10)


def test_7_2_3_the_caller_is_gone_before_the_connection() -> None:
    """16.7 case 2: no penalty."""
    simulation = QueueSimulation().queue().agent(ANN)
    caller = simulation.join()
    offer = simulation.offer_of(ANN)
    simulation.give(i.OfferAnswered(offer))
    simulation.hang_up(caller)
    assert simulation.caller(caller).state is CallerState.ABANDONED
    assert simulation.left(caller) == (1000, "hangup")
    assert CancelOffer(offer, ANN) in simulation.cancelled()
    agent = simulation.the_agent(ANN)
    assert (agent.state, agent.no_answer_count, agent.ready_time) == (AgentState.WAITING, 0, NEVER)
    assert simulation.outcomes() == [(ANN, "cancelled")]
    simulation.give(i.OfferConnected(offer))
    assert simulation.ignored == ["OfferConnected"]


def test_7_2_4_the_agent_is_gone_before_the_connection() -> None:
    simulation = QueueSimulation().queue().agent(ANN, no_answer_delay_time=50).agent(BOB, status=OUT)
    caller = simulation.join()
    joined = simulation.caller(caller).joined_at
    offer = simulation.offer_of(ANN)
    simulation.give(i.OfferAnswered(offer))
    simulation.status(BOB, IN)
    simulation.at(1009).give(i.OfferFailed(offer, OfferOutcome.NO_ANSWER))
    assert simulation.outcomes() == [(ANN, "cancelled")]
    assert simulation.the_agent(ANN).no_answer_count == 0
    assert simulation.caller(caller).joined_at == joined, "its place"
    assert simulation.caller(caller).connected_agent is None, "no agent mark"
    assert simulation.offered()[-1] == (caller, BOB)


OUTCOMES = [
    (OfferOutcome.CANCELLED, None, 0, "Ready"),
    (OfferOutcome.BUSY, 11, 0, "Ready"),
    (OfferOutcome.REJECTED, 12, 0, "Ready"),
    (OfferOutcome.UNREGISTERED, 5, 0, "Ready"),
    (OfferOutcome.NO_ANSWER, 13, 1, "No Answer"),
]


@pytest.mark.parametrize(("outcome", "delay", "counted", "tier"), OUTCOMES)
def test_7_3_outcomes(outcome: OfferOutcome, delay: int | None, counted: int, tier: str) -> None:
    """7.4b, 7.4e"""
    simulation = QueueSimulation().queue(ring_timeout=500)
    simulation.agent(ANN, busy_delay_time=11, reject_delay_time=12, no_answer_delay_time=13)
    simulation.join()
    simulation.at(1004.5).fail(ANN, outcome)
    agent = simulation.the_agent(ANN)
    [event] = simulation.of_type(EventType.AGENT_FAILED)
    assert (event.data["outcome"], event.data["seconds"]) == (outcome.value, 4.5)
    assert agent.no_answer_count == counted
    if delay is None:
        assert agent.state is AgentState.RECEIVING, "free at once"
        assert agent.ready_time == NEVER
    else:
        assert (agent.state, agent.tiers[Q].state.value) == (AgentState.WAITING, tier)
        assert agent.ready_time == 1004.5 + delay


def test_7_3_answered_is_no_failure() -> None:
    simulation = QueueSimulation().queue().agent(ANN)
    simulation.join()
    with pytest.raises(InvalidInput, match="answered"):
        simulation.fail(ANN, OfferOutcome.ANSWERED)


def test_7_3_outcomes_of_causes() -> None:
    assert outcome_of_cause(17) is outcome_of_cause(34) is OfferOutcome.BUSY
    assert outcome_of_cause(21) is OfferOutcome.REJECTED
    assert outcome_of_cause(20) is OfferOutcome.UNREGISTERED
    assert outcome_of_cause(19) is outcome_of_cause(0) is outcome_of_cause(38) is OfferOutcome.NO_ANSWER


def test_7_4a_the_caller_waits_when_no_other_offer_is_in_progress() -> None:
    simulation = QueueSimulation().queue(strategy="ring-all").agent(ANN).agent(BOB)
    caller = simulation.join()
    simulation.fail(ANN, OfferOutcome.BUSY)
    assert simulation.caller(caller).state is CallerState.TRYING
    simulation.fail(BOB, OfferOutcome.BUSY)
    assert simulation.caller(caller).state is CallerState.WAITING
    simulation.after(1)
    simulation.hang_up(caller)
    assert simulation.caller(caller).state is CallerState.ABANDONED


@pytest.mark.parametrize("outcome", [OfferOutcome.BUSY, OfferOutcome.REJECTED, OfferOutcome.NO_ANSWER])
def test_7_4b_a_guard_of_a_second_when_no_delay_is_set(outcome: OfferOutcome) -> None:
    simulation = QueueSimulation().queue().agent(ANN)
    caller = simulation.join()
    simulation.fail(ANN, outcome)
    assert simulation.at(1000.99).rings_for(caller) == []
    assert simulation.at(1001).rings_for(caller) == [ANN]


def test_7_4c_max_no_answer() -> None:
    simulation = QueueSimulation().queue(agent_no_answer_status="Logged Out").agent(ANN, max_no_answer=2)
    simulation.join()
    simulation.fail(ANN, OfferOutcome.NO_ANSWER)
    assert simulation.the_agent(ANN).status is IN
    simulation.after(1).fail(ANN, OfferOutcome.NO_ANSWER)
    assert simulation.the_agent(ANN).status is OUT
    [event] = simulation.of_type(EventType.AGENT_MAX_NO_ANSWER)
    assert (event.stream, event.data["count"], event.data["queue_id"]) == (f"agent:{ANN}", 2, Q)
    with pytest.raises(InvalidInput, match="agent_no_answer_status"):
        simulation.queue(agent_no_answer_status="Asleep")


def test_7_4c_0_means_never() -> None:
    simulation = QueueSimulation().queue().agent(ANN)
    simulation.join()
    for _ in range(9):
        simulation.fail(ANN, OfferOutcome.NO_ANSWER)
        simulation.after(1)
    assert simulation.the_agent(ANN).no_answer_count == 9
    assert simulation.the_agent(ANN).status is IN


def test_7_4d_the_count_is_over_all_queues_until_an_answer() -> None:
    simulation = QueueSimulation().queue().queue(Q2).agent(ANN, Q, Q2)
    first = simulation.join(Q)
    simulation.fail(ANN, OfferOutcome.NO_ANSWER)
    simulation.hang_up(first)
    simulation.join(Q2)
    simulation.after(1).fail(ANN, OfferOutcome.NO_ANSWER)
    assert simulation.the_agent(ANN).no_answer_count == 2
    simulation.after(1).fail(ANN, OfferOutcome.BUSY)
    assert simulation.the_agent(ANN).no_answer_count == 2, "only an answer or a check-in resets it"
    simulation.after(1).answer(ANN)
    assert simulation.the_agent(ANN).no_answer_count == 0


def test_7_4f_ring_time_of_the_queue_else_of_the_agent() -> None:
    simulation = (
        QueueSimulation().queue().queue(Q2, ring_timeout=15).agent(ANN, Q, ring_timeout=25).agent(BOB, Q2)
    )
    simulation.join(Q)
    simulation.join(Q2)
    assert [one.ring_seconds for one in simulation.started()] == [25, 15]
    offer = simulation.offer_of(BOB)
    assert simulation.at(1014.99).outcomes() == []
    assert simulation.at(1015).outcomes() == [(BOB, "no_answer")]
    assert CancelOffer(offer, BOB) in simulation.cancelled()
    assert simulation.at(1025).outcomes()[-1] == (ANN, "no_answer")
    simulation.give(i.OfferAnswered(offer))
    assert simulation.ignored == ["OfferAnswered"], "too late"
    assert simulation.cancelled()[-1].offer_id == offer, "its leg is ended"


def test_7_4f_the_default_is_60_seconds() -> None:
    simulation = QueueSimulation().queue().agent(ANN)
    simulation.join()
    assert simulation.at(1059).outcomes() == []
    assert simulation.at(1060).outcomes() == [(ANN, "no_answer")]


def test_7_5_end_of_the_call() -> None:
    simulation = QueueSimulation().queue().queue(Q2).agent(ANN, Q, Q2, wrap_up_time=10)
    caller = simulation.join()
    simulation.at(1010).answer(ANN)
    simulation.at(1040).hang_up(caller)
    agent = simulation.the_agent(ANN)
    assert not simulation.exists(caller)
    assert agent.state is AgentState.IN_CALL, "busy until its own leg leaves"
    simulation.at(1050.5).end_call(ANN)
    assert (agent.last_bridge_end, agent.wrap_up_until, agent.talk_time) == (1050.5, 1060.5, 40.5)
    assert {one.state for one in agent.tiers.values()} == {TierState.READY}
    assert simulation.the_agent(ANN).state is AgentState.WAITING
    [event] = simulation.of_type(EventType.CALLER_FINISHED)
    assert event.data["ended_by"] == "caller"


def test_7_5_the_side_that_ends_the_call_is_in_the_event() -> None:
    simulation = QueueSimulation().queue().agent(ANN)
    caller = simulation.join()
    simulation.answer(ANN)
    simulation.end_call(ANN)
    assert not simulation.exists(caller)
    [event] = simulation.of_type(EventType.CALLER_FINISHED)
    assert (event.data["ended_by"], event.data["agent_id"]) == ("agent", ANN)


def test_7_5_idle_by_the_status_at_the_time_of_the_offer() -> None:
    simulation = (
        QueueSimulation().queue(strategy="ring-all").agent(ANN, status=DEMAND).agent(BOB, status=DEMAND)
    )
    simulation.join()
    simulation.status(ANN, IN)
    simulation.answer(ANN)
    assert simulation.the_agent(BOB).state is AgentState.WAITING, "a losing ring-all agent is never parked"
    simulation.end_call(ANN)
    assert simulation.the_agent(ANN).state is AgentState.IDLE


def test_7_5_wrap_up_by_command() -> None:
    simulation = QueueSimulation().queue().agent(ANN, wrap_up_time=100)
    simulation.talk(ANN, 1)
    caller = simulation.join()
    simulation.give(i.SetWrapUp(ANN, 30))
    assert simulation.at(1030.9).rings_for(caller) == []
    simulation.give(i.SetWrapUp(ANN, 0))
    assert simulation.rings_for(caller) == [ANN], "0 ends it at once"
    simulation.give(i.SetWrapUp(ANN))
    assert simulation.the_agent(ANN).wrap_up_until == 1130.9
    with pytest.raises(InvalidInput):
        simulation.give(i.SetWrapUp(ANN, -1))


# --- vectors


def test_vector_16_6_delays() -> None:
    simulation = QueueSimulation(clock=490).queue().agent(ANN, wrap_up_time=10)
    simulation.join()
    simulation.answer(ANN)
    simulation.at(500).end_call(ANN)
    caller = simulation.join()
    assert simulation.at(509.99).rings_for(caller) == []
    assert simulation.at(510).rings_for(caller) == [ANN]
    simulation = QueueSimulation(clock=600).queue().agent(ANN)
    caller = simulation.join()
    simulation.fail(ANN, OfferOutcome.REJECTED)
    assert simulation.at(600.99).rings_for(caller) == []
    assert simulation.at(601).rings_for(caller) == [ANN]


def test_vector_16_6_on_break_after_the_fifth_offer() -> None:
    simulation = QueueSimulation().queue().agent(ANN, max_no_answer=3)
    simulation.join()
    outcomes = [
        OfferOutcome.NO_ANSWER,
        OfferOutcome.REJECTED,
        OfferOutcome.BUSY,
        OfferOutcome.NO_ANSWER,
        OfferOutcome.NO_ANSWER,
    ]
    for outcome in outcomes:
        assert simulation.the_agent(ANN).status is IN
        simulation.after(1).fail(ANN, outcome)
    assert simulation.the_agent(ANN).status is BREAK


def test_vector_16_7_1_two_ring_all_agents_answer_together() -> None:
    simulation = (
        QueueSimulation().queue(strategy="ring-all").agent(ANN, status=DEMAND).agent(BOB, max_no_answer=1)
    )
    caller = simulation.join()
    ann, bob = simulation.offer_of(ANN), simulation.offer_of(BOB)
    simulation.give(i.OfferAnswered(ann))
    simulation.give(i.OfferAnswered(bob))
    simulation.give(i.OfferConnected(ann))
    simulation.give(i.OfferConnected(bob))
    assert simulation.caller(caller).connected_agent == ANN
    loser = simulation.the_agent(BOB)
    assert (loser.state, loser.no_answer_count, loser.ready_time) == (AgentState.WAITING, 0, NEVER)
    other = simulation.join()
    assert simulation.rings_for(other) == [BOB], "no delay"


def test_vector_16_7_3_the_agent_takes_a_break_while_ringing() -> None:
    simulation = QueueSimulation().queue().agent(ANN).agent(BOB)
    caller = simulation.join()
    simulation.at(1005).status(ANN, BREAK)
    assert simulation.outcomes() == [(ANN, "cancelled")]
    assert simulation.caller(caller).joined_at == 1000.0
    assert simulation.rings_for(caller) == [BOB]


@pytest.mark.parametrize("first", [300, 53])
def test_vector_16_7_4_the_better_score_gets_the_agent(first: int) -> None:
    simulation = QueueSimulation().queue().queue(Q2).agent(ANN, Q, Q2, status=BREAK)
    scores = [first, 353 - first]
    callers = {
        score: simulation.join(queue_id, base_score=score)
        for score, queue_id in zip(scores, (Q, Q2), strict=True)
    }
    simulation.status(ANN, IN)
    assert simulation.offered() == [(callers[300], ANN)]


def test_inputs_of_races_change_nothing_and_are_counted() -> None:
    simulation = QueueSimulation().queue().agent(ANN)
    caller = simulation.join()
    offer = simulation.answer(ANN)
    before = len(simulation.events)
    late: list[i.Input] = [
        i.OfferRinging(offer), i.OfferAnswered(offer), i.OfferConnected(offer), i.OfferFailed(offer, OfferOutcome.BUSY),
        i.CallerPressedKey(caller, "5"), i.AnnouncementFailed(caller), i.CallerHungUp(99), i.MusicFailed(99),
        i.AgentLegEnded(99), i.AgentCallEnded(ANN, "none"), i.CallbackConfirmed(caller, 3), i.CallbackFailed(caller),
    ]  # fmt: skip
    for given in late:
        simulation.give(given)
    assert simulation.ignored == [type(one).__name__ for one in late]
    assert len(simulation.events) == before
