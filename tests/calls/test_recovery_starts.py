"""A start of a call by the API: stored before anybody is called, and continued by the next switch."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.restarted_node import Node, reconnect, ring
from trunkline.calls.effects import (
    ConnectTargets,
    Effect,
    Hangup,
    OriginateLeg,
    PlayFiles,
)
from trunkline.calls.switch import command_handler
from trunkline.core.errors import SwitchUnavailable, Unavailable
from trunkline.events.catalogue import EventType
from trunkline.telephony.port import (
    Ended,
    Survey,
)

START = {
    "virtual_phone_number": c.number_of(1),
    "contact": c.CUSTOMER,
    "first_call": "employee",
    "employee": {"id": c.BORIS},
}


async def _started(node: Node) -> asyncio.Task[Any]:
    """A start whose first events the database does not take yet."""
    node.reported.is_stuck = True
    task = asyncio.create_task(node.switch.command(c.ACCOUNT, "start_employee_call", START))
    await asyncio.sleep(0.01)
    assert not task.done()
    return task


def _originates(node: Node) -> list[Effect]:
    return [one for one in node.engine.done if isinstance(one, OriginateLeg)]


@pytest.mark.durability
async def test_nobody_is_called_before_the_start_is_stored() -> None:
    """A switch that is killed now leaves nobody on a line that no report has."""
    node = Node()
    task = await _started(node)
    assert not node.engine.channels
    [events] = node.reported.events.values()
    assert [event.type for event in events[:2]] == [EventType.SESSION_STARTED, EventType.LEG_STARTED]
    node.reported.is_stuck = False
    started = await task
    [channel] = node.engine.channels
    assert channel == events[1].data["channel"]
    assert node.switch.channels[channel].call_session_id == started["call_session_id"]


@pytest.mark.durability
async def test_a_start_that_is_not_stored_is_refused_and_calls_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command_handler, "START_TIMEOUT_SECONDS", 0.05)
    node = Node()
    task = await _started(node)
    with pytest.raises(SwitchUnavailable, match="nobody was called"):
        await task
    assert not _originates(node)
    assert node.end["finish_reason"] == "internal_error"
    [leg] = [one for one in node.simulation() if one.type is EventType.LEG_ENDED]
    assert leg.data["is_failed"]


async def test_a_start_while_asterisk_is_not_connected_is_refused_and_leaves_no_call() -> None:
    """The client may try again, and a callback of a website waits."""
    node = Node()
    node.hands.is_engine_up = False
    with pytest.raises(Unavailable, match="nobody was called"):
        await node.switch.command(c.ACCOUNT, "start_employee_call", START)
    assert not node.switch.sessions
    assert not node.reported.events


@pytest.mark.durability
async def test_a_switch_killed_before_a_start_is_stored() -> None:
    """Its events are stored and its parties were not called yet: the row has an end, and nobody is called later."""
    node = Node()
    task = await _started(node)
    node.kill()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    [events] = node.reported.events.values()
    del events[2:]  # a killed switch does not end the call
    node.restart()
    assert not _originates(node)
    assert node.end["finish_reason"] == "no_success_operator_call"


async def test_a_call_that_is_released_before_its_start_is_stored() -> None:
    node = Node()
    task = await _started(node)
    [key] = node.switch.sessions
    release = asyncio.create_task(node.switch.command(c.ACCOUNT, "release_call", {"call_session_id": key}))
    await asyncio.sleep(0.01)
    node.reported.is_stuck = False
    assert (await task)["call_session_id"] == key
    await release
    assert not _originates(node)
    assert not node.flow().switch.sessions


async def test_the_engine_connects_again_before_a_start_is_stored() -> None:
    """Recovery does not take legs whose channels are not made yet for legs whose channels are gone."""
    node = Node()
    task = await _started(node)
    node.clock += 1
    reconnect(node)
    assert not node.engine.channels
    node.reported.is_stuck = False
    await task
    assert len(node.engine.channels) == 1


def test_a_channel_of_a_lost_request_is_hung_up() -> None:
    node = Node()
    params = START
    asyncio.run(node.switch.command(c.ACCOUNT, "start_employee_call", params))
    node.kill().forget().restart()
    assert node.hands.unknown_channels
    assert not node.engine.channels
    assert not node.reported.events


@pytest.mark.parametrize("in_log", [True, False])
@pytest.mark.parametrize("message", [None, {"type": "media", "value": c.GREETING}])
def test_an_employee_answers_while_no_switch_is_there(in_log: bool, message: dict[str, Any] | None) -> None:
    """The click-to-call goes on: what recovery decides is not a connect that failed, and is decided once."""
    node = Node()
    params = {
        "virtual_phone_number": c.number_of(1),
        "contact": c.CUSTOMER,
        "first_call": "employee",
        "employee": {"id": c.BORIS},
        "employee_message": message,
    }
    asyncio.run(node.switch.command(c.ACCOUNT, "start_employee_call", params))
    [first] = node.engine.channels
    node.kill().engine.answer(first)
    node.flow()
    if not in_log:
        node.missed.clear()
    before = len(node.engine.done)
    node.restart()
    [done] = [one for one in node.engine.done[before:] if isinstance(one, ConnectTargets | PlayFiles)]
    assert isinstance(done, ConnectTargets if message is None else PlayFiles)
    if message is not None:
        node.engine.played(first)
        node.flow()
    node.engine.answer(ring(node))
    node.flow()
    [session] = node.switch.sessions.values()
    assert session.talking


@pytest.mark.durability
@pytest.mark.parametrize("is_looked_at_again", [True, False])
@pytest.mark.parametrize("signals", [0, 1, 2])
@pytest.mark.parametrize("in_log", [True, False])
@pytest.mark.parametrize("listed", ["rings", "waits for the switch", "with the switch"])
def test_an_employee_answers_at_any_moment_of_a_recovery(
    listed: str, in_log: bool, signals: int, is_looked_at_again: bool
) -> None:
    """The listing, the log and the signals are of different moments: the contact is called once, and the two talk."""
    node = Node()
    asyncio.run(node.switch.command(c.ACCOUNT, "start_employee_call", START))
    [first] = node.flow().engine.channels
    node.kill().at(3).engine.answer(first)
    [answered] = node.engine.pending
    node.engine.pending.clear()
    node.missed += [answered] if in_log else []
    seen = replace(
        node.seen(first),
        answered=listed != "rings",
        ringing=listed == "rings",
        controlled=listed == "with the switch",
    )
    before = len(node.engine.done)
    node.replace_switch()
    node.recover(Survey(node.engine.at(), [seen], list(node.missed)))
    for _ in range(signals):
        node.switch.handle(answered)
    node.flow()
    if is_looked_at_again:
        reconnect(node.at(4))
    connects = [one for one in node.engine.done[before:] if isinstance(one, ConnectTargets)]
    has_come = bool(signals) or is_looked_at_again or listed == "with the switch"
    assert len(connects) == has_come
    if not has_come:
        # It is in Asterisk's dialplan, whose next signal brings it.
        node.switch.handle(answered)
        node.flow()
    node.engine.answer(ring(node))
    node.flow()
    [session] = node.switch.sessions.values()
    assert session.talking
    [bridge] = {chan.bridge for chan in node.engine.channels.values()}
    assert bridge is not None


@pytest.mark.parametrize("in_log", [True, False])
@pytest.mark.parametrize("message", [None, {"type": "media", "value": c.GREETING}])
def test_an_employee_answers_and_is_gone_before_a_switch_is_there(
    in_log: bool, message: dict[str, Any] | None
) -> None:
    """The dialplan hung up what waited longer than ``switch.away_wait``: the contact is not called any more."""
    node = Node()
    params = {
        "virtual_phone_number": c.number_of(1),
        "contact": c.CUSTOMER,
        "first_call": "employee",
        "employee": {"id": c.BORIS},
        "contact_message": message,
    }
    asyncio.run(node.switch.command(c.ACCOUNT, "start_employee_call", params))
    [first] = node.engine.channels
    node.kill().at(1).engine.answer(first)
    node.at(22).engine.perform([Hangup(first)])
    node.flow()
    if not in_log:
        node.missed = [one for one in node.missed if not isinstance(one, Ended)]
    before = len(node.engine.done)
    node.restart()
    assert node.engine.done[before:] == []
    events = node.simulation()
    assert [event.type for event in events].count(EventType.LEG_ANSWERED) == 1
    [leg] = [event for event in events if event.type is EventType.LEG_STARTED]
    assert leg.data["employee_id"] == c.BORIS
    assert node.end["finish_reason"] == "internal_error"
