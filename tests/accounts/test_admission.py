"""One question for who asks and the points: both as when they are asked for one after the other."""

from __future__ import annotations

import asyncio

import pytest

from tests.accounts.conftest import Clock
from trunkline.accounts import Accounts, Api, NewAccount
from trunkline.accounts.administration import Administration
from trunkline.accounts.model import Points
from trunkline.core.errors import TrunklineError
from trunkline.db.pool import Database

HERE = "203.0.113.7"


@pytest.fixture
async def token(administration: Administration, company: NewAccount) -> str:
    await administration.allow_address(company.account_id, Api.CALL_API, "203.0.113.0/24")
    return company.keys["call_api"]


async def _left(accounts: Accounts, company: NewAccount) -> tuple[int, int]:
    points = await accounts.points(company.account_id, Api.CALL_API)
    return points.day_remaining, points.minute_remaining


async def test_the_caller_and_the_points(
    accounts: Accounts, company: NewAccount, token: str, clock: Clock
) -> None:
    clock.now += 12.5
    found = await accounts.admit(token, Api.CALL_API, "list.calls", 3, HERE)
    assert found.caller == await accounts.authenticate(token, Api.CALL_API)
    assert found.points == Points(10_000, 9_997, 43_188, 250, 247, 48, clock.now)
    assert found.points == await accounts.points(company.account_id, Api.CALL_API)


async def test_the_weight_of_the_account_counts(
    accounts: Accounts, company: NewAccount, token: str, db: Database
) -> None:
    await db.execute(
        "insert into method_weights (account_id, api, method, weight) values (%s, 'call_api', 'list.calls', 7)",
        (company.account_id,),
    )
    found = await accounts.admit(token, Api.CALL_API, "list.calls", 3, HERE)
    assert accounts.weight(found.caller, "list.calls") == 7
    assert await _left(accounts, company) == (9_993, 243)


@pytest.mark.parametrize(("day", "minute"), [(5, 250), (10_000, 5), (5, 5), (0, 0)])
async def test_from_both_or_from_none(
    accounts: Accounts, administration: Administration, company: NewAccount, token: str, day: int, minute: int
) -> None:
    await administration.set_limits(company.account_id, Api.CALL_API, day=day, minute=minute)
    found = await accounts.admit(token, Api.CALL_API, "list.calls", 6, HERE)
    assert found.points is None
    assert found.caller.account_id == company.account_id
    assert await _left(accounts, company) == (day, minute)


@pytest.mark.parametrize("ip", ["198.51.100.7", "2001:db8::1", "::ffff:198.51.100.7", "", "here"])
async def test_nothing_is_taken_from_elsewhere(
    accounts: Accounts, company: NewAccount, token: str, ip: str
) -> None:
    found = await accounts.admit(token, Api.CALL_API, "list.calls", 1, ip)
    assert found.points is None
    assert await _left(accounts, company) == (10_000, 250)


async def test_a_coated_address_is_bared(accounts: Accounts, token: str) -> None:
    assert (await accounts.admit(token, Api.CALL_API, "list.calls", 1, f"::ffff:{HERE}")).points is not None


async def test_nothing_is_taken_for_who_may_not(
    accounts: Accounts, company: NewAccount, token: str, db: Database, clock: Clock
) -> None:
    who = (company.account_id,)
    for change, back, mnemonic in (
        ("users set status = 'disabled'", "users set status = 'active'", "access_token_blocked"),
        (
            "accounts set locked_by_operator = true",
            "accounts set locked_by_operator = false",
            "account_inactive",
        ),
        ("api_keys set blocked_at = now()", "api_keys set blocked_at = null", "access_token_blocked"),
        ("api_keys set expires_at = '2020-01-01'", "api_keys set expires_at = null", "access_token_expired"),
    ):
        await db.execute(f"update {change} where account_id = %s".encode(), who)
        with pytest.raises(TrunklineError) as caught:
            await accounts.admit(token, Api.CALL_API, "list.calls", 1, HERE)
        assert caught.value.mnemonic == mnemonic
        await db.execute(f"update {back} where account_id = %s".encode(), who)
    with pytest.raises(TrunklineError) as caught:
        await accounts.admit("unknown", Api.CALL_API, "list.calls", 1, HERE)
    assert caught.value.mnemonic == "access_token_invalid"
    await db.execute("update users set call_api_enabled = false where account_id = %s", who)
    assert (await accounts.admit(token, Api.CALL_API, "list.calls", 1, HERE)).points is None
    assert await _left(accounts, company) == (10_000, 250)


async def test_many_at_once_never_overspend(
    accounts: Accounts, administration: Administration, company: NewAccount, token: str
) -> None:
    await administration.set_limits(company.account_id, Api.CALL_API, minute=10)
    found = await asyncio.gather(
        *(accounts.admit(token, Api.CALL_API, "list.calls", 1, HERE) for _ in range(40))
    )
    assert sum(one.points is not None for one in found) == 10
    assert (await _left(accounts, company))[1] == 0
