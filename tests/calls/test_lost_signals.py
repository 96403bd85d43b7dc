"""Live calls whose channels ended without a signal are found, and no others."""

from __future__ import annotations

import pytest

from tests.calls import company as c
from tests.calls.restarted_node import Node, ring
from tests.calls.simulation import CallSimulation
from trunkline.calls.session import Session, UnresolvedLeg
from trunkline.calls.switch.lost_signals import YOUNG_SECONDS, LostSignals
from trunkline.core.clock import Instant
from trunkline.telephony.port import Channel, Survey


def _talk() -> CallSimulation:
    simulation = CallSimulation().arrive(c.TO_ANNA)
    simulation.at(6).answer(c.ANNA_LINE)
    return simulation


def _check(
    checks: LostSignals, simulation: CallSimulation, there: set[Channel], *, answered: bool = True
) -> int:
    listed = dict.fromkeys(there, answered)
    return len(checks.check([simulation.session], listed, Instant(simulation.clock)))


def test_a_channel_that_is_missing_twice_was_lost() -> None:
    simulation, checks = _talk().at(30), LostSignals(lambda _: False)
    both = set(simulation.engine.channels)
    assert [_check(checks, simulation, one) for one in (both, {simulation.channel}, both)] == [0, 0, 0]
    assert [_check(checks, simulation, one) for one in ({simulation.channel}, {simulation.channel})] == [0, 1]
    checks.forget()
    assert [_check(checks, simulation, one) for one in ({simulation.channel}, {simulation.channel})] == [0, 1]


def test_young_legs_unresolved_legs_and_pending_commands_are_not_lost() -> None:
    simulation = _talk().at(30)
    for leg in simulation.session.living:
        leg.started_at = Instant(simulation.clock - YOUNG_SECONDS + 1)
    checks = LostSignals(lambda _: False)
    assert [_check(checks, simulation, set()) for _ in range(2)] == [0, 0]
    simulation.at(60)
    busy = LostSignals(lambda _: True)
    assert [_check(busy, simulation, set()) for _ in range(2)] == [0, 0]
    first, *others = simulation.session.living
    simulation.session.unresolved = [
        UnresolvedLeg(leg.leg_id, Instant(simulation.clock), 16) for leg in others
    ]
    unresolved = LostSignals(lambda _: False)
    assert [_check(unresolved, simulation, {first.channel}) for _ in range(2)] == [0, 0]
    assert [_check(unresolved, simulation, set()) for _ in range(2)] == [0, 1]


@pytest.mark.durability
def test_an_answer_in_two_listings_without_a_signal_was_lost() -> None:
    simulation, checks = CallSimulation().arrive(c.TO_ANNA), LostSignals(lambda _: False)
    there = set(simulation.engine.channels)
    rings = _check(checks, simulation.at(7), there, answered=False)
    assert [rings, *(_check(checks, simulation, there) for _ in range(4))] == [0, 0, 1, 0, 0]
    assert checks.without_effect([]) == []  # the call goes on, whatever the recovery does
    simulation.answer(c.ANNA_LINE)
    assert [_check(checks, simulation, there) for _ in range(2)] == [0, 0]


def test_after_a_loss_the_call_ends_as_the_log_has_it() -> None:
    """Everything after the arrival is lost but in the log; the switch lives on."""
    node = Node()
    channel = node.arrive(c.TO_ANNA)
    [session] = node.switch.sessions.values()
    node.kill()  # only the log has what follows
    node.at(5).engine.answer(ring(node))
    node.flow()
    node.at(35).engine.hang_up(channel)
    node.flow()
    node.alive = True
    checks = LostSignals(node.switch.has_pending_effects)
    node.at(50)
    found = [
        checks.check(
            node.switch.sessions.values(), dict.fromkeys(node.engine.channels, True), Instant(node.clock)
        )
        for _ in range(2)
    ]
    assert found == [[], [session]]
    node.recover(Survey(Instant(node.clock), [node.seen(one) for one in node.engine.channels], node.missed))
    node.flow()
    assert node.end["finish_reason"] == "caller_disconnects"
    assert node.end["talk_duration"] == 30


def test_a_call_that_no_recovery_corrects_is_ended() -> None:
    """A leg whose channel leads to another call gets no signal of its end: the second comparison ends the call."""
    node = Node()
    channel = node.arrive(c.TO_ANNA)
    [session] = node.switch.sessions.values()
    node.at(5).engine.answer(ring(node))
    node.flow()
    node.switch.channels.pop(channel)
    node.engine.channels.pop(channel)
    checks = LostSignals(node.switch.has_pending_effects)
    ended = []
    for turn in range(2):
        node.at(50 + 20 * turn)
        found: list[Session] = []
        for _ in range(2):
            found = checks.check([session], dict.fromkeys(node.engine.channels, True), Instant(node.clock))
            ended.append(checks.without_effect(found))
        assert found == [session]
        checks.forget()
        if turn == 0:
            seen = [node.seen(one) for one in node.engine.channels]
            node.recover(Survey(Instant(node.clock), seen, []))
            assert session.call_session_id in node.switch.sessions, "the recovery does not correct it"
    assert ended == [[], [], [], [session]]
    node.switch.end_lost(session)
    node.flow()
    assert not node.switch.sessions
    assert not session.living
    assert node.end["finish_reason"] == "internal_error"
