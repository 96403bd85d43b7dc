"""Operations of scenarios in a call: tags, whom the call chooses, scenarios inside each other, also after a restart."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.company import company, greeting, scenario, to_employee
from tests.calls.simulation import CallSimulation, evolved, walk
from trunkline.calls.decision import Decision
from trunkline.calls.effects import Hangup, PlayFiles, StopPlay
from trunkline.calls.flows import inbound
from trunkline.calls.states import Forwarding, Greeting
from trunkline.core.clock import Instant
from trunkline.directory.model import Account, Contact, HangupCause, OperationKind, Scenario
from trunkline.events.catalogue import EventType

SUB = 50


def account_with(*flows: Scenario, **changes: Any) -> Account:
    """The company; the number of scenario 1 leads to the first of these."""
    return company(scenarios={**c.SCENARIOS, **{one.scenario_id: one for one in flows}}, **changes)


def announcement(
    following: str | None, repeats: int = 1, skip: str | None = None
) -> tuple[OperationKind, Any]:
    return OperationKind.ANNOUNCEMENT, {
        "media_file_ids": [c.GREETING], "repeats": repeats, "skip_key": skip, "next": following,
    }  # fmt: skip


def restarted(simulation: CallSimulation) -> CallSimulation:
    """A new switch has the call as its events have it, and goes on."""
    again = CallSimulation(simulation.account)
    again.engine, again.clock, again.events = simulation.engine, simulation.clock, simulation.events
    again.presence, again.ids, again.channel = simulation.presence, simulation.ids, simulation.channel
    again._session = evolved(None, simulation.events)
    again._error_body = evolved(None, simulation.events)
    decision = Decision(again.session, again.context(), Instant(again.clock))
    inbound.resume(decision)
    again.take(decision)
    return again.flow()


def test_a_scenario_tags_the_call_once() -> None:
    flow = scenario(
        1,
        ("a", OperationKind.TAG, {"tag_ids": [1, 77], "next": "b"}),
        ("b", OperationKind.TAG, {"tag_ids": [1], "next": "c"}),
        ("c", *to_employee(c.ANNA)),
    )
    simulation = CallSimulation(account_with(flow)).arrive(1)
    assert [tag["tag_name"] for tag in simulation.session.tags] == ["Order"]
    simulation.answer(c.ANNA_LINE)
    simulation.hang_up()
    walk(simulation.events)


def test_the_usual_employee_talks() -> None:
    flow = scenario(
        1,
        ("a", OperationKind.FORWARD_USUAL, {"choose": "manager", "next": "b"}),
        ("b", *to_employee(c.ANNA)),
    )
    account = account_with(flow, contacts_by_phone={c.CUSTOMER: Contact(8, "Stone", (), c.BORIS)})
    simulation = CallSimulation(account).arrive(1)
    assert isinstance(simulation.session.state, Forwarding)
    simulation.answer(c.BORIS_LINE)
    assert simulation.session.operations[-1]["key"] == "a"
    simulation.hang_up()
    walk(simulation.events)


def test_after_the_usual_employee_the_scenario_goes_on() -> None:
    flow = scenario(
        1,
        ("a", OperationKind.FORWARD_USUAL, {"choose": "manager", "next": "b"}),
        ("b", *to_employee(c.ANNA)),
    )
    account = account_with(flow, contacts_by_phone={c.CUSTOMER: Contact(8, "Stone", (), c.BORIS)})
    simulation = CallSimulation(account).arrive(1).at(3).ring_out()
    simulation.answer(c.ANNA_LINE)
    simulation.hang_up()
    assert [number for number, _ in simulation.reasons if number and number.startswith("026")] == [
        c.BORIS_LINE, c.ANNA_LINE,
    ]  # fmt: skip


def test_whom_a_caller_talked_with_last_is_called_again() -> None:
    flow = scenario(
        1, ("a", OperationKind.FORWARD_USUAL, {"choose": "last", "next": "b"}), ("b", *to_employee(c.BORIS))
    )
    account = account_with(flow)
    first = CallSimulation(account).arrive(1)
    first.answer(c.BORIS_LINE)
    first.hang_up()
    second = CallSimulation(account)
    second.presence, second.ids = first.presence, first.ids
    second.arrive(1)
    assert EventType.TARGET_CHOSEN in second.types
    second.answer(c.BORIS_LINE)
    second.hang_up()
    stranger = CallSimulation(account)
    stranger.presence, stranger.ids = first.presence, first.ids
    stranger.arrive(1, "12025550177")
    assert EventType.TARGET_CHOSEN not in stranger.types


def test_a_sub_scenario_returns_after_its_last_operation() -> None:
    account = account_with(
        scenario(
            1,
            ("a", OperationKind.RUN_SCENARIO, {"scenario_id": SUB, "next": "b"}),
            ("b", *to_employee(c.ANNA)),
        ),
        scenario(SUB, ("s", *greeting(None, c.GREETING))),
    )
    simulation = CallSimulation(account).arrive(1)
    assert (simulation.session.present_scenario_id, simulation.session.returns) == (SUB, [(1, "b")])
    simulation.engine.played(simulation.channel)
    simulation.flow()
    assert (simulation.session.present_scenario_id, simulation.session.returns) == (1, [])
    simulation.answer(c.ANNA_LINE)
    simulation.hang_up()
    assert (simulation.session.scenario_id, simulation.session.scenario_name) == (1, "Scenario 1")
    walk(simulation.events)


def test_a_restarted_switch_is_in_the_same_sub_scenario() -> None:
    account = account_with(
        scenario(
            1,
            ("a", OperationKind.RUN_SCENARIO, {"scenario_id": SUB, "next": "b"}),
            ("b", *to_employee(c.ANNA)),
        ),
        scenario(SUB, ("s", *greeting(None, c.GREETING))),
    )
    simulation = restarted(CallSimulation(account).arrive(1))
    assert (simulation.session.present_scenario_id, simulation.session.returns) == (SUB, [(1, "b")])
    simulation.engine.played(simulation.channel)
    simulation.flow().answer(c.ANNA_LINE)
    simulation.hang_up()


@pytest.mark.parametrize(("repeats", "files"), [(1, 1), (3, 3)])
def test_an_announcement_is_played_as_often_as_set(repeats: int, files: int) -> None:
    simulation = CallSimulation(
        account_with(scenario(1, ("a", *announcement("b", repeats)), ("b", *to_employee(c.ANNA))))
    )
    simulation.arrive(1)
    [play] = [one for one in simulation.engine.done if isinstance(one, PlayFiles)]
    assert len(play.files) == files
    assert isinstance(simulation.session.state, Greeting)


def test_an_announcement_is_skipped_with_its_key_only() -> None:
    simulation = CallSimulation(
        account_with(scenario(1, ("a", *announcement("b", skip="1")), ("b", *to_employee(c.ANNA))))
    ).arrive(1)
    simulation.press(simulation.channel, "2")
    assert isinstance(simulation.session.state, Greeting)
    simulation.press(simulation.channel, "1")
    assert any(isinstance(one, StopPlay) for one in simulation.engine.done)
    assert isinstance(simulation.session.state, Forwarding)
    simulation.answer(c.ANNA_LINE)
    simulation.hang_up()
    walk(simulation.events)


def test_keys_in_a_greeting_do_nothing() -> None:
    simulation = CallSimulation(
        account_with(scenario(1, ("a", *greeting("b", c.GREETING)), ("b", *to_employee(c.ANNA))))
    )
    simulation.arrive(1).press(simulation.channel, "1")
    assert isinstance(simulation.session.state, Greeting)


@pytest.mark.parametrize(
    ("cause", "code"),
    [(HangupCause.BUSY, 17), (HangupCause.REJECTED, 21), (HangupCause.NOT_FOUND, 1), (None, 16)],
)
def test_the_cause_of_a_hang_up(cause: HangupCause | None, code: int) -> None:
    settings = {} if cause is None else {"cause": cause.value}
    simulation = CallSimulation(account_with(scenario(1, ("a", OperationKind.HANGUP, settings)))).arrive(1)
    [hangup] = [one for one in simulation.engine.done if isinstance(one, Hangup)]
    assert hangup.cause == code
    assert simulation.end["finish_reason"] == "scenario_disconnects"
