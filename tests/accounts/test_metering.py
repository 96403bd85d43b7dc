"""Points on the real database: limits, resets, refunds, and many requests at once."""

from __future__ import annotations

import asyncio

import pytest

from tests.accounts.conftest import Clock
from trunkline.accounts import Accounts, Api, NewAccount
from trunkline.accounts.administration import AccountProfile, Administration
from trunkline.core.errors import InvalidInput, LimitExceeded


async def test_a_fresh_account_has_its_points(accounts: Accounts, company: NewAccount, clock: Clock) -> None:
    clock.now += 12.5
    points = await accounts.points(company.account_id, Api.CALL_API)
    assert (points.day_limit, points.day_remaining, points.day_reset) == (10_000, 10_000, 43_188)
    assert (points.minute_limit, points.minute_remaining, points.minute_reset) == (250, 250, 48)


async def test_points_go_down_by_the_weight(accounts: Accounts, company: NewAccount) -> None:
    reported = await accounts.reserve_points(company.account_id, Api.CALL_API, 5)
    assert (reported.day_remaining, reported.minute_remaining) == (9_995, 245)
    reported = await accounts.reserve_points(company.account_id, Api.CALL_API, 1)
    assert (reported.day_remaining, reported.minute_remaining) == (9_994, 244)
    assert await accounts.points(company.account_id, Api.CALL_API) == reported
    other = await accounts.points(company.account_id, Api.DATA_API)
    assert (other.day_remaining, other.minute_remaining) == (10_000, 250)


async def test_the_minute_ends(
    accounts: Accounts, administration: Administration, company: NewAccount, clock: Clock
) -> None:
    who = (company.account_id, Api.CALL_API)
    await administration.set_limits(*who, minute=3)
    await accounts.reserve_points(*who, 2)
    with pytest.raises(LimitExceeded) as caught:
        await accounts.reserve_points(*who, 2)
    assert caught.value.mnemonic == "limit_exceeded"
    assert caught.value.params == {"limit_type": "minute", "limit_max_value": 3}
    reported = await accounts.points(*who)
    assert (reported.minute_remaining, reported.day_remaining) == (1, 9_998)
    clock.now += reported.minute_reset
    reported = await accounts.reserve_points(*who, 3)
    assert (reported.minute_remaining, reported.day_remaining) == (0, 9_995)


async def test_the_day_ends(
    accounts: Accounts, administration: Administration, company: NewAccount, clock: Clock
) -> None:
    who = (company.account_id, Api.DATA_API)
    await administration.set_limits(*who, day=2)
    await accounts.reserve_points(*who, 2)
    clock.now += 60
    with pytest.raises(LimitExceeded) as caught:
        await accounts.reserve_points(*who, 1)
    assert caught.value.params == {"limit_type": "day", "limit_max_value": 2}
    assert (await accounts.points(*who)).minute_remaining == 250
    clock.now += (await accounts.points(*who)).day_reset
    assert (await accounts.reserve_points(*who, 1)).day_remaining == 1


async def test_a_weight_above_the_limit_never_fits(
    accounts: Accounts, administration: Administration, company: NewAccount
) -> None:
    await administration.set_limits(company.account_id, Api.CALL_API, minute=4)
    with pytest.raises(LimitExceeded):
        await accounts.reserve_points(company.account_id, Api.CALL_API, 5)
    assert (await accounts.points(company.account_id, Api.CALL_API)).day_remaining == 10_000


async def test_weightless_methods_pass_an_empty_purse(
    accounts: Accounts, administration: Administration, company: NewAccount
) -> None:
    await administration.set_limits(company.account_id, Api.CALL_API, minute=0, day=0)
    assert (await accounts.reserve_points(company.account_id, Api.CALL_API, 0)).minute_remaining == 0
    with pytest.raises(LimitExceeded):
        await accounts.reserve_points(company.account_id, Api.CALL_API, 1)


async def test_a_lowered_limit_shows_no_negative_points(
    accounts: Accounts, administration: Administration, company: NewAccount
) -> None:
    await accounts.reserve_points(company.account_id, Api.CALL_API, 10)
    await administration.set_limits(company.account_id, Api.CALL_API, minute=5)
    assert (await accounts.points(company.account_id, Api.CALL_API)).minute_remaining == 0


