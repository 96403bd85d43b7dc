"""A claim does not transfer a number: it brings no calls and is not shown to others. What is written:
``tests/directory/test_number_ownership.py``."""

from __future__ import annotations

import dataclasses

import pytest

from tests.calls import company as c
from tests.calls.test_carriers import context
from trunkline.calls.decision import Decision
from trunkline.calls.flows import dialing, start_requests
from trunkline.core.clock import Instant
from trunkline.core.errors import NotFound
from trunkline.directory.model import Account, Directory, Trunk, TrunkMode
from trunkline.directory.numbers import choice as number_choice
from trunkline.directory.trunks.call_owner import owner_of_call

pytestmark = pytest.mark.attack


def claimed(account: Account, phone: str) -> Account:
    numbers = {
        number_id: dataclasses.replace(number, is_verified=number.phone_number != phone)
        for number_id, number in account.numbers.items()
    }
    return dataclasses.replace(account, numbers=numbers)


def registering(account: Account, trunk_id: int) -> dict[int, Trunk]:
    base = next(iter(account.trunks.values()))
    own = dataclasses.replace(
        base, account_id=account.account_id, trunk_id=trunk_id, mode=TrunkMode.REGISTER, username="u"
    )
    return {trunk_id: own}


def test_calls_reach_the_verified_owner_only() -> None:
    phone = c.number_of(c.TO_ANNA)
    victim = c.company()
    squatter = dataclasses.replace(claimed(c.company(), phone), account_id=1002)
    squatter = dataclasses.replace(squatter, trunks=registering(squatter, 900))
    for order in ((victim, squatter), (squatter, victim)):
        directory = Directory({one.account_id: one for one in order})
        shared = frozenset({c.TRUNK, 900})
        for leader in shared:
            found = owner_of_call(directory, leader, phone, shared)
            assert found is not None
            assert (found.account.account_id, found.trunk_id) == (victim.account_id, c.TRUNK)
            assert owner_of_call(directory, leader, "12025550119", shared) is None
        by_address = owner_of_call(directory, 900, phone, frozenset({900}))
        assert by_address is not None
        assert (by_address.account.account_id, by_address.number) == (1002, None)
        registered = owner_of_call(directory, 900, phone)
        assert registered is not None
        assert registered.number is not None
        assert (registered.account.account_id, registered.number.is_verified) == (1002, False)


def test_no_call_shows_a_claim() -> None:
    phone = c.number_of(c.TO_ANNA)
    account = claimed(c.company(), phone)
    decision = Decision.open(
        account.account_id, 1, context(account), Instant(0.0), {"direction": "out", "source": "sip"}
    )
    trunk = next(iter(account.trunks.values()))
    shown = dialing.trunk_target(decision, trunk, "12025550119", phone).caller_number
    assert shown != phone
    assert account.default_number is None or shown == account.default_number.phone_number
    alone = dataclasses.replace(
        account, numbers={one: number for one, number in account.numbers.items() if not number.is_verified}
    )
    decision = Decision.open(
        account.account_id, 1, context(alone), Instant(0.0), {"direction": "out", "source": "sip"}
    )
    assert alone.default_number is None
    assert dialing.trunk_target(decision, trunk, "12025550119", phone).caller_number == ""


def test_no_start_names_a_claim() -> None:
    phone = c.number_of(c.TO_ANNA)
    account = claimed(c.company(), phone)
    for check in start_requests.STARTS.values():
        with pytest.raises(NotFound) as refused:
            check(account, {"virtual_phone_number": phone, "contact": "12025550119", "first_call": "contact"})
        assert refused.value.mnemonic == "virtual_phone_number_not_found"


def test_no_rule_of_use_chooses_a_claim() -> None:
    company = c.company()
    grouped = {
        one: dataclasses.replace(
            number, group="pool", is_verified=number.phone_number != c.number_of(c.TO_ANNA)
        )
        for one, number in company.numbers.items()
    }
    account = dataclasses.replace(company, numbers=grouped)
    named = next(iter(grouped.values()))
    assert c.number_of(c.TO_ANNA) not in {
        one.phone_number for one in number_choice.candidates(account, named)
    }
