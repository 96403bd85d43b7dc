"""A killed switch: what the next one finds in the logs and in the engine, and that each transition is published once."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.company import scenario, to_number
from tests.calls.fake_engine import FakeEngine, a_line, a_trunk
from tests.calls.simulation import T0, evolved
from trunkline.calls.effects import (
    ConnectTargets,
    Effect,
    Hangup,
    OriginateLeg,
    PlayFiles,
    RecordMessage,
    SendKeys,
)
from trunkline.calls.finish_reasons import SWITCH_CONGESTION
from trunkline.calls.session import Phase
from trunkline.calls.switch import command_handler
from trunkline.calls.switch.executor import EffectExecutor, Outcome
from trunkline.calls.switch.recovery import (
    Recovery,
    has_unlogged_end,
    log_start,
    restored,
    start_of_ends,
)
from trunkline.calls.switch.switch import Switch
from trunkline.core.clock import Instant
from trunkline.core.engine_values import CallTag
from trunkline.core.errors import EngineUnavailable, SwitchUnavailable
from trunkline.directory.model import Account, Directory
from trunkline.events.catalogue import Event, EventType
from trunkline.telephony.port import (
    Answered,
    Arrived,
    Bridge,
    Channel,
    ConnectFinished,
    Ended,
    Joined,
    Left,
    SeenChannel,
    Signal,
    Survey,
    TargetStarted,
)

_IN_ENGINES_JOURNAL = (Arrived, TargetStarted, Answered, Joined, Left, Ended)


class FakeWriter:
    """A fake of the writer: keeps the events of a switch until it is killed."""

    full = False
    lag = 0

    def __init__(self) -> None:
        self.is_stuck = False
        """Whether the database takes no events."""
        self.events: dict[int, list[Event]] = {}
        self.ends: list[int] = []
        """The number of the last event of each decision; those of one decision are written together."""

    def put(self, events: Sequence[Event], position: Instant | None = None) -> None:
        for event in events:
            assert event.call_session_id is not None
            self.events.setdefault(event.call_session_id, []).append(event)
        self.ends += [events[-1].seq] if events else []

    def restore(self, events: Sequence[Event]) -> None:
        """What was kept stays kept."""

    async def flush(self) -> None:
        """All is kept at once, unless the database is stuck."""
        while self.is_stuck:
            await asyncio.sleep(0.001)


class DirectExecutor(EffectExecutor):
    """Executes at once, on the fake engine."""

    def __init__(self, engine: FakeEngine) -> None:
        self._twin = engine
        self.unknown_channels: list[Channel] = []
        self.pending: set[int] = set()
        """Sessions whose effects are not carried out yet."""

    def perform(
        self, call_session_id: int, effects: Sequence[Effect], outcome: Outcome | None = None
    ) -> None:
        self._twin.perform(effects)

    def has_pending(self, call_session_id: int) -> bool:
        return call_session_id in self.pending

    def refuse_channel(self, channel: Channel, cause: int = SWITCH_CONGESTION) -> None:
        self.unknown_channels.append(channel)
        self._twin.perform([Hangup(channel, cause)])

    def close_bridges(self, bridges: Sequence[Bridge]) -> None:
        """The fake engine's bridges are gone with their channels."""


class NeverRings:
    """Stands for an armed clock timer: the test itself lets the time pass."""

    def cancel(self) -> None:
        """Nothing is armed."""


