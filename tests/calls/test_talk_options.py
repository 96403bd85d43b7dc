"""Talk options: which keys call which, by whom and when, and what each does."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.simulation import T0, CallSimulation
from tests.calls.test_any_command import coached
from trunkline.calls.flows import talk_options
from trunkline.calls.session import Leg
from trunkline.core.clock import Instant
from trunkline.core.errors import InvalidState, NotFound
from trunkline.directory.model import TalkOption, TalkOptionKind

K = TalkOptionKind
OPTIONS = {
    one.button: one
    for one in (
        TalkOption("1", K.TAG_CALL, "Order", {"tag_id": 1}),
        TalkOption("12", K.CALL_COACH, "Help", {}),
        TalkOption("*", K.RECORD_TALK, "Record", {}),
        TalkOption("#", K.FINISH_CONVERSATION, "End", {}),
    )
}


def talk(kind: str = "in") -> CallSimulation:
    account = c.company(talk_options=OPTIONS)
    simulation = CallSimulation(account)
    if kind == "in":
        simulation.arrive(c.TO_ANNA)
        simulation.at(5).answer(c.ANNA_LINE)
    else:
        simulation.dial(c.ANNA_LINE, c.CUSTOMER)
        simulation.at(5).answer(c.CUSTOMER)
    return simulation


def anna(simulation: CallSimulation) -> Leg:
    return next(leg for leg in simulation.session.living if leg.is_operator_side)


def press(simulation: CallSimulation, leg: Leg, key: str, second: float) -> str | None:
    option = talk_options.pressed(simulation.account, simulation.session, leg, key, Instant(T0 + second))
    return option.button if option is not None else None


def test_one_key_and_two() -> None:
    simulation = talk()
    assert press(simulation, anna(simulation), "2", 10) is None
    assert press(simulation, anna(simulation), "1", 11) == "1", (
        "a key that is an option by itself does not wait"
    )
    assert press(simulation, anna(simulation), "*", 20) == "*"


def test_two_keys_only_without_delay() -> None:
    simulation = talk()
    options = {key: option for key, option in OPTIONS.items() if key != "1"}
    simulation.account = c.company(talk_options=options)
    assert press(simulation, anna(simulation), "1", 10) is None
    assert press(simulation, anna(simulation), "2", 11) == "12"
    assert press(simulation, anna(simulation), "1", 20) is None
    assert press(simulation, anna(simulation), "2", 20 + talk_options.KEY_TIMEOUT_SECONDS + 0.1) is None


def test_keys_of_the_contact_call_nothing() -> None:
    simulation = talk()
    contact = simulation.session.contact
    assert contact is not None
    assert press(simulation, contact, "1", 10) is None


def test_keys_on_hold_call_nothing() -> None:
    simulation = talk().command("hold_call")
    assert press(simulation, anna(simulation), "1", 10) is None
    assert talk_options.by_dtmf(simulation.account, simulation.session, "1", Instant(T0 + 10)) is None


def test_on_a_call_out_the_first_keys_are_for_the_other_sides_menu() -> None:
    simulation = talk("out")
    late = 5 + talk_options.OUTGOING_DELAY_SECONDS
    assert press(simulation, anna(simulation), "1", late - 1) is None
    assert talk_options.by_dtmf(simulation.account, simulation.session, "1", Instant(T0 + late - 1)) is None
    assert press(simulation, anna(simulation), "1", late + 1) == "1"
    assert (
        talk_options.by_dtmf(simulation.account, simulation.session, "12", Instant(T0 + late + 1))
        is OPTIONS["12"]
    )
    assert talk_options.by_dtmf(simulation.account, simulation.session, "99", Instant(T0 + late + 1)) is None


@pytest.mark.parametrize(
    ("kind", "settings", "command"),
    [
        (K.FINISH_CONVERSATION, {}, ("release_call", {})),
        (K.TAG_CALL, {"tag_id": 1}, ("tag_call", {"tag_id": 1})),
        (K.RECORD_TALK, {}, ("record_call", {"action": "off"})),
        (K.RUN_SCENARIO, {"scenario_id": 3}, ("run_scenario", {"scenario_id": 3})),
        (K.CALL_COACH, {}, ("add_coach", {"phone_number": None, "mode": None})),
        (K.SAVE_NUMA, {"contact_group_id": 4}, (talk_options.SAVE_CONTACT, {"contact_group_id": 4})),
        (K.TRANSFER_CALL, {"number": c.CLARA_MOBILE}, ("transfer_talk", {"contact": c.CLARA_MOBILE})),
        (K.TRANSFER_CALL, {"group_id": c.ALL}, ("transfer_talk", {"contact": "200"})),
        (K.TRANSFER_CALL, {"employee_id": c.BORIS}, ("transfer_talk", {"contact": "102"})),
    ],
)
def test_what_an_option_does(kind: K, settings: dict[str, Any], command: tuple[str, dict[str, Any]]) -> None:
    simulation = talk()
    option = TalkOption("1", kind, "", settings)
    assert talk_options.commands(simulation.account, simulation.session, option) == [command]


@pytest.mark.parametrize(
    ("kind", "settings"),
    [(K.RECEIVE_FAX, {}), (K.TRANSFER_CALL, {"employee_id": 99}), (K.TRANSFER_CALL, {"group_id": 99})],
)
def test_what_cannot_be_done_in_a_call(kind: K, settings: dict[str, Any]) -> None:
    simulation = talk()
    with pytest.raises(InvalidState):
        talk_options.commands(simulation.account, simulation.session, TalkOption("1", kind, "", settings))


def test_an_employee_without_short_number_is_called_by_a_phone() -> None:
    people = {
        key: one if key != c.CLARA else c.employee(c.CLARA, "Falk Clara", *one.phones, extension=None)
        for key, one in coached().employees.items()
    }
    simulation = talk()
    simulation.account = c.company(employees=people)
    option = TalkOption("1", K.TRANSFER_CALL, "", {"employee_id": c.CLARA})
    assert talk_options.commands(simulation.account, simulation.session, option) == [
        ("transfer_talk", {"contact": c.CLARA_MOBILE})
    ]


def test_no_such_option() -> None:
    with pytest.raises(NotFound) as error:
        talk_options.find(c.company(talk_options=OPTIONS), "9")
    assert error.value.mnemonic == "talk_option_not_found"


def test_as_the_door_lists_them() -> None:
    shown = talk_options.shown(c.company(talk_options=OPTIONS))
    assert shown[0] == {"button": "1", "mnemonic": "tag_call", "name": "Order", "button_value": None}
