"""Calls that a scenario forwards to an outside number, and extensions that are keyed in behind a number."""

from __future__ import annotations

import dataclasses

import pytest

from tests.calls import company as c
from tests.calls.company import company, number_of, scenario, to_group, to_number
from tests.calls.simulation import CallSimulation, walk
from trunkline.calls.effects import ConnectTargets, Hangup, RecordMessage, SendKeys
from trunkline.calls.flows.number_plan import ToOutside, destination
from trunkline.calls.records.history import leg_row, session_row
from trunkline.calls.session import Role
from trunkline.core.engine_values import EndpointName
from trunkline.directory.model import Account, Scenario
from trunkline.telephony.port import Endpoint, EndpointKind

OFFICE = "442079460980"
"""Of a company with extensions behind it."""


def with_scenario(flow: Scenario, **changes: object) -> Account:
    return company(scenarios={**company().scenarios, flow.scenario_id: flow}, **changes)


def after(other: CallSimulation, account: Account | None = None) -> CallSimulation:
    """A further call on the same switch."""
    simulation = CallSimulation(account)
    simulation.presence, simulation.ids = other.presence, other.ids
    return simulation


def keyed(simulation: CallSimulation) -> list[tuple[str | None, str]]:
    """Employee (or number) of the legs that something was keyed to, and what."""
    legs = {leg.channel: leg for leg in simulation.session.legs.values()}
    done = [one for one in simulation.engine.done if isinstance(one, SendKeys)]
    return [
        (legs[one.channel].employee_full_name or legs[one.channel].called_phone_number, one.keys)
        for one in done
    ]


def test_a_talk_with_an_outside_number() -> None:
    simulation = CallSimulation().arrive(c.OUTSIDE)
    [dial] = [one for one in simulation.engine.done if isinstance(one, ConnectTargets)]
    [target] = dial.connect.targets
    assert (target.endpoint, target.number) == (
        Endpoint(EndpointKind.TRUNK, EndpointName("trunk-1")),
        c.PARTNER,
    )
    assert target.caller_number == number_of(c.OUTSIDE)
    assert dial.connect.ring_seconds == 20
    assert dial.connect.record
    party = simulation.at(4).answer(c.PARTNER)
    simulation.at(24).hang_up(party)
    leg = simulation.leg(1)
    assert (leg.role, leg.trunk_id, leg.operation_name) == (Role.OPERATOR, 1, "forward_number a")
    assert (leg.calling_phone_number, leg.called_phone_number) == (number_of(c.OUTSIDE), c.PARTNER)
    assert leg.is_recorded or leg.recorded_parts == 1
    assert [reason for _, reason in simulation.reasons] == ["operator_disconnects"] * 2
    assert (simulation.end["finish_reason"], simulation.end["is_lost"]) == ("operator_disconnects", False)
    assert simulation.durations == (4, 4, 20, 20, 24, 0)
    assert session_row(simulation.session, 1)["operator_phone_number"] == c.PARTNER
    assert leg_row(simulation.session, leg)["is_operator"]
    assert keyed(simulation) == []
    walk(simulation.events)


@pytest.mark.parametrize(
    ("cause", "by_party", "reason"),
    [
        (17, True, "operator_busy"),
        (21, True, "operator_disconnects"),
        (19, False, "operator_not_responsive"),
        (1, False, "operator_number_problems"),
        (27, False, "operator_number_problems"),
    ],
)
def test_an_outside_number_that_is_not_reached(cause: int, by_party: bool, reason: str) -> None:
    """The next operation takes over: here the voice mail."""
    simulation = CallSimulation().arrive(c.OUTSIDE)
    simulation.at(4).refuse(cause, by_party=by_party)
    assert (simulation.leg(1).finish_reason, simulation.leg(1).is_failed) == (reason, True)
    simulation.engine.played(simulation.channel)
    simulation.flow()
    assert isinstance(simulation.engine.done[-1], RecordMessage)
    simulation.at(9).hang_up()
    assert simulation.end["is_lost"] is True


