"""Calls started by the API: the order of the calls, the messages before the talk, and the end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.story import Story
from tests.calls.test_any_command import coached, settled
from trunkline.calls.effects import Dial, Keys
from trunkline.calls.session import Phase
from trunkline.events.reasons import Reason
from trunkline.telephony.port import Channel

R = Reason
MEDIA = {"type": "media", "value": c.GREETING}
TTS = {"type": "tts", "value": "Hello", "file": "/speech/hello"}
COMMON: dict[str, Any] = {"virtual_phone_number": c.number_of(c.TO_ANNA), "contact": c.CUSTOMER}


def call(first: str, **more: Any) -> Story:
    """An employee call of Anna to the customer."""
    story = Story(coached(), online=[c.ANNA_LINE, c.BORIS_LINE, c.DORA_LINE])
    employee = {"id": c.ANNA, "phone_number": c.ANNA_LINE}
    return story.start("start_employee_call", **COMMON, first_call=first, employee=employee, **more)


def channel(story: Story, number: str) -> Channel:
    return next(
        one.channel for one in story.engine.channels.values() if number in (one.number, one.endpoint.name)
    )


def hears(story: Story, number: str) -> set[str]:
    return story.engine.hearing(channel(story, number))


def heard(story: Story, number: str) -> None:
    """Its message has been played to its end."""
    story.engine.played(channel(story, number))
    story.flow()


def phase_of(story: Story) -> Phase:
    return story.session.phase


def over(story: Story) -> None:
    """They talk, and the customer hangs up."""
    assert phase_of(story) is Phase.TALK
    settled(story)
    story.hang_up(channel(story, c.CUSTOMER))
    assert story.end["finish_reason"] == R.CALLER_DISCONNECTS


@pytest.mark.parametrize(
    ("first", "one", "other"),
    [("contact", c.CUSTOMER, c.ANNA_LINE), ("employee", c.ANNA_LINE, c.CUSTOMER)],
)
def test_nothing_to_hear(first: str, one: str, other: str) -> None:
    story = call(first)
    assert story.ringing() == channel(story, one)
    story.answer(one)
    assert any(isinstance(effect, Dial) for effect in story.engine.done), "the engine connects them"
    story.answer(other)
    over(story)


def test_contact_first_hears_its_message_to_the_end() -> None:
    story = call("contact", contact_message=MEDIA)
    story.answer(c.CUSTOMER)
    assert hears(story, c.CUSTOMER) == {"message"}
    story.answer(c.ANNA_LINE)
    assert phase_of(story) is Phase.SESSION, "the message is not over"
    assert hears(story, c.ANNA_LINE) == {"music"}
    heard(story, c.CUSTOMER)
    over(story)


def test_contact_first_hears_music_after_its_message() -> None:
    story = call("contact", contact_message=MEDIA)
    story.answer(c.CUSTOMER)
    heard(story, c.CUSTOMER)
    assert hears(story, c.CUSTOMER) == {"music"}
    story.answer(c.ANNA_LINE)
    over(story)


def test_switched_at_once_the_message_is_cut() -> None:
    story = call("contact", contact_message=MEDIA, switch_at_once=True)
    story.answer(c.CUSTOMER)
    story.answer(c.ANNA_LINE)
    assert "message" not in hears(story, c.CUSTOMER)
    over(story)


def test_spoken_text_is_never_cut() -> None:
    story = call("contact", contact_message=TTS, switch_at_once=True)
    story.answer(c.CUSTOMER)
    story.answer(c.ANNA_LINE)
    assert hears(story, c.CUSTOMER) == {"message"}
    heard(story, c.CUSTOMER)
    over(story)


def test_employee_first_hears_its_message_before_the_contact_is_called() -> None:
    story = call("employee", employee_message=MEDIA)
    story.answer(c.ANNA_LINE)
    assert hears(story, c.ANNA_LINE) == {"message"}
    assert len(story.engine.channels) == 1
    heard(story, c.ANNA_LINE)
    story.answer(c.CUSTOMER)
    over(story)


@pytest.mark.parametrize("first", ["contact", "employee"])
def test_both_hear_something(first: str) -> None:
    story = call(first, employee_message=MEDIA, contact_message=MEDIA)
    one, other = (c.CUSTOMER, c.ANNA_LINE) if first == "contact" else (c.ANNA_LINE, c.CUSTOMER)
    story.answer(one)
    heard(story, one)
    story.answer(other)
    assert hears(story, other) == {"message"}
    assert phase_of(story) is Phase.SESSION
    heard(story, other)
    over(story)


@pytest.mark.parametrize("early", [True, False])
def test_early_switching_is_without_music(early: bool) -> None:
    story = call("employee", early_switching=early)
    story.answer(c.ANNA_LINE)
    (dial,) = (one for one in story.engine.done if isinstance(one, Dial))
    assert (dial.connect.music is None) == early
    story.answer(c.CUSTOMER)
    over(story)


@pytest.mark.parametrize("first", ["contact", "employee"])
def test_keys_to_the_contact(first: str) -> None:
    story = call(first, dtmf_string="..12")
    one, other = (c.CUSTOMER, c.ANNA_LINE) if first == "contact" else (c.ANNA_LINE, c.CUSTOMER)
    story.answer(one)
    story.answer(other)
    keys = [effect for effect in story.engine.done if isinstance(effect, Keys)]
    assert keys == [Keys(channel(story, c.CUSTOMER), "..12")]
    over(story)


@pytest.mark.parametrize("first", ["contact", "employee"])
@pytest.mark.parametrize(("wanted", "pressed"), [("any", "5"), ("1", "1")])
def test_operator_takes_the_call_by_a_key(first: str, wanted: str, pressed: str) -> None:
    story = call(first, operator_confirmation=wanted, employee_message=MEDIA)
    if first == "contact":
        story.answer(c.CUSTOMER)
    story.answer(c.ANNA_LINE)
    if wanted == "1":
        story.press(channel(story, c.ANNA_LINE), "7")
    heard(story, c.ANNA_LINE)
    assert phase_of(story) is Phase.SESSION
    story.press(channel(story, c.ANNA_LINE), pressed)
    if first == "employee":
        story.answer(c.CUSTOMER)
    over(story)


@pytest.mark.parametrize("method", ["start_scenario_call", "start_vnumber_call"])
def test_scenario_calls_the_contact_first(method: str) -> None:
    story = Story()
    story.start(method, **COMMON, first_call="contact", scenario_id=c.TO_ANNA)
    story.answer(c.CUSTOMER)
    story.answer(c.ANNA_LINE)
    over(story)
    assert story.end["scenario_id"] == c.TO_ANNA


@pytest.mark.parametrize("first", ["employee", "operator"])
@pytest.mark.parametrize("method", ["start_scenario_call", "start_vnumber_call"])
def test_scenario_calls_our_side_first(method: str, first: str) -> None:
    story = Story()
    story.start(method, **COMMON, first_call=first, scenario_id=c.TO_ANNA)
    story.answer(c.ANNA_LINE)
    story.answer(c.CUSTOMER)
    over(story)


def test_informer() -> None:
    story = Story()
    story.start("start_informer_call", **COMMON, contact_message=TTS)
    story.answer(c.CUSTOMER)
    assert hears(story, c.CUSTOMER) == {"message"}
    story.at(9)
    heard(story, c.CUSTOMER)
    assert story.end["finish_reason"] == R.SUCCESS_FINISH


def test_informer_whose_contact_hangs_up() -> None:
    story = Story()
    story.start("start_informer_call", **COMMON, contact_message=MEDIA)
    story.hang_up(story.answer(c.CUSTOMER))
    assert story.end["finish_reason"] == R.CALLER_DISCONNECTS


@pytest.mark.parametrize("cause", [17, 19, 21])
def test_informer_who_is_not_reached(cause: int) -> None:
    story = Story()
    story.start("start_informer_call", **COMMON, contact_message=MEDIA, dialing_timeout=10)
    story.at(10).refuse(cause, c.CUSTOMER)
    assert story.end["finish_reason"] == R.NO_SUCCESS_CALLER_CALL


@pytest.mark.parametrize("first", ["contact", "employee"])
@pytest.mark.parametrize("message", [None, MEDIA])
@pytest.mark.parametrize("cause", [17, 19, 20, 21])
def test_second_party_is_not_reached(first: str, message: dict[str, Any] | None, cause: int) -> None:
    more = {"contact_message": message} if message else {}
    story = call(first, **more)
    one, other = (c.CUSTOMER, c.ANNA_LINE) if first == "contact" else (c.ANNA_LINE, c.CUSTOMER)
    story.answer(one)
    story.refuse(cause, other)
    missed = R.NO_SUCCESS_OPERATOR_CALL if first == "contact" else R.NO_SUCCESS_CALLER_CALL
    assert story.end["finish_reason"] == missed


@pytest.mark.parametrize("message", [None, MEDIA])
@pytest.mark.parametrize("first", ["contact", "employee"])
def test_first_party_hangs_up_while_the_second_rings(first: str, message: dict[str, Any] | None) -> None:
    more = {"contact_message": message} if message else {}
    story = call(first, **more)
    one = c.CUSTOMER if first == "contact" else c.ANNA_LINE
    story.answer(one)
    story.hang_up(channel(story, one))
    expected = R.CALLER_DISCONNECTS if first == "contact" else R.OPERATOR_DISCONNECTS
    assert story.end["finish_reason"] == expected


def test_released_while_it_rings() -> None:
    story = call("contact").command("release_call")
    assert story.end["finish_reason"] == R.OPERATOR_DISCONNECTS
