"""The engine reports each channel in order, but two channels in any order, and after a reconnect twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.calls import company as c
from tests.calls.story import Story
from trunkline.telephony.port import Channel, ConnectFinished, Signal, TargetStarted


def shuffled(signals: list[Signal], draw: Callable[[int], int]) -> list[Signal]:
    """The same signals, each channel's in its own order, each maybe twice in a row."""
    queues: dict[Channel, list[Signal]] = {}
    for signal in signals:
        queues.setdefault(signal.channel, []).append(signal)  # type: ignore[union-attr]
    mixed: list[Signal] = []
    while queues:
        channel = list(queues)[draw(len(queues))]
        signal = queues[channel].pop(0)
        mixed += [signal] * (1 + draw(2))
        if not queues[channel]:
            del queues[channel]
    return mixed


def outcome(story: Story) -> tuple[object, ...]:
    end = story.end
    legs = sorted((str(one), str(reason)) for one, reason in story.reasons)
    return end["finish_reason"], end["is_lost"], story.durations, legs, end["employees"]


def answered_then(hang_up: str, order: Callable[[list[Signal]], list[Signal]]) -> tuple[object, ...]:
    """Two phones ring, Boris answers at 5, somebody hangs up at 15."""
    story = Story().arrive(c.ALL)
    phone = story.at(5).ringing(c.BORIS_LINE)
    story.engine.answer(phone)
    deliver(story, order)
    story.at(15).engine.hang_up(phone if hang_up == "employee" else story.channel)
    deliver(story, order)
    return outcome(story)


def unanswered(how: str, order: Callable[[list[Signal]], list[Signal]]) -> tuple[object, ...]:
    story = Story().arrive(c.ALL)
    story.at(20)
    if how == "gives_up":
        story.engine.hang_up(story.channel)
    elif how == "ring_out":
        story.engine.ring_out(story.channel)
    else:
        story.engine.refuse(story.ringing(c.ANNA_LINE), 17)
        story.engine.refuse(story.ringing(c.BORIS_LINE), 17)
    deliver(story, order)
    return outcome(story)


def deliver(story: Story, order: Callable[[list[Signal]], list[Signal]]) -> None:
    while story.engine.pending:
        signals, story.engine.pending = story.engine.pending, []
        # A target starts before anything else of the call can follow from it.
        first = [one for one in signals if isinstance(one, TargetStarted)]
        for signal in first + order([one for one in signals if one not in first]):
            story.handle(signal)


@pytest.mark.parametrize("who", ["customer", "employee"])
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_a_talk_ends_alike_in_any_order(who: str, data: st.DataObject) -> None:
    mixed = answered_then(who, lambda signals: shuffled(signals, lambda n: data.draw(st.integers(0, n - 1))))
    assert mixed == answered_then(who, lambda signals: signals)


@pytest.mark.parametrize("how", ["gives_up", "ring_out", "busy"])
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_a_lost_call_ends_alike_in_any_order(how: str, data: st.DataObject) -> None:
    mixed = unanswered(how, lambda signals: shuffled(signals, lambda n: data.draw(st.integers(0, n - 1))))
    assert mixed == unanswered(how, lambda signals: signals)


def test_the_plain_order_is_right() -> None:
    """What the others are compared with."""
    assert answered_then("employee", lambda signals: signals)[:3] == (
        "operator_disconnects",
        False,
        (5, 5, 10, 10, 15, 0),
    )
    assert unanswered("gives_up", lambda signals: signals)[0] == "caller_disconnects"
    assert unanswered("ring_out", lambda signals: signals)[0] == "operator_not_responsive"
    assert unanswered("busy", lambda signals: signals)[0] == "operator_busy"


def test_a_result_told_twice_is_not_the_next_ones() -> None:
    story = Story().arrive(c.IN_TURN)
    story.at(20).engine.ring_out(story.channel)
    results = [one for one in story.engine.pending if isinstance(one, ConnectFinished)]
    story.flow()
    for signal in results:
        story.handle(signal)
    assert story.session.dialling == story.channel
    story.at(25).answer(c.BORIS_LINE)
    story.at(30).hang_up()
    assert [reason for _, reason in story.reasons[1:]] == ["operator_not_responsive", "caller_disconnects"]


def test_an_end_that_is_older_than_the_bridging_heard_before_it() -> None:
    story = Story().arrive(c.TO_ANNA)
    phone = story.at(5).ringing(c.ANNA_LINE)
    story.engine.answer(phone)
    story.flow().at(4.9).engine.hang_up(story.channel)
    story.flow()
    talk = story.session.talks[0]
    assert talk.ended_at == talk.started_at
    assert story.end["clean_talk_duration"] == 0
