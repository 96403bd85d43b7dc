"""Calls out of a line to the world and to colleagues, and calls started by the API."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.company import company, number_of
from tests.calls.story import Story, walk
from trunkline.calls.effects import Dial, Hangup, OriginateLeg
from trunkline.calls.finish_reasons import cause_for_refusal
from trunkline.directory.model import BillingState, LineStatus, LineType
from trunkline.events.catalogue import EventType
from trunkline.events.reasons import Reason
from trunkline.telephony.port import Connect

ANNA, BORIS = c.ANNA_LINE, c.BORIS_LINE
COMMON = {"virtual_phone_number": number_of(1), "contact": c.CUSTOMER}


def connected(story: Story) -> Connect:
    return [one.connect for one in story.engine.done if isinstance(one, Dial)][-1]


def told_cause(story: Story) -> int:
    return [one.cause for one in story.engine.done if isinstance(one, Hangup)][-1]


def test_to_the_world() -> None:
    story = Story().dial(BORIS, "+" + c.CUSTOMER)
    assert connected(story).targets[0].number == c.CUSTOMER
    assert connected(story).targets[0].caller_number == number_of(1)
    story.at(7).answer(c.CUSTOMER)
    story.at(27).hang_up()
    assert story.durations == (7, 7, 20, 20, 27, 0)
    end = story.end
    assert (end["direction"], end["source"], end["is_internal"]) == ("out", "sip", False)
    assert (end["finish_reason"], end["contact_phone_number"]) == ("operator_disconnects", c.CUSTOMER)
    assert story.leg(0).serves
    assert not story.leg(1).serves
    walk(story.events)


def test_the_called_customer_hangs_up() -> None:
    story = Story().dial(BORIS, "00" + c.CUSTOMER)
    phone = story.at(7).answer(c.CUSTOMER)
    story.at(27).hang_up(phone)
    assert story.end["finish_reason"] == "caller_disconnects"
    assert [reason for _, reason in story.reasons] == ["caller_disconnects"] * 2


@pytest.mark.parametrize(
    ("cause", "reason", "told"),
    [
        (17, "caller_busy", 17),
        (21, "caller_disconnects", 21),
        (19, "caller_not_responsive", 19),
        (1, "caller_number_problems", 1),
        (42, "caller_number_problems", 42),
    ],
)
def test_the_world_refuses(cause: int, reason: str, told: int) -> None:
    story = Story().dial(BORIS, c.CUSTOMER)
    story.at(5).refuse(cause)
    assert (story.end["finish_reason"], told_cause(story), story.end["is_lost"]) == (reason, told, True)
    assert story.durations == (5, 5, 0, 0, 5, 0)


def test_the_caller_gives_up() -> None:
    story = Story().dial(BORIS, c.CUSTOMER)
    story.at(5).hang_up()
    assert story.end["finish_reason"] == "operator_disconnects"


def test_nobody_in_the_world_answers() -> None:
    story = Story().dial(BORIS, c.CUSTOMER)
    story.at(120).ring_out()
    assert story.end["finish_reason"] == "caller_not_responsive"


def test_to_a_colleague_by_extension() -> None:
    story = Story().dial(BORIS, "101")
    target = connected(story).targets[0]
    assert (target.endpoint.name, target.caller_number, target.caller_name) == (ANNA, "102", "Dahl Boris")
    phone = story.at(3).answer(ANNA)
    story.at(13).hang_up(phone)
    end = story.end
    assert (end["is_internal"], end["finish_reason"], end["virtual_phone_number"]) == (
        True,
        "caller_disconnects",
        None,
    )
    assert [person["employee_full_name"] for person in end["employees"]] == ["Dahl Boris", "Berg Anna"]
    assert story.durations == (3, 3, 10, 10, 13, 0)
    walk(story.events)


def test_to_a_group_the_first_to_answer_talks() -> None:
    story = Story(online=[ANNA, BORIS, c.DORA_LINE]).dial(c.DORA_LINE, "200")
    story.at(3).answer(BORIS)
    story.at(9).hang_up()
    assert story.reasons[1:] == [(ANNA, "another_operator_answer"), (BORIS, "operator_disconnects")]


def test_to_a_group_only_the_phones_chosen_for_it_ring() -> None:
    account = company()
    boris = tuple(phone.phone_id for phone in account.employees[c.BORIS].phones)
    group = replace(account.groups[c.ALL], phone_ids=boris)
    story = Story(company(groups={c.ALL: group}), online=[ANNA, BORIS, c.DORA_LINE]).dial(c.DORA_LINE, "200")
    assert story.ringing(BORIS)
    assert ANNA not in [login for login, _ in story.reasons]


@pytest.mark.parametrize(
    ("dialled", "reason"),
    [
        ("104", "sip_offline"),
        (c.DORA_LINE, "sip_offline"),
        ("777", "incorrect_input"),
        ("*#", "incorrect_input"),
    ],
)
def test_nobody_there(dialled: str, reason: str) -> None:
    assert Story().dial(BORIS, dialled).end["finish_reason"] == reason


def test_a_colleague_who_is_busy() -> None:
    story = Story().dial(BORIS, "101")
    story.refuse(17)
    assert (story.end["finish_reason"], told_cause(story)) == ("operator_busy", 17)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"type": LineType.IN}, "out_call_not_allowed"),
        ({"status": LineStatus.INACTIVE}, "out_call_not_allowed"),
        ({"billing_state": BillingState.LIMIT_LOCK}, "out_call_not_allowed"),
        ({"channels_count": 0}, "max_out_call_reached"),
        ({"virtual_number_id": None}, "incorrect_config"),
    ],
)
def test_lines_that_may_not(changes: dict[str, Any], reason: str) -> None:
    lines = {**company().lines, 2: c.line(2, BORIS, **changes)}
    story = Story(company(lines=lines)).dial(BORIS, c.CUSTOMER)
    assert (story.end["finish_reason"], story.reasons[0][1]) == (reason, reason)


@pytest.mark.parametrize("reason", [Reason.INCORRECT_CONFIG, Reason.SIP_TRUNK_IS_LOCKED])
def test_a_call_without_a_configured_way_is_no_failure_of_the_server(reason: Reason) -> None:
    assert cause_for_refusal(reason) == 3  # no route to destination: Asterisk sends SIP 404


@pytest.mark.parametrize(
    ("dialled", "changes", "reason"),
    [
        (c.CUSTOMER, {"out_external_allowed": frozenset()}, "external_call_not_allowed"),
        ("101", {"out_internal_allowed": frozenset()}, "internal_call_not_allowed"),
        (c.CUSTOMER, {"is_active": False}, "employee_inactive"),
    ],
)
def test_employees_who_may_not(dialled: str, changes: dict[str, Any], reason: str) -> None:
    people = company().employees
    account = company(employees={**people, c.BORIS: replace(people[c.BORIS], **changes)})
    assert Story(account).dial(BORIS, dialled).end["finish_reason"] == reason


def test_limits_on_the_way_out() -> None:
    assert Story().dial(BORIS, c.BLOCKED).end["finish_reason"] == "locked_numb"
    assert Story(company(is_active=False)).dial(BORIS, c.CUSTOMER).end["finish_reason"] == "app_is_inactive"
    one = company(numbers={1: c.number(1, max_out_calls=1)})
    first = Story(one).dial(BORIS, c.CUSTOMER)
    second = Story(one)
    second.presence = first.presence
    assert second.dial(ANNA, c.CUSTOMER).end["finish_reason"] == "max_out_call_reached"
    assert Story(company(trunks={})).dial(BORIS, c.CUSTOMER).end["finish_reason"] == "incorrect_config"


# --- started by the API -----------------------------------------------------------------------------------


def test_the_employee_first() -> None:
    story = Story().start("start_employee_call", **COMMON, first_call="employee", employee={"id": c.BORIS})
    assert [
        one.originate.target.endpoint.name for one in story.engine.done if isinstance(one, OriginateLeg)
    ] == [BORIS]
    story.at(4).answer(BORIS)
    assert connected(story).targets[0].number == c.CUSTOMER
    phone = story.at(10).answer(c.CUSTOMER)
    story.at(30).hang_up(phone)
    end = story.end
    assert (end["finish_reason"], end["source"], end["direction"]) == ("caller_disconnects", "callapi", "in")
    assert story.durations == (4, 10, 20, 20, 30, 0)
    walk(story.events)


def test_the_contact_first() -> None:
    story = Story().start("start_employee_call", **COMMON, first_call="contact", employee={"id": c.BORIS})
    story.at(4).answer(c.CUSTOMER)
    phone = story.at(10).answer(BORIS)
    story.at(30).hang_up(phone)
    assert story.end["finish_reason"] == "operator_disconnects"
    assert story.durations == (10, 10, 20, 20, 30, 0)


def test_an_operators_number() -> None:
    operator = {"operator": c.CLARA_MOBILE, "first_call": "operator"}
    story = Story().start("start_simple_call", **COMMON, **operator, external_id="order 7")
    story.at(4).answer(c.CLARA_MOBILE)
    story.at(9).answer(c.CUSTOMER)
    story.at(12).command("release_call")
    assert (story.end["finish_reason"], story.end["external_id"]) == ("operator_disconnects", "order 7")
    assert story.end["employees"] == []


def test_the_employees_phones_one_after_another_and_nobody() -> None:
    story = Story().start("start_employee_call", **COMMON, first_call="employee", employee={"id": c.ANNA})
    story.at(5).refuse(17, ANNA)
    story.at(9).refuse(19, c.ANNA_SECOND)
    assert story.reasons == [(ANNA, "operator_busy"), (c.ANNA_SECOND, "operator_not_responsive")]
    assert (story.end["finish_reason"], story.end["is_lost"]) == ("no_success_operator_call", True)


def test_nobody_to_ring_ends_at_once() -> None:
    story = Story().start("start_employee_call", **COMMON, first_call="employee", employee={"id": c.DORA})
    assert story.types[0] is EventType.SESSION_STARTED
    assert story.reasons == [(c.DORA_LINE, "sip_offline")]
    assert story.end["finish_reason"] == "no_success_operator_call"
    away = Story(company(trunks={})).start(
        "start_simple_call", **COMMON, operator=c.CLARA_MOBILE, first_call="contact"
    )
    assert away.end["finish_reason"] == "no_success_caller_call"


def test_the_contact_is_not_reached() -> None:
    first = Story().start("start_employee_call", **COMMON, first_call="contact", employee={"id": c.BORIS})
    first.at(5).refuse(17)
    assert (first.reasons[0][1], first.end["finish_reason"]) == ("caller_busy", "no_success_caller_call")
    second = Story().start("start_employee_call", **COMMON, first_call="employee", employee={"id": c.BORIS})
    second.at(3).answer(BORIS)
    second.at(8).refuse(17)
    assert (second.reasons[1][1], second.end["finish_reason"]) == ("caller_busy", "no_success_caller_call")


def test_the_first_hangs_up_while_the_second_is_called() -> None:
    story = Story().start("start_employee_call", **COMMON, first_call="employee", employee={"id": c.BORIS})
    phone = story.at(3).answer(BORIS)
    story.at(6).hang_up(phone)
    assert story.end["finish_reason"] == "operator_disconnects"
    assert story.end["is_lost"] is True


def test_released_while_the_first_rings() -> None:
    story = Story().start("start_employee_call", **COMMON, first_call="employee", employee={"id": c.BORIS})
    story.at(3).command("release_call")
    assert story.end["finish_reason"] == "operator_disconnects"
    assert story.reasons == [(BORIS, "operator_disconnects")]
