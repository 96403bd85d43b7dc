"""What the switch answers about an account now, for the open pages: one question, however many pages wait for it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from trunkline.apis.service.request_context import SwitchPort
from trunkline.core.errors import TrunklineError, Unavailable
from trunkline.core.tasks import item_task

STEP_SECONDS = 0.8
"""Between two questions to the switch about one account: what has changed is on the pages within a second."""

T = TypeVar("T")

Ask = Callable[[SwitchPort, int, T | None], Awaitable[T]]
"""Asks the switch about an account; gets the last answer, too. Answers are equal when nothing has changed."""


@dataclass(frozen=True, slots=True)
class Snapshot(Generic[T]):
    """The last answer.

    :ivar value: None: the switch does not answer.
    :ivar problem: why there is none, or why it is old.
    """

    value: T | None
    problem: str | None = None


@dataclass(slots=True)
class _Entry(Generic[T]):
    switch: SwitchPort
    snapshot: Snapshot[T] | None = None
    asked_at: float = 0.0
    watchers: int = 0
    changed: asyncio.Future[None] | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    task: asyncio.Task[None] | None = None


class LiveSource(Generic[T]):
    """The answers to one question, for each account.

    :param clock: monotonic seconds.
    """

    def __init__(self, ask: Ask[T], clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._entries: dict[int, _Entry[T]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def now(self, account_id: int, switch: SwitchPort) -> Snapshot[T]:
        """The answer, no older than :data:`STEP_SECONDS`."""
        entry = self._entry(account_id, switch)
        async with entry.lock:
            if entry.snapshot is None or self._clock() - entry.asked_at >= STEP_SECONDS:
                await self._refresh(entry, account_id)
            assert entry.snapshot is not None
            return entry.snapshot

    @contextlib.contextmanager
    def watching(self, account_id: int, switch: SwitchPort) -> Iterator[None]:
        """The question is repeated while a block runs."""
        entry = self._entry(account_id, switch)
        entry.watchers += 1
        if entry.task is None or entry.task.done():
            entry.task = item_task(self._repeat(entry, account_id), name="console-live", among=self._tasks)
        try:
            yield
        finally:
            entry.watchers -= 1

    def change(self, account_id: int) -> asyncio.Future[None]:
        """Is done when the answer has changed; to be used within :meth:`watching`."""
        entry = self._entries[account_id]
        if entry.changed is None or entry.changed.done():
            entry.changed = asyncio.get_running_loop().create_future()
        return entry.changed

    def _entry(self, account_id: int, switch: SwitchPort) -> _Entry[T]:
        entry = self._entries.get(account_id)
        if entry is None or entry.switch is not switch:
            entry = self._entries[account_id] = _Entry(switch)
        return entry

    async def _repeat(self, entry: _Entry[T], account_id: int) -> None:
        while entry.watchers:
            begun = self._clock()
            async with entry.lock:
                await self._refresh(entry, account_id)
            await asyncio.sleep(max(STEP_SECONDS - (self._clock() - begun), STEP_SECONDS / 4))
        if self._entries.get(account_id) is entry and not entry.lock.locked():
            del self._entries[account_id]

    async def _refresh(self, entry: _Entry[T], account_id: int) -> None:
        last = entry.snapshot
        value = last.value if last is not None else None
        try:
            found = Snapshot(await self._ask(entry.switch, account_id, value))
        except TrunklineError as error:
            found = Snapshot(value, error.remedy if isinstance(error, Unavailable) else error.message)
        entry.asked_at = self._clock()
        if found != last:
            entry.snapshot = found
            if entry.changed is not None and not entry.changed.done():
                entry.changed.set_result(None)
