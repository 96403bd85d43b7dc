"""The queues of one account, as this switch runs them: inputs in, events stored, effects on calls.

Each input is decided at once and in order. The events of a decision are appended in one transaction, then its effects are
carried out; decisions that come meanwhile are appended together by the next transaction. While PostgreSQL does not accept
events, effects wait ``EFFECTS_WAIT_SECONDS`` and are then carried out without that: callers are connected, and the events
wait in memory as those of calls do.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import psycopg

from trunkline.calls.switch.call_timers import CallLater, Cancellable
from trunkline.calls.switch.executor import EFFECTS_WAIT_SECONDS
from trunkline.calls.switch.queue_store import QueueStore
from trunkline.core.clock import Instant
from trunkline.core.errors import DatabaseUnavailable, LeaseLost, Refused, StreamConflict, first_line
from trunkline.core.log import get_logger
from trunkline.db.pool import log_cause
from trunkline.events.catalogue import Event
from trunkline.events.store import UNSTORABLE
from trunkline.queues import inputs as i
from trunkline.queues.account import AccountQueues
from trunkline.queues.context import QueueContext
from trunkline.queues.decision import QueueDecision
from trunkline.queues.effects import Effect
from trunkline.queues.evolution import replay
from trunkline.queues.rules import LiveQueues, decide

RETRY_SECONDS = 0.5
"""Between two attempts to store events."""

LONGEST_RETRY_SECONDS = 60.0
"""The longest pause before queues whose rules fail, or whose events cannot be applied, are read again."""

STEADY_SECONDS = 120.0
"""After so long without a failure, the next one is logged again, and the queues are read again at once."""

BATCH_EVENTS = 500
"""Of one transaction; the last decision in it may exceed this."""

_SHORTEST_ALARM_SECONDS = 0.001

_CONFLICTS = (StreamConflict, psycopg.errors.UniqueViolation, *UNSTORABLE)
"""What the store raises for events that do not fit those that are stored."""

_log = get_logger("calls")


class _Failures:
    """Failures that follow one another: how long to wait before the next attempt, and which one is logged."""

    def __init__(self) -> None:
        self._count = 0
        self._cause: str | None = None
        self._last = 0.0

    def add(self, error: Exception) -> bool:
        """Whether this failure is to be logged: it is the first one, or another than the last one."""
        now = time.monotonic()
        if now - self._last > STEADY_SECONDS:
            self._count, self._cause = 0, None
        self._count, self._last = self._count + 1, now
        cause = f"{type(error).__name__}: {first_line(error)}"
        is_new, self._cause = cause != self._cause, cause
        return is_new

    @property
    def pause(self) -> float:
        """Seconds."""
        if self._count <= 1:
            return 0.0
        pause: float = RETRY_SECONDS * 2 ** min(self._count - 2, 16)
        return min(pause, LONGEST_RETRY_SECONDS)


@dataclass(slots=True, eq=False)
class _PendingDecision:
    """A decision that waits for its events to be stored."""

    events: Sequence[Event]
    effects: Sequence[Effect]
    stored: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class QueueOwner:
    """Owns the queues of one account. All methods are for one event loop.

    :param carry_out: carries out one effect; what comes of it is given as an input later.
    :param reads: limits how many accounts are read at once.
    :param reloaded: called when the state was made anew from the stored events; gives ``Restarted``.
    :param lost: called when another switch holds the lease of the node.
    """

    def __init__(
        self,
        account_id: int,
        store: QueueStore,
        *,
        carry_out: Callable[[Effect], None],
        reloaded: Callable[[], None],
        next_id: Callable[[], int],
        clock: Callable[[], Instant],
        lost: Callable[[], None] = lambda: None,
        call_later: CallLater | None = None,
        reads: asyncio.Semaphore | None = None,
    ) -> None:
        self.account_id = account_id
        self._store = store
        self._lost = lost
        self._carry_out = carry_out
        self._reloaded = reloaded
        self._clock = clock
        self._call_later = call_later
        self._context = QueueContext(next_id, random.Random())
        self._queues: LiveQueues | None = None
        self._decided: deque[_PendingDecision] = deque()
        self._unstored: deque[_PendingDecision] = deque()
        """Decisions whose effects were carried out before their events could be stored."""
        self._wake = asyncio.Event()
        self._alarm: Cancellable | None = None
        self._alarm_at: Instant | None = None
        self._behind_since: float | None = None
        self._reads = reads or asyncio.Semaphore()
        self._failures = _Failures()
        self._failure: Exception | None = None
        """Why the state is to be made anew."""
        self.is_live = False
        """Whether inputs are decided: the state was read and compared with the calls of the engine."""

    @property
    def state(self) -> AccountQueues:
        """
        :raises RuntimeError: it is not read yet.
        """
        return self.live.state

    @property
    def live(self) -> LiveQueues:
        """
        :raises RuntimeError: the state is not read yet.
        """
        if self._queues is None:
            raise RuntimeError("the queues of this account are not read yet")
        return self._queues

    @property
    def now(self) -> Instant:
        """Of the clock of the queues."""
        return self._clock()

    @property
    def is_read(self) -> bool:
        return self._queues is not None

    @property
    def unstored(self) -> int:
        """Events that are not stored yet."""
        return sum(len(one.events) for one in (*self._unstored, *self._decided))

    async def read(self) -> None:
        """Make the state from the stored events.

        :raises DatabaseUnavailable, psycopg.Error: they cannot be read.
        :raises Exception: they cannot be applied.
        """
        async with self._reads:
            stored = await self._store.read(self.account_id)
        self._queues = LiveQueues(replay(self.account_id, stored))

    async def read_until_done(self) -> None:
        """Make the state from the stored events, trying again until that succeeds.

        While the database does not respond, at the same interval; when the events cannot be applied, after growing pauses.
        """
        cause: str | None = None
        pause = RETRY_SECONDS
        while True:
            try:
                await self.read()
                return
            except Exception as error:
                is_database = isinstance(error, DatabaseUnavailable | psycopg.Error | OSError | TimeoutError)
                if cause != (cause := f"{type(error).__name__}: {first_line(error)}"):
                    _log.error(
                        "queues_not_read",
                        account_id=self.account_id,
                        cause=log_cause(error)
                        if isinstance(error, DatabaseUnavailable | psycopg.Error)
                        else type(error).__name__,
                        error=first_line(error),
                        consequence="callers hear music and wait; it is tried again",
                        remedy="see logs/postgres.log"
                        if is_database
                        else "report this line with its traceback",
                        exc_info=None if is_database else error,
                    )
            await asyncio.sleep(pause)
            if not is_database:
                pause = min(2 * pause, LONGEST_RETRY_SECONDS)

    def give(self, given: i.Input) -> asyncio.Future[None] | None:
        """Decide an input. None: it changed nothing; else what is done when its events are stored.

        :raises Refused: a command that is not possible; nothing has changed.
        """
        if self._queues is None:
            return None
        try:
            decision = decide(self._queues, given, self._context, self._clock())
        except Refused:
            raise
        except Exception as error:
            self.fail(error)
            raise
        self._arm(decision)
        if not decision.events and not decision.effects:
            return None
        decided = _PendingDecision(tuple(decision.events), tuple(decision.effects))
        self._decided.append(decided)
        self._wake.set()
        return decided.stored

    def fail(self, error: Exception) -> None:
        """A rule failed: the state may be incomplete, so it is made anew once all that was decided is stored."""
        if self._failure is None:
            self._failure = error
        self.stop()
        self._queues = None
        self._wake.set()

    def caller_of(self, call_session_id: int) -> int | None:
        """The caller of a call that waits, or is connected with an agent."""
        return self._queues.index.caller_of_call.get(call_session_id) if self._queues is not None else None

    def _arm(self, decision: QueueDecision) -> None:
        if decision.alarm == self._alarm_at and self._alarm is not None:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm, self._alarm_at = None, decision.alarm
        if decision.alarm is not None:
            later = self._call_later or asyncio.get_running_loop().call_later
            seconds = max(_SHORTEST_ALARM_SECONDS, decision.alarm - self._clock())
            self._alarm = later(seconds, self._elapsed)

    def _elapsed(self) -> None:
        self._alarm, self._alarm_at = None, None
        with contextlib.suppress(Exception):  # the state is made anew, which logs the failure
            self.give(i.Elapsed())

    def stop(self) -> None:
        """No alarm rings any more."""
        self.is_live = False
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    # --- storing

    async def run(self) -> None:
        """Store and carry out decisions until cancelled."""
        while True:
            if not self._unstored:
                await self._wake.wait()
            self._wake.clear()
            try:
                if self._unstored or self._decided:
                    await self._store_batch()
                if self._failure is not None and not (self._unstored or self._decided):
                    await self._read_again(self._failure)
            except LeaseLost:
                raise
            except Exception as error:  # these queues go on, from what is stored
                await self._read_again(error)

    async def flush(self) -> None:
        """Wait until all that was decided so far is stored."""
        waiting = [one.stored for one in (*self._unstored, *self._decided)]
        if waiting:
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _store_batch(self) -> None:
        """One transaction, and the effects of what it has stored."""
        batch = self._batch()
        new = batch[len(self._unstored) :]
        events = [event for one in batch for event in one.events]
        try:
            async with asyncio.timeout(EFFECTS_WAIT_SECONDS):
                await self._store.append(events)
        except LeaseLost:
            self.stop()
            self._lost()
            raise
        except _CONFLICTS as error:
            await self._read_again(error)
            return
        except (DatabaseUnavailable, psycopg.Error, TimeoutError, OSError) as error:
            self._carry_out_unstored(error, new)
            await self._wait_before_retry()
            return
        if self._behind_since is not None:
            _log.info("queue_events_written_again", account_id=self.account_id)
            self._behind_since = None
        for one in batch:
            if not one.stored.done():
                one.stored.set_result(None)
        for one in batch:
            if self._unstored and self._unstored[0] is one:
                self._unstored.popleft()
            elif self._decided and self._decided[0] is one:
                self._decided.popleft()
                self._perform(one.effects)
        if self._decided:
            self._wake.set()

    def _batch(self) -> list[_PendingDecision]:
        batch: list[_PendingDecision] = []
        count = 0
        for one in (*self._unstored, *self._decided):
            batch.append(one)
            count += len(one.events)
            if count >= BATCH_EVENTS:
                break
        return batch

    def _carry_out_unstored(self, error: Exception, new: Sequence[_PendingDecision]) -> None:
        """The events wait; who waits is connected nevertheless."""
        if self._behind_since is None:
            self._behind_since = time.monotonic()
            _log.error(
                "queue_events_wait",
                account_id=self.account_id,
                cause=log_cause(error)
                if isinstance(error, psycopg.Error | DatabaseUnavailable)
                else "timeout",
                error=first_line(error),
                consequence="queues go on; their events wait in memory until PostgreSQL accepts them",
                remedy="see logs/postgres.log, and check the disk of PostgreSQL",
            )
        for one in new:
            self._decided.popleft()
            self._unstored.append(one)
            self._perform(one.effects)

    async def _wait_before_retry(self) -> None:
        """Until the next attempt; the effects of what is decided meanwhile are not delayed by it."""
        deadline = time.monotonic() + RETRY_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            while self._decided:  # at first those that one transaction was too small for
                one = self._decided.popleft()
                self._unstored.append(one)
                self._perform(one.effects)
            self._wake.clear()
            try:
                async with asyncio.timeout(left):
                    await self._wake.wait()
            except TimeoutError:
                return

    async def _read_again(self, error: Exception) -> None:
        """What is stored counts, compared with the calls of the engine.

        The first time at once. When a failure follows a failure, the pause before the next attempt grows.
        """
        is_conflict = isinstance(error, _CONFLICTS)
        is_new = self._failures.add(error)
        if is_new and is_conflict:
            _log.error(
                "queue_events_refused",
                account_id=self.account_id,
                error=first_line(error),
                consequence="the queues of this account are read anew; commands of the last moment are lost",
                remedy="check that one switch runs for each switch.node; else report this line",
            )
        elif is_new:
            _log.error(
                "queue_rule_failed",
                account_id=self.account_id,
                error=first_line(error),
                consequence="the queues of this account are read anew, after growing pauses while this lasts",
                remedy="report this line with its traceback",
                exc_info=error,
            )
        for one in (*self._unstored, *self._decided):
            if not one.stored.done():
                one.stored.set_exception(error)
                one.stored.exception()  # nobody may wait for it
        self._unstored.clear()
        self._decided.clear()
        self._failure = None
        self.stop()
        self._queues = None
        await asyncio.sleep(self._failures.pause)
        await self.read_until_done()
        self._reloaded()

    def _perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            try:
                self._carry_out(effect)
            except Exception:
                _log.exception(
                    "queue_effect_failed",
                    account_id=self.account_id,
                    effect=type(effect).__name__,
                    detail=repr(effect),
                    consequence="the caller may wait longer; the queue goes on",
                    remedy="report this line with its traceback",
                )
