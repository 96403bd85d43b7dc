"""Abandoned callers and resume (section 11), with the vectors 16.5."""

from __future__ import annotations

from typing import Any

import pytest

from tests.queues.simulation import ANN, BOB, Q2, Q, QueueSimulation
from trunkline.events.catalogue import EventType
from trunkline.queues import inputs as i
from trunkline.queues.effects import CancelOffer
from trunkline.queues.service_level import visits
from trunkline.queues.states import AgentStatus, CallerState, LeavingReason

NUMBER = "971500000001"
BREAK = AgentStatus.ON_BREAK


def resuming(**settings: Any) -> QueueSimulation:
    return QueueSimulation().queue(abandoned_resume_allowed=True, **settings)


def test_vector_16_5_resume() -> None:
    """11.3: joined 1000, hung up 1100, calls again at 1130."""
    simulation = resuming(max_wait_time=200)
    caller = simulation.join(number=NUMBER)
    simulation.at(1100)
    assert simulation.caller(caller).score(simulation.clock) == 100
    simulation.hang_up(caller)
    assert simulation.at(1130).join(number=NUMBER) == caller
    assert simulation.caller(caller).score(simulation.clock) == 130
    assert simulation.at(1329.9).left(caller) == (1100, "hangup")
    assert simulation.at(1330).left(caller) == (1330, "timeout"), "max_wait_time counts from 1130"


@pytest.mark.parametrize(("at", "resumes"), [(1160, True), (1161, False)])
def test_vector_16_5_until_when(at: float, resumes: bool) -> None:
    """11.2"""
    simulation = resuming()
    caller = simulation.join(number=NUMBER)
    simulation.at(1100).hang_up(caller)
    again = simulation.at(at).join(number=NUMBER)
    assert (again == caller) is resumes
    assert simulation.caller(again).score(simulation.clock) == (160 if resumes else 0)


@pytest.mark.parametrize("reason", [one for one in LeavingReason if one is not LeavingReason.ANSWERED])
def test_11_1_leaving_for_any_reason_makes_the_caller_abandoned(reason: LeavingReason) -> None:
    no_agent = reason is LeavingReason.NO_AGENT_TIMEOUT
    simulation = QueueSimulation().queue(
        max_wait_time=0 if no_agent else 30,
        max_wait_time_with_no_agent=30 if no_agent else 0,
        max_wait_time_with_no_agent_time_reached=0,
        exit_keys={"1": "menu"},
        ring_timeout=30,
    )
    simulation.agent(ANN)
    caller = simulation.join()
    simulation.at(1005)
    match reason:
        case LeavingReason.HANGUP:
            simulation.hang_up(caller)
        case LeavingReason.EXIT_KEY:
            simulation.give(i.CallerPressedKey(caller, "1"))
        case LeavingReason.BREAK_OUT:
            simulation.give(i.CallerTaken(caller))
        case LeavingReason.NO_AGENT_TIMEOUT:
            simulation.status(ANN, AgentStatus.LOGGED_OUT)
    simulation.at(1040)
    found = simulation.caller(caller)
    assert (found.state, found.reason) == (CallerState.ABANDONED, reason)
    left = simulation.left(caller)
    assert left is not None
    assert (found.abandoned_at, reason.value) == left
    assert len(simulation.outcomes()) == 1
    if reason in (LeavingReason.HANGUP, LeavingReason.EXIT_KEY, LeavingReason.BREAK_OUT):
        assert simulation.outcomes() == [(ANN, "cancelled")], "running offers become cancelled"
        assert isinstance(simulation.cancelled()[0], CancelOffer)


def test_11_2_a_record_is_removed_after_its_time() -> None:
    simulation = QueueSimulation().queue(discard_abandoned_after=20)
    caller = simulation.join()
    simulation.hang_up(caller)
    simulation.at(1020).join()
    assert simulation.exists(caller), "at exactly that second it still exists"
    assert not simulation.at(1020.1).exists(caller)
    assert len(simulation.of_type(EventType.CALLER_DISCARDED)) == 1


def test_11_2_the_default_is_60_seconds() -> None:
    simulation = QueueSimulation().queue()
    caller = simulation.join()
    simulation.hang_up(caller)
    assert simulation.at(1060).exists(caller)
    assert not simulation.at(1061).exists(caller)


def test_11_3_what_a_resume_takes_over() -> None:
    simulation = resuming(strategy="top-down").agent(ANN).agent(BOB, status=BREAK)
    caller = simulation.join(number=NUMBER, base_score=9)
    assert simulation.caller(caller).pointer is not None
    simulation.at(1010).hang_up(caller)
    simulation.status(ANN, BREAK)
    assert simulation.at(1030).join(number=NUMBER, base_score=500) == caller
    found = simulation.caller(caller)
    assert (found.joined_at, found.base_score, found.state) == (1000.0, 9, CallerState.WAITING)
    assert (found.attempt_started_at, found.resumed_at, found.pointer) == (1030.0, 1030.0, None)


def test_11_3_not_unless_it_is_allowed() -> None:
    simulation = QueueSimulation().queue()
    caller = simulation.join(number=NUMBER)
    simulation.hang_up(caller)
    assert simulation.join(number=NUMBER) != caller


def test_11_3_the_most_recently_abandoned_record() -> None:
    simulation = resuming()
    first, second = simulation.join(number=NUMBER), simulation.join(number=NUMBER)
    simulation.at(1010).hang_up(second)
    simulation.at(1011).hang_up(first)
    assert simulation.at(1012).join(number=NUMBER) == first
    assert simulation.at(1013).join(number=NUMBER) == second


def test_11_4_the_loser_of_a_race_joins_as_new() -> None:
    simulation = resuming()
    caller = simulation.join(number=NUMBER)
    simulation.hang_up(caller)
    assert simulation.join(number=NUMBER) == caller
    other = simulation.join(number=NUMBER)
    assert other != caller
    assert simulation.caller(other).attempts == 1


def test_11_4_withheld_numbers_and_other_queues_never_match() -> None:
    simulation = resuming().queue(Q2, abandoned_resume_allowed=True)
    withheld, here = simulation.join(), simulation.join(number=NUMBER)
    simulation.hang_up(withheld)
    simulation.hang_up(here)
    assert simulation.join() != withheld
    assert simulation.join(Q2, number=NUMBER) != here
    assert simulation.join(Q, number=NUMBER) == here


def test_11_5_one_visit_with_two_attempts() -> None:
    simulation = resuming().agent(ANN, status=BREAK)
    caller = simulation.join(number=NUMBER)
    simulation.at(1010).hang_up(caller)
    simulation.at(1020).join(number=NUMBER)
    simulation.status(ANN, AgentStatus.AVAILABLE)
    simulation.at(1025).answer(ANN)
    [connected] = simulation.of_type(EventType.AGENT_CONNECTED)
    assert (connected.data["attempts"], connected.data["waited"]) == (2, 25)
    [resumed] = simulation.of_type(EventType.CALLER_RESUMED)
    assert (resumed.data["attempt"], resumed.data["is_callback"]) == (2, False)
    of_queue = [one for one in simulation.events if one.stream == f"queue:{Q}"]
    assert list(visits(of_queue)) == [caller], "reported as one visit"
