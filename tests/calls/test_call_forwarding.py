"""Calls go where an employee forwards them: always, when busy, when not answered; with the rights of the line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.company import company, number_of
from tests.calls.simulation import CallSimulation, evolved, walk
from trunkline.calls.effects import ConnectTargets
from trunkline.core.clock import Instant
from trunkline.directory.model import Account, EmployeeStatus, LineType
from trunkline.events.catalogue import EventType
from trunkline.telephony.port import Target

ANNA_EXTENSION, BORIS_EXTENSION, DORA_EXTENSION = "101", "102", "104"
EVERYBODY = (c.ANNA_LINE, c.ANNA_SECOND, c.BORIS_LINE, c.DORA_LINE)


def with_forwards(account: Account | None = None, /, **of: dict[str, Any]) -> Account:
    """:param of: changes of the employees ``anna``, ``boris``, ``dora``."""
    account = account or company()
    ids = {"anna": c.ANNA, "boris": c.BORIS, "dora": c.DORA}
    changed = {ids[name]: replace(account.employees[ids[name]], **changes) for name, changes in of.items()}
    return replace(account, employees={**account.employees, **changed})


def incoming(account: Account, *, online: tuple[str, ...] = EVERYBODY) -> CallSimulation:
    """A customer calls Anna, who has two phones."""
    return CallSimulation(account, online=online).arrive(c.TO_ANNA)


def internal(account: Account, *, online: tuple[str, ...] = EVERYBODY) -> CallSimulation:
    """Boris calls Anna."""
    return CallSimulation(account, online=online).dial(c.BORIS_LINE, ANNA_EXTENSION)


def rung(simulation: CallSimulation) -> list[Target]:
    """Whom the engine was to ring, in order."""
    connects = [one.connect for one in simulation.engine.done if isinstance(one, ConnectTargets)]
    return [target for connect in connects for target in connect.targets]


def places(simulation: CallSimulation) -> list[str]:
    return [target.number or target.endpoint.name for target in rung(simulation)]


def forwards(simulation: CallSimulation) -> list[tuple[int, str, str, str | None]]:
    data = [event.data for event in simulation.events if event.type is EventType.CALL_FORWARDED]
    return [(one["employee_id"], one["when"], one["to"], one["refused"]) for one in data]


# --- a customer calls


def test_always_to_a_colleague_rings_no_phone_of_the_employee() -> None:
    simulation = incoming(with_forwards(anna={"forward_always": DORA_EXTENSION}))
    assert places(simulation) == [c.DORA_LINE]
    simulation.at(5).answer(c.DORA_LINE)
    simulation.at(25).hang_up()
    assert simulation.end["first_talked_employee_id"] == c.DORA
    assert forwards(simulation) == [(c.ANNA, "always", DORA_EXTENSION, None)]
    assert simulation.leg(1).operation_id is not None
    walk(simulation.events)


def test_always_to_the_world_shows_the_number_of_the_company() -> None:
    simulation = incoming(with_forwards(anna={"forward_always": c.PARTNER}))
    [target] = rung(simulation)
    assert (target.number, target.caller_number) == (c.PARTNER, number_of(c.TO_ANNA))
    simulation.at(5).answer(c.PARTNER)
    simulation.at(25).hang_up()
    assert simulation.end["is_lost"] is False
    assert not simulation.leg(0).is_operator_side
    assert simulation.leg(1).is_operator_side


def test_who_is_not_reached_there_is_followed_by_the_next_operation() -> None:
    simulation = incoming(with_forwards(anna={"forward_always": DORA_EXTENSION}))
    simulation.at(25).ring_out()
    assert places(simulation) == [c.DORA_LINE], "Anna's phones ring no more"
    assert simulation.end["finish_reason"] == "operator_not_responsive"


def test_busy_phones() -> None:
    account = with_forwards(anna={"forward_busy": DORA_EXTENSION, "forward_no_answer": BORIS_EXTENSION})
    simulation = incoming(account)
    simulation.refuse(17, c.ANNA_LINE, by_party=True)
    simulation.refuse(17, c.ANNA_SECOND, by_party=True)
    assert places(simulation) == [c.ANNA_LINE, c.ANNA_SECOND, c.DORA_LINE]
    assert forwards(simulation) == [(c.ANNA, "busy", DORA_EXTENSION, None)]


def test_a_declined_call_is_busy() -> None:
    simulation = incoming(
        with_forwards(anna={"forward_busy": DORA_EXTENSION}), online=(c.ANNA_LINE, c.DORA_LINE)
    )
    simulation.refuse(21, c.ANNA_LINE, by_party=True)
    assert places(simulation) == [c.ANNA_LINE, c.DORA_LINE]


def test_a_phone_that_rang_in_vain_counts_before_a_busy_one() -> None:
    account = with_forwards(anna={"forward_busy": BORIS_EXTENSION, "forward_no_answer": DORA_EXTENSION})
    simulation = incoming(account)
    simulation.refuse(17, c.ANNA_LINE, by_party=True)
    simulation.at(30).ring_out()
    assert places(simulation)[-1] == c.DORA_LINE
    simulation.at(60).ring_out()
    assert simulation.end["is_lost"] is True


def test_phones_that_are_not_registered() -> None:
    account = with_forwards(anna={"forward_no_answer": DORA_EXTENSION})
    simulation = incoming(account, online=(c.DORA_LINE,))
    assert places(simulation) == [c.DORA_LINE]
    assert forwards(simulation) == [(c.ANNA, "no_answer", DORA_EXTENSION, None)]
    reasons = [reason for _, reason in simulation.reasons]
    assert reasons[1:3] == ["sip_offline", "sip_offline"], "the report has why Anna was not called"


@pytest.mark.parametrize(
    ("status", "reached"),
    [(EmployeeStatus.DO_NOT_DISTURB, [c.DORA_LINE]), (EmployeeStatus.BREAK, [])],
)
def test_do_not_disturb_counts_as_busy(status: EmployeeStatus, reached: list[str]) -> None:
    simulation = incoming(with_forwards(anna={"status": status, "forward_busy": DORA_EXTENSION}))
    assert places(simulation) == reached


def test_a_status_does_not_stop_what_is_always_forwarded_but_rights_do() -> None:
    always = {"forward_always": DORA_EXTENSION}
    assert places(incoming(with_forwards(anna={**always, "status": EmployeeStatus.NOT_AT_WORK}))) == [
        c.DORA_LINE
    ]
    assert not places(incoming(with_forwards(anna={**always, "is_active": False})))
    assert not places(incoming(with_forwards(anna={**always, "in_external_allowed": frozenset({"out"})})))
    assert not places(incoming(with_forwards(anna={**always, "schedule_id": c.NEVER})))


# --- where it may not go


def line_of_anna(**changes: Any) -> Account:
    account = company()
    return replace(account, lines={**account.lines, 1: replace(account.lines[1], **changes)})


@pytest.mark.parametrize("to", ["112", "999", "199", number_of(c.ALL), c.BLOCKED])
def test_emergency_numbers_own_numbers_and_nobody_are_not_called(to: str) -> None:
    """The employee's phones ring as if nothing was forwarded."""
    simulation = incoming(with_forwards(anna={"forward_always": to}))
    assert places(simulation) == [c.ANNA_LINE]
    [(_, _, _, refused)] = forwards(simulation)
    assert refused is not None


