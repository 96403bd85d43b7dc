"""What clients may send over WebSockets on which only the server has something to send.

A frame of two bytes costs as much to read as one of a hundred, so a frame counts :data:`FRAME_COST` bytes in addition to its
own. A WebSocket has a budget, and so has its account for all of them; beyond it nothing more is read, and it is closed.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable

FRAME_COST = 64
"""Bytes that a frame counts in addition to its own."""

RATE = 512
"""Bytes per second of one WebSocket: 7 pings."""

BURST = 8 * 1024
"""Bytes that one WebSocket may send at once: 117 pings."""

ACCOUNT_RATE = 8 * RATE
ACCOUNT_BURST = 8 * BURST
"""The same of all WebSockets of an account in one process."""

_ACCOUNTS_MAX = 10_000
"""Accounts that are remembered; those that sent nothing for the longest time are forgotten first."""

Clock = Callable[[], float]


class _Bucket:
    def __init__(self, rate: float, burst: float, clock: Clock) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._left = burst
        self._at = clock()

    def left(self) -> float:
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        return self._left

    def take(self, size: int) -> bool:
        """Whether there was so much; else nothing is left."""
        left = self.left()
        self._left = max(0.0, left - size)
        return size <= left


class IncomingBudgets:
    """The budgets of one process. In memory: they protect the process, not the account.

    :param clock: seconds, monotonic.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._accounts: OrderedDict[int, _Bucket] = OrderedDict()

    def is_used_up(self, account_id: int) -> bool:
        """Whether the account's WebSockets have sent so much that no further one may be opened now."""
        return self._of_account(account_id).left() < BURST

    def open(self, account_id: int) -> IncomingBudget:
        """The budget of a new WebSocket of the account."""
        own = _Bucket(RATE, BURST, self._clock)
        return IncomingBudget(own, lambda: self._of_account(account_id))

    def _of_account(self, account_id: int) -> _Bucket:
        bucket = self._accounts.get(account_id)
        if bucket is None:
            bucket = self._accounts[account_id] = _Bucket(ACCOUNT_RATE, ACCOUNT_BURST, self._clock)
            if len(self._accounts) > _ACCOUNTS_MAX:
                self._accounts.popitem(last=False)
        self._accounts.move_to_end(account_id)
        return bucket


class IncomingBudget:
    """The budget of one WebSocket.

    :ivar exceeded: set when the client has sent more than it may; nothing more is read then.
    :ivar is_of_account: whether it was the account's budget that was exceeded.
    """

    def __init__(self, own: _Bucket, of_account: Callable[[], _Bucket]) -> None:
        self._own = own
        self._of_account = of_account
        self.exceeded = asyncio.Event()
        self.is_of_account = False

    def take(self, size: int) -> bool:
        """Whether these bytes may be read."""
        if self.exceeded.is_set():
            return False
        is_own_enough = self._own.take(size)
        is_enough = self._of_account().take(size)
        if is_own_enough and is_enough:
            return True
        self.is_of_account = is_own_enough
        self.exceeded.set()
        return False

    def take_frame(self) -> bool:
        """Whether a frame, whose bytes were taken before, may be handled."""
        return self.take(FRAME_COST)
