"""Whose call it is that came by a trunk, and by which trunk calls of a number leave."""

from __future__ import annotations

import dataclasses

from tests.calls import company as c
from trunkline.calls.switch.live_context import LiveContext
from trunkline.calls.switch.presence import Presence
from trunkline.core.clock import Instant
from trunkline.core.ids import IdGenerator
from trunkline.directory.model import Account, Directory, VirtualNumber
from trunkline.directory.trunks.call_owner import owner_of_call

CARRIERS, CLIENTS = 1001, 1002
SERVED, OTHERS = "12025550110", "12025550111"


def served(phone: str, trunk_id: int | None) -> VirtualNumber:
    return dataclasses.replace(
        c.number(c.TO_ANNA),
        account_id=CLIENTS,
        virtual_number_id=501 + int(phone[-1]),
        phone_number=phone,
        trunk_id=None,
        carrier_trunk_id=trunk_id,
    )


def directory() -> Directory:
    """The carrier's account, and one with a number that it serves and one that it does not."""
    carrier = c.company()
    numbers = {one.virtual_number_id: one for one in (served(SERVED, c.TRUNK), served(OTHERS, None))}
    client = dataclasses.replace(
        carrier, account_id=CLIENTS, numbers=numbers, trunks={}, carriers=dict(carrier.trunks)
    )
    return Directory({CARRIERS: carrier, CLIENTS: client})


def found(called: str, trunk_id: int = c.TRUNK) -> tuple[int, str | None] | None:
    owner = owner_of_call(directory(), trunk_id, called)
    if owner is None:
        return None
    return owner.account.account_id, owner.number.phone_number if owner.number is not None else None


def test_a_call_is_the_account_s_whose_number_it_is_for() -> None:
    own = c.number_of(c.TO_ANNA)
    assert found(own) == (CARRIERS, own)
    assert found(SERVED) == found(f"+{SERVED}") == found(f"00{SERVED}") == (CLIENTS, SERVED)


def test_no_trunk_reaches_numbers_that_it_does_not_serve() -> None:
    assert found(OTHERS) == (CARRIERS, None)
    assert found("12025550119") == (CARRIERS, None)
    assert found(SERVED, trunk_id=77) is None


def context(account: Account) -> LiveContext:
    return LiveContext(account, Presence(), IdGenerator(1), Instant(1_772_366_400.0))


def test_calls_leave_by_the_carrier() -> None:
    client = directory().accounts[CLIENTS]
    carrier = context(client).account.trunk_for(served(SERVED, c.TRUNK))
    assert carrier is not None
    assert carrier.trunk_id == c.TRUNK
    assert context(client).account.trunk_for(served(OTHERS, None)) is None
    idle = dataclasses.replace(carrier, is_active=False)
    assert (
        context(dataclasses.replace(client, carriers={c.TRUNK: idle})).account.trunk_for(
            served(SERVED, c.TRUNK)
        )
        is None
    )
    own = dataclasses.replace(carrier, trunk_id=5)
    client = dataclasses.replace(client, trunks={5: own})
    chosen = context(client).account.trunk_for(dataclasses.replace(served(SERVED, c.TRUNK), trunk_id=5))
    assert chosen is own
