"""A killed switch: what the next one finds in the logs and in the engine, and that each transition is published once."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.company import scenario, to_number
from tests.calls.fake_engine import a_line, a_trunk
from tests.calls.restarted_node import Node, asterisk_names, once, reconnect, ring, sessions_begun, talking
from tests.calls.simulation import T0, evolved
from trunkline.calls.effects import (
    ConnectTargets,
    PlayFiles,
    SendKeys,
)
from trunkline.calls.session import Phase
from trunkline.calls.switch.recovery import (
    Recovery,
    has_unlogged_end,
    log_start,
    start_of_ends,
)
from trunkline.core import not_recorded
from trunkline.core.clock import Instant
from trunkline.core.engine_values import CallTag
from trunkline.core.errors import EngineUnavailable
from trunkline.events.catalogue import EventType
from trunkline.telephony.port import (
    Arrived,
    Channel,
    ConnectFinished,
    Ringing,
    SeenChannel,
    Survey,
    TargetStarted,
)


@pytest.mark.parametrize("who", ["customer", "employee"])
def test_killed_during_a_talk_that_goes_on(who: str) -> None:
    node, customer, phone = talking()
    node.at(10).kill().restart()
    assert [one.phase for one in node.switch.sessions.values()] == [Phase.TALK]
    node.at(20).engine.hang_up(customer if who == "customer" else phone)
    node.flow()
    assert node.durations() == (5, 15, 20)
    assert node.end["finish_reason"] == (
        "caller_disconnects" if who == "customer" else "operator_disconnects"
    )
    once(
        node.simulation(),
        EventType.TALK_STARTED,
        EventType.TALK_ENDED,
        EventType.LEG_ANSWERED,
        EventType.LEG_ENDED,
    )
    assert node.end["recorded"] is True


@pytest.mark.parametrize("who", ["customer", "employee"])
def test_a_talk_that_ended_meanwhile(who: str) -> None:
    node, customer, phone = talking()
    node.kill().at(12).engine.hang_up(customer if who == "customer" else phone)
    node.flow().at(30).restart()
    assert node.durations() == (5, 7, 12)
    assert node.end["finish_reason"] == (
        "caller_disconnects" if who == "customer" else "operator_disconnects"
    )
    once(node.simulation(), EventType.TALK_STARTED, EventType.TALK_ENDED, EventType.LEG_ENDED)


@pytest.mark.parametrize("who", ["customer", "employee"])
def test_a_party_of_which_nothing_is_received_is_the_reason(who: str) -> None:
    """Asterisk ends its channel with cause 44; nobody hung up."""
    node, customer, phone = talking()
    node.at(9).engine._clear(
        node.engine.channels[customer if who == "customer" else phone], 44, by_party=False
    )
    node.flow()
    assert node.durations() == (5, 4, 9)
    assert node.end["finish_reason"] == (
        "caller_number_problems" if who == "customer" else "operator_number_problems"
    )


def test_killed_when_only_the_first_events_were_written() -> None:
    """A write of many calls is divided anywhere: also between an answer and the talk in the same millisecond."""
    recovered = (
        EventType.LEG_STARTED,
        EventType.LEG_ANSWERED,
        EventType.TALK_STARTED,
        EventType.RECORDING_STARTED,
        EventType.TALK_ENDED,
        EventType.LEG_ENDED,
        EventType.SESSION_FINISHED,
    )

    def reported(written: int | None) -> tuple[tuple[int, ...], list[int], list[int]]:
        node, customer, _ = talking()
        node.at(12).engine.hang_up(customer)
        node.flow()
        ends = list(node.reported.ends)
        if written is not None:
            node.kill()
            del next(iter(node.reported.events.values()))[written:]
            node.at(30).restart()
        types = [event.type for event in node.simulation()]
        return node.durations(), [types.count(kind) for kind in recovered], ends

    durations, counts, ends = reported(None)
    assert len(ends) > 5
    for written in ends[:-1]:
        assert reported(written)[:2] == (durations, counts), f"{written} events were written"


def test_killed_while_it_rings_and_answered_meanwhile() -> None:
    node = Node()
    customer = node.arrive(c.ALL)
    node.kill().at(4).engine.answer(ring(node))
    node.flow().at(9).restart()
    node.at(14).engine.hang_up(customer)
    node.flow()
    assert node.durations() == (4, 10, 14)
    reasons = sorted(
        str(event.data["finish_reason"]) for event in node.simulation() if event.type is EventType.LEG_ENDED
    )
    assert reasons == ["another_operator_answer", "caller_disconnects", "caller_disconnects"]


def test_killed_while_it_rings_and_given_up_meanwhile() -> None:
    node = Node()
    customer = node.arrive(c.ALL)
    node.kill().at(7).engine.hang_up(customer)
    node.flow().at(20).restart()
    reasons = {
        event.data["finish_reason"] for event in node.simulation() if event.type is EventType.LEG_ENDED
    }
    assert reasons == {"caller_disconnects"}
    assert node.durations() == (7, 0, 7)


def test_killed_while_it_rings_and_rings_on() -> None:
    node = Node()
    customer = node.arrive(c.TWICE)
    node.kill().at(3).restart()
    node.at(30).engine.ring_out(customer)
    node.flow()
    assert ring(node), "the next operation rings"
    node.at(40).engine.hang_up(customer)
    node.flow()
    assert node.end["finish_reason"] == "caller_disconnects"


def test_killed_before_the_call_was_decided() -> None:
    node = Node().kill()
    node.arrive(c.TWICE)
    node.at(5).restart()
    [session] = node.switch.sessions.values()
    assert all(leg.is_alive for leg in session.legs.values()), (
        "what was just begun is not taken for a failure"
    )
    phone = ring(node)
    node.at(8).engine.answer(phone)
    node.flow().at(18).engine.hang_up(phone)
    node.flow()
    assert node.durations() == (8, 10, 18)


def test_killed_before_anything_was_written() -> None:
    node = Node()
    customer = node.arrive(c.TWICE)
    node.kill().forget().at(3).engine.answer(ring(node))
    node.flow().at(5).restart()
    node.at(13).engine.hang_up(customer)
    node.flow()
    assert node.durations() == (3, 10, 13)
    assert node.end["finish_reason"] == "caller_disconnects"


def test_a_call_that_came_and_went_by_the_default_line() -> None:
    node = Node().kill()
    customer = node.arrive(c.TO_ANNA)
    connect = ConnectTargets(customer, _default(c.ANNA_LINE))
    node.engine.perform([connect])
    node.flow().at(22).engine.answer(ring(node))
    node.flow().at(30).engine.hang_up(customer)
    node.flow().at(40).restart()
    assert node.durations() == (22, 8, 30)
    assert node.end["finish_reason"] == "caller_disconnects"
    assert node.end["first_talked_employee_id"] == c.ANNA


def _by_default_line() -> tuple[Node, Channel]:
    """A call that came while no switch ran: the dialplan rings the default line of the number."""
    node = Node().kill()
    customer = node.arrive(c.TO_ANNA)
    node.engine.perform([ConnectTargets(customer, _default(c.ANNA_LINE))])
    return node.flow(), customer


@pytest.mark.durability
@pytest.mark.parametrize("restarted_at", [21, 25, 40], ids=["ringing", "talking", "ended"])
def test_a_call_by_the_default_line_is_not_recorded_and_the_reason_is_published(restarted_at: int) -> None:
    """No switch was there to command it. It must not be reported as one whose audio was lost."""
    node, customer = _by_default_line()
    steps: dict[int, Any] = {
        restarted_at: lambda: node.restart(),
        22: lambda: node.engine.answer(ring(node)),
        30: lambda: node.engine.hang_up(customer),
    }
    for second in sorted(steps):
        node.at(second)
        steps[second]()
        node.flow()
    assert node.end["first_talked_employee_id"] == c.ANNA
    types = [event.type for event in node.simulation()]
    assert EventType.RECORDING_STARTED not in types
    [refused] = [event for event in node.simulation() if event.type is EventType.RECORDING_REFUSED]
    assert refused.data["reason"] == not_recorded.WITHOUT_SWITCH
    assert node.end["recorded"] is False


def test_a_call_whose_decision_was_not_stored_is_recorded() -> None:
    node = Node()
    customer = node.arrive(c.TWICE)
    node.kill().forget().at(3).engine.answer(ring(node))
    node.flow().at(5).restart()
    node.at(13).engine.hang_up(customer)
    node.flow()
    assert node.end["recorded"] is True


def _default(login: str) -> Any:
    from trunkline.telephony.port import Connect, Target

    return Connect([Target(a_line(login))], 60, return_after_talk=False)


def test_a_second_restart_shows_nothing_again() -> None:
    node, customer, _phone = talking()
    node.at(10).kill().restart()
    count = sum(map(len, node.reported.events.values()))
    node.at(12).kill().restart()
    node.at(13).kill().restart()
    assert sum(map(len, node.reported.events.values())) == count
    node.at(20).engine.hang_up(customer)
    node.flow().kill().restart()
    assert node.durations() == (5, 15, 20)


def test_killed_during_a_greeting() -> None:
    node = Node()
    customer = node.arrive(c.FULL)
    node.kill().at(2).restart()
    assert isinstance(node.engine.done[-1], PlayFiles), "the greeting is said again"
    node.at(5).engine.played(customer)
    node.flow()
    assert ring(node)
    node.engine.hang_up(customer)
    node.flow()
    assert node.end["finish_reason"] == "caller_disconnects"


def test_what_is_being_hung_up_is_hung_up_again() -> None:
    node, _customer, _phone = talking()
    session = next(iter(node.switch.sessions.values()))
    perform, node.hands.perform = node.hands.perform, lambda *_: None  # type: ignore[method-assign]
    asyncio.run(node.switch.command(c.ACCOUNT, "release_call", {"call_session_id": session.call_session_id}))
    assert perform is not node.hands.perform
    node.kill().at(9).restart()
    assert node.end["finish_reason"] == "operator_disconnects"


def _dial_of(node: Node, channel: Channel) -> ConnectTargets:
    return next(
        one
        for one in reversed(node.engine.done)
        if isinstance(one, ConnectTargets) and one.channel == channel
    )


def _lose_the_dial(node: Node, channel: Channel) -> ConnectTargets:
    """The connect does not get to the engine."""
    dial = _dial_of(node, channel)
    node.engine.pending.clear()
    for target in node.engine.targets(channel):
        del node.engine.channels[target.channel]
    node.engine.channels[channel].connect = None
    return dial


def test_a_connect_that_the_engine_did_not_get_is_repeated() -> None:
    node = Node()
    channel = node.engine.arrive(a_trunk(), c.number_of(c.TO_ANNA), c.CUSTOMER)
    node.switch.handle(node.engine.pending.pop(0))
    node.missed.append(Arrived(channel, node.engine.at(), a_trunk(), "", "", "", Instant(node.clock)))
    [session] = node.switch.sessions.values()
    dial = _lose_the_dial(node, channel)
    node.switch.effect_failed(session.call_session_id, dial, EngineUnavailable("reset"))
    reconnect(node)
    assert [one.connect.targets for one in node.engine.done if isinstance(one, ConnectTargets)] == [
        dial.connect.targets
    ] * 2
    node.engine.answer(ring(node))
    node.flow()
    assert session.talking
    assert [leg.is_talked for leg in session.legs.values() if leg.is_operator_side] == [True]


def test_a_connect_that_is_not_sent_yet_did_not_come_back() -> None:
    """The connection broke while many connects waited: this one is sent after the recovery."""
    node = Node()
    channel = node.engine.arrive(a_trunk(), c.number_of(c.TO_ANNA), c.CUSTOMER)
    node.switch.handle(node.engine.pending.pop(0))
    [session] = node.switch.sessions.values()
    dial = _lose_the_dial(node, channel)
    node.hands.pending.add(session.call_session_id)
    done = len(node.engine.done)
    reconnect(node)
    assert len(node.engine.done) == done
    assert session.ending is None
    node.engine.perform([dial])
    node.flow()
    node.engine.answer(ring(node))
    node.flow()
    assert session.talking


@pytest.mark.parametrize("came_back", [False, True])
def test_a_connect_whose_response_was_lost_is_not_repeated(came_back: bool) -> None:
    node = Node()
    channel = node.engine.arrive(a_trunk(), c.number_of(c.TO_ANNA), c.CUSTOMER)
    node.switch.handle(node.engine.pending.pop(0))
    [session] = node.switch.sessions.values()
    dial = _dial_of(node, channel)
    node.switch.effect_failed(session.call_session_id, dial, EngineUnavailable("reset"))
    node.kill()  # what happens is in the log only
    if came_back:
        node.engine.ring_out(channel)
        node.engine.pending = [one for one in node.engine.pending if not isinstance(one, ConnectFinished)]
    node.flow()
    node.alive = True
    reconnect(node)
    dials = [one for one in node.engine.done if isinstance(one, ConnectTargets)]
    assert dials[0] is dial
    # When it came back, the second phone is called.
    assert len(dials) == 1 + came_back
    assert dial.connect.targets[0] not in [one.connect.targets[0] for one in dials[1:]]
    node.engine.answer(ring(node))
    node.flow()
    assert session.talking


def test_a_call_whose_arrival_was_lost_after_a_recovery_is_begun_by_the_next_one() -> None:
    """The first recovery finds it waiting in the dialplan; then it comes to us, and the connection breaks once more."""
    node = Node()
    channel = node.engine.arrive(a_trunk(), c.number_of(c.TO_ANNA), c.CUSTOMER)
    [arrived] = node.engine.pending
    node.engine.pending.clear()
    assert isinstance(arrived, Arrived)
    waiting = dataclasses.replace(node.seen(channel), controlled=False, called=arrived.called)
    at = Instant(node.clock + 1)
    node.recover(Survey(at, [waiting], [arrived]))
    [session] = node.switch.sessions.values()
    assert not node.engine.done
    node.recover(Survey(at, [dataclasses.replace(waiting, controlled=True)], [arrived]))
    node.flow()
    assert session.ending is None
    node.engine.answer(ring(node))
    node.flow()
    assert session.talking


DIALLED_IN_FULL = ["12025550110..2345", "+2125550111"]


"""With an extension; a number that looks like a national one without its plus."""


@pytest.mark.parametrize("dialled", DIALLED_IN_FULL)
def test_a_call_that_waited_is_placed_as_it_was_dialled(dialled: str) -> None:
    """Recovery began its session, and its arrival came later."""
    straight = Node()
    straight.engine.arrive(a_line(c.ANNA_LINE), dialled, c.ANNA_LINE)
    straight.flow()
    node = Node()
    channel = node.engine.arrive(a_line(c.ANNA_LINE), dialled, c.ANNA_LINE)
    [arrived] = node.engine.pending
    node.engine.pending.clear()
    assert isinstance(arrived, Arrived)
    waiting = dataclasses.replace(node.seen(channel), controlled=False, called=arrived.called)
    at = Instant(node.clock + 1)
    node.recover(Survey(at, [waiting], [arrived]))
    node.recover(Survey(at, [dataclasses.replace(waiting, controlled=True)], [arrived]))
    node.flow()
    assert _placed(node) == _placed(straight)


@pytest.mark.parametrize("dialled", DIALLED_IN_FULL)
def test_a_call_whose_connect_was_lost_is_placed_as_it_was_dialled(dialled: str) -> None:
    node = Node()
    channel = node.engine.arrive(a_line(c.ANNA_LINE), dialled, c.ANNA_LINE)
    node.switch.handle(node.engine.pending.pop(0))
    node.missed.append(
        Arrived(channel, node.engine.at(), a_line(c.ANNA_LINE), "", "", "", Instant(node.clock))
    )
    [session] = node.switch.sessions.values()
    [first] = _placed(node)
    dial = _lose_the_dial(node, channel)
    node.switch.effect_failed(session.call_session_id, dial, EngineUnavailable("reset"))
    reconnect(node)
    assert _placed(node)[-1] == first
    assert len(_placed(node)) == 2


def _placed(node: Node) -> list[tuple[str | None, str | None]]:
    """The number and the extension of each connect to an outside number."""
    [session] = node.switch.sessions.values()
    assert session.connect is not None
    return [
        (target.number, session.connect.targets[0].leg["keys"])
        for one in node.engine.done
        if isinstance(one, ConnectTargets)
        for target in one.connect.targets
    ]


def test_signals_of_calls_long_over_begin_nothing() -> None:
    node, customer, _phone = talking()
    node.at(20).engine.hang_up(customer)
    node.flow()
    reported = node.simulation()
    node.kill().restart()
    assert node.simulation() == reported


def test_the_caller_on_a_line_whose_decision_was_lost_is_connected() -> None:
    node = Node()
    node.engine.arrive(a_line(c.ANNA_LINE), "102", c.ANNA_LINE)
    perform, node.hands.perform = node.hands.perform, lambda *_: None  # type: ignore[method-assign]
    node.flow()
    assert not [one for one in node.engine.channels.values() if one.dialler]
    assert perform is not None
    node.kill().restart()
    assert node.engine.channels[ring(node)].endpoint.name == c.BORIS_LINE


@pytest.mark.parametrize("reported", [True, False])
def test_an_extension_is_keyed_in_once_though_the_switch_was_killed(reported: bool) -> None:
    """By the next switch if the answer was not published before, otherwise not again."""
    flow = scenario(c.OUTSIDE, ("a", *to_number(f"{c.PARTNER}...17")))
    node = Node(c.company(scenarios={**c.SCENARIOS, c.OUTSIDE: flow}))
    customer = node.arrive(c.OUTSIDE)
    phone = ring(node.at(5))
    if reported:
        node.engine.answer(phone)
        node.flow().at(6).kill()
    else:
        node.kill().engine.answer(phone)
        node.flow()
    node.at(8).restart()
    pressed = [one for one in node.engine.done if isinstance(one, SendKeys)]
    assert [(one.channel, one.keys) for one in pressed] == [(phone, "...17")]
    node.at(20).engine.hang_up(customer)
    node.flow()
    assert node.end["finish_reason"] == "caller_disconnects"


@pytest.mark.durability
def test_a_call_has_one_id_from_its_first_invite() -> None:
    """Published, lost, begun by the CEL log, lost again and begun from the listing: the id, and so the recording, is one."""
    node = Node()
    asterisk_names(node)
    node.arrive(c.TWICE)
    [first] = sessions_begun(node)
    node.kill().forget().restart()
    assert sessions_begun(node) == [first]
    node.kill().forget().at(30).restart_with(log=[])
    assert sessions_begun(node) == [first]


@pytest.mark.durability
@pytest.mark.parametrize("in_log", [True, False])
@pytest.mark.parametrize("in_listing", [True, False])
def test_a_call_that_begins_during_the_recovery_is_created_once(in_log: bool, in_listing: bool) -> None:
    """Wherever the engine's answers stand between its channel and the signal of its arrival."""
    node = Node().kill()
    asterisk_names(node)
    node.at(50)
    node.engine.arrive(a_trunk(), c.number_of(c.TWICE), c.CUSTOMER)
    node.missed = node.flow_later = list(node.engine.pending)
    node.engine.pending = []
    node.restart_with(log=node.flow_later if in_log else [], listing=in_listing)
    for signal in node.flow_later:
        node.switch.handle(signal)
    node.flow()
    assert len(sessions_begun(node)) == 1
    [session] = node.switch.sessions.values()
    assert [leg.direction for leg in session.legs.values()] == ["in", "out"]
    node.at(60).engine.answer(ring(node))
    node.flow().at(70).engine.hang_up(next(iter(session.legs.values())).channel)
    node.flow()
    assert node.end["finish_reason"] == "caller_disconnects"
    assert len(sessions_begun(node)) == 1


