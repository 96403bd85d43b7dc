"""Calls out of a line to the world and to colleagues, and calls started by the API."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.company import company, number_of
from tests.calls.simulation import CallSimulation, walk
from trunkline.calls.context import TrunkRegistration
from trunkline.calls.effects import ConnectTargets, Hangup, OriginateLeg
from trunkline.calls.finish_reasons import cause_for_refusal
from trunkline.directory.model import BillingState, LineStatus, LineType, TrunkMode
from trunkline.events.catalogue import EventType
from trunkline.events.reasons import Reason
from trunkline.telephony.port import Connect, EarlyMedia, Ended, Ringing

ANNA, BORIS = c.ANNA_LINE, c.BORIS_LINE
COMMON = {"virtual_phone_number": number_of(1), "contact": c.CUSTOMER}


def connected(simulation: CallSimulation) -> Connect:
    return [one.connect for one in simulation.engine.done if isinstance(one, ConnectTargets)][-1]


def reported_cause(simulation: CallSimulation) -> int:
    return [one.cause for one in simulation.engine.done if isinstance(one, Hangup)][-1]


def test_to_the_world() -> None:
    simulation = CallSimulation().dial(BORIS, "+" + c.CUSTOMER)
    assert connected(simulation).targets[0].number == c.CUSTOMER
    assert connected(simulation).targets[0].caller_number == number_of(1)
    simulation.at(7).answer(c.CUSTOMER)
    simulation.at(27).hang_up()
    assert simulation.durations == (7, 7, 20, 20, 27, 0)
    end = simulation.end
    assert (end["direction"], end["source"], end["is_internal"]) == ("out", "sip", False)
    assert (end["finish_reason"], end["contact_phone_number"]) == ("operator_disconnects", c.CUSTOMER)
    assert simulation.leg(0).is_operator_side
    assert not simulation.leg(1).is_operator_side
    walk(simulation.events)


def test_the_called_customer_hangs_up() -> None:
    simulation = CallSimulation().dial(BORIS, "00" + c.CUSTOMER)
    phone = simulation.at(7).answer(c.CUSTOMER)
    simulation.at(27).hang_up(phone)
    assert simulation.end["finish_reason"] == "caller_disconnects"
    assert [reason for _, reason in simulation.reasons] == ["caller_disconnects"] * 2


@pytest.mark.parametrize(
    ("cause", "reason", "reported"),
    [
        (17, "caller_busy", 17),
        (21, "caller_disconnects", 21),
        (19, "caller_not_responsive", 19),
        (1, "caller_number_problems", 1),
        (42, "caller_number_problems", 42),
    ],
)
def test_the_world_refuses(cause: int, reason: str, reported: int) -> None:
    simulation = CallSimulation().dial(BORIS, c.CUSTOMER)
    simulation.at(5).refuse(cause)
    assert (simulation.end["finish_reason"], reported_cause(simulation), simulation.end["is_lost"]) == (
        reason,
        reported,
        True,
    )
    assert simulation.durations == (5, 5, 0, 0, 5, 0)


def test_the_caller_gives_up() -> None:
    simulation = CallSimulation().dial(BORIS, c.CUSTOMER)
    simulation.at(5).hang_up()
    assert simulation.end["finish_reason"] == "operator_disconnects"


def test_nobody_in_the_world_answers() -> None:
    simulation = CallSimulation().dial(BORIS, c.CUSTOMER)
    simulation.at(120).ring_out()
    assert simulation.end["finish_reason"] == "caller_not_responsive"


def _ended(simulation: CallSimulation) -> dict[str, Any]:
    """Data of the event that ended the leg over the trunk."""
    [leg] = [leg.leg_id for leg in simulation.session.legs.values() if leg.trunk_id is not None]
    [ended] = [
        one.data for one in simulation.events if one.type is EventType.LEG_ENDED and one.data["leg_id"] == leg
    ]
    return dict(ended)


def _has_no_response(simulation: CallSimulation) -> bool:
    return bool(_ended(simulation).get("no_response", False))


@pytest.mark.parametrize(
    ("cause", "seconds", "no_response"),
    [(18, 32, True), (18, 2, True), (19, 3, False), (17, 12, False), (42, 1, False), (1, 30, False)],
)
def test_a_carrier_that_does_not_respond(cause: int, seconds: int, no_response: bool) -> None:
    simulation = CallSimulation().dial(BORIS, c.CUSTOMER)
    simulation.at(seconds).refuse(cause)
    assert _has_no_response(simulation) is no_response


def test_a_carrier_that_does_not_respond_until_the_ring_time_is_over() -> None:
    simulation = CallSimulation().dial(BORIS, c.CUSTOMER)
    assert _has_no_response(simulation.at(25).ring_out())


@pytest.mark.parametrize("caller_first", [True, False])
@pytest.mark.parametrize("cause", [0, 16, 127])
@pytest.mark.parametrize(("seconds", "known"), [(12, "no_response"), (4, "too_short")])
def test_the_caller_hangs_up_before_the_carrier_has_responded(
    cause: int, seconds: int, known: str, caller_first: bool
) -> None:
    simulation = CallSimulation().dial(BORIS, c.CUSTOMER)
    engine = simulation.at(seconds).engine
    target, caller = simulation.ringing(c.CUSTOMER), simulation.channel
    ends = [Ended(caller, engine.at(), 16, by_party=True), Ended(target, engine.at(), cause, by_party=False)]
    engine.pending.extend(ends if caller_first else reversed(ends))
    engine.channels.pop(target)
    engine.channels.pop(caller)
    simulation.flow()
    assert simulation.end["finish_reason"] == "operator_disconnects"
    assert _ended(simulation).keys() & {"no_response", "too_short"} == {known}


def test_a_hung_up_call_that_rang_is_no_call_without_response() -> None:
    simulation = CallSimulation().dial(BORIS, c.CUSTOMER)
    engine = simulation.engine
    engine.pending.append(Ringing(simulation.ringing(c.CUSTOMER), engine.at()))
    simulation.flow().at(12).hang_up()
    assert not _ended(simulation).keys() & {"no_response", "too_short"}


@pytest.mark.parametrize(
    ("cause", "sip_code", "reason"),
    [
        (21, 403, "caller_number_problems"),
        (21, 401, "caller_number_problems"),
        (21, 407, "caller_number_problems"),
        (21, 603, "caller_disconnects"),
        (21, 0, "caller_disconnects"),
        (17, 486, "caller_busy"),
    ],
)
def test_a_carrier_that_refuses_the_login_is_no_customer_who_hangs_up(
    cause: int, sip_code: int, reason: str
) -> None:
    simulation = CallSimulation().dial(BORIS, c.CUSTOMER)
    engine = simulation.at(1).engine
    engine.refuse(simulation.ringing(c.CUSTOMER), cause, sip_code=sip_code)
    assert simulation.flow().end["finish_reason"] == reason
    assert _ended(simulation).get("sip_code", 0) == sip_code


def test_a_customer_who_declines_rings_first() -> None:
    """Asterisk at a carrier answers 403 for a party that declines."""
    simulation = CallSimulation().dial(BORIS, c.CUSTOMER)
    engine = simulation.at(1).engine
    engine.pending.append(Ringing(simulation.ringing(c.CUSTOMER), engine.at()))
    simulation.flow()
    engine.refuse(simulation.ringing(c.CUSTOMER), 21, sip_code=403)
    assert simulation.flow().end["finish_reason"] == "caller_disconnects"
    assert _ended(simulation)["rang"]


def test_the_end_of_a_call_has_the_trunk_as_it_was() -> None:
    trunk = company().trunks[c.TRUNK]
    for mode, more in (
        (TrunkMode.REGISTER, {"state": "refused", "reason": "403 Forbidden"}),
        (TrunkMode.ADDRESS, {}),
    ):
        simulation = CallSimulation(company(trunks={c.TRUNK: replace(trunk, mode=mode)}))
        simulation.presence.trunk_registrations[c.TRUNK] = TrunkRegistration("refused", "403 Forbidden")
        simulation.dial(BORIS, c.CUSTOMER).at(1).refuse(34)
        assert _ended(simulation)["trunk"] == {"name": trunk.name, "mode": mode, **more}


@pytest.mark.parametrize("signal", [Ringing, EarlyMedia])
def test_a_carrier_that_reports_ringing_or_sound_responds(signal: type[Ringing | EarlyMedia]) -> None:
    simulation = CallSimulation().dial(BORIS, c.CUSTOMER)
    engine = simulation.engine
    engine.pending.append(signal(simulation.ringing(c.CUSTOMER), engine.at()))
    simulation.flow()
    assert not _has_no_response(simulation.at(120).ring_out())


def test_to_a_colleague_by_extension() -> None:
    simulation = CallSimulation().dial(BORIS, "101")
    target = connected(simulation).targets[0]
    assert (target.endpoint.name, target.caller_number, target.caller_name) == (ANNA, "102", "Dahl Boris")
    phone = simulation.at(3).answer(ANNA)
    simulation.at(13).hang_up(phone)
    end = simulation.end
    assert (end["is_internal"], end["finish_reason"], end["virtual_phone_number"]) == (
        True,
        "caller_disconnects",
        None,
    )
    assert [person["employee_full_name"] for person in end["employees"]] == ["Dahl Boris", "Berg Anna"]
    assert simulation.durations == (3, 3, 10, 10, 13, 0)
    walk(simulation.events)


def test_to_a_group_the_first_to_answer_talks() -> None:
    simulation = CallSimulation(online=[ANNA, BORIS, c.DORA_LINE]).dial(c.DORA_LINE, "200")
    simulation.at(3).answer(BORIS)
    simulation.at(9).hang_up()
    assert simulation.reasons[1:] == [(ANNA, "another_operator_answer"), (BORIS, "operator_disconnects")]


def test_to_a_group_only_the_phones_chosen_for_it_ring() -> None:
    account = company()
    boris = tuple(phone.phone_id for phone in account.employees[c.BORIS].phones)
    group = replace(account.groups[c.ALL], phone_ids=boris)
    simulation = CallSimulation(company(groups={c.ALL: group}), online=[ANNA, BORIS, c.DORA_LINE]).dial(
        c.DORA_LINE, "200"
    )
    assert simulation.ringing(BORIS)
    assert ANNA not in [login for login, _ in simulation.reasons]


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
    assert CallSimulation().dial(BORIS, dialled).end["finish_reason"] == reason


def test_a_colleague_who_is_busy() -> None:
    simulation = CallSimulation().dial(BORIS, "101")
    simulation.refuse(17)
    assert (simulation.end["finish_reason"], reported_cause(simulation)) == ("operator_busy", 17)


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
    simulation = CallSimulation(company(lines=lines)).dial(BORIS, c.CUSTOMER)
    assert (simulation.end["finish_reason"], simulation.reasons[0][1]) == (reason, reason)


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
    assert CallSimulation(account).dial(BORIS, dialled).end["finish_reason"] == reason


def test_limits_on_the_way_out() -> None:
    assert CallSimulation().dial(BORIS, c.BLOCKED).end["finish_reason"] == "locked_numb"
    assert (
        CallSimulation(company(is_active=False)).dial(BORIS, c.CUSTOMER).end["finish_reason"]
        == "app_is_inactive"
    )
    one = company(numbers={1: c.number(1, max_out_calls=1)})
    first = CallSimulation(one).dial(BORIS, c.CUSTOMER)
    second = CallSimulation(one)
    second.presence = first.presence
    assert second.dial(ANNA, c.CUSTOMER).end["finish_reason"] == "max_out_call_reached"
    no_trunk = CallSimulation(company(trunks={})).dial(BORIS, c.CUSTOMER)
    assert no_trunk.end["finish_reason"] == "sip_trunk_is_locked"


# --- started by the API -----------------------------------------------------------------------------------


def test_the_employee_first() -> None:
    simulation = CallSimulation().start(
        "start_employee_call", **COMMON, first_call="employee", employee={"id": c.BORIS}
    )
    assert [
        one.originate.target.endpoint.name for one in simulation.engine.done if isinstance(one, OriginateLeg)
    ] == [BORIS]
    simulation.at(4).answer(BORIS)
    assert connected(simulation).targets[0].number == c.CUSTOMER
    phone = simulation.at(10).answer(c.CUSTOMER)
    simulation.at(30).hang_up(phone)
    end = simulation.end
    assert (end["finish_reason"], end["source"], end["direction"]) == ("caller_disconnects", "callapi", "in")
    assert simulation.durations == (4, 10, 20, 20, 30, 0)
    walk(simulation.events)


def test_the_contact_first() -> None:
    simulation = CallSimulation().start(
        "start_employee_call", **COMMON, first_call="contact", employee={"id": c.BORIS}
    )
    simulation.at(4).answer(c.CUSTOMER)
    phone = simulation.at(10).answer(BORIS)
    simulation.at(30).hang_up(phone)
    assert simulation.end["finish_reason"] == "operator_disconnects"
    assert simulation.durations == (10, 10, 20, 20, 30, 0)


def test_an_operators_number() -> None:
    operator = {"operator": c.CLARA_MOBILE, "first_call": "operator"}
    simulation = CallSimulation().start("start_simple_call", **COMMON, **operator, external_id="order 7")
    simulation.at(4).answer(c.CLARA_MOBILE)
    simulation.at(9).answer(c.CUSTOMER)
    simulation.at(12).command("release_call")
    assert (simulation.end["finish_reason"], simulation.end["external_id"]) == (
        "operator_disconnects",
        "order 7",
    )
    assert simulation.end["employees"] == []


def test_the_employees_phones_one_after_another_and_nobody() -> None:
    simulation = CallSimulation().start(
        "start_employee_call", **COMMON, first_call="employee", employee={"id": c.ANNA}
    )
    simulation.at(5).refuse(17, ANNA)
    simulation.at(9).refuse(19, c.ANNA_SECOND)
    assert simulation.reasons == [(ANNA, "operator_busy"), (c.ANNA_SECOND, "operator_not_responsive")]
    assert (simulation.end["finish_reason"], simulation.end["is_lost"]) == ("no_success_operator_call", True)


def test_nobody_to_ring_ends_at_once() -> None:
    simulation = CallSimulation().start(
        "start_employee_call", **COMMON, first_call="employee", employee={"id": c.DORA}
    )
    assert simulation.types[0] is EventType.SESSION_STARTED
    assert simulation.reasons == [(c.DORA_LINE, "sip_offline")]
    assert simulation.end["finish_reason"] == "no_success_operator_call"
    away = CallSimulation(company(trunks={})).start(
        "start_simple_call", **COMMON, operator=c.CLARA_MOBILE, first_call="contact"
    )
    assert away.end["finish_reason"] == "no_success_caller_call"


def test_the_contact_is_not_reached() -> None:
    first = CallSimulation().start(
        "start_employee_call", **COMMON, first_call="contact", employee={"id": c.BORIS}
    )
    first.at(5).refuse(17)
    assert (first.reasons[0][1], first.end["finish_reason"]) == ("caller_busy", "no_success_caller_call")
    second = CallSimulation().start(
        "start_employee_call", **COMMON, first_call="employee", employee={"id": c.BORIS}
    )
    second.at(3).answer(BORIS)
    second.at(8).refuse(17)
    assert (second.reasons[1][1], second.end["finish_reason"]) == ("caller_busy", "no_success_caller_call")


def test_the_first_hangs_up_while_the_second_is_called() -> None:
    simulation = CallSimulation().start(
        "start_employee_call", **COMMON, first_call="employee", employee={"id": c.BORIS}
    )
    phone = simulation.at(3).answer(BORIS)
    simulation.at(6).hang_up(phone)
    assert simulation.end["finish_reason"] == "operator_disconnects"
    assert simulation.end["is_lost"] is True


def test_released_while_the_first_rings() -> None:
    simulation = CallSimulation().start(
        "start_employee_call", **COMMON, first_call="employee", employee={"id": c.BORIS}
    )
    simulation.at(3).command("release_call")
    assert simulation.end["finish_reason"] == "operator_disconnects"
    assert simulation.reasons == [(BORIS, "operator_disconnects")]


def test_a_colleague_whose_outside_phone_may_not_be_called_has_the_reason() -> None:
    account = replace(company(), security={"mobile": False, "national": False, "international": False})
    simulation = CallSimulation(account).dial(ANNA, "103")
    assert simulation.reasons[-1][1] == Reason.LOCKED_NUMB
    assert simulation.end["finish_reason"] == Reason.LOCKED_NUMB
