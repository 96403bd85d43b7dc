"""The price of a leg, for any leg and any price list."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.billing.kinds import DirectionType, type_of_number
from trunkline.billing.rates import (
    PLACES,
    Direction,
    LegFacts,
    PriceList,
    Rate,
    amount,
    chargeable_seconds,
    rate_leg,
)

PRICES = st.decimals(0, 10**6, places=4, allow_nan=False, allow_infinity=False)
STEPS = st.integers(1, 3600)
RATES = st.builds(
    Rate,
    cost_per_minute=PRICES,
    connection_fee=PRICES,
    first_step=STEPS,
    step=STEPS,
    free_seconds=st.integers(0, 600),
)
SECONDS = st.integers(0, 10**6)
NUMBERS = st.from_regex(r"[1-3]{1,6}", fullmatch=True)
OUT = LegFacts(Direction.OUT, 61, "97142000200", "971500000010", "97142000200", by_trunk=True)


@given(RATES, SECONDS)
def test_charged_seconds_cover_the_leg_with_whole_steps(rate: Rate, duration: int) -> None:
    charged = chargeable_seconds(rate, duration)
    if duration <= rate.free_seconds:
        assert charged == 0
    else:
        assert charged >= max(duration, rate.first_step)
        assert (charged - rate.first_step) % rate.step == 0
        assert charged < duration + max(rate.first_step, rate.step)


@given(RATES, SECONDS, SECONDS)
def test_a_longer_leg_never_costs_less(rate: Rate, one: int, other: int) -> None:
    shorter, longer = sorted((one, other))
    assert chargeable_seconds(rate, shorter) <= chargeable_seconds(rate, longer)
    assert amount(rate, chargeable_seconds(rate, shorter)) <= amount(rate, chargeable_seconds(rate, longer))


@given(RATES, SECONDS, st.integers(0, 1000))
def test_a_whole_step_more_is_charged_as_that_step(rate: Rate, beyond: int, steps: int) -> None:
    duration = max(rate.first_step, rate.free_seconds + 1) + beyond
    more = chargeable_seconds(rate, duration + steps * rate.step)
    assert more == chargeable_seconds(rate, duration) + steps * rate.step


@given(RATES, SECONDS, SECONDS)
def test_one_leg_is_never_charged_longer_than_two(rate: Rate, one: int, other: int) -> None:
    if rate.free_seconds == 0:
        together = chargeable_seconds(rate, one + other)
        apart = chargeable_seconds(rate, one) + chargeable_seconds(rate, other)
        if rate.first_step % rate.step == 0:
            assert together <= apart
        else:
            assert together < apart + rate.step


@given(RATES, SECONDS)
def test_the_amount_is_exact_to_its_last_place(rate: Rate, seconds: int) -> None:
    exact = Fraction(rate.cost_per_minute) * seconds / 60 + Fraction(rate.connection_fee) if seconds else 0
    reported = amount(rate, seconds)
    assert abs(Fraction(reported) - exact) <= Fraction(PLACES) / 2
    assert reported == reported.quantize(PLACES)
    if Fraction(reported) - exact == -Fraction(PLACES) / 2:
        raise AssertionError("half a place is rounded up")


@given(st.dictionaries(st.one_of(st.just(""), NUMBERS), RATES, max_size=12), NUMBERS)
def test_the_longest_prefix_wins(rates: dict[str, Rate], number: str) -> None:
    found = PriceList(1, {Direction.OUT: rates}).find(Direction.OUT, number)
    matching = [prefix for prefix in rates if number.startswith(prefix)]
    assert found == ((max(matching, key=len), rates[max(matching, key=len)]) if matching else None)
    assert PriceList(1, {Direction.OUT: rates}).find(Direction.IN, number) is None


@given(RATES, SECONDS)
def test_prefixes_that_do_not_match_change_nothing(rate: Rate, duration: int) -> None:
    leg = dataclasses.replace(OUT, duration=duration)
    alone = PriceList(1, {Direction.OUT: {"971": rate}})
    among = PriceList(
        1, {Direction.OUT: {"971": rate, "44": Rate(Decimal(9))}, Direction.IN: {"": Rate(Decimal(7))}}
    )
    assert rate_leg(leg, alone, "AE") == rate_leg(leg, among, "AE")


@pytest.mark.parametrize(
    ("steps", "duration", "charged"),
    [
        ((60, 60), 0, 0),
        ((60, 60), 1, 60),
        ((60, 60), 60, 60),
        ((60, 60), 61, 120),
        ((1, 1), 61, 61),
        ((30, 6), 30, 30),
        ((30, 6), 31, 36),
        ((30, 6), 37, 42),
    ],
)
def test_rounding(steps: tuple[int, int], duration: int, charged: int) -> None:
    assert chargeable_seconds(Rate(Decimal(1), first_step=steps[0], step=steps[1]), duration) == charged


def test_free_seconds_are_not_taken_off_a_longer_leg() -> None:
    rate = Rate(Decimal("0.6"), Decimal("0.5"), first_step=1, step=1, free_seconds=5)
    assert chargeable_seconds(rate, 5) == 0
    assert amount(rate, chargeable_seconds(rate, 5)) == 0
    assert amount(rate, chargeable_seconds(rate, 6)) == Decimal("0.56")


def test_a_rate_that_makes_no_sense_is_refused() -> None:
    for wrong in ({"step": 0}, {"first_step": 0}, {"free_seconds": -1}, {"connection_fee": Decimal(-1)}):
        with pytest.raises(ValueError, match=r"step|price"):
            Rate(Decimal(1), **wrong)


def test_legs_to_our_own_devices_and_without_a_rate_cost_nothing() -> None:
    prices = PriceList(1, {Direction.OUT: {"": Rate(Decimal(1))}})
    inside = rate_leg(dataclasses.replace(OUT, by_trunk=False), prices, "AE")
    assert (inside.total, inside.chargeable_duration, inside.cost_per_minute) == (Decimal(0), 0, None)
    assert inside.direction_type is DirectionType.LOCAL
    for without in (
        rate_leg(dataclasses.replace(OUT, direction=Direction.IN), prices, "AE"),
        rate_leg(OUT, None, "AE"),
    ):
        assert (without.total, without.cost_per_minute) == (Decimal(0), None)


def test_a_call_in_costs_by_the_number_of_ours() -> None:
    prices = PriceList(1, {Direction.IN: {"1800": Rate(Decimal(1)), "": Rate(Decimal(0))}})
    leg = LegFacts(Direction.IN, 60, "971500000010", "18005550110", "18005550110", by_trunk=True)
    charge = rate_leg(leg, prices, "AE")
    assert (charge.prefix, charge.total, charge.direction_type) == ("1800", Decimal(1), DirectionType.MOBILE)


def test_the_rate_says_what_kind_of_call_it_is_if_it_does() -> None:
    rate = Rate(Decimal(1), direction_type=DirectionType.NATIONAL)
    assert rate_leg(OUT, PriceList(1, {Direction.OUT: {"": rate}}), "AE").direction_type == "national"


@pytest.mark.parametrize(
    ("number", "own", "country", "kind"),
    [
        ("971500000010", "97142000200", "AE", "mobile"),
        ("12025550110", "97142000200", "AE", "international"),
        ("12025550110", "12025550111", "US", "local"),
        ("13125550110", "12025550111", "US", "national"),
        ("442079460100", "442079460101", "GB", "local"),
        ("442079460100", None, "GB", "national"),
        ("201", None, "AE", None),
        ("", None, "AE", None),
        (None, None, "AE", None),
    ],
)
def test_kinds_of_calls(number: str | None, own: str | None, country: str, kind: str | None) -> None:
    assert type_of_number(number, own, country) == kind