def test_a_call_that_ended_during_the_recovery_is_not_begun_again() -> None:
    """The listing still has its channel, the CEL log has its end, and the signals of both come afterwards."""
    node = Node().kill()
    asterisk_names(node)
    node.at(50)
    customer = node.engine.arrive(a_trunk(), c.number_of(c.TWICE), c.CUSTOMER)
    node.flow_later = list(node.engine.pending)
    listed = [node.seen(customer)]
    node.at(52).engine.hang_up(customer)
    node.flow_later = list(node.engine.pending)
    node.engine.pending.clear()
    node.restart_with(log=node.flow_later, channels=listed)
    for signal in node.flow_later:
        node.switch.handle(signal)
    node.flow()
    assert len(sessions_begun(node)) == 1
    assert not node.switch.sessions


@pytest.mark.durability
def test_signals_that_were_late_before_the_position_are_read() -> None:
    """A busy Asterisk reports other calls that begin, which moves the position, and this call's talk not before the kill."""
    node = Node()
    customer = node.arrive(c.TWICE)
    node.kill().at(5).engine.answer(ring(node))
    node.flow().at(8).engine.hang_up(customer)
    node.flow()
    start = log_start(node.switch.sessions.values(), Instant(T0 + 60))
    node.missed = [one for one in node.missed if one.at >= start]
    node.at(70).restart()
    assert node.durations() == (5, 3, 8)


