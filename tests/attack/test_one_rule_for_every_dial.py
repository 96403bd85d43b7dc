"""Numbers that the security settings close cannot be dialled in any way; an emergency number can, whatever is locked.

The rules with the company of the call tests: phones, the API, forwarding, transfers, coaches.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.company import company, number_of, scenario, to_number
from tests.calls.simulation import CallSimulation
from trunkline.calls.effects import ConnectTargets, Hangup, OriginateLeg
from trunkline.core.errors import InvalidInput, PermissionDenied
from trunkline.directory.model import Account, BillingState, LineStatus, LineType
from trunkline.events.catalogue import EventType
from trunkline.routing.directions import Direction, needed_directions, refused_direction
from trunkline.routing.emergency import emergency_number

pytestmark = pytest.mark.attack

HOME = {"mobile": True, "national": True}
SATELLITE = "88213001234"
"""International networks."""
FOREIGN = "442079460991"


@pytest.mark.parametrize(
    ("country", "number", "needed"),
    [
        ("AE", "971500000001", [Direction.MOBILE]),
        ("AE", "97142000099", [Direction.NATIONAL]),
        ("AE", "12025550111", [Direction.INTERNATIONAL]),
        ("AE", SATELLITE, [Direction.INTERNATIONAL, Direction.PREMIUM]),
        ("AE", "870773111632", [Direction.INTERNATIONAL, Direction.PREMIUM]),
        ("AE", "881612345678", [Direction.INTERNATIONAL, Direction.PREMIUM]),
        ("AE", "97912345678", [Direction.INTERNATIONAL, Direction.PREMIUM]),
        ("AE", "80812345678", [Direction.INTERNATIONAL, Direction.PREMIUM]),
        ("AE", "80012345678", [Direction.INTERNATIONAL]),
        ("GB", "447012345678", [Direction.NATIONAL, Direction.PREMIUM]),
        ("AE", "447012345678", [Direction.INTERNATIONAL, Direction.PREMIUM]),
        ("US", "19005550111", [Direction.NATIONAL, Direction.PREMIUM]),
        # The same country code, another country: the usual target of callers who ring once and hang up.
        ("US", "18764561234", [Direction.INTERNATIONAL]),
        ("AE", "999999999999", [Direction.INTERNATIONAL, Direction.PREMIUM]),
        # Exchanges ignore digits behind a whole number: it is still the same one.
        ("AE", "9719002123459", [Direction.NATIONAL, Direction.PREMIUM]),
        ("GB", "44909879000012", [Direction.NATIONAL, Direction.PREMIUM]),
        ("US", "1900555011199", [Direction.NATIONAL, Direction.PREMIUM]),
        ("US", "141655501119", [Direction.INTERNATIONAL]),
        ("GB", "4415341234567", [Direction.INTERNATIONAL]),
        ("RU", "780912345678", [Direction.NATIONAL, Direction.PREMIUM]),
        ("AE", "4470123456789", [Direction.INTERNATIONAL, Direction.PREMIUM]),
        ("AE", "9715000000011", [Direction.MOBILE]),
        # A network that removes its own country code dials abroad.
        ("AE", "97100442079460", [Direction.INTERNATIONAL, Direction.PREMIUM]),
        ("US", "1011442079460", [Direction.INTERNATIONAL, Direction.PREMIUM]),
        ("IT", "3900442079460", [Direction.INTERNATIONAL, Direction.PREMIUM]),
        ("IT", "390612345678", [Direction.NATIONAL]),
        # The short number of a service.
        ("AE", "971112", [Direction.NATIONAL, Direction.PREMIUM]),
    ],
)
def test_what_a_number_needs(country: str, number: str, needed: list[Direction]) -> None:
    assert list(needed_directions(replace(company(), country=country), number)) == needed


def test_international_alone_opens_no_premium_number() -> None:
    account = company(security={**HOME, "international": True})
    assert refused_direction(account, SATELLITE) is Direction.PREMIUM
    assert refused_direction(account, FOREIGN) is None
    assert (
        refused_direction(company(security={**HOME, "premium": True}), SATELLITE) is Direction.INTERNATIONAL
    )
    assert refused_direction(company(security={"international": True, "premium": True}), SATELLITE) is None


def called_out(simulation: CallSimulation) -> list[str | None]:
    """Numbers that went to a trunk."""
    connects = (
        target
        for one in simulation.engine.done
        if isinstance(one, ConnectTargets)
        for target in one.connect.targets
    )
    originates = (one.originate.target for one in simulation.engine.done if isinstance(one, OriginateLeg))
    return [target.number for target in (*connects, *originates) if target.number is not None]


@pytest.mark.parametrize("number", [SATELLITE, FOREIGN])
def test_a_phone(number: str) -> None:
    simulation = CallSimulation(company(security=HOME)).dial(c.BORIS_LINE, f"+{number}")
    assert called_out(simulation) == []
    assert simulation.end["finish_reason"] == "locked_numb"
    assert [one.cause for one in simulation.engine.done if isinstance(one, Hangup)] == [21]


def test_a_phone_that_keys_an_extension_behind_it() -> None:
    simulation = CallSimulation(company(security=HOME)).dial(c.BORIS_LINE, f"{SATELLITE}..12")
    assert called_out(simulation) == []


def of_partner(**changes: Any) -> Account:
    """The partner's number is outside the country, and it is where the scenario forwards to."""
    flow = scenario(c.OUTSIDE, ("a", *to_number(c.PARTNER)))
    scenarios = {**company().scenarios, c.OUTSIDE: flow}
    return company(scenarios=scenarios, security=HOME, **changes)


