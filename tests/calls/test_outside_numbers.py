"""Calls that a scenario forwards to a telephone of the world, and extensions that are keyed in behind a number."""

from __future__ import annotations

import dataclasses

import pytest

from tests.calls import company as c
from tests.calls.company import company, number_of, scenario, to_group, to_number
from tests.calls.story import Story, walk
from trunkline.calls.effects import Dial, Hangup, Keys, RecordMessage
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


def after(other: Story, account: Account | None = None) -> Story:
    """A further call on the same switch."""
    story = Story(account)
    story.presence, story.ids = other.presence, other.ids
    return story


def keyed(story: Story) -> list[tuple[str | None, str]]:
    """Employee (or number) of the legs that something was keyed to, and what."""
    legs = {leg.channel: leg for leg in story.session.legs.values()}
    done = [one for one in story.engine.done if isinstance(one, Keys)]
    return [
        (legs[one.channel].employee_full_name or legs[one.channel].called_phone_number, one.keys)
        for one in done
    ]


def test_a_talk_with_an_outside_number() -> None:
    story = Story().arrive(c.OUTSIDE)
    [dial] = [one for one in story.engine.done if isinstance(one, Dial)]
    [target] = dial.connect.targets
    assert (target.endpoint, target.number) == (
        Endpoint(EndpointKind.TRUNK, EndpointName("trunk-1")),
        c.PARTNER,
    )
    assert target.caller_number == number_of(c.OUTSIDE)
    assert dial.connect.ring_seconds == 20
    assert dial.connect.record
    party = story.at(4).answer(c.PARTNER)
    story.at(24).hang_up(party)
    leg = story.leg(1)
    assert (leg.role, leg.trunk_id, leg.operation_name) == (Role.OPERATOR, 1, "forward_number a")
    assert (leg.calling_phone_number, leg.called_phone_number) == (number_of(c.OUTSIDE), c.PARTNER)
    assert leg.is_recorded or leg.recorded_parts == 1
    assert [reason for _, reason in story.reasons] == ["operator_disconnects"] * 2
    assert (story.end["finish_reason"], story.end["is_lost"]) == ("operator_disconnects", False)
    assert story.durations == (4, 4, 20, 20, 24, 0)
    assert session_row(story.session, 1)["operator_phone_number"] == c.PARTNER
    assert leg_row(story.session, leg)["is_operator"]
    assert keyed(story) == []
    walk(story.events)


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
    story = Story().arrive(c.OUTSIDE)
    story.at(4).refuse(cause, by_party=by_party)
    assert (story.leg(1).finish_reason, story.leg(1).is_failed) == (reason, True)
    story.engine.played(story.channel)
    story.flow()
    assert isinstance(story.engine.done[-1], RecordMessage)
    story.at(9).hang_up()
    assert story.end["is_lost"] is True


def test_the_reason_of_the_number_is_that_of_the_call() -> None:
    story = Story(with_scenario(scenario(c.OUTSIDE, ("a", *to_number(c.PARTNER))))).arrive(c.OUTSIDE)
    story.at(20).ring_out()
    assert story.reasons[1] == (c.PARTNER, "operator_not_responsive")
    assert story.end["finish_reason"] == "operator_not_responsive"


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
    other = Story(with_scenario(flow, **changes)).arrive(c.TO_ANNA)
    other.answer(c.ANNA_LINE)
    story = after(other, with_scenario(flow, **changes)).arrive(c.OUTSIDE)
    refused = story.leg(1)
    assert (refused.called_phone_number, refused.finish_reason) == (c.PARTNER, reason)
    assert (refused.role, refused.operation_name, refused.started_at) == (
        Role.OPERATOR,
        "forward_number a",
        refused.ended_at,
    )
    story.at(5).answer(c.BORIS_LINE)
    story.at(15).hang_up()
    assert story.end["is_lost"] is False
    walk(story.events)


def test_no_more_calls_at_a_time_than_the_number_has_channels() -> None:
    """The only channel is given back when the first call is over."""
    first = Story().arrive(c.OUTSIDE)
    assert after(first).arrive(c.OUTSIDE).leg(1).finish_reason == "operator_channels_busy"
    first.answer(c.PARTNER)
    assert after(first).arrive(c.OUTSIDE).leg(1).finish_reason == "operator_channels_busy"
    first.at(10).hang_up()
    assert after(first).arrive(c.OUTSIDE).ringing(c.PARTNER)


def test_a_scenario_call_of_the_api_calls_the_outside_number() -> None:
    story = Story().start(
        "start_scenario_call",
        virtual_phone_number=number_of(1),
        contact=c.CUSTOMER,
        scenario_id=c.OUTSIDE,
        first_call="employee",
    )
    story.at(3).answer(c.PARTNER)
    story.at(6).answer(c.CUSTOMER)
    story.at(16).hang_up(story.session.legs[story.session.talks[0].leg_id].channel)
    assert story.reasons[0] == (c.PARTNER, "operator_disconnects")
    assert story.end["is_lost"] is False


def test_an_extension_is_keyed_in_when_the_number_has_answered() -> None:
    flow = scenario(c.OUTSIDE, ("a", *to_number(f"{OFFICE}...2345", channels=1)))
    story = Story(with_scenario(flow)).arrive(c.OUTSIDE)
    assert keyed(story) == []
    story.at(4).answer(OFFICE)
    assert keyed(story) == [(OFFICE, "...2345")]
    story.at(9).hang_up()
    assert story.reasons[1] == (OFFICE, "caller_disconnects")


def test_two_employees_behind_one_number_have_their_own_extensions() -> None:
    people = {
        who: c.employee(who, name, c.phone(10 * who, None, f"{OFFICE}{keys}"))
        for who, name, keys in ((c.ANNA, "Berg Anna", "...101"), (c.BORIS, "Dahl Boris", "..102"))
    }
    story = Story(company(employees=people)).arrive(c.ALL)
    channels = [leg.channel for leg in story.session.legs.values()][1:]
    assert {leg.employee_full_name for leg in story.session.legs.values() if leg.serves} == {
        "Berg Anna",
        "Dahl Boris",
    }
    assert story.leg(1).called_phone_number == OFFICE
    story.engine.answer(channels[1])
    story.at(3).flow()
    assert keyed(story) == [("Dahl Boris", "..102")]
    assert story.leg(2).employee_phone_number == f"{OFFICE}..102"
    story.at(9).hang_up()


def test_a_transfer_to_a_number_with_an_extension() -> None:
    assert destination(company(), f"{OFFICE}...12") == ToOutside(OFFICE, "...12")
    assert destination(company(), OFFICE) == ToOutside(OFFICE)
    story = Story().arrive(c.TO_ANNA)
    story.at(2).answer(c.ANNA_LINE)
    story.command("hold_call").command("make_call", to=f"{OFFICE}...12")
    story.at(5).answer(OFFICE)
    assert keyed(story) == [(OFFICE, "...12")]
    assert not any(isinstance(one, Hangup) for one in story.engine.done)
