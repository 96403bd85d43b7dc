"""A caller in a menu: keys, time, repeats, extensions, and a switch that restarts meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.calls import company as c
from tests.calls.company import hangup, scenario, to_employee
from tests.calls.simulation import CallSimulation, walk
from tests.calls.test_scenario_operations import account_with, restarted
from trunkline.calls.effects import Answer, PlayFiles, StopPlay
from trunkline.calls.session import Phase
from trunkline.calls.states import Forwarding, InMenu
from trunkline.directory.model import OperationKind, Scenario
from trunkline.events.catalogue import EventType


def menu(**changes: Any) -> tuple[OperationKind, dict[str, Any]]:
    given: dict[str, Any] = {
        "media_file_ids": [c.GREETING],
        "timeout_seconds": 5,
        "key_seconds": 3,
        "repeats": 2,
        "keys": {"1": "x", "12": "y", "3": None},
        "invalid": "w",
        "timeout": None,
        "next": None,
    }
    return OperationKind.MENU, given | changes


def flow(**changes: Any) -> Scenario:
    return scenario(
        1,
        ("m", *menu(**changes)),
        ("x", *to_employee(c.ANNA)),
        ("y", *to_employee(c.BORIS)),
        ("w", *hangup()),
    )


def calling(**changes: Any) -> CallSimulation:
    return CallSimulation(account_with(flow(**changes))).arrive(1)


def prompts(simulation: CallSimulation) -> int:
    return sum(isinstance(one, PlayFiles) for one in simulation.engine.done)


def played(simulation: CallSimulation) -> CallSimulation:
    """The prompt is over."""
    simulation.engine.played(simulation.channel)
    return simulation.flow()


def elapsed(simulation: CallSimulation, seconds: float) -> CallSimulation:
    return simulation.at(simulation.clock - simulation.session.started_at + seconds).flow()


def decided(simulation: CallSimulation) -> list[tuple[str, str]]:
    data = [event.data for event in simulation.events if event.type is EventType.MENU_DECIDED]
    return [(one["outcome"], one["digits"]) for one in data]


def test_a_key_during_the_prompt_stops_it() -> None:
    simulation = calling()
    assert any(isinstance(one, Answer) for one in simulation.engine.done)
    simulation.press(simulation.channel, "1")
    assert any(isinstance(one, StopPlay) for one in simulation.engine.done)
    assert simulation.session.state == InMenu("1", 1), "12 is possible, too"
    assert simulation.session.timers.keys() == {"menu"}
    elapsed(simulation, 3.1)
    assert isinstance(simulation.session.state, Forwarding)
    assert not simulation.session.timers.keys() & {"menu"}
    simulation.answer(c.ANNA_LINE)
    simulation.hang_up()
    assert decided(simulation) == [("key", "1")]
    walk(simulation.events)


def test_two_keys() -> None:
    simulation = calling()
    simulation.press(simulation.channel, "1").press(simulation.channel, "2")
    simulation.answer(c.BORIS_LINE)
    simulation.hang_up()
    assert decided(simulation) == [("key", "12")]


def test_a_key_without_an_operation_ends_the_scenario() -> None:
    simulation = calling()
    simulation.press(simulation.channel, "3")
    assert simulation.end["finish_reason"] == "no_operation"


def test_nobody_presses_anything() -> None:
    simulation = played(calling())
    assert simulation.session.timers.keys() == {"menu"}
    elapsed(simulation, 5.1)
    assert (prompts(simulation), simulation.session.state) == (2, InMenu("", 2))
    assert not simulation.session.timers
    played(simulation)
    elapsed(simulation, 5.1)
    assert simulation.end["finish_reason"] == "ivr_timeout"
    assert decided(simulation) == [("timeout", "")]
    walk(simulation.events)


def test_a_branch_for_no_key() -> None:
    simulation = calling(timeout="x", repeats=1)
    elapsed(played(simulation), 5.1)
    simulation.answer(c.ANNA_LINE)
    simulation.hang_up()
    assert simulation.end["finish_reason"] == "caller_disconnects"


def test_a_branch_to_a_hang_up_after_no_key_is_a_timeout_still() -> None:
    simulation = calling(timeout="w", repeats=1)
    elapsed(played(simulation), 5.1)
    assert simulation.end["finish_reason"] == "ivr_timeout"


def test_wrong_keys() -> None:
    simulation = calling(invalid_media_file_ids=[c.MAIL_GREETING])
    simulation.press(simulation.channel, "9")
    assert simulation.session.state == InMenu("", 2)
    *_, last = [one for one in simulation.engine.done if isinstance(one, PlayFiles)]
    assert last.files == ("/media/mail", "/media/greeting")
    simulation.press(simulation.channel, "9")
    assert decided(simulation) == [("invalid", "9")]
    assert simulation.end["finish_reason"] == "scenario_disconnects"


def test_an_unfinished_key_is_wrong_when_its_time_is_over() -> None:
    simulation = calling(keys={"55": "x"}, repeats=1)
    simulation.press(simulation.channel, "5")
    elapsed(simulation, 3.1)
    assert decided(simulation) == [("invalid", "5")]


def test_a_menu_without_a_prompt_waits_at_once() -> None:
    simulation = calling(media_file_ids=[])
    assert simulation.session.timers.keys() == {"menu"}


def test_keys_of_others_mean_nothing() -> None:
    simulation = calling(keys={"1": "x"})
    simulation.press(simulation.channel, "1")
    anna = simulation.answer(c.ANNA_LINE)
    simulation.press(anna, "1")
    simulation.hang_up()
    assert len(decided(simulation)) == 1


def test_an_extension_is_dialled_and_its_next_follows() -> None:
    simulation = calling(extensions=True, keys={"9": "x"}, next="x")
    for key in "102":
        simulation.press(simulation.channel, key)
    assert simulation.session.chosen == {"employee_id": c.BORIS, "group_id": None, "number": None}
    simulation.at(20).ring_out()
    simulation.answer(c.ANNA_LINE)
    simulation.hang_up()
    assert decided(simulation) == [("extension", "102")]
    assert [number for number, _ in simulation.reasons][1:] == [c.BORIS_LINE, c.ANNA_LINE]
    walk(simulation.events)


def test_a_group_by_its_extension() -> None:
    simulation = CallSimulation(
        account_with(
            scenario(1, ("m", OperationKind.DIAL_EXTENSION, {"media_file_ids": [c.GREETING], "next": None}))
        )
    ).arrive(1)
    for key in "200":
        simulation.press(simulation.channel, key)
    assert {leg.called_phone_number for leg in simulation.session.living} >= {c.ANNA_LINE, c.BORIS_LINE}
    simulation.answer(c.BORIS_LINE)
    simulation.hang_up()


def test_a_caller_who_hangs_up_in_the_menu() -> None:
    simulation = played(calling())
    simulation.hang_up()
    assert simulation.end["finish_reason"] == "caller_disconnects"


def test_a_menu_cannot_be_reached_by_a_click_to_call_before_an_answer() -> None:
    """A menu has no meaning for our side: a scenario as first party that has one rings nobody."""
    simulation = CallSimulation(account_with(flow()))
    simulation.start(
        "start_scenario_call",
        virtual_phone_number=c.number_of(1),
        contact=c.CUSTOMER,
        first_call="employee",
        scenario_id=1,
    )
    assert simulation.session.phase is Phase.ENDED


@pytest.mark.parametrize("pressed", ["", "1"])
def test_a_restarted_switch_repeats_the_menu(pressed: str) -> None:
    simulation = calling()
    if pressed:
        simulation.press(simulation.channel, pressed)
    else:
        played(simulation)
    simulation = restarted(simulation)
    assert simulation.session.state == InMenu("", 1)
    assert not simulation.session.timers, "the prompt plays again"
    simulation.press(simulation.channel, "1").press(simulation.channel, "2")
    simulation.answer(c.BORIS_LINE)
    simulation.hang_up()


def test_a_restarted_switch_calls_the_dialled_extension() -> None:
    """The former one was killed between the choice and the command to the engine."""
    simulation = calling(extensions=True, keys={"9": "x"})
    simulation.press(simulation.channel, "1").press(simulation.channel, "0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulation.engine, "perform", lambda _: None)
        simulation.press(simulation.channel, "2")
    assert isinstance(simulation.session.state, Forwarding)
    simulation = restarted(simulation)
    assert simulation.session.chosen == {"employee_id": c.BORIS, "group_id": None, "number": None}
    simulation.answer(c.BORIS_LINE)
    simulation.hang_up()


class MenuMachine(RuleBasedStateMachine):
    """Any caller, at any pace: the call is in the menu with a prompt or a timer, or has left it."""

    @initialize(
        repeats=st.integers(1, 3),
        extensions=st.booleans(),
        prompt=st.booleans(),
        digits=st.sampled_from([None, {"min": 2, "max": 4, "next": "y"}]),
    )
    def arrive(self, repeats: int, extensions: bool, prompt: bool, digits: Any) -> None:
        self.simulation = calling(
            repeats=repeats,
            extensions=extensions,
            media_file_ids=[c.GREETING] if prompt else [],
            digits=digits,
            timeout="w",
        )
        self.repeats = repeats

    def lives(self) -> bool:
        return self.simulation.session.phase is not Phase.ENDED

    def in_menu(self) -> bool:
        return self.lives() and isinstance(self.simulation.session.state, InMenu)

    @precondition(in_menu)
    @rule(key=st.sampled_from("0123#*"))
    def press(self, key: str) -> None:
        self.simulation.press(self.simulation.channel, key)
        self.check()

    @precondition(in_menu)
    @rule()
    def prompt_ends(self) -> None:
        played(self.simulation)
        self.check()

    @precondition(in_menu)
    @rule(seconds=st.floats(0.1, 8))
    def wait(self, seconds: float) -> None:
        elapsed(self.simulation, seconds)
        self.check()

    @precondition(in_menu)
    @rule()
    def restart(self) -> None:
        self.simulation = restarted(self.simulation)
        self.check()

    @precondition(lambda self: not self.lives())
    @rule()
    def over(self) -> None:
        walk(self.simulation.events)

    @precondition(lives)
    @rule()
    def hang_up(self) -> None:
        self.simulation.hang_up()
        assert self.simulation.end["finish_reason"] is not None
        walk(self.simulation.events)

    def check(self) -> None:
        if not self.in_menu():
            return
        state = self.simulation.session.state
        assert isinstance(state, InMenu)
        assert state.round <= self.repeats
        is_played = self.simulation.session.playing is not None
        assert is_played != ("menu" in self.simulation.session.timers), "the caller waits for something, once"


TestMenuMachine = MenuMachine.TestCase
TestMenuMachine.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
