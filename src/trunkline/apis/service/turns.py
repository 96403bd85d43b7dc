"""Which clients wait: those of unknown addresses get turns, a few in each step of the event loop; known ones do not wait.

An address is known when a request from it had a valid token a short time ago, and not many without one since. What an
unknown client causes (its connection, the handshake, each request) is done when its turn comes. The event loop attends to
all sockets between two groups of turns, so the delay of a known client depends on the size of a group and not on the number
of unknown clients; they share the time that is left.

Turns go to addresses one after another, and first to those that had few so far: a new client among thousands that send all
the time does not wait for them all. A quarter of the turns goes to the others meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable

PER_STEP = 4
"""Turns in one step of the event loop, of about half a millisecond each. A known client's request takes some 30 steps, so
all unknown ones together delay it by less than a tenth of a second."""

FIRST_TURNS = 16
"""Turns of an address in a period that precede those of addresses that had more."""

PERIOD = 60.0
"""Seconds after which the turns that addresses had are forgotten."""

KNOWN_SECONDS = 300.0
"""For which an address is known after a request with a valid token."""

CREDIT = 256
"""Connections and pieces of requests that a known address may send until the next valid token."""

_KNOWN_MAX = 10_000
"""Known addresses; the one whose last valid token is oldest is forgotten first."""

Work = Callable[[], None]


class _Known:
    __slots__ = ("credit", "until")

    def __init__(self, until: float) -> None:
        self.until = until
        self.credit = CREDIT


class _Queue:
    """Work of addresses; each has one turn before any has its second."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, deque[Work]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._of)

    def append(self, network: str, work: Work) -> None:
        self._of.setdefault(network, deque()).append(work)

    def remove(self, network: str, work: Work) -> None:
        queue = self._of.get(network)
        if queue is not None and work in queue:
            queue.remove(work)
            if not queue:
                del self._of[network]

    def pop(self) -> tuple[str, Work]:
        network, queue = self._of.popitem(last=False)
        work = queue.popleft()
        if queue:
            self._of[network] = queue
        return network, work


class Turns:
    """The turns of one process. In memory: after a restart, all addresses are unknown until their next valid token.

    :param clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._first, self._further = _Queue(), _Queue()
        self._had: dict[str, int] = {}
        self._period_ends = clock() + PERIOD
        self._is_scheduled = False
        self.given = 0

    def identified(self, network: str) -> None:
        """A request from the network (``network_of`` its address) had a valid token."""
        known = self._known.get(network)
        if known is None:
            self._known[network] = _Known(self._clock() + KNOWN_SECONDS)
            if len(self._known) > _KNOWN_MAX:
                self._known.popitem(last=False)
            return
        known.until, known.credit = self._clock() + KNOWN_SECONDS, CREDIT
        self._known.move_to_end(network)

    def is_known(self, network: str) -> bool:
        """Whether its clients do not wait now."""
        known = self._known.get(network)
        return known is not None and known.credit > 0 and self._clock() < known.until

    def may_pass(self, network: str) -> bool:
        """The same, for one connection or piece of a request, which is counted."""
        if not self.is_known(network):
            return False
        self._known[network].credit -= 1
        return True

    def ask(self, network: str, work: Work) -> None:
        """Call ``work`` when a turn of the network comes; not within this call."""
        self._queue_of(network).append(network, work)
        self._schedule()

    def cancel(self, network: str, work: Work) -> None:
        """Do not call it any more."""
        self._first.remove(network, work)
        self._further.remove(network, work)

    async def turn(self, network: str) -> None:
        """Return when a turn of the network comes."""
        came: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def come() -> None:
            if not came.done():
                came.set_result(None)

        self.ask(network, come)
        try:
            await came
        except asyncio.CancelledError:
            self.cancel(network, come)
            raise

    def _queue_of(self, network: str) -> _Queue:
        if self._clock() >= self._period_ends:
            self._had.clear()
            self._period_ends = self._clock() + PERIOD
        return self._first if self._had.get(network, 0) < FIRST_TURNS else self._further

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._step)

    def _step(self) -> None:
        self._is_scheduled = False
        try:
            self._give_turns()
        finally:  # work of one client that fails stops no other client
            if self._first or self._further:
                self._schedule()

    def _give_turns(self) -> None:
        for number in range(PER_STEP):
            preferred, other = self._first, self._further
            if number == PER_STEP - 1:
                preferred, other = other, preferred
            queue = preferred or other
            if not queue:
                break
            network, work = queue.pop()
            self._had[network] = self._had.get(network, 0) + 1
            self.given += 1
            work()
