"""The scenario interpreter: branches, strategies, who is passed over, and that it always comes to an end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.calls import company as c
from tests.calls.company import (
    company,
    greeting,
    hangup,
    hours,
    scenario,
    to_employee,
    to_group,
    to_number,
    voicemail,
)
from trunkline.directory.model import (
    Account,
    EmployeeStatus,
    Group,
    NumberCampaign,
    OperationKind,
    Phone,
    Rule,
    Scenario,
    Strategy,
)
from trunkline.events.reasons import Reason
from trunkline.routing import interpreter
from trunkline.routing.decisions import End, Play, Ring, RingOutside, TakeMessage
from trunkline.routing.interpreter import (
    decide_after,
    decide_first,
    decide_next_round,
    decide_resumed,
    scenario_for,
)

NOON = datetime(2026, 3, 2, 12, 0)  # noqa: DTZ001 - wall clock of the account's zone


@dataclass
class Availability:
    """The given moment."""

    local_time: datetime = NOON
    obstacles: dict[int, Reason] = field(default_factory=dict)
    idle: dict[int, float] = field(default_factory=dict)
    full_groups: set[int] = field(default_factory=set)
    calls_outside: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)

    def phone_obstacle(self, phone: Phone) -> Reason | None:
        return self.obstacles.get(phone.phone_id)

    def group_obstacle(self, group: Group) -> Reason | None:
        return Reason.OPERATOR_CHANNELS_BUSY if group.group_id in self.full_groups else None

    def number_obstacle(self, number: str, channels: int | None) -> Reason | None:
        full = channels is not None and self.calls_outside.get(number, 0) >= channels
        return Reason.OPERATOR_CHANNELS_BUSY if full else None

    def idle_since(self, employee_id: int) -> float:
        return self.idle.get(employee_id, 0.0)

    def last_employee(self, phone_number: str) -> int | None:
        return self.last.get(phone_number)


def only(scenario_id: int) -> Scenario:
    return c.SCENARIOS[scenario_id]


def test_operations_follow_one_another() -> None:
    account, flow, availability = company(), only(c.FULL), Availability()
    first = decide_first(account, flow, availability)
    assert isinstance(first, Play)
    assert first.media_file_ids == (c.GREETING,)
    second = decide_after(account, flow, first.operation, availability)
    assert isinstance(second, Ring)
    assert [one.employee.employee_id for one in second.candidates] == [c.ANNA, c.BORIS]
    third = decide_next_round(account, flow, second.operation, availability, {c.ANNA, c.BORIS})
    assert isinstance(third, TakeMessage)
    assert (third.max_seconds, third.silence_seconds) == (60, 4)
    last = decide_after(account, flow, third.operation, availability)
    assert isinstance(last, End)
    assert last.reason is Reason.SCENARIO_DISCONNECTS
    assert isinstance(decide_resumed(account, flow, second.operation, availability), Ring)


@pytest.mark.parametrize(("schedule", "key"), [(c.ALWAYS, "b"), (c.NEVER, "c"), (99, "b")])
def test_the_schedule_decides(schedule: int, key: str) -> None:
    flow = scenario(1, ("a", *hours(schedule, "b", "c")), ("b", *to_employee(c.ANNA)), ("c", *voicemail()))
    routing_decision = decide_first(company(), flow, Availability())
    assert [getattr(one, "key", None) for one in routing_decision.entered] == ["a", key]


def test_in_turn_and_longest_idle() -> None:
    account = company()
    availability = Availability(idle={c.ANNA: 100.0, c.BORIS: 50.0})
    turn = decide_first(account, only(c.IN_TURN), availability)
    assert isinstance(turn, Ring)
    assert [one.employee.employee_id for one in turn.candidates] == [c.ANNA]
    following = decide_next_round(account, only(c.IN_TURN), turn.operation, availability, {c.ANNA})
    assert isinstance(following, Ring)
    assert [one.employee.employee_id for one in following.candidates] == [c.BORIS]
    idle = decide_first(account, only(c.IDLE), availability)
    assert isinstance(idle, Ring)
    assert [one.employee.employee_id for one in idle.candidates] == [c.BORIS]


def test_phones_in_their_order() -> None:
    account, flow = company(), only(c.TO_ANNA)
    first = decide_first(account, flow, Availability())
    assert isinstance(first, Ring)
    assert (first.candidates[0].phone.phone_id, first.ring_seconds) == (11, 30)
    second = decide_next_round(account, flow, first.operation, Availability(), {11})
    assert isinstance(second, Ring)
    assert second.candidates[0].phone.phone_id == 12
    assert isinstance(decide_next_round(account, flow, first.operation, Availability(), {11, 12}), End)


def test_who_is_passed_over_is_reported_with_the_operation() -> None:
    availability = Availability(
        obstacles={11: Reason.SIP_OFFLINE, 12: Reason.OPERATOR_CHANNELS_BUSY, 21: Reason.SIP_OFFLINE}
    )
    routing_decision = decide_first(company(), only(c.FULL), availability)
    assert isinstance(routing_decision, Play)
    routing_decision = decide_after(company(), only(c.FULL), routing_decision.operation, availability)
    assert isinstance(routing_decision, TakeMessage)
    assert [(one.phone.phone_id if one.phone else 0, one.reason) for one in routing_decision.skipped] == [
        (11, Reason.SIP_OFFLINE),
        (12, Reason.OPERATOR_CHANNELS_BUSY),
        (21, Reason.SIP_OFFLINE),
    ]
    assert {one.operation.key for one in routing_decision.skipped if one.operation} == {"b"}
    assert {one.group.name for one in routing_decision.skipped if one.group} == {"Sales"}


@pytest.mark.parametrize(
    ("obstacles", "reason"),
    [
        ({11: Reason.SIP_OFFLINE, 12: Reason.SIP_OFFLINE}, Reason.SIP_OFFLINE),
        ({11: Reason.SIP_OFFLINE, 12: Reason.OPERATOR_CHANNELS_BUSY}, Reason.NO_SUCCESS_OPERATOR_CALL),
    ],
)
def test_the_reason_of_the_end_is_the_common_one(obstacles: dict[int, Reason], reason: Reason) -> None:
    routing_decision = decide_first(company(), only(c.TO_ANNA), Availability(obstacles=obstacles))
    assert isinstance(routing_decision, End)
    assert routing_decision.reason is reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"employees": {}}, Reason.EMPLOYEES_NOT_EXISTS),
        (
            {"employees": {c.ANNA: c.employee(c.ANNA, "A", status=EmployeeStatus.BREAK)}},
            Reason.EMPLOYEE_STATUS_BREAK,
        ),
        ({"employees": {c.ANNA: c.employee(c.ANNA, "A")}}, Reason.EMPLOYEE_WITHOUT_PHONES),
        (
            {"employees": {c.ANNA: c.employee(c.ANNA, "A", c.phone(1, 1, is_active=False))}},
            Reason.EMPLOYEE_PHONE_INACTIVE,
        ),
    ],
)
def test_why_an_employee_cannot_be_rung(changes: dict[str, Any], reason: Reason) -> None:
    routing_decision = decide_first(company(**changes), only(c.TO_ANNA), Availability())
    assert isinstance(routing_decision, End)
    assert routing_decision.reason is reason


def test_groups_that_cannot_be_rung() -> None:
    groups = company().groups
    empty = {c.ALL: _changed(groups[c.ALL], employee_ids=())}
    closed = {c.ALL: _changed(groups[c.ALL], schedule_id=c.NEVER)}
    for changes, reason in (
        ({"groups": {}}, Reason.EMPLOYEES_NOT_EXISTS),
        ({"groups": empty}, Reason.GROUP_WITHOUT_PHONES),
        ({"groups": closed}, Reason.GROUP_INACTIVE_BY_SCHEDULE),
    ):
        routing_decision = decide_first(company(**changes), only(c.ALL), Availability())
        assert isinstance(routing_decision, End)
        assert routing_decision.reason is reason


def _changed(one: Any, **changes: Any) -> Any:
    from dataclasses import replace

    return replace(one, **changes)


def test_which_scenario_takes_a_call() -> None:
    rules = (
        Rule(1, c.GREETING_ONLY, None, is_active=False),
        Rule(2, 99, None, is_active=True),
        Rule(3, c.ALL, c.NEVER, is_active=True),
        Rule(4, c.TO_ANNA, c.ALWAYS, is_active=True),
        Rule(5, c.MAIL, None, is_active=True),
    )
    found = scenario_for(company(), c.number(1, rules=rules), NOON)
    assert found is not None
    assert found.scenario_id == c.TO_ANNA
    assert scenario_for(company(), c.number(1, rules=rules[:3]), NOON) is None


def test_the_scenario_of_a_campaigns_number() -> None:
    """Its own rules, those of the number it redirects to, the site's default: the first that there is."""

    def found(rules: tuple[Rule, ...], redirection: int | None, default: int | None) -> int | None:
        campaign = NumberCampaign(3, "Spring", 5, "example.com", default, redirection)
        number = c.number(99, rules=rules, campaign=campaign)
        scenario = scenario_for(company(), number, NOON)
        return scenario.scenario_id if scenario is not None else None

    own = (Rule(1, c.TO_ANNA, None, is_active=True),)
    closed = (Rule(1, c.TO_ANNA, c.NEVER, is_active=True),)
    assert found(own, c.ALL, c.FULL) == c.TO_ANNA
    assert found(closed, c.ALL, c.FULL) == c.ALL
    assert found((), c.ALL, None) == c.ALL
    assert found(closed, None, c.FULL) == c.FULL
    assert found((), 12345, c.FULL) == c.FULL
    assert found((), None, 12345) is None
    assert found((), None, None) is None


