"""Bytes of bodies without a valid token: an address that sends many waits, and nobody else does."""

from __future__ import annotations

import asyncio

import pytest

from trunkline.apis.service import body_allowance
from trunkline.apis.service.body_allowance import BURST, RATE, WAIT_MAX, AllowanceExceeded, BodyAllowance


class Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self.slept = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("trunkline.apis.service.body_allowance.asyncio.sleep", clock.sleep)
    return clock


async def test_who_sends_large_bodies_without_a_token_gets_the_rate(clock: Clock) -> None:
    allowance = BodyAllowance(clock)
    for _ in range(BURST // RATE):
        await allowance.take("192.0.2.1", RATE)
    assert clock.slept == 0
    for _ in range(10):
        await allowance.take("192.0.2.1", RATE)
    assert clock.slept == pytest.approx(10, abs=0.01)


async def test_others_and_valid_tokens_do_not_wait(clock: Clock) -> None:
    allowance = BodyAllowance(clock)
    for _ in range(20):
        await allowance.take("192.0.2.1", RATE)
        allowance.give_back("192.0.2.1", RATE)
    assert clock.slept == 0
    for _ in range(BURST // RATE):
        await allowance.take("192.0.2.1", RATE)
    await allowance.take("192.0.2.2", RATE)
    assert clock.slept == 0


async def test_small_bodies_count_in_sum(clock: Clock) -> None:
    allowance = BodyAllowance(clock)
    for _ in range(BURST // 1024):
        await allowance.take("192.0.2.1", 1024)
    assert clock.slept == 0
    for _ in range(2048):
        await allowance.take("192.0.2.1", 1024)
    assert clock.slept == pytest.approx(2, abs=0.01)


async def test_requests_that_wait_are_served_one_by_one_in_their_order() -> None:
    """All at once when the debt is paid would be a burst again."""
    allowance = BodyAllowance()
    served: list[int] = []

    async def take(number: int) -> None:
        await allowance.take("192.0.2.1", RATE // 10)
        served.append(number)

    await allowance.take("192.0.2.1", BURST)
    tasks = [asyncio.create_task(take(number)) for number in range(10)]
    await asyncio.sleep(0.55)
    assert 1 <= len(served) <= 6
    assert served == list(range(len(served)))
    for task in tasks:
        task.cancel()


async def test_a_network_of_64_bits_is_one_address(clock: Clock) -> None:
    allowance = BodyAllowance(clock)
    for number in range(BURST // RATE):
        await allowance.take(f"2001:db8::{number}", RATE)
    await allowance.take("2001:db8:0:1::1", RATE)
    assert clock.slept == 0
    await allowance.take("2001:db8::ffff", RATE)
    assert clock.slept == pytest.approx(1, abs=0.01)


async def test_addresses_with_a_full_allowance_are_forgotten(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_allowance, "_ADDRESSES_MAX", 10)
    allowance = BodyAllowance(clock)
    for number in range(10):
        await allowance.take(f"192.0.2.{number}", RATE)
    clock.now += 10
    for number in range(100, 105):
        await allowance.take(f"192.0.2.{number}", RATE)
    assert len(allowance._balances) == 5


async def test_bytes_that_are_returned_end_a_wait() -> None:
    allowance = BodyAllowance()
    await allowance.take("192.0.2.1", BURST)
    waiting = asyncio.create_task(allowance.take("192.0.2.1", 20 * RATE))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    allowance.give_back("192.0.2.1", 21 * RATE)
    await asyncio.wait_for(waiting, 5)


async def test_a_request_that_would_wait_for_long_is_refused() -> None:
    allowance = BodyAllowance()
    await allowance.take("192.0.2.1", BURST)
    waiting = [asyncio.create_task(allowance.take("192.0.2.1", RATE)) for _ in range(round(WAIT_MAX))]
    await asyncio.sleep(0)
    for _ in range(3):
        with pytest.raises(AllowanceExceeded):
            await allowance.take("192.0.2.1", 2 * RATE)
    assert not any(one.done() for one in waiting), "and takes nothing"
    for one in waiting:
        one.cancel()