def test_forwarding_of_a_scenario() -> None:
    simulation = CallSimulation(of_partner()).arrive(c.OUTSIDE)
    assert called_out(simulation) == []


def test_the_outside_phone_of_an_employee() -> None:
    account = company(security=HOME)
    clara = account.employees[c.CLARA]
    phones = tuple(
        replace(phone, external_number=SATELLITE) if phone.sip_line_id is None else phone
        for phone in clara.phones
    )
    account = replace(account, employees={**account.employees, c.CLARA: replace(clara, phones=phones)})
    simulation = CallSimulation(account).arrive(c.TO_CLARA)
    assert called_out(simulation) == []
    assert (SATELLITE, "locked_numb") in simulation.reasons


@pytest.mark.parametrize("field", ["contact", "operator"])
def test_the_api(field: str) -> None:
    params = {
        "virtual_phone_number": number_of(1),
        "contact": "971500000077",
        "operator": "971500000078",
        "first_call": "operator",
    }
    simulation = CallSimulation(company(security=HOME))
    with pytest.raises(PermissionDenied) as refused:
        simulation.start("start_simple_call", **{**params, field: SATELLITE})
    assert (refused.value.mnemonic, refused.value.field) == ("forbidden", field)
    assert called_out(simulation) == []


@pytest.mark.parametrize("dialled", [SATELLITE, FOREIGN])
def test_a_transfer(dialled: str) -> None:
    simulation = CallSimulation(company(security=HOME)).arrive(c.TO_ANNA)
    simulation.at(3).answer(c.ANNA_LINE)
    simulation.at(5).command("hold_call")
    with pytest.raises(InvalidInput):
        simulation.at(7).command("make_call", to=dialled)
    assert called_out(simulation) == []


@pytest.mark.parametrize("dialled", [SATELLITE, FOREIGN])
def test_a_coach(dialled: str) -> None:
    simulation = CallSimulation(company(security=HOME)).arrive(c.TO_ANNA)
    simulation.at(3).answer(c.ANNA_LINE)
    with pytest.raises(InvalidInput):
        simulation.at(5).command("add_coach", phone_number=dialled, mode="whisper")
    assert called_out(simulation) == []


# --- emergency numbers


