"""A caller in a menu: keys, time, repeats, extensions, and a switch that restarts meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.calls import company as c
from tests.calls.company import hangup, scenario, to_employee
from tests.calls.story import Story, walk
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


def calling(**changes: Any) -> Story:
    return Story(account_with(flow(**changes))).arrive(1)


def prompts(story: Story) -> int:
    return sum(isinstance(one, PlayFiles) for one in story.engine.done)


def played(story: Story) -> Story:
    """The prompt is over."""
    story.engine.played(story.channel)
    return story.flow()


def elapsed(story: Story, seconds: float) -> Story:
    return story.at(story.clock - story.session.started_at + seconds).flow()


def decided(story: Story) -> list[tuple[str, str]]:
    data = [event.data for event in story.events if event.type is EventType.MENU_DECIDED]
    return [(one["outcome"], one["digits"]) for one in data]


def test_a_key_during_the_prompt_stops_it() -> None:
    story = calling()
    assert any(isinstance(one, Answer) for one in story.engine.done)
    story.press(story.channel, "1")
    assert any(isinstance(one, StopPlay) for one in story.engine.done)
    assert story.session.state == InMenu("1", 1), "12 is possible, too"
    assert story.session.timers.keys() == {"menu"}
    elapsed(story, 3.1)
    assert isinstance(story.session.state, Forwarding)
    assert not story.session.timers.keys() & {"menu"}
    story.answer(c.ANNA_LINE)
    story.hang_up()
    assert decided(story) == [("key", "1")]
    walk(story.events)


def test_two_keys() -> None:
    story = calling()
    story.press(story.channel, "1").press(story.channel, "2")
    story.answer(c.BORIS_LINE)
    story.hang_up()
    assert decided(story) == [("key", "12")]


def test_a_key_without_an_operation_ends_the_scenario() -> None:
    story = calling()
    story.press(story.channel, "3")
    assert story.end["finish_reason"] == "no_operation"


def test_nobody_presses_anything() -> None:
    story = played(calling())
    assert story.session.timers.keys() == {"menu"}
    elapsed(story, 5.1)
    assert (prompts(story), story.session.state) == (2, InMenu("", 2))
    assert not story.session.timers
    played(story)
    elapsed(story, 5.1)
    assert story.end["finish_reason"] == "ivr_timeout"
    assert decided(story) == [("timeout", "")]
    walk(story.events)


def test_a_branch_for_no_key() -> None:
    story = calling(timeout="x", repeats=1)
    elapsed(played(story), 5.1)
    story.answer(c.ANNA_LINE)
    story.hang_up()
    assert story.end["finish_reason"] == "caller_disconnects"


def test_a_branch_to_a_hang_up_after_no_key_is_a_timeout_still() -> None:
    story = calling(timeout="w", repeats=1)
    elapsed(played(story), 5.1)
    assert story.end["finish_reason"] == "ivr_timeout"


def test_wrong_keys() -> None:
    story = calling(invalid_media_file_ids=[c.MAIL_GREETING])
    story.press(story.channel, "9")
    assert story.session.state == InMenu("", 2)
    *_, last = [one for one in story.engine.done if isinstance(one, PlayFiles)]
    assert last.files == ("/media/mail", "/media/greeting")
    story.press(story.channel, "9")
    assert decided(story) == [("invalid", "9")]
    assert story.end["finish_reason"] == "scenario_disconnects"


def test_an_unfinished_key_is_wrong_when_its_time_is_over() -> None:
    story = calling(keys={"55": "x"}, repeats=1)
    story.press(story.channel, "5")
    elapsed(story, 3.1)
    assert decided(story) == [("invalid", "5")]


def test_a_menu_without_a_prompt_waits_at_once() -> None:
    story = calling(media_file_ids=[])
    assert story.session.timers.keys() == {"menu"}


def test_keys_of_others_mean_nothing() -> None:
    story = calling(keys={"1": "x"})
    story.press(story.channel, "1")
    anna = story.answer(c.ANNA_LINE)
    story.press(anna, "1")
    story.hang_up()
    assert len(decided(story)) == 1


def test_an_extension_is_dialled_and_its_next_follows() -> None:
    story = calling(extensions=True, keys={"9": "x"}, next="x")
    for key in "102":
        story.press(story.channel, key)
    assert story.session.chosen == {"employee_id": c.BORIS, "group_id": None}
    story.at(20).ring_out()
    story.answer(c.ANNA_LINE)
    story.hang_up()
    assert decided(story) == [("extension", "102")]
    assert [number for number, _ in story.reasons][1:] == [c.BORIS_LINE, c.ANNA_LINE]
    walk(story.events)


def test_a_group_by_its_extension() -> None:
    story = Story(
        account_with(
            scenario(1, ("m", OperationKind.DIAL_EXTENSION, {"media_file_ids": [c.GREETING], "next": None}))
        )
    ).arrive(1)
    for key in "200":
        story.press(story.channel, key)
    assert {leg.called_phone_number for leg in story.session.living} >= {c.ANNA_LINE, c.BORIS_LINE}
    story.answer(c.BORIS_LINE)
    story.hang_up()


def test_a_caller_who_hangs_up_in_the_menu() -> None:
    story = played(calling())
    story.hang_up()
    assert story.end["finish_reason"] == "caller_disconnects"


def test_a_menu_cannot_be_reached_by_a_click_to_call_before_an_answer() -> None:
    """A menu has no meaning for our side: a scenario as first party that has one rings nobody."""
    story = Story(account_with(flow()))
    story.start(
        "start_scenario_call",
        virtual_phone_number=c.number_of(1),
        contact=c.CUSTOMER,
        first_call="employee",
        scenario_id=1,
    )
    assert story.session.phase is Phase.ENDED


@pytest.mark.parametrize("pressed", ["", "1"])
def test_a_restarted_switch_repeats_the_menu(pressed: str) -> None:
    story = calling()
    if pressed:
        story.press(story.channel, pressed)
    else:
        played(story)
    story = restarted(story)
    assert story.session.state == InMenu("", 1)
    assert not story.session.timers, "the prompt plays again"
    story.press(story.channel, "1").press(story.channel, "2")
    story.answer(c.BORIS_LINE)
    story.hang_up()


def test_a_restarted_switch_calls_the_dialled_extension() -> None:
    """The former one was killed between the choice and the command to the engine."""
    story = calling(extensions=True, keys={"9": "x"})
    story.press(story.channel, "1").press(story.channel, "0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(story.engine, "perform", lambda _: None)
        story.press(story.channel, "2")
    assert isinstance(story.session.state, Forwarding)
    story = restarted(story)
    assert story.session.chosen == {"employee_id": c.BORIS, "group_id": None}
    story.answer(c.BORIS_LINE)
    story.hang_up()


class MenuMachine(RuleBasedStateMachine):
    """Any caller, at any pace: the call is in the menu with a prompt or a timer, or has left it."""

    @initialize(
        repeats=st.integers(1, 3),
        extensions=st.booleans(),
        prompt=st.booleans(),
        digits=st.sampled_from([None, {"min": 2, "max": 4, "next": "y"}]),
    )
    def arrive(self, repeats: int, extensions: bool, prompt: bool, digits: Any) -> None:
        self.story = calling(
            repeats=repeats,
            extensions=extensions,
            media_file_ids=[c.GREETING] if prompt else [],
            digits=digits,
            timeout="w",
        )
        self.repeats = repeats

    def lives(self) -> bool:
        return self.story.session.phase is not Phase.ENDED

    def in_menu(self) -> bool:
        return self.lives() and isinstance(self.story.session.state, InMenu)

    @precondition(in_menu)
    @rule(key=st.sampled_from("0123#*"))
    def press(self, key: str) -> None:
        self.story.press(self.story.channel, key)
        self.check()

    @precondition(in_menu)
    @rule()
    def prompt_ends(self) -> None:
        played(self.story)
        self.check()

    @precondition(in_menu)
    @rule(seconds=st.floats(0.1, 8))
    def wait(self, seconds: float) -> None:
        elapsed(self.story, seconds)
        self.check()

    @precondition(in_menu)
    @rule()
    def restart(self) -> None:
        self.story = restarted(self.story)
        self.check()

    @precondition(lambda self: not self.lives())
    @rule()
    def over(self) -> None:
        walk(self.story.events)

    @precondition(lives)
    @rule()
    def hang_up(self) -> None:
        self.story.hang_up()
        assert self.story.end["finish_reason"] is not None
        walk(self.story.events)

    def check(self) -> None:
        if not self.in_menu():
            return
        state = self.story.session.state
        assert isinstance(state, InMenu)
        assert state.round <= self.repeats
        is_played = self.story.session.playing is not None
        assert is_played != ("menu" in self.story.session.timers), "the caller waits for something, once"


TestMenuMachine = MenuMachine.TestCase
TestMenuMachine.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
