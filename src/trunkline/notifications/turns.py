"""Shares of accounts: who is next when several accounts wait for the same thing. No clock, no I/O."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TypeVar

_T = TypeVar("_T")


def in_turns(items: Iterable[_T], account_of: Callable[[_T], int], most: int) -> list[_T]:
    """At most so many of the items: the first of each account, then the second of each, and so on. Pure."""
    by_account: dict[int, deque[_T]] = {}
    for item in items:
        by_account.setdefault(account_of(item), deque()).append(item)
    chosen: list[_T] = []
    while by_account and len(chosen) < most:
        for account_id in list(by_account)[: most - len(chosen)]:
            waiting = by_account[account_id]
            chosen.append(waiting.popleft())
            if not waiting:
                del by_account[account_id]
    return chosen


class Turns:
    """Places that accounts share; those that wait get them in turns.

    :param most: places in all.
    :param each: places that one account may have.
    :param always: places that an account gets even when all are taken, so that a few accounts cannot take all.
    """

    def __init__(self, most: int, *, each: int, always: int = 0) -> None:
        self._most = most
        self._each = each
        self._always = always
        self._taken: Counter[int] = Counter()
        self._waiting: dict[int, deque[asyncio.Future[None]]] = {}

    @contextlib.asynccontextmanager
    async def place(self, account_id: int) -> AsyncIterator[None]:
        """One place for the block, once it is the account's turn."""
        await self._take(account_id)
        try:
            yield
        finally:
            self._give_back(account_id)

    async def _take(self, account_id: int) -> None:
        if account_id not in self._waiting and self._may(account_id):
            self._taken[account_id] += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(account_id, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back(account_id)
            raise

    def _may(self, account_id: int) -> bool:
        own = self._taken[account_id]
        return own < self._each and (own < self._always or self._taken.total() < self._most)

    def _give_back(self, account_id: int) -> None:
        self._taken[account_id] -= 1
        if not self._taken[account_id]:
            del self._taken[account_id]
        for other in list(self._waiting):
            if self._may(other) and self._begin_next(other):
                return

    def _begin_next(self, account_id: int) -> bool:
        """Give a place to the next of an account, which then comes after all others; False: nobody waits any more."""
        waiting = self._waiting.pop(account_id)
        while waiting:
            turn = waiting.popleft()
            if turn.done():  # cancelled
                continue
            self._taken[account_id] += 1
            turn.set_result(None)
            if waiting:
                self._waiting[account_id] = waiting
            return True
        return False
