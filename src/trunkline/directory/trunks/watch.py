"""Keeps :class:`Identification` up to date when the directory or the addresses of host names change."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

from trunkline.core.log import get_logger
from trunkline.core.tasks import core_task
from trunkline.directory.live.snapshot import DirectorySnapshot
from trunkline.directory.model import Directory
from trunkline.directory.trunks.addresses import Address, Network
from trunkline.directory.trunks.identification import (
    Identification,
    RefusedAddress,
    hosts_of,
    identification,
)
from trunkline.directory.trunks.resolution import resolve

RESOLVE_AGAIN_SECONDS = 120.0
"""Seconds after which a host name is resolved again."""

Resolve = Callable[[Iterable[str]], Awaitable[Mapping[str, tuple[Network, ...]]]]

_log = get_logger("directory")


class TrunkIdentification:
    """What identifies the trunks of a directory at this moment.

    :param own: addresses of the installation.
    """

    def __init__(
        self,
        snapshot: DirectorySnapshot,
        own: frozenset[Address],
        *,
        resolver: Resolve = resolve,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._snapshot = snapshot
        self._own = own
        self._resolve = resolver
        self._clock = clock
        self._resolved: dict[str, tuple[Network, ...]] = {}
        self._asked: dict[str, float] = {}
        self._current = Identification()
        self._refused: frozenset[RefusedAddress] = frozenset()
        self._wake = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []

    @property
    def current(self) -> Identification:
        """Never waits. A trunk whose host name is not resolved yet is left out."""
        return self._current

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` when a name was resolved to other addresses."""
        self._listeners.append(listener)

    def update(self, directory: Directory) -> None:
        """Take the directory as it is now; names that are new are resolved in the background."""
        self._current = identification(directory, self._resolved, self._own)
        self._report(self._current.refused)
        if any(host not in self._resolved for host in hosts_of(directory)):
            self._wake.set()

    async def refresh(self) -> None:
        """Resolve the names that are new or old, then update; listeners are called when an answer changed."""
        directory, now = self._snapshot.current, self._clock()
        hosts = hosts_of(directory)
        due = [
            host
            for host in hosts
            if host not in self._asked or now - self._asked[host] >= RESOLVE_AGAIN_SECONDS
        ]
        answers = await self._resolve(due)
        self._asked.update(dict.fromkeys(due, now))
        changed = {
            host: _same_first(found, self._resolved.get(host, ()))
            for host, found in answers.items()
            # a name server that does not respond for a while removes no trunk
            if host not in self._resolved or (found and {*self._resolved[host]} != {*found})
        }
        self._resolved.update(changed)
        for host in self._asked.keys() - hosts:
            del self._asked[host]
            self._resolved.pop(host, None)
        self.update(self._snapshot.current)
        if changed:
            for listener in self._listeners:
                listener()

    async def run(self) -> None:
        """Refresh when names are new, and periodically, until cancelled."""
        while True:
            self._wake.clear()
            try:
                await self.refresh()
            except Exception:  # e.g. no more threads; the last known addresses are better than none
                _log.exception("trunk_hosts_not_resolved", remedy="the last known addresses stay")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), RESOLVE_AGAIN_SECONDS / 2)

    def _report(self, refused: Iterable[RefusedAddress]) -> None:
        found = frozenset(refused)
        for one in sorted(found - self._refused, key=lambda one: (one.trunk_id, one.address)):
            _log.warning(
                "trunk_address_refused",
                account_id=one.account_id,
                trunk_id=one.trunk_id,
                trunk=one.trunk_name,
                reason=one.text,
                remedy=f"if it is the carrier's: trunkline trunk allow {one.address} --account {one.account_id}",
            )
        self._refused = found


def _same_first(found: tuple[Network, ...], before: tuple[Network, ...]) -> tuple[Network, ...]:
    """The address in use, which is the first, stays in use while the name has it: a name server may rotate its answers."""
    return tuple(sorted(found, key=lambda one: one not in before[:1]))


@asynccontextmanager
async def identifying(
    snapshot: DirectorySnapshot, own: frozenset[Address]
) -> AsyncIterator[TrunkIdentification]:
    """The identification of the snapshot's trunks, kept up to date for the time of the block; names are resolved first."""
    identified = TrunkIdentification(snapshot, own)
    await identified.refresh()
    unsubscribe = snapshot.subscribe(lambda directory, _: identified.update(directory))
    task = core_task(identified.run(), name="trunk-identification")
    try:
        yield identified
    finally:
        unsubscribe()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