@pytest.mark.durability
def test_an_answer_is_read_that_is_older_than_the_last_event_of_its_call() -> None:
    """A later signal of another phone came, and those of the answer were lost."""
    node = Node()
    customer = node.arrive(c.ALL)
    first, second = (one for one in node.engine.channels if one != customer)
    former = node.switch
    node.kill().at(5).engine.answer(first)
    node.flow()
    former.handle(Ringing(second, Instant(T0 + 6)))
    start = log_start(former.sessions.values(), Instant(T0 + 60))
    node.missed = [one for one in node.missed if one.at >= start]
    node.at(20).restart()
    node.at(25).engine.hang_up(customer)
    node.flow()
    assert node.durations() == (5, 20, 25)


@pytest.mark.durability
def test_the_end_of_a_talk_that_was_late_before_the_position_is_read() -> None:
    node, customer, _ = talking()
    node.kill().at(20).engine.hang_up(customer)
    node.flow()
    start = log_start(node.switch.sessions.values(), Instant(T0 + 60))
    assert start > T0 + 20  # a long talk does not make the restart long
    log = [one for one in node.missed if one.at >= start]
    assert has_unlogged_end(node.switch, Survey(Instant(T0 + 70), [], log))
    earlier = start_of_ends(node.switch, Survey(Instant(T0 + 70), [], log))
    assert earlier is not None
    node.missed = [one for one in node.missed if one.at >= earlier]
    node.at(70).restart()
    assert node.durations() == (5, 15, 20)


