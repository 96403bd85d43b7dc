"""Shares of the checks of requests: whose a request is, who waits, and what refused ones cost."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from tests.apis.service.test_body_allowance import Clock, clock
from tests.apis.support import ApisOnFakes
from trunkline.apis.jsonrpc import Api, http
from trunkline.apis.service.body_allowance import BURST, RATE, WAIT_MAX
from trunkline.apis.service.check_limit import REQUEST_COST, CheckLimit, RequestCheck
from trunkline.core.settings import WebSettings

__all__ = ["clock"]

pytestmark = pytest.mark.isolation

ADDRESS, OTHER = "192.0.2.1", "192.0.2.2"
FREE_REQUESTS = BURST // REQUEST_COST


def _limit(clock: Clock, **settings: float) -> CheckLimit:
    return CheckLimit(WebSettings.model_validate(settings), clock)


def _body(token: str) -> bytes:
    return orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "x", "params": {"access_token": token}})


async def _succeed(limit: CheckLimit, token: str, account_id: int, address: str = ADDRESS) -> None:
    check = limit.request(_body(token), address)
    async with check:
        check.identified(account_id)
        await check.leave()
        check.succeeded()
    await check.delay_refusal()


async def _refuse(limit: CheckLimit, token: str, account_id: int | None) -> None:
    check = limit.request(_body(token), ADDRESS)
    async with check:
        if account_id is None:
            check.token_refused()
        else:
            check.identified(account_id)
    await check.delay_refusal()


async def test_requests_with_a_valid_token_never_wait(clock: Clock) -> None:
    limit = _limit(clock)
    for _ in range(5 * FREE_REQUESTS):
        await _succeed(limit, "good", 1001)
    assert clock.slept == 0


async def test_requests_with_a_valid_token_do_not_wait_for_an_address_in_debt(clock: Clock) -> None:
    """Many clients may have one address."""
    limit = _limit(clock)
    await _succeed(limit, "good", 1001)
    for _ in range(FREE_REQUESTS):
        await _refuse(limit, "bad", None)
    before = clock.slept
    await _refuse(limit, "bad", None)
    assert clock.slept > before
    before = clock.slept
    await _succeed(limit, "good", 1001)
    assert clock.slept == before


async def test_refused_requests_of_an_account_are_counted_for_the_account(clock: Clock) -> None:
    limit = _limit(clock)
    for _ in range(FREE_REQUESTS):
        await _refuse(limit, "evil", 1002)
    assert clock.slept < 1
    for _ in range(100):
        await _refuse(limit, "evil", 1002)
    assert clock.slept > 0.5
    before = clock.slept
    await _refuse(limit, "good", 1001)
    await _succeed(limit, "evil", 1002)
    assert clock.slept == before, "others, and what succeeds, do not wait"


async def test_a_refused_token_counts_as_the_address_again(clock: Clock) -> None:
    limit = _limit(clock)
    await _succeed(limit, "revoked", 1001)
    assert limit.request(_body("revoked"), ADDRESS)._account_id == 1001
    assert limit.request(_body("revoked"), OTHER)._account_id is None, "not allowed from there yet"
    await _refuse(limit, "revoked", None)
    assert limit.request(_body("revoked"), ADDRESS)._account_id is None
    await _succeed(limit, "old", 1001)
    clock.now += 301
    assert limit.request(_body("old"), ADDRESS)._account_id is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'"access_token"',
        b'"access_token":',
        b'"access_token" : ' + b" " * 1_000_000,
        b'"access_token":"' + b"x" * 1_000_000,
        b'{"access_token":"a\\u0062"}',
        b'"access_token"' * 70_000,
        b"\xff" * 100,
    ],
)
async def test_a_body_without_a_token_is_the_request_of_the_address(clock: Clock, body: bytes) -> None:
    assert _limit(clock).request(body, ADDRESS)._key is None


async def test_a_sender_has_a_share_of_the_checks() -> None:
    limit = CheckLimit(WebSettings())
    await _succeed(limit, "good", 1001)
    await _succeed(limit, "evil", 1002)
    checked: list[str] = []

    async def stay(token: str, address: str) -> None:
        async with limit.request(_body(token), address):
            checked.append(f"{token} {address}")
            await asyncio.sleep(60)

    senders = [("evil", ADDRESS), ("bad", ADDRESS), ("bad", OTHER)]
    tasks = [asyncio.create_task(stay(*sender)) for sender in senders for _ in range(20)]
    tasks.append(asyncio.create_task(stay("good", ADDRESS)))
    for _ in range(20):
        await asyncio.sleep(0)
    assert {name: checked.count(name) for name in checked} == {
        f"evil {ADDRESS}": 3,
        f"bad {ADDRESS}": 2,
        f"bad {OTHER}": 2,
        f"good {ADDRESS}": 1,
    }
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_place_is_left_once(clock: Clock) -> None:
    limit = _limit(clock)
    check: RequestCheck = limit.request(_body("good"), ADDRESS)
    running = limit.places_of_addresses.running
    async with check:
        assert running(ADDRESS) == 1
        await check.resume()
        assert running(ADDRESS) == 1
        await check.leave()
        await check.leave()
        assert running(ADDRESS) == 0
        await check.resume()
        assert running(ADDRESS) == 1
    assert running(ADDRESS) == 0


async def test_a_client_that_sends_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its requests would wait in memory, also when it has closed their connections."""
    monkeypatch.setattr(http, "REFUSAL_SECONDS", 0.01)
    monkeypatch.setattr("trunkline.apis.service.check_limit.REFUSAL_SECONDS", 0.01)
    check_limit = CheckLimit(WebSettings())
    dispatcher = ApisOnFakes().dispatcher(Api.CALL)
    endpoint = http.JsonRpcEndpoint(
        dispatcher, body_max=1_048_576, address_of=lambda _: ADDRESS, check_limit=check_limit
    )
    app = web.Application()
    app.add_routes(endpoint.routes())
    waiting = asyncio.create_task(check_limit.addresses.take(ADDRESS, BURST + round(WAIT_MAX) * RATE - 1))
    async with TestClient(TestServer(app)) as client:
        response = await client.post(dispatcher.service_spec.path, data=_body("bad") + b" " * RATE)
        assert response.status == 413
        response = await client.post(dispatcher.service_spec.path, data=_body("bad") + b" " * (RATE // 2))
        assert response.status == 429
        error = (await response.json())["error"]
        assert (error["data"]["mnemonic"], error["data"]["params"]) == (
            "invalid_request",
            {"bytes_per_second": RATE},
        )
    waiting.cancel()