def test_an_outside_number_is_called_once_then_what_follows() -> None:
    account, flow = company(), only(c.OUTSIDE)
    call = decide_first(account, flow, Availability())
    assert isinstance(call, RingOutside)
    assert (call.number, call.ring_seconds, call.music_media_file_id) == (c.PARTNER, 20, None)
    assert isinstance(decide_next_round(account, flow, call.operation, Availability(), set()), TakeMessage)
    assert isinstance(decide_resumed(account, flow, call.operation, Availability()), RingOutside)


@pytest.mark.parametrize(
    ("number", "changes", "calls", "reason"),
    [
        (
            c.PARTNER,
            {"security": {}},
            {},
            Reason.EXTERNAL_CALL_NOT_ALLOWED,
        ),  # international is closed at first
        ("97142000099", {"security": {"national": False}}, {}, Reason.EXTERNAL_CALL_NOT_ALLOWED),
        ("971500000099...17", {"security": {"mobile": False}}, {}, Reason.EXTERNAL_CALL_NOT_ALLOWED),
        (c.BLOCKED + "...17", {}, {}, Reason.LOCKED_NUMB),
        (c.number_of(1), {}, {}, Reason.INCORRECT_CONFIG),
        (c.PARTNER + "..17", {}, {c.PARTNER: 2}, Reason.OPERATOR_CHANNELS_BUSY),
        (c.PARTNER, {}, {c.PARTNER: 1}, None),
        ("97142000099", {"security": {}}, {}, None),
    ],
)
def test_when_an_outside_number_is_called(
    number: str, changes: dict[str, Any], calls: dict[str, int], reason: Reason | None
) -> None:
    flow = scenario(1, ("a", *to_number(number, "b", channels=2)), ("b", *greeting(None, 1)))
    routing_decision = decide_first(company(**changes), flow, Availability(calls_outside=calls))
    if reason is None:
        assert isinstance(routing_decision, RingOutside)
        return
    assert isinstance(routing_decision, Play)
    [skipped] = routing_decision.skipped
    assert (skipped.reason, skipped.number, skipped.employee) == (reason, number, None)
    assert skipped.operation is not None
    assert skipped.operation.key == "a"
    end = decide_first(
        company(**changes),
        scenario(1, ("a", *to_number(number, channels=2))),
        Availability(calls_outside=calls),
    )
    assert isinstance(end, End)
    assert end.reason is reason