class Node:
    """A node: an engine that continues, and switches that are stopped and started."""

    def __init__(self, account: Account | None = None) -> None:
        self.clock = T0
        self.engine = FakeEngine(lambda: self.clock)
        self.directory = Directory({c.ACCOUNT: account or c.company()})
        self.reported = FakeWriter()
        self.missed: list[Signal] = []
        self.flow_later: list[Signal] = []
        self.alive = True
        self.channels_max = 0
        """Media ports; 0 = not known."""
        self.switch = self._switch()

    def _switch(self) -> Switch:
        self.hands = DirectExecutor(self.engine)
        return Switch(
            node=1,
            directory=lambda: self.directory,
            writer=self.reported,  # type: ignore[arg-type]
            executor=lambda _: self.hands,
            channels_max=self.channels_max,
            clock=lambda: self.clock,
            call_later=lambda _seconds, _function: NeverRings(),
        )

    def at(self, seconds: float) -> Node:
        self.clock = T0 + seconds
        return self

    def flow(self) -> Node:
        """Deliver the engine's signals; while no switch lives only the engine's own journal keeps them."""
        while self.engine.pending:
            signal = self.engine.pending.pop(0)
            self.missed += [signal] if isinstance(signal, _IN_ENGINES_JOURNAL) else []
            if self.alive:
                self.switch.handle(signal)
            elif isinstance(signal, ConnectFinished):
                # No application takes the channel back: the dialplan hangs it up.
                self.engine.perform([Hangup(signal.channel)])
        if self.alive:
            self.switch.timers.fire()
        return self if not self.engine.pending else self.flow()

    def arrive(self, scenario: int) -> Channel:
        channel = self.engine.arrive(a_trunk(), c.number_of(scenario), c.CUSTOMER)
        self.flow()
        return channel

    def kill(self) -> Node:
        self.alive = False
        return self

    def forget(self) -> Node:
        """The published events were not written yet."""
        self.reported.events.clear()
        return self

    def lose_power(self) -> Node:
        """Switch and engine are killed together: no channel is left, and no log has their ends."""
        self.kill()
        self.engine.channels.clear()
        self.engine.pending.clear()
        return self

    def restart(self, *, engine_started: float | None = None, alive_until: float | None = None) -> Node:
        """A new switch with the event log and the engine.

        :param engine_started: seconds after T0 at which this engine was started; None = before all calls.
        :param alive_until: seconds at which the former switch was connected to its engine for the last time.
        """
        self.clock += 1
        self.alive = True
        self.switch = self._switch()
        for events in self.reported.events.values():
            session = restored(events)
            assert session is not None
            if session.phase is not Phase.ENDED:
                self.switch.restore(session, events)
        survey = Survey(
            Instant(self.clock),
            [self._seen(one) for one in self.engine.channels],
            list(self.missed),
            None if engine_started is None else Instant(T0 + engine_started),
            self.engine.recordings,
        )
        self.recover(survey, None if alive_until is None else Instant(T0 + alive_until))
        return self.flow()

    def recover(self, survey: Survey, alive_until: Instant | None = None) -> None:
        for events in self.reported.events.values():
            ended = any(event.type is EventType.SESSION_FINISHED for event in events)
            for event in events if ended else ():
                if "channel" in event.data:
                    self.switch.remember_ended(Channel(event.data["channel"]))
        Recovery(self.switch, self.directory, survey, alive_until).run()

    def restart_with(
        self, *, log: Sequence[Signal], listing: bool = True, channels: list[SeenChannel] | None = None
    ) -> None:
        """A new switch whose survey has these lines of the log, and perhaps not yet the channels."""
        self.alive = True
        self.switch = self._switch()
        listed = [self._seen(one) for one in self.engine.channels] if listing else []
        at = Instant(self.clock - 0.001)
        self.recover(Survey(at, listed if channels is None else channels, list(log)))

    def _seen(self, channel: Channel) -> SeenChannel:
        chan = self.engine.channels[channel]
        arrived = next(
            (one for one in self.missed if isinstance(one, Arrived) and one.channel == channel), None
        )
        return SeenChannel(
            channel=channel,
            endpoint=chan.endpoint,
            tag=CallTag(""),
            created_at=arrived.started_at if arrived is not None else Instant(self.clock),
            answered=chan.answered,
            ringing=False,
            controlled=chan.connect is None and chan.dialler is None,
            bridge=chan.bridge,
            linked=chan.dialler or channel,
            calling_number=arrived.calling_number if arrived is not None else "",
            called=arrived.called if arrived is not None else "",
        )

    def simulation(self) -> list[Event]:
        """The events of the only call, which must be finished and published without a gap."""
        assert len(self.reported.events) == 1
        events = next(iter(self.reported.events.values()))
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert [event.type for event in events].count(EventType.SESSION_FINISHED) == 1
        assert events[-1].type is EventType.SESSION_FINISHED
        assert not self.switch.sessions
        assert not self.switch.channels
        assert not self.engine.channels
        return events

    @property
    def end(self) -> dict[str, Any]:
        return dict(self.simulation()[-1].data)

    def durations(self) -> tuple[int, ...]:
        return tuple(self.end[f"{name}_duration"] for name in ("wait", "talk", "total"))


def once(events: list[Event], *types: EventType) -> None:
    """Each of these was published once for each leg."""
    for kind in types:
        legs = [event.data["leg_id"] for event in events if event.type is kind]
        assert len(legs) == len(set(legs)), f"{kind} twice"


