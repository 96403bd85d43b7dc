"""The tables of states (section 3): each move of them happens, and no other."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum
from typing import Any

import pytest

from tests.queues.simulation import ANN, BOB, CID, Q2, Q, QueueSimulation
from trunkline.core.clock import Instant
from trunkline.core.errors import InvalidInput, InvalidState
from trunkline.events.catalogue import EventType
from trunkline.queues import inputs as i
from trunkline.queues.agents import Agent, Tier
from trunkline.queues.callers import Caller
from trunkline.queues.settings import AgentSettings, QueueSettings, TimeBase
from trunkline.queues.states import (
    AGENT_MOVES,
    CALLER_MOVES,
    TIER_MOVES,
    AgentState,
    AgentStatus,
    CallerState,
    ForbiddenMoveError,
    LeavingReason,
    OfferOutcome,
    TierState,
    moved,
)

OUT, IN = AgentStatus.LOGGED_OUT, AgentStatus.AVAILABLE
DEMAND, BREAK = AgentStatus.ON_DEMAND, AgentStatus.ON_BREAK


def test_3_1_states_and_moves_of_callers() -> None:
    allowed = {
        ("Waiting", "Trying"), ("Trying", "Waiting"), ("Trying", "Answered"), ("Waiting", "Abandoned"),
        ("Trying", "Abandoned"), ("Abandoned", "Waiting"),
    }  # fmt: skip
    assert {(before.value, after.value) for before, rest in CALLER_MOVES.items() for after in rest} == allowed
    assert set(CALLER_MOVES) == set(CallerState)
    assert {one.value for one in LeavingReason} == {
        "hangup", "timeout", "no_agent_timeout", "exit_key", "break_out", "answered",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("states", "moves"), [(CallerState, CALLER_MOVES), (AgentState, AGENT_MOVES), (TierState, TIER_MOVES)]
)
def test_moves_that_are_in_no_table_are_refused(
    states: type[StrEnum], moves: Mapping[StrEnum, frozenset[StrEnum]]
) -> None:
    """3.1, 3.3, 3.4"""
    for before, after in itertools.permutations(states, 2):
        if after in moves[before]:
            assert moved(moves, before, after) is after
        else:
            with pytest.raises(ForbiddenMoveError):
                moved(moves, before, after)


def test_the_rules_of_entities_use_the_tables() -> None:
    """3.1, 3.3, 3.4"""
    caller = Caller(1, Q, "", 0, 0, 1, Instant(0), Instant(0))
    with pytest.raises(ForbiddenMoveError):
        caller.move(CallerState.ANSWERED)
    agent = Agent(1, AgentSettings())
    with pytest.raises(ForbiddenMoveError):
        agent.move(AgentState.IN_CALL)
    tier = Tier(Q)
    with pytest.raises(ForbiddenMoveError):
        tier.move(TierState.NO_ANSWER)


Pairs = set[tuple[StrEnum, StrEnum]]


class Seen:
    """The moves that a simulation makes."""

    def __init__(self) -> None:
        self.callers: Pairs = set()
        self.agents: Pairs = set()
        self.tiers: Pairs = set()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    found = Seen()

    def watch(kind: type[Caller | Agent | Tier], moves: Pairs) -> None:
        move = kind.move

        def watched(entity: Any, state: Any) -> None:
            if state is not entity.state:
                moves.add((entity.state, state))
            move(entity, state)

        monkeypatch.setattr(kind, "move", watched)

    watch(Caller, found.callers)
    watch(Agent, found.agents)
    watch(Tier, found.tiers)
    return found


def pairs(moves: Mapping[Any, frozenset[Any]]) -> Pairs:
    return {(before, after) for before, rest in moves.items() for after in rest}


def test_every_move_of_the_tables_happens(seen: Seen) -> None:
    """3.1, 3.3, 3.4: the tables have no move that the rules never make."""
    simulation = QueueSimulation().queue(abandoned_resume_allowed=True, callback_retry_time=0).queue(Q2)
    simulation.agent(ANN, Q, Q2)
    caller = simulation.join(number="971500000001")
    simulation.hang_up(caller)
    simulation.join(number="971500000001")
    simulation.fail(ANN, OfferOutcome.NO_ANSWER)
    simulation.hang_up(caller)
    simulation.after(2)
    simulation.join()
    simulation.answer(ANN)
    simulation.end_call(ANN)
    simulation.status(ANN, DEMAND)
    simulation.join(Q2)
    simulation.answer(ANN)
    simulation.end_call(ANN)
    simulation.give(i.SetState(ANN, AgentState.WAITING))
    simulation.give(i.SetState(ANN, AgentState.IDLE))
    simulation.give(i.SetState(ANN, AgentState.WAITING))
    simulation.join()
    simulation.give(i.SetState(ANN, AgentState.IDLE))
    simulation.fail(ANN, OfferOutcome.NO_ANSWER)
    simulation.after(5).give(i.Restarted(calls=frozenset(range(9000))))
    simulation.hang_up(min(one.caller_id for one in simulation.the_queue().waiting()))

    def call_back(number: str) -> int:
        """An agent who is Idle is released, and reserved for a callback at once."""
        caller = simulation.join()
        simulation.give(i.RequestCallback(caller, number))
        simulation.give(i.SetState(ANN, AgentState.WAITING))
        assert simulation.the_agent(ANN).state is AgentState.RESERVED
        return caller

    simulation.give(i.CallbackConfirmed(call_back("971500000011"), next(simulation.calls)))
    simulation.give(i.SetState(ANN, AgentState.IDLE))
    simulation.answer(ANN)
    simulation.end_call(ANN)
    call_back("971500000012")
    simulation.give(i.CancelCallback("971500000012"))
    simulation.give(i.SetState(ANN, AgentState.IDLE))
    parked = call_back("971500000013")
    simulation.give(i.SetState(ANN, AgentState.IDLE))
    simulation.give(i.CallbackFailed(parked))
    assert simulation.the_agent(ANN).state is AgentState.IDLE
    assert seen.callers == pairs(CALLER_MOVES)
    assert seen.agents == pairs(AGENT_MOVES)
    assert seen.tiers == pairs(TIER_MOVES)


# --- status


@pytest.mark.parametrize(
    ("status", "receives", "present"),
    [(OUT, False, False), (IN, True, True), (DEMAND, True, True), (BREAK, False, True)],
)
def test_3_2_status(status: AgentStatus, receives: bool, present: bool) -> None:
    assert (status.receives_offers, status.is_present) == (receives, present)
    simulation = QueueSimulation().queue().agent(ANN, status=status)
    caller = simulation.join()
    assert simulation.rings_for(caller) == ([ANN] if receives else [])
    assert (simulation.the_queue().empty_since is None) == present


def test_3_2_on_demand_takes_one_call() -> None:
    simulation = QueueSimulation().queue().agent(ANN, status=DEMAND)
    first, second = simulation.join(), simulation.join()
    simulation.answer(ANN)
    simulation.end_call(ANN)
    assert simulation.the_agent(ANN).state is AgentState.IDLE
    assert not simulation.exists(first)
    simulation.after(100)
    assert simulation.rings_for(second) == []
    simulation.give(i.SetState(ANN, AgentState.WAITING))
    assert simulation.rings_for(second) == [ANN]


def test_3_3_a_user_sets_only_waiting_and_idle() -> None:
    simulation = QueueSimulation().queue().agent(ANN)
    for state in set(AgentState) - {AgentState.WAITING, AgentState.IDLE}:
        with pytest.raises(InvalidInput, match="Waiting and Idle"):
            simulation.give(i.SetState(ANN, state))
    simulation.give(i.SetState(ANN, AgentState.IDLE))
    caller = simulation.join()
    assert simulation.rings_for(caller) == []
    simulation.give(i.SetState(ANN, AgentState.WAITING))
    assert simulation.rings_for(caller) == [ANN]


def test_3_3_waiting_is_refused_while_ringing_or_in_a_call() -> None:
    simulation = QueueSimulation().queue().agent(ANN)
    simulation.join()
    with pytest.raises(InvalidState):
        simulation.give(i.SetState(ANN, AgentState.WAITING))
    simulation.answer(ANN)
    with pytest.raises(InvalidState):
        simulation.give(i.SetState(ANN, AgentState.WAITING))
    assert simulation.the_agent(ANN).state is AgentState.IN_CALL


def test_3_3_parking_during_a_call_applies_when_it_has_ended() -> None:
    simulation = QueueSimulation().queue().agent(ANN)
    simulation.join()
    simulation.give(i.SetState(ANN, AgentState.IDLE))
    assert simulation.the_agent(ANN).state is AgentState.RECEIVING
    simulation.answer(ANN)
    simulation.end_call(ANN)
    assert simulation.the_agent(ANN).state is AgentState.IDLE


def test_3_4_tiers_of_an_agent_in_two_queues() -> None:
    simulation = QueueSimulation().queue().queue(Q2).agent(ANN, Q, Q2)
    tiers = simulation.the_agent(ANN).tiers

    def states() -> tuple[str, str]:
        return tiers[Q].state.value, tiers[Q2].state.value

    assert states() == ("Ready", "Ready")
    simulation.join()
    assert states() == ("Offering", "Standby")
    simulation.fail(ANN, OfferOutcome.NO_ANSWER)
    assert states() == ("No Answer", "Ready")
    second = simulation.join(Q2)
    simulation.hang_up(min(simulation.the_queue().callers))
    simulation.after(1)
    assert simulation.rings_for(second) == [ANN]
    assert states() == ("No Answer", "Offering"), "Standby replaces only Ready"
    simulation.answer(ANN)
    assert states() == ("No Answer", "Active Inbound")
    simulation.end_call(ANN)
    assert states() == ("No Answer", "Ready")


def test_3_4_no_answer_does_not_block_offers() -> None:
    simulation = QueueSimulation().queue().agent(ANN)
    caller = simulation.join()
    simulation.fail(ANN, OfferOutcome.NO_ANSWER)
    simulation.after(1)
    assert simulation.rings_for(caller) == [ANN]


def test_3_5a_available_resets_the_counters_once() -> None:
    simulation = QueueSimulation().queue().agent(ANN)
    simulation.talk(ANN, 10)
    simulation.join()
    simulation.fail(ANN, OfferOutcome.NO_ANSWER)
    agent = simulation.the_agent(ANN)
    assert (agent.talk_time, agent.calls_answered, agent.no_answer_count) == (10, 1, 1)
    changed = agent.status_changed_at
    simulation.after(5).status(ANN, IN)
    assert (agent.talk_time, agent.calls_answered, agent.no_answer_count) == (10, 1, 1)
    assert agent.status_changed_at == changed, "not even the change time"
    simulation.status(ANN, BREAK)
    assert (agent.talk_time, agent.calls_answered, agent.no_answer_count) == (10, 1, 1)
    simulation.status(ANN, IN)
    assert (agent.talk_time, agent.calls_answered, agent.no_answer_count) == (0, 0, 0)


@pytest.mark.parametrize("status", [IN, DEMAND, BREAK])
def test_17_the_end_of_a_break_changes_agents_on_break_only(status: AgentStatus) -> None:
    simulation = QueueSimulation().queue().agent(ANN, status=status)
    simulation.give(i.SetStatus(ANN, IN, ends_break=True))
    assert simulation.the_agent(ANN).status is (IN if status is BREAK else status)


def test_17_who_is_logged_out_has_no_break_to_end() -> None:
    simulation = QueueSimulation().queue().agent(ANN, status=OUT)
    with pytest.raises(InvalidState, match="check in first"):
        simulation.give(i.SetStatus(ANN, IN, ends_break=True))


API_FIELDS = {
    "strategy", "time_base_score", "max_wait_time", "max_wait_time_with_no_agent",
    "max_wait_time_with_no_agent_time_reached", "tier_rules_apply", "tier_rule_wait_second", "tier_rule_no_agent_no_wait",
    "tier_rule_wait_multiply_level", "discard_abandoned_after", "abandoned_resume_allowed", "announce_id",
    "announce_frequency", "moh_id", "sla_strategy", "sla_answer_time", "auto_answer", "pre_bridge_announce",
    "join_announce", "ring_timeout",
}  # fmt: skip


def test_17_fields_of_queues_have_the_names_of_the_api() -> None:
    assert {one.name for one in fields(QueueSettings)} >= API_FIELDS
    assert QueueSettings.of({"time_base_score": ""}).time_base_score is TimeBase.QUEUE


@pytest.mark.parametrize("status", [OUT, BREAK, DEMAND])
def test_3_5b_any_status_but_available_cancels_a_running_offer(status: AgentStatus) -> None:
    simulation = QueueSimulation().queue().agent(ANN).agent(BOB)
    caller = simulation.join()
    assert simulation.rings_for(caller) == [ANN]
    simulation.status(ANN, status)
    assert simulation.outcomes() == [(ANN, "cancelled")]
    assert [one.offer_id for one in simulation.cancelled()] == [simulation.started()[0].offer_id]
    assert simulation.rings_for(caller) == [BOB]


def test_3_5b_available_does_not_cancel() -> None:
    simulation = QueueSimulation().queue().agent(ANN, status=DEMAND)
    caller = simulation.join()
    simulation.status(ANN, IN)
    assert simulation.rings_for(caller) == [ANN]


def test_3_5b_and_c_a_running_call_goes_on() -> None:
    """3.5c: status and state are independent."""
    simulation = QueueSimulation().queue().agent(ANN)
    simulation.join()
    simulation.answer(ANN)
    simulation.after(20).status(ANN, OUT)
    agent = simulation.the_agent(ANN)
    assert (agent.state, agent.calls_answered) == (AgentState.IN_CALL, 1)
    simulation.after(5).end_call(ANN)
    assert (agent.state, agent.talk_time, agent.calls_answered) == (AgentState.WAITING, 25, 1)


def test_3_2_the_reason_of_a_break_can_change() -> None:
    simulation = QueueSimulation().queue().agent(ANN, status=BREAK)
    simulation.status(ANN, BREAK, "lunch")
    simulation.status(ANN, BREAK, "lunch")
    assert simulation.the_agent(ANN).status_reason == "lunch"
    assert len(simulation.of_type(EventType.AGENT_STATUS_CHANGED)) == 2
    assert CID not in simulation.state.agents
