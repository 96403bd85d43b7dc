"""What waits with a time limit gives way to a cancellation, on every Python that is supported."""

from __future__ import annotations

import asyncio
import sys

import pytest

from trunkline.core import cancellation

both = pytest.mark.parametrize("wait_for", [cancellation.wait_for, asyncio.wait_for], ids=["ours", "in use"])


def test_it_is_in_use_where_it_is_needed() -> None:
    assert (asyncio.wait_for is cancellation.wait_for) == (sys.version_info < (3, 12))


@both
async def test_a_cancellation_that_comes_with_the_result_is_not_lost(wait_for) -> None:  # type: ignore[no-untyped-def]
    result = asyncio.get_running_loop().create_future()
    went_on = False

    async def wait() -> None:
        nonlocal went_on
        await wait_for(result, 20)
        went_on = True

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    result.set_result(None)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not went_on


@both
async def test_what_is_late_is_cancelled(wait_for) -> None:  # type: ignore[no-untyped-def]
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("work")

    with pytest.raises(TimeoutError):
        await wait_for(work(), 0.01)
    assert ended == ["work"]
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    with pytest.raises(TimeoutError):
        await wait_for(asyncio.get_running_loop().create_future(), 0)


@both
async def test_a_result_or_an_error_comes_through(wait_for) -> None:  # type: ignore[no-untyped-def]
    async def work(error: Exception | None) -> int:
        await asyncio.sleep(0)
        if error is not None:
            raise error
        return 7

    for seconds in (20, None):
        assert await wait_for(work(None), seconds) == 7
        with pytest.raises(ZeroDivisionError):
            await wait_for(work(ZeroDivisionError()), seconds)
    there: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    there.set_result(8)
    assert await wait_for(there, 0) == 8


@both
async def test_a_time_limit_holds_while_cleaning_up_after_a_cancellation(wait_for) -> None:  # type: ignore[no-untyped-def]
    seen: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            try:
                await wait_for(asyncio.Event().wait(), 0.01)
            except TimeoutError:
                seen.append("late")

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["late"]


@both
async def test_a_cancellation_while_the_late_one_ends_is_not_lost(wait_for) -> None:  # type: ignore[no-untyped-def]
    async def slow_to_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ending.set()
            await asyncio.sleep(0.05)

    ending = asyncio.Event()
    task = asyncio.create_task(wait_for(slow_to_end(), 0.01))
    await ending.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