def ring(node: Node) -> Channel:
    return next(one.channel for one in node.engine.channels.values() if one.dialler and not one.answered)


def talking() -> tuple[Node, Channel, Channel]:
    node = Node()
    customer = node.arrive(c.TWICE)
    phone = ring(node.at(5))
    node.engine.answer(phone)
    return node.flow(), customer, phone


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
def test_a_party_that_hung_up_before_the_power_cut_is_the_reason() -> None:
    node, customer, _ = talking()
    node.kill().at(8).engine.hang_up(customer)
    node.flow().lose_power().at(60).restart(engine_started=50, alive_until=5)
    assert node.durations() == (5, 3, 8)
    assert node.end["finish_reason"] == "caller_disconnects"


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
    assert all(leg.alive for leg in session.legs.values()), "what was just begun is not taken for a failure"
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
    monkeypatch.setattr(command_handler, "START_PATIENCE_SECONDS", 0.05)
    node = Node()
    task = await _started(node)
    with pytest.raises(SwitchUnavailable, match="nobody was called"):
        await task
    assert not _originates(node)
    assert node.end["finish_reason"] == "internal_error"
    [leg] = [one for one in node.simulation() if one.type is EventType.LEG_ENDED]
    assert leg.data["is_failed"]


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
    _reconnect(node)
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


def _reconnect(node: Node) -> None:
    """The connection to the engine broke and is back; the switch lived on, and signals of between are only in the log."""
    survey = Survey(Instant(node.clock), [node._seen(one) for one in node.engine.channels], list(node.missed))
    node.recover(survey)
    node.flow()


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
    _reconnect(node)
    assert [one.connect.targets for one in node.engine.done if isinstance(one, ConnectTargets)] == [
        dial.connect.targets
    ] * 2
    node.engine.answer(ring(node))
    node.flow()
    assert session.talking
    assert [leg.is_talked for leg in session.legs.values() if leg.serves] == [True]


def test_a_connect_that_is_not_sent_yet_did_not_come_back() -> None:
    """The connection broke while many connects waited: this one is sent after the recovery."""
    node = Node()
    channel = node.engine.arrive(a_trunk(), c.number_of(c.TO_ANNA), c.CUSTOMER)
    node.switch.handle(node.engine.pending.pop(0))
    [session] = node.switch.sessions.values()
    dial = _lose_the_dial(node, channel)
    node.hands.pending.add(session.call_session_id)
    done = len(node.engine.done)
    _reconnect(node)
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
    _reconnect(node)
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
    waiting = dataclasses.replace(node._seen(channel), controlled=False, called=arrived.called)
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
    waiting = dataclasses.replace(node._seen(channel), controlled=False, called=arrived.called)
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
    _reconnect(node)
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


def asterisk_names(node: Node) -> None:
    """Channels are named as Asterisk names them from now on."""
    node.engine.name_channels(f"{int(T0)}.%d")


def sessions_begun(node: Node) -> list[int]:
    return [
        call_session_id
        for call_session_id, events in node.reported.events.items()
        for event in events
        if event.type is EventType.SESSION_STARTED
    ]


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
    listed = [node._seen(customer)]
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
    channels = [node._seen(one) for one in node.engine.channels if one != target]
    began = TargetStarted(
        target, Instant(at + 0.5), channels[0].channel, node.engine.channels[target].endpoint, None
    )
    Recovery(node.switch, node.directory, Survey(at, channels, [began])).run()
    [session] = node.switch.sessions.values()
    assert session.leg_of(target) is not None
    assert all(leg.alive for leg in session.legs.values())


@pytest.mark.parametrize("is_new_process", [True, False])
def test_a_call_that_rings_during_a_recovery_is_recorded_when_it_is_answered(*, is_new_process: bool) -> None:
    """Asterisk records it as the decision before the recovery said; the events must name the files."""
    node = Node()
    node.arrive(c.TO_ANNA)
    if is_new_process:
        node.kill().restart()
    else:
        node.recover(Survey(Instant(node.clock), [node._seen(one) for one in node.engine.channels], []))
    node.engine.answer(ring(node))
    node.flow()
    events = next(iter(node.reported.events.values()))
    assert [event.type for event in events].count(EventType.RECORDING_STARTED) == 2


# --- voice mail


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
    node.recover(Survey(Instant(node.clock), [node._seen(channel)], [], recordings=ended))
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
        [*(node._seen(one) for one in node.engine.channels), seen],
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
