"""Keeps :class:`Identification` up to date when the directory or the addresses of host names change."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import orjson

from trunkline.core.log import get_logger
from trunkline.core.tasks import core_task, item_task
from trunkline.directory.live.snapshot import DirectorySnapshot
from trunkline.directory.model import Directory, Trunk
from trunkline.directory.trunks.addresses import Address, Network, parse, written
from trunkline.directory.trunks.identification import (
    Identification,
    RefusedAddress,
    hosts_of,
    identification,
    names_of,
)
from trunkline.directory.trunks.resolution import LOOKUPS_PER_ACCOUNT, resolve

RESOLVE_AGAIN_SECONDS = 120.0
"""Seconds after which a host name is resolved again."""
RETRY_SECONDS = 15.0
"""Seconds after which a name that has no address is resolved again."""
LOOK_UP_SECONDS = 20.0
"""For one name: longer than the system's resolver waits for a first name server that does not respond."""
START_SECONDS = 5.0
"""How long the start waits for names whose addresses were never known."""
FAIL_OVER_SECONDS = 60.0
"""After a change of the address, a server has so long to respond: a transaction of SIP takes 32 s."""
CHECK_SECONDS = 5.0
"""Between two searches for names that must be resolved again."""
GATHER_SECONDS = 0.1
"""Answers within this time are one change."""

Resolve = Callable[[Iterable[str], int], Awaitable[Mapping[str, tuple[Network, ...]]]]
"""Of hosts of an account."""

_log = get_logger("directory")


async def _resolve(hosts: Iterable[str], account_id: int) -> dict[str, tuple[Network, ...]]:
    return await resolve(hosts, account_id, LOOK_UP_SECONDS)


