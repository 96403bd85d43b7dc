"""A limit on concurrent work, in all and for each account; waiting requests start in turn of their accounts."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager

from trunkline.core.errors import LimitExceeded


class ConcurrencyLimit:
    """At most so many requests under way, in all and for each account, or whatever else the keys stand for.

    :param workload: what they are, named in the error.
    :param queue: requests of one account that may wait.
    :param wait: seconds that a request may wait.
    :param rank: the waiting requests of accounts with a lower one come first, except for every fourth place.
    """

    def __init__(
        self,
        workload: str,
        *,
        total: int,
        per_account: int,
        queue: int,
        wait: float,
        rank: Callable[[Hashable], int] | None = None,
    ) -> None:
        self._workload = workload
        self._total = total
        self._per_account = min(per_account, total)
        self._queue = queue
        self._wait = wait
        self._rank = rank
        self._admitted = 0
        self._running: Counter[Hashable] = Counter()
        self._waiting: OrderedDict[Hashable, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def place(self, account_id: Hashable) -> AsyncIterator[None]:
        """A place for the time of the block.

        :raises LimitExceeded: the account has too many waiting, or none became free in time.
        """
        await self._take(account_id)
        try:
            yield
        finally:
            self._release(account_id)

    def running(self, account_id: Hashable) -> int:
        """Requests of the account that are under way."""
        return self._running[account_id]

    async def _take(self, account_id: Hashable) -> None:
        queue = self._waiting.get(account_id)
        if not queue and self._is_free(account_id):
            self._running[account_id] += 1
            return
        if len(queue or ()) >= self._queue:
            raise self._exceeded()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(account_id, deque()).append(turn)
        try:
            async with asyncio.timeout(self._wait):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._release(account_id)
            else:
                self._forget(account_id, turn)
            if isinstance(error, TimeoutError):
                raise self._exceeded() from None
            raise

    def _is_free(self, account_id: Hashable) -> bool:
        return self._running.total() < self._total and self._running[account_id] < self._per_account

    def _release(self, account_id: Hashable) -> None:
        self._running[account_id] -= 1
        if not self._running[account_id]:
            del self._running[account_id]
        self._admit()

    def _admit(self) -> None:
        """Give free places to those who wait, one account after another."""
        for account_id in self._in_turn():
            if self._running.total() >= self._total:
                return
            queue = self._waiting[account_id]
            while queue and self._is_free(account_id):
                turn = queue.popleft()
                if not turn.done():
                    self._running[account_id] += 1
                    turn.set_result(None)
                    self._waiting.move_to_end(account_id)
                    break
            if not queue:
                del self._waiting[account_id]

    def _in_turn(self) -> list[Hashable]:
        waiting = list(self._waiting)
        self._admitted += 1
        if self._rank is not None and self._admitted % 4:
            waiting.sort(key=self._rank)
        return waiting

    def _forget(self, account_id: Hashable, turn: asyncio.Future[None]) -> None:
        queue = self._waiting.get(account_id)
        if queue is not None and turn in queue:
            queue.remove(turn)
            if not queue:
                del self._waiting[account_id]

    def _exceeded(self) -> LimitExceeded:
        return LimitExceeded(
            f"an account may run {self._per_account} {self._workload} concurrently; send fewer at once",
            params={"limit_type": f"concurrent {self._workload}", "limit_max_value": self._per_account},
        )
