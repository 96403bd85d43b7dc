"""A cancellation must arrive: before Python 3.12 ``asyncio.wait_for`` may lose one.

When the result and a cancellation arrive in the same iteration of the loop, the older function returns the result and loses
the cancellation. A task without an end then never ends, and its caller waits for ever. The pool of
connections and the workers of jobs wait with that function too, so it is replaced for the whole process and not only
avoided here.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from typing import TypeVar

_T = TypeVar("_T")


def repair() -> None:
    """Replace ``asyncio.wait_for`` by :func:`wait_for` where it needs it; once and again is the same."""
    if sys.version_info < (3, 12):
        for place in (asyncio, asyncio.tasks):
            setattr(place, wait_for.__name__, wait_for)


async def wait_for(fut: Awaitable[_T], timeout: float | None) -> _T:
    """The result of an awaitable, as ``asyncio.wait_for`` has it from Python 3.12 on.

    :param timeout: seconds; None waits for ever, nothing or less takes only a result that is there.
    :raises TimeoutError: there was no result in time; the awaitable has been cancelled and has ended.
    :raises asyncio.CancelledError: the caller was cancelled, be it together with the result.
    """
    if timeout is None:
        return await fut
    if timeout <= 0:
        future = asyncio.ensure_future(fut)
        if not future.done():
            future.cancel()
            await asyncio.wait({future})
        if future.cancelled():
            raise TimeoutError
        return future.result()
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("wait_for() is used outside of a task")
    # A task that cleans up after a cancellation counts that one already.
    before = task.cancelling()
    is_late = False

    def expire() -> None:
        nonlocal is_late
        is_late = True
        task.cancel()

    timer = asyncio.get_running_loop().call_later(timeout, expire)
    try:
        return await fut
    except asyncio.CancelledError:
        if is_late and task.cancelling() == before + 1:
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()
        if is_late:
            task.uncancel()