@pytest.mark.parametrize(
    ("dialled", "country", "number"),
    [
        ("112", "AE", "112"),
        ("+112", "AE", "112"),
        ("9-1-1", "AE", "911"),
        ("999", "US", "999"),
        ("998", "AE", "998"),
        ("110", "DE", "110"),
        ("000", "AU", "000"),
        ("15", "FR", "15"),
        ("998", "DE", None),
        ("1120", "AE", None),
        ("12025550911", "US", None),
        ("", "AE", None),
        ("112", "", "112"),
        ("٩٩٩", "AE", None),
    ],
)
def test_emergency_numbers(dialled: str, country: str, number: str | None) -> None:
    assert emergency_number(dialled, country) == number


LINE = 2
"""Of Boris."""


def with_line(**changes: Any) -> Account:
    account = company()
    return replace(account, lines={**account.lines, LINE: replace(account.lines[LINE], **changes)})


def with_employee(**changes: Any) -> Account:
    account = company()
    boris = replace(account.employees[c.BORIS], **changes)
    return replace(account, employees={**account.employees, c.BORIS: boris})


@pytest.mark.parametrize(
    "account",
    [
        company(),
        company(is_active=False),
        company(security={"mobile": False, "national": False, "international": False}),
        company(blacklist=frozenset({"112"})),
        company(trunks={c.TRUNK: replace(company().trunks[c.TRUNK], max_channels=1)}),
        with_line(type=LineType.IN),
        with_line(status=LineStatus.INACTIVE),
        with_line(billing_state=BillingState.LIMIT_LOCK),
        with_line(channels_count=0),
        with_line(virtual_number_id=None),
        with_employee(is_active=False),
        with_employee(out_external_allowed=frozenset()),
        with_employee(extension="112"),
    ],
    ids=lambda _: "",
)
@pytest.mark.parametrize("number", ["112", "999", "911", "998"])
def test_an_emergency_call_leaves(account: Account, number: str) -> None:
    other = CallSimulation(account).arrive(c.TO_ANNA)  # takes the only channel of the trunk that has one
    simulation = CallSimulation(account)
    simulation.presence = other.presence
    simulation.dial(c.BORIS_LINE, number)
    assert called_out(simulation) == [number]
    targets = [
        target
        for one in simulation.engine.done
        if isinstance(one, ConnectTargets)
        for target in one.connect.targets
    ]
    assert targets[0].caller_number in {one.phone_number for one in account.numbers.values()}
    simulation.at(3).answer(number)
    simulation.at(9).hang_up()
    assert simulation.end["finish_reason"] == "operator_disconnects"


def test_an_emergency_call_goes_on_by_the_next_trunk() -> None:
    first = company().trunks[c.TRUNK]
    account = company(trunks={c.TRUNK: first, 2: replace(first, trunk_id=2)})
    simulation = CallSimulation(account).dial(c.BORIS_LINE, "112")
    simulation.at(1).refuse(38)
    assert [leg.trunk_id for leg in simulation.session.legs.values()] == [None, c.TRUNK, 2]
    simulation.at(3).answer("112")
    simulation.at(9).hang_up()
    assert simulation.end["finish_reason"] == "operator_disconnects"


def test_an_emergency_call_that_was_declined_is_not_repeated() -> None:
    first = company().trunks[c.TRUNK]
    account = company(trunks={c.TRUNK: first, 2: replace(first, trunk_id=2)})
    simulation = CallSimulation(account).dial(c.BORIS_LINE, "112")
    simulation.at(1).refuse(17)
    assert simulation.types[-1] is EventType.SESSION_FINISHED
    assert called_out(simulation) == ["112"]


def test_an_emergency_call_shows_a_number_that_is_verified() -> None:
    account = company()
    own = account.numbers[c.TO_ANNA]
    account = replace(account, numbers={**account.numbers, c.TO_ANNA: replace(own, is_verified=False)})
    simulation = CallSimulation(account).dial(c.BORIS_LINE, "112")
    [target] = [
        target
        for one in simulation.engine.done
        if isinstance(one, ConnectTargets)
        for target in one.connect.targets
    ]
    assert target.caller_number not in ("", own.phone_number)