def test_the_default_number_of_a_site_is_one_of_ours() -> None:
    """Then its own rules take what no other rule takes."""
    campaign = NumberCampaign(3, "Spring", 5, "example.com", None, None, c.ALL)
    rules = (Rule(1, c.TO_ANNA, c.NEVER, is_active=True),)
    found = scenario_for(company(), c.number(99, rules=rules, campaign=campaign), NOON)
    assert found is not None
    assert found.scenario_id == c.ALL
    campaign = replace(campaign, default_scenario_id=c.FULL)
    found = scenario_for(company(), c.number(99, rules=rules, campaign=campaign), NOON)
    assert found is not None
    assert found.scenario_id == c.FULL


keys = st.sampled_from("abcdef")
following = st.none() | keys | st.just("z")
operations = st.one_of(
    st.builds(lambda key, to: greeting(to, key), st.integers(1, 9), following),
    st.builds(lambda schedule, a, b: hours(schedule, a, b), st.integers(1, 3), following, following),
    st.builds(lambda who, to: to_employee(who, to), st.integers(1, 6), following),
    st.builds(
        lambda who, to, strategy: to_group(who, to, strategy=strategy),
        st.integers(1, 9),
        following,
        st.sampled_from([None, "all", "in_turn", "longest_idle"]),
    ),
    st.builds(lambda number, to: to_number(number, to), st.sampled_from([c.PARTNER, c.BLOCKED]), following),
    st.builds(voicemail, following),
    st.just(hangup()),
)


