"""Any call: whatever the world does in whatever order, rules never fail, and every call ends whole.

Each step of :class:`~tests.calls.simulation.CallSimulation` checks that the events rebuild the same session, that states
follow the tables, and that the end comes once and last.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.calls import company as c
from tests.calls.simulation import CallSimulation, walk
from trunkline.calls.session import Phase
from trunkline.telephony.port import Arrived, Channel, Signal

LINES = (c.ANNA_LINE, c.BORIS_LINE, c.ANNA_SECOND, c.DORA_LINE)


class AnyCall(RuleBasedStateMachine):
    """One call, a wild world, and a network that mixes the channels' signals."""

    def __init__(self) -> None:
        super().__init__()
        self.simulation: CallSimulation | None = None
        self.heard: list[Signal] = []

    @initialize(
        scenario=st.sampled_from(sorted(c.SCENARIOS)),
        online=st.sets(st.sampled_from(LINES)),
        offline=st.sets(st.sampled_from(LINES)),
        devices=st.dictionaries(st.sampled_from(LINES), st.integers(1, 3)),
        kind=st.sampled_from(
            ["in", "world", "colleague", "group", "line", "employee", "contact", "operator"]
        ),
    )
    def begin(
        self, scenario: int, online: set[str], offline: set[str], devices: dict[str, int], kind: str
    ) -> None:
        simulation = CallSimulation(online=online)
        simulation.engine.offline, simulation.engine.devices = offline, devices
        self.simulation = simulation
        called = {"world": c.CUSTOMER, "colleague": "101", "group": "200", "line": c.DORA_LINE}
        common = {"virtual_phone_number": c.number_of(1), "contact": c.CUSTOMER}
        if kind == "in":
            simulation.arrive(scenario)
        elif kind in called:
            simulation.dial(c.BORIS_LINE, called[kind])
        elif kind == "operator":
            simulation.start("start_simple_call", **common, first_call="operator", operator=c.CLARA_MOBILE)
        else:
            simulation.start("start_employee_call", **common, first_call=kind, employee={"id": c.ANNA})

    @property
    def living(self) -> CallSimulation:
        assert self.simulation is not None
        return self.simulation

    def _pick(self, index: int, channels: list[Channel]) -> Channel | None:
        return channels[index % len(channels)] if channels else None

    @rule(index=st.integers(0, 9))
    def somebody_answers(self, index: int) -> None:
        engine = self.living.engine
        ringing = [
            one.channel
            for one in engine.channels.values()
            if not one.answered and (one.originated or one.dialler in engine.channels)
        ]
        channel = self._pick(index, ringing)
        if channel is not None:
            engine.answer(channel)

    @rule(index=st.integers(0, 9))
    def somebody_rings(self, index: int) -> None:
        engine = self.living.engine
        channel = self._pick(index, [one.channel for one in engine.channels.values() if not one.answered])
        if channel is not None:
            engine.ring(channel)

    @rule(index=st.integers(0, 9))
    def somebody_hangs_up(self, index: int) -> None:
        channel = self._pick(index, list(self.living.engine.channels))
        if channel is not None:
            self.living.engine.hang_up(channel)

    @rule(
        index=st.integers(0, 9),
        cause=st.sampled_from([0, 1, 16, 17, 18, 19, 20, 21, 26, 27, 34, 127]),
        by=st.booleans(),
    )
    def a_phone_refuses(self, index: int, cause: int, by: bool) -> None:
        engine = self.living.engine
        called = [
            one.channel
            for one in engine.channels.values()
            if not one.answered and (one.originated or one.dialler)
        ]
        channel = self._pick(index, called)
        if channel is not None:
            engine.refuse(channel, cause, by_party=by)

    @rule(index=st.integers(0, 9))
    def it_has_rung_enough(self, index: int) -> None:
        engine = self.living.engine
        dialling = [one.channel for one in engine.channels.values() if one.connect and not one.bridge]
        channel = self._pick(index, dialling)
        if channel is not None:
            engine.ring_out(channel)

    @rule(index=st.integers(0, 9))
    def sound_ends(self, index: int) -> None:
        channel = self._pick(index, list(self.living.engine.channels))
        if channel is not None:
            self.living.engine.played(channel)
            self.living.engine.recorded(channel)

    @rule(seconds=st.floats(0.01, 40))
    def time_passes(self, seconds: float) -> None:
        self.living.clock += seconds

    @rule(indexes=st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=6))
    def the_network_delivers(self, indexes: list[tuple[int, bool]]) -> None:
        for index, twice in indexes:
            self._deliver(index)
            if twice and self.heard:
                self.living.handle(self.heard[-1])

    @rule(index=st.integers(0, 50))
    def an_old_signal_comes_once_more(self, index: int) -> None:
        """After a reconnect: of any channel, its newest."""
        if self.heard:
            channel = self.heard[index % len(self.heard)].channel  # type: ignore[union-attr]
            newest = [one for one in self.heard if one.channel == channel][-1]  # type: ignore[union-attr]
            self.living.handle(newest)

    @precondition(
        lambda self: self.simulation is not None and self.simulation.session.phase is not Phase.ENDED
    )
    @rule()
    def it_is_released(self) -> None:
        self.living.command("release_call")

    def _deliver(self, index: int) -> None:
        pending = self.living.engine.pending
        if not pending:
            return
        channels = list(dict.fromkeys(one.channel for one in pending))  # type: ignore[union-attr]
        channel = channels[index % len(channels)]
        signal = next(one for one in pending if one.channel == channel)  # type: ignore[union-attr]
        pending.remove(signal)
        if not isinstance(signal, Arrived):
            self.heard.append(signal)
        self.living.handle(signal)

    def teardown(self) -> None:
        """All phones go down; the call must end, and leave nothing behind."""
        simulation = self.simulation
        if simulation is None:
            return
        for _ in range(200):
            simulation.flow()
            if not simulation.engine.channels:
                break
            simulation.engine.hang_up(next(iter(simulation.engine.channels)))
        simulation.flow()
        assert simulation.session.phase is Phase.ENDED
        simulation.end  # noqa: B018
        walk(simulation.events)
        for line in (1, 2, 4, 5):
            assert simulation.presence.line_calls(line) == 0
        assert simulation.presence.trunk_calls(c.ACCOUNT, c.TRUNK) == 0
        assert all(simulation.presence.phone_calls(phone) == 0 for phone in (11, 12, 21, 31, 41))
        assert all(
            simulation.presence.number_calls(one, way) == 0 for one in c.SCENARIOS for way in ("in", "out")
        )


TestAnyCall = AnyCall.TestCase
TestAnyCall.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
