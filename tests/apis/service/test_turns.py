"""The turns of clients of unknown addresses."""

from __future__ import annotations

import asyncio

from trunkline.apis.service.turns import CREDIT, FIRST_TURNS, KNOWN_SECONDS, PER_STEP, PERIOD, Turns


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def _steps(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_each_step_has_a_few_turns_and_addresses_take_turns() -> None:
    turns, order = Turns(), list[str]()
    for number in range(20):
        for _ in range(3):
            turns.ask(str(number), lambda name=str(number): order.append(name))  # type: ignore[misc]
    assert order == []
    await _steps(1)
    assert len(order) == PER_STEP
    await _steps(30)
    assert order == [str(number) for number in range(20)] * 3


async def test_a_new_address_precedes_those_that_had_many_turns() -> None:
    turns, order = Turns(), list[str]()
    for number in range(100):
        for _ in range(FIRST_TURNS):
            turns.ask(str(number), lambda: None)
    await _steps(100 * FIRST_TURNS // PER_STEP + 1)
    for number in range(100):
        turns.ask(str(number), lambda: order.append("other"))
    turns.ask("new", lambda: order.append("new"))
    await _steps(1)
    assert "new" in order
    assert 1 < len(order) <= PER_STEP, "the others have turns meanwhile"


async def test_turns_are_forgotten_after_a_while() -> None:
    clock, order = Clock(), list[str]()
    turns = Turns(clock)
    for _ in range(FIRST_TURNS):
        turns.ask("old", lambda: None)
    await _steps(FIRST_TURNS)
    clock.now += PERIOD
    turns.ask("old", lambda: order.append("old"))
    turns.ask("new", lambda: order.append("new"))
    await _steps(1)
    assert order == ["old", "new"]


async def test_what_is_cancelled_has_no_turn() -> None:
    turns, order = Turns(), list[str]()

    def work() -> None:
        order.append("work")

    for number in range(10 * PER_STEP):
        turns.ask(str(number), lambda: None)
    turns.ask("one", work)
    turns.cancel("one", work)
    waiting = asyncio.create_task(turns.turn("one"))
    await _steps(2)
    waiting.cancel()
    await _steps(20)
    assert (order, turns.given) == ([], 10 * PER_STEP)


def test_an_address_is_known_after_a_valid_token_for_a_while() -> None:
    clock = Clock()
    turns = Turns(clock)
    assert not turns.may_pass("one")
    turns.identified("one")
    assert turns.may_pass("one")
    assert not turns.may_pass("two")
    clock.now += KNOWN_SECONDS
    assert not turns.is_known("one")
    turns.identified("one")
    assert [turns.may_pass("one") for _ in range(CREDIT + 1)] == [*[True] * CREDIT, False]
    turns.identified("one")
    assert turns.may_pass("one")


async def test_work_that_fails_stops_no_other_client() -> None:
    turns, order = Turns(), list[str]()
    seen: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: seen.append(context.get("exception")))

    def fail() -> None:
        raise ValueError("a fault")

    turns.ask("first", fail)
    for number in range(20):
        turns.ask(str(number), lambda name=str(number): order.append(name))  # type: ignore[misc]
    await _steps(30)
    loop.set_exception_handler(None)
    assert order == [str(number) for number in range(20)]
    assert len(seen) == 1