def test_a_call_of_which_only_the_beginning_is_known_does_not_stay_for_ever() -> None:
    node = Node()
    asterisk_names(node)
    node.arrive(c.TWICE)
    for events in node.reported.events.values():
        del events[1:]
    node.kill()
    node.engine.channels.clear()
    node.missed.clear()
    node.at(20).restart()
    assert not node.switch.sessions
    [events] = node.reported.events.values()
    assert [event.type for event in events] == [
        EventType.SESSION_STARTED,
        EventType.SESSION_ENDING,
        EventType.SESSION_FINISHED,
    ]


def test_a_leg_that_began_after_the_listing_is_not_closed() -> None:
    """The CEL log, read later, has it already."""
    node = Node()
    asterisk_names(node)
    node.arrive(c.TWICE)
    node.kill()
    node.at(9)
    node.clock += 1
    node.alive = True
    node.switch = node._switch()
    target = ring(node)
    for events in node.reported.events.values():
        session = evolved(None, [event for event in events if event.data.get("channel") != target])
        node.switch.restore(session, events)
    at = Instant(T0 + 9)
    channels = [node.seen(one) for one in node.engine.channels if one != target]
    began = TargetStarted(
        target, Instant(at + 0.5), channels[0].channel, node.engine.channels[target].endpoint, None
    )
    Recovery(node.switch, node.directory, Survey(at, channels, [began])).run()
    [session] = node.switch.sessions.values()
    assert session.leg_of(target) is not None
    assert all(leg.is_alive for leg in session.legs.values())


