"""A node for tests of recovery: a fake engine that continues, and switches that are killed and started."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from tests.calls import company as c
from tests.calls.fake_engine import FakeEngine, a_trunk
from tests.calls.simulation import T0
from trunkline.calls.effects import (
    Effect,
    Hangup,
)
from trunkline.calls.session import Phase
from trunkline.calls.switch.executor import EffectExecutor, EffectOutcome
from trunkline.calls.switch.recovery import (
    Recovery,
    restored,
)
from trunkline.calls.switch.switch import Switch
from trunkline.core.clock import Instant
from trunkline.core.engine_values import CallTag
from trunkline.core.errors import EngineUnavailable
from trunkline.core.hangup_causes import SWITCH_CONGESTION
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

_IN_CEL_LOG = (Arrived, TargetStarted, Answered, Joined, Left, Ended)


class FakeWriter:
    """A fake of the writer: keeps the events of a switch until it is killed."""

    full = False
    lag = 0
    unavailable_since: float | None = None

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

    def begin_flush(self) -> Callable[[], Awaitable[None]]:
        return self.flush

    def kept_waiter(self) -> Callable[[], Awaitable[None]] | None:
        return self.flush if self.unavailable_since is None else None


class DirectExecutor(EffectExecutor):
    """Executes at once, on the fake engine."""

    def __init__(self, engine: FakeEngine) -> None:
        self._fake = engine
        self.is_engine_up = True
        self.unknown_channels: list[Channel] = []
        self.pending: set[int] = set()
        """Sessions whose effects are not carried out yet."""

    def perform(
        self,
        call_session_id: int,
        effects: Sequence[Effect],
        outcome: EffectOutcome | None = None,
        stored: Any = None,
    ) -> None:
        self._fake.perform(effects)

    async def wait_engine_up(self, seconds: float) -> None:
        if not self.is_engine_up:
            raise EngineUnavailable("Asterisk is not connected now: nobody was called.")

    async def keep_when_left(self, channels: Sequence[Channel]) -> None:
        """The fake engine keeps nobody."""

    def has_pending(self, call_session_id: int) -> bool:
        return call_session_id in self.pending

    def refuse_channel(self, channel: Channel, cause: int = SWITCH_CONGESTION) -> None:
        self.unknown_channels.append(channel)
        self._fake.perform([Hangup(channel, cause)])

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
            self.missed += [self._logged(signal)] if isinstance(signal, _IN_CEL_LOG) else []
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
        self.replace_switch()
        survey = Survey(
            Instant(self.clock),
            [self.seen(one) for one in self.engine.channels],
            list(self.missed),
            None if engine_started is None else Instant(T0 + engine_started),
            self.engine.recordings,
        )
        self.recover(survey, None if alive_until is None else Instant(T0 + alive_until))
        return self.flow()

    def replace_switch(self) -> None:
        """A new switch with the event log, before it has looked at the engine."""
        self.alive = True
        self.switch = self._switch()
        for events in self.reported.events.values():
            session = restored(events)
            assert session is not None
            if session.phase is not Phase.ENDED:
                self.switch.restore(session, events)

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
        listed = [self.seen(one) for one in self.engine.channels] if listing else []
        at = Instant(self.clock - 0.001)
        self.recover(Survey(at, listed if channels is None else channels, list(log)))

    def seen(self, channel: Channel) -> SeenChannel:
        """As the listing of the engine has it."""
        chan = self.engine.channels[channel]
        arrived = next(
            (one for one in self.missed if isinstance(one, Arrived) and one.channel == channel), None
        )
        return SeenChannel(
            channel=channel,
            endpoint=chan.endpoint,
            tag=self._tag(channel),
            created_at=arrived.started_at if arrived is not None else Instant(self.clock),
            answered=chan.answered,
            ringing=False,
            controlled=chan.connect is None and chan.dialler is None,
            bridge=chan.bridge,
            linked=chan.dialler or channel,
            calling_number=arrived.calling_number if arrived is not None else "",
            called=arrived.called if arrived is not None else "",
        )

    def _tag(self, channel: Channel) -> CallTag:
        """The mark of the call on a channel that was connected by a command of a switch."""
        chan = self.engine.channels.get(channel)
        anchor = self.engine.channels.get(chan.dialler) if chan is not None and chan.dialler else chan
        return anchor.connect.tag if anchor is not None and anchor.connect is not None else CallTag("")

    def _logged(self, signal: Signal) -> Signal:
        """As the CEL log has it."""
        if isinstance(signal, Joined):
            return replace(signal, by_switch=bool(self._tag(signal.channel)))
        return signal

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


def reconnect(node: Node) -> None:
    """The connection to the engine broke and is back; the switch lived on, and signals of between are only in the log."""
    survey = Survey(Instant(node.clock), [node.seen(one) for one in node.engine.channels], list(node.missed))
    node.recover(survey)
    node.flow()


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
