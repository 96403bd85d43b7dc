"""Queue callbacks: the place is kept, one for each number, tried again, never ahead of those who wait longer."""

from __future__ import annotations

import pytest

from tests.queues.simulation import ANN, BOB, Q2, Q, QueueSimulation
from trunkline.core.errors import Duplicate, InvalidInput, InvalidState, NotFound
from trunkline.events.catalogue import EventType
from trunkline.queues import inputs as i
from trunkline.queues.effects import CancelDial, DialCallback, PlayMusic
from trunkline.queues.states import AgentState, AgentStatus, CallerState, OfferOutcome, TicketState

NUMBER, OTHER = "971500000001", "971500000002"
IN, BREAK = AgentStatus.AVAILABLE, AgentStatus.ON_BREAK


def with_ticket(number: str = NUMBER, **settings: object) -> tuple[QueueSimulation, int]:
    """Ann is on break; a caller who joined at 1000 asked at 1010 to be called back."""
    simulation = QueueSimulation().queue(**settings)  # type: ignore[arg-type]
    simulation.queue(Q2).agent(ANN, Q, Q2, status=BREAK)
    caller = simulation.join(number=number)
    simulation.at(1010).give(i.RequestCallback(caller, number))
    return simulation, caller


def closed(simulation: QueueSimulation) -> list[str]:
    return [one.data["reason"] for one in simulation.of_type(EventType.CALLBACK_CLOSED)]


def test_the_caller_leaves_and_the_record_stays() -> None:
    simulation, caller = with_ticket()
    assert simulation.left(caller) == (1010, "break_out")
    assert simulation.the_queue().tickets[caller].state is TicketState.QUEUED
    assert simulation.at(9000).caller(caller).state is CallerState.ABANDONED, (
        "kept while the callback is open"
    )
    assert simulation.queues.index.views[Q].attempts == {}, "nobody waits on the line"


def test_agent_first_then_the_customer_then_the_offer() -> None:
    simulation, caller = with_ticket()
    simulation.at(1100).status(ANN, IN)
    assert simulation.done(DialCallback) == [DialCallback(caller, Q, NUMBER, ANN, 60)]
    assert simulation.the_agent(ANN).state is AgentState.RESERVED
    assert simulation.offered() == []
    simulation.at(1120).give(i.CallbackConfirmed(caller, 9001))
    assert closed(simulation) == ["confirmed"]
    assert simulation.offered() == [(caller, ANN)]
    found = simulation.caller(caller)
    assert (found.call_session_id, found.attempts, found.state) == (9001, 2, CallerState.TRYING)
    assert found.waited(simulation.clock) == 120, "since it joined first"
    assert PlayMusic(caller, 9001, None) in simulation.effects
    simulation.answer(ANN)
    assert simulation.caller(caller).state is CallerState.ANSWERED


def test_a_reserved_agent_gets_nothing_else() -> None:
    simulation, _ = with_ticket()
    simulation.status(ANN, IN)
    better = simulation.join(base_score=1000)
    assert simulation.rings_for(better) == []
    with pytest.raises(InvalidState):
        simulation.give(i.SetState(ANN, AgentState.WAITING))


def test_never_ahead_of_those_who_wait_longer() -> None:
    simulation = QueueSimulation().queue().queue(Q2).agent(ANN, Q, Q2, status=BREAK)
    longer = simulation.join(Q2)
    caller = simulation.at(1001).join(number=NUMBER)
    simulation.give(i.RequestCallback(caller, NUMBER))
    later = simulation.at(1002).join()
    simulation.at(1100).status(ANN, IN)
    assert simulation.offered() == [(longer, ANN)]
    simulation.answer(ANN)
    simulation.end_call(ANN)
    assert [one.caller_id for one in simulation.done(DialCallback)] == [caller]
    simulation.give(i.CallbackFailed(caller))
    assert simulation.offered()[-1] == (later, ANN), "during the pause the next one is served"


def test_one_for_each_number_over_all_queues() -> None:
    simulation, _ = with_ticket()
    for queue_id in (Q, Q2):
        second = simulation.join(queue_id, number=OTHER)
        with pytest.raises(Duplicate):
            simulation.give(i.RequestCallback(second, NUMBER))
        assert simulation.caller(second).state is CallerState.WAITING
    with pytest.raises(InvalidInput):
        simulation.give(i.RequestCallback(second, ""))
    with pytest.raises(InvalidState):
        simulation.give(i.RequestCallback(99, OTHER))


def test_tried_again_with_its_place_and_then_given_up() -> None:
    simulation, caller = with_ticket(callback_tries=2, callback_retry_time=100)
    simulation.at(1100).status(ANN, IN)
    simulation.at(1110).give(i.CallbackFailed(caller, i.CallbackFailure.BUSY))
    assert simulation.the_agent(ANN).state is AgentState.WAITING, "free at once, without delay"
    assert simulation.at(1209.9).done(DialCallback)[1:] == []
    assert len(simulation.at(1210).done(DialCallback)) == 2
    simulation.give(i.CallbackFailed(caller, i.CallbackFailure.NOT_CONFIRMED))
    assert closed(simulation) == ["not_reached"]
    assert [one.data["failure"] for one in simulation.of_type(EventType.CALLBACK_FAILED)] == [
        "busy",
        "not_confirmed",
    ]
    assert not simulation.at(1300).exists(caller)
    assert simulation.the_agent(ANN).no_answer_count == 0