def test_the_reason_of_the_number_is_that_of_the_call() -> None:
    simulation = CallSimulation(with_scenario(scenario(c.OUTSIDE, ("a", *to_number(c.PARTNER))))).arrive(
        c.OUTSIDE
    )
    simulation.at(20).ring_out()
    assert simulation.reasons[1] == (c.PARTNER, "operator_not_responsive")
    assert simulation.end["finish_reason"] == "operator_not_responsive"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"security": {}}, "external_call_not_allowed"),
        ({"blacklist": frozenset({c.PARTNER})}, "locked_numb"),
        ({"trunks": {}}, "sip_trunk_is_locked"),
        (
            {"trunks": {1: dataclasses.replace(company().trunks[1], max_channels=1)}},
            "no_resources",
        ),
    ],
)
def test_an_outside_number_that_may_not_be_called(changes: dict[str, object], reason: str) -> None:
    """What hinders leaves a leg of no length, and the call goes on in its scenario."""
    flow = scenario(c.OUTSIDE, ("a", *to_number(c.PARTNER, "b")), ("b", *to_group(c.ALL)))
    other = CallSimulation(with_scenario(flow, **changes)).arrive(c.TO_ANNA)
    other.answer(c.ANNA_LINE)
    simulation = after(other, with_scenario(flow, **changes)).arrive(c.OUTSIDE)
    refused = simulation.leg(1)
    assert (refused.called_phone_number, refused.finish_reason) == (c.PARTNER, reason)
    assert (refused.role, refused.operation_name, refused.started_at) == (
        Role.OPERATOR,
        "forward_number a",
        refused.ended_at,
    )
    simulation.at(5).answer(c.BORIS_LINE)
    simulation.at(15).hang_up()
    assert simulation.end["is_lost"] is False
    walk(simulation.events)


def test_no_more_calls_at_a_time_than_the_number_has_channels() -> None:
    """The only channel is given back when the first call is over."""
    first = CallSimulation().arrive(c.OUTSIDE)
    assert after(first).arrive(c.OUTSIDE).leg(1).finish_reason == "operator_channels_busy"
    first.answer(c.PARTNER)
    assert after(first).arrive(c.OUTSIDE).leg(1).finish_reason == "operator_channels_busy"
    first.at(10).hang_up()
    assert after(first).arrive(c.OUTSIDE).ringing(c.PARTNER)


def test_a_scenario_call_of_the_api_calls_the_outside_number() -> None:
    simulation = CallSimulation().start(
        "start_scenario_call",
        virtual_phone_number=number_of(1),
        contact=c.CUSTOMER,
        scenario_id=c.OUTSIDE,
        first_call="employee",
    )
    simulation.at(3).answer(c.PARTNER)
    simulation.at(6).answer(c.CUSTOMER)
    simulation.at(16).hang_up(simulation.session.legs[simulation.session.talks[0].leg_id].channel)
    assert simulation.reasons[0] == (c.PARTNER, "operator_disconnects")
    assert simulation.end["is_lost"] is False


def test_an_extension_is_keyed_in_when_the_number_has_answered() -> None:
    flow = scenario(c.OUTSIDE, ("a", *to_number(f"{OFFICE}...2345", channels=1)))
    simulation = CallSimulation(with_scenario(flow)).arrive(c.OUTSIDE)
    assert keyed(simulation) == []
    simulation.at(4).answer(OFFICE)
    assert keyed(simulation) == [(OFFICE, "...2345")]
    simulation.at(9).hang_up()
    assert simulation.reasons[1] == (OFFICE, "caller_disconnects")


def test_two_employees_behind_one_number_have_their_own_extensions() -> None:
    people = {
        who: c.employee(who, name, c.phone(10 * who, None, f"{OFFICE}{keys}"))
        for who, name, keys in ((c.ANNA, "Berg Anna", "...101"), (c.BORIS, "Dahl Boris", "..102"))
    }
    simulation = CallSimulation(company(employees=people)).arrive(c.ALL)
    channels = [leg.channel for leg in simulation.session.legs.values()][1:]
    assert {leg.employee_full_name for leg in simulation.session.legs.values() if leg.is_operator_side} == {
        "Berg Anna",
        "Dahl Boris",
    }
    assert simulation.leg(1).called_phone_number == OFFICE
    simulation.engine.answer(channels[1])
    simulation.at(3).flow()
    assert keyed(simulation) == [("Dahl Boris", "..102")]
    assert simulation.leg(2).employee_phone_number == f"{OFFICE}..102"
    simulation.at(9).hang_up()


def test_a_transfer_to_a_number_with_an_extension() -> None:
    assert destination(company(), f"{OFFICE}...12") == ToOutside(OFFICE, "...12")
    assert destination(company(), OFFICE) == ToOutside(OFFICE)
    simulation = CallSimulation().arrive(c.TO_ANNA)
    simulation.at(2).answer(c.ANNA_LINE)
    simulation.command("hold_call").command("make_call", to=f"{OFFICE}...12")
    simulation.at(5).answer(OFFICE)
    assert keyed(simulation) == [(OFFICE, "...12")]
    assert not any(isinstance(one, Hangup) for one in simulation.engine.done)