class TrunkIdentification:
    """What identifies the trunks of a directory at this moment.

    :param own: addresses of the installation.
    :param version: 4 or 6, the addresses that the engine's transports can connect to.
    :param file: keeps the last known addresses over a restart; None: nothing is kept.
    """

    def __init__(
        self,
        snapshot: DirectorySnapshot,
        own: frozenset[Address],
        *,
        version: int = 4,
        file: Path | None = None,
        resolver: Resolve = _resolve,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._snapshot = snapshot
        self._own = own
        self._version = version
        self._file = file
        self._resolve = resolver
        self._clock = clock
        self._resolved = _kept(file)
        self._asked: dict[str, float] = {}
        self._running: dict[int, set[str]] = {}
        """By account: names that are being resolved."""
        self._tasks: dict[int, set[asyncio.Task[None]]] = {}
        self._preferred: dict[int, str] = {}
        """By trunk: the address that is used because another one did not respond."""
        self._failed_over: dict[int, float] = {}
        self._changed = False
        self._current = Identification()
        self._refused: frozenset[RefusedAddress] = frozenset()
        self._wake = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []

    @property
    def current(self) -> Identification:
        """Never waits. A trunk whose host name is not resolved yet is left out."""
        return self._current

    def addresses_of(self, trunk: Trunk) -> tuple[str, ...]:
        """The single addresses that the host of a trunk has, as they are known; never waits."""
        literal = parse(trunk.host)
        found = (literal,) if literal is not None else self._resolved.get(trunk.host, ())
        return tuple(map(written, found))

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` when a name was resolved to other addresses."""
        self._listeners.append(listener)

    def fail_over(self, trunk_id: int) -> None:
        """The server of a trunk does not respond: use the next address that its host name has, at most once a minute.

        Nothing changes for other trunks with the same name.
        """
        owner = self._snapshot.current.trunk(trunk_id)
        before = self._current.servers.get(trunk_id)
        now = self._clock()
        if (
            owner is None
            or before is None
            or now - self._failed_over.get(trunk_id, -FAIL_OVER_SECONDS) < (FAIL_OVER_SECONDS)
        ):
            return
        found = self._resolved.get(owner[1].host, ())
        usable = [written(one) for one in found if one.version == self._version]
        if len(usable) < 2:
            return
        after = usable[(usable.index(before) + 1) % len(usable)] if before in usable else usable[0]
        self._failed_over[trunk_id] = now
        self._preferred[trunk_id] = after
        _log.warning(
            "trunk_server_changed",
            account_id=owner[0].account_id,
            trunk=owner[1].name,
            before=before,
            after=after,
            reason="the server did not respond",
            consequence="calls and the registration go to the other address of the host name",
        )
        self._changed = True
        self._wake.set()

    def update(self, directory: Directory) -> None:
        """Take the directory as it is now; names that are new are resolved in the background."""
        self._current = identification(directory, self._resolved, self._own, self._version, self._preferred)
        self._report(self._current.refused)
        if any(host not in self._asked for host in hosts_of(directory)):
            self._wake.set()

    async def refresh(self) -> None:
        """Resolve the names that are new or old, and wait for all of them; listeners are called when an answer changed."""
        self._start()
        await asyncio.gather(*(task for tasks in self._tasks.values() for task in tasks))
        self._apply()

    async def first(self, timeout: float) -> None:
        """Start to resolve; return when each name has an address or was looked up, or after ``timeout`` seconds."""
        self._start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while hosts_of(self._snapshot.current) - self._resolved.keys():
                    self._wake.clear()
                    await self._wake.wait()
        self._apply()

    async def run(self) -> None:
        """Resolve when names are new, and periodically, until cancelled."""
        try:
            while True:
                self._wake.clear()
                self._apply()
                self._start()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), CHECK_SECONDS)
                    await asyncio.sleep(GATHER_SECONDS)
        finally:
            for tasks in self._tasks.values():
                for task in tasks:
                    task.cancel()

    def _start(self) -> None:
        """Start look-ups for the accounts with names that are due, each account by itself."""
        accounts = self._snapshot.current.accounts
        for account_id in accounts:
            tasks = self._tasks.get(account_id, ())
            for _ in range(len(tasks), min(LOOKUPS_PER_ACCOUNT, len(tasks) + len(self._due(account_id)))):
                item_task(
                    self._look_up(account_id),
                    name="trunk-hosts",
                    among=self._tasks.setdefault(account_id, set()),
                )
        for account_id in [one for one, tasks in self._tasks.items() if not tasks]:
            del self._tasks[account_id]
            self._running.pop(account_id, None)

    def _due(self, account_id: int) -> set[str]:
        """Names of an account that must be resolved now."""
        account = self._snapshot.current.accounts.get(account_id)
        if account is None:
            return set()
        now = self._clock()
        return {
            host
            for host in names_of(account) - self._running.get(account_id, set())
            if host not in self._asked
            or now - self._asked[host]
            >= (RESOLVE_AGAIN_SECONDS if self._resolved.get(host) else RETRY_SECONDS)
        }

    def _urgency(self, host: str) -> tuple[bool, bool, float, str]:
        """The least is resolved first: names never asked for, then those that had an address."""
        return host in self._asked, not self._resolved.get(host), self._asked.get(host, 0.0), host

    async def _look_up(self, account_id: int) -> None:
        """Resolve names of an account one by one, while one is due."""
        running = self._running.setdefault(account_id, set())
        while due := self._due(account_id):
            host = min(due, key=self._urgency)
            running.add(host)
            try:
                answers = await self._resolve([host], account_id)
                self._take(host, answers.get(host, ()))
            except Exception:  # e.g. no more threads; the last known addresses are better than none
                _log.exception(
                    "trunk_host_not_resolved",
                    host=host,
                    account_id=account_id,
                    consequence="the last known addresses stay in use",
                    remedy="check the DNS of this host; report this line if it resolves",
                )
            finally:
                self._asked[host] = self._clock()
                running.discard(host)

    def _take(self, host: str, found: tuple[Network, ...]) -> None:
        before = self._resolved.get(host)
        # a name server that does not respond for a while removes no trunk
        if before is None or (found and {*before} != {*found}):
            # The first one is used, and stays in use while the name has it.
            self._resolved[host] = tuple(sorted(found, key=lambda one: one not in (before or ())[:1]))
            self._changed = True
            self._wake.set()

    def _apply(self) -> None:
        """Update and call the listeners if an answer changed."""
        hosts = hosts_of(self._snapshot.current)
        for trunk_id in [one for one in self._preferred if self._snapshot.current.trunk(one) is None]:
            del self._preferred[trunk_id]
            self._failed_over.pop(trunk_id, None)
        for host in (self._asked.keys() | self._resolved.keys()) - hosts:
            self._asked.pop(host, None)
            self._resolved.pop(host, None)
        if not self._changed:
            return
        self._changed = False
        self.update(self._snapshot.current)
        self._keep()
        for listener in self._listeners:
            listener()

    def _keep(self) -> None:
        """A switch that starts while no name server responds has the addresses of before."""
        if self._file is None:
            return
        known = {host: list(map(str, found)) for host, found in self._resolved.items() if found}
        draft = self._file.with_suffix(".new")
        try:
            draft.write_bytes(orjson.dumps(known))
            draft.chmod(0o600)
            draft.replace(self._file)
        except OSError as error:
            _log.warning(
                "trunk_addresses_not_kept",
                file=str(self._file),
                error=str(error),
                consequence="after a restart host names of trunks are looked up before calls use them",
                remedy="check the permissions of the folder, and that the disk has free space",
            )

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


@asynccontextmanager
async def identifying(
    snapshot: DirectorySnapshot, own: frozenset[Address], *, version: int = 4, file: Path | None = None
) -> AsyncIterator[TrunkIdentification]:
    """The identification of the snapshot's trunks, kept up to date for the time of the block; names are resolved first, but
    nobody waits for one that takes long."""
    identified = TrunkIdentification(snapshot, own, version=version, file=file)
    identified.update(snapshot.current)
    await identified.first(START_SECONDS)
    unsubscribe = snapshot.subscribe(lambda directory, _: identified.update(directory))
    task = core_task(identified.run(), name="trunk-identification")
    try:
        yield identified
    finally:
        unsubscribe()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _kept(file: Path | None) -> dict[str, tuple[Network, ...]]:
    """The addresses that the file has; they are checked as those of a look-up."""
    if file is None:
        return {}
    try:
        known = orjson.loads(file.read_bytes())
        texts = {str(host): [str(text) for text in found] for host, found in known.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        _log.warning(
            "trunk_addresses_not_read",
            file=str(file),
            error=str(error),
            consequence="host names of trunks have no address until they are looked up",
        )
        return {}
    return {host: tuple(filter(None, map(parse, found))) for host, found in texts.items() if found}
