"""Calls started by the API: the order of the calls, the messages before the talk, and the end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.simulation import CallSimulation
from tests.calls.test_any_command import coached, settled
from trunkline.calls.effects import ConnectTargets, SendKeys
from trunkline.calls.session import Phase
from trunkline.events.reasons import Reason
from trunkline.telephony.port import Channel

R = Reason
MEDIA = {"type": "media", "value": c.GREETING}
TTS = {"type": "tts", "value": "Hello", "file": "/speech/hello"}
COMMON: dict[str, Any] = {"virtual_phone_number": c.number_of(c.TO_ANNA), "contact": c.CUSTOMER}


def call(first: str, **more: Any) -> CallSimulation:
    """An employee call of Anna to the customer."""
    simulation = CallSimulation(coached(), online=[c.ANNA_LINE, c.BORIS_LINE, c.DORA_LINE])
    employee = {"id": c.ANNA, "phone_number": c.ANNA_LINE}
    return simulation.start("start_employee_call", **COMMON, first_call=first, employee=employee, **more)


def channel(simulation: CallSimulation, number: str) -> Channel:
    return next(
        one.channel
        for one in simulation.engine.channels.values()
        if number in (one.number, one.endpoint.name)
    )


def hears(simulation: CallSimulation, number: str) -> set[str]:
    return simulation.engine.hearing(channel(simulation, number))


def heard(simulation: CallSimulation, number: str) -> None:
    """Its message has been played to its end."""
    simulation.engine.played(channel(simulation, number))
    simulation.flow()


def phase_of(simulation: CallSimulation) -> Phase:
    return simulation.session.phase


def over(simulation: CallSimulation) -> None:
    """They talk, and the customer hangs up."""
    assert phase_of(simulation) is Phase.TALK
    settled(simulation)
    simulation.hang_up(channel(simulation, c.CUSTOMER))
    assert simulation.end["finish_reason"] == R.CALLER_DISCONNECTS


@pytest.mark.parametrize(
    ("first", "one", "other"),
    [("contact", c.CUSTOMER, c.ANNA_LINE), ("employee", c.ANNA_LINE, c.CUSTOMER)],
)
def test_nothing_to_hear(first: str, one: str, other: str) -> None:
    simulation = call(first)
    assert simulation.ringing() == channel(simulation, one)
    simulation.answer(one)
    assert any(isinstance(effect, ConnectTargets) for effect in simulation.engine.done), (
        "the engine connects them"
    )
    simulation.answer(other)
    over(simulation)


def test_contact_first_hears_its_message_to_the_end() -> None:
    simulation = call("contact", contact_message=MEDIA)
    simulation.answer(c.CUSTOMER)
    assert hears(simulation, c.CUSTOMER) == {"message"}
    simulation.answer(c.ANNA_LINE)
    assert phase_of(simulation) is Phase.SESSION, "the message is not over"
    assert hears(simulation, c.ANNA_LINE) == {"music"}
    heard(simulation, c.CUSTOMER)
    over(simulation)


def test_contact_first_hears_music_after_its_message() -> None:
    simulation = call("contact", contact_message=MEDIA)
    simulation.answer(c.CUSTOMER)
    heard(simulation, c.CUSTOMER)
    assert hears(simulation, c.CUSTOMER) == {"music"}
    simulation.answer(c.ANNA_LINE)
    over(simulation)


def test_switched_at_once_the_message_is_cut() -> None:
    simulation = call("contact", contact_message=MEDIA, switch_at_once=True)
    simulation.answer(c.CUSTOMER)
    simulation.answer(c.ANNA_LINE)
    assert "message" not in hears(simulation, c.CUSTOMER)
    over(simulation)


def test_spoken_text_is_never_cut() -> None:
    simulation = call("contact", contact_message=TTS, switch_at_once=True)
    simulation.answer(c.CUSTOMER)
    simulation.answer(c.ANNA_LINE)
    assert hears(simulation, c.CUSTOMER) == {"message"}
    heard(simulation, c.CUSTOMER)
    over(simulation)


def test_employee_first_hears_its_message_before_the_contact_is_called() -> None:
    simulation = call("employee", employee_message=MEDIA)
    simulation.answer(c.ANNA_LINE)
    assert hears(simulation, c.ANNA_LINE) == {"message"}
    assert len(simulation.engine.channels) == 1
    heard(simulation, c.ANNA_LINE)
    simulation.answer(c.CUSTOMER)
    over(simulation)


@pytest.mark.parametrize("first", ["contact", "employee"])
def test_both_hear_something(first: str) -> None:
    simulation = call(first, employee_message=MEDIA, contact_message=MEDIA)
    one, other = (c.CUSTOMER, c.ANNA_LINE) if first == "contact" else (c.ANNA_LINE, c.CUSTOMER)
    simulation.answer(one)
    heard(simulation, one)
    simulation.answer(other)
    assert hears(simulation, other) == {"message"}
    assert phase_of(simulation) is Phase.SESSION
    heard(simulation, other)
    over(simulation)


@pytest.mark.parametrize("early", [True, False])
def test_early_switching_is_without_music(early: bool) -> None:
    simulation = call("employee", early_switching=early)
    simulation.answer(c.ANNA_LINE)
    (dial,) = (one for one in simulation.engine.done if isinstance(one, ConnectTargets))
    assert (dial.connect.music is None) == early
    simulation.answer(c.CUSTOMER)
    over(simulation)


@pytest.mark.parametrize("first", ["contact", "employee"])
def test_keys_to_the_contact(first: str) -> None:
    simulation = call(first, dtmf_string="..12")
    one, other = (c.CUSTOMER, c.ANNA_LINE) if first == "contact" else (c.ANNA_LINE, c.CUSTOMER)
    simulation.answer(one)
    simulation.answer(other)
    keys = [effect for effect in simulation.engine.done if isinstance(effect, SendKeys)]
    assert keys == [SendKeys(channel(simulation, c.CUSTOMER), "..12")]
    over(simulation)


@pytest.mark.parametrize("first", ["contact", "employee"])
@pytest.mark.parametrize(("wanted", "pressed"), [("any", "5"), ("1", "1")])
def test_operator_takes_the_call_by_a_key(first: str, wanted: str, pressed: str) -> None:
    simulation = call(first, operator_confirmation=wanted, employee_message=MEDIA)
    if first == "contact":
        simulation.answer(c.CUSTOMER)
    simulation.answer(c.ANNA_LINE)
    if wanted == "1":
        simulation.press(channel(simulation, c.ANNA_LINE), "7")
    heard(simulation, c.ANNA_LINE)
    assert phase_of(simulation) is Phase.SESSION
    simulation.press(channel(simulation, c.ANNA_LINE), pressed)
    if first == "employee":
        simulation.answer(c.CUSTOMER)
    over(simulation)


@pytest.mark.parametrize("method", ["start_scenario_call", "start_vnumber_call"])
def test_scenario_calls_the_contact_first(method: str) -> None:
    simulation = CallSimulation()
    simulation.start(method, **COMMON, first_call="contact", scenario_id=c.TO_ANNA)
    simulation.answer(c.CUSTOMER)
    simulation.answer(c.ANNA_LINE)
    over(simulation)
    assert simulation.end["scenario_id"] == c.TO_ANNA


@pytest.mark.parametrize("scenario_id", [c.TO_ANNA, c.ALL])
def test_a_scenario_rings_an_employee_who_hears_the_message_of_the_request(scenario_id: int) -> None:
    simulation = CallSimulation()
    request = {**COMMON, "first_call": "contact", "scenario_id": scenario_id, "employee_message": MEDIA}
    simulation.start("start_scenario_call", **request)
    simulation.answer(c.CUSTOMER)
    [connect] = [one for one in simulation.engine.done if isinstance(one, ConnectTargets)]
    [message] = connect.connect.announcement
    assert "greeting" in message


@pytest.mark.parametrize("first", ["employee", "operator"])
@pytest.mark.parametrize("method", ["start_scenario_call", "start_vnumber_call"])
def test_scenario_calls_our_side_first(method: str, first: str) -> None:
    simulation = CallSimulation()
    simulation.start(method, **COMMON, first_call=first, scenario_id=c.TO_ANNA)
    simulation.answer(c.ANNA_LINE)
    simulation.answer(c.CUSTOMER)
    over(simulation)


def test_an_informer_call_plays_its_message_and_ends() -> None:
    simulation = CallSimulation()
    simulation.start("start_informer_call", **COMMON, contact_message=TTS)
    simulation.answer(c.CUSTOMER)
    assert hears(simulation, c.CUSTOMER) == {"message"}
    simulation.at(9)
    heard(simulation, c.CUSTOMER)
    assert simulation.end["finish_reason"] == R.SUCCESS_FINISH


def test_informer_whose_contact_hangs_up() -> None:
    simulation = CallSimulation()
    simulation.start("start_informer_call", **COMMON, contact_message=MEDIA)
    simulation.hang_up(simulation.answer(c.CUSTOMER))
    assert simulation.end["finish_reason"] == R.CALLER_DISCONNECTS


@pytest.mark.parametrize("cause", [17, 19, 21])
def test_informer_who_is_not_reached(cause: int) -> None:
    simulation = CallSimulation()
    simulation.start("start_informer_call", **COMMON, contact_message=MEDIA, dialing_timeout=10)
    simulation.at(10).refuse(cause, c.CUSTOMER)
    assert simulation.end["finish_reason"] == R.NO_SUCCESS_CALLER_CALL


@pytest.mark.parametrize("first", ["contact", "employee"])
@pytest.mark.parametrize("message", [None, MEDIA])
@pytest.mark.parametrize("cause", [17, 19, 20, 21])
def test_second_party_is_not_reached(first: str, message: dict[str, Any] | None, cause: int) -> None:
    more = {"contact_message": message} if message else {}
    simulation = call(first, **more)
    one, other = (c.CUSTOMER, c.ANNA_LINE) if first == "contact" else (c.ANNA_LINE, c.CUSTOMER)
    simulation.answer(one)
    simulation.refuse(cause, other)
    missed = R.NO_SUCCESS_OPERATOR_CALL if first == "contact" else R.NO_SUCCESS_CALLER_CALL
    assert simulation.end["finish_reason"] == missed


@pytest.mark.parametrize("message", [None, MEDIA])
@pytest.mark.parametrize("first", ["contact", "employee"])
def test_first_party_hangs_up_while_the_second_rings(first: str, message: dict[str, Any] | None) -> None:
    more = {"contact_message": message} if message else {}
    simulation = call(first, **more)
    one = c.CUSTOMER if first == "contact" else c.ANNA_LINE
    simulation.answer(one)
    simulation.hang_up(channel(simulation, one))
    expected = R.CALLER_DISCONNECTS if first == "contact" else R.OPERATOR_DISCONNECTS
    assert simulation.end["finish_reason"] == expected


def test_released_while_it_rings() -> None:
    simulation = call("contact").command("release_call")
    assert simulation.end["finish_reason"] == R.OPERATOR_DISCONNECTS
