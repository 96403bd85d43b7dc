"""Resolves the host names of trunks. Look-ups of one account never delay those of another."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field

from trunkline.directory.trunks.addresses import Network, parse

TIMEOUT_SECONDS = 5.0
"""For one name; a name that is not resolved in time has no address."""

LOOKUPS_PER_ACCOUNT = 2
"""Look-ups of one account at the same time. One that took too long counts until the system's resolver has given it up."""
LOOKUPS_MAX = 256
"""Look-ups of all accounts at the same time."""

Resolved = Mapping[str, tuple[Network, ...]]
"""By host name."""


_THIS_MACHINE = re.compile(
    r"(?:.+\.)?localhost[46]?(?:\.localdomain[46]?)?\.?|ip6-(?:localhost|loopback)\.?", re.IGNORECASE
)
"""Names of this machine (RFC 6761 section 6.3, and those of usual ``/etc/hosts``), also where no file or server has them."""
_LOOPBACK = ipaddress.ip_network("127.0.0.1/32")


async def resolve(
    hosts: Iterable[str], account_id: int, timeout: float = TIMEOUT_SECONDS
) -> dict[str, tuple[Network, ...]]:
    """Addresses of each host, sorted; a literal address is itself, a name that cannot be resolved has none.

    A name is also what only the system's resolver reads as an address: ``127.1``, ``2130706433``.

    :param account_id: whose names they are: of one account, only ``LOOKUPS_PER_ACCOUNT`` are resolved at the same time.
    :param timeout: seconds, for each name, with the time it waits for others of its account.
    """
    wanted = sorted(set(hosts))
    found = await asyncio.gather(*(_addresses(host, account_id, timeout) for host in wanted))
    return dict(zip(wanted, found, strict=True))


async def _addresses(host: str, account_id: int, timeout: float) -> tuple[Network, ...]:
    literal = parse(host)
    if literal is not None:
        return (literal,)
    if _THIS_MACHINE.fullmatch(host):
        return (_LOOPBACK,)
    try:
        future = _lookups.submit(account_id, lambda: _look_up(host))
        answers = await asyncio.wait_for(asyncio.wrap_future(future), timeout)
    except (OSError, UnicodeError, TimeoutError):
        return ()
    networks = {parse(text) for text in answers}
    return tuple(
        sorted((one for one in networks if one is not None), key=lambda one: (one.version, str(one)))
    )


def _look_up(host: str) -> set[str]:
    answers = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    return {str(answer[4][0]).partition("%")[0] for answer in answers}


@dataclass(slots=True)
class _Share:
    """The look-ups of one account."""

    waiting: deque[tuple[Future[set[str]], Callable[[], set[str]]]] = field(default_factory=deque)
    running: int = 0


class Lookups:
    """Calls that block, in threads: some for each account at the same time, the accounts in turn.

    A thread ends when no call waits. The threads are daemons: a name server that never responds does not keep a process
    from its end.
    """

    def __init__(self, per_account: int = LOOKUPS_PER_ACCOUNT, at_most: int = LOOKUPS_MAX) -> None:
        self._per_account = per_account
        self._at_most = at_most
        self._lock = threading.Lock()
        self._shares: OrderedDict[int, _Share] = OrderedDict()
        self._threads = 0

    def submit(self, account_id: int, call: Callable[[], set[str]]) -> Future[set[str]]:
        """What ``call`` returns. A future that is cancelled while it waits is never called.

        :raises RuntimeError: no thread can be started.
        """
        future: Future[set[str]] = Future()
        with self._lock:
            share = self._shares.setdefault(account_id, _Share())
            share.waiting.append((future, call))
            # Where more wait, threads are on their way that take this one, too.
            places_taken = share.running + len(share.waiting)
            needed = places_taken <= self._per_account and self._threads < self._at_most
            if needed:
                self._threads += 1
        if needed:
            try:
                threading.Thread(target=self._work, name="trunk-hosts", daemon=True).start()
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

    def _take(self) -> tuple[int, Future[set[str]], Callable[[], set[str]]] | None:
        """The next call of the account whose turn it is; None: this thread ends."""
        with self._lock:
            for account_id, share in list(self._shares.items()):
                while share.waiting and share.running < self._per_account:
                    future, call = share.waiting.popleft()
                    if future.set_running_or_notify_cancel():
                        share.running += 1
                        self._shares.move_to_end(account_id)
                        return account_id, future, call
                if not share.waiting and not share.running:
                    del self._shares[account_id]
            self._threads -= 1
            return None


_lookups = Lookups()
