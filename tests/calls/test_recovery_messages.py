"""A voice message that is being left while the switch is killed: recorded to its end, and published once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.restarted_node import Node
from tests.calls.simulation import T0
from trunkline.calls.effects import (
    Hangup,
    PlayFiles,
    RecordMessage,
)
from trunkline.core.clock import Instant
from trunkline.events.catalogue import EventType
from trunkline.telephony.port import (
    Channel,
    Survey,
)


def speaking(node: Node) -> Channel:
    """A contact leaves a message: the prompt of 5 s is over."""
    channel = node.arrive(c.MAIL)
    node.at(5).engine.played(channel)
    node.flow()
    return channel


def messages(node: Node) -> list[dict[str, Any]]:
    return [dict(event.data) for event in node.simulation() if event.type is EventType.VOICE_MAIL_LEFT]


@pytest.mark.parametrize("ended_first", [True, False])
def test_a_message_goes_on_while_the_switch_is_killed(ended_first: bool) -> None:
    node = Node()
    channel = speaking(node)
    node.at(9).kill().restart()
    assert not [one for one in node.engine.done if isinstance(one, Hangup)]
    assert len([one for one in node.engine.done if isinstance(one, RecordMessage)]) == 1
    node.at(17).engine.hang_up(channel)
    if ended_first:
        node.engine.pending.reverse()
    node.flow()
    [message] = messages(node)
    assert message["seconds"] == pytest.approx(12, abs=0.1)
    assert node.end["finish_reason"] == "caller_disconnects"


def test_after_a_recovery_silence_ends_a_message() -> None:
    node = Node()
    channel = speaking(node)
    node.at(9).kill().restart()
    node.at(15).engine.recorded(channel)
    node.flow()
    [message] = messages(node)
    assert message["seconds"] == pytest.approx(10, abs=0.1)
    assert node.end["finish_reason"] == "no_operation"


@pytest.mark.parametrize("by_caller", [True, False])
def test_a_message_ends_while_no_switch_is_there(by_caller: bool) -> None:
    node = Node()
    channel = speaking(node)
    node.at(9).kill().at(15)
    if by_caller:
        node.engine.hang_up(channel)
    else:
        node.engine.recorded(channel)
    node.flow().at(30).restart()
    [message] = messages(node)
    assert message["seconds"] == pytest.approx(10, abs=0.1)
    assert not message["is_empty"]


@pytest.mark.parametrize("is_played", [True, False])
def test_a_switch_is_killed_before_the_beep(is_played: bool) -> None:
    """The end of the prompt may be lost: the beep comes again, and nothing else is repeated."""
    node = Node()
    channel = node.arrive(c.MAIL)
    before = len(node.engine.done)
    node.at(3).kill()
    if is_played:
        node.engine.played(channel)
        node.flow()
    node.at(6).restart()
    [play] = [one for one in node.engine.done[before:] if isinstance(one, PlayFiles)]
    assert play.files == ("/media/beep",)
    node.at(8).engine.played(channel)
    node.flow().at(18).engine.hang_up(channel)
    node.flow()
    [message] = messages(node)
    assert message["seconds"] == pytest.approx(10, abs=0.1)


def test_the_recording_of_an_earlier_message_is_not_that_of_the_next() -> None:
    account = c.company()
    node = Node(account)
    channel = speaking(node)
    node.at(9).engine.recorded(channel)
    ended = node.engine.recordings
    assert [one.ended_at is not None for one in ended.values()] == [True]
    session = next(iter(node.switch.sessions.values()))
    session.last_message_at = Instant(T0 + 20)  # a second message of the call began its prompt then
    node.engine.pending.clear()
    node.at(22)
    node.recover(Survey(Instant(node.clock), [node.seen(channel)], [], recordings=ended))
    assert session.message is not None
    assert isinstance(node.engine.done[-1], PlayFiles)


@pytest.mark.parametrize("ends", ["before", "away", "after"])
def test_a_message_is_kept_when_the_events_of_its_call_are_lost(ends: str) -> None:
    """PostgreSQL took none of them, and the switch was killed: the recording's note and the CEL log have what is needed."""
    node = Node()
    node.engine.name_channels(f"{int(T0)}.%d")
    channel = speaking(node)
    [lost] = node.reported.events.values()
    if ends == "before":
        node.at(8).engine.hang_up(channel)
        node.flow()
    node.at(9).forget().kill().at(15)
    if ends == "away":
        node.engine.hang_up(channel)
    node.flow().at(30).restart()
    if ends == "after":
        assert not [one for one in node.engine.done if isinstance(one, Hangup)]
        assert len([one for one in node.engine.done if isinstance(one, RecordMessage)]) == 1
        node.at(45).engine.hang_up(channel)
        node.flow()
    events = node.simulation()
    [message] = messages(node)
    first = next(dict(event.data) for event in lost if event.type is EventType.VOICE_MAIL_STARTED)
    assert {**message, "leg_id": 0}.items() >= {**first, "leg_id": 0}.items()
    assert message["leg_id"] == next(e.data["leg_id"] for e in events if e.type is EventType.LEG_STARTED)
    assert message["seconds"] == pytest.approx({"before": 3, "away": 10, "after": 40}[ends], abs=0.1)
    [answered] = [event for event in events if event.type is EventType.LEG_ANSWERED]
    assert answered.at == pytest.approx(T0, abs=0.1)
    [entered] = [event.data["key"] for event in events if event.type is EventType.OPERATION_ENTERED]
    assert entered == "a"
    assert node.end["finish_reason"] == "caller_disconnects"


def test_after_lost_events_silence_ends_the_message_and_the_scenario_goes_on() -> None:
    node = Node()
    node.engine.name_channels(f"{int(T0)}.%d")
    channel = speaking(node)
    node.at(9).forget().kill().at(15).restart()
    node.at(20).engine.recorded(channel)
    node.flow()
    [message] = messages(node)
    assert message["seconds"] == pytest.approx(15, abs=0.1)
    assert node.end["finish_reason"] == "no_operation"