def test_the_rights_of_the_line_and_the_directions_of_the_account_apply() -> None:
    to_world: dict[str, Any] = {"forward_always": c.PARTNER}
    security = {"mobile": True, "national": True, "international": False}
    refused = [
        with_forwards(line_of_anna(type=LineType.IN), anna=to_world),
        with_forwards(anna={**to_world, "out_external_allowed": frozenset({"in"})}),
        with_forwards(company(security=security), anna=to_world),
    ]
    assert [places(incoming(account)) for account in refused] == [[c.ANNA_LINE]] * 3
    assert places(incoming(with_forwards(line_of_anna(), anna=to_world))) == [c.PARTNER]


def test_the_limits_of_the_line_apply() -> None:
    account = with_forwards(anna={"forward_always": c.PARTNER})
    simulation = CallSimulation(account, online=EVERYBODY)
    simulation.presence.outgoing.line_limits = replace(
        simulation.presence.outgoing.line_limits, calls_per_minute=1
    )
    simulation.presence.outgoing._begun[account.account_id, 1].append(simulation.clock)
    simulation.arrive(c.TO_ANNA)
    assert places(simulation) == [c.ANNA_LINE]


@pytest.mark.parametrize("by_colleague", [False, True])
def test_a_forwarded_call_counts_for_the_line_that_forwards(by_colleague: bool) -> None:
    account = with_forwards(anna={"forward_always": c.PARTNER})
    simulation = internal(account) if by_colleague else incoming(account)
    simulation.at(5).answer(c.PARTNER)
    usage = simulation.presence.outgoing
    usage.line_limits = replace(usage.line_limits, concurrent_calls=1)

    def reached(sip_line_id: int) -> bool:
        return usage.obstacle(account, sip_line_id, c.PARTNER, Instant(simulation.clock)) is not None

    assert reached(1), "Anna's line"
    assert not reached(2), "the line of the colleague who called has placed no call to the world"
    assert evolved(None, simulation.events).living[-1].limited_line_id == 1
    simulation.hang_up()
    assert not reached(1)


def test_an_employee_without_a_line_forwards_nothing() -> None:
    """Nobody has the rights for it."""
    account = with_forwards(
        anna={"forward_always": DORA_EXTENSION, "phones": (c.phone(13, None, c.PARTNER),)}
    )
    assert places(incoming(account)) == [c.PARTNER]