@given(
    st.lists(operations, min_size=1, max_size=6),
    st.dictionaries(
        st.sampled_from([11, 12, 21, 31, 41]), st.sampled_from([Reason.SIP_OFFLINE, Reason.LOCKED_PHONE])
    ),
)
def test_any_scenario_comes_to_something(
    made: list[tuple[OperationKind, dict[str, Any]]], obstacles: dict[int, Reason]
) -> None:
    flow = scenario(1, *((key, *one) for key, one in zip("abcdef", made, strict=False)))
    account, availability = company(), Availability(obstacles=obstacles)
    routing_decision = decide_first(account, flow, availability)
    for _ in range(20):
        assert len(routing_decision.entered) <= interpreter.MAX_TRANSITIONS
        assert (
            routing_decision.entered or routing_decision.skipped or isinstance(routing_decision, Ring | End)
        )
        if isinstance(routing_decision, End):
            assert routing_decision.reason
            return
        if isinstance(routing_decision, Ring):
            _rounds(account, flow, routing_decision, availability)
        routing_decision = decide_after(account, flow, routing_decision.operation, availability)


def _grouped(strategy: Strategy, phone_ids: tuple[int, ...] | None) -> list[tuple[int, int]]:
    """Who rings first on which phone, when the group's phones are these."""
    account = company()
    group = replace(account.groups[c.ALL], strategy=strategy, phone_ids=phone_ids)
    account = replace(account, groups={c.ALL: group})
    ring = decide_first(account, scenario(1, ("a", *to_group(c.ALL))), Availability())
    assert isinstance(ring, Ring)
    return [(one.employee.employee_id, one.phone.phone_id) for one in ring.candidates]


def test_a_group_rings_the_phones_chosen_for_it() -> None:
    account = company()
    anna = [phone.phone_id for phone in account.employees[c.ANNA].phones]
    boris = [phone.phone_id for phone in account.employees[c.BORIS].phones]
    assert _grouped(Strategy.ALL, None) == [(c.ANNA, anna[0]), (c.BORIS, boris[0])]
    assert _grouped(Strategy.ALL, (*boris, *anna)) == [(c.BORIS, boris[0]), (c.ANNA, anna[0])]
    assert _grouped(Strategy.IN_TURN, (*boris, *anna)) == [(c.BORIS, boris[0])]
    assert _grouped(Strategy.ALL, tuple(boris)) == [(c.BORIS, boris[0])]


def test_a_group_with_all_its_calls_is_passed_over() -> None:
    full = Availability(full_groups={c.ALL})
    flow = scenario(1, ("a", *to_group(c.ALL, "b")), ("b", *to_employee(c.ANNA)))
    ring = decide_first(company(), flow, full)
    assert isinstance(ring, Ring)
    assert ring.operation.key == "b"
    end = decide_first(company(), scenario(1, ("a", *to_group(c.ALL))), full)
    assert isinstance(end, End)
    assert end.reason is Reason.OPERATOR_CHANNELS_BUSY


def _rounds(account: Account, flow: Scenario, ring: Ring, availability: Availability) -> None:
    """Ringing round after round tries each once, and ends."""
    tried: set[int] = set()
    by_group = "group_id" in ring.operation.settings
    routing_decision: Any = ring
    for _ in range(10):
        assert routing_decision.candidates
        found = {
            one.employee.employee_id if by_group else one.phone.phone_id
            for one in routing_decision.candidates
        }
        assert not found & tried
        assert not any(one.phone.phone_id in availability.obstacles for one in routing_decision.candidates)
        tried |= found
        routing_decision = decide_next_round(account, flow, ring.operation, availability, tried)
        if not isinstance(routing_decision, Ring) or routing_decision.entered:
            return
    pytest.fail("the same people are rung again and again")
