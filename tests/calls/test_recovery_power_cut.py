"""Switch and engine are killed together: when the calls of the former engine ended, and for what reason."""

from __future__ import annotations

import pytest

from tests.calls import company as c
from tests.calls.fake_engine import a_trunk
from tests.calls.restarted_node import Node, asterisk_names, ring, talking
from tests.calls.simulation import T0
from trunkline.calls.effects import (
    ConnectTargets,
)
from trunkline.calls.switch.recovery import engine_starts
from trunkline.core.clock import Instant
from trunkline.core.ids import number_of_channel
from trunkline.events.catalogue import EventType
from trunkline.telephony.port import (
    Arrived,
    Channel,
    Ended,
    Left,
)


@pytest.mark.durability
def test_a_talk_at_a_power_cut_ends_when_it_was_last_known_to_be_up() -> None:
    node, _, _ = talking()
    node.at(11).lose_power().at(3600).restart(engine_started=3590, alive_until=10)
    assert node.durations() == (5, 5, 10)
    assert node.end["finish_reason"] == "internal_error"
    assert node.end["is_lost"] is False
    ends = [event for event in node.simulation() if event.type is EventType.LEG_ENDED and event.at > T0 + 5]
    assert {str(event.data["finish_reason"]) for event in ends} == {"internal_error"}
    assert {event.at for event in ends} == {T0 + 10}


@pytest.mark.durability
def test_a_power_cut_some_time_after_the_switch_was_killed() -> None:
    """The CEL log shows that Asterisk has run longer than the switch: the end of another call is in it."""
    node, _, _ = talking()
    other = node.at(6).arrive(c.TO_ANNA)
    node.kill().at(20).engine.hang_up(other)
    node.flow().lose_power().at(3600).restart(engine_started=3590, alive_until=7)
    ends = {
        event.data["talk_duration"]: round(event.at - T0, 2)
        for events in node.reported.events.values()
        for event in events
        if event.type is EventType.SESSION_FINISHED
    }
    assert ends == {15: 20.0, 0: 20.0}


@pytest.mark.durability
def test_an_engine_that_is_killed_again_before_a_switch_has_recovered() -> None:
    """A call of the second engine says nothing of the end of a call of the first one."""
    node = Node()
    asterisk_names(node)
    node.engine.arrive(a_trunk(), c.number_of(c.TO_ANNA), c.CUSTOMER)  # channel 1
    customer = node.arrive(c.TWICE)
    node.engine.answer(ring(node.at(5)))
    node.flow()
    assert number_of_channel(customer) == (int(T0), 2)
    node.at(11).lose_power()
    channel = Channel(f"{int(T0) + 15}.0")
    node.missed.append(
        Arrived(channel, Instant(T0 + 15), a_trunk(), c.number_of(c.TWICE), c.CUSTOMER, "", Instant(T0 + 15))
    )
    node.missed.append(Ended(channel, Instant(T0 + 19), 0, by_party=True))
    node.at(30).restart(engine_started=28, alive_until=10)
    ends = {
        event.data["talk_duration"]: round(event.at - T0, 2)
        for events in node.reported.events.values()
        for event in events
        if event.type is EventType.SESSION_FINISHED and event.at < T0 + 15
    }
    assert ends[5] == 10


@pytest.mark.parametrize(
    ("channels", "starts"),
    [
        ([], [100]),
        (["10.1", "trunkline-1-x", "11.2", "12.3"], [100]),
        (["10.40", "11.39", "12.41"], [100]),  # made at the same moment
        (["10.40", "12.0", "12.1", "15.0", "16.1"], [12, 15, 100]),
        (["10.40", "12.3", "13.4"], [12, 100]),
        (["10.40", "12.0", "105.0"], [12, 100]),
        (["10.0", "15.0"], [15, 100]),
        (["10.3", "15.3", "16.4"], [15, 100]),
    ],
)
def test_starts_of_the_engine_by_the_numbers_of_channels(channels: list[str], starts: list[int]) -> None:
    base = 1_700_000_000
    made = [
        Channel(f"{base + int(one.split('.')[0])}.{one.split('.')[1]}" if "." in one else one)
        for one in channels
    ]
    assert engine_starts(made, Instant(base + 100.0)) == [Instant(float(base + one)) for one in starts]


@pytest.mark.durability
def test_a_power_cut_without_any_witness() -> None:
    """A call of an older version, or of a backup: its last event is the last that is known."""
    node, _, _ = talking()
    node.at(11).lose_power().at(3600).restart(engine_started=3590)
    assert node.durations() == (5, 0, 5)


@pytest.mark.durability
def test_calls_that_ring_or_wait_at_a_power_cut() -> None:
    for number in (c.TWICE, c.ALL, c.TO_ANNA):
        node = Node()
        node.arrive(number)
        before = len(node.engine.done)
        node.at(3).lose_power().at(3600).restart(engine_started=3590, alive_until=2)
        assert node.end["total_duration"] == 2
        assert node.end["finish_reason"] == "internal_error"
        assert not [one for one in node.engine.done[before:] if isinstance(one, ConnectTargets)]


@pytest.mark.durability
def test_an_engine_that_was_stopped_during_a_talk() -> None:
    """It ends its channels itself, so the CEL log has ends, and none of them is by a party."""
    node, customer, phone = talking()
    node.kill()
    [session] = node.switch.sessions.values()
    bridge = session.legs[session.talks[0].leg_id].bridge
    assert bridge is not None
    for one in (customer, phone):
        node.missed.append(Left(one, Instant(T0 + 11), bridge))
        node.missed.append(Ended(one, Instant(T0 + 11), 0, by_party=False))
    node.lose_power().at(60).restart(engine_started=50, alive_until=10)
    assert node.durations() == (5, 6, 11)
    assert node.end["finish_reason"] == "internal_error"


@pytest.mark.durability
@pytest.mark.parametrize(("stopped", "reason"), [(11, "internal_error"), (30, "caller_disconnects")])
def test_an_engine_that_was_stopped_while_a_phone_rang(stopped: int, reason: str) -> None:
    """A call that ended long before the stop ended for a reason of its own."""
    node = Node()
    asterisk_names(node)
    customer = node.arrive(c.TO_ANNA)
    phone = ring(node.at(5))
    other = node.arrive(c.TWICE)
    node.kill()
    for channel, at in ((phone, 11), (customer, 11), (other, stopped)):
        node.missed.append(Ended(channel, Instant(T0 + at), 0, by_party=False))
    node.lose_power().at(60).restart(engine_started=50, alive_until=10)
    ended = {
        str(event.data["finish_reason"])
        for event in node.reported.events[next(iter(node.reported.events))]
        if event.type is EventType.SESSION_FINISHED
    }
    assert ended == {reason}


@pytest.mark.durability
def test_a_party_that_hung_up_before_the_power_cut_is_the_reason() -> None:
    node, customer, _ = talking()
    node.kill().at(8).engine.hang_up(customer)
    node.flow().lose_power().at(60).restart(engine_started=50, alive_until=5)
    assert node.durations() == (5, 3, 8)
    assert node.end["finish_reason"] == "caller_disconnects"