def test_a_customer_who_does_not_answer_in_time() -> None:
    simulation, caller = with_ticket(callback_ring_time=30, callback_tries=1)
    simulation.at(1100).status(ANN, IN)
    assert simulation.at(1130).done(CancelDial) == [CancelDial(caller)]
    assert closed(simulation) == ["not_reached"]
    simulation.give(i.CallbackConfirmed(caller, 9001))
    assert simulation.ignored == ["CallbackConfirmed"]
    assert simulation.done(CancelDial)[1:] == [CancelDial(caller)], "the late call is ended"


def test_the_customer_calls_in_and_has_the_place() -> None:
    simulation, caller = with_ticket()
    assert simulation.at(1200).join(number=NUMBER) == caller
    assert closed(simulation) == ["called_in"]
    assert simulation.caller(caller).joined_at == 1000.0
    simulation.status(ANN, IN)
    assert simulation.offered() == [(caller, ANN)]


@pytest.mark.parametrize("resume", [True, False])
def test_the_customer_calls_in_from_the_number_that_asked(resume: bool) -> None:
    """The callback goes to another number: it is cancelled all the same, and nobody is in the queue twice."""
    simulation = QueueSimulation().queue(abandoned_resume_allowed=resume)
    caller = simulation.join(number=NUMBER)
    simulation.give(i.RequestCallback(caller, OTHER))
    assert simulation.join(number=NUMBER) == caller
    assert closed(simulation) == ["called_in"]
    assert simulation.the_queue().tickets == {}


def test_the_customer_calls_another_queue() -> None:
    simulation, caller = with_ticket()
    assert simulation.at(1200).join(Q2, number=NUMBER) != caller
    assert closed(simulation) == ["called_in"]
    assert not simulation.at(1300).exists(caller)


def test_the_customer_calls_in_while_being_called() -> None:
    simulation, caller = with_ticket()
    simulation.status(ANN, IN)
    assert simulation.join(number=NUMBER) == caller
    assert simulation.done(CancelDial) == [CancelDial(caller)]
    assert simulation.offered() == [(caller, ANN)], "the agent is free, and the call is the best one"


@pytest.mark.parametrize("how", ["status", "tier", "agent"])
def test_the_reserved_agent_becomes_unavailable(how: str) -> None:
    simulation, caller = with_ticket()
    simulation.status(ANN, IN)
    match how:
        case "status":
            simulation.status(ANN, BREAK)
        case "tier":
            simulation.give(i.RemoveTier(Q, ANN))
        case _:
            simulation.give(i.RemoveAgent(ANN))
    assert simulation.done(CancelDial) == [], "the customer is still being called"
    assert len(simulation.done(DialCallback)) == 1
    simulation.give(i.CallbackConfirmed(caller, 9001))
    assert simulation.caller(caller).state is CallerState.WAITING
    simulation.agent(BOB)
    assert simulation.rings_for(caller) == [BOB]


def test_the_reserved_agent_does_not_answer() -> None:
    simulation, caller = with_ticket()
    simulation.agent(BOB, status=BREAK)
    simulation.status(ANN, IN)
    simulation.give(i.CallbackConfirmed(caller, 9001))
    simulation.status(BOB, IN)
    simulation.fail(ANN, OfferOutcome.NO_ANSWER)
    assert simulation.rings_for(caller) == [BOB], "the customer waits at the same place"


def test_cancelled_by_command_and_expired() -> None:
    simulation, caller = with_ticket()
    simulation.give(i.CancelCallback(NUMBER))
    assert closed(simulation) == ["cancelled"]
    with pytest.raises(NotFound):
        simulation.give(i.CancelCallback(NUMBER))
    simulation, caller = with_ticket(callback_expires_after=50)
    assert closed(simulation.at(1059.9)) == []
    assert closed(simulation.at(1060)) == ["expired"]
    assert not simulation.at(1130).exists(caller)


def test_the_queue_is_removed() -> None:
    simulation, caller = with_ticket()
    simulation.status(ANN, IN)
    simulation.give(i.RemoveQueue(Q))
    assert closed(simulation) == ["queue_removed"]
    assert simulation.done(CancelDial) == [CancelDial(caller)]
    assert simulation.the_agent(ANN).state is AgentState.WAITING


def test_in_ring_all_one_agent_is_reserved_and_all_are_called_then() -> None:
    simulation, caller = with_ticket(strategy="ring-all")
    simulation.agent(BOB)
    assert [one.agent_id for one in simulation.done(DialCallback)] == [BOB]
    simulation.status(ANN, IN)
    simulation.give(i.CallbackConfirmed(caller, 9001))
    assert set(simulation.rings_for(caller)) == {ANN, BOB}