# --- chains and circles


def test_a_colleague_who_forwards_all_calls_is_followed() -> None:
    account = with_forwards(
        anna={"forward_always": BORIS_EXTENSION}, boris={"forward_always": DORA_EXTENSION}
    )
    simulation = incoming(account)
    assert places(simulation) == [c.DORA_LINE]
    assert [one[0] for one in forwards(simulation)] == [c.ANNA, c.BORIS]


def test_a_circle_rings_the_phones_of_the_first() -> None:
    account = with_forwards(
        anna={"forward_always": BORIS_EXTENSION}, boris={"forward_always": ANNA_EXTENSION}
    )
    simulation = incoming(account)
    assert places(simulation) == [c.ANNA_LINE]


# --- a colleague calls


def test_between_colleagues() -> None:
    simulation = internal(with_forwards(anna={"forward_always": DORA_EXTENSION}))
    assert places(simulation) == [c.DORA_LINE]
    simulation.at(5).answer(c.DORA_LINE)
    simulation.at(25).hang_up()
    assert simulation.end["is_lost"] is False
    walk(simulation.events)


def test_between_colleagues_to_the_world_with_the_number_of_the_line() -> None:
    simulation = internal(with_forwards(anna={"forward_always": c.PARTNER}))
    [target] = rung(simulation)
    assert (target.number, target.caller_number) == (c.PARTNER, number_of(c.TO_ANNA))


def test_between_colleagues_when_busy_or_not_answered() -> None:
    account = with_forwards(anna={"forward_busy": DORA_EXTENSION, "forward_no_answer": c.PARTNER})
    simulation = internal(account)
    simulation.refuse(17, c.ANNA_LINE, by_party=True)
    assert places(simulation) == [c.ANNA_LINE, c.DORA_LINE]
    simulation = internal(account)
    simulation.at(30).ring_out()
    assert places(simulation) == [c.ANNA_LINE, c.PARTNER]
    simulation.at(60).ring_out()
    assert places(simulation) == [c.ANNA_LINE, c.PARTNER]
    assert simulation.end["is_lost"] is True


def test_the_secretary_reaches_who_forwards_to_her() -> None:
    simulation = internal(with_forwards(anna={"forward_always": BORIS_EXTENSION}))
    assert places(simulation) == [c.ANNA_LINE]


# --- groups and the Call API


def test_a_call_to_a_group_is_not_forwarded() -> None:
    account = with_forwards(anna={"forward_always": DORA_EXTENSION})
    simulation = CallSimulation(account, online=EVERYBODY).arrive(c.ALL)
    assert set(places(simulation)) == {c.ANNA_LINE, c.BORIS_LINE}


@pytest.mark.parametrize(
    ("changes", "reached"),
    [
        ({"dora": {"forward_always": BORIS_EXTENSION}}, c.BORIS_LINE),
        ({"dora": {"forward_always": c.PARTNER}}, c.PARTNER),
        ({"dora": {"forward_always": BORIS_EXTENSION}, "boris": {"forward_always": c.PARTNER}}, c.PARTNER),
        ({"dora": {"forward_always": "112"}}, c.DORA_LINE),
        ({"dora": {"forward_always": c.PARTNER, "out_external_allowed": frozenset({"in"})}}, c.DORA_LINE),
        ({"dora": {"forward_busy": BORIS_EXTENSION}}, c.DORA_LINE),
    ],
)
def test_a_transfer_to_an_extension_follows_what_is_always_forwarded(
    changes: dict[str, Any], reached: str
) -> None:
    simulation = incoming(with_forwards(**changes))
    simulation.answer(c.ANNA_LINE)
    simulation.command("hold_call").command("make_call", to=DORA_EXTENSION)
    ringing = simulation.ringing(reached)
    leg = simulation.session.leg_of(ringing)
    assert leg is not None
    outside = reached == c.PARTNER
    assert (leg.limited_line_id is not None) == outside
    assert (leg.trunk_id is not None) == outside
    simulation.answer(reached)
    simulation.hang_up()


def test_two_who_forward_to_each_other_end_the_search() -> None:
    changes: dict[str, Any] = {
        "dora": {"forward_always": BORIS_EXTENSION}, "boris": {"forward_always": DORA_EXTENSION},
    }  # fmt: skip
    simulation = incoming(with_forwards(**changes))
    simulation.answer(c.ANNA_LINE)
    simulation.command("hold_call").command("make_call", to=DORA_EXTENSION)
    assert simulation.ringing()


def test_a_restarted_switch_has_the_forward() -> None:
    simulation = incoming(with_forwards(anna={"forward_always": DORA_EXTENSION}))
    session = evolved(None, simulation.events)
    assert (session.forwarding_results, session.forward_count) == ({c.ANNA: True}, 1)