@pytest.mark.parametrize("is_new_process", [True, False])
def test_a_call_that_rings_during_a_recovery_is_recorded_when_it_is_answered(*, is_new_process: bool) -> None:
    """Asterisk records it as the decision before the recovery said; the events must name the files."""
    node = Node()
    node.arrive(c.TO_ANNA)
    if is_new_process:
        node.kill().restart()
    else:
        node.recover(Survey(Instant(node.clock), [node.seen(one) for one in node.engine.channels], []))
    node.engine.answer(ring(node))
    node.flow()
    events = next(iter(node.reported.events.values()))
    assert [event.type for event in events].count(EventType.RECORDING_STARTED) == 2


def test_an_answered_call_whose_events_are_lost_is_charged_from_its_answer() -> None:
    """It begins its scenario again, and Asterisk does not report the answer again."""
    node = Node()
    channel = node.arrive(c.GREETING_ONLY)
    node.at(2).forget().kill().at(3).restart()
    node.at(8).engine.played(channel)
    node.flow()
    [answered] = [event for event in node.simulation() if event.type is EventType.LEG_ANSWERED]
    assert answered.at == pytest.approx(T0, abs=0.1)


def _waiting(node: Node) -> Arrived:
    """A call arrives while no switch is there and waits in the dialplan: its first signal, which comes again."""
    channel = node.arrive(c.TO_ANNA)
    return next(one for one in node.missed if isinstance(one, Arrived) and one.channel == channel)


