"""Which number a call goes out with: every rule, for any numbers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.directory.test_model import account
from trunkline.directory.model import Account, NumberStatus, VirtualNumber
from trunkline.directory.numbers.choice import NumberRule, candidates, choose, of_region

PHONES = [
    "442079460100",
    "442079460101",
    "441614960100",
    "12025550110",
    "12025550111",
    "971500000010",
    "97140000100",
]
CONTACTS = [*PHONES, "442079460199", "441614960199", "12025550199", "12125550100", "971500000099", "101", ""]
REGIONAL = (NumberRule.REGIONAL_RANDOM, NumberRule.REGIONAL_FIXED_FOR_NUMA)


def number(
    identifier: int, phone: str, group: str | None = "pool", status: NumberStatus = NumberStatus.ACTIVE
) -> VirtualNumber:
    return VirtualNumber(
        account_id=1,
        virtual_number_id=identifier,
        phone_number=phone,
        name="",
        status=status,
        trunk_id=None,
        default_sip_line_id=None,
        max_in_calls=0,
        max_out_calls=0,
        rules=(),
        group=group,
    )


def company(*numbers: VirtualNumber) -> Account:
    return account(1, numbers={each.virtual_number_id: each for each in numbers})


def first(numbers: Sequence[VirtualNumber]) -> VirtualNumber:
    return numbers[0]


def last(numbers: Sequence[VirtualNumber]) -> VirtualNumber:
    return numbers[-1]


@st.composite
def situations(draw: st.DrawFn) -> tuple[Account, VirtualNumber]:
    phones = draw(st.lists(st.sampled_from(PHONES), min_size=1, unique=True))
    numbers = [
        number(
            index,
            phone,
            draw(st.sampled_from(["pool", "other", None])),
            draw(st.sampled_from([NumberStatus.ACTIVE, NumberStatus.ACTIVE, NumberStatus.LIMIT_LOCK])),
        )
        for index, phone in enumerate(phones)
    ]
    return company(*numbers), draw(st.sampled_from(numbers))


@given(
    situations(),
    st.sampled_from(NumberRule),
    st.sampled_from(CONTACTS),
    st.none() | st.integers(0, len(PHONES)),
    st.integers(0, 100),
)
def test_any_choice(
    situation: tuple[Account, VirtualNumber],
    rule: NumberRule,
    contact: str,
    remembered: int | None,
    dice: int,
) -> None:
    found, named = situation
    allowed = candidates(found, named)
    chosen = choose(found, named, rule, contact, remembered, lambda numbers: numbers[dice % len(numbers)])
    assert chosen == named or chosen in allowed
    if rule is NumberRule.FIXED:
        assert chosen == named
    if chosen != named:
        assert chosen.status is NumberStatus.ACTIVE
        assert chosen.group == named.group is not None
    if rule is NumberRule.FIXED_FOR_NUMA and remembered in {each.virtual_number_id for each in allowed}:
        assert chosen.virtual_number_id == remembered
    fitting = of_region(allowed, contact)
    if rule in REGIONAL:
        assert chosen in fitting if fitting else chosen == named
    if rule.remembers:  # once remembered, it is that one whatever the dice say
        again = choose(found, named, rule, contact, chosen.virtual_number_id, last)
        assert again == chosen


@given(situations(), st.sampled_from(CONTACTS))
def test_random_can_choose_every_candidate(situation: tuple[Account, VirtualNumber], contact: str) -> None:
    found, named = situation
    offered: list[VirtualNumber] = []

    def pick(numbers: Sequence[VirtualNumber]) -> VirtualNumber:
        offered.extend(numbers)
        return numbers[0]

    choose(found, named, NumberRule.RANDOM, contact, None, pick)
    assert offered == list(candidates(found, named))


@pytest.mark.parametrize(
    ("contact", "expected"),
    [
        ("442079460199", ["442079460100"]),  # the same city
        ("441614960199", ["441614960100"]),
        ("441314960199", ["442079460100", "441614960100"]),  # a city without a number: its country
        ("447700900100", ["442079460100", "441614960100"]),  # a mobile is of no city
        ("12025550199", ["12025550110"]),
        ("14165550100", []),  # another country under the same calling code
        ("971500000099", ["971500000010"]),
        ("0160001", []),  # a SIP line is nowhere
        ("101", []),
    ],
)
def test_regions(contact: str, expected: list[str]) -> None:
    phones = ["442079460100", "441614960100", "12025550110", "971500000010"]
    numbers = [number(index, phone) for index, phone in enumerate(phones)]
    assert [each.phone_number for each in of_region(numbers, contact)] == expected


def test_without_a_group_it_is_the_named_number() -> None:
    alone, other = number(1, "442079460100", None), number(2, "442079460101", None)
    found = company(alone, other)
    for rule in NumberRule:
        assert choose(found, alone, rule, "442079460199", 2, last) is alone


def test_a_number_remembered_from_elsewhere_does_not_fit_a_region() -> None:
    london, manchester = number(1, "442079460100"), number(2, "441614960100")
    found = company(london, manchester)
    rule = NumberRule.REGIONAL_FIXED_FOR_NUMA
    assert choose(found, manchester, rule, "442079460199", 2, first) is london
    assert choose(found, manchester, NumberRule.FIXED_FOR_NUMA, "442079460199", 2, first) is manchester
    assert choose(found, london, rule, "12025550199", 2, first) is london
