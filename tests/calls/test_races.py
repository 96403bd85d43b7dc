"""The engine reports each channel in order, but two channels in any order, and after a reconnect twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.calls import company as c
from tests.calls.simulation import CallSimulation
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


def outcome(simulation: CallSimulation) -> tuple[object, ...]:
    end = simulation.end
    legs = sorted((str(one), str(reason)) for one, reason in simulation.reasons)
    return end["finish_reason"], end["is_lost"], simulation.durations, legs, end["employees"]


def answered_then(hang_up: str, order: Callable[[list[Signal]], list[Signal]]) -> tuple[object, ...]:
    """Two phones ring, Boris answers at 5, somebody hangs up at 15."""
    simulation = CallSimulation().arrive(c.ALL)
    phone = simulation.at(5).ringing(c.BORIS_LINE)
    simulation.engine.answer(phone)
    deliver(simulation, order)
    simulation.at(15).engine.hang_up(phone if hang_up == "employee" else simulation.channel)
    deliver(simulation, order)
    return outcome(simulation)


def unanswered(how: str, order: Callable[[list[Signal]], list[Signal]]) -> tuple[object, ...]:
    simulation = CallSimulation().arrive(c.ALL)
    simulation.at(20)
    if how == "gives_up":
        simulation.engine.hang_up(simulation.channel)
    elif how == "ring_out":
        simulation.engine.ring_out(simulation.channel)
    else:
        simulation.engine.refuse(simulation.ringing(c.ANNA_LINE), 17)
        simulation.engine.refuse(simulation.ringing(c.BORIS_LINE), 17)
    deliver(simulation, order)
    return outcome(simulation)


def deliver(simulation: CallSimulation, order: Callable[[list[Signal]], list[Signal]]) -> None:
    while simulation.engine.pending:
        signals, simulation.engine.pending = simulation.engine.pending, []
        # A target starts before anything else of the call can follow from it.
        first = [one for one in signals if isinstance(one, TargetStarted)]
        for signal in first + order([one for one in signals if one not in first]):
            simulation.handle(signal)


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


def test_a_result_reported_twice_is_not_the_next_ones() -> None:
    simulation = CallSimulation().arrive(c.IN_TURN)
    simulation.at(20).engine.ring_out(simulation.channel)
    results = [one for one in simulation.engine.pending if isinstance(one, ConnectFinished)]
    simulation.flow()
    for signal in results:
        simulation.handle(signal)
    assert simulation.session.connecting_channel == simulation.channel
    simulation.at(25).answer(c.BORIS_LINE)
    simulation.at(30).hang_up()
    assert [reason for _, reason in simulation.reasons[1:]] == [
        "operator_not_responsive",
        "caller_disconnects",
    ]


def test_an_end_that_is_older_than_the_bridging_heard_before_it() -> None:
    simulation = CallSimulation().arrive(c.TO_ANNA)
    phone = simulation.at(5).ringing(c.ANNA_LINE)
    simulation.engine.answer(phone)
    simulation.flow().at(4.9).engine.hang_up(simulation.channel)
    simulation.flow()
    talk = simulation.session.talks[0]
    assert talk.ended_at == talk.started_at
    assert simulation.end["clean_talk_duration"] == 0