@pytest.mark.durability
def test_a_waiting_call_that_the_recovery_refused_is_not_taken_when_it_arrives_again() -> None:
    """Its hang-up is under way; a channel becomes free before that is done."""
    node, customer, _ = talking()
    arrived = _waiting(node.kill().at(8))
    node.channels_max = 2
    node.restart()
    assert node.hands.unknown_channels == [arrived.channel]
    node.at(12).engine.hang_up(customer)
    node.flow()
    assert not node.switch.sessions
    node.switch.handle(arrived)
    assert not node.switch.sessions, "one decision for one call"
    assert node.hands.unknown_channels == [arrived.channel] * 2, "the refusal is repeated"


@pytest.mark.durability
def test_a_refused_call_is_not_taken_when_it_arrives_again_without_a_recovery() -> None:
    node = Node()
    node.channels_max = 2
    node.switch = node._switch()
    customer = node.arrive(c.TWICE)
    channel = node.arrive(c.TO_ANNA)
    assert node.hands.unknown_channels == [channel]
    node.at(3).engine.hang_up(customer)
    node.flow()
    node.switch.handle(next(one for one in node.missed if getattr(one, "channel", None) == channel))
    assert not node.switch.sessions


@pytest.mark.durability
def test_a_recovery_repeats_a_refusal_that_was_not_carried_out() -> None:
    """The connection broke before Asterisk got the hang-up: its channel is still in Stasis, and no call has it."""
    node, _, _ = talking()
    arrived = _waiting(node.kill().at(8))
    node.alive = True
    node.switch.refuse_channel(arrived.channel)
    seen = SeenChannel(
        channel=arrived.channel,
        endpoint=arrived.endpoint,
        tag=CallTag(""),
        created_at=arrived.started_at,
        answered=False,
        ringing=False,
        controlled=True,
        bridge=None,
        linked=arrived.channel,
        calling_number=arrived.calling_number,
        called=arrived.called,
    )
    survey = Survey(
        Instant(node.clock),
        [*(node.seen(one) for one in node.engine.channels), seen],
        list(node.missed),
    )
    node.recover(survey)
    assert len(node.switch.sessions) == 1, "the talk"
    assert node.hands.unknown_channels == [arrived.channel] * 2


@pytest.mark.durability
def test_channels_of_calls_that_have_ended_are_not_counted_for_a_waiting_call() -> None:
    """The CEL log does not have their ends yet: a power cut of Asterisk, or a line that is written late."""
    node, _, _ = talking()
    node.kill().at(8)
    node.engine.channels.clear()
    node.engine.pending.clear()
    arrived = _waiting(node)
    node.channels_max = 2
    node.restart()
    assert not node.hands.unknown_channels
    assert [one.initiator.channel for one in node.switch.sessions.values() if one.initiator] == [
        arrived.channel
    ]
