"""Any command at any moment, with any actions of the parties.

Besides what :class:`~tests.calls.test_any_call.AnyCall` proves: commands raise nothing but our own errors, a refused
one publishes nothing, nobody is left on the line, and the engine and our own bridges never connect a party both.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from tests.calls import company as c
from tests.calls.simulation import CallSimulation
from tests.calls.test_any_call import LINES, AnyCall
from trunkline.calls.command_names import CoachMode
from trunkline.calls.session import Phase, Role
from trunkline.calls.states import Connecting, Controlled, Parked, Transferring
from trunkline.core.errors import TrunklineError
from trunkline.directory.model import Account

DORA_NUMBER = "104"

SIMPLE: list[tuple[str, dict[str, Any]]] = [
    ("hold_call", {}),
    ("park_call", {}),
    ("unhold_call", {}),
    ("restore_talk", {}),
    ("transfer_talk", {}),
    ("record_call", {"action": "on"}),
    ("record_call", {"action": "off"}),
    ("send_dtmf", {"dtmf_string": "1..2"}),
    ("tag_call", {"tag_id": 1}),
    ("run_scenario", {"scenario_id": c.FULL}),
    ("run_scenario", {"scenario_id": c.ALL}),
    ("run_scenario", {"scenario_id": 999}),
    ("block_contact", {}),
    ("barge_media", {"media_file_id": c.GREETING}),
    ("barge_media", {"media_file_id": None}),
]
MESSAGE = {"type": "media", "value": c.GREETING}
SELDOM = st.sampled_from([False] * 7 + [True])
TARGETS = [DORA_NUMBER, "101", "200", c.BORIS_LINE, c.DORA_LINE, c.CUSTOMER, "442079460111", "199"]

REACHED = [DORA_NUMBER, c.CUSTOMER, c.BORIS_LINE]
FITTING = {
    Phase.TALK: ["hold_call", "hold_call", "run_scenario", "add_coach", "park_call"],
    Phase.HOLD: ["make_call", "make_call", "unhold_call"],
    Phase.DIALING: ["restore_talk", "transfer_talk"],
    Phase.OPERATOR_TALK: ["restore_talk", "transfer_talk"],
}


def coached() -> Account:
    """The company, where Dora coaches Anna and Boris."""
    people = c.company().employees
    return c.company(
        employees={
            key: dataclasses.replace(one, coach_id=None if key == c.DORA else c.DORA)
            for key, one in people.items()
        }
    )


def settled(simulation: CallSimulation) -> None:
    """Invariants of a settled call: the audio paths, and that no party waits without an end."""
    session, engine = simulation.session, simulation.engine
    if session.phase is Phase.ENDED or session.ending is not None:
        assert not engine.channels, "nobody is left on a call that is being hung up"
        return
    unresolved = {one.leg_id for one in session.unresolved}
    living = [leg for leg in session.living if leg.leg_id not in unresolved]
    channels = {leg.leg_id: engine.channels.get(leg.channel) for leg in living}
    assert all(channels.values()), "every living leg has its channel"
    assert len(engine.channels) == len(channels), "every channel has its living leg"
    assert any(leg.role is not Role.COACH for leg in session.living)
    for leg in session.living:
        assert leg.departure is None
    assert not isinstance(session.state, Connecting)
    contact = session.contact
    here = channels.get(contact.leg_id) if contact is not None else None
    operator, third = (channels.get(one or 0) for one in (session.operator_leg_id, session.third_leg_id))
    if session.phase is Phase.TALK:
        talk = next(one for one in session.talks if one.ended_at is None)
        other = channels[talk.leg_id]
        assert here is not None
        assert other is not None
        assert here.bridge is not None
        assert here.bridge == other.bridge
        assert here.controlled == other.controlled == isinstance(session.state, Controlled)
        for leg in living:
            barges = leg.coach_mode == CoachMode.BARGE and leg.answered_at is not None
            if (coach := channels[leg.leg_id]) is not None and leg.role is Role.COACH:
                assert (coach.bridge == here.bridge) == barges
    elif session.phase in (Phase.HOLD, Phase.DIALING, Phase.OPERATOR_TALK):
        assert here is not None
        assert engine.hearing(here.channel) in ({"music"}, {"message"}, {"music", "message"})
        assert isinstance(session.state, Transferring | Parked) or operator is not None
        assert (third is not None) == (session.phase is not Phase.HOLD)
        if session.phase is Phase.OPERATOR_TALK:
            assert operator is not None
            assert third is not None
            assert operator.bridge is not None
            assert operator.bridge == third.bridge
            assert operator.music is None


class AnyCommand(AnyCall):
    """Random actions of the parties, and random commands."""

    @initialize(
        scenario=st.sampled_from([c.TO_ANNA, c.ALL, c.TO_CLARA, c.FULL]),
        online=st.sets(st.sampled_from(LINES), min_size=3),
        offline=st.sets(st.sampled_from(LINES), max_size=1),
        kind=st.sampled_from(
            ["in", "in", "world", "colleague", "employee", "contact", "operator", "told", "scenario"]
        ),
        devices=st.just({}),
        talks=st.sampled_from([True, True, True, False]),
    )
    def begin(
        self,
        scenario: int,
        online: set[str],
        offline: set[str],
        devices: dict[str, int],
        kind: str,
        *,
        talks: bool = True,
    ) -> None:
        simulation = CallSimulation(coached(), online=online)
        simulation.engine.offline = offline
        self.simulation = simulation
        common = {"virtual_phone_number": c.number_of(1), "contact": c.CUSTOMER}
        if kind == "in":
            simulation.arrive(scenario)
        elif kind in ("world", "colleague"):
            simulation.dial(c.BORIS_LINE, {"world": c.CUSTOMER, "colleague": "101"}[kind])
        elif kind == "operator":
            simulation.start("start_simple_call", **common, first_call="operator", operator=c.CLARA_MOBILE)
        elif kind == "scenario":
            simulation.start("start_scenario_call", **common, first_call="employee", scenario_id=scenario)
        else:
            more = {"contact_message": MESSAGE, "employee_message": MESSAGE} if kind == "told" else {}
            first = "contact" if kind == "contact" else "employee"
            simulation.start(
                "start_employee_call", **common, **more, first_call=first, employee={"id": c.ANNA}
            )
        for _ in range(6 if talks else 0):
            self.somebody_answers(0)
            simulation.flow()
            for channel in list(simulation.engine.channels):
                simulation.engine.played(channel)
            simulation.flow()

    def _command(self, name: str, params: dict[str, Any]) -> None:
        simulation = self.living
        if simulation.session.phase is Phase.ENDED:
            return
        before = simulation.session.seq
        try:
            simulation.command(name, flow=False, **params)
        except TrunklineError:
            assert simulation.session.seq == before or name == "transfer_talk"

    @rule(which=st.sampled_from(SIMPLE))
    def a_command(self, which: tuple[str, dict[str, Any]]) -> None:
        self._command(*which)

    @rule(index=st.integers(0, 11), to=st.sampled_from(REACHED), well=st.booleans())
    def a_fitting_command(self, index: int, to: str, *, well: bool) -> None:
        """One that the phase allows, so that calls get far."""
        fitting = FITTING.get(self.living.session.phase, [])
        if fitting:
            name = fitting[index % len(fitting)]
            self._command(
                name,
                {"to": to}
                if name == "make_call"
                else {"scenario_id": c.ALL}
                if name == "run_scenario"
                else {},
            )
        if well:
            self.all_goes_well()

    @rule(to=st.sampled_from(TARGETS), reported=st.booleans())
    def make_call(self, to: str, reported: bool) -> None:
        self._command("make_call", {"to": to} | ({"to_message": MESSAGE} if reported else {}))

    @rule(to=st.sampled_from(TARGETS))
    def blind_transfer(self, to: str) -> None:
        self._command("transfer_talk", {"contact": to})

    @rule(to=st.sampled_from([None, *TARGETS]), mode=st.sampled_from([None, "listen", "whisper", "barge"]))
    def coach(self, to: str | None, mode: str | None) -> None:
        self._command("add_coach", {"phone_number": to, "mode": mode})

    @rule(index=st.integers(0, 5), really=SELDOM)
    def disconnect(self, index: int, *, really: bool) -> None:
        legs = list(self.living.session.legs) if really else [0]
        self._command("disconnect_leg", {"leg_id": legs[index % len(legs)]})

    @rule(index=st.integers(0, 9), really=SELDOM)
    def the_engine_refuses(self, index: int, *, really: bool) -> None:
        """A party that it could not call at all, or something else that it would not do."""
        channel = self._pick(index, list(self.living.engine.channels))
        leg = self.living.session.leg_of(channel) if channel is not None else None
        if channel is None or leg is None or not really:
            return
        chan = self.living.engine.channels[channel]
        if (leg.answered_at is not None) == chan.answered and (chan.answered or chan.originated):
            self.living.fail(channel)

    @rule()
    def a_ring_time_elapses(self) -> None:
        """Before what the engine has to say is delivered."""
        simulation = self.living
        if simulation.session.timers and simulation.session.phase is not Phase.ENDED:
            simulation.clock = max(simulation.clock, min(simulation.session.timers.values()))
            simulation.elapse()

    @rule()
    def each_event_is_published(self) -> None:
        self.living.flow()
        settled(self.living)

    @rule()
    def all_goes_well(self) -> None:
        self.living.flow()
        self.somebody_answers(0)
        self.living.flow()

    # What ends calls is rarer here than in a wholly wild world: most of it would end before anything was commanded.

    @rule(index=st.integers(0, 9), really=SELDOM)
    def somebody_hangs_up(self, index: int, *, really: bool = True) -> None:
        if really:
            super().somebody_hangs_up(index)

    @rule(
        index=st.integers(0, 9),
        cause=st.sampled_from([0, 17, 19, 20, 21, 26]),
        by=st.booleans(),
        really=SELDOM,
    )
    def a_phone_refuses(self, index: int, cause: int, by: bool, *, really: bool = True) -> None:
        if really:
            super().a_phone_refuses(index, cause, by)

    @precondition(
        lambda self: self.simulation is not None and self.simulation.session.phase is not Phase.ENDED
    )
    @rule(really=SELDOM)
    def it_is_released(self, *, really: bool = True) -> None:
        if really:
            super().it_is_released()


def walk_at_random(seed: int) -> None:
    """One call by a plain die: goes deeper into calls than a search that prefers short calls."""
    die = random.Random(seed)
    world = AnyCommand()
    world.begin(
        scenario=die.choice([c.TO_ANNA, c.ALL, c.TO_CLARA, c.FULL]),
        online=set(LINES),
        offline=set(die.sample(LINES, die.choice([0, 0, 1]))),
        devices={},
        kind=die.choice(
            ["in", "in", "in", "world", "colleague", "employee", "contact", "operator", "told", "scenario"]
        ),
    )
    steps: list[tuple[int, Callable[[], None]]] = [
        (
            22,
            lambda: world.a_fitting_command(die.randrange(10), die.choice(REACHED), well=die.random() < 0.4),
        ),
        (5, lambda: world.a_command(die.choice(SIMPLE))),
        (3, lambda: world.make_call(die.choice(TARGETS), die.random() < 0.5)),
        (3, lambda: world.blind_transfer(die.choice(TARGETS))),
        (3, lambda: world.coach(die.choice([None, *TARGETS]), die.choice([None, "listen", "barge"]))),
        (2, lambda: world.disconnect(die.randrange(6), really=True)),
        (2, lambda: world.the_engine_refuses(die.randrange(10), really=True)),
        (8, world.all_goes_well),
        (5, world.each_event_is_published),
        (2, world.a_ring_time_elapses),
        (3, lambda: world.somebody_hangs_up(die.randrange(10), really=True)),
        (3, lambda: world.a_phone_refuses(die.randrange(10), die.choice([0, 17, 19, 26]), True, really=True)),
        (1, lambda: world.it_is_released(really=True)),
        (8, lambda: world.somebody_answers(die.randrange(10))),
        (2, lambda: world.it_has_rung_enough(die.randrange(10))),
        (6, lambda: world.sound_ends(die.randrange(10))),
        (4, lambda: world.time_passes(die.random() * 5)),
        (14, lambda: world.the_network_delivers([(die.randrange(6), die.random() < 0.3) for _ in range(3)])),
        (4, lambda: world.an_old_signal_comes_once_more(die.randrange(50))),
    ]
    for _ in range(30):
        if world.living.session.phase is Phase.ENDED:
            break
        (step,) = die.choices([one for _, one in steps], [weight for weight, _ in steps])
        step()
    world.teardown()


@pytest.mark.parametrize("seed", range(8))
def test_walks_at_random(seed: int) -> None:
    for one in range(seed * 1000, seed * 1000 + 40):
        try:
            walk_at_random(one)
        except Exception as error:
            error.add_note(f"repeat it by walk_at_random({one})")
            raise


TestAnyCommand = AnyCommand.TestCase
TestAnyCommand.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
