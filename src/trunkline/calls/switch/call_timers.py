"""Timers and questions of live calls: arms one clock timer for the earliest deadline, and executes questions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from trunkline.calls.timers import (
    NO_EXECUTOR,
    RESTARTED,
    TIMED_OUT,
    Ask,
    Deadlines,
    Elapsed,
    Question,
    QuestionAnswered,
    QuestionFailed,
    TimerInput,
)
from trunkline.core.clock import Instant
from trunkline.core.log import get_logger
from trunkline.core.tasks import item_task

_log = get_logger("calls")

QuestionExecutor = Callable[[int, Question], Awaitable[Any]]
"""Answers questions of one kind: account id and question in, JSON values out. An exception is a failure."""

Handle = Callable[[int, TimerInput], None]
"""Gives an input to the rules of a call: call session id and input."""


class Cancellable(Protocol):
    def cancel(self) -> None: ...


CallLater = Callable[[float, Callable[[], None]], Cancellable]
"""As ``loop.call_later``: seconds and a function."""


def _on_this_loop(seconds: float, function: Callable[[], None]) -> Cancellable:
    return asyncio.get_running_loop().call_later(seconds, function)


class CallTimers:
    """Timers and questions of the calls of one switch.

    :param clock: Unix seconds.
    :param call_later: arms a clock timer; tests replace it.
    """

    def __init__(
        self, handle: Handle, clock: Callable[[], float], call_later: CallLater | None = None
    ) -> None:
        self._handle = handle
        self._clock = clock
        self._call_later = call_later or _on_this_loop
        self._deadlines: Deadlines[int] = Deadlines()
        self._armed: Cancellable | None = None
        self._armed_for: Instant | None = None
        self._executors: dict[str, QuestionExecutor] = {}
        self._asked: dict[tuple[int, str], asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._changes: set[asyncio.Task[None]] = set()
        """Those of them that are completed although their call has ended."""
        self._is_held = False

    # --- timers

    def keep(self, call_session_id: int, timers: Mapping[str, Instant]) -> None:
        """The open timers of a call are these now."""
        if not timers and call_session_id not in self._deadlines:
            return  # most calls never have one
        self._deadlines.replace(call_session_id, timers)
        self._arm()

    def hold(self) -> None:
        """No timer elapses until :meth:`release`: during a recovery what was missed is handled first."""
        self._is_held = True

    def release(self) -> None:
        """Timers elapse again; those whose deadline has passed do so now."""
        self._is_held = False
        self.fire()

    def fire(self) -> None:
        """Handle the timers whose deadline has passed, and arm the clock timer for the next."""
        self._armed, self._armed_for = None, None
        if not self._is_held:
            now = Instant(self._clock())
            for call_session_id, key in self._deadlines.due(now):
                self._handle(call_session_id, Elapsed(key, now))
        self._arm()

    def _arm(self) -> None:
        earliest = self._deadlines.earliest()
        if self._is_held or earliest == self._armed_for:
            return
        if self._armed is not None:
            self._armed.cancel()
        self._armed, self._armed_for = None, earliest
        if earliest is not None:
            self._armed = self._call_later(max(0.0, earliest - self._clock()), self.fire)

    # --- questions

    def register(self, kind: str, executor: QuestionExecutor) -> None:
        """Let this executor answer the questions of a kind."""
        self._executors[kind] = executor

    def ask(self, account_id: int, call_session_id: int, ask: Ask) -> None:
        """Run a question concurrently with the calls; its answer is an input of the call."""
        task = item_task(self._execute(account_id, call_session_id, ask), name="question", among=self._tasks)
        self._asked[call_session_id, ask.key] = task
        if ask.question.is_change:
            self._changes.add(task)
            task.add_done_callback(self._changes.discard)

    def forget(self, call_session_id: int) -> None:
        """The call is over: its timers and questions are void. Changes are completed: who deletes a message may hang up."""
        self.keep(call_session_id, {})
        for asked in [one for one in self._asked if one[0] == call_session_id]:
            task = self._asked.pop(asked)
            if task not in self._changes:
                task.cancel()

    def fail_lost(self, call_session_id: int, open_questions: Mapping[str, str]) -> None:
        """Questions that a former process asked have no executor any more."""
        for key in open_questions:
            if (call_session_id, key) not in self._asked:
                self._handle(call_session_id, QuestionFailed(key, Instant(self._clock()), RESTARTED))

    async def _execute(self, account_id: int, call_session_id: int, ask: Ask) -> None:
        executor = self._executors.get(ask.question.kind)
        answer: TimerInput
        try:
            if executor is None:
                answer = QuestionFailed(ask.key, self._now(), NO_EXECUTOR)
            else:
                async with asyncio.timeout(ask.question.seconds):
                    value = await executor(account_id, ask.question)
                answer = QuestionAnswered(ask.key, self._now(), value)
        except TimeoutError:
            answer = QuestionFailed(ask.key, self._now(), TIMED_OUT)
        except Exception as error:
            _log.warning(
                "question_failed",
                call_session_id=call_session_id,
                kind=ask.question.kind,
                error=f"{type(error).__name__}: {error}",
                consequence="the call goes on as without an answer",
            )
            answer = QuestionFailed(ask.key, self._now(), f"{type(error).__name__}: {error}")
        if self._asked.get((call_session_id, ask.key)) is asyncio.current_task():
            del self._asked[call_session_id, ask.key]
            self._handle(call_session_id, answer)

    def _now(self) -> Instant:
        return Instant(self._clock())
