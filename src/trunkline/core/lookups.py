"""Look-ups of host names in threads, of which each account has a share.

The system's resolver blocks, and a name server that does not respond keeps a thread for many seconds.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

AT_MOST = 256
"""Look-ups of all accounts at the same time; an account that has none under way may begin one in any case."""

_T = TypeVar("_T")


@dataclass(slots=True)
class _Share(Generic[_T]):
    """The look-ups of one account."""

    waiting: deque[tuple[Future[_T], Callable[[], _T]]] = field(default_factory=deque)
    running: int = 0


class Lookups(Generic[_T]):
    """Calls that block, in threads: some for each account at the same time, the accounts in turn.

    A thread ends when no call waits. The threads are daemons: a name server that never responds does not keep a process
    from its end.

    :param per_account: calls of one account at the same time. One that nobody waits for any longer counts until it returns.
    :param at_most: see :data:`AT_MOST`.
    :param name: of the threads.
    """

    def __init__(self, per_account: int, at_most: int = AT_MOST, *, name: str) -> None:
        self._per_account = per_account
        self._at_most = at_most
        self._name = name
        self._lock = threading.Lock()
        self._shares: OrderedDict[int, _Share[_T]] = OrderedDict()
        self._threads = 0

    def submit(self, account_id: int, call: Callable[[], _T]) -> Future[_T]:
        """What ``call`` returns. A future that is cancelled while it waits is never called.

        :raises RuntimeError: no thread can be started.
        """
        future: Future[_T] = Future()
        with self._lock:
            share = self._shares.setdefault(account_id, _Share())
            share.waiting.append((future, call))
            # Where more wait, threads are on their way that take this one, too.
            places_taken = share.running + len(share.waiting)
            needed = places_taken <= (self._per_account if self._threads < self._at_most else 1)
            if needed:
                self._threads += 1
        if needed:
            try:
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
            except RuntimeError:
                with self._lock:
                    self._threads -= 1
                    with contextlib.suppress(ValueError):  # another thread has taken it
                        share.waiting.remove((future, call))
                raise
        return future

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            account_id, future, call = taken
            try:
                future.set_result(call())
            except BaseException as error:  # it is raised where the result is awaited
                future.set_exception(error)
            with self._lock:
                self._shares[account_id].running -= 1

    def _take(self) -> tuple[int, Future[_T], Callable[[], _T]] | None:
        """The next call of the account whose turn it is; None: this thread ends."""
        with self._lock:
            # A thread beyond the limit is there for an account that has no other one.
            most = self._per_account if self._threads <= self._at_most else 1
            for account_id, share in list(self._shares.items()):
                while share.waiting and share.running < most:
                    future, call = share.waiting.popleft()
                    if future.set_running_or_notify_cancel():
                        share.running += 1
                        self._shares.move_to_end(account_id)
                        return account_id, future, call
                if not share.waiting and not share.running:
                    del self._shares[account_id]
            self._threads -= 1
            return None