async def test_a_failed_request_costs_nothing(accounts: Accounts, company: NewAccount) -> None:
    who = (company.account_id, Api.CALL_API)
    taken = await accounts.reserve_points(*who, 3)
    reported = await accounts.refund_points(*who, 3, taken.at)
    assert (reported.day_remaining, reported.minute_remaining) == (10_000, 250)
    reported = await accounts.refund_points(*who, 3)
    assert (reported.day_remaining, reported.minute_remaining) == (10_000, 250)


async def test_points_of_a_past_minute_are_not_given_to_the_next(
    accounts: Accounts, company: NewAccount, clock: Clock
) -> None:
    who = (company.account_id, Api.CALL_API)
    taken = await accounts.reserve_points(*who, 3)
    clock.now += 60
    await accounts.reserve_points(*who, 5)
    reported = await accounts.refund_points(*who, 3, taken.at)
    assert (reported.day_remaining, reported.minute_remaining) == (9_995, 245)


async def test_a_process_whose_clock_lags_overspends_nothing(
    accounts: Accounts, administration: Administration, company: NewAccount, clock: Clock
) -> None:
    who = (company.account_id, Api.CALL_API)
    await administration.set_limits(*who, minute=3)
    clock.now += 60
    await accounts.reserve_points(*who, 2)
    clock.now -= 30
    await accounts.reserve_points(*who, 1)
    with pytest.raises(LimitExceeded):
        await accounts.reserve_points(*who, 1)
    clock.now += 30
    assert (await accounts.points(*who)).minute_remaining == 0


async def test_requests_at_once_never_overspend(
    accounts: Accounts, administration: Administration, company: NewAccount
) -> None:
    who = (company.account_id, Api.CALL_API)
    await administration.set_limits(*who, minute=20, day=30)
    results = await asyncio.gather(
        *(accounts.reserve_points(*who, 1) for _ in range(50)), return_exceptions=True
    )
    refused = [result for result in results if isinstance(result, LimitExceeded)]
    assert len(refused) == 30
    left = sorted(result.minute_remaining for result in results if not isinstance(result, BaseException))
    assert left == list(range(20))
    points = await accounts.points(*who)
    assert (points.minute_remaining, points.day_remaining) == (0, 10)


async def test_taking_and_giving_back_at_once_balances(accounts: Accounts, company: NewAccount) -> None:
    who = (company.account_id, Api.CALL_API)

    async def fail() -> None:
        taken = await accounts.reserve_points(*who, 2)
        await accounts.refund_points(*who, 2, taken.at)

    await asyncio.gather(*(fail() for _ in range(25)), *(accounts.reserve_points(*who, 1) for _ in range(25)))
    points = await accounts.points(*who)
    assert (points.minute_remaining, points.day_remaining) == (225, 9_975)


async def test_tenants_do_not_share_points(
    accounts: Accounts, administration: Administration, company: NewAccount
) -> None:
    other = await administration.create_account(AccountProfile("Other"))
    await accounts.reserve_points(company.account_id, Api.CALL_API, 7)
    assert (await accounts.points(other.account_id, Api.CALL_API)).minute_remaining == 250


async def test_an_unknown_account_has_none(accounts: Accounts) -> None:
    assert (await accounts.points(99, Api.CALL_API)).day_limit == 0
    with pytest.raises(LimitExceeded):
        await accounts.reserve_points(99, Api.CALL_API, 1)


async def test_own_weights(accounts: Accounts, administration: Administration, company: NewAccount) -> None:
    who = (company.account_id, Api.DATA_API)

    async def weight(api: Api = Api.DATA_API) -> int | None:
        return accounts.weight(await accounts.authenticate(company.keys[api], api), "upload.calls")

    assert await weight() is None
    await administration.set_weight(*who, "upload.calls", 4)
    await administration.set_weight(*who, "upload.calls", 5)
    assert await weight() == 5
    assert await weight(Api.CALL_API) is None
    await administration.set_weight(*who, "upload.calls", None)
    assert await weight() is None
    with pytest.raises(InvalidInput):
        await administration.set_weight(company.account_id, Api.CONSOLE, "x", 1)
