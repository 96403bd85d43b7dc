"""Queue callbacks as calls: the place is kept, the customer is called when an agent is reserved, and called again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.queue_node import QUEUE, QueueNode, with_queue
from trunkline.console.story_texts import sentence
from trunkline.core.clock import to_datetime
from trunkline.directory.model import Scenario
from trunkline.directory.queues import exits
from trunkline.events.catalogue import EventType
from trunkline.queues.states import AgentState, AgentStatus, CallerState
from trunkline.reports.story import Step
from trunkline.telephony.port import Channel, KeyPressed

RING, PAUSE = 60, 300
"""Of the settings of a queue."""


async def presses(one: QueueNode, customer: Channel) -> None:
    one.switch.handle(KeyPressed(customer, one.engine.at(), "1"))
    await one.settle()


async def asked(**changes: Any) -> QueueNode:
    """Boris is on break; a customer has asked to be called back, and has left."""
    account = with_queue(c.BORIS, exits={"1": "callback"}, **changes)
    one = await QueueNode(account).begin()
    await one.status(c.BORIS, AgentStatus.ON_BREAK)
    customer = await one.call()
    await presses(one, customer)
    assert one.engine.channels == {}, "the call has ended"
    [ticket] = one.owner.state.queues[QUEUE].tickets.values()
    assert ticket.number == c.CUSTOMER
    return one


def closed(one: QueueNode) -> list[str]:
    return [event.data["reason"] for event in one.store.events if event.type is EventType.CALLBACK_CLOSED]


async def test_the_customer_is_called_when_an_agent_is_free_and_talks_with_that_agent() -> None:
    one = await asked()
    await one.wait(100)
    await one.status(c.BORIS)
    assert one.owner.state.agents[c.BORIS].state is AgentState.RESERVED
    assert one.rings() == [c.CUSTOMER], "the customer first, the agent's phone not yet"
    await one.answers(c.CUSTOMER)
    assert closed(one) == ["confirmed"]
    assert one.rings() == [c.BORIS_LINE]
    await one.answers(c.BORIS_LINE)
    assert one.owner.state.agents[c.BORIS].state is AgentState.IN_CALL
    [caller] = one.callers()
    assert (caller.state, caller.attempts) == (CallerState.ANSWERED, 2)
    [customer] = [chan.channel for chan in one.engine.channels.values() if chan.number == c.CUSTOMER]
    assert one.engine.hearing(customer) == {c.BORIS_LINE}
    await one.hangs_up(customer)
    assert one.engine.channels == {}
    assert one.owner.state.agents[c.BORIS].state is AgentState.WAITING


async def test_the_first_call_says_that_the_customer_will_be_called_back() -> None:
    one = await asked()
    [left] = [
        event
        for events in one.reported.events.values()
        for event in events
        if event.type is EventType.QUEUE_LEFT
    ]
    assert left.data == {"queue_id": QUEUE, "reason": "exit_key", "key": "1", "is_callback": True}
    step = Step(to_datetime(left.at), left.type.value, data=left.data)
    assert "will be called back" in sentence(step, {})[0]


async def test_who_does_not_answer_is_called_again_and_the_agent_is_free_meanwhile() -> None:
    one = await asked()
    await one.status(c.BORIS)
    for tried in range(1, 4):
        assert one.rings() == [c.CUSTOMER]
        await one.wait(RING + 1)
        assert one.rings() == []
        assert one.owner.state.agents[c.BORIS].state is AgentState.WAITING
        if tried < 3:
            assert [ticket.tries for ticket in one.owner.state.queues[QUEUE].tickets.values()] == [tried]
            await one.wait(PAUSE + 1)
    assert closed(one) == ["not_reached"]
    await one.wait(3 * PAUSE)
    assert one.engine.channels == {}


async def test_a_busy_customer_counts_as_a_try() -> None:
    one = await asked()
    await one.status(c.BORIS)
    one.engine.refuse(one.phone(c.CUSTOMER), 17)
    await one.settle()
    failures = [
        event.data["failure"] for event in one.store.events if event.type is EventType.CALLBACK_FAILED
    ]
    assert failures == ["busy"]
    assert one.owner.state.agents[c.BORIS].state is AgentState.WAITING


async def test_who_calls_in_meanwhile_has_the_place_and_is_not_called() -> None:
    one = await asked()
    await one.wait(50)
    customer = await one.call()
    assert closed(one) == ["called_in"]
    [caller] = one.callers()
    assert caller.waited(one.owner.now) == pytest.approx(50, abs=1), "of the first call"
    await one.status(c.BORIS)
    assert one.rings() == [c.BORIS_LINE]
    await one.answers(c.BORIS_LINE)
    assert one.engine.hearing(customer) == {c.BORIS_LINE}


async def test_the_call_to_a_customer_who_calls_in_ends() -> None:
    one = await asked()
    await one.status(c.BORIS)
    assert one.rings() == [c.CUSTOMER]
    await one.call()
    assert c.CUSTOMER not in one.rings()
    assert closed(one) == ["called_in"]
    assert one.rings() == [c.BORIS_LINE]


async def test_a_restart_goes_on_with_the_call_to_the_customer() -> None:
    one = await asked()
    await one.status(c.BORIS)
    assert one.rings() == [c.CUSTOMER]
    await one.kill_and_restart()
    assert one.rings() == [c.CUSTOMER], "not called twice"
    assert one.owner.state.agents[c.BORIS].state is AgentState.RESERVED
    await one.answers(c.CUSTOMER)
    assert closed(one) == ["confirmed"]
    assert one.rings() == [c.BORIS_LINE]


async def test_a_number_that_cannot_be_called_keeps_waiting() -> None:
    one = await QueueNode(with_queue(c.BORIS, exits={"1": "callback"})).begin()
    await one.status(c.BORIS, AgentStatus.ON_BREAK)
    customer = await one.call("anonymous")
    await presses(one, customer)
    assert one.engine.hearing(customer) == {"music"}
    assert one.owner.state.queues[QUEUE].tickets == {}


async def test_the_caller_goes_on_with_a_scenario_that_confirms_the_request() -> None:
    account = with_queue(c.BORIS, exits={"1": f"callback:{c.TO_DORA}"})
    one = await QueueNode(account).begin()
    await one.status(c.BORIS, AgentStatus.ON_BREAK)
    customer = await one.call()
    await presses(one, customer)
    assert customer in one.engine.channels
    assert len(one.owner.state.queues[QUEUE].tickets) == 1
    scenario = one.directory.accounts[c.ACCOUNT].scenarios[-QUEUE]
    assert isinstance(scenario, Scenario)
    assert scenario.operation("exit_1") is not None


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"1": "callback"}, {"1"}),
        ({"1": "callback:12"}, {"1"}),
        ({"timeout": "callback"}, set()),
        ({"1": "callback:x"}, set()),
    ],
)
def test_only_a_key_asks_for_a_callback(given: dict[str, str], kept: set[str]) -> None:
    assert set(exits.usable(given)) == kept
